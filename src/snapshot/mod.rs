//! Owns: the configuration compiled whole, and its replacement while requests run.
//! Refuses: a configuration with any error in it; a mix of two configurations within one request.
//! Always holds: a `Snapshot` is immutable; a rejected configuration leaves the applied one in force.

mod changes;
mod compile;
mod entries;
mod files;
mod issuing;
mod key_sources;
mod reload;
mod route;
mod terms;
mod watch;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use http::Method;

use crate::{
    auth::{Inquirers, Issuers, key_set::RemoteKeySet},
    authorization_server::{self, AuthorizationServer},
    clock::{Clock, UnixTime},
    config::{Config, Contents, StartupConfig},
    diagnostic::{Diagnostics, KeyPath},
    http::{NormalHost, NormalPath, headers::IdentityHeaderNames},
    limit::{Limits, SharedCounters},
    outbound::Outbound,
    routing::{NoMatch, RouteMatch, RouteTable},
    server::Listeners,
    telemetry::{Metrics, RouteMetrics},
    token_endpoint::{self, Operation, Reuses, TokenEndpoint},
    upstream::Upstreams,
};

pub use self::{
    changes::changes,
    compile::{Judged, load_and_compile},
    issuing::Issuing,
    reload::{Activation, AppliedReload, Commit, LastReload, ReloadRejection, Reloader},
    route::{Exposure, Route},
    terms::{Identity, Terms},
    watch::Watch,
};

/// A configuration, compiled: everything that a request needs to be decided.
#[derive(Debug)]
pub struct Snapshot {
    /// 1 for the first configuration of the process, one more for each that replaced another.
    pub generation: u64,
    /// SHA-256 of its source files, in hexadecimal.
    pub hash: String,
    /// When it was compiled.
    pub compiled_at: UnixTime,
    /// What it was compiled from.
    pub config: Arc<Config>,
    /// What answers to which request.
    pub table: RouteTable<Destination>,
    /// What Postern itself answers to, looked at before the routes: a route for a whole host must not get to see the
    /// secrets that clients post to a token endpoint.
    pub own_table: Option<RouteTable<Destination>>,
    /// What Postern itself answers with, by the tables' numbers.
    own: Vec<Own>,
    /// The routes, in the order of their names.
    pub routes: Vec<Route>,
    /// Who may sign tokens.
    pub issuers: Issuers,
    /// The key sets of remote issuers, by the issuers' names.
    pub key_sets: BTreeMap<Arc<str>, IssuerKeys>,
    /// Where requests go.
    pub upstreams: Upstreams,
    /// Where requests come from.
    pub listeners: Listeners,
    /// Where clients get tokens, in the order of their names.
    pub token_endpoints: Vec<Arc<TokenEndpoint>>,
    /// The headers that only the gateway may set, over all routes.
    pub identity_headers: IdentityHeaderNames,
    /// Which of the token endpoints' tokens are handed out again.
    pub reuses: Reuses,
    /// What replicas count together, if they do.
    pub shared: Option<Arc<SharedCounters>>,
    /// The embedded issuer before its keys are opened.
    pub authorization_server: Option<Arc<authorization_server::Settings>>,
    /// The embedded issuer with its keys open: set once, before the snapshot comes into force.
    embedded: OnceLock<Arc<AuthorizationServer>>,
    /// The files that it depends on beside its own: certificates, keys, authorities, secrets.
    pub files: BTreeMap<PathBuf, Contents>,
}

/// The keys of one remote issuer, and what a start does without them.
#[derive(Clone, Debug)]
pub struct IssuerKeys {
    /// The keys.
    pub set: Arc<RemoteKeySet>,
    /// What a start does without them.
    pub startup: StartupConfig,
}

/// What answers to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// An upstream, behind the rules of a route.
    Route(RouteIndex),
    /// Postern itself.
    Own(OwnIndex),
}

const _: () =
    assert!(size_of::<Destination>() == 8, "those of 10,000 routes stay near, each with the number of its shape");

/// The place of a route in its snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteIndex(u32);

impl RouteIndex {
    /// How many routes are before it.
    #[must_use]
    pub const fn before(self) -> usize {
        self.0 as usize
    }
}

/// The place of something of Postern's own in its snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnIndex(u32);

/// What Postern itself answers with.
#[derive(Clone, Debug)]
pub enum Own {
    /// A place of a token endpoint: what stands there, and the endpoint's series.
    TokenEndpoint(Arc<TokenEndpoint>, Operation, RouteMetrics),
    /// The document that the embedded issuer publishes at this path.
    Document(Arc<str>),
}

/// What compiling needs besides the configuration, and what outlives every configuration.
#[derive(Clone)]
pub struct Surroundings {
    /// What time it is.
    pub clock: Clock,
    /// Where routes and upstreams are counted.
    pub metrics: Arc<Metrics>,
    /// Who keeps the keys of remote issuers.
    pub key_sets: Arc<crate::auth::key_set::KeySets>,
    /// Who asks issuers about tokens.
    pub inquirers: Arc<Inquirers>,
    /// What the embedded issuer knows, whether or not one is configured.
    pub issuer_memory: Arc<authorization_server::Memory>,
    /// What Postern itself asks of other servers.
    pub outbound: Arc<Outbound>,
    /// What token endpoints keep over reloads.
    pub token_endpoints: token_endpoint::Lasting,
    /// What limits remember, and what replicas count together.
    pub limits: Arc<Limits>,
    /// Compilers of parts that requests are not decided by, run for their diagnostics.
    pub also_compile: &'static [fn(&Config, &mut Diagnostics)],
}

impl Snapshot {
    /// The route at a place that this snapshot's table named.
    #[must_use]
    pub fn route(&self, index: RouteIndex) -> Option<&Route> {
        self.routes.get(index.before())
    }

    /// What Postern itself answers with, at a place that this snapshot's tables named.
    #[must_use]
    pub fn own(&self, index: OwnIndex) -> Option<&Own> {
        self.own.get(index.0 as usize)
    }

    /// The routes on which less is enforced than on others, in the order of their names.
    pub fn exposed_routes(&self) -> impl Iterator<Item = (&Route, Exposure)> {
        self.routes.iter().filter_map(|route| route.exposure().map(|exposure| (route, exposure)))
    }

    /// What answers to a request.
    ///
    /// # Errors
    /// If nothing does, or nothing for its method.
    pub fn match_route<'p>(
        &self,
        host: &NormalHost,
        path: &'p NormalPath<'_>,
        method: &Method,
    ) -> Result<RouteMatch<'_, 'p, Destination>, NoMatch> {
        match self.own_table.as_ref().map(|own| own.match_route(host, path, method)) {
            None | Some(Err(NoMatch::NoRoute)) => self.table.match_route(host, path, method),
            Some(own) => own,
        }
    }

    /// The embedded issuer, if this configuration has one.
    #[must_use]
    pub fn embedded(&self) -> Option<&Arc<AuthorizationServer>> {
        self.embedded.get()
    }

    /// The embedded issuer as token endpoints see it, if this configuration has one.
    #[must_use]
    pub fn issuing(&self) -> Option<Issuing<'_>> {
        self.embedded().map(|server| Issuing { server, issuers: &self.issuers })
    }

    /// Gives the snapshot its embedded issuer, before it comes into force. Doing so again does nothing.
    pub fn open_embedded(&self, issuer: Arc<AuthorizationServer>) {
        // Whoever came first opened the same keys.
        let _ = self.embedded.set(issuer);
    }

    /// The `danger_` options that are switched on, by their place.
    #[must_use]
    pub fn danger_options(&self) -> Vec<String> {
        let unlimited = self.authorization_server.iter().flat_map(|server| server.unlimited_apis());
        let path = |api: &Arc<str>| KeyPath::of(&["authorization_server", "apis", api, "danger_allow_unlimited"]);
        unlimited.map(|api| path(api).to_string()).collect()
    }

    /// Says of each file whose contents are others than in `previous`.
    fn changed_files(&self, previous: &Self) -> Vec<String> {
        let differs = |(path, contents): &(&PathBuf, &Contents)| {
            previous.files.get(*path).is_some_and(|before| before != *contents)
        };
        let changed = self.files.iter().filter(differs);
        changed.map(|(path, _)| format!("file {}: new contents", path.display())).collect()
    }
}
