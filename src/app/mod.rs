//! Owns: the composition root: builds every part, wires those that must not know each other, starts them, stops them.
//! Refuses: starting with anything missing that a request would need and that waiting cannot bring.
//! Always holds: what was started is stopped again, in the order that loses no request.

mod activation;
mod fixed;
mod offline;
mod operations;
mod readiness;
mod running;
mod samples;
mod signals;
mod start;
mod telemetry;
mod worker_thread;

use std::{path::PathBuf, sync::Arc};

use thiserror::Error;

use crate::{
    admin,
    auth::{Inquirers, key_set::KeySets},
    authorization_server::{ChangeError, Memory, OpenError, SealingError},
    clock::Clock,
    config::{Config, Environment},
    diagnostic::{Diagnostics, KeyPath},
    limit::Limits,
    outbound::Outbound,
    snapshot::{ReloadRejection, Surroundings},
    store::StoreError,
    telemetry::{AccessLogError, Metrics, log::LogError},
    token_endpoint::Lasting,
};

pub use self::{
    offline::{Offline, OfflineError},
    running::Running,
    start::start,
};

/// What a gateway is started with.
#[derive(Clone)]
pub struct Options {
    /// The configuration files; later ones are laid over earlier ones.
    pub files: Vec<PathBuf>,
    /// Where `${VAR}` and `{ env = "VAR" }` are looked up.
    pub environment: Arc<dyn Environment + Send + Sync>,
    /// What time it is.
    pub clock: Clock,
    /// Whether the process is this gateway's own: then it sets up the program's log, and SIGHUP never ends it.
    pub log: bool,
}

/// Why a gateway did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The configuration is refused.
    #[error(transparent)]
    Configuration(#[from] Box<ReloadRejection>),
    /// The access log cannot be written.
    #[error("the access log cannot be started")]
    AccessLog(#[from] AccessLogError),
    /// The program's log cannot be written.
    #[error("the log cannot be started")]
    Log(#[from] LogError),
    /// The admin listener's address cannot be had.
    #[error("the admin listener cannot listen on {address}")]
    Admin {
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The operating system gives no thread, or no events.
    #[error("a thread cannot be started")]
    Thread(#[source] std::io::Error),
}

/// Why the embedded issuer cannot be opened.
#[derive(Debug, Error)]
pub enum EmbeddedError {
    /// Its store is not there, or is not one.
    #[error("the store of the embedded issuer cannot be opened")]
    Store(#[from] StoreError),
    /// What is in the store is not for this configuration.
    #[error("what the embedded issuer keeps cannot be opened")]
    Open(#[from] OpenError),
    /// The encryption key is of no use.
    #[error("what the embedded issuer keeps cannot be encrypted")]
    Sealing(#[from] SealingError),
    /// There are no keys, and none can be made.
    #[error("the signing keys of the embedded issuer cannot be made")]
    Keys(#[from] ChangeError),
}

impl EmbeddedError {
    /// Whether it may be better in a moment.
    fn store_is_away(&self) -> bool {
        match self {
            Self::Store(error) | Self::Open(OpenError::Store(error)) => error.is_unavailable(),
            Self::Open(OpenError::Change(error)) | Self::Keys(error) => {
                matches!(error, ChangeError::Store(error) if error.is_unavailable())
            }
            Self::Open(_) | Self::Sealing(_) => false,
        }
    }
}

/// What compiling needs when nothing will be started: no data directory, no network, counters that nobody reads.
#[must_use]
pub fn offline_surroundings() -> Surroundings {
    let clock = Clock::system();
    let outbound = Arc::new(Outbound::new(None));
    let (metrics, _workers) = Metrics::new(1);
    Surroundings {
        key_sets: Arc::new(KeySets::new(clock.clone(), None)),
        limits: Arc::new(Limits::new(clock.clone())),
        inquirers: Arc::new(Inquirers::new(Arc::clone(&outbound))),
        clock,
        metrics,
        issuer_memory: Arc::new(Memory::default()),
        token_endpoints: Lasting::new(Arc::clone(&outbound)),
        outbound,
        also_compile: ALSO_COMPILE,
    }
}

/// Parts of the configuration that no request is decided by.
const ALSO_COMPILE: &[fn(&Config, &mut Diagnostics)] = &[compile_admin, compile_process];

fn compile_process(config: &Config, diagnostics: &mut Diagnostics) {
    if config.process.workers == Some(0) {
        let path = KeyPath::of(&["process", "workers"]);
        diagnostics.error(&path, "without a worker nobody is answered", "write 1 or more, or leave it out");
    }
}

fn compile_admin(config: &Config, diagnostics: &mut Diagnostics) {
    if let Some(raw) = &config.admin {
        admin::compile(raw, diagnostics);
    }
}
