//! Owns: what has to happen around the moment a snapshot comes into force: opening keys, binding sockets, moving logs.
//! Refuses: a snapshot whose sockets or keys cannot be had; the one before it then stays.
//! Always holds: nothing that lives is changed before everything that can fail has succeeded.

use std::{
    error::Error,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::runtime::Handle;
use tracing::{info, warn};

use super::{EmbeddedError, telemetry};
use crate::{
    auth::key_set::{AwaitedKeys, STARTUP_PATIENCE, await_first_keys},
    authorization_server::AuthorizationServer,
    clock::Clock,
    config::ProcessConfig,
    server::Server,
    snapshot::{Activation, EmbeddedIssuer, Snapshot},
    telemetry::{AccessLog, Destination, Log},
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
        let issuer = self.open_issuer(next).map_err(|error| in_words(&error))?;
        self.move_access_log(next).map_err(|error| in_words(&error))?;
        let grace_period = next.config.process.grace_period.0;
        let applied = self.server.apply(&next.listeners, grace_period).map_err(|error| in_words(&error))?;
        for name in &applied.added {
            let address = self.server.address_of(name).map(|address| address.to_string()).unwrap_or_default();
            info!("listener {name}: listening on {address}");
        }
        for name in &applied.removed {
            info!("listener {name}: closed, requests under way are finished");
        }
        self.embedded.replace(issuer).map_err(|error| in_words(&error))?;
        if let Some(previous) = previous {
            warn_of_fixed(&previous.config.process, &next.config.process);
            if previous.config.admin.as_ref().map(|admin| admin.address)
                != next.config.admin.as_ref().map(|admin| admin.address)
            {
                warn!("`admin.address` is read at start only: restart for the new one");
            }
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
    fn open_issuer(&self, next: &Snapshot) -> Result<Option<AuthorizationServer>, EmbeddedError> {
        let (Some(settings), Some(directory)) = (&next.authorization_server, next.data_directory()) else {
            return Ok(None);
        };
        let before = self.embedded.server();
        let opened = AuthorizationServer::open(Arc::clone(settings), directory, before.as_deref(), self.clock.now())?;
        Ok(Some(opened))
    }

    fn move_access_log(&self, next: &Snapshot) -> Result<(), crate::telemetry::AccessLogError> {
        let wanted = telemetry::access_log(&next.config.telemetry);
        let mut destination = self.destination.lock().unwrap_or_else(PoisonError::into_inner);
        if *destination != wanted {
            self.access_log.redirect(&wanted)?;
            *destination = wanted;
        }
        Ok(())
    }

    /// Opens the access log's file anew, after it was renamed away.
    pub(super) fn reopen_access_log(&self) {
        let destination = self.destination.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = self.access_log.redirect(&destination) {
            warn!(error = &error as &dyn Error, "the access log stays where it was");
        }
    }
}

fn warn_of_fixed(before: &ProcessConfig, after: &ProcessConfig) {
    if before.workers != after.workers {
        warn!("`process.workers` is read at start only: restart for the new number");
    }
    if before.data_directory != after.data_directory {
        warn!("`process.data_directory` is read at start only for key sets: restart for the new one");
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
