//! Owns: what operators do with the embedded issuer while it runs: clients, tokens, keys, switches, the audit.
//! Refuses: changing what stands in the configuration: that is changed there. Callers are authenticated by whoever calls.
//! Always holds: every change names its actor in the audit; a secret is given back once and kept as a hash.

mod clients;
mod keys;
mod switches;
mod tokens;

use thiserror::Error;

pub use self::{
    clients::{ClientOrigin, ClientOverview, RegisteredClient, Rotation},
    keys::KeyOverview,
    switches::SwitchOverview,
    tokens::{OwnersRevocation, Revocation},
};
use super::{
    ChangeError, GrantError,
    client::{ClientFault, SecretRefusal},
    signing_keys::KeyChangeError,
};
use crate::store::{AuditEntry, StoreError};

/// Who does something, as the audit names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    name: String,
}

/// Why something was not done.
#[derive(Debug, Error)]
pub enum ManagementError {
    /// There is no client of this id.
    #[error("there is no client {id:?}")]
    UnknownClient {
        /// The id.
        id: String,
    },
    /// There is one already.
    #[error("there is a client {id:?} already")]
    ClientExists {
        /// The id.
        id: String,
    },
    /// The client stands in the configuration.
    #[error("the client {id:?} stands in the configuration: change it there")]
    ConfiguredClient {
        /// The id.
        id: String,
    },
    /// What is asked for is not valid.
    #[error(transparent)]
    Invalid(#[from] ClientFault),
    /// There is no token of this id.
    #[error("there is no token {id}")]
    UnknownToken {
        /// The id.
        id: String,
    },
    /// The keys do not allow it.
    #[error(transparent)]
    Keys(#[from] KeyChangeError),
    /// No token was issued.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// The program is stopping, and nothing was changed.
    #[error(transparent)]
    Stopped(ChangeError),
    /// The store could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No secret could be made.
    #[error(transparent)]
    Secret(#[from] SecretRefusal),
}

impl Actor {
    /// One of this name, like `admin-api` or `cli:operator`. Control characters are taken out.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.chars().filter(|character| !character.is_control()).take(200).collect() }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the audit says that this actor did.
    fn did(&self, action: &str, subject: &str, detail: serde_json::Value, at: crate::clock::UnixTime) -> AuditEntry {
        AuditEntry { at, actor: self.name.clone(), action: action.to_owned(), subject: subject.to_owned(), detail }
    }
}

impl From<ChangeError> for ManagementError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Store(error) => Self::Store(error),
            ChangeError::Keys(error) => Self::Keys(error),
            ChangeError::KeysUnusable(error) => Self::Keys(error.into()),
            error @ ChangeError::Stopping => Self::Stopped(error),
        }
    }
}
