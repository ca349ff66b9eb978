//! Owns: a streak of failures, and the lock that ends it.
//! Refuses: growing a streak while it is locked: a lock lasts as long as it says, and not for as long as somebody knocks.
//! Always holds: a clock that is set back opens a lock rather than making it last.

use std::time::Duration;

use crate::clock::UnixTime;

/// How many times the failures of one pair it takes to lock out by client id alone, or by peer alone.
const WIDE: u32 = 10;

/// What a streak may grow to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limit {
    /// So many failures lock.
    pub(super) failures: u32,
    /// Failures longer apart than this are not of one streak.
    pub(super) window: Duration,
    /// How long the lock lasts.
    pub(super) lock_for: Duration,
}

impl Limit {
    /// That of streaks that are not of one pair.
    pub(super) const fn wide(self) -> Self {
        Self { failures: self.failures.saturating_mul(WIDE), ..self }
    }
}

/// Failures in a row.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Streak {
    failures: u32,
    last_failure: UnixTime,
    /// Kept as the beginning, so that a changed setting is in force at once.
    locked_at: Option<UnixTime>,
}

impl Streak {
    /// How much longer it is locked, if it is.
    pub(super) fn remaining(&self, limit: Limit, now: UnixTime) -> Option<Duration> {
        let locked_at = self.locked_at.filter(|locked_at| *locked_at <= now)?;
        let remaining = locked_at.plus(limit.lock_for).since(now);
        (!remaining.is_zero()).then_some(remaining)
    }

    /// The streak with one failure more.
    pub(super) fn after_failure(self, limit: Limit, now: UnixTime) -> Self {
        if self.remaining(limit, now).is_some() {
            return self;
        }
        let in_a_row = self.failures > 0 && now.since(self.last_failure) <= limit.window;
        let failures = if in_a_row { self.failures.saturating_add(1) } else { 1 };
        if failures >= limit.failures {
            // The streak has had its lock; the next failure begins another one.
            return Self { failures: 0, last_failure: now, locked_at: Some(now) };
        }
        Self { failures, last_failure: now, locked_at: None }
    }
}
