//! Owns: listing, changing and deleting API tokens.
//! Refuses: tokens of others; giving a token more than whoever changes it has.
//! Always holds: a deleted token, and every token that it was exchanged for, is refused from the answer on.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Map, Value, json};
use thiserror::Error;

use super::{
    ApiTokenKind, ApiTokenRecord, Caller,
    caller::{ApiTokenAction, NotAllowed},
};
use crate::{
    authorization_server::{
        AuthorizationServer, ChangeError, Unrecorded, registry::suspension_of_removed, signing_keys::SigningError,
    },
    clock::UnixTime,
    config::ApiTokenStrategyConfig,
    id::TokenId,
    store::{AuditEntry, Kind, Selection},
};

/// Why an API token was not made, changed or deleted.
#[derive(Debug, Error)]
pub enum ApiTokenError {
    /// The caller may not.
    #[error(transparent)]
    NotAllowed(NotAllowed),
    /// They are switched off, or not configured.
    #[error("API tokens are disabled")]
    Disabled,
    /// The other sort of API tokens is what may be made.
    #[error("API tokens of this kind cannot be made")]
    OtherStrategy,
    /// There is no such token, or not one of the caller's.
    #[error("there is no such token")]
    NotFound,
    /// There is no such role.
    #[error("there is no role {role:?}")]
    UnknownRole {
        /// The role.
        role: String,
    },
    /// It would expire the moment it is made.
    #[error("the token would expire at once")]
    ExpiresAtOnce,
    /// Something is larger than it may be.
    #[error("the {what} is larger than {bytes} bytes")]
    TooLarge {
        /// What.
        what: &'static str,
        /// How large it may be.
        bytes: usize,
    },
    /// No secret could be made.
    #[error("no secret could be made")]
    NoRandomness,
    /// There is no key to sign with.
    #[error("there is no key to sign with")]
    NoKey,
    /// The token could not be signed.
    #[error("the token could not be signed")]
    Signing(#[source] SigningError),
    /// The token could not be recorded.
    #[error("the token could not be recorded")]
    Unrecorded(#[source] Unrecorded),
    /// The change could not be kept.
    #[error("the change could not be kept")]
    Change(#[from] ChangeError),
}

/// Whose tokens of which kind are meant.
#[derive(Clone, Copy, Debug)]
pub struct Ownership<'a> {
    /// Their kind.
    pub kind: ApiTokenKind,
    /// The tenant that the request names.
    pub tenant_id: Option<&'a str>,
    /// The user that the request names.
    pub user_id: Option<&'a str>,
}

/// What is to be changed; what is not there stays.
#[derive(Clone, Debug, Default)]
pub struct ApiTokenUpdate {
    /// What it is for, in words.
    pub description: Option<String>,
    /// What it carries.
    pub metadata: Option<Map<String, Value>>,
    /// Its roles.
    pub roles: Option<BTreeSet<String>>,
    /// Its permissions beside those of its roles.
    pub permissions: Option<BTreeSet<String>>,
}

impl AuthorizationServer {
    /// The tokens that `owned` means, in the order in which they were made.
    ///
    /// # Errors
    /// If the caller may not see them.
    pub fn api_tokens(&self, caller: &Caller, owned: Ownership<'_>) -> Result<Vec<Arc<ApiTokenRecord>>, ApiTokenError> {
        caller.may(ApiTokenAction::Read, owned.kind.is_users())?;
        self.configured()?;
        let belongs = belongs(caller, owned)?;
        let state = self.registry().memory().state();
        let mut tokens: Vec<_> = state.api_tokens.all().filter(|token| belongs(token)).map(Arc::clone).collect();
        tokens.sort_by(|first, second| (first.created_at, &first.id).cmp(&(second.created_at, &second.id)));
        Ok(tokens)
    }

    /// Changes the token `id`.
    ///
    /// # Errors
    /// Why it was not changed.
    pub async fn update_api_token(
        &self,
        caller: &Caller,
        owned: Ownership<'_>,
        id: &str,
        update: ApiTokenUpdate,
        now: UnixTime,
    ) -> Result<Arc<ApiTokenRecord>, ApiTokenError> {
        caller.may(ApiTokenAction::Write, owned.kind.is_users())?;
        let profile = self.settings().api_token_profile().ok_or(ApiTokenError::Disabled)?;
        self.owned(caller, owned, id)?;
        if let Some(role) = update.roles.iter().flatten().find(|role| !profile.roles.contains_key(*role)) {
            return Err(ApiTokenError::UnknownRole { role: role.clone() });
        }
        let (none, caller_name) = (BTreeSet::new(), caller.clone());
        caller.may_grant(
            profile,
            update.roles.as_ref().unwrap_or(&none),
            update.permissions.as_ref().unwrap_or(&none),
        )?;
        let (registry, id) = (Arc::clone(self.registry()), id.to_owned());
        let changed = self
            .registry()
            .on_control(async move {
                let mut change = registry.amend().await.map_err(ChangeError::from)?;
                // Read here and not from memory: somebody else may have changed or deleted it meanwhile.
                let kept = change.find(Kind::ApiToken, &id).await.map_err(ChangeError::from)?;
                let kept = kept.and_then(|document| serde_json::from_str::<ApiTokenRecord>(&document).ok());
                let Some(mut record) = kept else { return Ok::<_, ApiTokenError>(None) };
                update.apply_to(&mut record);
                super::create::judge_record(&record)?;
                change.put(Kind::ApiToken, &id, &json!(record).to_string()).await.map_err(ChangeError::from)?;
                let entry = entry(&caller_name, "api_token.update", &record, now);
                change.note(entry).await.map_err(ChangeError::from)?;
                registry.commit(change).await?;
                Ok(Some(Arc::new(record)))
            })
            .await??;
        changed.ok_or(ApiTokenError::NotFound)
    }

    /// Deletes the token `id`, and withdraws every token that it was exchanged for.
    ///
    /// # Errors
    /// Why it is still there.
    pub async fn delete_api_token(
        &self,
        caller: &Caller,
        owned: Ownership<'_>,
        id: &str,
        now: UnixTime,
    ) -> Result<(), ApiTokenError> {
        caller.may(ApiTokenAction::Delete, owned.kind.is_users())?;
        let record = self.owned(caller, owned, id)?;
        let revoked = {
            let (caller, record) = (caller.clone(), Arc::clone(&record));
            move |count| AuditEntry {
                detail: json!({ "revoked": count }),
                subject: format!("client {}", record.id),
                ..entry(&caller, "token.revoke", &record, now)
            }
        };
        let entry = entry(caller, "api_token.delete", &record, now);
        let registry = Arc::clone(self.registry());
        self.registry()
            .on_control(async move {
                let mut change = registry.amend().await?;
                change.remove(Kind::ApiToken, &record.id).await?;
                // Another replica may be exchanging it at this moment, and must not outlive it by that.
                change.put(Kind::Suspension, &record.id, &suspension_of_removed(now)).await?;
                change.drop_refresh_of(&record.id).await?;
                if let Some(token) = TokenId::parse(&record.id) {
                    change.revoke(&Selection::Token(token), now).await?;
                }
                change.note(entry).await?;
                registry.commit(change).await?;
                registry.revoke_all(&Selection::Client(record.id.clone()), now, revoked).await.map(|_| ())
            })
            .await??;
        Ok(())
    }

    /// What may be made now; none: nothing is configured.
    pub(super) fn api_token_strategy(&self) -> Option<ApiTokenStrategyConfig> {
        let configured = self.settings().api_token_strategy()?;
        Some(self.registry().memory().state().switches.api_tokens.strategy.unwrap_or(configured))
    }

    /// Whether API tokens are good and can be made.
    pub(super) fn api_tokens_enabled(&self) -> bool {
        self.is_enabled() && self.registry().memory().state().switches.api_tokens.enabled
    }

    pub(super) fn configured(&self) -> Result<(), ApiTokenError> {
        self.settings().api_token_strategy().map(|_| ()).ok_or(ApiTokenError::Disabled)
    }

    /// The token `id` if it is one that `owned` means.
    fn owned(&self, caller: &Caller, owned: Ownership<'_>, id: &str) -> Result<Arc<ApiTokenRecord>, ApiTokenError> {
        self.configured()?;
        let belongs = belongs(caller, owned)?;
        let state = self.registry().memory().state();
        state.api_tokens.find(id).filter(|token| belongs(token)).map(Arc::clone).ok_or(ApiTokenError::NotFound)
    }
}

impl ApiTokenUpdate {
    fn apply_to(self, record: &mut ApiTokenRecord) {
        if let Some(roles) = self.roles {
            record.roles = roles;
        }
        if let Some(permissions) = self.permissions {
            record.permissions = permissions;
        }
        if let Some(description) = self.description {
            record.description = description;
        }
        if let Some(metadata) = self.metadata {
            record.metadata = metadata;
        }
    }
}

/// Whether a token is one that `owned` means.
fn belongs<'a>(caller: &'a Caller, owned: Ownership<'a>) -> Result<impl Fn(&ApiTokenRecord) -> bool + 'a, NotAllowed> {
    let tenant = caller.tenant(owned.tenant_id)?;
    let user = if owned.kind.is_users() { Some(caller.user(owned.user_id)?) } else { None };
    Ok(move |token: &ApiTokenRecord| {
        let of_user = token.user.as_ref().map(|user| user.id.as_str());
        token.kind == owned.kind && token.tenant_id == tenant && of_user == user
    })
}

/// What the audit says of something done to `record`.
pub(super) fn entry(caller: &Caller, action: &str, record: &ApiTokenRecord, now: UnixTime) -> AuditEntry {
    AuditEntry {
        at: now,
        actor: caller.name.clone(),
        action: action.to_owned(),
        subject: record.id.clone(),
        detail: json!({
            "type": record.kind.name(), "tenant": record.tenant_id, "user": record.user.as_ref().map(|user| &user.id),
            "roles": record.roles, "permissions": record.permissions,
            "expires_at": record.expires_at.map(UnixTime::as_seconds),
        }),
    }
}
