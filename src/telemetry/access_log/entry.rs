//! Owns: what one line of the access log says.
//! Refuses: what comes after the path's `?`, and values without an end.

use std::{net::IpAddr, time::Duration};

use serde::{Serialize, Serializer};

use crate::{clock::UnixTime, id::TokenId, telemetry::Rfc3339};

/// The longest path logged, in bytes; what comes after is cut.
const LONGEST_PATH_BYTES: usize = 2048;
/// The longest of the other values that come from outside, in bytes.
const LONGEST_VALUE_BYTES: usize = 256;

/// One request, as the access log tells it. Borrowed: the line is made at once, and nothing is kept.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct AccessEntry<'a> {
    /// When the request's head had arrived.
    #[serde(serialize_with = "moment")]
    pub time: UnixTime,
    /// Its id.
    pub request_id: &'a str,
    /// The listener that it came in by.
    pub listener: &'a str,
    /// The protocol that downstream spoke.
    #[serde(serialize_with = "protocol")]
    pub protocol: http::Version,
    /// Who sent it: the address of the connection, or what a trusted proxy says.
    pub peer: IpAddr,
    /// The method.
    #[serde(serialize_with = "short")]
    pub method: &'a str,
    /// The host, if there was a sane one.
    #[serde(serialize_with = "short_option", skip_serializing_if = "Option::is_none")]
    pub host: Option<&'a str>,
    /// The path as it came in. A query string is cut off, since it may hold a token (RFC 6750 section 2.3).
    #[serde(serialize_with = "path")]
    pub path: &'a str,
    /// The route, if one matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<&'a str>,
    /// The upstream it was, or would have been, forwarded to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<&'a str>,
    /// The endpoint that it reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<&'a str>,
    /// The status answered; none if downstream had gone before there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why it was refused or failed: a row of docs/errors.md.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
    /// Why it would have been refused, had its route's mode not been `"report"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would_be_reason: Option<&'a str>,
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
    /// From the request's head to the end of the answer's body.
    #[serde(rename = "duration_seconds")]
    pub duration: Seconds,
    /// The part of it that verifying and authorizing took.
    #[serde(rename = "auth_seconds", skip_serializing_if = "Option::is_none")]
    pub auth_duration: Option<Seconds>,
    /// The part of it that connecting to the endpoint took; none if a connection was there.
    #[serde(rename = "upstream_connect_seconds", skip_serializing_if = "Option::is_none")]
    pub upstream_connect_duration: Option<Seconds>,
    /// From sending to the upstream until its answer's head had arrived.
    #[serde(rename = "upstream_header_seconds", skip_serializing_if = "Option::is_none")]
    pub upstream_header_duration: Option<Seconds>,
    /// The client that the embedded issuer gave a token to, or refused one after it had proven itself.
    #[serde(serialize_with = "short_option", skip_serializing_if = "Option::is_none")]
    pub issued_to: Option<&'a str>,
    /// The token, if there was a verified one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwt: Option<TokenEntry<'a>>,
    /// The generation of the configuration that decided.
    pub config_generation: u64,
}

/// What is told of a token. Only of a verified one: what an unverified one says is anybody's word.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct TokenEntry<'a> {
    /// The name of its issuer in the configuration.
    pub issuer: &'a str,
    /// The client that it was issued to.
    #[serde(serialize_with = "short_option", skip_serializing_if = "Option::is_none")]
    pub client_id: Option<&'a str>,
    /// The key that verified it.
    #[serde(serialize_with = "short_option", skip_serializing_if = "Option::is_none")]
    pub key_id: Option<&'a str>,
    /// Its own id (RFC 7519 section 4.1.7).
    #[serde(serialize_with = "short_option", skip_serializing_if = "Option::is_none")]
    pub jti: Option<&'a str>,
    /// What the embedded issuer calls one of its tokens that has no such id, or another kind of it.
    #[serde(serialize_with = "token_name", skip_serializing_if = "Option::is_none")]
    pub name: Option<TokenId>,
}

/// A duration written in seconds, to the microsecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(pub Duration);

impl From<Duration> for Seconds {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64((self.0.as_secs_f64() * 1e6).round() / 1e6)
    }
}

fn moment<S: Serializer>(time: &UnixTime, serializer: S) -> Result<S::Ok, S::Error> {
    Rfc3339(*time).serialize(serializer)
}

fn protocol<S: Serializer>(version: &http::Version, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match *version {
        http::Version::HTTP_09 => "HTTP/0.9",
        http::Version::HTTP_10 => "HTTP/1.0",
        http::Version::HTTP_11 => "HTTP/1.1",
        http::Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/3",
    })
}

fn path<S: Serializer>(path: &&str, serializer: S) -> Result<S::Ok, S::Error> {
    let path = path.split_once(['?', '#']).map_or(*path, |(path, _)| path);
    clipped(path, LONGEST_PATH_BYTES, serializer)
}

fn token_name<S: Serializer>(name: &Option<TokenId>, serializer: S) -> Result<S::Ok, S::Error> {
    match name {
        Some(name) => serializer.collect_str(name),
        None => serializer.serialize_none(),
    }
}

fn short<S: Serializer>(text: &&str, serializer: S) -> Result<S::Ok, S::Error> {
    clipped(text, LONGEST_VALUE_BYTES, serializer)
}

fn short_option<S: Serializer>(text: &Option<&str>, serializer: S) -> Result<S::Ok, S::Error> {
    match text {
        Some(text) => clipped(text, LONGEST_VALUE_BYTES, serializer),
        None => serializer.serialize_none(),
    }
}

/// `text`, cut before `longest_bytes` where it is longer, and then ending in `…`.
fn clipped<S: Serializer>(text: &str, longest_bytes: usize, serializer: S) -> Result<S::Ok, S::Error> {
    if text.len() <= longest_bytes {
        return serializer.serialize_str(text);
    }
    let (kept, _) = text.split_at(text.floor_char_boundary(longest_bytes));
    serializer.collect_str(&format_args!("{kept}…"))
}
