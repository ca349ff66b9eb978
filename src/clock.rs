//! Owns: what time it is, for everything that judges a token or ages a key set.
//! Refuses: reading the wall clock anywhere else, so that a test can hold the clock in its hand.
//! Always holds: clones of one `Clock` agree; a [`ManualClock`] moves only when it is told to.

mod moment;

use std::{
    fmt,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use serde::{Deserialize, Serialize};

pub use self::moment::Moment;

/// Where the steady clock begins.
static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);

/// A moment of the wall clock, counted from the Unix epoch with millisecond resolution. In a stored document it is the
/// number of milliseconds.
///
/// A clock set before 1970 reads as the epoch itself, at which every token is expired or not yet valid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixTime {
    milliseconds: u64,
}

impl UnixTime {
    /// The moment `seconds` whole seconds after the epoch.
    #[must_use]
    pub const fn from_seconds(seconds: u64) -> Self {
        Self { milliseconds: seconds.saturating_mul(1000) }
    }

    /// The moment `milliseconds` after the epoch.
    #[must_use]
    pub const fn from_milliseconds(milliseconds: u64) -> Self {
        Self { milliseconds }
    }

    /// Whole seconds since the epoch: RFC 7519's NumericDate.
    #[must_use]
    pub const fn as_seconds(self) -> u64 {
        self.milliseconds / 1000
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn as_milliseconds(self) -> u64 {
        self.milliseconds
    }

    /// The time from `earlier` to `self`; zero if the clock was set back in between.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.milliseconds.saturating_sub(earlier.milliseconds))
    }

    /// `self` moved later by `duration`; stops at the end of time instead of wrapping.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let added = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self { milliseconds: self.milliseconds.saturating_add(added) }
    }

    /// `self` moved earlier by `duration`; stops at the epoch.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        let removed = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self { milliseconds: self.milliseconds.saturating_sub(removed) }
    }
}

/// Where the time comes from: the system, or a test's hand.
#[derive(Clone)]
pub struct Clock {
    source: Source,
}

#[derive(Clone)]
enum Source {
    System,
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// The system's wall clock.
    #[must_use]
    pub const fn system() -> Self {
        Self { source: Source::System }
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> UnixTime {
        match &self.source {
            Source::System => {
                let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                UnixTime::default().plus(since_epoch)
            }
            Source::Manual(milliseconds) => UnixTime::from_milliseconds(milliseconds.load(Ordering::SeqCst)),
        }
    }

    /// The time since some moment that stays the same for the life of the process, by a clock that nobody can set: for what
    /// must not jump when somebody sets the wall clock. Of a [`ManualClock`] it is all that it stands at.
    #[must_use]
    pub fn steady(&self) -> Duration {
        match &self.source {
            Source::System => BEGINNING.elapsed(),
            Source::Manual(_) => self.now().since(UnixTime::default()),
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match self.source {
            Source::System => "system",
            Source::Manual(_) => "manual",
        };
        formatter.debug_tuple("Clock").field(&source).finish()
    }
}

/// A clock that a test moves by hand.
#[derive(Clone, Debug)]
pub struct ManualClock {
    milliseconds: Arc<AtomicU64>,
}

impl ManualClock {
    /// A clock standing at `start`.
    #[must_use]
    pub fn starting_at(start: UnixTime) -> Self {
        Self { milliseconds: Arc::new(AtomicU64::new(start.as_milliseconds())) }
    }

    /// The [`Clock`] to hand to the code under test.
    #[must_use]
    pub fn clock(&self) -> Clock {
        Clock { source: Source::Manual(Arc::clone(&self.milliseconds)) }
    }

    /// Sets the clock to `moment`, forwards or back.
    pub fn set(&self, moment: UnixTime) {
        self.milliseconds.store(moment.as_milliseconds(), Ordering::SeqCst);
    }

    /// Moves the clock forwards by `duration`.
    pub fn advance(&self, duration: Duration) {
        self.set(self.clock().now().plus(duration));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let manual = ManualClock::starting_at(UnixTime::from_seconds(1000));
        let clock = manual.clock();
        assert_eq!(clock.now(), UnixTime::from_seconds(1000));
        manual.advance(Duration::from_secs(5));
        assert_eq!((clock.now().as_seconds(), clock.steady().as_secs()), (1005, 1005));
        manual.set(UnixTime::from_seconds(3));
        assert_eq!(clock.now().since(UnixTime::from_seconds(9)), Duration::ZERO);
    }

    #[test]
    fn arithmetic_stops_at_the_ends_of_time() {
        let end = UnixTime::from_seconds(u64::MAX);
        assert_eq!(end.plus(Duration::from_secs(1)), end);
        assert_eq!(UnixTime::default().minus(Duration::from_secs(1)), UnixTime::default());
    }
}
