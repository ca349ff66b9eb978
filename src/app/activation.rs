//! Owns: what has to happen around the moment a snapshot comes into force: opening keys, binding sockets, moving logs.
//! Refuses: a snapshot whose sockets or keys cannot be had; the one before it then stays.
//! Always holds: nothing that lives is changed before everything that can fail has succeeded.

use std::{
    error::Error,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    time::{Instant, sleep},
};
use tracing::{info, warn};

use super::{EmbeddedError, fixed::Fixed, readiness, telemetry};
use crate::{
    auth::key_set::{AwaitedKeys, KeySets, STARTUP_PATIENCE, await_first_keys},
    authorization_server::{AuthorizationServer, Memory, Opening, Registry, Sealing, Settings},
    clock::Clock,
    server::{Bindings, Server},
    snapshot::{Activation, Commit, Snapshot},
    store::Store,
    telemetry::{AccessLog, AccessLogError, Destination, Log, OpenDestination},
    token_endpoint::Lockouts,
};

/// How long a start waits for a database.
const STORE_PATIENCE: Duration = Duration::from_secs(10);
/// How long between two attempts to reach it.
const STORE_RETRY: Duration = Duration::from_millis(500);

/// The living parts that a snapshot is brought to.
pub(super) struct Living {
    pub(super) server: Arc<Server>,
    pub(super) issuer_memory: Arc<Memory>,
    pub(super) key_sets: Arc<KeySets>,
    pub(super) lockouts: Lockouts,
    /// What the embedded issuer knows and keeps, since one was first configured.
    pub(super) registry: Mutex<Option<Arc<Registry>>>,
    pub(super) access_log: Arc<AccessLog>,
    pub(super) log: Option<Arc<Log>>,
    pub(super) control: Handle,
    pub(super) clock: Clock,
    /// Where the access log goes now.
    pub(super) destination: Mutex<Destination>,
    /// What the first configuration said that no reload can change.
    pub(super) fixed: OnceLock<Fixed>,
}

impl Activation for Living {
    fn before_first(&self, first: &Arc<Snapshot>) -> Result<(), String> {
        let awaited: Vec<AwaitedKeys> = first
            .key_sets
            .iter()
            .map(|(issuer, keys)| {
                keys.set.start(&self.control);
                AwaitedKeys { issuer: Arc::clone(issuer), keys: Arc::clone(&keys.set), startup: keys.startup }
            })
            .collect();
        first.upstreams.start(&self.control);
        let missing = self.control.block_on(await_first_keys(&awaited, STARTUP_PATIENCE));
        for issuer in &missing.tolerated {
            warn!("issuer {issuer}: no keys yet; until they come, requests that need them are answered 503");
        }
        if missing.required.is_empty() {
            return Ok(());
        }
        let required = missing.required.iter().map(|issuer| {
            let why = first.key_sets.get(issuer).map(|keys| readiness::why_unusable(&keys.set.status()));
            format!("{issuer} ({})", why.unwrap_or_default())
        });
        let required = required.collect::<Vec<_>>().join(", ");
        Err(format!("`startup = \"require\"` asks for keys that could not be had: {required}"))
    }

    fn prepare(self: Arc<Self>, next: &Arc<Snapshot>, previous: Option<&Snapshot>) -> Result<Commit, String> {
        let fixed = self.fixed.get_or_init(|| Fixed::of(&next.config));
        fixed.admit(&next.config)?;
        let access_log = self.open_access_log(next).map_err(|error| in_words(&error))?;
        let bindings = self.server.bind(&next.listeners).map_err(|error| in_words(&error))?;
        // The last, since another algorithm has keys made, which other replicas see.
        self.open_issuer(next, fixed).map_err(|error| in_words(&error))?;
        if previous.is_some() {
            fixed.warn_of_differences(&next.config);
        }
        let next = Arc::clone(next);
        Ok(Box::new(move || self.commit(&next, bindings, access_log)))
    }
}

impl Living {
    /// Brings everything that lives to `next`, which is in force.
    fn commit(&self, next: &Snapshot, bindings: Bindings, access_log: Option<(Destination, OpenDestination)>) {
        if let Some((destination, opened)) = access_log {
            self.access_log.switch(opened);
            *self.destination.lock().unwrap_or_else(PoisonError::into_inner) = destination;
        }
        let applied = self.server.commit(&next.listeners, bindings, next.config.process.grace_period.0);
        for name in &applied.added {
            let address = self.server.address_of(name).map(|address| address.to_string()).unwrap_or_default();
            info!("listener {name}: listening on {address}");
        }
        for name in &applied.removed {
            info!("listener {name}: closed, requests under way are finished");
        }
        if let Some(issuer) = next.embedded() {
            issuer.come_into_force();
        }
        for keys in next.key_sets.values() {
            keys.set.start(&self.control);
        }
        next.upstreams.start(&self.control);
        if let Some(shared) = &next.shared {
            shared.start(&self.control);
        }
        let heard = next.shared.as_ref().filter(|_| !next.token_endpoints.is_empty());
        self.lockouts.follow(heard, &self.clock, &self.control);
        self.server.look_again();
        if let Some(log) = &self.log
            && let Err(error) = log.apply(telemetry::log(&next.config.telemetry))
        {
            warn!(error = &error as &dyn Error, "the log level stays as it was");
        }
        if next.embedded().is_some() && next.config.admin.as_ref().is_some_and(|admin| admin.token.is_none()) {
            warn!("everybody on this machine can manage clients and tokens: set `admin.token`");
        }
        for option in next.danger_options() {
            warn!("`{option}` is switched on");
        }
        for (route, exposure) in next.exposed_routes() {
            warn!("route {} {}", route.name(), exposure.in_words());
        }
    }

    /// Opens the store of the embedded issuer of `next`, if it has one and none is open yet, and makes sure that there are keys.
    fn open_issuer(&self, next: &Snapshot, fixed: &Fixed) -> Result<(), EmbeddedError> {
        let Some(settings) = &next.authorization_server else { return Ok(()) };
        let mut open = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let registry = match &*open {
            Some(registry) => Arc::clone(registry),
            None => {
                let registry = self.control.block_on(self.open_registry(settings))?;
                *open = Some(Arc::clone(&registry));
                registry
            }
        };
        drop(open);
        fixed.note_store(settings);
        self.control.block_on(registry.ensure_keys(settings.algorithm()))?;
        next.open_embedded(Arc::new(AuthorizationServer::new(Arc::clone(settings), registry)));
        Ok(())
    }

    /// Opens the store and reads it, waiting for a database that may be starting at the same time.
    async fn open_registry(&self, settings: &Settings) -> Result<Arc<Registry>, EmbeddedError> {
        let deadline = Instant::now() + STORE_PATIENCE;
        loop {
            match self.try_open_registry(settings).await {
                Err(error) if error.store_is_away() && Instant::now() < deadline => {
                    warn!(error = &error as &dyn Error, "the store is not there yet");
                    sleep(STORE_RETRY).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn try_open_registry(&self, settings: &Settings) -> Result<Arc<Registry>, EmbeddedError> {
        let sealing = Sealing::of(settings.encryption_key())?;
        if !sealing.seals() {
            warn!("no `authorization_server.encryption_key` is given: signing keys are kept in the store in clear");
        }
        let store = Store::open(settings.store()).await?;
        info!("the embedded issuer keeps its clients, tokens and keys in {}", store.shown());
        let opening = Opening {
            store,
            memory: Arc::clone(&self.issuer_memory),
            sealing,
            key_sets: Arc::clone(&self.key_sets),
            clock: self.clock.clone(),
            control: self.control.clone(),
        };
        Ok(Registry::open(opening).await?)
    }

    /// What the embedded issuer knows and keeps, once there is one.
    pub(super) fn registry(&self) -> Option<Arc<Registry>> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Opens the file that the access log of `next` goes to, if it is another one than now.
    fn open_access_log(&self, next: &Snapshot) -> Result<Option<(Destination, OpenDestination)>, AccessLogError> {
        let wanted = telemetry::access_log(&next.config.telemetry);
        if *self.destination.lock().unwrap_or_else(PoisonError::into_inner) == wanted {
            return Ok(None);
        }
        let opened = OpenDestination::open(&wanted)?;
        Ok(Some((wanted, opened)))
    }

    /// Opens the access log's file anew, after it was renamed away.
    pub(super) fn reopen_access_log(&self) {
        let destination = self.destination.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = self.access_log.redirect(&destination) {
            warn!(error = &error as &dyn Error, "the access log stays where it was");
        }
    }
}

/// An error and its causes in one line.
pub(super) fn in_words(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push_str(": ");
        words.push_str(&error.to_string());
        cause = error.source();
    }
    words
}
