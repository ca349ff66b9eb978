//! Owns: finding the place of a tree that a literal leads to.
//! Refuses: looking at several places: where more than one literal leads on, marks tell which place is meant, but for one in four billion
//! for each of the ways.
//! Always holds: which of many ways are compared depends on a seed, which nobody outside knows. The ways of a place lie together: requests
//! for paths that begin alike find what the others have just looked at, however many places there are elsewhere.

use std::{
    hash::{BuildHasher as _, RandomState},
    iter,
    ops::BitOr as _,
};

use super::{literal::mark, tree::number};

/// How many ways are compared at once.
const SLOTS: usize = 8;

/// The ways from one place over literals to other ones.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Ways {
    #[default]
    None,
    /// To this place.
    One(u32),
    /// A hash table of groups, as many as this power of two, from that one on.
    Many { bits: u8, first: u32 },
}

/// A hash table among the groups of a [`WayTable`]. Inside of [`Ways`] it would make them, and so a place, larger.
#[derive(Clone, Copy)]
struct Region {
    bits: u8,
    first: u32,
}

/// The ways of all places of a tree that have several: eight bytes each, beside free ones. Their literals are in the places.
#[derive(Debug)]
pub(super) struct WayTable {
    seed: u64,
    groups: Vec<Group>,
}

/// Ways that are compared at once: one cache line.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
struct Group {
    marks: [u32; SLOTS],
    /// The first place for a free one, and no used one is behind it: nothing leads there.
    to: [u32; SLOTS],
}

impl WayTable {
    pub(super) fn new() -> Self {
        Self { seed: RandomState::new().hash_one(()), groups: Vec::new() }
    }

    /// The place that `literal` leads to by one of `ways`, as `is_it` confirms of a place.
    pub(super) fn find(&self, ways: Ways, literal: &[u8], is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let (bits, first) = match ways {
            Ways::None => return None,
            Ways::One(to) => return Some(to).filter(|to| is_it(*to)),
            Ways::Many { bits, first } => (bits, first),
        };
        let (region, mark) = (Region { bits, first }, self.mark(literal));
        for at in region.places_of(mark) {
            let group = self.groups.get(at)?;
            if let Some(to) = group.marked(mark).find(|to| is_it(*to)) {
                return Some(to);
            }
            if !group.is_full() {
                break;
            }
        }
        None
    }

    /// Adds to `ways` that `literal`, which led nowhere so far, leads to `to`. `literal_of` knows the literals of places.
    pub(super) fn add<'l>(
        &mut self,
        ways: Ways,
        literal: &[u8],
        to: u32,
        literal_of: impl FnOnce(u32) -> &'l [u8],
    ) -> Ways {
        let mut region = match ways {
            Ways::None => return Ways::One(to),
            Ways::One(known) => {
                let region = self.make_region(0);
                self.put(region, self.mark(literal_of(known)), known);
                region
            }
            Ways::Many { bits, first } => Region { bits, first },
        };
        let mark = self.mark(literal);
        // It grows only while it has fewer groups than the tree has places: else those of one mark, if ever there were more than two groups
        // of them, would ask for ever more.
        if self.is_crowded(region, mark) && region.groups() < to as usize {
            let before = self.groups_of(region).to_vec();
            region = self.make_region(region.bits + 1);
            before.iter().flat_map(Group::ways).for_each(|(mark, to)| self.put(region, mark, to));
        }
        self.put(region, mark, to);
        Ways::Many { bits: region.bits, first: region.first }
    }

    /// Puts what these ways need together in their order, and drops what no way needs any more.
    pub(super) fn gather<'w>(&mut self, all: impl Iterator<Item = &'w mut Ways>) {
        let mut groups = Vec::new();
        for ways in all {
            if let Ways::Many { bits, first } = ways {
                let here = number(groups.len());
                groups.extend_from_slice(self.groups_of(Region { bits: *bits, first: *first }));
                *first = here;
            }
        }
        self.groups = groups;
    }

    fn make_region(&mut self, bits: u8) -> Region {
        let region = Region { bits, first: number(self.groups.len()) };
        self.groups.extend(iter::repeat_n(Group::default(), region.groups()));
        region
    }

    fn groups_of(&self, region: Region) -> &[Group] {
        let first = region.first as usize;
        self.groups.get(first..first + region.groups()).unwrap_or_default()
    }

    /// Whether there is no room for one more of `mark` in the first two groups that are looked through for it.
    fn is_crowded(&self, region: Region, mark: u32) -> bool {
        region.places_of(mark).take(2).all(|at| self.groups.get(at).is_none_or(Group::is_full))
    }

    fn put(&mut self, region: Region, mark: u32, to: u32) {
        for at in region.places_of(mark) {
            let Some(Group { marks, to: places }) = self.groups.get_mut(at) else { return };
            if let Some((mark_there, place)) = marks.iter_mut().zip(places).find(|(_, place)| **place == 0) {
                (*mark_there, *place) = (mark, to);
                return;
            }
        }
    }

    fn mark(&self, literal: &[u8]) -> u32 {
        mark(self.seed, literal)
    }
}

impl Region {
    const fn groups(self) -> usize {
        1 << self.bits
    }

    /// The numbers of its groups in the order in which they are looked through for `mark`.
    fn places_of(self, mark: u32) -> impl Iterator<Item = usize> {
        let mask = self.groups() - 1;
        (0..=mask).map(move |step| self.first as usize + ((mark as usize + step) & mask))
    }
}

impl Group {
    /// The places that may be meant, of which nearly always is one or none. All marks are compared at once: looking at one after the
    /// other, the processor would guess wrong when to stop.
    fn marked(&self, mark: u32) -> impl Iterator<Item = u32> {
        let same = |(slot, known): (usize, &u32)| u32::from(*known == mark) << slot;
        let mut marked = self.marks.iter().enumerate().map(same).fold(0, u32::bitor);
        iter::from_fn(move || {
            let to = self.to.get(marked.trailing_zeros() as usize)?;
            marked &= marked - 1;
            Some(*to).filter(|to| *to != 0)
        })
    }

    /// The marks and places of all that are used.
    fn ways(&self) -> impl Iterator<Item = (u32, u32)> {
        self.marks.into_iter().zip(self.to).filter(|(_, to)| *to != 0)
    }

    /// Whether one that belongs here may be in the next group.
    fn is_full(&self) -> bool {
        self.to.last().is_some_and(|to| *to != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The literals behind a few places, whose numbers they have.
    struct Literals(Vec<(usize, String)>);

    impl Literals {
        fn of(&self, place: u32) -> &[u8] {
            self.0[place as usize - 1].1.as_bytes()
        }
    }

    fn table(literals: &Literals, places: usize) -> (WayTable, Vec<Ways>) {
        let mut table = WayTable::new();
        let mut ways = vec![Ways::None; places];
        for (before, (from, literal)) in literals.0.iter().enumerate() {
            let to = number(before + 1);
            ways[*from] = table.add(ways[*from], literal.as_bytes(), to, |place| literals.of(place));
        }
        (table, ways)
    }

    proptest! {
        #[test]
        fn every_way_is_found_again_and_no_other(
            literals in proptest::collection::hash_set((0_usize..4, "[ab]{0,20}"), 0..200),
            others in proptest::collection::vec((0_usize..4, "[ab]{0,20}"), 100),
        ) {
            let literals = Literals(literals.into_iter().collect());
            let (mut table, mut ways) = table(&literals, 4);
            for _ in ["as they were put in", "gathered"] {
                for (from, literal) in literals.0.iter().chain(&others) {
                    let is_it = |to: u32| literals.of(to) == literal.as_bytes();
                    let known = literals.0.iter().position(|way| *way == (*from, literal.clone()));
                    prop_assert_eq!(table.find(ways[*from], literal.as_bytes(), is_it), known.map(|at| number(at + 1)));
                }
                table.gather(ways.iter_mut());
            }
        }
    }

    #[test]
    fn many_ways_are_found_in_one_cache_line_or_few_and_take_64_bytes_each_at_most() {
        let literals = Literals((0..5000).map(|number| (0, format!("resource{number}"))).collect());
        let (mut table, mut ways) = table(&literals, 1);
        table.gather(ways.iter_mut());
        let Ways::Many { bits, first } = ways[0] else { panic!("{ways:?}") };
        assert_eq!((first, table.groups.len()), (0, 1 << bits));
        assert!(size_of_val(&*table.groups) <= 64 * 5000, "{bits}");
        let region = Region { bits, first };
        let lines = |(_, literal): &(usize, String)| {
            let mark = table.mark(literal.as_bytes());
            1 + region.places_of(mark).take_while(|at| table.groups[*at].marked(mark).next().is_none()).count()
        };
        assert!(literals.0.iter().map(lines).sum::<usize>() < 5000 + 500);
        assert!(literals.0.iter().all(|way| lines(way) < 4));
    }

    #[test]
    fn ways_that_belong_in_the_same_groups_are_all_found() {
        let mut table = WayTable::new();
        // At the end of every region of up to 1,024 groups: more than are made here, unless they grow for ever.
        let same = |literal: &String| table.mark(literal.as_bytes()) % 1024 == 1023;
        let literals = Literals(
            (0..).map(|number| (0, number.to_string())).filter(|(_, literal)| same(literal)).take(60).collect(),
        );
        let mut ways = Ways::None;
        for (before, (_, literal)) in literals.0.iter().enumerate() {
            ways = table.add(ways, literal.as_bytes(), number(before + 1), |place| literals.of(place));
            for (known, (_, literal)) in literals.0.iter().enumerate() {
                let found = table.find(ways, literal.as_bytes(), |to| literals.of(to) == literal.as_bytes());
                assert_eq!(found, (known <= before).then(|| number(known + 1)), "{literal} of {before}");
            }
        }
        let Ways::Many { bits, .. } = ways else { panic!("{ways:?}") };
        assert!(bits <= 6, "no more than there are places, or twice as many: {bits}");
    }
}
