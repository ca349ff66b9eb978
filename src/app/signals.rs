//! Owns: what the operating system asks of the program.
//! Always holds: SIGHUP reloads and never ends the program; SIGTERM and SIGINT end it.

use std::{io, sync::Arc};

use tokio::{
    runtime::Runtime,
    signal::unix::{Signal, SignalKind, signal},
};

/// Listens to SIGHUP. One that comes before anybody waits for it is not lost.
pub(super) fn hangup(runtime: &Runtime) -> io::Result<Signal> {
    let _on_it = runtime.enter();
    signal(SignalKind::hangup())
}

/// The signals that are listened to.
pub(super) struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Begins to listen; to SIGHUP perhaps somebody does already.
    pub(super) fn listen(runtime: &Runtime, hangup_so_far: Option<Signal>) -> io::Result<Self> {
        let _on_it = runtime.enter();
        let hangup = hangup_so_far.map_or_else(|| signal(SignalKind::hangup()), Ok)?;
        Ok(Self {
            hangup,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the word to stop, calling `reload` at each SIGHUP meanwhile.
    pub(super) async fn until_stop(mut self, reload: impl Fn() + Send + Sync + 'static) -> Self {
        let reload = Arc::new(reload);
        loop {
            tokio::select! {
                _ = self.hangup.recv() => {
                    let reload = Arc::clone(&reload);
                    // Reading files blocks; a panic in it would have been logged.
                    let _ = tokio::task::spawn_blocking(move || reload()).await;
                }
                _ = self.terminate.recv() => return self,
                _ = self.interrupt.recv() => return self,
            }
        }
    }

    /// Waits for the next word to stop.
    pub(super) async fn next_stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
