//! Owns: the paths of one host as a tree of segments, and finding the one that a request's path fits best.
//! Refuses: going through the literals of a place one by one where there are many.
//! Always holds: of the paths that fit, the first one decides, segment by segment from the left: a literal before a parameter before
//! a rest.

use std::collections::HashMap;

use http::HeaderValue;

use super::path::{MOST_PARAMETERS, Segment};

/// Up to so many literals of a place are gone through; beyond that a hash finds them.
const FEW: usize = 8;

/// The paths of one host, and the routes of each.
#[derive(Debug)]
pub(super) struct PathTree {
    /// The first one is where every path begins.
    places: Vec<Place>,
    endings: Vec<PathRoutes>,
}

/// What may follow where one has come to. The numbers are those of places and endings.
#[derive(Debug, Default)]
struct Place {
    literals: Literals,
    parameter: Option<usize>,
    /// The first route with a parameter here.
    parameter_of: Option<usize>,
    /// What answers to a path that ends here.
    ending: Option<usize>,
    /// What answers to a path of which a rest begins here.
    rest: Option<usize>,
}

/// Literal segments, and the places that they lead to.
#[derive(Debug)]
enum Literals {
    Few(Vec<(Box<str>, usize)>),
    Many(HashMap<Box<str>, usize>),
}

/// The routes of one path, of which the method chooses one.
#[derive(Debug)]
pub(super) struct PathRoutes {
    /// Where they are in the table; no two of them share a method.
    pub(super) routes: Vec<usize>,
    /// The methods of all of them, as a value of `Allow`.
    pub(super) allow: HeaderValue,
    /// Whether it is a rest that also answers here, and no route says this path itself.
    implied: bool,
}

/// The values of a path's parameters, in their order.
#[derive(Debug, Default)]
pub(super) struct Values<'p> {
    values: [&'p str; MOST_PARAMETERS],
    count: usize,
}

impl PathTree {
    pub(super) fn new() -> Self {
        Self { places: vec![Place::default()], endings: Vec::new() }
    }

    /// The routes of the path that `path` fits best, and the values of its parameters.
    pub(super) fn find<'p>(&self, path: &'p str) -> Option<(&PathRoutes, Values<'p>)> {
        let mut values = Values::default();
        let ending = self.seek(self.places.first()?, path.get(1..), &mut values)?;
        Some((self.endings.get(ending)?, values))
    }

    /// What answers to the path that goes on with `path` from `place`, behind a slash; `None` for one that ends here. There is one way
    /// to each place, so whatever has to be tried is tried once.
    fn seek<'t, 'p>(
        &'t self,
        mut place: &'t Place,
        mut path: Option<&'p str>,
        values: &mut Values<'p>,
    ) -> Option<usize> {
        loop {
            let Some(behind) = path else { return place.ending };
            let (segment, follows) = first_segment(behind);
            let literal = place.literals.get(segment).and_then(|below| self.places.get(below));
            let parameter = place.parameter.filter(|_| !segment.is_empty()).and_then(|below| self.places.get(below));
            let rest = place.rest.filter(|_| !behind.is_empty());
            match (literal, parameter, rest) {
                (Some(below), None, None) => (place, path) = (below, follows),
                (None, Some(below), None) => {
                    values.push(segment);
                    (place, path) = (below, follows);
                }
                _ => {
                    let known = values.count;
                    if let Some(found) = literal.and_then(|below| self.seek(below, follows, values)) {
                        return Some(found);
                    }
                    values.count = known;
                    if let Some(below) = parameter {
                        values.push(segment);
                        if let Some(found) = self.seek(below, follows, values) {
                            return Some(found);
                        }
                        values.count = known;
                    }
                    let rest = rest?;
                    values.push(behind);
                    return Some(rest);
                }
            }
        }
    }

    /// The routes that say the path of these segments, whatever they call its parameters.
    pub(super) fn spoken(&self, segments: &[Segment]) -> &[usize] {
        let ending = match segments {
            [before @ .., Segment::Rest(_)] => self.places_along(before).nth(before.len()).and_then(|place| place.rest),
            all => self.places_along(all).nth(all.len()).and_then(|place| place.ending),
        };
        let ending = ending.and_then(|ending| self.endings.get(ending)).filter(|ending| !ending.implied);
        ending.map_or(&[], |ending| &ending.routes)
    }

    /// The first place on the way where the path has a parameter and another one a rest, or the other way round: how many segments
    /// are before it, and the first route of the other kind.
    pub(super) fn other_kind(&self, segments: &[Segment]) -> Option<(usize, usize)> {
        self.places_along(segments).zip(segments).enumerate().find_map(|(before, (place, segment))| {
            let other = match segment {
                Segment::Literal(_) => None,
                Segment::Parameter(_) => self.endings.get(place.rest?)?.routes.first().copied(),
                Segment::Rest(_) => place.parameter_of,
            };
            Some((before, other?))
        })
    }

    /// The places that the segments lead to, as far as there are any, the first one before all of them. A rest leads to none.
    fn places_along<'t>(&'t self, segments: &'t [Segment]) -> impl Iterator<Item = &'t Place> {
        let mut at = self.places.first();
        let mut segments = segments.iter();
        std::iter::from_fn(move || {
            let place = at?;
            at = segments.next().and_then(|segment| match segment {
                Segment::Literal(literal) => self.places.get(place.literals.get(literal)?),
                Segment::Parameter(_) => self.places.get(place.parameter?),
                Segment::Rest(_) => None,
            });
            Some(place)
        })
    }

    /// Puts in that `route` says the path of these segments.
    pub(super) fn insert(&mut self, segments: &[Segment], route: usize) {
        let mut at = 0;
        for segment in segments {
            at = match segment {
                Segment::Literal(literal) => self.behind_literal(at, literal),
                Segment::Parameter(_) => self.behind_parameter(at, route),
                Segment::Rest(_) => {
                    self.ending(at, |place| &mut place.rest, |ending| ending.speak(route));
                    // `/a/{*rest}` answers to `/a/` and to `/a`.
                    let slash = self.behind_literal(at, "");
                    self.ending(slash, |place| &mut place.ending, |ending| ending.imply(route));
                    if at > 0 {
                        self.ending(at, |place| &mut place.ending, |ending| ending.imply(route));
                    }
                    return;
                }
            };
        }
        self.ending(at, |place| &mut place.ending, |ending| ending.speak(route));
    }

    /// Gives every path its `Allow`, once all routes are in.
    pub(super) fn settle(&mut self, allow: impl Fn(&[usize]) -> HeaderValue) {
        for ending in &mut self.endings {
            ending.allow = allow(&ending.routes);
        }
    }

    fn behind_literal(&mut self, at: usize, literal: &str) -> usize {
        let new = self.places.len();
        let below = self.places.get_mut(at).map_or(new, |place| place.literals.get_or_insert(literal, new));
        if below == new {
            self.places.push(Place::default());
        }
        below
    }

    fn behind_parameter(&mut self, at: usize, route: usize) -> usize {
        let new = self.places.len();
        let below = self.places.get_mut(at).map_or(new, |place| {
            place.parameter_of.get_or_insert(route);
            *place.parameter.get_or_insert(new)
        });
        if below == new {
            self.places.push(Place::default());
        }
        below
    }

    fn ending(&mut self, at: usize, slot: fn(&mut Place) -> &mut Option<usize>, change: impl FnOnce(&mut PathRoutes)) {
        let new = self.endings.len();
        let ending = self.places.get_mut(at).map_or(new, |place| *slot(place).get_or_insert(new));
        if ending == new {
            self.endings.push(PathRoutes::default());
        }
        if let Some(ending) = self.endings.get_mut(ending) {
            change(ending);
        }
    }
}

/// The text up to the next slash, and what is behind that, if there is one.
fn first_segment(path: &str) -> (&str, Option<&str>) {
    // Segments are short: calling a search for many bytes at once would take longer.
    let slash = path.bytes().position(|byte| byte == b'/');
    match slash.and_then(|slash| path.split_at_checked(slash)) {
        Some((segment, behind)) => (segment, behind.get(1..)),
        None => (path, None),
    }
}

impl PathRoutes {
    fn speak(&mut self, route: usize) {
        if std::mem::take(&mut self.implied) {
            self.routes.clear();
        }
        self.routes.push(route);
    }

    fn imply(&mut self, route: usize) {
        self.implied |= self.routes.is_empty();
        if self.implied {
            self.routes.push(route);
        }
    }
}

impl Default for PathRoutes {
    fn default() -> Self {
        Self { routes: Vec::new(), allow: HeaderValue::from_static(""), implied: false }
    }
}

impl Literals {
    fn get(&self, literal: &str) -> Option<usize> {
        match self {
            Self::Few(few) => few.iter().find(|(known, _)| **known == *literal).map(|(_, place)| *place),
            Self::Many(many) => many.get(literal).copied(),
        }
    }

    fn get_or_insert(&mut self, literal: &str, new: usize) -> usize {
        if let Some(known) = self.get(literal) {
            return known;
        }
        match self {
            Self::Few(few) if few.len() < FEW => few.push((literal.into(), new)),
            Self::Few(few) => {
                let mut many: HashMap<Box<str>, usize> = few.drain(..).collect();
                many.insert(literal.into(), new);
                *self = Self::Many(many);
            }
            Self::Many(many) => {
                many.insert(literal.into(), new);
            }
        }
        new
    }
}

impl Default for Literals {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl<'p> Values<'p> {
    fn push(&mut self, value: &'p str) {
        if let Some(place) = self.values.get_mut(self.count) {
            *place = value;
            self.count += 1;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &'p str> {
        self.values.iter().take(self.count).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As many segments as a path can have.
    const MOST_SEGMENTS: usize = 4096;

    #[test]
    fn two_ways_on_every_level_of_the_longest_path_are_gone_back() {
        for other in [Segment::Rest("r".into()), Segment::Parameter("p".into())] {
            let mut tree = PathTree::new();
            let mut segments = Vec::new();
            for level in 0..MOST_SEGMENTS {
                segments.push(other.clone());
                tree.insert(&segments, level);
                segments[level] = Segment::Literal("a".into());
            }
            tree.insert(&segments, MOST_SEGMENTS);
            let found = |path: &str| {
                tree.find(path).map(|(found, values)| (found.routes[0], values.iter().collect::<Vec<_>>().concat()))
            };
            let of_literals = "/a".repeat(MOST_SEGMENTS);
            assert_eq!(found(&of_literals), Some((MOST_SEGMENTS, String::new())));
            let last = format!("{}/b", "/a".repeat(MOST_SEGMENTS - 1));
            assert_eq!(found(&last), Some((MOST_SEGMENTS - 1, "b".to_owned())));
            let beyond = found(&format!("{of_literals}/b"));
            match other {
                Segment::Rest(_) => assert_eq!(beyond, Some((MOST_SEGMENTS - 1, "a/b".to_owned()))),
                _ => assert_eq!(beyond, None, "all the way back"),
            }
        }
    }
}
