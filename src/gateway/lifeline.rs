//! Owns: the tie between what streams and the token that it was asked for with, on routes with `end_with_token`.
//! Refuses: a timer for each stream: one task on each worker judges all of them, while there are any.
//! Always holds: what is tied learns of the token's end at the moment of its expiry, and within a second of anything else that ends it;
//! what has ended stays so.

use std::{
    cell::{Cell, OnceCell, RefCell},
    collections::HashMap,
    fmt,
    future::poll_fn,
    rc::{Rc, Weak},
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{select, sync::Notify, time::sleep};

use super::worker::Shared;
use crate::{
    auth::{Issuers, VerifiedToken, VerifyError},
    clock::UnixTime,
};

/// How often what is tied is judged, if nothing calls for it sooner.
const EVERY: Duration = Duration::from_secs(1);
/// And how much sooner at most, however many expire one after the other.
const SHORTEST: Duration = Duration::from_millis(10);

/// All ties of one worker.
#[derive(Default)]
pub(super) struct Lifelines {
    ties: RefCell<HashMap<u64, Rc<Tie>>>,
    last: Cell<u64>,
    watched: Cell<bool>,
    sooner: Rc<Notify>,
}

/// One exchange's tie to its token. Clones are the same tie.
#[derive(Clone)]
pub(super) struct Lifeline(Rc<Held>);

/// Which part of an exchange waits for the end. Each is polled by a task of its own.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    Request,
    Response,
    Upgrade,
}

struct Held {
    number: u64,
    tie: Rc<Tie>,
    home: Rc<Lifelines>,
}

struct Tie {
    token: Arc<VerifiedToken>,
    end: OnceCell<VerifyError>,
    cut: Cell<bool>,
    waiting: [RefCell<Option<Waker>>; 3],
}

impl Lifelines {
    /// Ties an exchange to its token; the tie is forgotten with the last clone of it.
    pub(super) fn tie(self: &Rc<Self>, token: &Arc<VerifiedToken>, shared: &Shared, issuers: &Issuers) -> Lifeline {
        let number = self.last.get().wrapping_add(1);
        self.last.set(number);
        let tie = Rc::new(Tie {
            token: Arc::clone(token),
            end: OnceCell::new(),
            cut: Cell::new(false),
            waiting: Default::default(),
        });
        self.ties.borrow_mut().insert(number, Rc::clone(&tie));
        if !self.watched.replace(true) {
            tokio::task::spawn_local(watch(Rc::downgrade(self), shared.clone()));
        } else if token.good_until(issuers).is_some_and(|end| end.since(shared.clock.now()) < EVERY) {
            self.sooner.notify_one();
        }
        Lifeline(Rc::new(Held { number, tie, home: Rc::clone(self) }))
    }

    /// Ends what has to end at `now`, and says when to look again; nothing if there is nothing left to look at.
    fn judge(&self, issuers: &Issuers, now: UnixTime) -> Option<Duration> {
        let mut ended = Vec::new();
        let mut pause = None;
        for tie in self.ties.borrow().values().filter(|tie| tie.end.get().is_none()) {
            match tie.token.judge_end(issuers, now) {
                Ok(()) => {
                    let left = tie.token.good_until(issuers).map_or(EVERY, |end| end.since(now));
                    pause = Some(left.min(pause.unwrap_or(EVERY)));
                }
                Err(error) => ended.push((Rc::clone(tie), error)),
            }
        }
        for (tie, error) in ended {
            tie.end(error);
        }
        pause
    }
}

async fn watch(lifelines: Weak<Lifelines>, shared: Shared) {
    loop {
        let Some(known) = lifelines.upgrade() else { return };
        let pause = known.judge(&shared.current.load().issuers, shared.clock.now());
        let Some(pause) = pause else {
            known.watched.set(false);
            return;
        };
        let sooner = Rc::clone(&known.sooner);
        // The worker's end is not held up by waiting.
        drop(known);
        sleep(SHORTEST).await;
        select! {
            () = sleep(pause.saturating_sub(SHORTEST)) => {}
            () = sooner.notified() => {}
        }
    }
}

impl Lifeline {
    /// Why the token has ended, if it has.
    pub(super) fn ended(&self) -> Option<VerifyError> {
        self.0.tie.end.get().cloned()
    }

    /// Waits for the token's end, on behalf of one part.
    pub(super) fn poll_end(&self, part: Part, context: &Context<'_>) -> Poll<VerifyError> {
        if let Some(error) = self.ended() {
            return Poll::Ready(error);
        }
        let slot = match (&self.0.tie.waiting, part) {
            ([slot, _, _], Part::Request) | ([_, slot, _], Part::Response) | ([_, _, slot], Part::Upgrade) => slot,
        };
        let mut slot = slot.borrow_mut();
        if !slot.as_ref().is_some_and(|known| known.will_wake(context.waker())) {
            *slot = Some(context.waker().clone());
        }
        Poll::Pending
    }

    /// Waits for the token's end, on behalf of one part.
    pub(super) async fn end(&self, part: Part) -> VerifyError {
        poll_fn(|context| self.poll_end(part, context)).await
    }

    /// Notes that something was cut on account of the end.
    pub(super) fn note_cut(&self) {
        self.0.tie.cut.set(true);
    }

    /// Whether anything was.
    pub(super) fn was_cut(&self) -> bool {
        self.0.tie.cut.get()
    }
}

impl Tie {
    fn end(&self, error: VerifyError) {
        // Only one task judges, and it passes over what has ended.
        let _ = self.end.set(error);
        for slot in &self.waiting {
            let waker = slot.borrow_mut().take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let gone = self.home.ties.borrow_mut().remove(&self.number);
        drop(gone);
    }
}

impl fmt::Debug for Lifeline {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Lifeline").field("end", &self.0.tie.end).finish_non_exhaustive()
    }
}
