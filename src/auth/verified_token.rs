//! Owns: what a token said, once it has been verified.
//! Refuses: being made anywhere but in `verify`.
//! Always holds: the signature was good under a key of this issuer; whether it is good *now* is judged on every request.

use std::{borrow::Cow, sync::Arc};

use serde_json::{Map, Value};

use crate::clock::UnixTime;

/// A token whose signature and form have been verified.
#[derive(Debug)]
pub struct VerifiedToken {
    pub(super) issuer: Arc<str>,
    pub(super) expires_at: UnixTime,
    pub(super) claims: Map<String, Value>,
}

impl VerifiedToken {
    /// The name of its issuer in the configuration.
    #[must_use]
    pub fn issuer(&self) -> &Arc<str> {
        &self.issuer
    }

    /// The moment after which it is no longer good (RFC 7519 section 4.1.4), leeway not included.
    #[must_use]
    pub const fn expires_at(&self) -> UnixTime {
        self.expires_at
    }

    /// A claim as it was in the payload.
    #[must_use]
    pub fn claim(&self, name: &str) -> Option<&Value> {
        self.claims.get(name)
    }

    /// A claim as one text: a string as it is, a number or boolean in JSON, a list of strings joined by spaces.
    #[must_use]
    pub fn claim_text(&self, name: &str) -> Option<Cow<'_, str>> {
        match self.claim(name)? {
            Value::String(text) => Some(Cow::Borrowed(text)),
            other => Some(Cow::Owned(other.to_string())),
        }
    }
}
