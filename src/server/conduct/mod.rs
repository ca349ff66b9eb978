//! Owns: what may be said on an HTTP/2 connection, judged on the frames before hyper reads them.
//! Refuses: parsing what hyper parses as well; it reads along, and steps in where hyper would go on.
//! Always holds: bytes that are in order pass unchanged.

mod http2;

pub(super) use self::http2::FrameMeter;
