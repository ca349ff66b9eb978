//! Owns: the embedded issuer: its clients, what they may ask for, the keys it signs with, the tokens it has issued, what it
//! publishes.
//! Refuses: speaking HTTP. How a request looks on the wire is the token endpoint's matter.
//! Always holds: a token is signed only for a client that proved who it is, for an audience and scopes that were granted to it,
//! with a key that is published and kept, and it is recorded before it is given out. While machine-to-machine tokens are switched
//! off nothing is issued, and none of its tokens is good.

mod api;
mod api_token;
mod authentication;
pub mod client;
mod grant;
mod issuer_url;
mod management;
mod metadata;
mod own_token;
mod registry;
mod revoked_tokens;
mod sealing;
mod settings;
mod signing_keys;

use std::{collections::HashSet, sync::Arc};

use bytes::Bytes;

use self::registry::Configured;
pub use self::{
    api_token::{
        ApiTokenAction, ApiTokenError, ApiTokenKind, ApiTokenRecord, ApiTokenSwitchUpdate, ApiTokenUpdate,
        ApiTokenUser, Caller, CreatedApiToken, ExchangeError, NewApiToken, NotAllowed, Ownership, ProvenApiToken,
    },
    authentication::Proof,
    grant::{GrantError, GrantRequest},
    issuer_url::url_on_issuer,
    management::{
        Actor, ClientOrigin, ClientOverview, KeyOverview, ManagementError, OwnersRevocation, RegisteredClient,
        Revocation, Rotation, SwitchOverview,
    },
    metadata::Document,
    registry::{ApiTokenSwitch, ChangeError, Memory, OpenError, Opening, Registry, Unrecorded},
    revoked_tokens::RevokedTokens,
    sealing::{Sealing, SealingError},
    settings::{Settings, compile},
    signing_keys::{
        KNOWN_AFTER, KeyChange, KeyChangeError, KeyEvent, KeyEventKind, KeyRing, KeyState, SignedToken, SigningError,
        SigningKey, SigningKeyError, SigningKeyRecord, UnusableKey, UnverifiableKey,
    },
};

/// The embedded issuer under one configuration, ready to issue.
#[derive(Debug)]
pub struct AuthorizationServer {
    settings: Arc<Settings>,
    registry: Arc<Registry>,
    documents: Vec<Document>,
    key_document_paths: Vec<String>,
}

impl AuthorizationServer {
    /// The issuer of `settings`, with what `registry` knows.
    #[must_use]
    pub fn new(settings: Arc<Settings>, registry: Arc<Registry>) -> Self {
        let documents = metadata::documents(&settings);
        let key_document_paths = settings.key_document_paths().collect();
        Self { settings, registry, documents, key_document_paths }
    }

    /// Its name, as it stands in `iss`.
    #[must_use]
    pub fn issuer(&self) -> &Arc<str> {
        self.settings.issuer()
    }

    /// Whether it issues at all, and whether its tokens are good.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.settings.is_enabled() && self.registry.memory().state().switches.m2m_enabled
    }

    /// What it is configured to be.
    #[must_use]
    pub const fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// What it knows and keeps.
    #[must_use]
    pub const fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Lets this configuration count for the tokens that were issued before, from now on.
    pub fn come_into_force(&self) {
        let memory = self.registry.memory();
        let before = memory.configured();
        let clients: HashSet<Arc<str>> = self.settings.clients().iter().map(|client| Arc::clone(&client.id)).collect();
        // Those that were there since the start and are no more. Who is registered in the store under such an id is somebody.
        let gone =
            before.clients.iter().chain(&before.gone).filter(|id| !clients.contains(*id)).map(Arc::clone).collect();
        let disabled = self.settings.clients().iter().filter(|client| !client.enabled);
        let disabled = disabled.map(|client| Arc::clone(&client.id)).collect();
        let api_tokens = self.settings.api_token_profile().map(Arc::clone);
        memory.configure(Configured { clients, gone, disabled, api_tokens });
        self.registry.follow_settings(&self.settings);
    }

    /// The key document (RFC 7517 section 5) as it is now.
    #[must_use]
    pub fn jwks(&self) -> Bytes {
        self.registry.memory().jwks()
    }

    /// What is published at `path`, if anything is: the key document or the metadata.
    #[must_use]
    pub fn document(&self, path: &str) -> Option<Document> {
        if self.key_document_paths.iter().any(|own| own == path) {
            return Some(metadata::key_document(path.to_owned(), self.jwks()));
        }
        self.documents.iter().find(|document| document.path == path).cloned()
    }
}

#[cfg(test)]
mod tests;
