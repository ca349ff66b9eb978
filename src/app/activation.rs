//! Owns: what has to happen around the moment a snapshot comes into force: opening keys, binding sockets, moving logs.
//! Refuses: a snapshot whose sockets or keys cannot be had; the one before it then stays.
//! Always holds: nothing that lives is changed before everything that can fail has succeeded.

use std::{
    error::Error,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use tokio::runtime::Handle;
use tracing::{info, warn};

use super::{EmbeddedError, readiness, telemetry};
use crate::{
    auth::key_set::{AwaitedKeys, STARTUP_PATIENCE, await_first_keys},
    authorization_server::AuthorizationServer,
    clock::Clock,
    config::ProcessConfig,
    secret::Secret,
    server::Server,
    snapshot::{Activation, EmbeddedIssuer, Snapshot, Successor},
    telemetry::{AccessLog, AccessLogError, Destination, Log},
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
    /// Where the embedded issuer keeps its keys, since it first opened them.
    pub(super) data_directory: OnceLock<PathBuf>,
    /// The admin listener's address, since the start.
    pub(super) admin_address: OnceLock<SocketAddr>,
    /// What callers of the admin listener must present.
    pub(super) admin_token: Mutex<Option<Secret>>,
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

    fn prepare(&self, next: &Arc<Snapshot>, previous: Option<&Snapshot>) -> Result<(), String> {
        let issuer = self.open_issuer(next).map_err(|error| in_words(&error))?;
        let log_before = self.move_access_log(next).map_err(|error| in_words(&error))?;
        let grace_period = next.config.process.grace_period.0;
        let applied = self.server.apply(&next.listeners, grace_period).map_err(|error| {
            self.move_access_log_back(log_before);
            in_words(&error)
        })?;
        for name in &applied.added {
            let address = self.server.address_of(name).map(|address| address.to_string()).unwrap_or_default();
            info!("listener {name}: listening on {address}");
        }
        for name in &applied.removed {
            info!("listener {name}: closed, requests under way are finished");
        }
        self.embedded.replace(issuer);
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
        self.server.look_again();
        self.follow_admin_token(next);
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
    fn open_issuer(&self, next: &Snapshot) -> Result<Successor, EmbeddedError> {
        let opened = match (&next.authorization_server, next.data_directory()) {
            (Some(settings), Some(directory)) => {
                // Other keys than those at the start would make every token that is out there worthless.
                let directory = self.data_directory.get_or_init(|| directory.to_owned());
                let (settings, before) = (Arc::clone(settings), self.embedded.server());
                Some(AuthorizationServer::open(settings, directory, before.as_deref(), self.clock.now())?)
            }
            _ => None,
        };
        Ok(self.embedded.prepare(opened)?)
    }

    /// Gives the destination before, if it is another one now.
    fn move_access_log(&self, next: &Snapshot) -> Result<Option<Destination>, AccessLogError> {
        let wanted = telemetry::access_log(&next.config.telemetry);
        let mut destination = self.destination.lock().unwrap_or_else(PoisonError::into_inner);
        if *destination == wanted {
            return Ok(None);
        }
        self.access_log.redirect(&wanted)?;
        Ok(Some(std::mem::replace(&mut *destination, wanted)))
    }

    fn move_access_log_back(&self, before: Option<Destination>) {
        let Some(before) = before else { return };
        *self.destination.lock().unwrap_or_else(PoisonError::into_inner) = before;
        self.reopen_access_log();
    }

    /// The token follows reloads, the address does not: a listener that others reach is never left without a token, and
    /// one that is no longer configured stays as it was.
    fn follow_admin_token(&self, next: &Snapshot) {
        let Some(admin) = &next.config.admin else { return };
        let bound = self.admin_address.get_or_init(|| admin.address);
        let mut in_force = self.admin_token.lock().unwrap_or_else(PoisonError::into_inner);
        match &admin.token {
            Some(token) => *in_force = Some(token.secret().clone()),
            None if bound.ip().is_loopback() => *in_force = None,
            None => warn!("`admin.token` stays in force until a restart: the admin listener is still bound to {bound}"),
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

fn warn_of_fixed(before: &ProcessConfig, after: &ProcessConfig) {
    if before.workers != after.workers {
        warn!("`process.workers` is read at start only: restart for the new number");
    }
    if before.data_directory != after.data_directory {
        warn!("`process.data_directory` is read at start only: restart for the new one");
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
