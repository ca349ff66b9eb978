//! Owns: what may be said on a connection, judged on the bytes before hyper reads them.
//! Refuses: parsing what hyper parses as well; it reads along, and steps in where hyper would go on.
//! Always holds: bytes that are in order pass unchanged.

pub(super) mod http2;
