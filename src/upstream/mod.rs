//! Owns: where requests go: upstreams, their endpoints and connections, the choice between them, and the forwarding itself.
//! Refuses: deciding whether a request may go (it asks for a [`Permit`](crate::auth::Permit)); naming a status code; sending
//! again what may have been acted on, unless the configuration says so and twice is as good as once.
//! Always holds: a connection is used again only after its exchange has ended in good order; a connection counts against
//! its endpoint's bound for as long as its socket is open, upgraded ones included.

mod address;
mod attempt;
mod availability;
mod balance;
mod body;
mod candidates;
mod compile;
mod compile_retry;
mod connect;
mod endpoint;
mod error;
mod forward;
mod framing;
mod health;
mod http1;
mod http2;
mod lease;
mod membership;
mod names;
mod opening;
mod outgoing;
mod outlier;
mod patience;
mod pool;
mod replay;
mod request;
mod retry;
mod room;
mod spare;
mod stream;
#[cfg(test)]
mod tests;
mod tick;
mod tls;
pub mod upgrade;
mod vigilance;
mod websocket_frames;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::runtime::Handle;

use self::{
    availability::Standing,
    balance::{Balance, Tried},
    health::Checks,
    membership::Membership,
    names::{Lookups, Resolver},
    retry::{Retries, RetryPolicy},
    room::Room,
    vigilance::Vigilance,
};
pub use self::{
    body::UpstreamBody,
    compile::compile,
    connect::ConnectError,
    endpoint::{Endpoint, EndpointCounts},
    error::{ExchangeError, Fault, ForwardError},
    forward::{Forwarded, Timings, forward},
    http1::{HeadFault, Http1Error},
    names::{LookupError, NameStatus},
    outgoing::RequestBody,
    pool::WorkerPools,
    retry::RetryCounts,
    upgrade::UpstreamUpgrade,
};

/// Every upstream of a configuration.
#[derive(Debug, Default)]
pub struct Upstreams {
    by_name: BTreeMap<Arc<str>, Arc<Upstream>>,
    /// The health checks that run. Goes from one configuration to the next.
    checks: Arc<Checks>,
    /// The lookups of names that run. Goes from one configuration to the next as well.
    lookups: Arc<Lookups>,
    /// Who looks up the names among their endpoints.
    resolver: Option<Arc<Resolver>>,
}

/// One resource server: its endpoints, and how requests are spread over them.
#[derive(Debug)]
pub struct Upstream {
    name: Arc<str>,
    members: Membership,
    balance: Balance,
    limits: Limits,
    retry: Option<RetryPolicy>,
    retries: Arc<Retries>,
    room: Arc<Room>,
    vigilance: Vigilance,
}

/// The bounds on an upstream's connections and answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limits {
    /// How long a connection may take to open, TLS included.
    connect_timeout: Duration,
    /// How long the upstream may be silent between having the request and beginning its response.
    response_header_timeout: Duration,
    /// How long an unused connection is kept.
    idle_timeout: Duration,
    /// The most connections to one endpoint, over all workers.
    max_connections: u32,
    /// The most requests under way at one endpoint, over all workers; absent: no bound.
    max_requests: Option<u32>,
    /// The most requests that wait for room, over all workers.
    max_waiting: u32,
    /// How long they wait.
    wait_timeout: Duration,
}

/// How an attempt at an endpoint ended, for those who judge endpoints by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It answered with this status.
    Answered(u16),
    /// It could not be connected to, broke off before its answer, was silent for too long, or answered what is not HTTP.
    Failed,
}

impl Upstreams {
    /// Begins what runs beside requests, on the control plane. What was begun already goes on.
    pub fn start(&self, control: &Handle) {
        for upstream in self.by_name.values() {
            upstream.vigilance.lasting.follow(control);
            for name in upstream.members.names() {
                name.tell(upstream);
            }
            // What was found between its compilation and now.
            upstream.members.rebuild();
        }
        self.lookups.follow(self.by_name.values().flat_map(|upstream| upstream.members.names()), control);
        self.checks.follow(self.by_name.values(), control);
    }

    /// The upstream that the configuration calls `name`.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<Arc<Upstream>> {
        self.by_name.get(name).map(Arc::clone)
    }

    /// All upstreams, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Upstream>> {
        self.by_name.values()
    }
}

impl Upstream {
    /// Its name in the configuration.
    #[must_use]
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// How often its requests were tried again so far.
    #[must_use]
    pub fn retry_counts(&self) -> RetryCounts {
        self.retries.counts()
    }

    /// How many requests wait for room at it.
    #[must_use]
    pub fn requests_waiting(&self) -> usize {
        self.room.waiting()
    }

    /// The endpoint to try for a request; none when all were tried.
    fn choose(&self, affinity: Option<u64>, tried: &Tried) -> Option<Arc<Endpoint>> {
        self.balance.choose(&self.members.current(), &self.vigilance, affinity, tried, &mut rand::rng())
    }

    /// Requests under way at all its endpoints.
    fn requests_under_way(&self) -> usize {
        self.members.current().iter().map(|member| member.endpoint.requests_under_way()).sum()
    }

    fn saturated(&self) -> ForwardError {
        ForwardError::Saturated { upstream: Arc::clone(&self.name) }
    }

    /// Notes how an attempt at one of its endpoints ended.
    fn note(&self, endpoint: &Arc<Endpoint>, outcome: Outcome) {
        if self.vigilance.outlier.is_some() {
            self.vigilance.note(&self.members.current(), endpoint, outcome);
        }
    }

    /// Whether requests go to those of its endpoints that are available, because there are any.
    #[must_use]
    pub fn has_available(&self) -> bool {
        let Some(glance) = self.vigilance.glance() else { return true };
        let is_of_use = |endpoint: &Endpoint| endpoint.availability().standing(&glance) <= Standing::Unproven;
        self.members.current().iter().any(|member| is_of_use(&member.endpoint))
    }

    /// Whether its endpoints are asked after their health.
    #[must_use]
    pub const fn is_asked(&self) -> bool {
        self.vigilance.health.is_some()
    }

    /// Its endpoints, and whether each is available: well as far as anybody asks, and not left alone for failing requests.
    pub fn availability(&self) -> impl Iterator<Item = (Arc<Endpoint>, bool)> {
        let glance = self.vigilance.glance();
        let is_available = move |endpoint: &Endpoint| {
            glance.as_ref().is_none_or(|glance| endpoint.availability().standing(glance) == Standing::Available)
        };
        self.endpoints().into_iter().map(move |endpoint| {
            let is_available = is_available(&endpoint);
            (endpoint, is_available)
        })
    }

    /// The endpoints there are now, in the order in which they are written, those of a name by their addresses.
    #[must_use]
    pub fn endpoints(&self) -> Vec<Arc<Endpoint>> {
        self.members.current().iter().map(|member| Arc::clone(&member.endpoint)).collect()
    }

    /// The names among its endpoints.
    #[must_use]
    pub fn names(&self) -> Vec<NameStatus> {
        self.members.names().map(|name| name.status()).collect()
    }
}
