//! Owns: what a token said, once it has been verified.
//! Refuses: being made anywhere but in `verify` and `introspected`.
//! Always holds: the signature was good under a key of this issuer, or the issuer itself said what the token means; whether it
//! is good *now* is judged on every request.

use std::{borrow::Cow, sync::Arc};

use super::{Claims, Principal, TrustedKey, inquiry::Belief};
use crate::{ahead, clock::UnixTime, id::TokenId, jose::Member, oauth::ScopeSet};

/// A token whose signature and form have been verified, or that its issuer knows by heart.
#[derive(Debug)]
pub struct VerifiedToken {
    issuer: Arc<str>,
    proof: TokenProof,
    name: Option<TokenId>,
    is_api_key: bool,
    claims: Claims,
}

/// What makes a token's claims those of its issuer.
#[derive(Clone, Debug)]
pub(super) enum TokenProof {
    /// A signature under this key.
    Signature(Arc<TrustedKey>),
    /// The issuer's own memory: the token is opaque, and was looked up there.
    Memory,
    /// The issuer's word, for as long as it may be believed: the token is opaque, and it was asked about.
    Introspection(Belief),
}

impl VerifiedToken {
    /// Only `verify` and `introspected` have a good signature, or the issuer's own word, in hand when they call this.
    pub(super) const fn new(issuer: Arc<str>, proof: TokenProof, claims: Claims) -> Self {
        Self { issuer, proof, name: None, is_api_key: false, claims }
    }

    /// The same, if its issuer calls it `name`.
    pub(super) const fn named(mut self, name: Option<TokenId>) -> Self {
        self.name = name;
        self
    }

    /// The same, if it is, or is not, to be sent as `X-API-Key`.
    pub(super) const fn sent_as_api_key(mut self, is_api_key: bool) -> Self {
        self.is_api_key = is_api_key;
        self
    }

    /// The name of its issuer in the configuration.
    #[must_use]
    pub const fn issuer(&self) -> &Arc<str> {
        &self.issuer
    }

    /// Has it fetched, as it will be judged once its text has been compared.
    pub(super) fn fetch(&self) {
        ahead::fetch(&self.issuer.as_ptr());
        ahead::fetch(&self.is_api_key);
        self.claims.fetch();
    }

    /// Who presents it.
    #[must_use]
    pub fn principal(&self) -> Principal<'_> {
        Principal { issuer: &self.issuer, client_id: self.client_id(), subject: self.subject() }
    }

    /// Its `sub` (RFC 7519 section 4.1.2).
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.claims.subject()
    }

    /// The client that it was issued to: `client_id` (RFC 9068), or else `azp` (OpenID Connect), or else `cid`.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.claims.client_id()
    }

    /// The id of the key that signed it. An opaque token is not signed.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.key().and_then(|key| key.key().key_id())
    }

    /// What the embedded issuer calls it, whose tokens alone have a name: its `jti` or, where it has none of the right form, the
    /// hash of what was signed; for an opaque token its name in the store.
    #[must_use]
    pub const fn token_name(&self) -> Option<TokenId> {
        self.name
    }

    /// Whether it is one of the access tokens that users and tenants make for themselves, which are sent as `X-API-Key`.
    #[must_use]
    pub const fn is_api_key(&self) -> bool {
        self.is_api_key
    }

    /// Its `jti` (RFC 7519 section 4.1.7).
    #[must_use]
    pub fn token_id(&self) -> Option<&str> {
        self.claims.token_id()
    }

    /// Its scopes.
    #[must_use]
    pub const fn scopes(&self) -> &ScopeSet {
        self.claims.scopes()
    }

    /// The moment from which on it is no longer good (RFC 7519 section 4.1.4), leeway not included; none if it does not expire,
    /// which only tokens of the embedded issuer may.
    #[must_use]
    pub const fn expires_at(&self) -> Option<UnixTime> {
        self.claims.expires_at()
    }

    /// A claim as it was in the payload.
    #[must_use]
    pub fn claim(&self, name: &str) -> Option<Member<'_>> {
        self.claims.claim(name)
    }

    /// A claim as one text; see [`Claims::claim_text`].
    #[must_use]
    pub fn claim_text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.claims.claim_text(name)
    }

    /// All that it says.
    #[must_use]
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The key that signed it; none for an opaque token.
    pub(super) const fn key(&self) -> Option<&Arc<TrustedKey>> {
        match &self.proof {
            TokenProof::Signature(key) => Some(key),
            TokenProof::Memory | TokenProof::Introspection(_) => None,
        }
    }

    /// Whether what its issuer said of it may be believed at `now`; that of any other proof may be always.
    pub(super) fn is_believed_at(&self, now: UnixTime) -> bool {
        match &self.proof {
            TokenProof::Signature(_) | TokenProof::Memory => true,
            TokenProof::Introspection(belief) => belief.holds_at(now),
        }
    }
}
