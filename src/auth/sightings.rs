//! Owns: which tokens any worker has verified, by a few bits of each: a token that comes again is worth keeping.
//! Refuses: saying anything of a token's worth: being taken for another does no harm.
//! Always holds: it takes 64 KiB, however many come. Only whoever verified a token writes to it, and nobody waits for anybody.

use std::{
    iter,
    sync::atomic::{AtomicU16, Ordering},
};

use super::place::Place;

/// How many are told apart; a power of two. As many as all workers together remember.
const MOST: usize = 1 << 15;

/// The tokens that were verified lately.
pub(super) struct Sightings {
    marks: Box<[AtomicU16]>,
}

impl Sightings {
    /// Notes the token of this `place`; whether it was noted before.
    pub(super) fn note(&self, place: Place) -> bool {
        let noted_before = self.holds(place);
        if !noted_before && let Some(noted) = self.marks.get(place.sighting(MOST)) {
            // Two that write at once may lose a sighting: one verification more.
            noted.store(place.mark(), Ordering::Relaxed);
        }
        noted_before
    }

    /// Whether the token of this `place` was noted, and none in its stead since.
    pub(super) fn holds(&self, place: Place) -> bool {
        self.marks.get(place.sighting(MOST)).is_some_and(|noted| noted.load(Ordering::Relaxed) == place.mark())
    }
}

impl Default for Sightings {
    fn default() -> Self {
        Self { marks: iter::repeat_with(AtomicU16::default).take(MOST).collect() }
    }
}

#[cfg(test)]
mod tests {
    use foldhash::quality::RandomState;

    use super::*;

    #[test]
    fn a_token_is_known_again_until_another_takes_its_place() {
        let sightings = Sightings::default();
        let (token, neighbour) = (Place(7 << 40), Place(8 << 40));
        assert_eq!(token.sighting(MOST), neighbour.sighting(MOST));
        assert!(!sightings.note(Place(0)), "also one whose bits are all zero comes for the first time");
        assert!(!sightings.holds(token) && !sightings.note(token));
        assert!(sightings.holds(token) && sightings.note(token) && sightings.note(token));
        assert!(!sightings.holds(neighbour), "to be asked about notes nothing");
        assert!(!sightings.note(neighbour) && !sightings.note(token), "one of them is noted");
        assert!(!sightings.note(Place(7 << 40 | 1 << 12)), "another place");
        assert!(sightings.note(token));
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
