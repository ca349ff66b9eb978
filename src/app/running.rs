//! Owns: a gateway that runs, and its end.
//! Refuses: ending before what is under way has had its grace period.
//! Always holds: readiness goes first, then accepting, then what is under way, then the logs.

use std::{
    net::SocketAddr,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tokio::{runtime::Runtime, signal::unix::Signal, sync::watch, task::JoinHandle, time::timeout};
use tracing::{info, warn};

use super::{StartError, activation::Living, operations::Operator, signals, worker_thread};
use crate::{
    server::{DrainReport, Server},
    snapshot::{AppliedReload, ReloadRejection, Reloader, Watch},
};

/// How long the logs may take to be written out at the end.
const LOG_PATIENCE: Duration = Duration::from_secs(1);

/// How long the store may take to be closed at the end.
const STORE_PATIENCE: Duration = Duration::from_secs(1);

/// A running gateway. Dropping it stops it at once.
pub struct Running {
    parts: Option<Parts>,
}

/// Everything that was started.
pub(super) struct Parts {
    pub(super) control: Runtime,
    pub(super) server: Arc<Server>,
    pub(super) threads: Vec<thread::JoinHandle<DrainReport>>,
    pub(super) reloader: Arc<Reloader>,
    pub(super) living: Arc<Living>,
    pub(super) operator: Arc<Operator>,
    pub(super) watch: Watch,
    pub(super) stop_admin: watch::Sender<bool>,
    pub(super) admin_task: Option<JoinHandle<()>>,
    pub(super) admin_address: Option<SocketAddr>,
    /// SIGHUP, if it was listened to from the beginning.
    pub(super) hangup: Option<Signal>,
}

impl Running {
    pub(super) const fn new(parts: Parts) -> Self {
        Self { parts: Some(parts) }
    }

    /// The address of a listener: of port 0, the one that the kernel chose.
    #[must_use]
    pub fn address(&self, listener: &str) -> Option<SocketAddr> {
        self.parts.as_ref()?.server.address_of(listener)
    }

    /// The address of the admin listener, if there is one.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.parts.as_ref()?.admin_address
    }

    /// Reads the configuration anew; see [`Reloader::reload`].
    ///
    /// # Errors
    /// If it is refused.
    pub fn reload(&self) -> Option<Result<AppliedReload, Box<ReloadRejection>>> {
        self.parts.as_ref().map(|parts| parts.reloader.reload())
    }

    /// Serves until SIGTERM or SIGINT, then drains; a second one stops at once. SIGHUP reloads.
    ///
    /// # Errors
    /// If signals cannot be listened to.
    pub fn run_until_signalled(mut self) -> Result<(), StartError> {
        let Some(mut parts) = self.parts.take() else { return Ok(()) };
        let hangup = parts.hangup.take();
        let signals = signals::Signals::listen(&parts.control, hangup).map_err(StartError::Thread)?;
        let reloader = Arc::clone(&parts.reloader);
        let living = Arc::clone(&parts.living);
        let mut signals = parts.control.block_on(signals.until_stop(move || {
            living.reopen_access_log();
            // The outcome is logged and kept by the reloader.
            let _ = reloader.reload();
        }));
        info!("stopping: requests under way are finished; a second signal stops at once");
        parts.control.spawn(async move {
            signals.next_stop().await;
            warn!("stopped at once");
            std::process::exit(0);
        });
        parts.drain();
        Ok(())
    }

    /// Drains and stops: `/readyz` fails at once, accepting ends after `drain_delay`, requests under way have
    /// `grace_period`.
    pub fn drain(mut self) {
        if let Some(parts) = self.parts.take() {
            parts.drain();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(parts) = self.parts.take() {
            parts.stop(Duration::ZERO);
        }
    }
}

impl Parts {
    fn drain(self) {
        self.operator.begin_drain();
        let process = self.reloader.current().load().config.process.clone();
        thread::sleep(process.drain_delay.0);
        self.stop(process.grace_period.0);
    }

    fn stop(self, grace_period: Duration) {
        let began = Instant::now();
        drop(self.watch);
        self.reloader.close();
        self.server.drain(grace_period);
        let mut finished = 0;
        let mut cut = 0;
        for thread in self.threads {
            let report = worker_thread::join(thread);
            finished += report.finished;
            cut += report.cut;
        }
        info!(finished, cut, seconds = began.elapsed().as_secs_f64(), "connections ended");
        // If the admin listener is gone already there is nobody to tell.
        let _ = self.stop_admin.send(true);
        if let Some(task) = self.admin_task {
            // A panic in it has been logged, and the end is near anyhow.
            let _ = self.control.block_on(task);
        }
        if let Some(registry) = self.living.registry() {
            // What was answered is durable; closing only leaves a tidier file behind.
            let _ = self.control.block_on(async { timeout(STORE_PATIENCE, registry.store().close()).await });
        }
        self.control.shutdown_timeout(Duration::from_millis(100));
        self.living.access_log.stop(LOG_PATIENCE);
        if let Some(log) = &self.living.log {
            log.stop(LOG_PATIENCE);
        }
    }
}
