//! Owns: whether an endpoint may be sent requests now, and what that is judged by.
//! Refuses: deciding when an endpoint is put out: [`super::outlier`] does; asking it: [`super::health`] does.
//! Always holds: reading takes a few loads and no lock; a request that goes well writes nothing unless the one before it failed.

use std::{
    sync::atomic::{
        AtomicU8, AtomicU32, AtomicU64,
        Ordering::{AcqRel, Acquire, Relaxed, Release},
    },
    time::Duration,
};

use super::tick::Tick;

/// The share of an endpoint that begins anew, in thousandths of its weight, and a whole one.
const FIRST_SHARE: u64 = 100;
pub(super) const WHOLE_SHARE: u64 = 1000;

/// What an endpoint is judged by now. Outlives reloads with the endpoint; what a configuration does not ask for is not looked at.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Availability {
    verdict: AtomicU8,
    /// Answers to health checks in a row that speak against the verdict.
    contrary: AtomicU32,
    /// Requests in a row that failed.
    failures: AtomicU32,
    /// Ejections that followed each other closely.
    ejections_in_a_row: AtomicU32,
    last_failure: AtomicU64,
    ejected_until: AtomicU64,
    last_ejection_milliseconds: AtomicU64,
    /// Since when it has been available without a break; 0 if it always was.
    since: AtomicU64,
    ejections: AtomicU64,
}

/// What health checks say of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It has answered none yet.
    Unproven,
    /// It is well.
    Well,
    /// It is not.
    Unwell,
}

/// How willingly an endpoint is sent requests, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// Nothing speaks against it.
    Available,
    /// Health checks have not had an answer from it yet.
    Unproven,
    /// It has failed too many requests.
    Ejected,
    /// It says itself that it is not well, or nothing at all.
    Unwell,
}

/// What a configuration wants endpoints to be judged by, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Glance {
    pub(super) now: Tick,
    /// Whether health checks are asked for.
    pub(super) health: bool,
    /// Whether endpoints that fail requests are left alone.
    pub(super) outlier: bool,
    /// How long an endpoint that begins anew takes to its full share.
    pub(super) slow_start: Option<Duration>,
}

/// How many answers in a row change a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Thresholds {
    pub(super) healthy_after: u32,
    pub(super) unhealthy_after: u32,
}

impl Availability {
    /// Notes that the endpoint was not there before, while others were.
    pub(super) fn begin_anew(&self, now: Tick) {
        self.since.store(now.as_milliseconds(), Relaxed);
    }

    /// How willingly it is sent requests.
    pub(super) fn standing(&self, glance: &Glance) -> Standing {
        let verdict = if glance.health { self.verdict() } else { Verdict::Well };
        match verdict {
            Verdict::Unwell => Standing::Unwell,
            _ if glance.outlier && self.is_ejected(glance.now) => Standing::Ejected,
            Verdict::Unproven => Standing::Unproven,
            Verdict::Well => Standing::Available,
        }
    }

    /// Its share for now, in thousandths of its weight.
    pub(super) fn share(&self, glance: &Glance) -> u64 {
        let Some(slow_start) = glance.slow_start else { return WHOLE_SHARE };
        let since = Tick::from_milliseconds(self.since.load(Relaxed));
        let passed = glance.now.since(since);
        if since == Tick::NEVER || passed >= slow_start {
            return WHOLE_SHARE;
        }
        let grown = passed.as_millis() * u128::from(WHOLE_SHARE - FIRST_SHARE) / slow_start.as_millis().max(1);
        FIRST_SHARE + u64::try_from(grown).unwrap_or(WHOLE_SHARE - FIRST_SHARE)
    }

    /// What health checks say.
    pub(super) fn verdict(&self) -> Verdict {
        match self.verdict.load(Relaxed) {
            1 => Verdict::Well,
            2 => Verdict::Unwell,
            _ => Verdict::Unproven,
        }
    }

    /// Notes the answer to a health check; gives the verdict if it is another one now. To be called by one at a time.
    pub(super) fn note_answer(&self, is_good: bool, thresholds: Thresholds, now: Tick) -> Option<Verdict> {
        let before = self.verdict();
        let (next, needed) = match (before, is_good) {
            (Verdict::Well, true) | (Verdict::Unwell, false) => {
                self.contrary.store(0, Relaxed);
                return None;
            }
            (Verdict::Well, false) => (Verdict::Unwell, thresholds.unhealthy_after),
            (Verdict::Unwell, true) => (Verdict::Well, thresholds.healthy_after),
            (Verdict::Unproven, true) => (Verdict::Well, 1),
            (Verdict::Unproven, false) => (Verdict::Unwell, 1),
        };
        let contrary = self.contrary.load(Relaxed).saturating_add(1);
        if contrary < needed {
            self.contrary.store(contrary, Relaxed);
            return None;
        }
        self.contrary.store(0, Relaxed);
        // One that was there when the program began does not begin anew with its first answer.
        if next == Verdict::Well && (before == Verdict::Unwell || self.since.load(Relaxed) > 0) {
            self.since.fetch_max(now.as_milliseconds(), Relaxed);
        }
        self.verdict.store(next.as_byte(), Relaxed);
        Some(next)
    }

    /// Forgets what health checks said, as nobody asks any more.
    pub(super) fn forget_answers(&self) {
        self.contrary.store(0, Relaxed);
        self.verdict.store(Verdict::Unproven.as_byte(), Relaxed);
    }

    /// Notes a request that went well.
    pub(super) fn succeed(&self) {
        if self.failures.load(Relaxed) > 0 {
            self.failures.store(0, Relaxed);
        }
    }

    /// Notes a request that failed; gives how many did in a row. What fails while the endpoint is out was under way before and does
    /// not count.
    pub(super) fn fail(&self, now: Tick) -> u32 {
        let until = self.ejected_until();
        if until > now {
            return 0;
        }
        let quiet_since = Tick::from_milliseconds(self.last_failure.swap(now.as_milliseconds(), AcqRel)).max(until);
        let length = u128::from(self.last_ejection_milliseconds.load(Relaxed));
        // Each time as long as the last ejection that passed without a failure takes one ejection back.
        let taken_back = now.since(quiet_since).as_millis().checked_div(length).unwrap_or(0);
        if taken_back > 0 {
            let taken_back = u32::try_from(taken_back).unwrap_or(u32::MAX);
            let in_a_row = self.ejections_in_a_row.load(Relaxed).saturating_sub(taken_back);
            self.ejections_in_a_row.store(in_a_row, Relaxed);
        }
        self.failures.fetch_add(1, Relaxed).saturating_add(1)
    }

    /// Begins to count failures anew.
    pub(super) fn pardon(&self) {
        self.failures.store(0, Relaxed);
    }

    /// Puts the endpoint out for as long as `length` says of the number of ejections in a row, this one included; gives how long that
    /// is. To be called by one at a time.
    pub(super) fn eject(&self, now: Tick, length: impl FnOnce(u32) -> Duration) -> Duration {
        let in_a_row = self.ejections_in_a_row.load(Relaxed).saturating_add(1);
        self.ejections_in_a_row.store(in_a_row, Relaxed);
        let length = length(in_a_row);
        let until = now.plus(length).as_milliseconds();
        self.last_ejection_milliseconds.store(until.saturating_sub(now.as_milliseconds()), Relaxed);
        self.ejections.fetch_add(1, Relaxed);
        self.failures.store(0, Relaxed);
        // When it comes back, it begins anew; nobody has to be there to note it.
        self.since.fetch_max(until, Relaxed);
        self.ejected_until.store(until, Release);
        length
    }

    /// Whether it is out.
    pub(super) fn is_ejected(&self, now: Tick) -> bool {
        self.ejected_until() > now
    }

    /// How often it was put out so far.
    pub(super) fn ejections(&self) -> u64 {
        self.ejections.load(Relaxed)
    }

    fn ejected_until(&self) -> Tick {
        Tick::from_milliseconds(self.ejected_until.load(Acquire))
    }
}

impl Verdict {
    const fn as_byte(self) -> u8 {
        match self {
            Self::Unproven => 0,
            Self::Well => 1,
            Self::Unwell => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GLANCE: Glance =
        Glance { now: Tick::from_milliseconds(1000), health: true, outlier: true, slow_start: Some(SLOW) };
    const SLOW: Duration = Duration::from_secs(10);
    const THRESHOLDS: Thresholds = Thresholds { healthy_after: 2, unhealthy_after: 3 };

    fn at(milliseconds: u64) -> Glance {
        Glance { now: Tick::from_milliseconds(milliseconds), ..GLANCE }
    }

    #[test]
    fn the_first_answer_decides_and_then_it_takes_several_in_a_row() {
        for first in [true, false] {
            let availability = Availability::default();
            assert_eq!(availability.standing(&GLANCE), Standing::Unproven);
            let verdict = if first { Verdict::Well } else { Verdict::Unwell };
            assert_eq!(availability.note_answer(first, THRESHOLDS, GLANCE.now), Some(verdict));
        }
        let availability = Availability::default();
        // Each answer, and whether the endpoint is available after it.
        for (position, (answer, is_available)) in [
            (true, true),
            (false, true),
            (false, true),
            (true, true),
            (false, true),
            (false, true),
            (false, false),
            (true, false),
            (false, false),
            (true, false),
            (true, true),
            (false, true),
        ]
        .into_iter()
        .enumerate()
        {
            let before = availability.verdict();
            let changed = availability.note_answer(answer, THRESHOLDS, GLANCE.now);
            let expected = if is_available { Standing::Available } else { Standing::Unwell };
            assert_eq!(availability.standing(&GLANCE), expected, "{position}");
            assert_eq!(changed.is_some(), before != availability.verdict(), "{position}");
        }
    }

    #[test]
    fn what_nobody_asks_for_is_not_looked_at() {
        let availability = Availability::default();
        availability.note_answer(false, THRESHOLDS, GLANCE.now);
        availability.eject(GLANCE.now, |_| SLOW);
        for (health, outlier, expected) in [
            (true, true, Standing::Unwell),
            (false, true, Standing::Ejected),
            (true, false, Standing::Unwell),
            (false, false, Standing::Available),
        ] {
            assert_eq!(availability.standing(&Glance { health, outlier, ..GLANCE }), expected);
        }
        availability.forget_answers();
        assert_eq!(availability.verdict(), Verdict::Unproven);
        assert_eq!(availability.standing(&GLANCE), Standing::Ejected, "unproven and out is out");
        assert_eq!(availability.share(&Glance { slow_start: None, ..GLANCE }), WHOLE_SHARE);
    }

    #[test]
    fn a_success_ends_a_streak_and_what_fails_while_out_does_not_count() {
        let availability = Availability::default();
        assert_eq!((availability.fail(GLANCE.now), availability.fail(GLANCE.now)), (1, 2));
        availability.succeed();
        assert_eq!(availability.fail(GLANCE.now), 1);
        availability.eject(GLANCE.now, |_| Duration::from_millis(100));
        assert!(availability.is_ejected(at(1099).now) && !availability.is_ejected(at(1100).now));
        assert_eq!(availability.fail(at(1099).now), 0);
        assert_eq!(availability.fail(at(1100).now), 1, "back, it begins a streak of its own");
    }

    #[test]
    fn ejections_in_a_row_are_taken_back_by_quiet_times_as_long_as_the_last_one() {
        let in_a_row = |quiet: u64| {
            let availability = Availability::default();
            let mut counted = 0;
            let mut now = 1000;
            for _ in 0..3 {
                availability.fail(at(now).now);
                availability.eject(at(now).now, |in_a_row| {
                    counted = in_a_row;
                    Duration::from_millis(100)
                });
                now += 100;
            }
            assert_eq!(counted, 3);
            availability.fail(at(now + quiet).now);
            availability.eject(at(now + quiet).now, |in_a_row| {
                counted = in_a_row;
                Duration::from_millis(100)
            });
            counted
        };
        for (quiet, expected) in [(0, 4), (99, 4), (100, 3), (199, 3), (200, 2), (1_000_000, 1)] {
            assert_eq!(in_a_row(quiet), expected, "{quiet}");
        }
    }

    #[test]
    fn a_share_grows_from_a_tenth_to_the_whole() {
        let availability = Availability::default();
        assert_eq!(availability.share(&GLANCE), WHOLE_SHARE, "it was there from the beginning");
        availability.begin_anew(GLANCE.now);
        for (now, expected) in [(1000, 100), (3500, 325), (6000, 550), (10_999, 999), (11_000, 1000), (99_000, 1000)] {
            assert_eq!(availability.share(&at(now)), expected, "{now}");
        }
    }

    #[test]
    fn whoever_comes_back_begins_anew() {
        let ejected = Availability::default();
        ejected.eject(GLANCE.now, |_| Duration::from_millis(500));
        assert_eq!(ejected.share(&at(1500)), FIRST_SHARE);
        let recovered = Availability::default();
        recovered.note_answer(true, THRESHOLDS, GLANCE.now);
        assert_eq!(recovered.share(&GLANCE), WHOLE_SHARE, "the first answer at the start");
        for answer in [false, false, false, true, true] {
            recovered.note_answer(answer, THRESHOLDS, at(2000).now);
        }
        assert_eq!(recovered.share(&at(2000)), FIRST_SHARE);
        let newcomer = Availability::default();
        newcomer.begin_anew(GLANCE.now);
        newcomer.note_answer(true, THRESHOLDS, at(50_000).now);
        assert_eq!(newcomer.share(&at(50_000)), FIRST_SHARE, "a newcomer begins with its first answer");
    }
}
