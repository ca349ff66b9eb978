//! Owns: finding a request's route.
//! Always holds: an exact host goes before the longest wildcard, that before any host; where no path of a host matches, the
//! next one is asked. In one host the most specific path decides, segment by segment from the left: a literal before a
//! parameter before a rest. Only then its methods are looked at.

use std::{borrow::Cow, collections::HashMap, iter, sync::Arc};

use http::{HeaderValue, Method};
use percent_encoding::percent_decode_str;

use crate::http::{NormalHost, NormalPath, PathParameters};

use super::{
    HostPattern, Methods, PathPattern,
    tree::{PathTree, Values},
};

/// All routes, ready to be matched.
#[derive(Debug)]
pub struct RouteTable<T> {
    routes: Vec<Route<T>>,
    shapes: Vec<Arc<Shape>>,
    exact: HashMap<Box<str>, PathTree>,
    below: HashMap<Box<str>, PathTree>,
    any: PathTree,
}

/// The route of a request.
#[derive(Debug)]
pub struct RouteMatch<'t, 'p, T> {
    /// What was put into the table with it.
    pub value: &'t T,
    shape: &'t Shape,
    path: Cow<'p, str>,
    values: Values,
}

/// Why a request has no route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoMatch {
    /// No route has this host and path (404).
    NoRoute,
    /// There are routes for this host and path, but none for the method (405).
    MethodNotAllowed {
        /// The methods that there are routes for, as a value of `Allow`.
        allow: HeaderValue,
    },
}

impl<T> RouteTable<T> {
    /// Finds the route of a request. Allocates nothing but what the path needs for being compared if it has escapes.
    ///
    /// # Errors
    /// If there is no route, or none for the method.
    pub fn match_route<'p>(
        &self,
        host: &NormalHost,
        path: &'p NormalPath<'_>,
        method: &Method,
    ) -> Result<RouteMatch<'_, 'p, T>, NoMatch> {
        let path = path.for_matching();
        let mut values = Values::default();
        let found = self.trees(host.as_str()).find_map(|tree| tree.find(&path, &mut values)).ok_or(NoMatch::NoRoute)?;
        let route = self.of(found).find(|(_, shape)| shape.methods.contain(method));
        let (value, shape) = route.ok_or_else(|| NoMatch::MethodNotAllowed { allow: self.allow(found) })?;
        Ok(RouteMatch { value, shape, path, values })
    }

    /// The routes of these numbers.
    fn of(&self, numbers: &[u32]) -> impl Iterator<Item = (&T, &Shape)> {
        numbers.iter().filter_map(|&route| {
            let Route { value, shape } = self.routes.get(route as usize)?;
            Some((value, &**self.shapes.get(*shape as usize)?))
        })
    }

    /// The value of `Allow` (RFC 9110 section 10.2.1): the methods of all routes of a path, sorted.
    fn allow(&self, of: &[u32]) -> HeaderValue {
        let mut methods: Vec<&str> = Vec::new();
        for (_, shape) in self.of(of) {
            if let Methods::Of(named) = &shape.methods {
                methods.extend(named.iter().map(Method::as_str));
            }
        }
        methods.sort_unstable();
        // Methods are tokens, so this is a header value; an empty one says that none is allowed.
        HeaderValue::try_from(methods.join(", ")).unwrap_or(HeaderValue::from_static(""))
    }

    pub(super) fn add_host(&mut self, host: HostPattern, tree: PathTree) {
        match host {
            HostPattern::Exact(name) => drop(self.exact.insert(name, tree)),
            HostPattern::Below(name) => drop(self.below.insert(name, tree)),
            HostPattern::Any => self.any = tree,
        }
    }

    pub(super) fn set_routes(&mut self, routes: Vec<Route<T>>, shapes: Vec<Arc<Shape>>) {
        (self.routes, self.shapes) = (routes, shapes);
    }

    /// The paths of those host patterns that `host` fits, the most specific one first.
    fn trees(&self, host: &str) -> impl Iterator<Item = &PathTree> {
        let parent = |name: &str| name.split_once('.').map(|(_label, parent)| parent.len());
        let mut name = if self.below.is_empty() { None } else { Some(host) };
        let below = iter::from_fn(move || {
            let suffix_bytes = parent(name?)?;
            name = host.get(host.len() - suffix_bytes..);
            name
        });
        let exact = if self.exact.is_empty() { None } else { self.exact.get(host) };
        exact.into_iter().chain(below.filter_map(|name| self.below.get(name))).chain(iter::once(&self.any))
    }
}

impl<T> RouteMatch<'_, '_, T> {
    /// The values of its path's parameters. They are made when they are asked for, since few routes have rules about them.
    #[must_use]
    pub fn parameters(&self) -> PathParameters {
        self.shape.parameters(self.values.of(&self.path), self.path.len())
    }
}

impl<T> Default for RouteTable<T> {
    fn default() -> Self {
        Self {
            routes: Vec::new(),
            shapes: Vec::new(),
            exact: HashMap::new(),
            below: HashMap::new(),
            any: PathTree::new(),
        }
    }
}

/// What the table keeps of one route.
#[derive(Debug)]
pub(super) struct Route<T> {
    pub(super) value: T,
    /// The number of its shape.
    pub(super) shape: u32,
}

/// What many routes have in common.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Shape {
    pub(super) methods: Methods,
    parameter_names: Box<[Box<str>]>,
}

impl Shape {
    pub(super) fn new(path: &PathPattern, methods: Methods) -> Self {
        Self { methods, parameter_names: path.parameter_names().map(Box::from).collect() }
    }

    /// The parameters with their values, decoded. A rest that matched nothing has no value of its own and is empty.
    fn parameters<'v>(&self, values: impl Iterator<Item = &'v str>, path_bytes: usize) -> PathParameters {
        if self.parameter_names.is_empty() {
            return PathParameters::default();
        }
        let names_bytes: usize = self.parameter_names.iter().map(|name| name.len()).sum();
        let mut parameters = PathParameters::with_capacity(self.parameter_names.len(), names_bytes + path_bytes);
        for (name, value) in self.parameter_names.iter().zip(values.chain(iter::repeat(""))) {
            if value.contains('%') {
                // A normal path's escapes spell UTF-8, so nothing is lost; and only they are decoded here.
                parameters.push(name, &percent_decode_str(value).decode_utf8_lossy());
            } else {
                parameters.push(name, value);
            }
        }
        parameters
    }
}
