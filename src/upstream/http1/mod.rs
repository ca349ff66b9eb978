//! Owns: HTTP/1.1 as a client speaks it, without a task of its own: whoever sends a request writes it, reads its response, and then gives
//! the connection back.
//! Refuses: what could be read in two ways; see [`head_in`], [`chunks`] and [`super::framing`].
//! Always holds: a connection carries one exchange at a time, and is at rest between two.

mod body_in;
mod body_out;
mod chunks;
mod connection;
mod error;
mod exchange;
mod head_in;
mod head_out;
mod rest;
#[cfg(test)]
mod tests;

pub use self::error::{HeadFault, Http1Error};
pub(super) use self::{body_in::Inward, connection::Http1Connection, exchange::Http1Exchange, head_in::Head};
