//! Owns: tokens that were verified once, lately, by whichever worker.
//! Refuses: large ones; making anybody wait.
//! Always holds: they are few, so that one that nobody presents again leaves its memory to the next while that is still in a
//! processor's cache, and displaces nothing that is used.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use super::{place::Place, token_cache::CachedToken};

/// How many groups they are in, so that workers seldom want the same; a power of two.
const GROUPS: usize = 16;
/// How many are in a group.
const GROUP: usize = 16;
/// The heaviest that is taken in: all of them are 2 MiB at most.
const HEAVIEST_BYTES: usize = 8 * 1024;

/// Tokens that wait for being presented a second time. Where each new one was handed to the cache of all workers and displaced another of
/// the worker's own 4,096, a request with an RS256 token that nobody had seen took 3 microseconds of CPU more, of 37, and half a page fault.
#[derive(Default)]
pub(super) struct Newcomers {
    groups: [Mutex<Group>; GROUPS],
}

/// A ring: the oldest makes room for the next. Alone in its cache lines.
#[derive(Default)]
#[repr(align(128))]
struct Group {
    places: [Place; GROUP],
    tokens: [Option<Arc<CachedToken>>; GROUP],
    oldest: usize,
}

impl Newcomers {
    /// Takes one in, unless that would mean to wait; one that is too heavy is given back.
    pub(super) fn admit(&self, place: Place, token: Arc<CachedToken>) -> Result<(), Arc<CachedToken>> {
        if token.weight_bytes() > HEAVIEST_BYTES {
            return Err(token);
        }
        let displaced = self.group(place).and_then(|mut group| group.put(place, token));
        // Freed here, where nobody waits for the group.
        drop(displaced);
        Ok(())
    }

    /// The token with this text, which then is no newcomer any more.
    pub(super) fn take(&self, place: Place, text: &[u8]) -> Option<Arc<CachedToken>> {
        self.group(place)?.take(place, |token| token.is_of(text))
    }

    /// Lets go of whatever is at this place.
    pub(super) fn forget(&self, place: Place) {
        let forgotten = self.group(place).and_then(|mut group| group.take(place, |_| true));
        drop(forgotten);
    }

    /// About how many bytes they take.
    pub(super) fn weight_bytes(&self) -> u64 {
        let weight = |group: &Mutex<Group>| {
            let group = group.lock().unwrap_or_else(PoisonError::into_inner);
            group.tokens.iter().flatten().map(|token| token.weight_bytes() as u64).sum::<u64>()
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
    /// Puts one in the place of the oldest, which is given back.
    fn put(&mut self, place: Place, token: Arc<CachedToken>) -> Option<Arc<CachedToken>> {
        let at = self.oldest;
        self.oldest = (at + 1) % GROUP;
        *self.places.get_mut(at)? = place;
        self.tokens.get_mut(at)?.replace(token)
    }

    fn take(&mut self, place: Place, is_meant: impl Fn(&CachedToken) -> bool) -> Option<Arc<CachedToken>> {
        let mut at = self.places.iter().zip(&mut self.tokens).filter(|(own, _)| **own == place);
        at.find_map(|(_, token)| token.take_if(|token| is_meant(token)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::forge::remembered;

    /// In group 0.
    fn admit(newcomers: &Newcomers, number: u64, text: &str) {
        assert!(newcomers.admit(Place(number), Arc::new(remembered(text, 10))).is_ok());
    }

    fn is_taken(newcomers: &Newcomers, number: u64, text: &str) -> bool {
        newcomers.take(Place(number), text.as_bytes()).is_some()
    }

    #[test]
    fn one_is_taken_once_and_by_its_whole_text() {
        let newcomers = Newcomers::default();
        admit(&newcomers, 7, "one");
        admit(&newcomers, 7, "other");
        assert!(!is_taken(&newcomers, 7, "neither") && !is_taken(&newcomers, 8, "one"));
        assert!(is_taken(&newcomers, 7, "other") && is_taken(&newcomers, 7, "one"));
        assert!(!is_taken(&newcomers, 7, "one"));
        admit(&newcomers, 7, "one");
        newcomers.forget(Place(7));
        assert!(!is_taken(&newcomers, 7, "one"));
    }

    #[test]
    fn the_oldest_makes_room() {
        let newcomers = Newcomers::default();
        let other_group = u64::MAX;
        admit(&newcomers, other_group, "far");
        for number in 0..GROUP as u64 + 2 {
            admit(&newcomers, number, &number.to_string());
        }
        for number in 0..GROUP as u64 + 2 {
            assert_eq!(is_taken(&newcomers, number, &number.to_string()), number >= 2, "{number}");
        }
        assert!(is_taken(&newcomers, other_group, "far"));
    }

    #[test]
    fn a_heavy_one_is_given_back() {
        let newcomers = Newcomers::default();
        let heavy = newcomers.admit(Place(7), Arc::new(remembered("heavy", HEAVIEST_BYTES)));
        assert!(heavy.is_err_and(|token| token.is_of(b"heavy")));
        assert_eq!(newcomers.weight_bytes(), 0);
    }

    #[test]
    fn nobody_waits() {
        let newcomers = Newcomers::default();
        admit(&newcomers, 7, "one");
        let held = newcomers.groups[0].lock().unwrap();
        assert!(!is_taken(&newcomers, 7, "one"));
        admit(&newcomers, 8, "lost");
        newcomers.forget(Place(7));
        drop(held);
        assert!(is_taken(&newcomers, 7, "one") && !is_taken(&newcomers, 8, "lost"));
    }
}
