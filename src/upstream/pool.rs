//! Owns: the connections of one worker: idle HTTP/1.1 ones, the last used on top, and shared HTTP/2 ones.
//! Refuses: being shared between threads; more connections to an endpoint than it may have over all workers.
//! Always holds: an idle connection is closed when its idle timeout is over, up to a moment later; one that its endpoint closes or speaks
//! on is let go of at once, or a moment after its last use.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashSet},
    future::{Future, poll_fn},
    pin::pin,
    rc::{Rc, Weak},
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{
    select,
    sync::Notify,
    time::{Instant, sleep_until, timeout_at},
};

use super::{
    Limits, Upstreams,
    connect::{Agreed, ConnectError, connect},
    endpoint::{ConnectionSlot, Endpoint, Protocol},
    http1::Http1Connection,
    http2::SharedHttp2,
    lease::Lease,
    opening::{Opening, OpeningGuard, Outcome},
    outgoing::RequestBody,
    patience::Patience,
};

/// A connection is watched, and its idle time counted, from a moment after its last use: one that is used again at once costs nothing.
const MOMENT: Duration = Duration::from_secs(1);

/// How long a request waits for a connection that another worker keeps without using it. Closing one takes no time; whoever
/// waits longer waits for connections that are in use.
const RECALL_PATIENCE: Duration = Duration::from_millis(50);

/// The connections of one worker to all endpoints.
pub struct WorkerPools<B: RequestBody> {
    /// By the address of the endpoint, which the pool keeps alive and so unique.
    pools: RefCell<BTreeMap<*const Endpoint, Rc<EndpointPool<B>>>>,
    patience: Rc<Patience>,
}

/// The connections of one worker to one endpoint.
pub(super) struct EndpointPool<B: RequestBody> {
    endpoint: Arc<Endpoint>,
    idle: RefCell<Vec<IdleHttp1>>,
    /// Whether some of them are not watched yet, and who is woken when that becomes so.
    any_unwatched: Cell<bool>,
    watcher: Cell<Option<Waker>>,
    shared: RefCell<Vec<Rc<SharedHttp2<B>>>>,
    opening: RefCell<Option<Rc<Opening>>>,
    agreed: Cell<Option<Agreed>>,
    connections: Rc<Cell<usize>>,
    sweeping: Cell<bool>,
}

struct IdleHttp1 {
    connection: Rc<RefCell<Http1Connection>>,
    /// Set when it begins to be watched.
    expires: Option<Instant>,
}

/// One open connection of a pool; counted until it is dropped.
pub(super) struct Counted {
    connections: Rc<Cell<usize>>,
}

/// Why there is no connection.
#[derive(Clone, Debug)]
pub(super) enum AcquireError {
    /// All connections that may be open are.
    Saturated,
    /// None could be made.
    Connect(Arc<ConnectError>),
}

impl<B: RequestBody> WorkerPools<B> {
    /// No connections yet.
    #[must_use]
    pub fn new() -> Rc<Self> {
        Rc::new(Self { pools: RefCell::default(), patience: Patience::new() })
    }

    /// Lets go of the endpoints that are not in `upstreams`: their idle connections are closed, those in use when their exchange has
    /// ended. To be called by the worker when it first sees a new configuration.
    pub fn retain(&self, upstreams: &Upstreams) {
        let endpoints: Vec<Arc<Endpoint>> = upstreams.iter().flat_map(|upstream| upstream.endpoints()).collect();
        let known: HashSet<*const Endpoint> = endpoints.iter().map(Arc::as_ptr).collect();
        self.pools.borrow_mut().retain(|endpoint, _| known.contains(endpoint));
    }

    /// What the requests of the worker wait for their answers with.
    pub(super) const fn patience(&self) -> &Rc<Patience> {
        &self.patience
    }

    pub(super) fn of(&self, endpoint: &Arc<Endpoint>) -> Rc<EndpointPool<B>> {
        let mut pools = self.pools.borrow_mut();
        if let Some(pool) = pools.get(&Arc::as_ptr(endpoint)) {
            return Rc::clone(pool);
        }
        // A request of an old configuration may have made a pool after `retain`: it is forgotten here.
        pools.retain(|_, pool| Arc::strong_count(&pool.endpoint) > 1);
        let pool = Rc::new(EndpointPool::new(Arc::clone(endpoint)));
        pools.insert(Arc::as_ptr(endpoint), Rc::clone(&pool));
        pool
    }
}

impl<B: RequestBody> EndpointPool<B> {
    fn new(endpoint: Arc<Endpoint>) -> Self {
        Self {
            endpoint,
            idle: RefCell::default(),
            any_unwatched: Cell::new(false),
            watcher: Cell::new(None),
            shared: RefCell::default(),
            opening: RefCell::default(),
            agreed: Cell::new(None),
            connections: Rc::default(),
            sweeping: Cell::new(false),
        }
    }

    /// A connection that is there already, for one exchange. `fresh` passes over those that only one exchange at a time can use.
    pub(super) fn take(self: &Rc<Self>, limits: &Limits, fresh: bool) -> Option<Lease<B>> {
        if let Some(shared) = self.shared_with_room() {
            return Some(Lease::http2(shared, limits.idle_timeout, false));
        }
        let connection = if fresh { None } else { self.take_idle() }?;
        Some(Lease::http1(connection, Rc::clone(self), false))
    }

    /// A connection for one exchange, also if it has to be opened.
    pub(super) async fn acquire(self: &Rc<Self>, limits: &Limits, fresh: bool) -> Result<Lease<B>, AcquireError> {
        loop {
            if let Some(lease) = self.take(limits, fresh) {
                return Ok(lease);
            }
            if !self.may_be_shared() {
                return self.open(limits).await;
            }
            // Requests that can share a connection do not open one each.
            let opening = self.opening.borrow().clone();
            let Some(opening) = opening else {
                let guard = OpeningGuard::announce(&self.opening);
                let opened = self.open(limits).await;
                guard.end(opened.as_ref().map_or_else(|error| Outcome::Failed(error.clone()), |_| Outcome::Opened));
                return opened;
            };
            if let Outcome::Failed(error) = opening.outcome().await {
                return Err(error);
            }
        }
    }

    /// Keeps a connection whose exchange has ended in good order, unless its endpoint has left meanwhile.
    pub(super) fn keep(&self, connection: Rc<RefCell<Http1Connection>>) {
        if self.endpoint.has_left() || !connection.borrow().is_clean() {
            return;
        }
        self.idle.borrow_mut().push(IdleHttp1 { connection, expires: None });
        if !self.any_unwatched.replace(true)
            && let Some(watcher) = self.watcher.take()
        {
            watcher.wake();
        }
    }

    fn shared_with_room(&self) -> Option<Rc<SharedHttp2<B>>> {
        self.shared.borrow().iter().find(|shared| shared.has_room()).map(Rc::clone)
    }

    /// The connection used last, so that those not needed grow old.
    fn take_idle(&self) -> Option<Rc<RefCell<Http1Connection>>> {
        self.idle.borrow_mut().pop().map(|entry| entry.connection)
    }

    /// Whether a connection to the endpoint is, or may turn out to be, one for many requests.
    fn may_be_shared(&self) -> bool {
        match self.endpoint.protocol() {
            Protocol::Http1 => false,
            Protocol::Http2 => true,
            Protocol::Auto => self.agreed.get() != Some(Agreed::Http1),
        }
    }

    async fn open(self: &Rc<Self>, limits: &Limits) -> Result<Lease<B>, AcquireError> {
        let slot = match self.endpoint.claim_connection(limits.max_connections) {
            Some(slot) => slot,
            None => self.recall(limits.max_connections).await.ok_or(AcquireError::Saturated)?,
        };
        let until = Instant::now() + limits.connect_timeout;
        let opened = timeout_at(until, self.establish(slot, limits.idle_timeout)).await;
        opened.unwrap_or(Err(ConnectError::Timeout(limits.connect_timeout))).map_err(|error| {
            self.endpoint.note_connect_failure();
            AcquireError::Connect(Arc::new(error))
        })
    }

    /// The right to a connection in place of one that some worker keeps without using it: as many as may be open are, but the
    /// bound is there to spare the endpoint, not to starve the workers that came late.
    async fn recall(&self, most: u32) -> Option<ConnectionSlot> {
        let until = Instant::now() + RECALL_PATIENCE;
        loop {
            let mut closed = pin!(self.endpoint.closed());
            // Listening before looking: what is closed in between is not missed.
            closed.as_mut().enable();
            if let Some(slot) = self.endpoint.claim_connection(most) {
                return Some(slot);
            }
            self.endpoint.recall_idle();
            timeout_at(until, closed).await.ok()?;
        }
    }

    async fn establish(
        self: &Rc<Self>,
        slot: ConnectionSlot,
        idle_timeout: Duration,
    ) -> Result<Lease<B>, ConnectError> {
        let (stream, agreed) = connect(&self.endpoint, slot).await?;
        self.agreed.set(Some(agreed));
        let lease = match agreed {
            Agreed::Http1 => {
                let connection = Http1Connection::new(stream, self.counted());
                Lease::http1(Rc::new(RefCell::new(connection)), Rc::clone(self), true)
            }
            Agreed::Http2 => {
                let (shared, driver) = SharedHttp2::begin(stream).await.map_err(ConnectError::Handshake)?;
                if !self.endpoint.has_left() {
                    self.shared.borrow_mut().push(Rc::clone(&shared));
                }
                self.drive(driver);
                Lease::http2(shared, idle_timeout, true)
            }
        };
        self.begin_sweeping(idle_timeout);
        Ok(lease)
    }

    /// Runs a connection to its end, and then forgets it.
    fn drive(self: &Rc<Self>, connection: impl Future<Output = hyper::Result<()>> + 'static) {
        let counted = self.counted();
        let pool = Rc::downgrade(self);
        let endpoint = Arc::clone(self.endpoint.label());
        drop(tokio::task::spawn_local(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%endpoint, error = &error as &dyn std::error::Error, "an upstream connection failed");
            }
            drop(counted);
            if let Some(pool) = pool.upgrade() {
                pool.shared.borrow_mut().retain(|shared| !shared.is_closed());
            }
        }));
    }

    fn counted(&self) -> Counted {
        self.connections.set(self.connections.get() + 1);
        Counted { connections: Rc::clone(&self.connections) }
    }

    /// Closes the connections that are watched and not at rest any more, and goes on watching the others.
    fn watch(&self, cx: &mut Context<'_>) {
        self.watcher.set(Some(cx.waker().clone()));
        let mut is_quiet =
            |connection: &RefCell<Http1Connection>| connection.borrow_mut().poll_disturbed(cx).is_pending();
        self.idle.borrow_mut().retain(|entry| entry.expires.is_none() || is_quiet(&entry.connection));
    }

    /// One task for all connections of the pool closes the idle ones in time; it ends when there are no connections.
    fn begin_sweeping(self: &Rc<Self>, idle_timeout: Duration) {
        if !self.sweeping.replace(true) {
            let recalled = Arc::clone(self.endpoint.recalled());
            drop(tokio::task::spawn_local(sweep(Rc::downgrade(self), idle_timeout, recalled)));
        }
    }

    /// Closes the connection that has been idle for longest, if any is idle.
    fn close_one_idle(&self) {
        let mut idle = self.idle.borrow_mut();
        if !idle.is_empty() {
            drop(idle.remove(0));
            return;
        }
        let mut shared = self.shared.borrow_mut();
        if let Some(unused) = shared.iter().position(|shared| shared.expires().is_some()) {
            drop(shared.remove(unused));
        }
    }

    /// Closes what has been idle for too long, and says when to look again. Of an endpoint that has left nothing is kept; what is
    /// in use is closed by its last user.
    fn close_expired(&self, now: Instant, idle_timeout: Duration) -> Option<Instant> {
        if self.endpoint.has_left() {
            self.idle.borrow_mut().clear();
            self.shared.borrow_mut().clear();
        }
        self.any_unwatched.set(false);
        self.idle.borrow_mut().retain_mut(|entry| {
            let expires = *entry.expires.get_or_insert_with(|| {
                entry.connection.borrow_mut().rest();
                now + idle_timeout
            });
            expires > now
        });
        self.shared.borrow_mut().retain(|shared| !shared.is_expired(now));
        if self.connections.get() == 0 {
            return None;
        }
        // What is in use now cannot expire before an idle timeout from now.
        let idle = self.idle.borrow().iter().filter_map(|entry| entry.expires).min();
        let shared = self.shared.borrow().iter().filter_map(|shared| shared.expires()).min();
        Some([idle, shared].into_iter().flatten().fold(now + idle_timeout, Instant::min))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.connections.set(self.connections.get().saturating_sub(1));
    }
}

async fn sweep<B: RequestBody>(pool: Weak<EndpointPool<B>>, idle_timeout: Duration, recalled: Arc<Notify>) {
    loop {
        let mut recall = pin!(recalled.notified());
        recall.as_mut().enable();
        let Some(strong) = pool.upgrade() else { return };
        let Some(next) = strong.close_expired(Instant::now(), idle_timeout) else {
            strong.sweeping.set(false);
            return;
        };
        drop(strong);
        // The pool is not kept alive by waiting for it.
        let mut timer = pin!(sleep_until(next));
        let mut is_told = false;
        let due = poll_fn(|cx| {
            let Some(strong) = pool.upgrade() else { return Poll::Ready(()) };
            strong.watch(cx);
            if strong.any_unwatched.get() && !is_told {
                is_told = true;
                timer.as_mut().reset(next.min(Instant::now() + MOMENT.min(idle_timeout)));
            }
            timer.as_mut().poll(cx)
        });
        select! {
            biased;
            () = recall => if let Some(strong) = pool.upgrade() {
                strong.close_one_idle();
            },
            () = due => {}
        }
    }
}
