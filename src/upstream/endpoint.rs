//! Owns: one address of an upstream and what is counted about it.
//! Refuses: keeping connections: those belong to a worker's pool.
//! Always holds: the counts are those of all workers together, and outlive a reload that leaves the endpoint as it is.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{
            AtomicU64, AtomicUsize,
            Ordering::{Relaxed, SeqCst},
        },
    },
};

use http::uri::Authority;
use rustls::pki_types::ServerName;
use tokio::sync::{Notify, futures::Notified};

use super::{
    address::{Address, Host},
    availability::Availability,
    health::AnswerCounts,
    room::Room,
    tls::TlsClient,
};

/// The protocol spoken to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2; in clear with prior knowledge (RFC 9113 section 3.3).
    Http2,
    /// Whichever of the two TLS agrees on by ALPN (RFC 7301).
    Auto,
}

/// One address of an upstream.
#[derive(Debug)]
pub struct Endpoint {
    label: Arc<str>,
    description: Description,
    ip: IpAddr,
    counters: Counters,
    /// Told when a request has ended or a connection was closed, for those who wait for room at any endpoint of the upstream.
    room: Arc<Room>,
    availability: Availability,
    answers: AnswerCounts,
    /// In how many lists of endpoints it stands.
    lists: AtomicUsize,
    /// Told when a connection is closed, for those who may open none before.
    closed: Notify,
    /// Told when a worker may open no connection while others may keep some that they do not use, and when the endpoint has left.
    recalled: Arc<Notify>,
}

/// What an endpoint is written as. The addresses of a name have it in common.
#[derive(Clone, Debug)]
pub(super) struct Description {
    pub(super) address: Address,
    /// Host and port as an authority (RFC 3986 section 3.2), for requests that bring none.
    pub(super) authority: Authority,
    pub(super) protocol: Protocol,
    pub(super) tls: Option<EndpointTls>,
}

/// How an endpoint is spoken to over TLS.
#[derive(Clone, Debug)]
pub(super) struct EndpointTls {
    pub(super) client: Arc<TlsClient>,
    pub(super) server_name: ServerName<'static>,
}

/// What was counted about an endpoint so far, by all workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndpointCounts {
    /// Requests that had a connection to it, whatever became of them.
    pub requests: u64,
    /// Requests that are with it at this moment.
    pub requests_under_way: usize,
    /// Sockets that are open to it, or being opened, at this moment.
    pub connections_open: usize,
    /// Connections that could not be made.
    pub connect_failures: u64,
    /// Kept connections that turned out to be closed before anything was sent on them, and were replaced.
    pub stale_connections: u64,
}

/// Alone on its cache line, so that endpoints do not slow each other down.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Counters {
    requests: AtomicU64,
    under_way: AtomicUsize,
    connections: AtomicUsize,
    connect_failures: AtomicU64,
    stale: AtomicU64,
}

/// One request that is with an endpoint; counted until it is dropped.
#[derive(Debug)]
pub(super) struct UnderWay {
    endpoint: Arc<Endpoint>,
    /// How many may be; `u32::MAX` for no bound. Small, since each answer's body carries one.
    most: u32,
    has_connection: bool,
}

/// The right to one open connection; counted until it is dropped.
#[derive(Debug)]
pub(super) struct ConnectionSlot {
    endpoint: Arc<Endpoint>,
}

impl Description {
    /// Whether both describe the same.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let same_tls = match (&self.tls, &other.tls) {
            (None, None) => true,
            (Some(ours), Some(theirs)) => {
                ours.server_name == theirs.server_name && ours.client.digest() == theirs.client.digest()
            }
            (None, Some(_)) | (Some(_), None) => false,
        };
        self.address == other.address && self.protocol == other.protocol && same_tls
    }
}

impl Endpoint {
    /// What is described, at `ip`: the address that is written, or one that the name stands for.
    pub(super) fn new(description: Description, ip: IpAddr, room: Arc<Room>) -> Arc<Self> {
        let label = match &description.address.host {
            Host::Ip(_) => Arc::from(description.address.to_string()),
            Host::Name(name) => Arc::from(format!("{name}@{}", SocketAddr::new(ip, description.address.port))),
        };
        let (closed, recalled) = (Notify::new(), Arc::new(Notify::new()));
        Arc::new(Self {
            label,
            description,
            ip,
            counters: Counters::default(),
            room,
            availability: Availability::default(),
            answers: AnswerCounts::default(),
            lists: AtomicUsize::new(0),
            closed,
            recalled,
        })
    }

    /// Its address and port, as logs and metrics call it; behind `name@` if it was found by name.
    #[must_use]
    pub const fn label(&self) -> &Arc<str> {
        &self.label
    }

    /// What was counted about it so far.
    #[must_use]
    pub fn counts(&self) -> EndpointCounts {
        EndpointCounts {
            requests: self.counters.requests.load(Relaxed),
            requests_under_way: self.requests_under_way(),
            connections_open: self.counters.connections.load(Relaxed),
            connect_failures: self.counters.connect_failures.load(Relaxed),
            stale_connections: self.counters.stale.load(Relaxed),
        }
    }

    /// How often it was left alone for failing requests.
    #[must_use]
    pub fn ejections(&self) -> u64 {
        self.availability.ejections()
    }

    /// The answers to its health checks so far, by how they were.
    pub fn health_checks(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.answers.iter()
    }

    pub(super) const fn availability(&self) -> &Availability {
        &self.availability
    }

    pub(super) const fn answers(&self) -> &AnswerCounts {
        &self.answers
    }

    pub(super) const fn address(&self) -> &Address {
        &self.description.address
    }

    /// Where it is connected to.
    pub(super) const fn socket(&self) -> SocketAddr {
        SocketAddr::new(self.ip, self.description.address.port)
    }

    /// The address that it is connected to by.
    pub(super) const fn ip(&self) -> IpAddr {
        self.ip
    }

    /// Host and port as an authority (RFC 3986 section 3.2), for requests that bring none.
    pub(super) const fn authority(&self) -> &Authority {
        &self.description.authority
    }

    pub(super) const fn protocol(&self) -> Protocol {
        self.description.protocol
    }

    pub(super) const fn tls(&self) -> Option<&EndpointTls> {
        self.description.tls.as_ref()
    }

    pub(super) const fn description(&self) -> &Description {
        &self.description
    }

    /// It stands in one more list of endpoints to choose from.
    pub(super) fn enter_list(&self) {
        self.lists.fetch_add(1, Relaxed);
    }

    /// It stands in one list less. When that was the last, workers are told to close the connections that they do not use; ordered
    /// before the telling, so that a worker which begins to listen after it knows.
    pub(super) fn leave_list(&self) {
        if self.lists.fetch_sub(1, SeqCst) == 1 {
            self.recalled.notify_waiters();
        }
    }

    /// Whether it stands in no list any more: what is with it goes on, and nothing more is kept for it.
    pub(super) fn has_left(&self) -> bool {
        self.lists.load(SeqCst) == 0
    }

    pub(super) fn requests_under_way(&self) -> usize {
        self.counters.under_way.load(Relaxed)
    }

    /// Counts a request until the answer is dropped, unless `most` are under way.
    pub(super) fn begin_request(self: &Arc<Self>, most: Option<u32>) -> Option<UnderWay> {
        let most = most.unwrap_or(u32::MAX);
        if most == u32::MAX {
            self.counters.under_way.fetch_add(1, Relaxed);
        } else {
            let one_more = |under_way: usize| (under_way < most as usize).then(|| under_way.saturating_add(1));
            self.counters.under_way.fetch_update(SeqCst, SeqCst, one_more).ok()?;
        }
        Some(UnderWay { endpoint: Arc::clone(self), most, has_connection: false })
    }

    /// The right to one more connection, unless `most` are open.
    pub(super) fn claim_connection(self: &Arc<Self>, most: u32) -> Option<ConnectionSlot> {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let one_more = |open: usize| (open < most).then(|| open.saturating_add(1));
        self.counters.connections.fetch_update(SeqCst, SeqCst, one_more).ok()?;
        Some(ConnectionSlot { endpoint: Arc::clone(self) })
    }

    /// Wakes when a connection has been closed.
    pub(super) fn closed(&self) -> Notified<'_> {
        self.closed.notified()
    }

    /// Asks every worker to close a connection that it keeps without using it.
    pub(super) fn recall_idle(&self) {
        self.recalled.notify_waiters();
    }

    /// What is told of each [`Endpoint::recall_idle`].
    pub(super) const fn recalled(&self) -> &Arc<Notify> {
        &self.recalled
    }

    /// Where requests wait for room at any endpoint of the upstream.
    pub(super) const fn room(&self) -> &Arc<Room> {
        &self.room
    }

    pub(super) fn note_connect_failure(&self) {
        self.counters.connect_failures.fetch_add(1, Relaxed);
    }

    pub(super) fn note_stale_connection(&self) {
        self.counters.stale.fetch_add(1, Relaxed);
    }
}

impl UnderWay {
    /// Notes that it has a connection.
    pub(super) fn note_connection(&mut self) {
        if !self.has_connection {
            self.has_connection = true;
            self.endpoint.counters.requests.fetch_add(1, Relaxed);
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        // Ordered before the look at who waits: whoever found no room before is woken.
        let under_way = self.endpoint.counters.under_way.fetch_sub(1, SeqCst);
        // One that had no connection makes no room by leaving, unless it was in the way itself. If it told those who wait, of whom
        // it may be one, they would wake each other in turns.
        if self.has_connection || under_way >= self.most as usize {
            self.endpoint.room.made();
        }
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.endpoint.counters.connections.fetch_sub(1, SeqCst);
        self.endpoint.closed.notify_one();
        self.endpoint.room.made();
    }
}
