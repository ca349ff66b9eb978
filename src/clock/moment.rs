//! Owns: how old something is.
//! Refuses: believing the wall clock alone: it may be set back, and a key set or a token would look young for ever.
//! Always holds: within one run of the program an age never shrinks below the time that really passed.

use std::time::{Duration, Instant};

use super::UnixTime;

/// How far ahead of the clock a moment noted by an earlier run may be, as clocks are corrected by a little.
const TOLERATED_LEAD: Duration = Duration::from_secs(300);

/// A moment that can be told the age of.
///
/// The age is the greater of what the wall clock says and what the monotonic clock says. The wall clock counts while the
/// machine sleeps and between two runs; the monotonic one counts when the wall clock is set back. Set forward, the wall
/// clock makes things look older than they are, which costs a fetch and is safe.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    wall: UnixTime,
    noted: Instant,
    age_when_noted: Duration,
}

impl Moment {
    /// The moment at which the wall clock said `wall` and the monotonic one `noted`. If the two were read one after the other, the
    /// age is that since the earlier one.
    #[must_use]
    pub const fn noted(wall: UnixTime, noted: Instant) -> Self {
        Self { wall, noted, age_when_noted: Duration::ZERO }
    }

    /// The present moment, which the wall clock calls `now`.
    #[must_use]
    pub fn present(now: UnixTime) -> Self {
        Self::noted(now, Instant::now())
    }

    /// The moment that an earlier run called `wall`, if it can be believed: a moment in the future says that the clock was
    /// set back since, so nobody knows how long ago it was.
    #[must_use]
    pub fn of_earlier_run(wall: UnixTime, now: UnixTime) -> Option<Self> {
        (wall.since(now) <= TOLERATED_LEAD).then(|| Self {
            wall,
            noted: Instant::now(),
            age_when_noted: now.since(wall),
        })
    }

    /// Its age, the wall clock saying `now`.
    #[must_use]
    pub fn age(&self, now: UnixTime) -> Duration {
        now.since(self.wall).max(self.age_when_noted.saturating_add(self.noted.elapsed()))
    }

    /// What the wall clock called it.
    #[must_use]
    pub const fn wall(&self) -> UnixTime {
        self.wall
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_set_back_takes_no_age_away() {
        let moment = Moment::of_earlier_run(UnixTime::from_seconds(1000), UnixTime::from_seconds(1600)).unwrap();
        assert!(moment.age(UnixTime::from_seconds(1600)) >= Duration::from_secs(600));
        assert!(moment.age(UnixTime::from_seconds(5)) >= Duration::from_secs(600));
        assert!(moment.age(UnixTime::from_seconds(2000)) >= Duration::from_secs(1000));
    }

    #[test]
    fn a_moment_in_the_future_is_not_believed() {
        let now = UnixTime::from_seconds(1000);
        assert!(Moment::of_earlier_run(UnixTime::from_seconds(1200), now).is_some());
        assert!(Moment::of_earlier_run(UnixTime::from_seconds(1400), now).is_none());
    }
}
