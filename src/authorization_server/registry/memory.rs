//! Owns: what the embedded issuer knows beside its configuration, held for every request to read.
//! Refuses: waiting: readers take no lock, and whoever changes it swaps whole parts.
//! Always holds: it says what the store said at one revision; what a record says that cannot be read counts as nothing granted and
//! nothing published.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use tracing::error;

use super::{published_keys::PublishedKeys, suspension::removed_at, switches::Switches};
use crate::{
    auth::TrustedKey,
    authorization_server::{
        api_token::{ApiTokenProfile, ApiTokenRecord, ApiTokens},
        client::{Client, ClientRecord, SecretHashing},
        revoked_tokens::RevokedTokens,
        sealing::Sealing,
        signing_keys::{KeyRing, KeyState, SigningKeyError, SigningKeyRecord},
    },
    clock::UnixTime,
    store::{Changes, Kind, Record, Revision},
};

/// What the embedded issuer knows. There is one of these for the life of the process, empty until a store is opened.
#[derive(Debug, Default)]
pub struct Memory {
    state: ArcSwap<State>,
    configured: ArcSwap<Configured>,
    /// Whether the store cannot be reached, so that what is not known here may exist all the same.
    pub(super) away: AtomicBool,
    /// How presented secrets are hashed, once a store is open.
    pub(super) hashing: OnceLock<Arc<SecretHashing>>,
    pub(super) revoked: RevokedTokens,
    pub(super) keys: PublishedKeys,
}

/// What the configuration in force says about tokens that were issued before it.
#[derive(Debug, Default)]
pub(in crate::authorization_server) struct Configured {
    /// Its clients.
    pub(in crate::authorization_server) clients: HashSet<Arc<str>>,
    /// The clients that earlier ones had and it has no more.
    pub(in crate::authorization_server) gone: HashSet<Arc<str>>,
    /// The clients that it switches off.
    pub(in crate::authorization_server) disabled: HashSet<Arc<str>>,
    pub(in crate::authorization_server) api_tokens: Option<Arc<ApiTokenProfile>>,
}

/// What the records say.
#[derive(Clone, Debug, Default)]
pub(in crate::authorization_server) struct State {
    pub(in crate::authorization_server) revision: Revision,
    pub(in crate::authorization_server) clients: Arc<HashMap<Arc<str>, StoredClient>>,
    pub(in crate::authorization_server) api_tokens: Arc<ApiTokens>,
    /// The clients that are switched off, by id, wherever they are registered; of those that were removed, when.
    pub(in crate::authorization_server) suspended: Arc<HashMap<Box<str>, Option<UnixTime>>>,
    pub(in crate::authorization_server) switches: Switches,
    pub(in crate::authorization_server) key_records: Arc<BTreeMap<Box<str>, SigningKeyRecord>>,
    pub(in crate::authorization_server) ring: Arc<KeyRing>,
}

/// A client that was registered in the store.
#[derive(Clone, Debug)]
pub(in crate::authorization_server) struct StoredClient {
    pub(in crate::authorization_server) record: Arc<ClientRecord>,
    pub(in crate::authorization_server) client: Arc<Client>,
}

impl Memory {
    /// What the records say now.
    pub(in crate::authorization_server) fn state(&self) -> arc_swap::Guard<Arc<State>> {
        self.state.load()
    }

    /// Knows from now on how presented secrets are hashed.
    pub(super) fn use_hashing(&self, hashing: &Arc<SecretHashing>) {
        // There is one registry in a process; another one would find the key of the first.
        let _ = self.hashing.set(Arc::clone(hashing));
    }

    /// What the configuration in force says.
    pub(in crate::authorization_server) fn configured(&self) -> arc_swap::Guard<Arc<Configured>> {
        self.configured.load()
    }

    /// Takes over what a configuration says that comes into force.
    pub(in crate::authorization_server) fn configure(&self, configured: Configured) {
        self.configured.store(Arc::new(configured));
    }

    /// Whether all that there is to know is known, as far as anybody can tell.
    pub(in crate::authorization_server) fn is_current(&self) -> bool {
        !self.away.load(Ordering::Relaxed)
    }

    /// The published key of this id; one that is not known here is looked for in the store.
    pub(in crate::authorization_server) async fn find_key(&self, key_id: &str) -> Option<Arc<TrustedKey>> {
        if let Some(known) = self.keys.find(key_id) {
            return Some(known);
        }
        // Whatever came of it, the key is there now or not.
        let _ = self.keys.look().await;
        self.keys.find(key_id)
    }

    /// All published keys.
    #[must_use]
    pub fn published_keys(&self) -> Vec<Arc<TrustedKey>> {
        self.keys.all()
    }

    /// How many revoked tokens are held.
    #[must_use]
    pub fn revoked_tokens(&self) -> usize {
        self.revoked.len()
    }

    /// Takes over what has changed. With `whole`, everything that is not in it is forgotten.
    ///
    /// # Errors
    /// If a signing key cannot be opened. Everything else is taken over all the same; of the keys published before, those stay
    /// that are still listed and not revoked.
    pub(super) fn apply(
        &self,
        changes: Changes,
        whole: bool,
        sealing: &Sealing,
        compile: &dyn Fn(&str, &ClientRecord) -> Option<Arc<Client>>,
    ) -> Result<(), SigningKeyError> {
        let revocations = changes.revoked.iter().map(|revoked| (revoked.token, revoked.expires_at));
        self.revoked.insert_all(revocations);
        let before = self.state.load_full();
        let mut next = if whole { State::default() } else { State::clone(&before) };
        next.revision = changes.revision;
        let mut keys_changed = whole;
        for record in changes.records {
            keys_changed |= record.kind == Kind::SigningKey;
            next.take(record, compile);
        }
        let mut outcome = Ok(());
        if keys_changed {
            match KeyRing::of(next.key_records.values().cloned(), sealing) {
                Ok(ring) => {
                    next.ring = Arc::new(ring);
                    // Published before anything is signed with them.
                    self.publish(&next.ring);
                }
                Err(error) => {
                    next.ring = Arc::clone(&before.ring);
                    let good = |record: &SigningKeyRecord| record.state != KeyState::Revoked;
                    let listed = |key_id: &str| next.key_records.get(key_id).is_some_and(good);
                    self.keys.retain(listed);
                    outcome = Err(error);
                }
            }
        }
        self.state.store(Arc::new(next));
        outcome
    }

    /// Forgets revocations of tokens that have expired.
    pub(super) fn prune(&self, now: UnixTime) {
        self.revoked.prune(now);
    }

    /// The key document (RFC 7517 section 5).
    pub(in crate::authorization_server) fn jwks(&self) -> Bytes {
        self.state.load().ring.jwks()
    }

    fn publish(&self, ring: &KeyRing) {
        match ring.verification_keys() {
            Ok(keys) => self.keys.replace(keys),
            Err(error) => error!(error = &error as &dyn std::error::Error, "the signing keys cannot be published"),
        }
    }
}

impl State {
    fn take(&mut self, record: Record, compile: &dyn Fn(&str, &ClientRecord) -> Option<Arc<Client>>) {
        let Record { kind, id, document } = record;
        match kind {
            Kind::Client => {
                let clients = Arc::make_mut(&mut self.clients);
                let read = document.as_deref().and_then(|document| read::<ClientRecord>(kind, &id, document));
                let compiled = read.and_then(|record| compile(&id, &record).map(|client| (record, client)));
                match compiled {
                    Some((record, client)) => {
                        let record = Arc::new(record);
                        clients.insert(Arc::clone(&client.id), StoredClient { record, client });
                    }
                    None => {
                        clients.remove(&*id);
                    }
                }
            }
            Kind::ApiToken => {
                let read = document.as_deref().and_then(|document| read::<ApiTokenRecord>(kind, &id, document));
                Arc::make_mut(&mut self.api_tokens).replace(&id, read);
            }
            Kind::Suspension => {
                let suspended = Arc::make_mut(&mut self.suspended);
                match document {
                    Some(document) => suspended.insert(id.into(), removed_at(&document)),
                    None => suspended.remove(&*id),
                };
            }
            Kind::Switch => self.switches.apply(&id, document.as_deref()),
            Kind::SigningKey => {
                let records = Arc::make_mut(&mut self.key_records);
                let read = |document: &str| {
                    SigningKeyRecord::parse(&id, document)
                        .inspect_err(|error| error!(error = error as &dyn std::error::Error, "a signing key is lost"))
                        .ok()
                };
                match document.as_deref().and_then(read) {
                    Some(record) => records.insert(id.into(), record),
                    None => records.remove(&*id),
                };
            }
        }
    }
}

fn read<T: serde::de::DeserializeOwned>(kind: Kind, id: &str, document: &str) -> Option<T> {
    serde_json::from_str(document)
        .inspect_err(|error| {
            error!(?kind, id = id.escape_debug().to_string(), %error, "a record cannot be read, and counts for nothing");
        })
        .ok()
}
