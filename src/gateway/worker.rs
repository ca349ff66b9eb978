//! Owns: what one worker keeps from request to request.
//! Refuses: being shared between threads.
//! Always holds: the snapshot it gives out is the one in force when it is asked; giving it out touches nothing that another
//! core writes to, except right after a reload.

use std::{cell::RefCell, fmt, ops::Deref, rc::Rc, sync::Arc};

use arc_swap::{ArcSwap, cache::Cache};

use super::{
    body::RequestBody,
    lifeline::{Lifeline, Lifelines},
    problems::Problems,
};
use crate::{
    auth::{VerifiedToken, WorkerTokenCache},
    clock::Clock,
    snapshot::Snapshot,
    telemetry::{AccessLog, RouteMetrics, WorkerMetrics},
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
pub(super) struct InForce(Arc<Snapshot>);

impl Deref for InForce {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.0
    }
}

impl Worker {
    pub(super) fn new(shared: Shared, metrics: WorkerMetrics, tokens: WorkerTokenCache) -> Self {
        let own = Rc::new(InForce(shared.current.load_full()));
        let cache = RefCell::new(Cache::new(Arc::clone(&shared.current)));
        let (metrics, pools) = (Rc::new(metrics), WorkerPools::new());
        let (lifelines, problems) = (Rc::default(), Problems::default());
        Self { shared, metrics, tokens, pools, lifelines, problems, cache, own: RefCell::new(own) }
    }

    /// The snapshot in force.
    pub(super) fn snapshot(&self) -> Rc<InForce> {
        let mut cache = self.cache.borrow_mut();
        let current = cache.load();
        let mut own = self.own.borrow_mut();
        if !Arc::ptr_eq(current, &own.0) {
            *own = Rc::new(InForce(Arc::clone(current)));
            self.pools.retain(&own.upstreams);
        }
        Rc::clone(&own)
    }

    pub(super) const fn metrics(&self) -> &Rc<WorkerMetrics> {
        &self.metrics
    }

    pub(super) const fn unmatched(&self) -> &RouteMetrics {
        &self.shared.unmatched
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
