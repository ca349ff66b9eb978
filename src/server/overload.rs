//! Owns: when the process has enough to do: requests under way on all workers, and workers that have fallen behind.
//! Refuses: a request that would only make everybody wait longer; it is answered at the door, before anything is verified.
//! Always holds: as long as a worker has little to do, asking reads nothing that another core writes; what only waits for a slow
//! reader does not count, so that nobody can fill the process by not reading.

use std::{
    cell::Cell,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use super::counters::WorkerCounters;
use crate::{
    config::ProcessConfig,
    diagnostic::{Diagnostics, KeyPath},
};

/// How often a worker looks at how late it is.
const TICK: Duration = Duration::from_millis(50);
/// How many ticks in a row have to be late, or in time again: one alone may be a burst, or the machine's doing.
const TICKS: u32 = 2;
/// A worker with less than this part of its share of the requests does not look at what the others have.
const PART: usize = 4;

/// How much is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    max_requests: usize,
    max_lateness: Duration,
}

/// What all workers know of the load.
#[derive(Debug)]
pub(super) struct Load {
    max_requests: AtomicUsize,
    max_lateness_milliseconds: AtomicU64,
    workers: Box<[Arc<WorkerCounters>]>,
}

/// One worker's look at it.
#[derive(Debug)]
pub(super) struct Gauge {
    load: Arc<Load>,
    own: Arc<WorkerCounters>,
    /// How many ticks in a row said otherwise than `is_late`.
    ticks: Cell<u32>,
    is_late: Cell<bool>,
    is_full: Cell<bool>,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { max_requests: usize::MAX, max_lateness: Duration::MAX }
    }
}

impl Bounds {
    pub(super) fn compile(raw: &ProcessConfig, diagnostics: &mut Diagnostics) -> Option<Self> {
        let path = KeyPath::of(&["process"]);
        let before = diagnostics.error_count();
        if raw.max_requests == 0 {
            let remedy = "write a number of at least 1, or take the key out for the default";
            diagnostics.error(&path.key("max_requests"), "with `max_requests = 0` nothing would be answered", remedy);
        }
        if raw.max_lateness.0 < TICK {
            let message = format!("`max_lateness` cannot be {}: a busy worker is often that late", raw.max_lateness);
            diagnostics.error(&path.key("max_lateness"), message, "write a duration of at least \"50ms\", like \"1s\"");
        }
        let max_requests = usize::try_from(raw.max_requests).unwrap_or(usize::MAX);
        (diagnostics.error_count() == before).then_some(Self { max_requests, max_lateness: raw.max_lateness.0 })
    }
}

impl Load {
    pub(super) fn new(workers: Box<[Arc<WorkerCounters>]>) -> Self {
        let (max_requests, max_lateness_milliseconds) = (AtomicUsize::new(usize::MAX), AtomicU64::new(u64::MAX));
        Self { max_requests, max_lateness_milliseconds, workers }
    }

    /// Puts bounds in force.
    pub(super) fn bound(&self, bounds: Bounds) {
        self.max_requests.store(bounds.max_requests, Relaxed);
        let milliseconds = u64::try_from(bounds.max_lateness.as_millis()).unwrap_or(u64::MAX);
        self.max_lateness_milliseconds.store(milliseconds, Relaxed);
    }

    /// Requests answered at the door so far.
    pub(super) fn shed(&self) -> u64 {
        self.workers.iter().map(|worker| worker.requests_shed()).sum()
    }

    /// Requests under way on all workers.
    pub(super) fn requests_under_way(&self) -> usize {
        self.workers.iter().map(|worker| worker.requests_under_way()).sum()
    }

    /// Whether one more is too many, for a worker that has `own` in hand. What workers have who have little is not looked at, so that
    /// there may be a quarter more than the bound.
    fn is_full(&self, own: usize) -> bool {
        let most = self.max_requests.load(Relaxed);
        let parts = self.workers.len().saturating_mul(PART).max(1);
        own >= most / parts && self.workers.iter().map(|worker| worker.requests_in_hand()).sum::<usize>() >= most
    }

    fn max_lateness(&self) -> Duration {
        Duration::from_millis(self.max_lateness_milliseconds.load(Relaxed))
    }
}

impl Gauge {
    pub(super) fn new(load: Arc<Load>, own: Arc<WorkerCounters>) -> Rc<Self> {
        let (ticks, is_late, is_full) = (Cell::new(0), Cell::new(false), Cell::new(false));
        Rc::new(Self { load, own, ticks, is_late, is_full })
    }

    /// Whether one more request is to be answered at the door; counts that it is.
    pub(super) fn sheds(&self) -> bool {
        let is_full = self.load.is_full(self.own.requests_in_hand());
        if is_full && !self.is_full.replace(true) {
            tracing::warn!("`process.max_requests` are under way: further requests are answered 503");
        }
        let sheds = is_full || self.is_late.get();
        if sheds {
            self.own.request_shed();
        }
        sheds
    }

    /// Looks again and again at how late the worker is. To be run beside what it does; never ends.
    pub(super) async fn watch(&self) {
        loop {
            let due = Instant::now() + TICK;
            sleep_until(due).await;
            self.note(due.elapsed());
        }
    }

    fn note(&self, lateness: Duration) {
        if self.is_full.get() && !self.load.is_full(self.own.requests_in_hand()) {
            self.is_full.set(false);
            tracing::info!("there is room for requests again");
        }
        let (is_late, most) = (self.is_late.get(), self.load.max_lateness());
        // In time again is less than half as late: else it would be late again with the next request.
        let says_otherwise = if is_late { lateness <= most / 2 } else { lateness > most };
        let ticks = if says_otherwise { self.ticks.get().saturating_add(1) } else { 0 };
        self.ticks.set(ticks);
        if ticks < TICKS {
            return;
        }
        self.ticks.set(0);
        self.is_late.set(!is_late);
        if is_late {
            tracing::info!("a worker has caught up");
        } else {
            tracing::warn!(lateness_ms = lateness.as_millis(), "a worker has fallen behind: requests are answered 503");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(bounds: Bounds) -> (Arc<Load>, [Arc<WorkerCounters>; 2]) {
        let workers = [Arc::new(WorkerCounters::default()), Arc::new(WorkerCounters::default())];
        let load = Arc::new(Load::new(Box::new(workers.clone())));
        load.bound(bounds);
        (load, workers)
    }

    #[test]
    fn so_many_over_all_workers_and_not_one_more() {
        let (load, [own, other]) = load(Bounds { max_requests: 4, max_lateness: Duration::from_secs(1) });
        let gauge = Gauge::new(Arc::clone(&load), Arc::clone(&own));
        let others = Gauge::new(Arc::clone(&load), Arc::clone(&other));
        for _ in 0..4 {
            assert!(!gauge.sheds() && !others.sheds(), "the others' share is free");
            own.request_taken_up();
        }
        assert!(gauge.sheds() && others.sheds());
        own.request_done_with();
        other.request_taken_up();
        assert!(gauge.sheds() && others.sheds());
        other.request_done_with();
        assert!(!gauge.sheds() && !others.sheds());
        assert_eq!(load.shed(), 4);
    }

    #[test]
    fn a_worker_with_little_to_do_does_not_look_at_the_others() {
        let (load, [own, other]) = load(Bounds { max_requests: 800, max_lateness: Duration::from_secs(1) });
        (0..800).for_each(|_| other.request_taken_up());
        let gauge = Gauge::new(load, Arc::clone(&own));
        (0..100).for_each(|_| {
            assert!(!gauge.sheds());
            own.request_taken_up();
        });
        assert!(gauge.sheds(), "a quarter of its share is not little");
    }

    #[tokio::test]
    async fn a_worker_whose_tasks_do_not_let_go_is_late() {
        let (load, [own, _]) = load(Bounds { max_requests: 100, max_lateness: Duration::from_millis(60) });
        let gauge = Gauge::new(load, own);
        let busy = async {
            while !gauge.sheds() {
                std::thread::sleep(Duration::from_millis(300));
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            () = gauge.watch() => {}
            () = busy => {}
        }
    }

    #[test]
    fn a_worker_that_stays_behind_sheds_until_it_has_caught_up() {
        let (load, [own, _]) = load(Bounds { max_requests: 100, max_lateness: Duration::from_millis(100) });
        let gauge = Gauge::new(load, own);
        // What a tick says, and whether requests are shed after it.
        for (lateness, sheds) in [(150, false), (90, false), (150, false), (150, true), (60, true), (40, true)] {
            gauge.note(Duration::from_millis(lateness));
            assert_eq!(gauge.sheds(), sheds, "{lateness}");
        }
        gauge.note(Duration::from_millis(60));
        gauge.note(Duration::from_millis(40));
        assert!(gauge.sheds(), "in time twice in a row");
        gauge.note(Duration::from_millis(40));
        assert!(!gauge.sheds());
    }
}
