//! Owns: what one holder has used in the hour and the day that it is.
//! Refuses: giving back to a window what was taken from another.
//! Always holds: what was given out is never more than what was reserved.

use super::{Period, warnings::Threshold};
use crate::clock::UnixTime;

/// What was used in one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// The window's number.
    pub(super) window: u64,
    /// Tokens that were reserved, those that were given out included.
    reserved: u64,
    /// Tokens that were given out.
    kept: u64,
    /// What all replicas had reserved together when they were last asked.
    together: u64,
    /// The highest share of the quota that was warned of.
    warned: Option<Threshold>,
}

/// Those of the hour and of the day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tallies {
    hour: Tally,
    day: Tally,
}

impl Tally {
    /// The tally of the window that it is `now`. One whose window is over is forgotten. A clock that was set back over the edge of
    /// a window goes on in the later one, so that nobody gets a quota twice; one that was set back by more begins anew, so that
    /// nobody is refused by a window of the far future.
    fn at(self, period: Period, now: UnixTime) -> Self {
        let current = period.window(now);
        let goes_on = self.window == current || self.window == current.saturating_add(1);
        if goes_on { self } else { Self { window: current, ..Self::default() } }
    }

    /// What is used of it, as far as is known here.
    pub(super) fn used(&self) -> u64 {
        self.reserved.max(self.together)
    }

    /// What will not be given back, as far as is known here: what was given out, and what others had reserved.
    pub(super) fn settled(&self) -> u64 {
        let may_be_given_back = self.reserved.saturating_sub(self.kept);
        self.kept.max(self.together.saturating_sub(may_be_given_back))
    }

    /// Whether one token more is more than `bound`, going by this replica alone. What the others have reserved they may have
    /// given back since.
    pub(super) fn is_used_up(&self, bound: u64) -> bool {
        self.reserved >= bound
    }
}

impl Tallies {
    pub(super) fn at(self, now: UnixTime) -> Self {
        Self { hour: self.hour.at(Period::Hour, now), day: self.day.at(Period::Day, now) }
    }

    pub(super) const fn of(&self, period: Period) -> &Tally {
        match period {
            Period::Hour => &self.hour,
            Period::Day => &self.day,
        }
    }

    /// Whether nothing is counted in them.
    pub(super) fn are_empty(&self) -> bool {
        self.hour.used() == 0 && self.day.used() == 0
    }

    /// Reserves one token; the numbers of the windows in which it is counted.
    pub(super) fn reserve(&mut self) -> Windows {
        for tally in [&mut self.hour, &mut self.day] {
            tally.reserved = tally.reserved.saturating_add(1);
        }
        Windows { hour: self.hour.window, day: self.day.window }
    }

    /// Gives one back.
    pub(super) fn release(&mut self, windows: Windows) {
        for (tally, window) in [(&mut self.hour, windows.hour), (&mut self.day, windows.day)] {
            if tally.window == window {
                tally.reserved = tally.reserved.saturating_sub(1).max(tally.kept);
                tally.together = tally.together.saturating_sub(1);
            }
        }
    }

    /// Notes what all replicas have reserved together.
    pub(super) fn note_together(&mut self, windows: Windows, period: Period, sum: u64) {
        let tally = self.of_mut(period);
        if tally.window == windows.of(period) {
            tally.together = sum;
        }
    }

    /// Notes that a token that was reserved was given out; the share of `bound` that is used now, if nobody was warned of it yet.
    pub(super) fn keep(&mut self, windows: Windows, period: Period, bound: Option<u64>) -> Option<(Threshold, u64)> {
        let tally = self.of_mut(period);
        if tally.window != windows.of(period) {
            return None;
        }
        tally.kept = tally.kept.saturating_add(1);
        let used = tally.kept.max(tally.together);
        let reached = Threshold::reached(used, bound?).filter(|reached| tally.warned.is_none_or(|it| it < *reached))?;
        tally.warned = Some(reached);
        Some((reached, used))
    }

    const fn of_mut(&mut self, period: Period) -> &mut Tally {
        match period {
            Period::Hour => &mut self.hour,
            Period::Day => &mut self.day,
        }
    }
}

/// The windows in which one token is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Windows {
    hour: u64,
    day: u64,
}

impl Windows {
    pub(super) const fn of(self, period: Period) -> u64 {
        match period {
            Period::Hour => self.hour,
            Period::Day => self.day,
        }
    }
}
