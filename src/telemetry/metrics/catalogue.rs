//! Owns: every metric there is: its name, its kind, its labels, and a sentence about it.
//! Refuses: a metric that is made up somewhere else, so that what an operator may rely on is listed in one place.

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only ever grows; its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Durations in seconds, by size.
    Histogram,
    /// A fact told by labels; its name ends in `_info`, its value is 1.
    Info,
}

/// One metric.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name, as it is queried.
    pub name: &'static str,
    /// What it is.
    pub kind: MetricKind,
    /// The names of its labels, in the order in which values are given.
    pub labels: &'static [&'static str],
    /// What it means.
    pub help: &'static str,
}

macro_rules! catalogue {
    ($($identifier:ident: $kind:ident $name:literal $labels:tt $help:literal;)*) => {
        $(
            #[doc = $help]
            pub static $identifier: Metric =
                Metric { name: $name, kind: MetricKind::$kind, labels: &$labels, help: $help };
        )*
        /// All of them, in the order of the documentation.
        pub static ALL: &[&Metric] = &[$(&$identifier),*];
    };
}

catalogue! {
    REQUESTS: Counter "postern_requests_total" ["route", "status_class"]
        "Requests answered, by route (empty: none matched) and class of status (none: downstream left before there was one).";
    REQUEST_DURATION: Histogram "postern_request_duration_seconds" ["route"]
        "Time from a request's head to the end of its answer's body.";
    REQUESTS_UNDER_WAY: Gauge "postern_requests_under_way" []
        "Requests whose answer has not ended yet.";
    REQUEST_BYTES: Counter "postern_request_bytes_total" ["route"]
        "Bytes of request bodies.";
    RESPONSE_BYTES: Counter "postern_response_bytes_total" ["route"]
        "Bytes of response bodies.";
    REJECTIONS: Counter "postern_rejections_total" ["route", "reason"]
        "Requests that Postern itself answered with an error, by the reasons of docs/errors.md.";
    TOKEN_ENDED: Counter "postern_token_ended_total" ["route"]
        "Answers and upgraded connections cut because the token that they were asked for with had ended.";
    AUTH_DECISIONS: Counter "postern_auth_decisions_total" ["route", "issuer", "result", "reason", "mode"]
        "Decisions over requests. The issuer is empty unless a token of it was verified; with mode report a refusal was only noted.";
    TOKEN_CACHE_HITS: Counter "postern_token_cache_hits_total" []
        "Tokens found verified already.";
    TOKEN_CACHE_MISSES: Counter "postern_token_cache_misses_total" []
        "Tokens that had to be verified, by signature or by asking their issuer.";
    KEY_SET_AGE: Gauge "postern_key_set_age_seconds" ["issuer"]
        "Time since an issuer's keys were last fetched.";
    KEY_SET_KEYS: Gauge "postern_key_set_keys" ["issuer"]
        "Usable keys of an issuer.";
    KEY_SET_FETCHES: Counter "postern_key_set_fetches_total" ["issuer", "result"]
        "Attempts to fetch an issuer's keys, by how they ended.";
    UNKNOWN_KEY: Counter "postern_unknown_key_total" ["issuer"]
        "Tokens whose key the issuer does not list.";
    INTROSPECTION_REQUESTS: Counter "postern_introspection_requests_total" ["issuer", "result"]
        "Questions to an issuer what an opaque token means, by how they ended.";
    REVOCATION_REQUESTS: Counter "postern_revocation_requests_total" ["issuer", "result"]
        "Questions to an issuer whether a token was revoked, by how they ended.";
    UPSTREAM_REQUESTS: Counter "postern_upstream_requests_total" ["upstream", "status_class"]
        "Requests forwarded, by upstream and class of its status (none: it gave no answer).";
    UPSTREAM_FAILURES: Counter "postern_upstream_failures_total" ["upstream", "reason"]
        "Requests that could not be forwarded or were not answered, by the reasons of docs/errors.md.";
    UPSTREAM_CONNECT: Histogram "postern_upstream_connect_seconds" ["upstream"]
        "Time that opening a connection took; requests on an open connection are not counted.";
    UPSTREAM_RESPONSE_HEADER: Histogram "postern_upstream_response_header_seconds" ["upstream"]
        "Time from sending a request until the head of its answer had arrived.";
    UPSTREAM_CONNECTIONS: Gauge "postern_upstream_connections" ["upstream", "endpoint"]
        "Open connections to an endpoint.";
    UPSTREAM_CONNECT_FAILURES: Counter "postern_upstream_connect_failures_total" ["upstream", "endpoint"]
        "Connections to an endpoint that could not be made.";
    UPSTREAM_ENDPOINT_REQUESTS: Gauge "postern_upstream_requests_under_way" ["upstream", "endpoint"]
        "Requests that an endpoint has not answered to the end yet.";
    UPSTREAM_RETRIES: Counter "postern_upstream_retries_total" ["upstream", "cause"]
        "Requests that were tried again: after connect, reset or status. With cause out_of_budget those that were not, because too many others were.";
    UPSTREAM_WAITING: Gauge "postern_upstream_requests_waiting" ["upstream"]
        "Requests that wait for room at any endpoint.";
    REQUESTS_SHED: Counter "postern_requests_shed_total" []
        "Requests answered 503 at once, because too many were under way or a worker had fallen behind.";
    UPSTREAM_AVAILABLE: Gauge "postern_upstream_endpoint_available" ["upstream", "endpoint"]
        "1 if nothing speaks against an endpoint, 0 if it is not well, was not asked yet, or is left alone for failing requests.";
    UPSTREAM_NONE_AVAILABLE: Gauge "postern_upstream_none_available" ["upstream"]
        "1 if no endpoint of an upstream is available, so that requests go to all of them.";
    UPSTREAM_HEALTH_CHECKS: Counter "postern_upstream_health_checks_total" ["upstream", "endpoint", "result"]
        "Answers to health checks: good, unreachable, tls, status, timed_out, broken_off; not_asked if Postern had no descriptor left.";
    UPSTREAM_EJECTIONS: Counter "postern_upstream_ejections_total" ["upstream", "endpoint"]
        "How often an endpoint was left alone for failing requests.";
    UPSTREAM_NAME_ADDRESSES: Gauge "postern_upstream_name_addresses" ["upstream", "name"]
        "Addresses in use of a name among an upstream's endpoints.";
    UPSTREAM_NAME_LOOKUPS: Counter "postern_upstream_name_lookups_total" ["upstream", "name", "result"]
        "Lookups of a name among an upstream's endpoints, by how they ended: found, no_address, failed.";
    LISTENER_OPEN: Gauge "postern_listener_open_connections" ["listener"]
        "Open connections from downstream.";
    LISTENER_CONNECTIONS: Counter "postern_listener_connections_total" ["listener"]
        "Connections accepted.";
    LISTENER_REFUSED: Counter "postern_listener_refused_total" ["listener", "reason"]
        "Connections closed before a request was read, by why.";
    TLS_NOT_AFTER: Gauge "postern_tls_certificate_not_after_seconds" ["listener", "certificate"]
        "When a certificate expires, in seconds since the Unix epoch.";
    CONFIG_GENERATION: Gauge "postern_config_generation" []
        "How often a configuration has been applied since the start.";
    CONFIG_INFO: Info "postern_config_info" ["hash"]
        "The configuration in force, by the SHA-256 of its files.";
    CONFIG_LAST_RELOAD_SUCCESSFUL: Gauge "postern_config_last_reload_successful" []
        "1 if the last attempt to load the configuration succeeded, 0 if an older one is still in force.";
    CONFIG_LAST_RELOAD: Gauge "postern_config_last_reload_timestamp_seconds" []
        "When a configuration was last applied, in seconds since the Unix epoch.";
    CONFIG_RELOADS: Counter "postern_config_reloads_total" ["result"]
        "Attempts to load a changed configuration, by how they ended: applied or rejected.";
    ACCESS_LOG_LINES: Counter "postern_access_log_lines_total" []
        "Lines of the access log that were written.";
    ACCESS_LOG_DROPPED: Counter "postern_access_log_dropped_total" []
        "Lines of the access log that were lost: nobody read fast enough, or they could not be written.";
    LOG_DROPPED: Counter "postern_log_dropped_total" []
        "Lines of the program's own log that were lost.";
    STORE_REACHABLE: Gauge "postern_store_reachable" []
        "1 if the embedded issuer's store answered when it was last asked, 0 if not; absent without an embedded issuer.";
    REVOKED_TOKENS: Gauge "postern_revoked_tokens" []
        "Revoked tokens of the embedded issuer that have not expired yet.";
    ISSUED_TOKENS: Counter "postern_issued_tokens_total" ["dialect"]
        "Tokens that the embedded issuer has issued here since the start.";
    TOKEN_ENDPOINT_FORWARDED: Counter "postern_token_endpoint_forwarded_total" ["endpoint"]
        "Requests that were made to the outside provider of a token endpoint.";
    TOKEN_ENDPOINT_PROVIDER_FAILURES: Counter "postern_token_endpoint_provider_failures_total" ["endpoint", "reason"]
        "Requests to a provider that failed through no fault of a client: unreachable, tls, timed_out, broken_off, too_large, status, answer, busy, credentials_refused.";
    LOCKOUT_MESSAGES: Counter "postern_token_endpoint_lockout_messages_total" ["result"]
        "What other replicas told of failures and successes at token endpoints: heard, or ignored because it made no sense or was old.";
    TOKEN_ENDPOINT_REUSED: Counter "postern_token_endpoint_reused_total" ["endpoint"]
        "Token requests answered without one of their own to the provider: with a token that was kept, or that another request had under way.";
    TOKEN_ENDPOINT_REUSE_BYTES: Gauge "postern_token_endpoint_reuse_bytes" ["endpoint"]
        "Memory that kept tokens take, about.";
    TOKEN_ENDPOINT_REUSE_DROPPED: Counter "postern_token_endpoint_reuse_dropped_total" ["endpoint", "reason"]
        "Kept tokens that are not handed out any more before their time: refused, upstream_401, revoked, invalid_client, credential_changed, operator, no_room.";
    SHARED_LIMITS_REACHABLE: Gauge "postern_shared_limits_reachable" []
        "1 if the server where replicas count together answered when it was last asked, 0 if each counts alone; absent without one.";
    SHARED_LIMITS_FAILURES: Counter "postern_shared_limits_failures_total" ["reason"]
        "Questions to that server without an answer: unreachable, timed_out, broken_off, refused, or skipped because it was away.";
    QUOTA_WARNINGS: Counter "postern_token_endpoint_quota_warnings_total" ["endpoint", "threshold"]
        "How often a client or an organisation had used 60, 80 or 100 hundredths of its quota of an hour or a day.";
    BUILD_INFO: Info "postern_build_info" ["version"]
        "The running version.";
    RESIDENT_MEMORY: Gauge "process_resident_memory_bytes" []
        "Memory that the process holds.";
    OPEN_DESCRIPTORS: Gauge "process_open_fds" []
        "Open file descriptors.";
}

impl Metric {
    /// The name without the ending that its kind demands, as the format's `# TYPE` lines want it.
    pub(super) fn family(&self) -> &'static str {
        let ending = match self.kind {
            MetricKind::Counter => "_total",
            MetricKind::Info => "_info",
            MetricKind::Gauge | MetricKind::Histogram => "",
        };
        self.name.strip_suffix(ending).unwrap_or(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_follow_the_format() {
        // Two families of one name would make the whole answer unreadable to Prometheus.
        let families: BTreeSet<_> = ALL.iter().map(|metric| metric.family()).collect();
        assert_eq!(families.len(), ALL.len());
        for metric in ALL {
            let is_told_by_ending = match metric.kind {
                MetricKind::Counter => metric.name.ends_with("_total"),
                MetricKind::Info => metric.name.ends_with("_info"),
                MetricKind::Gauge => !metric.name.ends_with("_total") && !metric.name.ends_with("_info"),
                MetricKind::Histogram => metric.name.ends_with("_seconds"),
            };
            assert!(is_told_by_ending, "{}", metric.name);
            let is_sane = |name: &str| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            assert!(is_sane(metric.name) && metric.labels.iter().all(|label| is_sane(label)), "{}", metric.name);
            assert!(metric.help.ends_with('.') && !metric.help.contains(['\n', '\\']), "{}", metric.name);
        }
    }
}
