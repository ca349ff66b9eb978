//! Owns: the word that a listener's connections on one worker shall come to their end.
//! Refuses: ending anything itself; every connection knows best how.
//! Always holds: once begun, a drain is never called off.

use std::{cell::Cell, time::Duration};

use tokio::{
    sync::{Notify, futures::Notified},
    time::{Instant, sleep_until},
};

/// How long a connection without a request is kept once a drain has begun. A request that is already on its way, or that a
/// client sends before it learns of the end, is still answered; without this, a stop under load would lose some (an HTTP/1.1
/// client cannot tell a closed connection from a lost request, RFC 9112 section 9.5).
const PATIENCE: Duration = Duration::from_millis(250);

/// The word, shared by the connections of one listener on one worker.
#[derive(Debug, Default)]
pub(super) struct Drain {
    since: Cell<Option<Instant>>,
    begun: Notify,
}

impl Drain {
    pub(super) fn begin(&self) {
        self.since.set(Some(Instant::now()));
        self.begun.notify_waiters();
    }

    /// When it began, if it has.
    pub(super) fn since(&self) -> Option<Instant> {
        self.since.get()
    }

    /// Wakes whoever polls it when the drain begins. Look at [`Drain::since`] after the first poll.
    pub(super) fn beginning(&self) -> Notified<'_> {
        self.begun.notified()
    }

    /// When a connection that was opened then and has no request may be closed; nothing as long as there is no drain.
    pub(super) fn patience(&self, opened: Instant) -> Option<Instant> {
        self.since().map(|since| since.max(opened) + PATIENCE)
    }

    /// Waits until a drain has begun and a connection that was opened then and has sent nothing may be closed.
    pub(super) async fn patience_ended(&self, opened: Instant) {
        let mut beginning = std::pin::pin!(self.beginning());
        beginning.as_mut().enable();
        if self.since().is_none() {
            beginning.await;
        }
        if let Some(patience) = self.patience(opened) {
            sleep_until(patience).await;
        }
    }
}
