//! Owns: what happens to a message's header fields on their way through: which are taken out, and the request id.
//! Refuses: letting a caller take out what the gateway adds: everything is stripped first and added after. Also letting a
//! caller say by a header what the gateway decided by the request line: method and path overrides are stripped.
//! Always holds: a name is compared in lower case with `_` and `.` read as `-`, because upstreams that turn header names
//! into variables cannot tell these apart.

mod connection;
mod hop_by_hop;
mod identity;
mod request_id;
mod trailers;

pub use self::{
    connection::{names_connection_option, requested_upgrade},
    hop_by_hop::{strip_hop_by_hop_from_request, strip_hop_by_hop_from_response},
    identity::IdentityHeaderNames,
    request_id::{X_REQUEST_ID, request_id, set_request_id},
    trailers::announced_trailers,
};

use http::{HeaderName, header};

use super::Fields;

/// Takes out of a request's trailers what must not stand in them: credentials, what one connection or the framing needs, and
/// what tells where a request came from (RFC 9110 section 6.5.1).
pub fn strip_trailers(trailers: &mut Fields) {
    strip_hop_by_hop_from_request(trailers, false);
    trailers.keep(|name| !NEVER_IN_TRAILERS.contains(&name.as_str()));
}

/// Fields that change what a message means, and are too late in a trailer.
const NEVER_IN_TRAILERS: [&str; 15] = [
    "authorization",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "te",
    "x-api-key",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-request-id",
];

/// The field in which tokens come that users and tenants make for themselves, where there are any.
pub const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Takes out the caller's credential, so that the upstream cannot use it elsewhere; with `api_keys`, `X-API-Key` is one, too.
/// (`Proxy-Authorization` goes with the hop-by-hop fields.)
pub fn strip_credentials(fields: &mut Fields, api_keys: bool) {
    fields.remove(&header::AUTHORIZATION);
    if api_keys {
        fields.remove(&X_API_KEY);
    }
}
