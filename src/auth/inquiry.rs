//! Owns: how the questions to one issuer went: counted by how they ended, the last error, and telling it to the log.
//! Refuses: filling the log: what goes on going wrong in one way is told once a minute.
//! Always holds: an error is told without the token, the question and the answer.

use std::{
    collections::BTreeMap,
    error::Error,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde::Serialize;
use tracing::{error, warn};
use utoipa::ToSchema;

use super::key_set::in_words;
use crate::{clock::UnixTime, telemetry::Rfc3339};

/// How long until the log is told again of what is wrong still.
const SILENCE: Duration = Duration::from_secs(60);

/// How the questions to one issuer went.
#[derive(Debug, Default)]
pub(super) struct Inquiries {
    tally: Mutex<Tally>,
}

#[derive(Debug, Default)]
struct Tally {
    counts: BTreeMap<&'static str, u64>,
    last_error: Option<(UnixTime, String)>,
    last_told: Option<(UnixTime, &'static str)>,
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
    /// Counts a question that ended so.
    pub(super) fn note(&self, result: &'static str) {
        self.with(|tally| *tally.counts.entry(result).or_default() += 1);
    }

    /// Counts a question to `whom` that was not answered, and tells of it.
    pub(super) fn note_failure(
        &self,
        whom: &str,
        result: &'static str,
        error: &(dyn Error + 'static),
        blame: Blame,
        now: UnixTime,
    ) {
        let words = in_words(error);
        let is_news = self.with(|tally| {
            *tally.counts.entry(result).or_default() += 1;
            tally.last_error = Some((now, words.clone()));
            let is_news = tally.last_told.is_none_or(|(at, told)| told != result || now.since(at) >= SILENCE);
            if is_news {
                tally.last_told = Some((now, result));
            }
            is_news
        });
        if !is_news {
            return;
        }
        match blame {
            Blame::Issuer => warn!("{whom} gives no answer: {words}"),
            Blame::Configuration => error!("{whom} refuses to answer: {words}"),
        }
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
    use super::*;

    #[test]
    fn the_log_is_told_once_a_minute_and_of_every_new_trouble() {
        let inquiries = Inquiries::default();
        let told = || inquiries.with(|tally| tally.last_told);
        let fail = |result, seconds| {
            let now = UnixTime::from_seconds(seconds);
            let error = std::io::Error::other(format!("at {seconds}"));
            inquiries.note_failure("the issuer", result, &error, Blame::Issuer, now);
            told() == Some((now, result))
        };
        let told = [fail("timed_out", 100), fail("timed_out", 159), fail("status", 159), fail("status", 200)];
        assert_eq!(told, [true, false, true, false]);
        assert!(fail("status", 219));
        inquiries.note("active");
        let status = inquiries.status("https://id/");
        let counts: Vec<_> = status.requests.iter().map(|count| (count.result, count.count)).collect();
        assert_eq!(counts, [("active", 1), ("status", 3), ("timed_out", 2)]);
        assert_eq!(status.last_error.as_deref(), Some("at 219"));
        assert_eq!(status.last_error_at.as_deref(), Some("1970-01-01T00:03:39.000Z"));
    }
}
