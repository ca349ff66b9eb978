//! Owns: which trailers a message over HTTP/1.1 may have.
//! Refuses: trailers that its head does not announce, and fields that mean nothing behind a body, or something else there.
//! Always holds: both sides of the gateway send the same ones.

use http::{
    HeaderName,
    header::{
        AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HOST,
        MAX_FORWARDS, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING,
    },
};

use super::connection::list_members;
use crate::http::Fields;

/// Fields that mean something before the body only (RFC 9110 section 6.5.1).
const NEVER: [HeaderName; 12] = [
    AUTHORIZATION,
    CACHE_CONTROL,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
    HOST,
    MAX_FORWARDS,
    SET_COOKIE,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
];

/// The trailers that may be sent behind a head with these fields: those that its `Trailer` names (RFC 9110 section 6.6.2).
#[must_use]
pub fn announced_trailers(fields: &Fields) -> Vec<HeaderName> {
    let names = list_members(fields, &TRAILER).filter_map(|name| HeaderName::from_bytes(name).ok());
    names.filter(|name| !NEVER.contains(name)).collect()
}
