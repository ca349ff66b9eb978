//! Owns: the hours and days of UTC that tokens are counted by.
//! Always holds: every moment lies in exactly one window of each period, and windows follow each other without a gap.

use crate::clock::UnixTime;

/// What tokens are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Period {
    /// An hour of UTC.
    Hour,
    /// A day of UTC.
    Day,
}

impl Period {
    /// Both, the shorter one first.
    pub(super) const ALL: [Self; 2] = [Self::Hour, Self::Day];

    /// Its name.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// The name of its key in the configuration, and of its bucket in the `auth0` dialect.
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::Hour => "per_hour",
            Self::Day => "per_day",
        }
    }

    /// The number of the window in which `now` lies, counted from the epoch. Unix time knows no leap seconds, so every day has as
    /// many seconds as any other.
    pub(super) const fn window(self, now: UnixTime) -> u64 {
        now.as_seconds() / self.seconds()
    }

    /// When a window ends.
    pub(super) const fn end(self, window: u64) -> UnixTime {
        UnixTime::from_seconds(window.saturating_add(1).saturating_mul(self.seconds()))
    }

    const fn seconds(self) -> u64 {
        match self {
            Self::Hour => 3600,
            Self::Day => 24 * 3600,
        }
    }
}
