//! Owns: HTTP/1.1 with whoever calls us: requests read, answers written, one after the other (RFC 9112).
//! Refuses: a head or a body that could be read in two ways; waiting, which is the [timekeeper](super::timekeeper)'s matter.
//! Always holds: what is behind a message that is at fault is never read as another; an idle connection holds no buffers.

mod body;
mod chunks;
mod connection;
mod decoder;
mod encoder;
mod fault;
mod head;
mod output;
#[cfg(test)]
mod tests;
mod wire;

pub use self::{
    body::{Http1Body, Http1BodyError},
    fault::RequestFault,
};
pub(super) use self::{connection::Http1Connection, encoder::LengthNotKept, head::HeadBounds};
