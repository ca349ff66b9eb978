//! Owns: the metrics whose numbers live in other rooms, gathered when somebody asks.
//! Always holds: no label comes from a request.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use crate::{
    auth::{Introspector, RevocationLookup, SharedTokenCache},
    clock::{Clock, UnixTime},
    server::Server,
    snapshot::{Reloader, Snapshot},
    telemetry::{AccessLog, Log, MetricsSource, Samples, metrics::catalogue},
    token_endpoint::Lockouts,
    upstream::Upstream,
};

/// Where the numbers live.
pub(super) struct Elsewhere {
    pub(super) reloader: Arc<Reloader>,
    pub(super) server: Arc<Server>,
    pub(super) tokens: Arc<SharedTokenCache>,
    pub(super) lockouts: Lockouts,
    pub(super) access_log: Arc<AccessLog>,
    pub(super) log: Option<Arc<Log>>,
    pub(super) clock: Clock,
}

impl MetricsSource for Elsewhere {
    fn collect(&self, samples: &mut Samples) {
        let snapshot = self.reloader.current().load_full();
        samples.add(&catalogue::TOKEN_CACHE_HITS, &[], self.tokens.hits());
        samples.add(&catalogue::TOKEN_CACHE_MISSES, &[], self.tokens.misses());
        key_sets(&snapshot, samples);
        inquiries(&snapshot, samples);
        endpoints(&snapshot, samples);
        names(&snapshot, samples);
        certificates(&snapshot, samples);
        self.listeners(samples);
        self.configuration(&snapshot, samples);
        issuer(&snapshot, samples);
        shared(&snapshot, samples);
        token_endpoints(&snapshot, samples);
        if snapshot.shared.is_some() {
            samples.add(&catalogue::LOCKOUT_MESSAGES, &["heard"], self.lockouts.heard());
            samples.add(&catalogue::LOCKOUT_MESSAGES, &["ignored"], self.lockouts.ignored());
        }
        reuses(&snapshot, self.clock.now(), samples);
        self.access_log.collect(samples);
        if let Some(log) = &self.log {
            log.collect(samples);
        }
    }
}

impl Elsewhere {
    fn listeners(&self, samples: &mut Samples) {
        samples.add(&catalogue::REQUESTS_SHED, &[], self.server.requests_shed());
        for (listener, _) in self.server.addresses() {
            let name = &**listener.name();
            let counters = listener.counters();
            let open = u64::try_from(listener.connections_open()).unwrap_or(u64::MAX);
            samples.add(&catalogue::LISTENER_OPEN, &[name], open);
            samples.add(&catalogue::LISTENER_CONNECTIONS, &[name], counters.accepted());
            for (reason, count) in [
                ("per_peer", counters.refused_per_peer()),
                ("proxy_header", counters.proxy_header_failures()),
                ("descriptors", counters.refused_descriptors()),
                ("tls_handshake", counters.tls_handshake_failures()),
                ("header_timeout", counters.header_timeouts()),
                ("malformed", counters.malformed()),
                ("flood", counters.floods()),
                ("stalled", counters.stalled()),
                ("grace_period", counters.cut()),
                ("accept_error", counters.accept_errors()),
            ] {
                samples.add(&catalogue::LISTENER_REFUSED, &[name, reason], count);
            }
        }
    }

    fn configuration(&self, snapshot: &Snapshot, samples: &mut Samples) {
        let last = self.reloader.last();
        samples.add(&catalogue::CONFIG_GENERATION, &[], snapshot.generation);
        samples.add(&catalogue::CONFIG_INFO, &[&snapshot.hash], 1u64);
        samples.add(&catalogue::CONFIG_LAST_RELOAD_SUCCESSFUL, &[], u64::from(last.rejection.is_none()));
        samples.add(&catalogue::CONFIG_LAST_RELOAD, &[], snapshot.compiled_at.as_seconds());
        samples.add(&catalogue::CONFIG_RELOADS, &["applied"], last.applied_total);
        samples.add(&catalogue::CONFIG_RELOADS, &["rejected"], last.rejected_total);
    }
}

fn key_sets(snapshot: &Snapshot, samples: &mut Samples) {
    for (issuer, keys) in &snapshot.key_sets {
        let measures = keys.set.measures();
        if let Some(age) = measures.age {
            samples.add(&catalogue::KEY_SET_AGE, &[issuer], age.as_secs_f64());
        }
        samples.add(&catalogue::KEY_SET_KEYS, &[issuer], u64::try_from(measures.keys).unwrap_or(u64::MAX));
        for (result, count) in measures.fetches {
            samples.add(&catalogue::KEY_SET_FETCHES, &[issuer, result.label()], count);
        }
        samples.add(&catalogue::UNKNOWN_KEY, &[issuer], measures.unknown_keys);
    }
}

fn inquiries(snapshot: &Snapshot, samples: &mut Samples) {
    for issuer in snapshot.issuers.iter() {
        for count in issuer.introspection().map(Introspector::counts).unwrap_or_default() {
            samples.add(&catalogue::INTROSPECTION_REQUESTS, &[issuer.name(), count.result], count.count);
        }
        for count in issuer.revocation().map(RevocationLookup::counts).unwrap_or_default() {
            samples.add(&catalogue::REVOCATION_REQUESTS, &[issuer.name(), count.result], count.count);
        }
    }
}

fn issuer(snapshot: &Snapshot, samples: &mut Samples) {
    let Some(embedded) = snapshot.embedded() else { return };
    let registry = embedded.registry();
    samples.add(&catalogue::STORE_REACHABLE, &[], u64::from(registry.is_store_reachable()));
    let revoked = u64::try_from(registry.memory().revoked_tokens()).unwrap_or(u64::MAX);
    samples.add(&catalogue::REVOKED_TOKENS, &[], revoked);
    for (dialect, count) in registry.issued_tokens() {
        samples.add(&catalogue::ISSUED_TOKENS, &[dialect], count);
    }
}

fn shared(snapshot: &Snapshot, samples: &mut Samples) {
    let Some(shared) = &snapshot.shared else { return };
    samples.add(&catalogue::SHARED_LIMITS_REACHABLE, &[], u64::from(shared.is_reachable()));
    for (reason, count) in shared.failures() {
        samples.add(&catalogue::SHARED_LIMITS_FAILURES, &[reason], count);
    }
}

fn token_endpoints(snapshot: &Snapshot, samples: &mut Samples) {
    for endpoint in &snapshot.token_endpoints {
        if let Some(forwarding) = endpoint.forwarding() {
            forwarding.collect(samples);
        }
        for (threshold, count) in endpoint.quota().into_iter().flat_map(|quota| quota.warnings()) {
            samples.add(&catalogue::QUOTA_WARNINGS, &[endpoint.name(), threshold], count);
        }
    }
}

fn endpoints(snapshot: &Snapshot, samples: &mut Samples) {
    for upstream in snapshot.upstreams.iter() {
        let (name, counts) = (&**upstream.name(), upstream.retry_counts());
        let causes = [
            ("connect", counts.connect),
            ("reset", counts.reset),
            ("status", counts.status),
            ("out_of_budget", counts.out_of_budget),
        ];
        for (cause, count) in causes {
            samples.add(&catalogue::UPSTREAM_RETRIES, &[name, cause], count);
        }
        let waiting = u64::try_from(upstream.requests_waiting()).unwrap_or(u64::MAX);
        samples.add(&catalogue::UPSTREAM_WAITING, &[name], waiting);
        for endpoint in upstream.endpoints() {
            let labels: [&str; 2] = [upstream.name(), endpoint.label()];
            let counts = endpoint.counts();
            let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
            samples.add(&catalogue::UPSTREAM_CONNECTIONS, &labels, number(counts.connections_open));
            samples.add(&catalogue::UPSTREAM_CONNECT_FAILURES, &labels, counts.connect_failures);
            samples.add(&catalogue::UPSTREAM_ENDPOINT_REQUESTS, &labels, number(counts.requests_under_way));
        }
        availability(upstream, samples);
    }
}

fn availability(upstream: &Upstream, samples: &mut Samples) {
    samples.add(&catalogue::UPSTREAM_NONE_AVAILABLE, &[upstream.name()], !upstream.has_available());
    for (endpoint, is_available) in upstream.availability() {
        let labels: [&str; 2] = [upstream.name(), endpoint.label()];
        samples.add(&catalogue::UPSTREAM_AVAILABLE, &labels, is_available);
        samples.add(&catalogue::UPSTREAM_EJECTIONS, &labels, endpoint.ejections());
        for (result, count) in endpoint.health_checks().filter(|_| upstream.is_asked()) {
            samples.add(&catalogue::UPSTREAM_HEALTH_CHECKS, &[upstream.name(), endpoint.label(), result], count);
        }
    }
}

fn names(snapshot: &Snapshot, samples: &mut Samples) {
    for upstream in snapshot.upstreams.iter() {
        for status in upstream.names() {
            let labels: [&str; 2] = [upstream.name(), &status.name];
            let addresses = u64::try_from(status.addresses).unwrap_or(u64::MAX);
            samples.add(&catalogue::UPSTREAM_NAME_ADDRESSES, &labels, addresses);
            for (result, count) in status.lookups {
                samples.add(&catalogue::UPSTREAM_NAME_LOOKUPS, &[upstream.name(), &status.name, result], count);
            }
        }
    }
}

fn reuses(snapshot: &Snapshot, now: UnixTime, samples: &mut Samples) {
    for status in snapshot.reuses.status(now) {
        let endpoint = &*status.endpoint;
        samples.add(&catalogue::TOKEN_ENDPOINT_REUSED, &[endpoint], status.reused);
        samples.add(&catalogue::TOKEN_ENDPOINT_REUSE_BYTES, &[endpoint], status.bytes);
        for (reason, count) in status.dropped {
            samples.add(&catalogue::TOKEN_ENDPOINT_REUSE_DROPPED, &[endpoint, reason.label()], count);
        }
    }
}

fn certificates(snapshot: &Snapshot, samples: &mut Samples) {
    // By the whole path: in mounted secrets every file is called `tls.crt`. One file may be named twice.
    let by_file: BTreeMap<(&str, &Path), u64> = snapshot
        .listeners
        .certificates()
        .map(|(listener, certificate)| ((&**listener, certificate.file.as_path()), certificate.not_after))
        .collect();
    for ((listener, file), not_after) in by_file {
        samples.add(&catalogue::TLS_NOT_AFTER, &[listener, &file.display().to_string()], not_after);
    }
}
