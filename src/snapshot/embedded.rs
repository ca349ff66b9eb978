//! Owns: the embedded issuer as it belongs to one snapshot.
//! Always holds: who of the configuration may get a token, and what is published, change with the other rules; what was registered,
//! issued and revoked outlives snapshots.

use std::sync::Arc;

use crate::authorization_server::{AuthorizationServer, Document};

/// The embedded issuer of one snapshot, its store open.
#[derive(Debug)]
pub struct EmbeddedIssuer {
    server: Arc<AuthorizationServer>,
}

impl EmbeddedIssuer {
    /// An issuer whose store is open.
    #[must_use]
    pub fn new(server: AuthorizationServer) -> Self {
        Self { server: Arc::new(server) }
    }

    /// The issuer itself.
    #[must_use]
    pub const fn server(&self) -> &Arc<AuthorizationServer> {
        &self.server
    }

    /// The document published at `path`.
    #[must_use]
    pub fn document(&self, path: &str) -> Option<Document> {
        self.server.document(path)
    }
}
