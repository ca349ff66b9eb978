//! Owns: the embedded issuer's memory and its store, for the life of the process.
//! Refuses: a change that is not durable; a start with keys that cannot be opened.
//! Always holds: a change reaches memory only out of the store, on the replica that made it before it is answered.

mod amendment;
mod follow;
mod issuance_log;
mod keys;
mod memory;
mod published_keys;
mod revoke;
mod standing;
mod suspension;
mod switches;

use std::{
    future::Future,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use arc_swap::ArcSwapOption;
use thiserror::Error;
use tokio::{
    runtime::Handle,
    sync::Mutex,
    time::{sleep, timeout},
};
use tracing::{error, warn};

pub(super) use self::amendment::Amendment;
use self::issuance_log::IssuanceLog;
pub use self::{issuance_log::Unrecorded, memory::Memory, switches::ApiTokenSwitch};
pub(super) use self::{
    memory::Configured,
    suspension::{SUSPENSION, suspension_of_removed},
    switches::{API_TOKENS, ISSUED_BEFORE, M2M_ENABLED, Switches, issued_before_document, m2m_document},
};
use super::{
    client::{Client, ClientRecord, HASH_BYTES, NoRandomness, SecretHashing},
    sealing::{Sealing, SealingError},
    settings::Settings,
    signing_keys::{KeyChangeError, SigningKey, SigningKeyError},
};
use crate::{
    auth::key_set::KeySets,
    clock::{Clock, UnixTime},
    id::TokenId,
    store::{IssuedToken, Store, StoreError},
};

/// How far the clocks of replicas may be apart.
const CLOCKS_APART_SECONDS: u64 = 5;
/// How long this replica tries to bring a change of its own into force before it is answered.
const CATCHING_UP: Duration = Duration::from_secs(3);
/// How long between two attempts.
const RETRY: Duration = Duration::from_millis(100);

/// The name of the key under which secrets are hashed, among what the installation keeps.
const HASHING_KEY: &str = "secret_hashing_key";

/// What the embedded issuer knows and keeps.
#[derive(Debug)]
pub struct Registry {
    store: Store,
    memory: Arc<Memory>,
    sealing: Sealing,
    hashing: Arc<SecretHashing>,
    issuance: IssuanceLog,
    key_sets: Arc<KeySets>,
    clock: Clock,
    control: Handle,
    /// Held by whoever brings memory up to date, so that it never goes back.
    turn: Mutex<()>,
    /// The configuration in force.
    settings: ArcSwapOption<Settings>,
}

/// Why the embedded issuer's store cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The store itself cannot be opened or read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key under which secrets are hashed cannot be opened.
    #[error("the key under which secrets are hashed cannot be opened")]
    Sealing(#[from] SealingError),
    /// The signing keys cannot be opened.
    #[error("the signing keys cannot be opened")]
    Keys(#[from] SigningKeyError),
    /// What is kept could not be encrypted.
    #[error("what is kept in clear cannot be encrypted")]
    Change(#[from] ChangeError),
    /// There are no random numbers.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// Why a change was not made.
#[derive(Debug, Error)]
pub enum ChangeError {
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The signing keys do not allow it.
    #[error(transparent)]
    Keys(#[from] KeyChangeError),
    /// The signing keys cannot be opened or made.
    #[error(transparent)]
    KeysUnusable(#[from] SigningKeyError),
    /// The program is stopping.
    #[error("the program is stopping")]
    Stopping,
}

/// What a registry is opened with.
pub struct Opening {
    /// Where everything is kept.
    pub store: Store,
    /// What is to be filled.
    pub memory: Arc<Memory>,
    /// How private keys are kept.
    pub sealing: Sealing,
    /// Who keeps the keys that clients publish.
    pub key_sets: Arc<KeySets>,
    /// What time it is.
    pub clock: Clock,
    /// Where the store is used.
    pub control: Handle,
}

impl Registry {
    /// Reads the store into memory, and follows it from then on. To be awaited on the control plane.
    ///
    /// # Errors
    /// [`OpenError`]: the program must not go on without what was kept.
    pub async fn open(opening: Opening) -> Result<Arc<Self>, OpenError> {
        let Opening { store, memory, sealing, key_sets, clock, control } = opening;
        let hashing = Arc::new(hashing_key(&store, &sealing).await?);
        memory.use_hashing(&hashing);
        let issuance = IssuanceLog::start(store.clone(), &control);
        let registry = Arc::new(Self {
            store,
            memory,
            sealing,
            hashing,
            issuance,
            key_sets,
            clock,
            control: control.clone(),
            turn: Mutex::new(()),
            settings: ArcSwapOption::empty(),
        });
        registry.reseal().await?;
        registry.load_whole().await?;
        // A key that could not be opened is an error at the start; later it only stops the following of keys.
        registry.judge_keys()?;
        control.spawn(follow::follow(Arc::downgrade(&registry)));
        control.spawn(follow::tidy(Arc::downgrade(&registry)));
        Ok(registry)
    }

    /// Keeps to `settings` from now on when keys are due, and has the keys fetched that its clients publish.
    pub(super) fn follow_settings(&self, settings: &Arc<Settings>) {
        for client in settings.clients().iter() {
            client.open_keys(&self.key_sets, &self.control);
        }
        self.settings.store(Some(Arc::clone(settings)));
    }

    /// What is known, for judging tokens.
    #[must_use]
    pub const fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    /// Where it is kept.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// Whether the store could be reached when it was last tried.
    #[must_use]
    pub fn is_store_reachable(&self) -> bool {
        self.memory.is_current()
    }

    /// How many tokens were issued here since the start, by dialect.
    pub fn issued_tokens(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.issuance.counts()
    }

    /// The key that signs.
    pub(super) fn signing_key(&self) -> Option<Arc<SigningKey>> {
        self.memory.state().ring.current().cloned()
    }

    /// What `iat` says of a token that is issued at `now`: never before the moment before which everything was withdrawn, or a
    /// token of the same second would be withdrawn with them.
    pub(super) fn issued_at(&self, now: UnixTime) -> UnixTime {
        let seconds = now.as_seconds();
        let ahead = |moment: &u64| *moment > seconds && *moment - seconds <= CLOCKS_APART_SECONDS;
        let earliest = self.memory.state().switches.issued_before.filter(ahead);
        UnixTime::from_seconds(earliest.unwrap_or(seconds))
    }

    /// Whether a token of this name was revoked.
    pub(super) fn is_revoked(&self, id: &TokenId) -> bool {
        self.memory.revoked.contains(id)
    }

    /// How secrets are hashed here.
    pub(super) fn hashing(&self) -> &SecretHashing {
        &self.hashing
    }

    pub(super) const fn sealing(&self) -> &Sealing {
        &self.sealing
    }

    /// Records a token that is about to be given out; see [`IssuanceLog::record`].
    pub(super) async fn record(&self, token: IssuedToken) -> Result<(), Unrecorded> {
        self.issuance.record(token).await
    }

    /// Does `work` on the control plane, from whatever thread, and to its end even if nobody waits any more.
    pub(super) async fn on_control<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, ChangeError> {
        self.control.spawn(work).await.map_err(|_ended| ChangeError::Stopping)
    }

    /// Begins a change.
    pub(super) async fn amend(&self) -> Result<Amendment, StoreError> {
        Ok(Amendment::new(self.store.change().await?))
    }

    /// Makes a change durable, and brings memory up to it.
    pub(super) async fn commit(&self, change: Amendment) -> Result<(), ChangeError> {
        change.commit().await?;
        let in_force = async {
            while let Err(error) = self.catch_up().await {
                warn!(error = &error as &dyn std::error::Error, "a change is kept, and not in force here yet");
                sleep(RETRY).await;
            }
        };
        // It is durable, so it will be in force here soon whatever comes of this: the follower goes on trying, too.
        let _ = timeout(CATCHING_UP, in_force).await;
        Ok(())
    }

    /// Takes over what has changed in the store.
    pub(super) async fn catch_up(&self) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        let seen = self.memory.state().revision;
        let changes = self.store.changes_since(seen).await?;
        let whole = changes.whole;
        self.take(changes, whole);
        Ok(())
    }

    /// Takes over everything that is in the store.
    pub(super) async fn load_whole(&self) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        let changes = self.store.load().await?;
        self.take(changes, true);
        Ok(())
    }

    fn take(&self, changes: crate::store::Changes, whole: bool) {
        let compile = |id: &str, record: &ClientRecord| self.compile(id, record);
        if let Err(error) = self.memory.apply(changes, whole, &self.sealing, &compile) {
            error!(error = &error as &dyn std::error::Error, "a signing key of the store cannot be opened");
        }
        self.memory.keys.note_look();
    }

    fn compile(&self, id: &str, record: &ClientRecord) -> Option<Arc<Client>> {
        let compiled = record.compile(id, &self.sealing);
        if let Ok(client) = &compiled {
            client.open_keys(&self.key_sets, &self.control);
        }
        compiled
            .inspect_err(|fault| {
                error!(client_id = id, %fault, "a registered client is not valid here, and gets nothing");
            })
            .ok()
            .map(Arc::new)
    }

    /// Removes what has expired, and keys that nothing lives of any more.
    async fn tidy(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.store.prune(now).await?;
        self.memory.prune(now);
        if let Err(error) = self.tend_keys(now).await {
            error!(error = &error as &dyn std::error::Error, "the signing keys cannot be tended");
        }
        if let Err(error) = self.forget_removed(now).await {
            warn!(error = &error as &dyn std::error::Error, "clients that are gone cannot be forgotten");
        }
        Ok(())
    }

    fn note_reachable(&self, reachable: bool) {
        self.memory.away.store(!reachable, Ordering::Relaxed);
    }
}

/// The key under which secrets are hashed: made once for all replicas.
async fn hashing_key(store: &Store, sealing: &Sealing) -> Result<SecretHashing, OpenError> {
    let fresh = SecretHashing::generate_key()?;
    let sealed = sealing.seal(HASHING_KEY, fresh.as_slice())?;
    let kept = store.installation(HASHING_KEY, sealed.as_bytes()).await?;
    let text = String::from_utf8_lossy(&kept).into_owned();
    let key = sealing.open(HASHING_KEY, &text)?;
    if sealing.seals() && !Sealing::is_sealed(&text) {
        let sealed = sealing.seal(HASHING_KEY, &key)?;
        // Another replica may have done so first, which is as good.
        store.replace_installation(HASHING_KEY, &kept, sealed.as_bytes()).await?;
    }
    let bytes = <&[u8; HASH_BYTES]>::try_from(key.as_slice())
        .map_err(|_| SealingError::Corrupt { name: HASHING_KEY.to_owned() })?;
    Ok(SecretHashing::new(bytes))
}
