//! Owns: what Postern itself asks of other servers: where it may ask, whom it believes to answer, one request and its answer.
//! Refuses: addresses in clear beyond this machine, redirects, answers without bound; knowing what an answer means.
//! Always holds: requests go out from the control plane, whoever waits for them; an answer comes in time or is an error; what
//! many ask at once is asked once ([`Flights`]).

mod client;
mod connector;
mod flights;
mod remote_url;
mod trust;

pub use self::{
    client::{Outbound, OutboundAnswer, OutboundClient, OutboundError, OutboundRequest, OutboundSettings},
    connector::{ConnectError, Connector, OutboundStream},
    flights::{FlightError, Flights},
    remote_url::{RemoteUrl, RemoteUrlError},
    trust::{SystemRoots, TrustAnchors, TrustError},
};
