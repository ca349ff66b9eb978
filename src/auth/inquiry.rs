//! Owns: how the questions to one issuer went: counted by how they ended, the last error, telling it to the log, and whether the
//! endpoint has been silent for a while. The asking itself is below: `inquirer` asks, `memory` keeps what is said for as long as
//! `belief` says, `pause` leaves alone what gives no answer.
//! Refuses: filling the log: what goes on going wrong in one way is told once a minute.
//! Always holds: an error is told without the token, the question and the answer.

mod belief;
mod inquirer;
mod memory;
mod pause;

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde::Serialize;
use tracing::{error, warn};
use utoipa::ToSchema;

pub(super) use self::{
    belief::{Belief, Told},
    inquirer::{Exchange, Failure, Inquirer, Said},
    memory::{Fingerprint, Room},
    pause::{pause_after, pause_of},
};
use self::{memory::Memory, pause::Pause};
use super::key_set::in_words;
use crate::{
    clock::{Moment, UnixTime},
    telemetry::Rfc3339,
};

/// How long until the log is told again of what is wrong still.
const SILENCE: Duration = Duration::from_secs(60);
/// How many questions in a row must have failed, and for how long, until that is an outage: one that was lost is none.
const OUTAGE_FAILURES: u32 = 3;
const OUTAGE_AFTER: Duration = Duration::from_secs(10);
/// How long after the last failure it is one. Whoever takes that for a reason to send no more requests would otherwise never
/// learn that it is
/// over, as nobody would ask any more.
const OUTAGE_REMEMBERED: Duration = Duration::from_secs(30);

/// How the questions to one issuer went.
#[derive(Debug, Default)]
pub(super) struct Inquiries {
    tally: Mutex<Tally>,
}

#[derive(Debug, Default)]
struct Tally {
    counts: BTreeMap<&'static str, u64>,
    last_error: Option<(UnixTime, String)>,
    last_told: Option<(Moment, &'static str)>,
    silent: Option<Silent>,
}

/// Since when an endpoint has had answers for nobody.
#[derive(Clone, Copy, Debug)]
struct Silent {
    since: Moment,
    until: Moment,
    failures: u32,
}

/// Who can mend what went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blame {
    /// The issuer, or the network: it may pass.
    Issuer,
    /// The operator: it does not pass by itself.
    Configuration,
}

/// How the questions to one issuer went, for an operator.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct InquiryStatus {
    /// Where it is asked.
    #[schema(example = "https://id.corp.example/introspect")]
    pub endpoint: String,
    /// How many questions ended how, as in the metrics.
    pub requests: Vec<InquiryCount>,
    /// Why the last question that failed did so.
    pub last_error: Option<String>,
    /// When that was.
    pub last_error_at: Option<String>,
}

/// How often questions ended in one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct InquiryCount {
    /// The way, as in the metrics.
    pub result: &'static str,
    /// How often.
    pub count: u64,
}

impl Inquiries {
    /// Counts a question that was answered so.
    pub(super) fn note_answer(&self, result: &'static str) {
        self.with(|tally| {
            tally.silent = None;
            *tally.counts.entry(result).or_default() += 1;
        });
    }

    /// Counts a question that was not even asked.
    pub(super) fn note_unasked(&self, result: &'static str) {
        self.with(|tally| *tally.counts.entry(result).or_default() += 1);
    }

    /// Counts a question to `whom` that was not answered, and tells of it.
    pub(super) fn note_failure(&self, whom: &str, error: &impl Failure, now: UnixTime) {
        let (words, result, present) = (in_words(error), error.reason(), Moment::present(now));
        let is_news = self.with(|tally| {
            *tally.counts.entry(result).or_default() += 1;
            tally.last_error = Some((now, words.clone()));
            // What may be due to one token says nothing of the endpoint: whoever sends such tokens takes nobody out of service.
            if error.pause().is_some() {
                let before = tally.silent.unwrap_or(Silent { since: present, until: present, failures: 0 });
                let failures = before.failures.saturating_add(1);
                tally.silent = Some(Silent { until: present, failures, ..before });
            }
            let is_news = tally.last_told.is_none_or(|(at, told)| told != result || at.age(now) >= SILENCE);
            if is_news {
                tally.last_told = Some((present, result));
            }
            is_news
        });
        if !is_news {
            return;
        }
        match error.blame() {
            Blame::Issuer => warn!("{whom} gives no answer: {words}"),
            Blame::Configuration => error!("{whom} refuses to answer: {words}"),
        }
    }

    /// Why nobody gets an answer, if several questions in a row had none, for a while, and the last of them not long before `now`.
    pub(super) fn outage(&self, now: UnixTime) -> Option<String> {
        self.with(|tally| {
            let silent = tally.silent?;
            let is_outage = silent.failures >= OUTAGE_FAILURES
                && silent.since.age(now) >= OUTAGE_AFTER
                && silent.until.age(now) < OUTAGE_REMEMBERED;
            is_outage.then(|| tally.last_error.as_ref().map(|(_, words)| words.clone()).unwrap_or_default())
        })
    }

    /// How many questions ended how.
    pub(super) fn counts(&self) -> Vec<InquiryCount> {
        self.with(|tally| tally.counts.iter().map(|(result, count)| InquiryCount { result, count: *count }).collect())
    }

    /// All of it; the questions went to `endpoint`.
    pub(super) fn status(&self, endpoint: &str) -> InquiryStatus {
        let (at, error) = self.with(|tally| tally.last_error.clone()).unzip();
        InquiryStatus {
            endpoint: endpoint.to_owned(),
            requests: self.counts(),
            last_error: error,
            last_error_at: at.map(|at| Rfc3339(at).to_string()),
        }
    }

    fn with<T>(&self, look: impl FnOnce(&mut Tally) -> T) -> T {
        look(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use thiserror::Error;

    use super::*;

    #[derive(Debug, Error)]
    #[error("at {at}")]
    struct Broken {
        at: u64,
        reason: &'static str,
        pause: Option<Duration>,
    }

    impl Failure for Broken {
        fn reason(&self) -> &'static str {
            self.reason
        }

        fn blame(&self) -> Blame {
            Blame::Issuer
        }

        fn pause(&self) -> Option<Duration> {
            self.pause
        }
    }

    fn fail(inquiries: &Inquiries, reason: &'static str, at: u64, pause: Option<Duration>) {
        inquiries.note_failure("the issuer", &Broken { at, reason, pause }, UnixTime::from_seconds(at));
    }

    #[test]
    fn the_log_is_told_once_a_minute_and_of_every_new_trouble() {
        let inquiries = Inquiries::default();
        let told = || inquiries.with(|tally| tally.last_told.map(|(at, reason)| (at.wall().as_seconds(), reason)));
        let fail = |reason, at| {
            fail(&inquiries, reason, at, None);
            told() == Some((at, reason))
        };
        let told = [fail("timed_out", 100), fail("timed_out", 159), fail("status", 159), fail("status", 200)];
        assert_eq!(told, [true, false, true, false]);
        assert!(fail("status", 219));
        inquiries.note_answer("active");
        let status = inquiries.status("https://id/");
        let counts: Vec<_> = status.requests.iter().map(|count| (count.result, count.count)).collect();
        assert_eq!(counts, [("active", 1), ("status", 3), ("timed_out", 2)]);
        assert_eq!(status.last_error.as_deref(), Some("at 219"));
        assert_eq!(status.last_error_at.as_deref(), Some("1970-01-01T00:03:39.000Z"));
    }

    #[test]
    fn an_outage_is_several_failures_of_the_endpoint_for_a_while() {
        let of = |failures: &[u64], pause, now| {
            let inquiries = Inquiries::default();
            failures.iter().for_each(|at| fail(&inquiries, "timed_out", *at, pause));
            (inquiries.outage(UnixTime::from_seconds(now)), inquiries)
        };
        let second = Some(Duration::from_secs(1));
        for (failures, pause, now, expected) in [
            (&[100, 105, 110][..], second, 110, Some("at 110")),
            (&[100, 105, 110], second, 139, Some("at 110")),
            (&[100, 105, 110], second, 140, None),
            (&[100, 100, 100, 100], second, 101, None),
            (&[100, 111], second, 111, None),
            (&[100, 105, 110], None, 110, None),
        ] {
            assert_eq!(of(failures, pause, now).0.as_deref(), expected, "{failures:?} {pause:?} {now}");
        }
        let (outage, inquiries) = of(&[100, 105, 110], second, 110);
        assert!(outage.is_some());
        inquiries.note_unasked("too_many");
        assert!(inquiries.outage(UnixTime::from_seconds(110)).is_some());
        inquiries.note_answer("inactive");
        assert_eq!(inquiries.outage(UnixTime::from_seconds(110)), None);
    }
}
