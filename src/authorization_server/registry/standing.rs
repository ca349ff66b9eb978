//! Owns: whether a token of the embedded issuer is still good, and where its keys are: what `auth` asks for.
//! Refuses: waiting for the store: all of it is read from memory.
//! Always holds: every revocation, switch and suspension that this replica knows counts for every request, also for a token that
//! was verified before.

use std::{future::Future, pin::Pin};

use serde_json::Number;

use super::{memory::Memory, published_keys::Look};
use crate::{
    auth::{
        KeySource, KeyStanding, OpaqueToken, TokenStanding, TrustedKeySet, UnknownKeyFetch, VerifiedToken, Withdrawal,
    },
    authorization_server::{api_token::claims_of, client::SecretKind},
    clock::UnixTime,
    id::TokenId,
    jose::Member,
    secret::Secret,
};

/// The `type` of tokens that a user or a tenant made for itself.
const API_TOKENS: [&str; 4] = ["userApiToken", "tenantApiToken", "userAccessToken", "tenantAccessToken"];

impl TokenStanding for Memory {
    fn is_enabled(&self) -> bool {
        self.state().switches.m2m_enabled
    }

    fn is_current(&self) -> bool {
        Self::is_current(self)
    }

    fn judge(&self, token: &VerifiedToken) -> Result<(), Withdrawal> {
        self.judge_claims(token.token_name(), |name| token.claim(name))
    }

    fn is_own_kind(&self, text: &str) -> bool {
        SecretKind::ALL.into_iter().any(|kind| text.starts_with(kind.prefix()))
    }

    fn resolve(&self, text: &str, now: UnixTime) -> Option<OpaqueToken> {
        self.resolve_api_token(text, now)
    }
}

impl Memory {
    /// Whether a token of this name has been withdrawn, of which `claim` gives the claims by name.
    pub(in crate::authorization_server) fn judge_claims<'c>(
        &self,
        name: Option<TokenId>,
        claim: impl Fn(&str) -> Option<Member<'c>>,
    ) -> Result<(), Withdrawal> {
        if name.is_some_and(|id| self.revoked.contains(&id)) {
            return Err(Withdrawal::TokenRevoked);
        }
        let state = self.state();
        if let Some(moment) = state.switches.issued_before {
            // A token that does not say when it was issued may have been issued before.
            let issued_at = claim("iat").and_then(Member::as_number).and_then(Number::as_u64);
            if issued_at.is_none_or(|issued_at| issued_at < moment) {
                return Err(Withdrawal::IssuedBefore);
            }
        }
        let text = |name: &str| claim(name).and_then(Member::as_text);
        let configured = self.configured();
        let is_api_token = || text("type").is_some_and(|kind| API_TOKENS.contains(&kind));
        let client = || text("client_id").or_else(|| text("azp")).or_else(|| text("sub").filter(|_| is_api_token()));
        let all_are_enabled =
            state.suspended.is_empty() && configured.disabled.is_empty() && configured.gone.is_empty();
        if !all_are_enabled
            && let Some(client) = client()
            && (state.suspended.contains_key(client)
                || configured.disabled.contains(client)
                || (configured.gone.contains(client) && !state.clients.contains_key(client)))
        {
            return Err(Withdrawal::ClientDisabled);
        }
        if !state.switches.api_tokens.enabled && is_api_token() {
            return Err(Withdrawal::ApiTokensDisabled);
        }
        Ok(())
    }
}

impl Memory {
    /// The opaque access token of a user or tenant that `text` is.
    pub(in crate::authorization_server) fn resolve_api_token(&self, text: &str, _now: UnixTime) -> Option<OpaqueToken> {
        // Anything else is not worth a hash.
        if SecretKind::of(text) != Some(SecretKind::AccessToken) {
            return None;
        }
        let hash = self.hashing.get()?.hash(&Secret::new(text.to_owned()));
        let state = self.state();
        let record = state.api_tokens.presented(&hash)?;
        let configured = self.configured();
        let claims = claims_of(record, configured.api_tokens.as_ref()?, record.created_at, record.expires_at);
        Some(OpaqueToken { name: TokenId::parse(&record.id)?, claims, api_key: true })
    }
}

impl KeySource for Memory {
    fn current(&self, _now: UnixTime) -> TrustedKeySet {
        self.keys.trusted()
    }

    fn standing(&self, _now: UnixTime) -> KeyStanding {
        if self.keys.is_empty() { KeyStanding::Unavailable } else { KeyStanding::Usable }
    }

    fn fetch_for_unknown_key(&self) -> Pin<Box<dyn Future<Output = UnknownKeyFetch> + Send + '_>> {
        Box::pin(async {
            match self.keys.look().await {
                Look::Done => UnknownKeyFetch::Current,
                Look::CoolingDown => UnknownKeyFetch::CoolingDown,
                Look::Failed => UnknownKeyFetch::Failed,
            }
        })
    }
}
