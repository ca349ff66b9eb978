//! Owns: until when the requests of one worker wait for the heads of their answers: one timer for all of them.
//! Refuses: a timer for each request. Nearly every answer comes long before anybody loses patience; entering a timer of its own and taking
//! it out again was 650 of a request's 41,000 instructions.
//! Always holds: whoever waits for too long is woken, [`COARSENESS`] late at most; nothing is timed while nobody waits.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    mem,
    pin::pin,
    rc::{Rc, Weak},
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// The least time between two looks at all who wait.
const COARSENESS: Duration = Duration::from_millis(10);

/// Who waits, on one worker.
pub(super) struct Patience {
    places: RefCell<Places>,
    /// When all places are looked at next; nothing as long as no task does that.
    next_look: Cell<Option<Instant>>,
    /// The task that looks, to be woken when it has to look earlier.
    looker: Cell<Option<Waker>>,
}

#[derive(Default)]
struct Places {
    all: Vec<Place>,
    /// Which of them are free.
    free: Vec<usize>,
}

enum Place {
    Free,
    Waiting { until: Instant, waker: Waker },
    Over,
}

/// One wait for an answer.
pub(super) struct Wait<'a> {
    patience: &'a Rc<Patience>,
    until: Instant,
    /// Since it was first asked.
    place: Option<usize>,
}

impl Patience {
    pub(super) fn new() -> Rc<Self> {
        Rc::new(Self { places: RefCell::default(), next_look: Cell::new(None), looker: Cell::new(None) })
    }

    /// Waits until then.
    pub(super) const fn until(self: &Rc<Self>, until: Instant) -> Wait<'_> {
        Wait { patience: self, until, place: None }
    }

    /// Sees to it that there is a look at `until`.
    fn look_at(self: &Rc<Self>, until: Instant) {
        match self.next_look.get() {
            Some(next) if next <= until => {}
            Some(_) => {
                self.next_look.set(Some(until));
                if let Some(looker) = self.looker.take() {
                    looker.wake();
                }
            }
            None => {
                self.next_look.set(Some(until));
                drop(tokio::task::spawn_local(look(Rc::downgrade(self))));
            }
        }
    }

    /// Wakes those whose time is over, and says when the time of the next one is.
    fn wake_late(&self, now: Instant) -> Option<Instant> {
        let mut places = self.places.borrow_mut();
        if places.free.len() == places.all.len() {
            // What many have needed at a time is not kept for nobody.
            *places = Places::default();
            return None;
        }
        let mut next: Option<Instant> = None;
        for place in &mut places.all {
            let Place::Waiting { until, .. } = place else { continue };
            let until = *until;
            if until > now {
                next = Some(next.map_or(until, |next| next.min(until)));
            } else if let Place::Waiting { waker, .. } = mem::replace(place, Place::Over) {
                waker.wake();
            }
        }
        // Those who are over have gone at the next look, or wait for longer.
        next.or(Some(now))
    }
}

impl Wait<'_> {
    /// Ready when the time is over.
    pub(super) fn poll_over(&mut self, context: &Context<'_>) -> Poll<()> {
        let Some(place) = self.place else {
            self.begin(context.waker().clone());
            return Poll::Pending;
        };
        match self.patience.places.borrow_mut().all.get_mut(place) {
            Some(Place::Waiting { waker, .. }) => {
                waker.clone_from(context.waker());
                Poll::Pending
            }
            Some(Place::Free | Place::Over) | None => Poll::Ready(()),
        }
    }

    /// Waits until then instead.
    pub(super) fn extend(&mut self, until: Instant) {
        self.end();
        self.until = until;
    }

    fn begin(&mut self, waker: Waker) {
        let place = Place::Waiting { until: self.until, waker };
        self.place = Some(self.patience.places.borrow_mut().enter(place));
        self.patience.look_at(self.until);
    }

    fn end(&mut self) {
        if let Some(place) = self.place.take() {
            let left = self.patience.places.borrow_mut().leave(place);
            drop(left);
        }
    }
}

impl Places {
    fn enter(&mut self, place: Place) -> usize {
        if let Some(index) = self.free.pop()
            && let Some(free) = self.all.get_mut(index)
        {
            *free = place;
            return index;
        }
        self.all.push(place);
        self.all.len() - 1
    }

    fn leave(&mut self, index: usize) -> Option<Place> {
        let place = self.all.get_mut(index)?;
        self.free.push(index);
        Some(mem::replace(place, Place::Free))
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

/// Looks after those who wait, until nobody does.
async fn look(patience: Weak<Patience>) {
    loop {
        let Some(strong) = patience.upgrade() else { return };
        let now = Instant::now();
        let next = strong.wake_late(now).map(|next| next.max(now + COARSENESS));
        strong.next_look.set(next);
        let Some(mut next) = next else { return };
        drop(strong);
        let mut timer = pin!(sleep_until(next));
        poll_fn(|context| {
            // Nobody is waited for on behalf of a worker that is gone.
            let Some(patience) = patience.upgrade() else { return Poll::Ready(()) };
            patience.looker.set(Some(context.waker().clone()));
            if let Some(earlier) = patience.next_look.get().filter(|look| *look < next) {
                next = earlier.max(now + COARSENESS);
                timer.as_mut().reset(next);
            }
            timer.as_mut().poll(context)
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, future::join_all};
    use tokio::task::LocalSet;

    use super::*;

    /// How late it was when the wait was over.
    async fn wait_for(patience: &Rc<Patience>, duration: Duration) -> Duration {
        let until = Instant::now() + duration;
        let mut wait = patience.until(until);
        poll_fn(|context| wait.poll_over(context)).await;
        Instant::now() - until
    }

    #[tokio::test(start_paused = true)]
    async fn everybody_is_woken_in_time_and_nobody_before() {
        let patience = Patience::new();
        let durations = [5000, 20, 300, 301, 310, 0, 5001, 20].map(Duration::from_millis);
        let waits = join_all(durations.map(|duration| wait_for(&patience, duration)));
        let late = LocalSet::new().run_until(waits).await;
        // A timer of the runtime's is up to a millisecond late.
        assert!(late.iter().all(|late| *late <= COARSENESS + Duration::from_millis(2)), "{late:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_less_than_those_before_is_woken_in_time() {
        let patience = Patience::new();
        let waits = async {
            let mut first = Box::pin(wait_for(&patience, Duration::from_secs(5)));
            assert!(first.as_mut().now_or_never().is_none());
            // The task that looks sleeps by now, until that one is over.
            tokio::time::sleep(Duration::from_millis(100)).await;
            let late = wait_for(&patience, Duration::from_millis(20)).await;
            assert!(late <= COARSENESS + Duration::from_millis(2), "{late:?}");
            assert!(first.await <= COARSENESS + Duration::from_millis(2));
        };
        LocalSet::new().run_until(waits).await;
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_longer_is_woken_later() {
        let patience = Patience::new();
        let waits = async {
            let began = Instant::now();
            let mut wait = patience.until(began + Duration::from_millis(100));
            poll_fn(|context| wait.poll_over(context)).await;
            assert!(poll_fn(|context| wait.poll_over(context)).now_or_never().is_some(), "it stays over");
            wait.extend(began + Duration::from_secs(1));
            poll_fn(|context| wait.poll_over(context)).await;
            assert!(Instant::now() - began >= Duration::from_secs(1));
        };
        LocalSet::new().run_until(waits).await;
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_in_time_leaves_nothing() {
        let patience = Patience::new();
        let tasks = LocalSet::new();
        tasks
            .run_until(async {
                let until = Instant::now() + Duration::from_secs(1);
                let mut waits: Vec<Wait<'_>> = (0..100).map(|_| patience.until(until)).collect();
                for wait in &mut waits {
                    assert_eq!(poll_fn(|context| Poll::Ready(wait.poll_over(context))).await, Poll::Pending);
                }
                drop(waits.split_off(1));
                assert_eq!(patience.places.borrow().free.len(), 99);
                let mut again = patience.until(until);
                assert_eq!(poll_fn(|context| Poll::Ready(again.poll_over(context))).await, Poll::Pending);
                assert_eq!(patience.places.borrow().all.len(), 100, "places are used again");
            })
            .await;
        // The task that looks has nothing more to look at, and ends.
        tasks.await;
        assert_eq!(patience.places.borrow().all.capacity(), 0);
        assert_eq!(patience.next_look.get(), None);
    }
}
