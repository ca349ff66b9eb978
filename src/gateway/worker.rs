//! Owns: what one worker keeps from request to request.
//! Refuses: being shared between threads.
//! Always holds: the snapshot it gives out is the one in force when it is asked; giving it out touches nothing that another
//! core writes to, except right after a reload.

use std::{
    cell::{OnceCell, RefCell},
    fmt,
    ops::Deref,
    rc::Rc,
    sync::Arc,
};

use arc_swap::{ArcSwap, cache::Cache};

use super::{
    body::RequestBody,
    lifeline::{Lifeline, Lifelines},
    problems::Problems,
};
use crate::{
    auth::{VerifiedToken, WorkerTokenCache},
    clock::Clock,
    snapshot::{RouteIndex, Snapshot},
    telemetry::{AccessLog, RouteCounters, RouteMetrics, WorkerMetrics},
    upstream::WorkerPools,
};

/// What the workers of a process share.
#[derive(Clone)]
pub struct Shared {
    /// The snapshot in force.
    pub current: Arc<ArcSwap<Snapshot>>,
    /// Where lines about requests go.
    pub access_log: Arc<AccessLog>,
    /// What time it is.
    pub clock: Clock,
    /// The series of requests that match no route.
    pub unmatched: RouteMetrics,
}

/// One worker's own things.
pub(super) struct Worker {
    shared: Shared,
    metrics: Rc<WorkerMetrics>,
    unmatched: OnceCell<RouteCounters>,
    tokens: WorkerTokenCache,
    pools: Rc<WorkerPools<RequestBody>>,
    lifelines: Rc<Lifelines>,
    problems: Problems,
    cache: RefCell<Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>>>,
    /// The snapshot last given out.
    own: RefCell<Rc<InForce>>,
}

/// A snapshot as one worker counts it: cloning the `Rc` around it writes to no line that another core reads.
#[derive(Debug)]
pub(super) struct InForce {
    snapshot: Arc<Snapshot>,
    worker: Rc<WorkerMetrics>,
    /// What the worker counts of each route, once there was a request for it.
    counters: Box<[OnceCell<RouteCounters>]>,
}

impl InForce {
    fn new(snapshot: Arc<Snapshot>, worker: &Rc<WorkerMetrics>) -> Self {
        let counters = snapshot.routes.iter().map(|_| OnceCell::new()).collect();
        Self { snapshot, worker: Rc::clone(worker), counters }
    }

    /// What the worker counts of a route, whose index is one of this snapshot.
    pub(super) fn counters(&self, route: RouteIndex) -> Option<&RouteCounters> {
        let kept = self.counters.get(route.before())?;
        if kept.get().is_none() {
            // The cell is empty, so nothing is given back.
            let _ = kept.set(self.route(route)?.metrics().of(&self.worker));
        }
        kept.get()
    }
}

impl Deref for InForce {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.snapshot
    }
}

impl Worker {
    pub(super) fn new(shared: Shared, metrics: WorkerMetrics, tokens: WorkerTokenCache) -> Self {
        let (metrics, pools) = (Rc::new(metrics), WorkerPools::new());
        let own = Rc::new(InForce::new(shared.current.load_full(), &metrics));
        let cache = RefCell::new(Cache::new(Arc::clone(&shared.current)));
        let (lifelines, problems) = (Rc::default(), Problems::default());
        let unmatched = OnceCell::new();
        Self { shared, metrics, unmatched, tokens, pools, lifelines, problems, cache, own: RefCell::new(own) }
    }

    /// The snapshot in force.
    pub(super) fn snapshot(&self) -> Rc<InForce> {
        let mut cache = self.cache.borrow_mut();
        let current = cache.load();
        let mut own = self.own.borrow_mut();
        if !Arc::ptr_eq(current, &own.snapshot) {
            *own = Rc::new(InForce::new(Arc::clone(current), &self.metrics));
            self.pools.retain(&own.upstreams);
        }
        Rc::clone(&own)
    }

    pub(super) const fn metrics(&self) -> &Rc<WorkerMetrics> {
        &self.metrics
    }

    /// What this worker counts of requests that match no route.
    pub(super) fn unmatched(&self) -> &RouteCounters {
        self.unmatched.get_or_init(|| self.shared.unmatched.of(&self.metrics))
    }

    pub(super) fn access_log(&self) -> &AccessLog {
        &self.shared.access_log
    }

    pub(super) const fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    pub(super) const fn tokens(&self) -> &WorkerTokenCache {
        &self.tokens
    }

    pub(super) const fn problems(&self) -> &Problems {
        &self.problems
    }

    pub(super) const fn pools(&self) -> &Rc<WorkerPools<RequestBody>> {
        &self.pools
    }
}

impl Worker {
    /// Ties an exchange to its token.
    pub(super) fn tie(&self, token: &Arc<VerifiedToken>, snapshot: &Snapshot) -> Lifeline {
        self.lifelines.tie(token, &self.shared, &snapshot.issuers)
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Worker").finish_non_exhaustive()
    }
}
