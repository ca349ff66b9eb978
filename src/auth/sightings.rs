//! Owns: which tokens any worker has verified, by a few bits of each: a token that comes again is worth keeping.
//! Refuses: saying anything of a token's worth: being taken for another does no harm.
//! Always holds: it takes 64 KiB, however many come; whoever goes on coming is known in the end, whoever else comes.
//! Only whoever verified a token writes to it, and nobody waits for anybody.

use std::{
    array, iter,
    sync::atomic::{AtomicU16, Ordering},
};

use rand::Rng as _;

use super::place::Place;

/// How many groups there are, and how many tokens each tells apart; powers of two. Together as many as all workers together remember.
pub(super) const GROUPS: usize = 1 << 13;
const GROUP: usize = 4;

/// The tokens that were verified lately.
///
/// Where each place has one mark, 30 of 1,000 tokens that come in turn displace each other's for ever, so that none of them is ever seen
/// to come again: each of their requests is verified anew, and the mean request with a known token costs 0.6 microseconds more, of 12.
pub(super) struct Sightings {
    groups: Box<[[AtomicU16; GROUP]]>,
}

impl Sightings {
    /// Notes the token of this `place`; whether it was noted before.
    pub(super) fn note(&self, place: Place) -> bool {
        let noted_before = self.holds(place);
        if !noted_before {
            let marks = self.marks(place);
            let free = marks.iter().find(|mark| mark.load(Ordering::Relaxed) == 0);
            // By chance: of more than there is room for, which come in turn, each stays long enough some time. The oldest would always go
            // before it comes again.
            if let Some(mark) = free.or_else(|| marks.get(rand::rng().random_range(0..GROUP))) {
                // Two that write at once may lose a sighting: one verification more.
                mark.store(place.mark(), Ordering::Relaxed);
            }
        }
        noted_before
    }

    /// Whether the token of this `place` was noted, and none in its stead since.
    pub(super) fn holds(&self, place: Place) -> bool {
        self.marks(place).iter().any(|mark| mark.load(Ordering::Relaxed) == place.mark())
    }

    fn marks(&self, place: Place) -> &[AtomicU16] {
        self.groups.get(place.sighting(GROUPS)).map_or(&[], |group| group)
    }
}

impl Default for Sightings {
    fn default() -> Self {
        Self { groups: iter::repeat_with(|| array::from_fn(|_| AtomicU16::default())).take(GROUPS).collect() }
    }
}

#[cfg(test)]
mod tests {
    use foldhash::quality::RandomState;

    use super::*;

    #[test]
    fn a_token_is_known_again_until_others_take_its_place() {
        let sightings = Sightings::default();
        let neighbour = |number: u64| Place(number << 28);
        let (token, others) = (neighbour(7), || (8..).map(neighbour));
        assert!(others().take(100).all(|other| other.sighting(GROUPS) == token.sighting(GROUPS)));
        assert!(!sightings.note(Place(0)), "also one whose bits are all zero comes for the first time");
        assert!(!sightings.holds(token) && !sightings.note(token));
        assert!(sightings.holds(token) && sightings.note(token) && sightings.note(token));
        let beside: Vec<Place> = others().take(GROUP - 2).collect();
        assert!(beside.iter().all(|other| !sightings.holds(*other)), "to be asked about notes nothing");
        assert!(beside.iter().all(|other| !sightings.note(*other)));
        assert!(sightings.note(token) && beside.iter().all(|other| sightings.note(*other)), "there is room for all");
        assert!(!sightings.note(Place(7 << 28 | 1 << 12)), "another place");
        assert!(others().skip(GROUP).take(200).filter(|other| sightings.note(*other)).count() == 0);
        assert!(!sightings.holds(token), "long displaced, but for one of 10^25 runs");
    }

    #[test]
    fn of_more_than_there_is_room_for_that_come_in_turn_each_is_known_in_the_end() {
        let sightings = Sightings::default();
        let mut unknown: Vec<Place> = (1..=2 * GROUP as u64).map(|number| Place(number << 28)).collect();
        for _ in 0..1000 {
            unknown.retain(|token| !sightings.note(*token));
        }
        assert_eq!(unknown, []);
    }

    #[test]
    fn most_of_as_many_as_are_remembered_are_told_apart() {
        let sightings = Sightings::default();
        let hashing = RandomState::default();
        let places = || (0..30_000_u64).map(|number| Place::of(&number.to_le_bytes(), &hashing));
        let taken_for_others = places().filter(|place| sightings.note(*place)).count();
        assert!(taken_for_others < 10, "{taken_for_others}");
        let known = places().filter(|place| sightings.note(*place)).count();
        assert!(known > 9_000, "{known}");
    }
}
