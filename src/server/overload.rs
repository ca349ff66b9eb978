//! Owns: when the process has enough to do: requests under way on all workers, and workers that have fallen behind.
//! Refuses: a request that would only make everybody wait longer; it is answered at the door, before anything is verified.
//! Always holds: as long as a worker has less than its share of the requests, asking reads nothing that another core writes.

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
/// How many ticks in a row have to be late: one alone may be a burst, or the machine's doing.
const LATE_TICKS: u32 = 4;

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
    shed: AtomicU64,
}

/// One worker's look at it.
#[derive(Debug)]
pub(super) struct Gauge {
    load: Arc<Load>,
    own: Arc<WorkerCounters>,
    late_ticks: Cell<u32>,
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
        Self { max_requests, max_lateness_milliseconds, workers, shed: AtomicU64::new(0) }
    }

    /// Puts bounds in force.
    pub(super) fn bound(&self, bounds: Bounds) {
        self.max_requests.store(bounds.max_requests, Relaxed);
        let milliseconds = u64::try_from(bounds.max_lateness.as_millis()).unwrap_or(u64::MAX);
        self.max_lateness_milliseconds.store(milliseconds, Relaxed);
    }

    /// Requests answered at the door so far.
    pub(super) fn shed(&self) -> u64 {
        self.shed.load(Relaxed)
    }

    /// Requests under way on all workers.
    pub(super) fn requests_under_way(&self) -> usize {
        self.workers.iter().map(|worker| worker.requests_under_way()).sum()
    }

    fn has_too_many(&self, own: usize) -> bool {
        let most = self.max_requests.load(Relaxed);
        // While every worker has at most its share, there cannot be too many of all.
        own > most / self.workers.len().max(1) && self.requests_under_way() > most
    }

    fn is_too_late(&self, lateness: Duration) -> bool {
        lateness > Duration::from_millis(self.max_lateness_milliseconds.load(Relaxed))
    }
}

impl Gauge {
    pub(super) fn new(load: Arc<Load>, own: Arc<WorkerCounters>) -> Rc<Self> {
        Rc::new(Self { load, own, late_ticks: Cell::new(0) })
    }

    /// Whether a request that has just been counted is to be answered at the door; counts that it is.
    pub(super) fn sheds(&self) -> bool {
        let sheds = self.late_ticks.get() >= LATE_TICKS || self.load.has_too_many(self.own.requests_under_way());
        if sheds {
            self.load.shed.fetch_add(1, Relaxed);
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
        let before = self.late_ticks.get();
        let late_ticks = if self.load.is_too_late(lateness) { before.saturating_add(1) } else { 0 };
        self.late_ticks.set(late_ticks);
        match (before >= LATE_TICKS, late_ticks >= LATE_TICKS) {
            (false, true) => {
                tracing::warn!(
                    lateness_ms = lateness.as_millis(),
                    "a worker has fallen behind: requests are answered 503"
                );
            }
            (true, false) => tracing::info!("a worker has caught up"),
            _ => {}
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
        for _ in 0..4 {
            own.request_begun();
            assert!(!gauge.sheds(), "the others' share is free");
        }
        own.request_begun();
        assert!(gauge.sheds());
        own.request_ended();
        other.request_begun();
        assert!(gauge.sheds());
        other.request_ended();
        assert!(!gauge.sheds());
        assert_eq!(load.shed(), 2);
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
        for _ in 1..LATE_TICKS {
            gauge.note(Duration::from_millis(150));
        }
        assert!(!gauge.sheds(), "not yet");
        gauge.note(Duration::from_millis(150));
        assert!(gauge.sheds());
        gauge.note(Duration::from_millis(100));
        assert!(!gauge.sheds());
        gauge.note(Duration::from_millis(150));
        assert!(!gauge.sheds(), "one late tick is none");
    }
}
