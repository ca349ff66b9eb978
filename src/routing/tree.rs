//! Owns: the paths of one host as a tree of segments, and finding the one that a request's path fits best.
//! Refuses: going through the literals of a place one by one.
//! Always holds: of the paths that fit, the first one decides, segment by segment from the left: a literal before a parameter before
//! a rest. All that a request looks at of a place is one cache line: among 10,000 routes most places were looked at long ago.

use std::{num::NonZeroU32, slice};

use super::{
    literal::Literal,
    path::{MOST_PARAMETERS, Segment},
    ways::{WayTable, Ways},
};

/// The paths of one host, and the routes of each.
#[derive(Debug)]
pub(super) struct PathTree {
    /// The first one is where every path begins.
    places: Vec<Place>,
    /// From places over a literal to the next one.
    ways: WayTable,
    /// The routes of the paths that have more than one.
    several: Vec<Vec<u32>>,
}

/// What may follow where one has come to. The numbers are those of places and routes.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Place {
    /// Over which literal one comes here, if it is one.
    literal: Literal,
    /// Where literals lead on from here.
    ways: Ways,
    parameter: Option<NonZeroU32>,
    /// The first route with a parameter here.
    parameter_of: u32,
    /// What answers to a path that ends here.
    ending: Answering,
    /// What answers to a path that ends with a slash behind here.
    slash: Answering,
    /// What answers to a path of which a rest begins here; also at `ending` and `slash`, unless a route says that path itself.
    rest: Answering,
}

const _: () = assert!(size_of::<Place>() == 64, "a place is one cache line");

/// The routes of one path, of which the method chooses one; no two of them share a method.
#[derive(Clone, Copy, Debug, Default)]
enum Answering {
    #[default]
    None,
    One(u32),
    /// Those in this place of `several`.
    Several(u32),
}

/// Where at a place a path ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Here,
    Slash,
    Rest,
}

/// Where in a path the values of its parameters stand, in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Values {
    /// From where to where, in bytes.
    spans: [(u32, u32); MOST_PARAMETERS],
    count: usize,
    path_bytes: usize,
}

impl PathTree {
    pub(super) fn new() -> Self {
        Self { places: vec![Place::default()], ways: WayTable::new(), several: Vec::new() }
    }

    /// The same, ready to be asked.
    pub(super) fn finished(mut self) -> Self {
        self.ways.gather(self.places.iter_mut().map(|place| &mut place.ways));
        self
    }

    /// The routes of the path that `path` fits best; puts in where the values of its parameters are.
    pub(super) fn find(&self, path: &str, values: &mut Values) -> Option<&[u32]> {
        (values.count, values.path_bytes) = (0, path.len());
        self.seek(0, path.get(1..), values)
    }

    /// What answers to the path that goes on with `path` from the place `at`, behind a slash; `None` for one that ends here. There is
    /// one way to each place, so whatever has to be tried is tried once.
    fn seek(&self, mut at: u32, mut path: Option<&str>, values: &mut Values) -> Option<&[u32]> {
        loop {
            let place = self.place(at)?;
            let behind = match path {
                None => return self.routes(&place.ending),
                // No parameter and no rest is empty.
                Some("") => return self.routes(&place.slash),
                Some(behind) => behind,
            };
            let (segment, follows) = first_segment(behind);
            let literal = self.behind_literal(place, segment);
            let parameter = place.parameter.map(NonZeroU32::get).filter(|_| !segment.is_empty());
            let rest = self.routes(&place.rest);
            match (literal, parameter, rest) {
                (Some(below), None, None) => (at, path) = (below, follows),
                (None, Some(below), None) => {
                    values.push(behind, segment);
                    (at, path) = (below, follows);
                }
                _ => {
                    let known = values.count;
                    if let Some(found) = literal.and_then(|below| self.seek(below, follows, values)) {
                        return Some(found);
                    }
                    values.count = known;
                    if let Some(below) = parameter {
                        values.push(behind, segment);
                        if let Some(found) = self.seek(below, follows, values) {
                            return Some(found);
                        }
                        values.count = known;
                    }
                    let rest = rest?;
                    values.push(behind, behind);
                    return Some(rest);
                }
            }
        }
    }

    /// The routes that say the path of these segments, whatever they call its parameters.
    pub(super) fn spoken<'t>(&'t self, segments: &'t [Segment]) -> &'t [u32] {
        let (before, end) = split_end(segments);
        let place = self.places_along(before).nth(before.len());
        let routes =
            place.filter(|place| !self.is_implied(place, end)).and_then(|place| self.routes(place.answering(end)));
        routes.unwrap_or_default()
    }

    /// The first place on the way where the path has a parameter and another one a rest, or the other way round: how many segments
    /// are before it, and the first route of the other kind.
    pub(super) fn other_kind(&self, segments: &[Segment]) -> Option<(usize, u32)> {
        self.places_along(segments).zip(segments).enumerate().find_map(|(before, (place, segment))| {
            let other = match segment {
                Segment::Literal(_) => None,
                Segment::Parameter(_) => self.routes(&place.rest)?.first().copied(),
                Segment::Rest(_) => place.parameter.map(|_| place.parameter_of),
            };
            Some((before, other?))
        })
    }

    /// The places that the segments lead to, as far as there are any, the first one before all of them. A rest leads to none.
    fn places_along<'t>(&'t self, segments: &'t [Segment]) -> impl Iterator<Item = &'t Place> {
        let mut at = Some(0);
        let mut segments = segments.iter();
        std::iter::from_fn(move || {
            let place = self.place(at?)?;
            at = segments.next().and_then(|segment| match segment {
                Segment::Literal(literal) => self.behind_literal(place, literal),
                Segment::Parameter(_) => place.parameter.map(NonZeroU32::get),
                Segment::Rest(_) => None,
            });
            Some(place)
        })
    }

    /// Puts in that `route` says the path of these segments.
    pub(super) fn insert(&mut self, segments: &[Segment], route: u32) {
        let (before, end) = split_end(segments);
        let mut at = 0;
        for segment in before {
            at = match segment {
                Segment::Literal(literal) => self.make_literal(at, literal),
                Segment::Parameter(_) | Segment::Rest(_) => self.make_parameter(at, route),
            };
        }
        self.speak(at, end, route);
        if end == End::Rest {
            // `/a/{*rest}` answers to `/a/` and to `/a`.
            self.imply(at, End::Slash, route);
            if at > 0 {
                self.imply(at, End::Here, route);
            }
        }
    }

    fn place(&self, at: u32) -> Option<&Place> {
        self.places.get(at as usize)
    }

    fn routes<'t>(&'t self, answering: &'t Answering) -> Option<&'t [u32]> {
        match answering {
            Answering::None => None,
            Answering::One(route) => Some(slice::from_ref(route)),
            Answering::Several(several) => self.several.get(*several as usize).map(Vec::as_slice),
        }
    }

    fn behind_literal(&self, place: &Place, literal: &str) -> Option<u32> {
        let literal = literal.as_bytes();
        let is_it = |below: u32| self.place(below).is_some_and(|below| below.literal.as_bytes() == literal);
        self.ways.find(place.ways, literal, is_it)
    }

    fn make_literal(&mut self, at: u32, literal: &str) -> u32 {
        let Some(place) = self.place(at) else { return at };
        if let Some(known) = self.behind_literal(place, literal) {
            return known;
        }
        let before = place.ways;
        let new = self.make_place(Place { literal: Literal::new(literal), ..Place::default() });
        let literal_of = |place: u32| self.places.get(place as usize).map_or(&[][..], |place| place.literal.as_bytes());
        let ways = self.ways.add(before, literal.as_bytes(), new, literal_of);
        if let Some(place) = self.places.get_mut(at as usize) {
            place.ways = ways;
        }
        new
    }

    fn make_parameter(&mut self, at: u32, route: u32) -> u32 {
        if let Some(known) = self.place(at).and_then(|place| place.parameter) {
            return known.get();
        }
        let new = self.make_place(Place::default());
        if let Some(place) = self.places.get_mut(at as usize) {
            (place.parameter, place.parameter_of) = (NonZeroU32::new(new), route);
        }
        new
    }

    fn make_place(&mut self, place: Place) -> u32 {
        self.places.push(place);
        number(self.places.len() - 1)
    }

    /// Puts in that `route` says the path that ends so at `at`; a rest that was implied there gives way.
    fn speak(&mut self, at: u32, end: End, route: u32) {
        let is_implied = self.place(at).is_some_and(|place| self.is_implied(place, end));
        let Some(place) = self.places.get_mut(at as usize) else { return };
        if is_implied {
            *place.answering_mut(end) = Answering::None;
        }
        place.answering_mut(end).add(route, &mut self.several);
    }

    /// Puts in that the rest of `route`, which begins at `at`, also answers to that path, unless a route says it.
    fn imply(&mut self, at: u32, end: End, route: u32) {
        let may_be = |place| self.routes(Place::answering(place, end)).is_none() || self.is_implied(place, end);
        if !self.place(at).is_some_and(may_be) {
            return;
        }
        if let Some(place) = self.places.get_mut(at as usize) {
            place.answering_mut(end).add(route, &mut self.several);
        }
    }

    /// Whether it is a rest that answers there, and no route says this path itself.
    fn is_implied(&self, place: &Place, end: End) -> bool {
        let first = |end| self.routes(place.answering(end)).and_then(<[u32]>::first);
        end != End::Rest && first(end).is_some() && first(end) == first(End::Rest)
    }
}

impl Place {
    const fn answering(&self, end: End) -> &Answering {
        match end {
            End::Here => &self.ending,
            End::Slash => &self.slash,
            End::Rest => &self.rest,
        }
    }

    const fn answering_mut(&mut self, end: End) -> &mut Answering {
        match end {
            End::Here => &mut self.ending,
            End::Slash => &mut self.slash,
            End::Rest => &mut self.rest,
        }
    }
}

impl Answering {
    fn add(&mut self, route: u32, several: &mut Vec<Vec<u32>>) {
        match *self {
            Self::None => *self = Self::One(route),
            Self::One(first) => {
                *self = Self::Several(number(several.len()));
                several.push(vec![first, route]);
            }
            Self::Several(list) => several.get_mut(list as usize).into_iter().for_each(|list| list.push(route)),
        }
    }
}

/// The number of a place or a route. There are never more, since each takes dozens of bytes; none would be found beyond.
pub(crate) fn number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// The segments that lead to the place where a path ends, and how it ends there.
fn split_end(segments: &[Segment]) -> (&[Segment], End) {
    match segments {
        [before @ .., Segment::Rest(_)] => (before, End::Rest),
        [before @ .., Segment::Literal(literal)] if literal.is_empty() => (before, End::Slash),
        all => (all, End::Here),
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

impl Values {
    /// Adds `value`, with which `behind` begins, the end of the path.
    fn push(&mut self, behind: &str, value: &str) {
        let start = self.path_bytes - behind.len();
        if let Some(place) = self.spans.get_mut(self.count) {
            *place = (number(start), number(start + value.len()));
            self.count += 1;
        }
    }

    /// The values themselves, in the path that was looked for.
    pub(super) fn of<'p>(&self, path: &'p str) -> impl Iterator<Item = &'p str> {
        let value = |&(start, end): &(u32, u32)| path.get(start as usize..end as usize).unwrap_or_default();
        self.spans.iter().take(self.count).map(value)
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
                tree.insert(&segments, number(level));
                segments[level] = Segment::Literal("a".into());
            }
            tree.insert(&segments, number(MOST_SEGMENTS));
            let found = |path: &str| {
                let mut values = Values::default();
                let found = tree.find(path, &mut values)?;
                Some((found[0] as usize, values.of(path).collect::<String>()))
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
