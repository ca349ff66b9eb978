//! Owns: a streak of failures, and the lock that ends it.
//! Refuses: growing a streak while it is locked: a lock lasts as long as it says, and not for as long as somebody knocks.
//! Always holds: an attempt that began before a lock and is judged after it is locked out; a clock that is set back by more than
//! requests take opens a lock rather than making it last.

use std::time::Duration;

use crate::{clock::UnixTime, config::LockoutConfig};

/// How many times the failures of one pair it takes to lock out by client id alone, or by peer alone.
const WIDE: u32 = 10;

/// How much earlier than the last failure an attempt may have begun that is judged after it: a request is dated by its head, and
/// whoever sends the rest of it slowly must not be looked at for that. What is earlier by more is a clock that was set back.
pub(super) const LONGEST_ATTEMPT: Duration = Duration::from_mins(5);

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
    /// That of one client id from one peer; no failure at all is looked at if it is nothing.
    pub(super) const fn of(settings: &LockoutConfig) -> Self {
        let LockoutConfig { failures, window, lock_for } = settings;
        Self { failures: *failures, window: window.0, lock_for: lock_for.0 }
    }

    /// That of streaks that are not of one pair.
    pub(super) const fn wide(self) -> Self {
        Self { failures: self.failures.saturating_mul(WIDE), ..self }
    }
}

/// Failures in a row.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Streak {
    failures: u32,
    first_failure: UnixTime,
    last_failure: UnixTime,
    /// Kept as the beginning, so that a changed setting is in force at once.
    locked_at: Option<UnixTime>,
}

impl Streak {
    /// How much longer it is locked, if it is.
    pub(super) fn remaining(&self, limit: Limit, now: UnixTime) -> Option<Duration> {
        let now = self.not_before_last_failure(now);
        let locked_at = self.locked_at.filter(|locked_at| *locked_at <= now)?;
        let remaining = locked_at.plus(limit.lock_for).since(now);
        (!remaining.is_zero()).then_some(remaining)
    }

    /// The streak with one failure more.
    pub(super) fn after_failure(self, limit: Limit, now: UnixTime) -> Self {
        if self.remaining(limit, now).is_some() {
            return self;
        }
        let now = self.not_before_last_failure(now);
        let in_a_row = self.failures > 0 && now.since(self.last_failure) <= limit.window;
        let (failures, first_failure) =
            if in_a_row { (self.failures.saturating_add(1), self.first_failure) } else { (1, now) };
        if failures >= limit.failures {
            // The streak has had its lock; the next failure begins another one.
            return Self { failures: 0, first_failure, last_failure: now, locked_at: Some(now) };
        }
        Self { failures, first_failure, last_failure: now, locked_at: None }
    }

    /// Whether it, or the lock that it ended in, began after `at`.
    pub(super) fn began_after(&self, at: UnixTime) -> bool {
        self.locked_at.unwrap_or(self.first_failure) > at
    }

    /// When an attempt counts that is dated `now`.
    fn not_before_last_failure(&self, now: UnixTime) -> UnixTime {
        let was_set_back = now.plus(LONGEST_ATTEMPT) < self.last_failure;
        if was_set_back { now } else { now.max(self.last_failure) }
    }
}
