//! Owns: where requests go: upstreams, their endpoints and connections, the choice between them, and the forwarding itself.
//! Refuses: deciding whether a request may go (it asks for a [`Permit`](crate::auth::Permit)); naming a status code; sending
//! again what may have been sent.
//! Always holds: a connection is used again only after its exchange has ended in good order; a connection counts against
//! its endpoint's bound for as long as its socket is open, upgraded ones included.

mod address;
mod balance;
mod body;
mod compile;
mod connect;
mod endpoint;
mod error;
mod forward;
mod http2;
mod lease;
mod membership;
mod names;
mod opening;
mod outgoing;
mod pool;
mod request;
mod stream;
#[cfg(test)]
mod tests;
mod tls;
pub mod upgrade;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::runtime::Handle;

use self::{
    balance::{Balance, Tried},
    membership::Membership,
    names::Resolver,
};
pub use self::{
    body::UpstreamBody,
    compile::compile,
    connect::ConnectError,
    endpoint::{Endpoint, EndpointCounts},
    error::{Fault, ForwardError},
    forward::{Forwarded, Timings, forward},
    names::{LookupError, NameStatus},
    outgoing::RequestBody,
    pool::WorkerPools,
    upgrade::UpstreamUpgrade,
};

/// Every upstream of a configuration.
#[derive(Debug, Default)]
pub struct Upstreams {
    by_name: BTreeMap<Arc<str>, Arc<Upstream>>,
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
            for name in upstream.members.names() {
                name.tell(upstream);
                name.start(control);
            }
            // What was found between its compilation and now.
            upstream.members.rebuild();
        }
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

    /// Notes how an attempt at one of its endpoints ended.
    fn note(&self, _endpoint: &Arc<Endpoint>, _outcome: Outcome) {}

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

    /// The endpoint to try next; none when all were tried.
    fn choose(&self, affinity: Option<u64>, tried: &Tried) -> Option<Arc<Endpoint>> {
        self.balance.choose(&self.members.current(), affinity, tried, &mut rand::rng())
    }
}
