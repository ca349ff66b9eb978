//! Owns: which listeners are bound, and the orders to the workers that follow from it.
//! Refuses: half a change: if one new address cannot be had, nothing is changed.
//! Always holds: a listener that stays is not touched but for its settings; a connection under way never notices.

use std::{
    net::{SocketAddr, TcpListener},
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{
    bind::{BindError, Sharing, bind},
    counters::WorkerCounters,
    listener::{Listener, Listeners},
    overload::Load,
};

/// What a worker is told to do.
pub(super) enum Order {
    /// Serve `listener` on `socket`.
    Listen { listener: Arc<Listener>, socket: TcpListener },
    /// Close `listener`, and wait so long for its connections.
    Close { listener: Arc<Listener>, grace_period: Duration },
    /// Let go of what only the configuration before needed.
    LookAgain,
    /// Close all of them, and end.
    Drain { grace_period: Duration },
}

/// A worker's end of its orders. Given to [`super::run_worker`].
#[derive(Debug)]
pub struct WorkerSeat {
    pub(super) orders: UnboundedReceiver<Order>,
    pub(super) counters: Arc<WorkerCounters>,
    pub(super) load: Arc<Load>,
}

/// The listeners of this process, bound, and its workers.
#[derive(Debug)]
pub struct Server {
    workers: Vec<Worker>,
    load: Arc<Load>,
    bound: Mutex<Vec<Bound>>,
}

/// What a change of listeners came to: names in the order of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Newly bound.
    pub added: Vec<Arc<str>>,
    /// Still bound, under other settings.
    pub changed: Vec<Arc<str>>,
    /// Closed; what is under way there is being finished.
    pub removed: Vec<Arc<str>>,
}

/// Sockets that are bound and not served yet. Dropping them gives the addresses back.
#[derive(Debug)]
pub struct Bindings {
    fresh: Vec<Binding>,
}

#[derive(Debug)]
struct Binding {
    listener: Arc<Listener>,
    local: SocketAddr,
    sockets: Vec<TcpListener>,
}

#[derive(Debug)]
struct Worker {
    orders: UnboundedSender<Order>,
    counters: Arc<WorkerCounters>,
}

#[derive(Debug)]
struct Bound {
    listener: Arc<Listener>,
    local: SocketAddr,
}

impl Server {
    /// A server of so many workers, and a seat for each of them. Nothing is bound yet.
    #[must_use]
    pub fn new(workers: NonZeroUsize) -> (Self, Vec<WorkerSeat>) {
        let counters: Box<[_]> = (0..workers.get()).map(|_| Arc::new(WorkerCounters::default())).collect();
        let load = Arc::new(Load::new(counters.clone()));
        let pair = |counters: Arc<WorkerCounters>| {
            let (sender, orders) = unbounded_channel();
            let seat = WorkerSeat { orders, counters: Arc::clone(&counters), load: Arc::clone(&load) };
            (Worker { orders: sender, counters }, seat)
        };
        let (workers, seats) = counters.into_iter().map(pair).unzip();
        (Self { workers, load, bound: Mutex::new(Vec::new()) }, seats)
    }

    /// Makes `listeners` the living ones: see [`Server::bind`] and [`Server::commit`].
    ///
    /// # Errors
    /// If an address cannot be bound. Then nothing has changed.
    pub fn apply(&self, listeners: &Listeners, grace_period: Duration) -> Result<Applied, BindError> {
        let bindings = self.bind(listeners)?;
        Ok(self.commit(listeners, bindings, grace_period))
    }

    /// Binds the addresses of `listeners` that are not bound yet. Nobody is answered there before [`Server::commit`].
    ///
    /// # Errors
    /// If one cannot be had. Then none is bound.
    pub fn bind(&self, listeners: &Listeners) -> Result<Bindings, BindError> {
        let bound = self.bound();
        let workers = NonZeroUsize::new(self.workers.len()).unwrap_or(NonZeroUsize::MIN);
        let mut fresh = Vec::new();
        for listener in listeners.iter() {
            if !bound.iter().any(|bound| Arc::ptr_eq(&bound.listener, listener)) {
                // A listener that only gets another name, or an address that includes the one before.
                let is_ours = |bound: &Bound| bound.local.port() == listener.address().port();
                let sharing = if bound.iter().any(is_ours) { Sharing::WithOurselves } else { Sharing::Exclusive };
                let (local, sockets) = bind(listener.name(), listener.address(), workers, sharing)?;
                fresh.push(Binding { listener: Arc::clone(listener), local, sockets });
            }
        }
        Ok(Bindings { fresh })
    }

    /// Serves what was bound for `listeners`, gives those that stay their compiled settings, and closes those that are gone,
    /// whose connections have `grace_period` to finish.
    pub fn commit(&self, listeners: &Listeners, bindings: Bindings, grace_period: Duration) -> Applied {
        let mut bound = self.bound();
        self.load.bound(listeners.bounds());
        let mut applied = Applied { changed: listeners.commit(), ..Applied::default() };
        for Binding { listener, local, sockets } in bindings.fresh {
            applied.added.push(Arc::clone(listener.name()));
            for (worker, socket) in self.workers.iter().zip(sockets) {
                worker.order(Order::Listen { listener: Arc::clone(&listener), socket });
            }
            bound.push(Bound { listener, local });
        }
        applied.changed.retain(|name| !applied.added.contains(name));
        bound.retain(|bound| {
            let stays = listeners.iter().any(|listener| Arc::ptr_eq(&bound.listener, listener));
            if !stays {
                applied.removed.push(Arc::clone(bound.listener.name()));
                for worker in &self.workers {
                    worker.order(Order::Close { listener: Arc::clone(&bound.listener), grace_period });
                }
            }
            stays
        });
        applied
    }

    /// Tells every worker that another configuration is in force: one without requests would not notice, and would keep
    /// alive what only the one before needed.
    pub fn look_again(&self) {
        for worker in &self.workers {
            worker.order(Order::LookAgain);
        }
    }

    /// Stops accepting, lets every worker finish what is under way for up to `grace_period`, and ends it.
    pub fn drain(&self, grace_period: Duration) {
        self.bound().clear();
        for worker in &self.workers {
            worker.order(Order::Drain { grace_period });
        }
    }

    /// The listeners that are bound now, each with the address that it has: of port 0, the one that the kernel chose.
    #[must_use]
    pub fn addresses(&self) -> Vec<(Arc<Listener>, SocketAddr)> {
        self.bound().iter().map(|bound| (Arc::clone(&bound.listener), bound.local)).collect()
    }

    /// The address at which a listener is bound.
    #[must_use]
    pub fn address_of(&self, name: &str) -> Option<SocketAddr> {
        self.bound().iter().find(|bound| &**bound.listener.name() == name).map(|bound| bound.local)
    }

    /// What each worker has in hand.
    pub fn workers(&self) -> impl Iterator<Item = &Arc<WorkerCounters>> {
        self.workers.iter().map(|worker| &worker.counters)
    }

    /// Requests under way on all workers.
    #[must_use]
    pub fn requests_under_way(&self) -> usize {
        self.load.requests_under_way()
    }

    /// Requests answered at the door so far, because the process had enough to do.
    #[must_use]
    pub fn requests_shed(&self) -> u64 {
        self.load.shed()
    }

    fn bound(&self) -> MutexGuard<'_, Vec<Bound>> {
        self.bound.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Worker {
    fn order(&self, order: Order) {
        // A worker that has ended has nothing left to be told.
        let _ = self.orders.send(order);
    }
}

impl std::fmt::Debug for Order {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Listen { listener, .. } => write!(formatter, "listen({})", listener.name()),
            Self::Close { listener, .. } => write!(formatter, "close({})", listener.name()),
            Self::LookAgain => formatter.write_str("look again"),
            Self::Drain { .. } => formatter.write_str("drain"),
        }
    }
}
