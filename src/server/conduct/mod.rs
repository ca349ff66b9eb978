//! Owns: what may be said on a connection, judged on the bytes before hyper reads them.
//! Refuses: parsing what hyper parses as well; it reads along, and steps in where hyper would go on.
//! Always holds: bytes that are in order pass unchanged.

pub(super) mod http1;
pub(super) mod http2;

use tokio::time::Instant;

pub use self::http1::RequestFault;
use super::{handler::Protocol, limits::Limits};

/// What reads along on one connection.
#[derive(Debug)]
pub(super) enum Conduct {
    /// Judges heads and bodies.
    Http1(http1::Guard),
    /// Counts frames.
    Http2(http2::FrameMeter),
}

impl Conduct {
    /// For a connection that begins with its first byte: of HTTP/2, with the preface.
    pub(super) fn new(protocol: Protocol, limits: &Limits, opened: Instant) -> Self {
        match protocol {
            Protocol::Http1 => Self::Http1(http1::Guard::new(limits.header_size(), limits.headers)),
            Protocol::Http2 => Self::Http2(http2::FrameMeter::new(opened)),
        }
    }
}
