//! Owns: the data plane's threads: one for each worker, each with a runtime of its own.
//! Always holds: what a worker makes stays on its thread.

use std::{io, sync::mpsc, thread};

use tokio::runtime::{Builder, LocalOptions};
use tracing::error;

use crate::{
    auth::WorkerTokenCache,
    gateway::{Gateway, Shared},
    server::{DrainReport, WorkerSeat, run_worker},
    telemetry::WorkerMetrics,
};

/// Starts a worker and waits until its runtime stands.
pub(super) fn spawn(
    index: usize,
    seat: WorkerSeat,
    metrics: WorkerMetrics,
    shared: Shared,
    tokens: impl FnOnce() -> WorkerTokenCache + Send + 'static,
) -> io::Result<thread::JoinHandle<DrainReport>> {
    let (started, waiting) = mpsc::channel();
    let run = move || {
        let runtime = match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
            Ok(runtime) => {
                // Whoever started us may have given up meanwhile.
                let _ = started.send(Ok(()));
                runtime
            }
            Err(error) => {
                let _ = started.send(Err(error));
                return DrainReport::default();
            }
        };
        let report = runtime.block_on(run_worker(Gateway::new(shared, metrics, tokens()), seat));
        // A name that is being looked up may hold a blocking thread for longer than the grace period.
        runtime.shutdown_background();
        report
    };
    let thread = thread::Builder::new().name(format!("postern-worker-{index}")).spawn(run)?;
    waiting.recv().unwrap_or_else(|_| Err(io::Error::other("the worker ended before it began")))?;
    Ok(thread)
}

/// Waits for a worker's end.
pub(super) fn join(thread: thread::JoinHandle<DrainReport>) -> DrainReport {
    thread.join().unwrap_or_else(|_| {
        error!("a worker ended by a panic");
        DrainReport::default()
    })
}
