//! Owns: what has to happen around the moment a snapshot comes into force: opening keys, binding sockets, moving logs.
//! Refuses: a snapshot whose sockets or keys cannot be had; the one before it then stays.
//! Always holds: nothing that lives is changed before everything that can fail has succeeded.

use std::{
    error::Error,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use tokio::runtime::Handle;
use tracing::{info, warn};

use super::{EmbeddedError, fixed::Fixed, telemetry};
use crate::{
    auth::key_set::{AwaitedKeys, STARTUP_PATIENCE, await_first_keys},
    authorization_server::AuthorizationServer,
    clock::Clock,
    server::Server,
    snapshot::{Activation, EmbeddedIssuer, ReadyIssuer, Snapshot},
    telemetry::{AccessLog, AccessLogError, Destination, Log, OpenDestination},
};

/// The living parts that a snapshot is brought to.
pub(super) struct Living {
    pub(super) server: Arc<Server>,
    pub(super) embedded: Arc<EmbeddedIssuer>,
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
        let names = missing.required.join(", ");
        Err(format!("the keys of {names} could not be had, and `startup = \"require\"` asks for them"))
    }

    fn prepare(&self, next: &Arc<Snapshot>, previous: Option<&Snapshot>) -> Result<(), String> {
        let fixed = self.fixed.get_or_init(|| Fixed::of(&next.config));
        fixed.admit(&next.config)?;
        let issuer = self.open_issuer(next, fixed).map_err(|error| in_words(&error))?;
        let access_log = self.open_access_log(next).map_err(|error| in_words(&error))?;
        let grace_period = next.config.process.grace_period.0;
        // The last that can fail, and if it does it changes nothing.
        let applied = self.server.apply(&next.listeners, grace_period).map_err(|error| in_words(&error))?;
        for name in &applied.added {
            let address = self.server.address_of(name).map(|address| address.to_string()).unwrap_or_default();
            info!("listener {name}: listening on {address}");
        }
        for name in &applied.removed {
            info!("listener {name}: closed, requests under way are finished");
        }
        self.embedded.replace(issuer);
        self.move_access_log(access_log);
        if previous.is_some() {
            fixed.warn_of_differences(&next.config);
        }
        Ok(())
    }

    fn applied(&self, next: &Arc<Snapshot>) {
        for keys in next.key_sets.values() {
            keys.set.start(&self.control);
        }
        if let Some(log) = &self.log
            && let Err(error) = log.apply(telemetry::log(&next.config.telemetry))
        {
            warn!(error = &error as &dyn Error, "the log level stays as it was");
        }
        for (route, exposure) in next.exposed_routes() {
            warn!("route {} {}", route.name, exposure.in_words());
        }
    }
}

impl Living {
    /// The embedded issuer of `next` with its keys open, if it has one.
    fn open_issuer(&self, next: &Snapshot, fixed: &Fixed) -> Result<ReadyIssuer, EmbeddedError> {
        let (Some(settings), Some(directory)) = (&next.authorization_server, fixed.data_directory()) else {
            return Ok(ReadyIssuer::default());
        };
        let before = self.embedded.server();
        let opened = AuthorizationServer::open(Arc::clone(settings), directory, before.as_deref(), self.clock.now())?;
        Ok(self.embedded.prepare(Some(opened))?)
    }

    /// The access log's destination in `next`, opened, if it is another one than now.
    fn open_access_log(&self, next: &Snapshot) -> Result<Option<(Destination, OpenDestination)>, AccessLogError> {
        let wanted = telemetry::access_log(&next.config.telemetry);
        if *self.destination.lock().unwrap_or_else(PoisonError::into_inner) == wanted {
            return Ok(None);
        }
        let opened = wanted.open()?;
        Ok(Some((wanted, opened)))
    }

    fn move_access_log(&self, moved: Option<(Destination, OpenDestination)>) {
        if let Some((destination, opened)) = moved {
            self.access_log.switch_to(opened);
            *self.destination.lock().unwrap_or_else(PoisonError::into_inner) = destination;
        }
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
