//! Owns: asking endpoints whether they are well.
//! Refuses: judging by what requests meet: that is [`super::outlier`]'s part.
//! Always holds: an endpoint is asked by one task, from when it is there until it goes; no more than one question to it is under way.

mod answer;
mod ask;
mod checks;
mod compile;

use std::time::Duration;

use http::{HeaderValue, uri::PathAndQuery};

use super::availability::Thresholds;

pub(super) use self::{answer::AnswerCounts, checks::Checks};

/// What endpoints are asked and what a good answer is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Health {
    path: PathAndQuery,
    host: Option<HeaderValue>,
    interval: Duration,
    timeout: Duration,
    thresholds: Thresholds,
    /// Empty: 200 to 299.
    expect: Box<[u16]>,
}

impl Health {
    /// Whether an answer with this status is a good one.
    fn expects(&self, status: u16) -> bool {
        if self.expect.is_empty() { (200..300).contains(&status) } else { self.expect.contains(&status) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_list_any_status_of_success_is_good() {
        let health = |expect: &[u16]| Health {
            path: PathAndQuery::from_static("/"),
            host: None,
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            thresholds: Thresholds { healthy_after: 1, unhealthy_after: 1 },
            expect: expect.into(),
        };
        for (expect, status, expected) in [
            (&[][..], 199, false),
            (&[], 200, true),
            (&[], 299, true),
            (&[], 300, false),
            (&[401], 401, true),
            (&[401], 200, false),
        ] {
            assert_eq!(health(expect).expects(status), expected, "{expect:?} {status}");
        }
    }
}
