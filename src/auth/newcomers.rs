//! Owns: tokens that were verified once, lately, by whichever worker.
//! Refuses: large ones; making anybody wait.
//! Always holds: each place has one, and they are few, so that one that nobody presents again leaves its memory to the next while that
//! is still in a processor's cache, and displaces nothing that is used.

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use super::{place::Place, token_cache::Finding, token_text::TokenText};

/// How many groups they are in, so that workers seldom want the same; a power of two.
const GROUPS: usize = 4;
/// How many are in a group; as few others displace one at the least, some 32 on the average.
const GROUP: usize = 8;
/// The heaviest that is taken in: all of them are 256 KiB at most, and the memory for their texts that they leave to others as much again.
const HEAVIEST_BYTES: usize = 8 * 1024;

/// Tokens that wait for being presented a second time. Where each new one was handed to the cache of all workers and displaced another of
/// the worker's own 4,096, a request with an RS256 token that nobody had seen took 3 microseconds of CPU more, of 37, and half a page fault.
/// They are few: 256 of them, which are half a MiB of a processor's cache, made it 1 microsecond more. One that comes again after some 32
/// others is verified once more, and remembered from then on.
#[derive(Default)]
pub(super) struct Newcomers {
    groups: [Mutex<Group>; GROUPS],
}

/// A ring: the oldest makes room for the next. Alone in its cache lines.
#[derive(Default)]
#[repr(align(128))]
struct Group {
    places: [Place; GROUP],
    tokens: [Newcomer; GROUP],
    oldest: usize,
}

/// A token, or where one was: the next one's text takes the place of the last one's, in memory that nobody has to give back, to overwrite
/// and to find again.
#[derive(Default)]
struct Newcomer {
    text: TokenText,
    finding: Option<Finding>,
}

impl Newcomers {
    /// Takes one in, unless it is too heavy or that would mean to wait.
    pub(super) fn admit(&self, place: Place, text: &[u8], finding: Finding) {
        if finding.weight_bytes(text.len()) > HEAVIEST_BYTES {
            return;
        }
        let displaced = self.group(place).and_then(|mut group| group.put(place, text, finding));
        // What was known of another is freed here, where nobody is kept from the group.
        drop(displaced);
    }

    /// What was found out about the token with this text. Others find it as well, until newer ones have taken its place: by then it is
    /// where whoever found it has handed it over to.
    pub(super) fn find(&self, place: Place, text: &[u8]) -> Option<Finding> {
        self.group(place)?.find(place, text)
    }

    /// Lets go of whatever is at this place.
    pub(super) fn forget(&self, place: Place) {
        if let Some(mut group) = self.group(place) {
            group.forget(place);
        }
    }

    /// About how many bytes they take.
    pub(super) fn weight_bytes(&self) -> u64 {
        let weight = |group: &Mutex<Group>| {
            let group = group.lock().unwrap_or_else(PoisonError::into_inner);
            group.tokens.iter().map(|token| token.weight_bytes() as u64).sum::<u64>()
        };
        self.groups.iter().map(weight).sum()
    }

    /// The group of a place, unless somebody else is at it, who is never waited for: a token that is not found is verified anew.
    fn group(&self, place: Place) -> Option<MutexGuard<'_, Group>> {
        match self.groups.get(place.group(GROUPS))?.try_lock() {
            Ok(group) => Some(group),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl Group {
    /// Puts one where one of its place is, or else where the oldest is; what was known of which is given back.
    fn put(&mut self, place: Place, text: &[u8], finding: Finding) -> Option<Finding> {
        if let Some(same) = self.of(place).next() {
            return same.replace(text, finding);
        }
        let at = self.oldest;
        self.oldest = (at + 1) % GROUP;
        *self.places.get_mut(at)? = place;
        self.tokens.get_mut(at)?.replace(text, finding)
    }

    fn find(&mut self, place: Place, text: &[u8]) -> Option<Finding> {
        self.of(place).find(|token| token.text.as_bytes() == text)?.finding.clone()
    }

    fn forget(&mut self, place: Place) {
        self.of(place).for_each(|token| *token = Newcomer::default());
    }

    fn of(&mut self, place: Place) -> impl Iterator<Item = &mut Newcomer> {
        self.places.iter().zip(&mut self.tokens).filter_map(move |(own, token)| (*own == place).then_some(token))
    }
}

impl Newcomer {
    /// Becomes another one; what was known of the one before is given back.
    fn replace(&mut self, text: &[u8], finding: Finding) -> Option<Finding> {
        // In this order, so that nothing is ever said of another's text.
        let displaced = self.finding.take();
        self.text.replace(text);
        self.finding = Some(finding);
        displaced
    }

    fn weight_bytes(&self) -> usize {
        self.finding.as_ref().map_or(0, |finding| finding.weight_bytes(self.text.memory_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::forge::found;

    /// In group 0.
    fn admit(newcomers: &Newcomers, number: u64, text: &str) {
        newcomers.admit(Place(number), text.as_bytes(), found(10));
    }

    fn is_found(newcomers: &Newcomers, number: u64, text: &str) -> bool {
        newcomers.find(Place(number), text.as_bytes()).is_some()
    }

    #[test]
    fn one_is_found_by_all_and_by_its_whole_text() {
        let newcomers = Newcomers::default();
        admit(&newcomers, 7, "one");
        assert!(!is_found(&newcomers, 7, "other") && !is_found(&newcomers, 8, "one"));
        assert!(is_found(&newcomers, 7, "one") && is_found(&newcomers, 7, "one"), "one after the other");
        newcomers.forget(Place(8));
        assert!(is_found(&newcomers, 7, "one"));
        newcomers.forget(Place(7));
        assert!(!is_found(&newcomers, 7, "one"));
    }

    #[test]
    fn each_place_has_one() {
        let newcomers = Newcomers::default();
        admit(&newcomers, 6, "first");
        for _ in 0..GROUP {
            admit(&newcomers, 7, "one");
        }
        assert!(is_found(&newcomers, 6, "first"), "one that comes often displaces itself only");
        admit(&newcomers, 7, "other");
        assert!(is_found(&newcomers, 7, "other") && !is_found(&newcomers, 7, "one"));
        newcomers.forget(Place(7));
        assert!(!is_found(&newcomers, 7, "other") && !is_found(&newcomers, 7, "one"));
        assert_eq!(newcomers.weight_bytes(), found(10).weight_bytes(256) as u64, "the room for a text is counted");
    }

    #[test]
    fn the_oldest_makes_room() {
        let newcomers = Newcomers::default();
        let other_group = u64::MAX;
        admit(&newcomers, other_group, "far");
        for number in 1..GROUP as u64 + 3 {
            admit(&newcomers, number, &number.to_string());
        }
        for number in 1..GROUP as u64 + 3 {
            assert_eq!(is_found(&newcomers, number, &number.to_string()), number >= 3, "{number}");
        }
        assert!(is_found(&newcomers, other_group, "far"));
    }

    #[test]
    fn a_heavy_one_is_not_taken_in() {
        let newcomers = Newcomers::default();
        newcomers.admit(Place(7), b"heavy", found(HEAVIEST_BYTES));
        assert!(!is_found(&newcomers, 7, "heavy"));
        assert_eq!(newcomers.weight_bytes(), 0);
    }

    #[test]
    fn memory_for_a_long_text_that_is_left_to_a_short_one_is_counted() {
        let newcomers = Newcomers::default();
        let (long, claims_bytes) = ("l".repeat(HEAVIEST_BYTES / 2), HEAVIEST_BYTES / 2);
        admit(&newcomers, 7, &long);
        newcomers.admit(Place(7), b"short", found(claims_bytes));
        assert!(is_found(&newcomers, 7, "short") && !is_found(&newcomers, 7, &long));
        assert!(newcomers.weight_bytes() as usize > long.len() + claims_bytes);
        newcomers.forget(Place(7));
        admit(&newcomers, 7, "short");
        assert!((newcomers.weight_bytes() as usize) < long.len());
    }

    #[test]
    fn nobody_waits() {
        let newcomers = Newcomers::default();
        admit(&newcomers, 7, "one");
        let held = newcomers.groups[0].lock().unwrap();
        assert!(!is_found(&newcomers, 7, "one"));
        admit(&newcomers, 8, "lost");
        newcomers.forget(Place(7));
        drop(held);
        assert!(is_found(&newcomers, 7, "one") && !is_found(&newcomers, 8, "lost"));
    }
}
