//! Owns: making a route table out of patterns.
//! Refuses: two routes that answer to the same request, naming both; and `{name}` beside `{*name}` at one place, of which
//! it would not be plain to see which one answers.
//! Always holds: which route answers does not depend on the order in which they were put in.

use std::{collections::HashMap, sync::Arc};

use crate::diagnostic::{Diagnostics, KeyPath};

use super::{
    HostPattern, Methods, PathPattern, RoutePattern, RouteTable,
    path::Segment,
    table::{Route, Shape},
    tree::{PathTree, number},
};

/// Gathers routes and finds those that contradict each other.
#[derive(Debug)]
pub struct RouteTableBuilder<T> {
    routes: Vec<(KeyPath, Route<T>)>,
    hosts: HashMap<HostPattern, PathTree>,
    /// Each shape once: most routes have one that others have, too, and a request finds it where the last one did.
    shapes: Vec<Arc<Shape>>,
    /// The number of each.
    numbers: HashMap<Arc<Shape>, u32>,
}

impl<T> RouteTableBuilder<T> {
    /// No routes yet.
    #[must_use]
    pub fn new() -> Self {
        Self { routes: Vec::new(), hosts: HashMap::new(), shapes: Vec::new(), numbers: HashMap::new() }
    }

    /// Adds a route. `at` is its place in the configuration (like `routes.orders`) and its name in diagnostics; `value` is
    /// what a match gives out. A route that contradicts an earlier one is noted and left out.
    pub fn insert(&mut self, at: KeyPath, pattern: RoutePattern, value: T, diagnostics: &mut Diagnostics) {
        let RoutePattern { host, path, methods } = pattern;
        let tree = self.hosts.entry(host).or_insert_with(PathTree::new);
        let methods_of = |route: u32| {
            let shape = self.routes.get(route as usize)?.1.shape;
            self.shapes.get(shape as usize).map(|shape| &shape.methods)
        };
        if let Some(conflict) = conflict(tree, &path, &methods, methods_of) {
            let other =
                self.routes.get(conflict.with as usize).map_or_else(String::new, |(other, _)| other.to_string());
            diagnostics.error(&at.key("path"), conflict.kind.message(&other), conflict.kind.remedy());
            return;
        }
        tree.insert(path.segments(), number(self.routes.len()));
        let shape = self.shape(Shape::new(&path, methods));
        self.routes.push((at, Route { value, shape }));
    }

    /// The finished table.
    #[must_use]
    pub fn build(self) -> RouteTable<T> {
        let mut table = RouteTable::default();
        for (host, tree) in self.hosts {
            table.add_host(host, tree.finished());
        }
        table.set_routes(self.routes.into_iter().map(|(_, route)| route).collect(), self.shapes);
        table
    }

    /// The number of a shape.
    fn shape(&mut self, shape: Shape) -> u32 {
        let shape = Arc::new(shape);
        *self.numbers.entry(Arc::clone(&shape)).or_insert_with(|| {
            self.shapes.push(shape);
            number(self.shapes.len() - 1)
        })
    }
}

impl<T> Default for RouteTableBuilder<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// How a path contradicts those of a host that are there already, if it does.
fn conflict<'m>(
    tree: &PathTree,
    path: &PathPattern,
    methods: &Methods,
    methods_of: impl Fn(u32) -> Option<&'m Methods>,
) -> Option<Conflict> {
    let segments = path.segments();
    if let Some((before, with)) = tree.other_kind(segments) {
        let before = segments.iter().take(before).map(|segment| match segment {
            Segment::Literal(literal) => literal,
            Segment::Parameter(_) | Segment::Rest(_) => "{..}",
        });
        let before = before.fold("/".to_owned(), |path, segment| path + segment + "/");
        return Some(Conflict { with, kind: ConflictKind::RestBesideParameter { before } });
    }
    tree.spoken(segments).iter().find_map(|&with| {
        let shared = methods_of(with)?.shared_with(methods)?;
        Some(Conflict { with, kind: ConflictKind::SameRequest { shared } })
    })
}

struct Conflict {
    /// The route that was there before.
    with: u32,
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
                 only one kind"
            ),
        }
    }

    fn remedy(&self) -> String {
        match self {
            Self::SameRequest { .. } => "give each method to one of the two, or change a host or path".to_owned(),
            Self::RestBesideParameter { before } => {
                format!("write `{before}{{name}}/{{*rest}}` in place of `{before}{{*rest}}`, or literal segments")
            }
        }
    }
}
