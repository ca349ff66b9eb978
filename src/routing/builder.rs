//! Owns: making a route table out of patterns.
//! Refuses: two routes that answer to the same request, naming both; and `{name}` beside `{*name}` at one place, of which
//! the router underneath can keep only one.
//! Always holds: which route answers does not depend on the order in which they were put in.

use std::collections::{BTreeMap, HashMap};

use http::HeaderValue;

use crate::diagnostic::{Diagnostics, KeyPath};

use super::{
    HostPattern, Methods, RoutePattern, RouteTable,
    path::Segment,
    table::{Candidate, PathRoutes, Route, Router},
};

/// Gathers routes and finds those that contradict each other.
#[derive(Debug)]
pub struct RouteTableBuilder<T> {
    routes: Vec<(KeyPath, Route<T>)>,
    hosts: HashMap<HostPattern, HostPaths>,
}

impl<T> RouteTableBuilder<T> {
    /// No routes yet.
    #[must_use]
    pub fn new() -> Self {
        Self { routes: Vec::new(), hosts: HashMap::new() }
    }

    /// Adds a route. `at` is its place in the configuration (like `routes.orders`) and its name in diagnostics; `value` is
    /// what a match gives out. A route that contradicts an earlier one is noted and left out.
    pub fn insert(&mut self, at: &KeyPath, pattern: &RoutePattern, value: T, diagnostics: &mut Diagnostics) {
        let index = self.routes.len();
        let paths = self.hosts.entry(pattern.host.clone()).or_default();
        if let Err(conflict) = paths.insert(index, pattern) {
            let other = self.routes.get(conflict.with).map_or_else(String::new, |(other, _)| other.to_string());
            diagnostics.error(&at.key("path"), conflict.kind.message(&other), conflict.kind.remedy());
            return;
        }
        self.routes.push((at.clone(), Route::new(&pattern.path, value)));
    }

    /// The finished table; `None` if the router underneath refuses a path, which is noted.
    #[must_use]
    pub fn build(self, diagnostics: &mut Diagnostics) -> Option<RouteTable<T>> {
        let before = diagnostics.error_count();
        let mut table = RouteTable::default();
        for (host, paths) in self.hosts {
            let mut router = Router::new();
            for (shape, routes) in paths.settled() {
                let first = routes.candidates.first().and_then(|candidate| self.routes.get(candidate.route));
                if let (Err(refusal), Some((at, _))) = (router.insert(shape, routes), first) {
                    diagnostics.error(&at.key("path"), refusal.to_string(), "write the path differently");
                }
            }
            table.add_host(host, router);
        }
        table.set_routes(self.routes.into_iter().map(|(_, route)| route).collect());
        (diagnostics.error_count() == before).then_some(table)
    }
}

impl<T> Default for RouteTableBuilder<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// The paths of one host pattern. A path's shape is the path with all names of parameters made the same.
#[derive(Debug, Default)]
struct HostPaths {
    /// The routes of each shape.
    spoken: HashMap<String, Vec<Candidate>>,
    /// What a last `{*rest}` also answers to, unless a route says that shape itself.
    implied: Vec<(String, Candidate)>,
    /// For the shape before each parameter: whether what stands there takes all that follows, and which route says so.
    parameters: HashMap<String, (bool, usize)>,
}

impl HostPaths {
    fn insert(&mut self, index: usize, pattern: &RoutePattern) -> Result<(), Conflict> {
        let mut shape = String::new();
        let mut places = Vec::new();
        for segment in pattern.path.segments() {
            shape.push('/');
            match segment {
                Segment::Literal(literal) => shape.push_str(literal),
                Segment::Parameter(_) => {
                    places.push((shape.clone(), false));
                    shape.push_str("{p}");
                }
                Segment::Rest(_) => {
                    places.push((shape.clone(), true));
                    shape.push_str("{*p}");
                }
            }
        }
        self.refuse_conflicts(&shape, &places, &pattern.methods)?;

        let candidate = Candidate { methods: pattern.methods.clone(), route: index };
        if let Some((before, true)) = places.last() {
            // `/a/{*rest}` answers to `/a/` and to `/a`.
            self.implied.push((before.clone(), candidate.clone()));
            let bare = before.strip_suffix('/').filter(|bare| !bare.is_empty());
            self.implied.extend(bare.map(|bare| (bare.to_owned(), candidate.clone())));
        }
        for (before, takes_rest) in places {
            self.parameters.entry(before).or_insert((takes_rest, index));
        }
        self.spoken.entry(shape).or_default().push(candidate);
        Ok(())
    }

    fn refuse_conflicts(&self, shape: &str, places: &[(String, bool)], methods: &Methods) -> Result<(), Conflict> {
        for (before, takes_rest) in places {
            if let Some(&(other_takes_rest, with)) = self.parameters.get(before)
                && other_takes_rest != *takes_rest
            {
                return Err(Conflict { with, kind: ConflictKind::RestBesideParameter { before: before.clone() } });
            }
        }
        let same_shape = self.spoken.get(shape).map_or(&[][..], Vec::as_slice);
        let conflict = same_shape.iter().find_map(|other| {
            let shared = other.methods.shared_with(methods)?;
            Some(Conflict { with: other.route, kind: ConflictKind::SameRequest { shared } })
        });
        conflict.map_or(Ok(()), Err)
    }

    /// Every shape with its routes, in a fixed order.
    fn settled(self) -> impl Iterator<Item = (String, PathRoutes)> {
        let mut implied: BTreeMap<String, Vec<Candidate>> = BTreeMap::new();
        for (shape, candidate) in self.implied {
            if !self.spoken.contains_key(&shape) {
                implied.entry(shape).or_default().push(candidate);
            }
        }
        implied.extend(self.spoken);
        implied.into_iter().map(|(shape, candidates)| (shape, PathRoutes { allow: allow(&candidates), candidates }))
    }
}

struct Conflict {
    /// The route that was there before.
    with: usize,
    kind: ConflictKind,
}

enum ConflictKind {
    SameRequest { shared: String },
    RestBesideParameter { before: String },
}

impl ConflictKind {
    fn message(&self, other: &str) -> String {
        match self {
            Self::SameRequest { shared } => {
                format!("`{other}` has the same host and path, and also answers to {shared}")
            }
            Self::RestBesideParameter { before } => format!(
                "after `{before}`, this path and that of `{other}` have one `{{name}}` and one `{{*name}}`; there can be \
                 only one kind",
                before = before.replace("{p}", "{..}"),
            ),
        }
    }

    fn remedy(&self) -> String {
        match self {
            Self::SameRequest { .. } => "give each method to one of the two, or change a host or path".to_owned(),
            Self::RestBesideParameter { before } => {
                let before = before.replace("{p}", "{..}");
                format!("write `{before}{{name}}/{{*rest}}` in place of `{before}{{*rest}}`, or literal segments")
            }
        }
    }
}

/// The value of `Allow` (RFC 9110 section 10.2.1): all methods of a path, each once, sorted.
fn allow(candidates: &[Candidate]) -> HeaderValue {
    let mut methods: Vec<&str> = Vec::new();
    for candidate in candidates {
        if let Methods::Of(named) = &candidate.methods {
            methods.extend(named.iter().map(http::Method::as_str));
        }
    }
    methods.sort_unstable();
    methods.dedup();
    // Methods are tokens, so this is a header value; an empty one says that none is allowed.
    HeaderValue::try_from(methods.join(", ")).unwrap_or(HeaderValue::from_static(""))
}
