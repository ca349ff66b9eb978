//! Owns: turning `[dns]` into settings of a resolver.
//! Refuses: times within which nobody could answer, and bounds that contradict each other.

use std::{net::SocketAddr, ops::RangeInclusive, time::Duration};

use crate::{
    config::{DnsConfig, HumanDuration},
    diagnostic::{Diagnostics, KeyPath},
};

/// How names are looked up, compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::upstream) struct Settings {
    /// Whom to ask, in this order; empty for the system's own.
    pub(super) servers: Box<[SocketAddr]>,
    /// How long one of them may take.
    pub(super) timeout: Duration,
    /// What a time to live is raised and lowered to.
    pub(super) ttl: RangeInclusive<Duration>,
}

const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(60);
const LONGEST_TTL: Duration = Duration::from_secs(86_400);

/// Compiles `[dns]`.
pub(in crate::upstream) fn compile(raw: &DnsConfig, diagnostics: &mut Diagnostics) -> Option<Settings> {
    let path = KeyPath::of(&["dns"]);
    let errors_before = diagnostics.error_count();
    for (key, written, longest) in [
        ("timeout", raw.timeout, LONGEST_TIMEOUT),
        ("min_ttl", raw.min_ttl, LONGEST_TTL),
        ("max_ttl", raw.max_ttl, LONGEST_TTL),
    ] {
        if !(SHORTEST..=longest).contains(&written.0) {
            let (least, most) = (HumanDuration(SHORTEST), HumanDuration(longest));
            let remedy =
                format!("write a duration from \"{least}\" to \"{most}\", or take the key out for the default");
            diagnostics.error(&path.key(key), format!("`{key}` cannot be {written}"), remedy);
        }
    }
    if raw.min_ttl > raw.max_ttl {
        let message = format!("`min_ttl` ({}) is above `max_ttl` ({})", raw.min_ttl, raw.max_ttl);
        diagnostics.error(&path.key("min_ttl"), message, "lower `min_ttl` or raise `max_ttl`; they may be the same");
    }
    for (position, server) in raw.servers.iter().enumerate() {
        let path = path.key("servers").index(position);
        if server.port() == 0 {
            diagnostics.error(&path, "nobody answers on port 0", "name the server's port, which for DNS is 53");
        }
        if server.ip().is_unspecified() || server.ip().is_multicast() {
            let message = format!("{} is no server's address", server.ip());
            diagnostics.error(&path, message, "write the address of one server, like \"10.0.0.53:53\"");
        }
    }
    (diagnostics.error_count() == errors_before).then(|| Settings {
        servers: raw.servers.clone().into(),
        timeout: raw.timeout.0,
        ttl: raw.min_ttl.0..=raw.max_ttl.0,
    })
}

impl Settings {
    /// How long an answer is used that is said to be good for `ttl`.
    pub(super) fn lifetime(&self, ttl: Duration) -> Duration {
        ttl.clamp(*self.ttl.start(), *self.ttl.end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_defaults_say_is_good() {
        let mut diagnostics = Diagnostics::new();
        let settings = compile(&DnsConfig::default(), &mut diagnostics).unwrap();
        assert_eq!(diagnostics.iter().count(), 0);
        for (ttl, expected) in [(0, 1), (1, 1), (30, 30), (86_400, 60)] {
            assert_eq!(settings.lifetime(Duration::from_secs(ttl)), Duration::from_secs(expected));
        }
    }

    #[test]
    fn every_mistake_is_found_where_it_is() {
        let seconds = HumanDuration::from_seconds;
        let good = DnsConfig::default;
        for (raw, expected) in [
            (DnsConfig { timeout: seconds(0), ..good() }, "dns.timeout: `timeout` cannot be 0s"),
            (DnsConfig { timeout: seconds(3600), ..good() }, "dns.timeout: `timeout` cannot be 1h"),
            (DnsConfig { min_ttl: seconds(0), ..good() }, "dns.min_ttl: `min_ttl` cannot be 0s"),
            (DnsConfig { max_ttl: seconds(90_000), ..good() }, "dns.max_ttl: `max_ttl` cannot be "),
            (DnsConfig { min_ttl: seconds(61), ..good() }, "dns.min_ttl: `min_ttl` (61s) is above `max_ttl` (1m)"),
            (DnsConfig { servers: vec!["10.0.0.1:0".parse().unwrap()], ..good() }, "dns.servers[0]: nobody answers"),
            (
                DnsConfig { servers: vec!["10.0.0.1:53".parse().unwrap(), "0.0.0.0:53".parse().unwrap()], ..good() },
                "dns.servers[1]: 0.0.0.0 is no server's address",
            ),
        ] {
            let mut diagnostics = Diagnostics::new();
            assert!(compile(&raw, &mut diagnostics).is_none(), "{raw:?}");
            let found: Vec<_> = diagnostics.iter().map(|found| format!("{}: {}", found.path, found.message)).collect();
            assert!(found.len() == 1 && found[0].starts_with(expected), "{raw:?}: {found:?}");
        }
    }
}
