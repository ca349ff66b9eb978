//! Owns: one opening of a connection that several requests wait for, since they can share it.
//! Always holds: whoever opens it tells those who wait, also by being dropped in the middle.

use std::{cell::RefCell, rc::Rc};

use tokio::sync::Notify;

use super::pool::AcquireError;

/// A connection that is being opened.
#[derive(Debug, Default)]
pub(super) struct Opening {
    outcome: RefCell<Option<Outcome>>,
    ended: Notify,
}

/// How an opening ended.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// There is a connection.
    Opened,
    /// There is none, for this reason.
    Failed(AcquireError),
    /// Whoever opened it went away.
    Abandoned,
}

/// Held by whoever opens the connection.
pub(super) struct OpeningGuard<'pool> {
    place: &'pool RefCell<Option<Rc<Opening>>>,
    opening: Rc<Opening>,
}

impl Opening {
    /// Waits for the end.
    pub(super) async fn outcome(&self) -> Outcome {
        loop {
            // Made before looking: it is woken by an end that comes in between.
            let ended = self.ended.notified();
            if let Some(outcome) = self.outcome.borrow().clone() {
                return outcome;
            }
            ended.await;
        }
    }
}

impl<'pool> OpeningGuard<'pool> {
    /// Announces an opening at `place`.
    pub(super) fn announce(place: &'pool RefCell<Option<Rc<Opening>>>) -> Self {
        let opening = Rc::new(Opening::default());
        *place.borrow_mut() = Some(Rc::clone(&opening));
        Self { place, opening }
    }

    /// Tells how it ended.
    pub(super) fn end(self, outcome: Outcome) {
        *self.opening.outcome.borrow_mut() = Some(outcome);
    }
}

impl Drop for OpeningGuard<'_> {
    fn drop(&mut self) {
        *self.place.borrow_mut() = None;
        self.opening.outcome.borrow_mut().get_or_insert(Outcome::Abandoned);
        self.opening.ended.notify_waiters();
    }
}
