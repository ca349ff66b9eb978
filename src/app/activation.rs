//! Owns: what has to happen around the moment a snapshot comes into force: opening keys, binding sockets, moving logs.
//! Refuses: a snapshot whose sockets or keys cannot be had; the one before it then stays.
//! Always holds: nothing that lives is changed before everything that can fail has succeeded.

use std::{
    error::Error,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use tokio::runtime::Handle;
use tracing::{info, warn};

use super::{EmbeddedError, fixed::Fixed, readiness, telemetry};
use crate::{
    auth::key_set::{AwaitedKeys, STARTUP_PATIENCE, await_first_keys},
    authorization_server::AuthorizationServer,
    clock::Clock,
    server::{Bindings, Server},
    snapshot::{Activation, Commit, EmbeddedIssuer, EmbeddedKeys, Snapshot},
    telemetry::{AccessLog, AccessLogError, Destination, Log, OpenDestination},
};

/// The living parts that a snapshot is brought to.
pub(super) struct Living {
    pub(super) server: Arc<Server>,
    pub(super) embedded_keys: Arc<EmbeddedKeys>,
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
        self.open_issuer(next, previous, fixed).map_err(|error| in_words(&error))?;
        let access_log = self.open_access_log(next).map_err(|error| in_words(&error))?;
        let bindings = self.server.bind(&next.listeners).map_err(|error| in_words(&error))?;
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
        self.embedded_keys.retain(next.embedded().map(|issuer| &**issuer.server()));
        for keys in next.key_sets.values() {
            keys.set.start(&self.control);
        }
        self.server.look_again();
        if let Some(log) = &self.log
            && let Err(error) = log.apply(telemetry::log(&next.config.telemetry))
        {
            warn!(error = &error as &dyn Error, "the log level stays as it was");
        }
        for (route, exposure) in next.exposed_routes() {
            warn!("route {} {}", route.name, exposure.in_words());
        }
    }

    /// Opens the keys of the embedded issuer of `next`, if it has one, and publishes them.
    fn open_issuer(
        &self,
        next: &Snapshot,
        previous: Option<&Snapshot>,
        fixed: &Fixed,
    ) -> Result<(), EmbeddedError> {
        let (Some(settings), Some(directory)) = (&next.authorization_server, fixed.data_directory()) else {
            return Ok(());
        };
        let before = previous.and_then(Snapshot::embedded).map(EmbeddedIssuer::server);
        let server =
            AuthorizationServer::open(Arc::clone(settings), directory, before.map(Arc::as_ref), self.clock.now())?;
        self.embedded_keys.publish(&server)?;
        next.open_embedded(EmbeddedIssuer::new(server));
        Ok(())
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
