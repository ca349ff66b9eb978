//! Owns: one route, compiled: who may use it, where it goes, what the upstream is told.
//! Refuses: an unknown upstream; identity headers that could be mistaken for the message's own.
//! Always holds: its access is a proof that the operator either wrote rules or said that there are none.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use http::HeaderName;

use crate::{
    auth::{Access, Issuers},
    config::{AuthorizationConfig, IdentityConfig, ModeConfig, RouteConfig, UpstreamConfig},
    diagnostic::{Diagnostics, KeyPath, nearest},
    http::PathPrefix,
    limit::{Limits, RouteLimit, SharedCounters},
    routing::RoutePattern,
    telemetry::{Metrics, RouteMetrics, UpstreamMetrics},
    upstream::{Upstream, Upstreams},
};

/// One route.
#[derive(Debug)]
pub struct Route {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// Who may use it.
    pub access: Access,
    /// Where it goes.
    pub upstream: Arc<Upstream>,
    /// How long the whole exchange may take.
    pub timeout: Duration,
    /// Whether what streams is cut when the token that it was asked for with ends.
    pub end_with_token: bool,
    /// What is taken off the front of the path.
    pub strip_prefix: Option<PathPrefix>,
    /// What the upstream is told about the caller.
    pub identity: Identity,
    /// How many requests are let through, if not as many as come.
    pub limit: Option<RouteLimit>,
    /// Its series.
    pub metrics: RouteMetrics,
    /// The series of its upstream.
    pub upstream_metrics: UpstreamMetrics,
}

/// What an upstream is told about the caller.
#[derive(Debug)]
pub struct Identity {
    /// Headers and the claims that fill them.
    pub headers: Vec<(HeaderName, Box<str>)>,
    /// Whether `Authorization` is passed on.
    pub keeps_authorization: bool,
}

/// In what way less is enforced on a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposure {
    /// Nothing is asked for.
    Public,
    /// Rules are only reported.
    Reports,
}

/// Headers that say where a message ends, whom it is for, or who asks by other means: never filled from a claim.
const RESERVED: &[&str] = &[
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-request-id",
];

/// What a route is compiled against.
pub(super) struct Parts<'a> {
    pub(super) issuers: Option<&'a Issuers>,
    pub(super) upstreams: Option<&'a Upstreams>,
    pub(super) raw_upstreams: &'a BTreeMap<String, UpstreamConfig>,
    pub(super) metrics: &'a Metrics,
    pub(super) limits: &'a Limits,
    pub(super) shared: Option<&'a Arc<SharedCounters>>,
}

impl Route {
    /// Compiles `[routes.<name>]`. Everything wrong with it is noted, also where another part stands in the way.
    pub(super) fn compile(
        name: &str,
        raw: &RouteConfig,
        parts: &Parts<'_>,
        diagnostics: &mut Diagnostics,
    ) -> (Option<RoutePattern>, Option<Self>) {
        let at = KeyPath::of(&["routes", name]);
        let pattern = RoutePattern::compile(&at, raw.host.as_deref(), &raw.path, raw.methods.as_deref(), diagnostics);
        let strip_prefix = match (&raw.strip_prefix, &pattern) {
            (Some(text), Some(pattern)) => {
                pattern.compile_strip_prefix(&at.key("strip_prefix"), text, diagnostics).map(Some)
            }
            (Some(_), None) => None,
            (None, _) => Some(None),
        };
        let parameters: Vec<&str> = pattern.iter().flat_map(|pattern| pattern.path.parameter_names()).collect();
        // Without the path's own parameters, or without the issuers, rules about them cannot be judged.
        let issuers = parts.issuers.filter(|_| pattern.is_some());
        let access = Access::compile(name, raw, issuers, &parameters, diagnostics);
        let identity = Identity::compile(&at, &raw.identity, raw.public, diagnostics);
        if raw.timeout.0.is_zero() {
            let remedy = "write a duration above zero, like \"30s\", or leave it out for the default";
            diagnostics.error(&at.key("timeout"), "the timeout leaves no time at all", remedy);
        }
        let end_with_token = end_with_token(&at, raw, diagnostics);
        let limiting = (parts.limits, parts.shared);
        let limit = match &raw.limit {
            Some(limit) => RouteLimit::compile(name, limit, raw, limiting, diagnostics).map(Some),
            None => Some(None),
        };
        let upstream = upstream(&at, &raw.upstream, parts, diagnostics);
        let compile = move || {
            Some(Self {
                name: Arc::from(name),
                access: access?,
                upstream_metrics: parts.metrics.upstream(upstream.as_ref()?.name()),
                upstream: upstream?,
                timeout: raw.timeout.0,
                end_with_token,
                strip_prefix: strip_prefix?,
                identity: identity?,
                limit: limit?,
                metrics: parts.metrics.route(name),
            })
        };
        (pattern, compile())
    }

    /// In what way less is enforced here, if it is.
    #[must_use]
    pub const fn exposure(&self) -> Option<Exposure> {
        match &self.access {
            Access::Public(_) => Some(Exposure::Public),
            Access::Protected(requirement) if requirement.report_only().is_some() => Some(Exposure::Reports),
            Access::Protected(_) => None,
        }
    }
}

impl Identity {
    /// Compiles the `identity` table of the route at `route`.
    fn compile(route: &KeyPath, raw: &IdentityConfig, public: bool, diagnostics: &mut Diagnostics) -> Option<Self> {
        let at = |name: &str| route.key("identity").key("headers").key(name);
        let mut headers = Vec::with_capacity(raw.headers.len());
        let mut seen = BTreeSet::new();
        for (name, claim) in &raw.headers {
            // As an upstream may read it, which is also how it is taken out of what comes in.
            let folded = name.to_ascii_lowercase().replace(['_', '.'], "-");
            match HeaderName::try_from(name) {
                Ok(_) if RESERVED.contains(&folded.as_str()) => diagnostics.key_error(
                    &at(name),
                    format!("`{name}` cannot carry a claim: it belongs to the message itself"),
                    "choose a header of your own, like \"x-client-id\"",
                ),
                Ok(_) if !seen.insert(folded) => diagnostics.key_error(
                    &at(name),
                    format!("`{name}` is named twice: case, `_`, `.` and `-` make no difference to some servers"),
                    "name each header once",
                ),
                Ok(_) if claim.is_empty() => {
                    let remedy = "write the name of a claim, like \"client_id\"";
                    diagnostics.error(&at(name), "the claim has no name", remedy);
                }
                Ok(header) => headers.push((header, claim.as_str().into())),
                Err(_) => diagnostics.key_error(
                    &at(name),
                    format!("`{name}` cannot be a header's name"),
                    "write letters, digits and hyphens, like \"x-client-id\"",
                ),
            }
        }
        if public && !raw.headers.is_empty() {
            let remedy = "remove `headers`, or let the route `require` a token";
            let path = route.key("identity").key("headers");
            diagnostics.error(&path, "on a public route there is no token to fill headers from", remedy);
            return None;
        }
        let keeps_authorization = raw.authorization == AuthorizationConfig::Keep;
        (headers.len() == raw.headers.len()).then_some(Self { headers, keeps_authorization })
    }
}

/// Whether what streams ends with its token, where there is one that counts.
fn end_with_token(route: &KeyPath, raw: &RouteConfig, diagnostics: &mut Diagnostics) -> bool {
    if !raw.end_with_token {
        return false;
    }
    if raw.public {
        let remedy = "remove `end_with_token`, or let the route `require` a token";
        let path = route.key("end_with_token");
        diagnostics.error(&path, "on a public route there is no token that anything could end with", remedy);
        return false;
    }
    if raw.mode == ModeConfig::Report {
        let remedy = "remove `mode` to enforce the rules, and with them the end";
        diagnostics.warning(&route.key("end_with_token"), "nothing is cut while the route only reports", remedy);
        return false;
    }
    true
}

fn upstream(route: &KeyPath, name: &str, parts: &Parts<'_>, diagnostics: &mut Diagnostics) -> Option<Arc<Upstream>> {
    if !parts.raw_upstreams.contains_key(name) {
        let remedy = match nearest(name, parts.raw_upstreams.keys().map(String::as_str)) {
            Some(nearest) => format!("did you mean \"{nearest}\"?"),
            None => format!("add [upstreams.{name}] with its endpoints"),
        };
        diagnostics.error(&route.key("upstream"), format!("there is no upstream `{name}`"), remedy);
        return None;
    }
    parts.upstreams?.by_name(name)
}

impl Exposure {
    /// What it means, to stand after the route's name.
    #[must_use]
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Public => "is public: everybody is let through",
            Self::Reports => "only reports: what its rules refuse is let through",
        }
    }
}
