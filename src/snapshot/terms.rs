//! Owns: what a route has to say that many others say, too, compiled once for all of them.
//! Refuses: an unknown upstream; identity headers that could be mistaken for the message's own.
//! Always holds: its access is a proof that the operator either wrote rules or said that there are none.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use http::HeaderName;

use crate::{
    auth::{Access, Issuers},
    config::{AuthorizationConfig, IdentityConfig, ModeConfig, RequireConfig, RouteConfig, UpstreamConfig},
    diagnostic::{Diagnostics, KeyPath, nearest},
    limit::{Limits, SharedCounters},
    routing::RoutePattern,
    telemetry::{Metrics, UpstreamMetrics},
    upstream::{Upstream, Upstreams},
};

/// Who may use a route, where it goes, what the upstream is told. Routes that say the same of it have one in common: with 10,000 routes
/// a request would else find no rule and no name of a header where the last request left one. Of 51 cache misses, 29 were left by this
/// and by what is beside it in [`super::Route`], in the table of routes and in a route's series.
#[derive(Debug)]
pub struct Terms {
    /// Who may use it.
    pub access: Access,
    /// Where it goes.
    pub upstream: Arc<Upstream>,
    /// The series of its upstream.
    pub upstream_metrics: UpstreamMetrics,
    /// How long the whole exchange may take.
    pub timeout: Duration,
    /// Whether what streams is cut when the token that it was asked for with ends.
    pub end_with_token: bool,
    /// What the upstream is told about the caller.
    pub identity: Identity,
}

/// What an upstream is told about the caller.
#[derive(Debug)]
pub struct Identity {
    /// Headers and the claims that fill them.
    pub headers: Vec<(HeaderName, Box<str>)>,
    /// Whether `Authorization` is passed on.
    pub keeps_authorization: bool,
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

/// The terms of the routes so far, each once.
#[derive(Default)]
pub(super) struct SharedTerms<'a> {
    known: HashMap<RawTerms<'a>, Arc<Terms>>,
}

/// All that terms are compiled from.
#[derive(PartialEq, Eq, Hash)]
struct RawTerms<'a> {
    require: Option<&'a RequireConfig>,
    public: bool,
    mode: ModeConfig,
    upstream: &'a str,
    timeout: Duration,
    end_with_token: bool,
    identity: &'a IdentityConfig,
}

impl<'a> SharedTerms<'a> {
    /// The terms of `[routes.<name>]`, whose pattern is `pattern`, if there is nothing wrong with that.
    pub(super) fn compile(
        &mut self,
        name: &str,
        raw: &'a RouteConfig,
        pattern: Option<&RoutePattern>,
        parts: &Parts<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Arc<Terms>> {
        let parameters: Vec<&str> = pattern.into_iter().flat_map(|pattern| pattern.path.parameter_names()).collect();
        // All keys by their names, so that whoever adds one has to say whether terms are made of it. The first five are the route's own.
        let RouteConfig {
            host: _,
            path: _,
            methods: _,
            strip_prefix: _,
            limit: _,
            require,
            public,
            mode,
            upstream,
            timeout,
            end_with_token,
            identity,
        } = raw;
        let raw_terms = RawTerms {
            require: require.as_ref(),
            public: *public,
            mode: *mode,
            upstream,
            timeout: timeout.0,
            end_with_token: *end_with_token,
            identity,
        };
        // Beside what is in the terms, it only matters that the path has the parameters that they name.
        let mut named = require.iter().flat_map(|require| require.path_claims.keys());
        let has_parameters = named.all(|parameter| parameters.contains(&parameter.as_str()));
        if let Some(known) = self.known.get(&raw_terms).filter(|_| has_parameters && pattern.is_some()) {
            return Some(Arc::clone(known));
        }
        let told_before = diagnostics.iter().count();
        // Without the path's own parameters, or without the issuers, rules about them cannot be judged.
        let issuers = parts.issuers.filter(|_| pattern.is_some());
        let terms = Arc::new(Terms::compile(name, raw, (issuers, &parameters), parts, diagnostics)?);
        // What there was to tell is to be told of each route.
        if diagnostics.iter().count() == told_before {
            self.known.insert(raw_terms, Arc::clone(&terms));
        }
        Some(terms)
    }
}

impl Terms {
    /// Everything wrong with them is noted, also where another part stands in the way.
    fn compile(
        name: &str,
        raw: &RouteConfig,
        (issuers, parameters): (Option<&Issuers>, &[&str]),
        parts: &Parts<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let at = KeyPath::of(&["routes", name]);
        let access = Access::compile(name, raw, issuers, parameters, diagnostics);
        let identity = Identity::compile(&at, &raw.identity, raw.public, diagnostics);
        if raw.timeout.0.is_zero() {
            let remedy = "write a duration above zero, like \"30s\", or leave it out for the default";
            diagnostics.error(&at.key("timeout"), "the timeout leaves no time at all", remedy);
        }
        let end_with_token = end_with_token(&at, raw, diagnostics);
        let upstream = upstream(&at, &raw.upstream, parts, diagnostics)?;
        Some(Self {
            access: access?,
            upstream_metrics: parts.metrics.upstream(upstream.name()),
            upstream,
            timeout: raw.timeout.0,
            end_with_token,
            identity: identity?,
        })
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
