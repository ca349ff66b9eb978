//! Owns: what the issuer itself says of a token that somebody shows it: revocation (RFC 7009) and introspection (RFC 7662).
//! Refuses: telling a client about tokens that are no matter of its; revoking another client's.
//! Always holds: a token is active only if a request with it would be let in now, the route's rules aside.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{AuthorizationServer, GrantError, client::Client};
use crate::{
    clock::UnixTime,
    id::TokenId,
    jose::{CompactJws, Member},
    store::{AuditEntry, Selection},
};

/// A token of this issuer.
struct OwnToken {
    id: TokenId,
    claims: Map<String, Value>,
}

impl AuthorizationServer {
    /// What is said of `token` to `client`; none: nothing, because it is not active, or no matter of the client's.
    ///
    /// # Errors
    /// If that cannot be told, because the store is away.
    pub async fn introspect(
        &self,
        client: &Client,
        token: &str,
        now: UnixTime,
    ) -> Result<Option<Map<String, Value>>, GrantError> {
        let Some(OwnToken { id, mut claims }) = self.read_own(token, now).await? else { return Ok(None) };
        let audience = claims.get("aud").and_then(Value::as_str);
        let may_see = client_of(&claims) == Some(&*client.id)
            || audience.is_some_and(|audience| client.introspects.iter().any(|api| **api == *audience));
        let expired = claims.get("exp").and_then(Value::as_u64).is_some_and(|end| end <= now.as_seconds());
        let good = self.is_enabled()
            && !expired
            && self.registry().memory().judge_claims(Some(id), |name| claims.get(name).map(Member::from)).is_ok();
        if !may_see || !good {
            return Ok(None);
        }
        // RFC 7662 section 2.2; the members of the JWT have the names that the response has.
        if let Some(client_id) = client_of(&claims).map(Value::from) {
            claims.insert("client_id".to_owned(), client_id);
        }
        claims.insert("active".to_owned(), Value::from(true));
        claims.insert("token_type".to_owned(), Value::from("Bearer"));
        Ok(Some(claims))
    }

    /// Revokes `token` at the word of the client that it was issued to. One that is not known, or not good any more, is as good
    /// as revoked (RFC 7009 section 2.2).
    ///
    /// # Errors
    /// If the revocation could not be kept.
    pub async fn revoke_own(&self, client: &Client, token: &str, now: UnixTime) -> Result<(), GrantError> {
        let Some(OwnToken { id, claims }) = self.read_own(token, now).await? else { return Ok(()) };
        // It learns nothing about what is another's, not even that.
        if client_of(&claims) != Some(&*client.id) {
            return Ok(());
        }
        let expires_at = claims.get("exp").and_then(Value::as_u64).map(UnixTime::from_seconds);
        let entry = AuditEntry {
            at: now,
            actor: format!("client {}", client.id),
            action: "token.revoke".to_owned(),
            subject: format!("token {id}"),
            detail: serde_json::json!({}),
        };
        let registry = Arc::clone(self.registry());
        self.registry()
            .on_control(async move {
                let mut change = registry.amend().await?;
                change.revoke(&Selection::TokenOf { id, expires_at }, now).await?;
                change.note(entry).await?;
                registry.commit(change).await
            })
            .await
            .and_then(|done| done)
            .map_err(GrantError::Change)
    }

    /// The token that `text` is, if this issuer signed it, or keeps what it means.
    ///
    /// A key or a token that is not known here may be known to another replica, so nothing is said of it while the store is away.
    async fn read_own(&self, text: &str, now: UnixTime) -> Result<Option<OwnToken>, GrantError> {
        let memory = self.registry().memory();
        if let Some(opaque) = memory.resolve_api_token(text, now) {
            return Ok(Some(OwnToken { id: opaque.name, claims: opaque.claims }));
        }
        let nothing = || if memory.is_current() { Ok(None) } else { Err(GrantError::StoreAway) };
        let Ok(jws) = CompactJws::parse(text) else { return nothing() };
        let claims = jws.unverified_payload();
        let is_ours = claims.text("iss") == Some(&**self.issuer());
        let Some(key_id) = jws.header().key_id().filter(|_| is_ours) else { return Ok(None) };
        let Some(key) = memory.find_key(key_id).await else { return nothing() };
        let algorithm = jws.header().algorithm();
        let fits = key.key().fits(algorithm);
        if !fits || key.key().verify(algorithm, jws.signing_input(), jws.signature()).is_err() {
            return Ok(None);
        }
        let named = claims.text("jti").and_then(TokenId::parse);
        let id = named.unwrap_or_else(|| TokenId::of_signing_input(jws.signing_input()));
        Ok(Some(OwnToken { id, claims: claims.to_map() }))
    }
}

/// The client that a token was issued to, in whatever dialect.
fn client_of(claims: &Map<String, Value>) -> Option<&str> {
    ["client_id", "azp"].iter().find_map(|name| claims.get(*name)).and_then(Value::as_str)
}
