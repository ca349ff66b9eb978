//! Owns: counters that one worker writes and anybody reads.
//! Refuses: two writers: a worker's handle exists once and cannot be shared between threads.
//! Always holds: a shard is made when its worker first needs it, on cache lines of its own (by its alignment, or by its size and the
//! program's allocator).

use std::{
    cell::Cell,
    marker::PhantomData,
    rc::Rc,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{Samples, catalogue, decision::DecisionKeys};

/// One counter of one shard.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) const fn starting_at(count: u64) -> Self {
        Self(AtomicU64::new(count))
    }

    /// Adds without the cost of an atomic addition, since no one else writes.
    pub(super) fn add(&self, count: u64) {
        self.0.store(self.value().wrapping_add(count), Ordering::Relaxed);
    }

    pub(super) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A shard for each worker. Clones are the same shards.
#[derive(Debug)]
pub(super) struct Sharded<S> {
    // Allocated one by one: with 10,000 routes most shards are never needed.
    shards: Arc<[OnceLock<Arc<S>>]>,
}

impl<S> Clone for Sharded<S> {
    fn clone(&self) -> Self {
        Self { shards: Arc::clone(&self.shards) }
    }
}

impl<S: Default> Sharded<S> {
    pub(super) fn new(workers: usize) -> Self {
        Self { shards: (0..workers).map(|_| OnceLock::new()).collect() }
    }

    /// The shard that `worker` writes. There is one, unless the worker belongs to other metrics.
    pub(super) fn of(&self, worker: &WorkerMetrics) -> Option<&Arc<S>> {
        self.shards.get(worker.index).map(|shard| shard.get_or_init(Arc::default))
    }

    /// Whether there are other clones of it.
    pub(super) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.shards) > 1
    }

    /// The shards that have been needed so far.
    pub(super) fn iter(&self) -> impl Iterator<Item = &S> {
        self.shards.iter().filter_map(|shard| shard.get().map(|shard| &**shard))
    }
}

/// What a worker counts beside routes and upstreams.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct WorkerShard {
    began: Counter,
    ended: Counter,
}

/// One worker's right to count. There is one for each worker; it may move to the worker's thread but not be shared.
#[derive(Debug)]
pub struct WorkerMetrics {
    index: usize,
    workers: Sharded<WorkerShard>,
    decision_keys: DecisionKeys,
    not_shared: PhantomData<Cell<()>>,
}

impl WorkerMetrics {
    pub(super) fn new(index: usize, workers: Sharded<WorkerShard>) -> Self {
        Self { index, workers, decision_keys: DecisionKeys::default(), not_shared: PhantomData }
    }

    pub(super) const fn decision_keys(&self) -> &DecisionKeys {
        &self.decision_keys
    }
}

/// A request under way, counted until this is dropped.
#[derive(Debug)]
pub struct UnderWay {
    worker: Rc<WorkerMetrics>,
}

impl UnderWay {
    /// Counts a request that begins.
    #[must_use]
    pub fn begin(worker: &Rc<WorkerMetrics>) -> Self {
        if let Some(shard) = worker.workers.of(worker) {
            shard.began.add(1);
        }
        Self { worker: Rc::clone(worker) }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(shard) = self.worker.workers.of(&self.worker) {
            shard.ended.add(1);
        }
    }
}

pub(super) fn collect(workers: &Sharded<WorkerShard>, samples: &mut Samples) {
    // The ends are read first: a request that ends in between must not make the difference negative.
    let ended: u64 = workers.iter().map(|shard| shard.ended.value()).sum();
    let began: u64 = workers.iter().map(|shard| shard.began.value()).sum();
    samples.add(&catalogue::REQUESTS_UNDER_WAY, &[], began.saturating_sub(ended));
}
