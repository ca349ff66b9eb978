//! What the room does, seen from outside: real sockets, real clients, short timeouts.

mod conduct;
mod drain;
mod footprint;
mod http1;
mod http2;
mod limits;
mod reload;
mod support;
mod tls;
