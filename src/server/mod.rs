//! Owns: the downstream side of the wire: sockets, TLS, HTTP/1.1 and HTTP/2 connections, their limits, their end.
//! Refuses: knowing what a request means; every request goes to a [`Handler`], which is all that this room asks for.
//! Always holds: a connection costs no more than its listener's limits, whatever the other side does or leaves undone; a
//! reload rebinds nothing whose address stayed; a stop finishes what is under way, up to the grace period.
//!
//! How it is used: [`Listeners::compile`] reads the configuration, [`Server::new`] gives one [`WorkerSeat`] for each worker
//! thread, every thread runs [`run_worker`], and [`Server::apply`] makes a compiled set of listeners the living one, at start
//! and at each reload. [`Server::drain`] ends it all.

mod accept;
mod activity;
mod bind;
mod body;
mod conduct;
mod connection;
mod control;
mod counters;
mod drain;
mod drive;
mod executor;
mod handler;
mod http1;
mod limits;
mod listener;
mod overload;
mod proxy_protocol;
mod request;
mod slots;
mod sniff;
mod stream;
mod tether;
mod timekeeper;
mod tls;
mod worker;

#[cfg(test)]
mod tests;

pub use self::{
    bind::BindError,
    body::{DownstreamBody, DownstreamBodyError, DownstreamUpgrade, DownstreamUpgraded, NotUpgraded},
    control::{Applied, Bindings, Server, WorkerSeat},
    counters::{ListenerCounters, WorkerCounters},
    handler::{CloseConnection, ConnectionInfo, Handler, Protocol, TlsInfo},
    http1::{Http1Body, Http1BodyError, RequestFault},
    limits::Limits,
    listener::{Listener, ListenerSettings, Listeners},
    request::{StreamHold, TrackedBody},
    tls::CertificateFacts,
    worker::{DrainReport, run_worker},
};
