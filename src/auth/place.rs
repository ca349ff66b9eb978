//! Owns: where a token belongs in all that remembers tokens, by a hash of its text.
//! Refuses: telling tokens apart: whole texts do that, so sharing a place is harmless.
//! Always holds: each of those that remember goes by bits of its own, so that two tokens which share a place in one of them seldom do
//! in another. Keyed, though not by a secret that would withstand study: only what was verified is put anywhere, and where that goes is
//! decided by its end, which is a signature or what its issuer drew.

use std::hash::{BuildHasher, Hasher};

use foldhash::quality::RandomState;

/// How much of a token's end is hashed. It holds at least most of the signature, which is as good as random.
pub(super) const HASHED_BYTES: usize = 64;

/// Where a token belongs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Place(pub(super) u64);

#[expect(clippy::cast_possible_truncation, reason = "only some of the bits are wanted")]
impl Place {
    pub(super) fn of(text: &[u8], hashing: &RandomState) -> Self {
        let end = text.get(text.len().saturating_sub(HASHED_BYTES)..).unwrap_or(text);
        let mut hasher = hashing.build_hasher();
        hasher.write(end);
        Self(hasher.finish())
    }

    /// Which of a worker's `sets` of tokens, up to 2^12.
    pub(super) const fn set(self, sets: usize) -> usize {
        self.0 as usize % sets
    }

    /// Which of the `sightings`, up to 2^15.
    pub(super) const fn sighting(self, sightings: usize) -> usize {
        (self.0 >> 12) as usize % sightings
    }

    /// What is noted there; never zero, which stands where nothing is.
    pub(super) fn mark(self) -> u16 {
        ((self.0 >> 28) as u16).max(1)
    }

    /// Which of the newcomers' `groups`, up to 2^4.
    pub(super) const fn group(self, groups: usize) -> usize {
        (self.0 >> 60) as usize % groups
    }
}
