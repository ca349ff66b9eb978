//! Owns: moments as endpoints are judged by them: small enough to be kept in an atomic.
//! Refuses: the wall clock, which somebody may set.
//! Always holds: no moment that a clock gave is [`Tick::NEVER`].

use std::{sync::LazyLock, time::Duration};

use tokio::time::Instant;

/// Where counting begins.
static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);

/// A moment, in milliseconds of a clock that nobody can set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tick(u64);

impl Tick {
    /// Before all moments.
    pub(super) const NEVER: Self = Self(0);

    /// The present one.
    pub(super) fn now() -> Self {
        let since = Instant::now().saturating_duration_since(*BEGINNING);
        Self(milliseconds(since).saturating_add(1))
    }

    pub(super) const fn from_milliseconds(milliseconds: u64) -> Self {
        Self(milliseconds)
    }

    pub(super) const fn as_milliseconds(self) -> u64 {
        self.0
    }

    /// So much later.
    pub(super) fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(milliseconds(duration)))
    }

    /// The time since `earlier`; none if that is later.
    pub(super) const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
