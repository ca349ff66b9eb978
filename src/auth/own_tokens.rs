//! Owns: the slots in which one worker keeps tokens.
//! Refuses: telling tokens apart that share a place: whoever asks compares their texts.
//! Always holds: a token is in one of the few slots of its set, or in none. To look it up touches one cache line before the token's own.
//!
//! Where each place has one slot of 4,096, 216 of 1,000 tokens that come in turn push each other out, and each of their requests goes
//! the way over what all workers share. With sets of four it is 18.

use std::sync::Arc;

use super::{place::Place, token_cache::CachedToken};

/// How many sets there are, and how many slots each has.
const SETS: usize = 1024;
const WAYS: usize = 4;

/// The tokens of one worker.
pub(super) struct OwnTokens {
    sets: Box<[Set]>,
}

/// The slots of a set: those that are full before those that are not, and the last that was filled first.
#[derive(Default)]
#[repr(align(64))]
struct Set {
    slots: [Option<Slot>; WAYS],
}

struct Slot {
    place: Place,
    entry: Arc<CachedToken>,
}

impl OwnTokens {
    pub(super) fn new() -> Self {
        Self { sets: (0..SETS).map(|_| Set::default()).collect() }
    }

    /// The token at this place.
    pub(super) fn at(&self, place: Place) -> Option<&Arc<CachedToken>> {
        let set = self.sets.get(place.set(SETS))?;
        set.slots.iter().flatten().find(|slot| slot.place == place).map(|slot| &slot.entry)
    }

    /// Puts a token in the place of the one that is there, or of the oldest of its set where all slots are full.
    pub(super) fn put(&mut self, place: Place, entry: Arc<CachedToken>) {
        let Some(Set { slots }) = self.sets.get_mut(place.set(SETS)) else { return };
        let is_for_it = |slot: &Option<Slot>| slot.as_ref().is_none_or(|slot| slot.place == place);
        let at = slots.iter().position(is_for_it).unwrap_or(WAYS - 1);
        if let Some(newer) = slots.get_mut(..=at) {
            newer.rotate_right(1);
        }
        if let Some(first) = slots.first_mut() {
            *first = Some(Slot { place, entry });
        }
    }

    pub(super) fn remove(&mut self, place: Place) {
        let Some(Set { slots }) = self.sets.get_mut(place.set(SETS)) else { return };
        let at = slots.iter().flatten().position(|slot| slot.place == place);
        if let Some(from_it) = at.and_then(|at| slots.get_mut(at..)) {
            from_it.rotate_left(1);
            if let Some(last) = from_it.last_mut() {
                *last = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::auth::forge::remembered;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// Beside a list of each set, the newest first.
        #[test]
        fn the_newest_of_a_set_are_kept(steps in prop::collection::vec((any::<bool>(), 0..8_u64, 0..2_u64), 0..60)) {
            let mut own = OwnTokens::new();
            let mut expected: [Vec<(Place, Arc<CachedToken>)>; 2] = Default::default();
            for (is_put, number, set) in steps {
                let place = Place(number * SETS as u64 + set);
                let list = &mut expected[set as usize];
                list.retain(|(known, _)| *known != place);
                if is_put {
                    let entry = Arc::new(remembered("one of many", 10));
                    own.put(place, Arc::clone(&entry));
                    list.insert(0, (place, entry));
                    list.truncate(WAYS);
                } else {
                    own.remove(place);
                }
                for number in 0..16 {
                    let place = Place(number / 2 * SETS as u64 + number % 2);
                    let known = expected[(number % 2) as usize].iter().find(|(known, _)| *known == place);
                    prop_assert_eq!(own.at(place).map(Arc::as_ptr), known.map(|(_, entry)| Arc::as_ptr(entry)));
                }
            }
        }
    }
}
