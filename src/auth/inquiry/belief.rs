//! Owns: for how long what an issuer said may be believed.
//! Refuses: the wall clock alone: set back, it would make an old word young again.
//! Always holds: what was said is believed for no longer than it lasts, whatever becomes of the clock.

use std::time::Duration;

use crate::clock::{Moment, UnixTime};

/// How long something that was said may be believed.
#[derive(Clone, Copy, Debug)]
pub(in crate::auth) struct Belief {
    asked_at: Moment,
    lasts: Duration,
}

/// What was said, and for how long it may be believed.
#[derive(Clone, Debug)]
pub(in crate::auth) struct Told<T> {
    pub(in crate::auth) said: T,
    pub(in crate::auth) belief: Belief,
}

impl Belief {
    /// Something that was asked at `asked_at` is believed for less than `lasts`.
    pub(in crate::auth) const fn new(asked_at: Moment, lasts: Duration) -> Self {
        Self { asked_at, lasts }
    }

    /// Whether it may be believed, the wall clock saying `now`.
    pub(in crate::auth) fn holds_at(&self, now: UnixTime) -> bool {
        self.asked_at.age(now) < self.lasts
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn it_ends_by_whichever_clock_is_further() {
        let asked = UnixTime::from_seconds(1000);
        let belief = Belief::new(Moment::present(asked), Duration::from_secs(30));
        for (seconds, holds) in [(1000, true), (1029, true), (1030, false), (1, true)] {
            assert_eq!(belief.holds_at(UnixTime::from_seconds(seconds)), holds, "{seconds}");
        }
        let Some(long_ago) = Instant::now().checked_sub(Duration::from_secs(31)) else { return };
        let belief = Belief::new(Moment::noted(asked, long_ago), Duration::from_secs(30));
        for seconds in [1, 1000, 1029] {
            assert!(
                !belief.holds_at(UnixTime::from_seconds(seconds)),
                "{seconds}: 31 s have passed whatever the clock says"
            );
        }
        assert!(!Belief::new(Moment::present(asked), Duration::ZERO).holds_at(asked));
    }
}
