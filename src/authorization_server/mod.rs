//! Owns: the embedded issuer: its clients, what they may ask for, the keys it signs with, what it publishes.
//! Refuses: speaking HTTP. How a request looks on the wire is the token endpoint's matter.
//! Always holds: a token is signed only for a client that proved its secret, for an audience and scopes that were
//! granted to it, and with a key that is published and on disk. While machine-to-machine tokens are switched off
//! nothing is issued.

mod api;
mod client;
mod client_secret;
mod grant;
mod issuer_url;
mod metadata;
mod settings;
mod signing_keys;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use thiserror::Error;

pub use self::{
    grant::{GrantError, GrantRequest},
    issuer_url::url_on_issuer,
    metadata::Document,
    settings::{Settings, compile},
    signing_keys::{SigningKey, SigningKeyError, SigningKeys},
};
use crate::{
    clock::UnixTime,
    jose::{SkipReason, VerificationKey},
    oauth::IssuedToken,
};

/// The directory of the signing keys within the data directory.
const KEY_DIRECTORY: &str = "signing-keys";

/// The embedded issuer, ready to issue.
#[derive(Debug)]
pub struct AuthorizationServer {
    settings: Arc<Settings>,
    keys: Arc<SigningKeys>,
}

/// A published key that cannot verify anything. It does not happen with keys that were made here.
#[derive(Debug, Error)]
#[error("the signing key {key_id} cannot be used to verify")]
pub struct UnverifiableKey {
    key_id: String,
    #[source]
    why: SkipReason,
}

impl AuthorizationServer {
    /// Makes `settings` ready to issue: opens the signing keys in `data_directory`, making them at the first start.
    /// Keys that are open already, in `previous`, are taken over as they are if directory and algorithm are the same.
    /// Blocks when it opens keys; see [`SigningKeys::open`].
    ///
    /// # Errors
    /// If the signing keys cannot be opened.
    pub fn open(
        settings: Arc<Settings>,
        data_directory: &Path,
        previous: Option<&Self>,
        now: UnixTime,
    ) -> Result<Self, SigningKeyError> {
        let directory: PathBuf = data_directory.join(KEY_DIRECTORY);
        let algorithm = settings.algorithm();
        let keys = match previous {
            Some(previous) if previous.keys.serve(&directory, algorithm) => Arc::clone(&previous.keys),
            _ => Arc::new(SigningKeys::open(&directory, algorithm, now)?),
        };
        Ok(Self { settings, keys })
    }

    /// Its name, as it stands in `iss`.
    #[must_use]
    pub fn issuer(&self) -> &Arc<str> {
        self.settings.issuer()
    }

    /// Whether it issues at all, and whether its tokens are good.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.settings.is_enabled()
    }

    /// The clients grant (RFC 6749 section 4.4): one access token for one client.
    ///
    /// # Errors
    /// Why there is none.
    pub fn issue(&self, request: &GrantRequest<'_>, now: UnixTime) -> Result<IssuedToken, GrantError> {
        grant::issue(&self.settings, self.keys.current(), request, now)
    }

    /// The signing keys. The same `Arc` after a reload means the same keys.
    #[must_use]
    pub const fn keys(&self) -> &Arc<SigningKeys> {
        &self.keys
    }

    /// The published keys, ready for verifying, each with the moment it was made.
    ///
    /// # Errors
    /// If a key of its own is not one that verification would accept.
    pub fn verification_keys(&self) -> Result<Vec<(VerificationKey, UnixTime)>, UnverifiableKey> {
        let parse = |key: &SigningKey| match VerificationKey::parse(key.public_jwk()) {
            Ok(parsed) => Ok((parsed, key.created_at())),
            Err(why) => Err(UnverifiableKey { key_id: key.key_id().to_owned(), why }),
        };
        self.keys.published().map(parse).collect()
    }

    /// The key document (RFC 7517 section 5).
    #[must_use]
    pub fn jwks(&self) -> Bytes {
        self.keys.jwks()
    }

    /// Everything that is published beside the routes: the key document and the metadata of RFC 8414 and of OpenID
    /// Connect Discovery.
    #[must_use]
    pub fn documents(&self) -> Vec<Document> {
        metadata::documents(&self.settings, self.jwks())
    }
}

#[cfg(test)]
mod tests;
