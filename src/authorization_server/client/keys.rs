//! Owns: the public keys of a client: registered with it, or published by it.
//! Refuses: a key set that was not opened; what a client signed cannot be judged then.
//! Always holds: compiling fetches nothing. Clients with one `jwks_uri`, and the client after a reload, share one key set.

use std::sync::{Arc, OnceLock};

use tokio::runtime::Handle;

use super::{ClientDefinition, public_key};
use crate::{
    auth::{
        KeySource,
        key_set::{KeySetSettings, KeySets, RemoteKeySet},
    },
    diagnostic::{Diagnostics, KeyPath},
    jose::VerificationKey,
};

/// The public keys of a client.
#[derive(Debug)]
pub enum ClientKeys {
    /// One or two, registered with it.
    Given(Vec<VerificationKey>),
    /// Whatever it publishes.
    Remote(Box<RemoteClientKeys>),
}

/// Keys that a client publishes.
#[derive(Debug)]
pub struct RemoteClientKeys {
    settings: KeySetSettings,
    set: OnceLock<Arc<RemoteKeySet>>,
}

impl ClientKeys {
    /// The keys of a definition, if it has any. What is wrong is noted below `path`.
    pub(super) fn compile(
        definition: &ClientDefinition,
        path: &KeyPath,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        if let Some(jwks_uri) = &definition.jwks_uri {
            return match KeySetSettings::of_jwks_uri(jwks_uri) {
                Ok(settings) => Some(Self::Remote(Box::new(RemoteClientKeys { settings, set: OnceLock::new() }))),
                Err(error) => {
                    let remedy = "write an https URL; http is accepted to 127.0.0.1, [::1] and localhost only";
                    diagnostics.error(&path.key("jwks_uri"), error.to_string(), remedy);
                    None
                }
            };
        }
        let mut keys: Vec<VerificationKey> = Vec::with_capacity(definition.public_keys.len());
        for (position, written) in definition.public_keys.iter().enumerate() {
            let path = path.key("public_keys").index(position);
            match public_key::parse(written) {
                Ok(key) if keys.iter().any(|earlier| earlier.thumbprint() == key.thumbprint()) => {
                    diagnostics.error(&path, "this public key is given twice", "leave one out");
                }
                Ok(key) => keys.push(key),
                Err(error) => diagnostics.error(&path, error.to_string(), error.remedy()),
            }
        }
        (!keys.is_empty()).then_some(Self::Given(keys))
    }
}

impl RemoteClientKeys {
    /// Has the keys fetched, now and whenever it is due, for as long as this client lives. Doing so again does nothing.
    pub fn open(&self, key_sets: &KeySets, control_plane: &Handle) {
        let set = self.set.get_or_init(|| key_sets.obtain(self.settings.clone()));
        set.start(control_plane);
    }

    /// The key set, once it was opened.
    #[must_use]
    pub fn set(&self) -> Option<&Arc<RemoteKeySet>> {
        self.set.get()
    }

    pub(super) fn source(&self) -> Option<&dyn KeySource> {
        self.set.get().map(|set| &**set as &dyn KeySource)
    }
}
