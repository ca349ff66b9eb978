//! Owns: what one connection and one request may cost, in numbers that need no further look.
//! Refuses: a limit of zero that would refuse everything, and one so high that it is none.
//! Always holds: every number here is within the range that the code below can keep.

use std::{fmt::Display, ops::RangeInclusive, time::Duration};

use crate::{
    config,
    diagnostic::{Diagnostics, KeyPath},
};

/// A week: longer than anything that a connection should wait for.
const LONGEST: Duration = Duration::from_secs(7 * 86_400);

/// What one connection and one request may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of a request's line and headers.
    pub header_bytes: u32,
    /// The most header fields of a request.
    pub headers: usize,
    /// How long a request's head may take.
    pub header_timeout: Duration,
    /// How long a connection without a request under way is kept.
    pub idle_timeout: Duration,
    /// How long a TLS handshake may take.
    pub handshake_timeout: Duration,
    /// The largest request body; kept by the handler.
    pub body_bytes: u64,
    /// The longest pause between two pieces of a body. Kept here while writing, and by the handler while reading.
    pub body_idle_timeout: Duration,
    /// The most connections at a time, over all workers.
    pub connections: usize,
    /// The most connections at a time from one address, over all workers.
    pub connections_per_peer: Option<u32>,
    /// The most requests under way on one HTTP/2 connection.
    pub http2_streams: u32,
    /// The most streams reset by the client that are not yet cleared away.
    pub http2_pending_resets: usize,
    /// The most streams reset on account of the client's errors.
    pub http2_error_resets: usize,
}

impl Limits {
    /// The most bytes of a request's line and headers, as the size of a piece of memory.
    pub(super) fn header_size(&self) -> usize {
        usize::try_from(self.header_bytes).unwrap_or(usize::MAX)
    }

    pub(super) fn compile(path: &KeyPath, raw: &config::LimitsConfig, diagnostics: &mut Diagnostics) -> Option<Self> {
        let before = diagnostics.error_count();
        let mut range = Ranges { path, diagnostics };
        range.size("header_bytes", raw.header_bytes, config::ByteSize(1 << 10)..=config::ByteSize(16 << 20));
        range.number("headers", raw.headers, 1..=10_000);
        range.duration("header_timeout", raw.header_timeout);
        range.duration("idle_timeout", raw.idle_timeout);
        range.duration("handshake_timeout", raw.handshake_timeout);
        range.duration("body_idle_timeout", raw.body_idle_timeout);
        range.number("connections", raw.connections, 1..=u32::MAX);
        range.number("http2_streams", raw.http2_streams, 1..=100_000);
        range.number("http2_pending_resets", raw.http2_pending_resets, 1..=100_000);
        range.number("http2_error_resets", raw.http2_error_resets, 1..=100_000);
        if let Some(connections) = raw.connections_per_peer {
            range.number("connections_per_peer", connections, 1..=u32::MAX);
        }
        if diagnostics.error_count() > before {
            return None;
        }
        let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        Some(Self {
            header_bytes: u32::try_from(raw.header_bytes.0).ok()?,
            headers: count(raw.headers),
            header_timeout: raw.header_timeout.0,
            idle_timeout: raw.idle_timeout.0,
            handshake_timeout: raw.handshake_timeout.0,
            body_bytes: raw.body_bytes.0,
            body_idle_timeout: raw.body_idle_timeout.0,
            connections: count(raw.connections),
            connections_per_peer: raw.connections_per_peer,
            http2_streams: raw.http2_streams,
            http2_pending_resets: count(raw.http2_pending_resets),
            http2_error_resets: count(raw.http2_error_resets),
        })
    }
}

struct Ranges<'a> {
    path: &'a KeyPath,
    diagnostics: &'a mut Diagnostics,
}

impl Ranges<'_> {
    fn number(&mut self, key: &str, value: u32, allowed: RangeInclusive<u32>) {
        self.within(key, &value, &allowed, "");
    }

    fn size(&mut self, key: &str, value: config::ByteSize, allowed: RangeInclusive<config::ByteSize>) {
        self.within(key, &value, &allowed, "\"");
    }

    fn duration(&mut self, key: &str, value: config::HumanDuration) {
        let allowed = config::HumanDuration(Duration::from_millis(1))..=config::HumanDuration(LONGEST);
        self.within(key, &value, &allowed, "\"");
    }

    fn within<T: PartialOrd + Display>(&mut self, key: &str, value: &T, allowed: &RangeInclusive<T>, quote: &str) {
        if !allowed.contains(value) {
            let (least, most) = (allowed.start(), allowed.end());
            self.diagnostics.error(
                &self.path.key(key),
                format!("`{key}` cannot be {value}"),
                format!("write a value from {quote}{least}{quote} to {quote}{most}{quote}, or leave it out"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_compile() {
        let mut diagnostics = Diagnostics::new();
        assert!(Limits::compile(&KeyPath::root(), &config::LimitsConfig::default(), &mut diagnostics).is_some());
        assert_eq!(diagnostics.iter().count(), 0);
    }

    #[test]
    fn every_limit_out_of_range_is_named() {
        let raw = config::LimitsConfig {
            header_bytes: config::ByteSize(10),
            headers: 0,
            idle_timeout: config::HumanDuration(Duration::ZERO),
            connections_per_peer: Some(0),
            ..config::LimitsConfig::default()
        };
        let mut diagnostics = Diagnostics::new();
        assert!(Limits::compile(&KeyPath::of(&["limits"]), &raw, &mut diagnostics).is_none());
        let paths: Vec<_> = diagnostics.iter().map(|diagnostic| diagnostic.path.to_string()).collect();
        assert_eq!(
            paths,
            ["limits.header_bytes", "limits.headers", "limits.idle_timeout", "limits.connections_per_peer"]
        );
        let first = diagnostics.iter().next().unwrap();
        assert_eq!(first.message, "`header_bytes` cannot be 10B");
        assert_eq!(first.remedy, "write a value from \"1KiB\" to \"16MiB\", or leave it out");
    }
}
