//! Owns: making a route table out of patterns.
//! Refuses: two routes that answer to the same request, naming both; and `{name}` beside `{*name}` at one place, of which
//! the router underneath can keep only one.
//! Always holds: which route answers does not depend on the order in which they were put in.

use std::collections::HashMap;

use http::HeaderValue;

use crate::diagnostic::{Diagnostics, KeyPath};

use super::{
    HostPattern, Methods, PathPattern, RoutePattern, RouteTable,
    path::Segment,
    table::{PathRoutes, Route, Router},
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
    pub fn insert(&mut self, at: &KeyPath, pattern: RoutePattern, value: T, diagnostics: &mut Diagnostics) {
        let shape = Shape::of(&pattern.path);
        let paths = self.hosts.entry(pattern.host.clone()).or_default();
        if let Err(conflict) = paths.refuse_conflicts(&shape, &pattern.methods, &self.routes) {
            let other = self.routes.get(conflict.with).map_or_else(String::new, |(other, _)| other.to_string());
            diagnostics.error(&at.key("path"), conflict.kind.message(&other), conflict.kind.remedy());
            return;
        }
        paths.insert(shape, self.routes.len());
        self.routes.push((at.clone(), Route::new(pattern, value)));
    }

    /// The finished table; `None` if the router underneath refuses a path, which is noted.
    #[must_use]
    pub fn build(self, diagnostics: &mut Diagnostics) -> Option<RouteTable<T>> {
        let before = diagnostics.error_count();
        let mut table = RouteTable::default();
        for (host, paths) in self.hosts {
            let mut router = Router::new();
            for (shape, routes) in paths.settled() {
                let first = routes.first().and_then(|&route| self.routes.get(route));
                let routes = PathRoutes { allow: allow(&routes, &self.routes), routes };
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

/// A path with all names of parameters made the same: two routes of one shape answer to the same paths.
struct Shape {
    text: String,
    /// Where in `text` a parameter begins, and whether it takes all that follows.
    parameters: Vec<(usize, bool)>,
}

impl Shape {
    fn of(path: &PathPattern) -> Self {
        let mut shape = Self { text: String::new(), parameters: Vec::new() };
        for segment in path.segments() {
            shape.text.push('/');
            let (text, takes_rest) = match segment {
                Segment::Literal(literal) => (&**literal, None),
                Segment::Parameter(_) => ("{p}", Some(false)),
                Segment::Rest(_) => ("{*p}", Some(true)),
            };
            shape.parameters.extend(takes_rest.map(|takes_rest| (shape.text.len(), takes_rest)));
            shape.text.push_str(text);
        }
        shape
    }

    /// For each parameter, the text before it and whether it takes all that follows.
    fn places(&self) -> impl Iterator<Item = (&str, bool)> {
        self.parameters.iter().map(|&(start, takes_rest)| (self.text.get(..start).unwrap_or_default(), takes_rest))
    }
}

/// The paths of one host pattern.
#[derive(Debug, Default)]
struct HostPaths {
    /// The routes of each shape.
    spoken: HashMap<String, Vec<usize>>,
    /// The shapes that a last `{*rest}` also answers to, unless a route says them itself.
    implied: Vec<(String, usize)>,
    /// By the text before a parameter: whether it takes all that follows, and the first route that says so.
    parameters: HashMap<String, (bool, usize)>,
}

impl HostPaths {
    fn refuse_conflicts<T>(
        &self,
        shape: &Shape,
        methods: &Methods,
        routes: &[(KeyPath, Route<T>)],
    ) -> Result<(), Conflict> {
        for (before, takes_rest) in shape.places() {
            if let Some(&(other_takes_rest, with)) = self.parameters.get(before)
                && other_takes_rest != takes_rest
            {
                return Err(Conflict { with, kind: ConflictKind::RestBesideParameter { before: before.to_owned() } });
            }
        }
        let same_shape = self.spoken.get(&shape.text).map_or(&[][..], Vec::as_slice);
        let conflict = same_shape.iter().find_map(|&with| {
            let shared = routes.get(with)?.1.methods.shared_with(methods)?;
            Some(Conflict { with, kind: ConflictKind::SameRequest { shared } })
        });
        conflict.map_or(Ok(()), Err)
    }

    fn insert(&mut self, shape: Shape, route: usize) {
        for (before, takes_rest) in shape.places() {
            if !self.parameters.contains_key(before) {
                self.parameters.insert(before.to_owned(), (takes_rest, route));
            }
            if takes_rest {
                // `/a/{*rest}` answers to `/a/` and to `/a`.
                self.implied.push((before.to_owned(), route));
                let bare = before.strip_suffix('/').filter(|bare| !bare.is_empty());
                self.implied.extend(bare.map(|bare| (bare.to_owned(), route)));
            }
        }
        self.spoken.entry(shape.text).or_default().push(route);
    }

    /// Every shape with its routes.
    fn settled(self) -> impl Iterator<Item = (String, Vec<usize>)> {
        let mut implied: HashMap<String, Vec<usize>> = HashMap::new();
        for (shape, route) in self.implied {
            if !self.spoken.contains_key(&shape) {
                implied.entry(shape).or_default().push(route);
            }
        }
        implied.into_iter().chain(self.spoken)
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

/// The value of `Allow` (RFC 9110 section 10.2.1): the methods of all routes of a path, sorted.
fn allow<T>(of: &[usize], routes: &[(KeyPath, Route<T>)]) -> HeaderValue {
    let mut methods: Vec<&str> = Vec::new();
    for (_, route) in of.iter().filter_map(|&route| routes.get(route)) {
        if let Methods::Of(named) = &route.methods {
            methods.extend(named.iter().map(http::Method::as_str));
        }
    }
    methods.sort_unstable();
    // Methods are tokens, so this is a header value; an empty one says that none is allowed.
    HeaderValue::try_from(methods.join(", ")).unwrap_or(HeaderValue::from_static(""))
}
