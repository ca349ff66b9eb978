//! Owns: the vocabulary of HTTP as a gateway needs it: hosts and paths in normal form, header hygiene, forwarding headers,
//! metered bodies, problem documents.
//! Refuses: whatever two readers could read in two ways. A request's method is the one of its request line: no header
//! overrides it, and those that would are removed before an upstream could obey them (see [`headers`]).
//! Always holds: pure: no network, no configuration; only [`MeteredBody`] looks at a clock.

mod arrival;
mod body;
mod field_names;
mod fields;
pub mod forwarded;
pub mod grammar;
mod grpc_timeout;
pub mod headers;
mod host;
mod message;
mod path;
mod path_parameters;
mod peer;
mod problem;
mod whole_seconds;

pub use self::{
    arrival::{Arrival, Arrivals},
    body::{BodyEnd, BodyError, BodyLimits, BodyOutcome, MeteredBody, OnBodyEnd},
    field_names::FieldNames,
    fields::{FieldLines, Fields, write_field},
    grpc_timeout::grpc_timeout,
    host::{HostError, NormalHost},
    message::{Request, RequestHead, Response, ResponseHead},
    path::{NormalPath, PathError, PathPrefix},
    path_parameters::PathParameters,
    peer::Peer,
    problem::{GrpcStatus, Problem, is_grpc},
    whole_seconds::whole_seconds,
};
