//! Owns: the clients of the issuer: what each may ask for, and how it proves who it is.
//! Refuses: telling a client of the configuration from one of the store, once they are compiled.
//! Always holds: a compiled client has two secrets and two registered keys at most; whether a client exists cannot be told
//! by the time that a wrong secret takes.
//!
//! From the configuration: `compile`. From the store: [`ClientRecord`], which holds a [`ClientDefinition`]. What a client may
//! be is in `rules`, for both.

mod assertion;
mod authentication;
mod client_secret;
mod compile;
mod definition;
mod keys;
mod public_key;
mod record;
mod rules;
mod secret;
mod stored_secret;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use serde_json::{Map, Value};

use self::client_secret::ClientSecret;
pub use self::{
    assertion::{AssertionAudiences, AssertionFault, VerifiedAssertion, client_id_of, verify},
    authentication::{AuthenticationFailure, AuthenticationMethod, authenticate_by_assertion, authenticate_by_secret},
    definition::{ClientDefinition, ClientFault, PublicKeyDefinition},
    keys::{ClientKeys, RemoteClientKeys},
    record::{ClientRecord, SecretRefusal, UnusableRecord},
    rules::KnownNames,
    secret::{GeneratedSecret, NoRandomness, SecretKind, looks_generated},
    stored_secret::{SecretHash, SecretHashing, StoredSecret},
};
pub(super) use self::{compile::compile, rules::ISSUERS_CLAIMS, stored_secret::HASH_BYTES};
use crate::{auth::key_set::KeySets, clock::UnixTime, config::AssertionAudienceConfig, oauth::ScopeSet};

/// How many secrets of a client may be good at once.
pub const MOST_SECRETS: usize = 2;
/// How many public keys may be registered with a client.
pub const MOST_KEYS: usize = 2;

/// A client that may get tokens.
#[derive(Debug)]
pub struct Client {
    /// Its id.
    pub id: Arc<str>,
    /// Whether its TOML lets it have anything. A client of the store is enabled here; either sort can be suspended.
    pub enabled: bool,
    /// What it is, in words.
    pub description: Option<Box<str>>,
    /// The scopes it may ask for, by audience. An audience of which there is no API stands for nothing.
    pub grants: BTreeMap<Arc<str>, ScopeSet>,
    /// Claims for its tokens, none of them the issuer's.
    pub claims: Map<String, Value>,
    /// Whose it is.
    pub owner: Option<Arc<str>>,
    /// The tenant it belongs to.
    pub tenant: Option<Arc<str>>,
    /// How long its tokens last; none: as long as those of the API. The API's own bounds hold all the same.
    pub token_lifetime: Option<Lifetime>,
    /// The organisations it may ask a token for.
    pub organizations: BTreeSet<Arc<str>>,
    /// The audiences whose tokens it may introspect, beside its own tokens.
    pub introspects: BTreeSet<Arc<str>>,
    /// The issuers, by their names in the configuration, whose tokens it must present beside its id.
    pub assertion_issuers: BTreeSet<Arc<str>>,
    /// What the `aud` of its assertions may be.
    pub assertion_audience: AssertionAudienceConfig,
    /// Its public keys.
    pub keys: Option<ClientKeys>,
    /// What it was compiled from.
    pub definition: Arc<ClientDefinition>,
    listed_methods: Option<BTreeSet<AuthenticationMethod>>,
    secrets: Vec<ClientSecret>,
}

/// How long tokens last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// So long; a second at least.
    Limited(Duration),
    /// For ever.
    Unlimited,
}

/// The clients of the configuration, by id.
#[derive(Debug)]
pub struct Clients {
    by_id: HashMap<Arc<str>, Arc<Client>>,
}

impl Lifetime {
    /// So many seconds; 0 is for ever.
    #[must_use]
    pub const fn of_seconds(seconds: u64) -> Self {
        if seconds == 0 { Self::Unlimited } else { Self::Limited(Duration::from_secs(seconds)) }
    }
}

impl Client {
    /// Whether it may authenticate in this way: a way that is listed, or if none is, one for which it has what is needed.
    #[must_use]
    pub fn allows(&self, method: AuthenticationMethod) -> bool {
        match (&self.listed_methods, method) {
            (Some(listed), method) => listed.contains(&method),
            (None, AuthenticationMethod::ClientSecretBasic | AuthenticationMethod::ClientSecretPost) => {
                !self.secrets.is_empty()
            }
            (None, AuthenticationMethod::PrivateKeyJwt) => self.keys.is_some(),
            (None, AuthenticationMethod::ClientSecretJwt) => false,
        }
    }

    /// Whether it has a secret that is good at `now`.
    #[must_use]
    pub fn has_active_secret(&self, now: UnixTime) -> bool {
        self.secrets.iter().any(|secret| secret.is_active(now))
    }

    /// Has its published keys fetched, if it publishes any. To be called before the client comes into force; doing so again
    /// does nothing.
    pub fn open_keys(&self, key_sets: &KeySets, control_plane: &tokio::runtime::Handle) {
        if let Some(ClientKeys::Remote(remote)) = &self.keys {
            remote.open(key_sets, control_plane);
        }
    }
}

impl Clients {
    /// The client of this id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&Arc<Client>> {
        self.by_id.get(id)
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Client>> {
        self.by_id.values()
    }
}
