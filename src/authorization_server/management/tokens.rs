//! Owns: listing issued tokens, revoking them, and issuing one on an operator's word.
//! Refuses: bringing a revoked token back.
//! Always holds: a revocation is in force here when it is answered, and on other replicas within two seconds.

use std::sync::Arc;

use serde_json::json;

use super::{Actor, ManagementError};
use crate::{
    authorization_server::{
        AuthorizationServer, GrantError, GrantRequest,
        registry::{ISSUED_BEFORE, Registry, Switches, issued_before_document},
    },
    clock::UnixTime,
    config::DialectConfig,
    id::TokenId,
    oauth::{IssueRefusal, IssuedToken},
    store::{IssuedCursor, IssuedFilter, IssuedPage, Kind, ListedToken, Selection},
};

/// What became of tokens that their owner revoked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnersRevocation {
    /// How many were good and are revoked now.
    pub revoked: u64,
    /// How many had expired and are forgotten now.
    pub forgotten: u64,
}

/// What is to be revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// One token.
    Token(TokenId),
    /// All tokens of a client.
    Client(String),
    /// All tokens of an owner.
    Owner(String),
    /// All tokens of a tenant.
    Tenant(String),
    /// All tokens that a key signed.
    Key(String),
    /// Everything that was issued before a moment.
    IssuedBefore(UnixTime),
}

impl AuthorizationServer {
    /// Issued tokens that fit `filter`, the newest first.
    ///
    /// # Errors
    /// If the store cannot be asked.
    pub async fn tokens(
        &self,
        filter: IssuedFilter,
        limit: u32,
        after: Option<IssuedCursor>,
    ) -> Result<IssuedPage, ManagementError> {
        let store = self.registry().store().clone();
        let page =
            self.registry().on_control(async move { store.issued(&filter, limit, after.as_ref()).await }).await??;
        Ok(page)
    }

    /// One issued token.
    ///
    /// # Errors
    /// If there is none, or the store cannot be asked.
    pub async fn token(&self, id: TokenId) -> Result<ListedToken, ManagementError> {
        let store = self.registry().store().clone();
        let found = self.registry().on_control(async move { store.find_issued(id).await }).await??;
        found.ok_or_else(|| ManagementError::UnknownToken { id: id.to_string() })
    }

    /// Revokes tokens, and gives how many there were; none for a moment, which is kept itself.
    ///
    /// # Errors
    /// If nothing was revoked because it could not be kept, or because the token is not known.
    pub async fn revoke(&self, actor: &Actor, what: Revocation, now: UnixTime) -> Result<Option<u64>, ManagementError> {
        let (registry, actor) = (Arc::clone(self.registry()), actor.clone());
        self.registry()
            .on_control(async move {
                let (subject, selection) = match &what {
                    Revocation::IssuedBefore(moment) => {
                        return revoke_before(&registry, &actor, *moment, now).await.map(|()| None);
                    }
                    Revocation::Token(id) => (format!("token {id}"), Selection::Token(*id)),
                    Revocation::Client(id) => (format!("client {id}"), Selection::Client(id.clone())),
                    Revocation::Owner(id) => (format!("owner {id}"), Selection::Owner(id.clone())),
                    Revocation::Tenant(id) => (format!("tenant {id}"), Selection::Tenant(id.clone())),
                    Revocation::Key(id) => (format!("key {id}"), Selection::Key(id.clone())),
                };
                let entry = |revoked| actor.did("token.revoke", &subject, json!({ "revoked": revoked }), now);
                Ok(Some(registry.revoke_all(&selection, now, entry).await?))
            })
            .await?
    }

    /// Revokes those of `ids` that are recorded as tokens of `owner`, and forgets those of them that have expired. Of others
    /// nothing is said, not even that they exist.
    ///
    /// # Errors
    /// If nothing was revoked because it could not be kept.
    pub async fn revoke_of_owner(
        &self,
        actor: &Actor,
        owner: &str,
        ids: Vec<TokenId>,
        now: UnixTime,
    ) -> Result<OwnersRevocation, ManagementError> {
        // No id at all would be a filter that every token passes.
        if ids.is_empty() {
            return Ok(OwnersRevocation::default());
        }
        let (registry, actor, owner) = (Arc::clone(self.registry()), actor.clone(), owner.to_owned());
        self.registry()
            .on_control(async move {
                // Whose a token is never changes, so it may be looked up before the change.
                let limit = u32::try_from(ids.len()).unwrap_or(u32::MAX);
                let filter = IssuedFilter { ids, owner: Some(owner.clone()), ..IssuedFilter::default() };
                let page = registry.store().issued(&filter, limit, None).await?;
                let own: Vec<TokenId> = page.tokens.iter().map(|listed| listed.token.id).collect();
                if own.is_empty() {
                    return Ok(OwnersRevocation::default());
                }
                let named: Vec<String> = own.iter().map(TokenId::to_string).collect();
                let selection = Selection::Tokens(own);
                let mut change = registry.amend().await?;
                let revoked = change.revoke(&selection, now).await?;
                let forgotten = change.forget_expired(&selection, Some(&owner), now).await?;
                let detail = json!({ "tokens": named, "revoked": revoked, "forgotten": forgotten });
                change.note(actor.did("token.revoke", &format!("owner {owner}"), detail, now)).await?;
                registry.commit(change).await?;
                Ok(OwnersRevocation { revoked, forgotten })
            })
            .await?
    }

    /// Issues a token for a client on an operator's word, without its secret.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn issue_for_operator(
        &self,
        actor: &Actor,
        client_id: &str,
        dialect: DialectConfig,
        request: GrantRequest<'_>,
        now: UnixTime,
    ) -> Result<IssuedToken, ManagementError> {
        let client =
            self.find_client(client_id).ok_or_else(|| ManagementError::UnknownClient { id: client_id.to_owned() })?;
        if !self.is_client_enabled(&client) {
            let client_id = Arc::clone(&client.id);
            return Err(GrantError::Refused { client_id, refusal: IssueRefusal::ClientDisabled }.into());
        }
        let issued = self.grant(&client, dialect, request, now).await?;
        let entry = actor.did("token.issue", client_id, json!({ "token": issued.token_id.to_string() }), now);
        let registry = Arc::clone(self.registry());
        self.registry()
            .on_control(async move {
                let mut change = registry.amend().await?;
                change.note(entry).await?;
                registry.commit(change).await
            })
            .await??;
        Ok(issued)
    }
}

async fn revoke_before(
    registry: &Registry,
    actor: &Actor,
    moment: UnixTime,
    now: UnixTime,
) -> Result<(), ManagementError> {
    let mut change = registry.amend().await?;
    let mut switches = Switches::default();
    switches.apply(ISSUED_BEFORE, change.find(Kind::Switch, ISSUED_BEFORE).await?.as_deref());
    let (seconds, document) = issued_before_document(moment);
    // It never goes back: what was revoked stays so.
    if switches.issued_before.is_none_or(|before| before < seconds) {
        change.put(Kind::Switch, ISSUED_BEFORE, &document).await?;
    }
    change.note(actor.did("token.revoke", "issued_before", json!({ "seconds": seconds }), now)).await?;
    registry.commit(change).await?;
    Ok(())
}
