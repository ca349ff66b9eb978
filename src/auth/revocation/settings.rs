//! Owns: from `[issuers.*.revocation]`, where an issuer is asked which of its tokens have been revoked.
//! Refuses: addresses in clear beyond loopback, answers believed for longer than an hour.
//! Always holds: two settings are equal exactly if what one was told may be believed by the other.

use std::{sync::Arc, time::Duration};

use crate::{
    auth::introspection::{asking, belief},
    config::RevocationConfig,
    diagnostic::{Diagnostics, KeyPath},
    outbound::{OutboundSettings, RemoteUrl},
};

/// Everything that tells one look-up from another. A reload keeps one whose settings are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationSettings {
    /// The issuer's name in the configuration.
    pub(super) issuer: Arc<str>,
    pub(super) tokens_endpoint: RemoteUrl,
    pub(super) cache_for: Duration,
    pub(super) outbound: OutboundSettings,
}

impl RevocationSettings {
    /// Compiles `issuers.<name>.revocation`. Reads the file of authorities. `None` if `diagnostics` now says what is wrong.
    #[must_use]
    pub fn compile(name: &str, raw: &RevocationConfig, diagnostics: &mut Diagnostics) -> Option<Self> {
        let path = KeyPath::of(&["issuers", name, "revocation"]);
        let tokens_endpoint = RemoteUrl::compile(&raw.tokens_endpoint, &path.key("tokens_endpoint"), diagnostics);
        let cache_for = belief("cache_for", raw.cache_for, &path, diagnostics);
        let encrypted = tokens_endpoint.as_ref().is_none_or(RemoteUrl::is_encrypted);
        let outbound = asking(raw.timeout, raw.ca.as_ref(), encrypted, &path, diagnostics);
        Some(Self {
            issuer: Arc::from(name),
            tokens_endpoint: tokens_endpoint?,
            cache_for: cache_for?,
            outbound: outbound?,
        })
    }
}
