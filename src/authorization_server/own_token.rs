//! Owns: what the issuer itself says of a token that somebody shows it: revocation (RFC 7009) and introspection (RFC 7662).
//! Refuses: telling a client about tokens that are no matter of its; revoking another client's.
//! Always holds: a token is active only if a request with it would be let in now, the route's rules aside.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{AuthorizationServer, GrantError, client::Client};
use crate::{
    clock::UnixTime,
    id::TokenId,
    jose::CompactJws,
    store::{AuditEntry, Selection},
};

/// A token of this issuer.
struct OwnToken {
    id: TokenId,
    claims: Map<String, Value>,
}

impl AuthorizationServer {
    /// What is said of `token` to `client`; none: nothing, because it is not active, or no matter of the client's.
    #[must_use]
    pub fn introspect(&self, client: &Client, token: &str, now: UnixTime) -> Option<Map<String, Value>> {
        let OwnToken { id, mut claims } = self.read_own(token, now)?;
        let audience = claims.get("aud").and_then(Value::as_str);
        let may_see = client_of(&claims) == Some(&*client.id)
            || audience.is_some_and(|audience| client.introspects.iter().any(|api| **api == *audience));
        let expired = claims.get("exp").and_then(Value::as_u64).is_some_and(|end| end <= now.as_seconds());
        let good = self.is_enabled() && !expired && self.registry().memory().judge_claims(Some(id), &claims).is_ok();
        if !may_see || !good {
            return None;
        }
        // RFC 7662 section 2.2; the members of the JWT have the names that the response has.
        if let Some(client_id) = client_of(&claims).map(Value::from) {
            claims.insert("client_id".to_owned(), client_id);
        }
        claims.insert("active".to_owned(), Value::from(true));
        claims.insert("token_type".to_owned(), Value::from("Bearer"));
        Some(claims)
    }

    /// Revokes `token` at the word of the client that it was issued to. One that is not known, or not good any more, is as good
    /// as revoked (RFC 7009 section 2.2).
    ///
    /// # Errors
    /// If the revocation could not be kept.
    pub async fn revoke_own(&self, client: &Client, token: &str, now: UnixTime) -> Result<(), GrantError> {
        let Some(OwnToken { id, claims }) = self.read_own(token, now) else { return Ok(()) };
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
    fn read_own(&self, text: &str, now: UnixTime) -> Option<OwnToken> {
        if let Some(opaque) = self.registry().memory().resolve_api_token(text, now) {
            return Some(OwnToken { id: opaque.name, claims: opaque.claims });
        }
        let jws = CompactJws::parse(text).ok()?;
        let key = self.registry().memory().published_key(jws.header().key_id()?)?;
        let algorithm = jws.header().algorithm();
        if !key.key().fits(algorithm) {
            return None;
        }
        key.key().verify(algorithm, jws.signing_input(), jws.signature()).ok()?;
        let claims = jws.unverified_payload();
        if claims.get("iss").and_then(Value::as_str) != Some(&**self.issuer()) {
            return None;
        }
        let named = claims.get("jti").and_then(Value::as_str).and_then(TokenId::parse);
        let id = named.unwrap_or_else(|| TokenId::of_signing_input(jws.signing_input()));
        Some(OwnToken { id, claims: claims.clone() })
    }
}

/// The client that a token was issued to, in whatever dialect.
fn client_of(claims: &Map<String, Value>) -> Option<&str> {
    ["client_id", "azp"].iter().find_map(|name| claims.get(*name)).and_then(Value::as_str)
}
