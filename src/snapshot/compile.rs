//! Owns: putting the parts of a configuration together.
//! Refuses: anything that cannot be enforced.
//! Always holds: every room compiles its part even if another found errors, so that all of them are told at once.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use http::HeaderName;

use super::{
    Destination, Own, OwnIndex, Route, RouteIndex, Snapshot, Surroundings, files,
    key_sources::KeySources,
    terms::{Parts, SharedTerms},
};
use crate::{
    auth::{self, Issuers},
    authorization_server,
    config::{self, Config, Contents, Environment, Loaded, Sources},
    diagnostic::{Diagnostics, KeyPath},
    http::headers::{IdentityHeaderNames, X_API_KEY},
    routing::{RoutePattern, RouteTableBuilder, number},
    server::Listeners,
    telemetry::Metrics,
    token_endpoint::{self, Reuses, TokenEndpoint},
    upstream,
};

/// What became of configuration files.
#[derive(Debug)]
pub struct Judged {
    /// The configuration compiled, if nothing in it is wrong.
    pub snapshot: Option<Snapshot>,
    /// Everything that was found.
    pub diagnostics: Diagnostics,
    /// Where everything stands.
    pub sources: Sources,
    /// The files that it depends on, its own included, whatever came of it, and what was in them.
    pub files: BTreeMap<PathBuf, Contents>,
}

/// Loads and compiles `files`, taking over from `previous` what did not change. Touches nothing that lives.
#[must_use]
pub fn load_and_compile(
    files: &[PathBuf],
    environment: &dyn Environment,
    previous: Option<&Snapshot>,
    surroundings: &Surroundings,
) -> Judged {
    let (loaded, diagnostics) = config::load(files, environment);
    compile_loaded(loaded, diagnostics, previous, surroundings)
}

/// Compiles what a load brought, which was reported as `diagnostics`.
pub(super) fn compile_loaded(
    loaded: Loaded,
    mut diagnostics: Diagnostics,
    previous: Option<&Snapshot>,
    surroundings: &Surroundings,
) -> Judged {
    let mut snapshot = None;
    let mut depends_on = loaded.secret_files.clone();
    if let Some(draft) = loaded.draft() {
        depends_on.extend(files::named_files(draft));
        // A draft has holes where the form was wrong; what only follows from a hole is not told.
        let mut found = Diagnostics::new();
        snapshot = Snapshot::compile(draft, &loaded.hash, &depends_on, previous, surroundings, &mut found);
        loaded.drop_consequences(&mut found);
        diagnostics.extend(found);
    }
    depends_on.extend(loaded.files);
    let snapshot = snapshot.filter(|_| !diagnostics.has_errors());
    Judged { snapshot, diagnostics, sources: loaded.sources, files: depends_on }
}

impl Snapshot {
    fn compile(
        config: &Arc<Config>,
        hash: &str,
        files: &BTreeMap<PathBuf, Contents>,
        previous: Option<&Self>,
        surroundings: &Surroundings,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let errors_before = diagnostics.error_count();
        let now = surroundings.clock.now();
        let mut sources = KeySources::new(surroundings);
        let mut find = |name: &str, raw: &_, diagnostics: &mut _| sources.find(name, raw, diagnostics);
        let issuers = auth::compile_issuers(config, previous.map(|previous| &previous.issuers), &mut find, diagnostics);
        let upstreams = upstream::compile(config, previous.map(|previous| &previous.upstreams), diagnostics);
        let listeners = Listeners::compile(config, previous.map(|previous| &previous.listeners), now, diagnostics);
        let authorization_server = authorization_server::compile(config, diagnostics).map(Arc::new);
        let shared = surroundings.limits.shared(config, diagnostics);
        let lasting = &surroundings.token_endpoints;
        let endpoints = token_endpoint::compile(config, issuers.as_ref(), lasting, shared.as_ref(), diagnostics);
        for compile in surroundings.also_compile {
            compile(config, diagnostics);
        }

        let parts = Parts {
            issuers: issuers.as_ref(),
            upstreams: upstreams.as_ref(),
            raw_upstreams: &config.upstreams,
            metrics: &surroundings.metrics,
            limits: &surroundings.limits,
            shared: shared.as_ref(),
        };
        let mut tables = Tables::default();
        let mut routes = Vec::with_capacity(config.routes.len());
        let mut terms = SharedTerms::default();
        for (name, raw) in &config.routes {
            let (pattern, route) = Route::compile(name, raw, &parts, &mut terms, diagnostics);
            if let Some(pattern) = pattern {
                let destination = Destination::Route(RouteIndex(number(routes.len())));
                tables.all.insert(KeyPath::of(&["routes", name]), pattern, destination, diagnostics);
            }
            routes.extend(route);
        }
        for endpoint in endpoints.iter().flatten() {
            tables.insert_token_endpoint(endpoint, &surroundings.metrics, diagnostics);
        }
        for path in authorization_server.iter().flat_map(|server| server.document_paths()) {
            tables.insert_document(&path, diagnostics);
        }
        let reuse_of = |endpoint: &Arc<TokenEndpoint>| endpoint.forwarding()?.reuse().cloned();
        let reuses = Reuses::new(endpoints.iter().flatten().filter_map(reuse_of));
        if diagnostics.error_count() > errors_before {
            return None;
        }
        Some(Self {
            generation: previous.map_or(1, |previous| previous.generation + 1),
            hash: hash.to_owned(),
            compiled_at: now,
            config: Arc::clone(config),
            table: tables.all.build(),
            own_table: (!tables.owns.is_empty()).then(|| tables.own.build()),
            own: tables.owns,
            embedded: OnceLock::new(),
            identity_headers: identity_headers(&routes, issuers.as_ref().is_some_and(Issuers::accepts_api_keys)),
            routes,
            issuers: issuers?,
            key_sets: sources.remote,
            upstreams: upstreams?,
            listeners: listeners?,
            reuses,
            token_endpoints: endpoints?,
            shared,
            authorization_server,
            files: files.clone(),
        })
    }
}

/// What answers to which request, on the way to being a snapshot's.
#[derive(Default)]
struct Tables {
    /// Routes, and what is Postern's own, so that a route of the same path is refused instead of never reached.
    all: RouteTableBuilder<Destination>,
    own: RouteTableBuilder<Destination>,
    owns: Vec<Own>,
}

impl Tables {
    fn insert_token_endpoint(
        &mut self,
        endpoint: &Arc<TokenEndpoint>,
        metrics: &Metrics,
        diagnostics: &mut Diagnostics,
    ) {
        let at = KeyPath::of(&["token_endpoints", endpoint.name()]);
        // Every method, so that a wrong one is answered in the endpoint's own dialect.
        let series = metrics.route(&at.to_string());
        for place in endpoint.places() {
            let Some(pattern) = RoutePattern::compile(&at, endpoint.host(), &place.path, None, diagnostics) else {
                // What is wrong is the host, and that is the same everywhere.
                return;
            };
            let own = Own::TokenEndpoint(Arc::clone(endpoint), place.operation, series.clone());
            self.insert_own(&at, pattern, own, diagnostics);
        }
    }

    fn insert_document(&mut self, path: &str, diagnostics: &mut Diagnostics) {
        let at = KeyPath::of(&["authorization_server", "issuer"]);
        let methods = ["GET", "HEAD"].map(str::to_owned);
        if let Some(pattern) = RoutePattern::compile(&at, None, path, Some(&methods), diagnostics) {
            self.insert_own(&at, pattern, Own::Document(Arc::from(path)), diagnostics);
        }
    }

    fn insert_own(&mut self, at: &KeyPath, pattern: RoutePattern, own: Own, diagnostics: &mut Diagnostics) {
        let destination = Destination::Own(OwnIndex(number(self.owns.len())));
        self.owns.push(own);
        self.all.insert(at.clone(), pattern.clone(), destination, diagnostics);
        self.own.insert(at.clone(), pattern, destination, diagnostics);
    }
}

/// The headers of every route together: what one route tells its upstream nobody may claim on another.
/// Where API keys are accepted, none may come under another spelling that was not looked at.
fn identity_headers(routes: &[Route], api_keys: bool) -> IdentityHeaderNames {
    let names: Vec<&HeaderName> =
        routes.iter().flat_map(|route| route.terms.identity.headers.iter().map(|(name, _)| name)).collect();
    let names = IdentityHeaderNames::new(names);
    if api_keys { names.and_aliases_of(&X_API_KEY) } else { names }
}
