//! Owns: the pause between two fetches on account of unknown keys.
//! Refuses: nothing; it only answers.
//! Always holds: asking costs one look at a clock and one atomic load, for it is asked by whoever sends rubbish.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// A pause that can be begun again.
#[derive(Debug)]
pub(super) struct Cooldown {
    origin: Instant,
    length: Duration,
    /// In microseconds since `origin`.
    over_at: AtomicU64,
}

impl Cooldown {
    /// One that is over.
    pub(super) fn of(length: Duration) -> Self {
        Self { origin: Instant::now(), length, over_at: AtomicU64::new(0) }
    }

    /// Begins it anew, a tenth as long if the fetch before it was `fruitful`. Whoever sends rubbish cannot make an issuer
    /// list new keys, so such a fetch was no waste, and an issuer that rotates often is not answered with refusals.
    pub(super) fn begin(&self, fruitful: bool) {
        let length = if fruitful { self.length / 10 } else { self.length };
        let over_at = self.origin.elapsed().saturating_add(length);
        self.over_at.store(u64::try_from(over_at.as_micros()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// Whether it is not over.
    pub(super) fn lasts(&self) -> bool {
        self.origin.elapsed().as_micros() < u128::from(self.over_at.load(Ordering::SeqCst))
    }
}
