//! Owns: the life of a request from the moment it is parsed to the moment its answer has ended.
//! Refuses: forwarding without a [`crate::auth::Permit`]; answering without a line in the log and a count in the metrics.
//! Always holds: one request is decided by one snapshot; every refusal has a reason of the closed list in `docs/errors.md`.

mod body;
mod detail;
mod handle;
mod identity;
mod lifeline;
mod limit;
mod own;
mod permit;
mod problems;
mod record;
mod rejection;
mod respond;
mod tied_body;
mod upgrade;
mod websocket;
mod worker;

pub use self::{
    body::{RequestBody, RequestBytes, ResponseBody, ResponseEnd},
    detail::{REASONS, REASONS_AFTER_THE_HEAD},
    handle::{Gateway, refuse_method},
    rejection::{Fault, Rejection},
    worker::Shared,
};
