//! Owns: leaving an endpoint alone that gives nobody an answer, so that nobody waits for it in vain.
//! Refuses: more than one question at a time to an endpoint that failed, until it has answered one.
//! Always holds: an endpoint that is back is asked again as soon as the pause is over; time is that of a clock nobody can set.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use http::header::RETRY_AFTER;

use crate::outbound::{OutboundAnswer, OutboundError};

/// How long an endpoint is left alone that does not say for how long it wants to be.
const SHORTEST: Duration = Duration::from_secs(1);
/// The longest that it may ask for.
const LONGEST: Duration = Duration::from_secs(60);
/// What tells that whoever answers cannot do so for anybody: RFC 6585 section 4, RFC 9110 sections 15.6.3 to 15.6.5. A 500 is
/// not among them:
/// one token that the issuer stumbles over would speak for all others.
const UNABLE: [u16; 4] = [429, 502, 503, 504];

/// Whether an endpoint may be asked.
#[derive(Debug, Default)]
pub(super) struct Pause {
    failing: Mutex<Option<Failing>>,
}

/// How things stand since it failed.
#[derive(Clone, Copy, Debug)]
struct Failing {
    over_at: Instant,
    /// Until when the one question that tries it may take.
    trying_until: Option<Instant>,
}

impl Pause {
    /// Whether a question that takes no longer than `longest` may be asked at `now`.
    pub(super) fn admits(&self, now: Instant, longest: Duration) -> bool {
        self.with(|failing| match failing {
            None => true,
            Some(failing) if now < failing.over_at => false,
            Some(Failing { trying_until: Some(until), .. }) if now < *until => false,
            Some(failing) => {
                failing.trying_until = Some(now + longest);
                true
            }
        })
    }

    /// It failed at `now`: nobody asks for `length`.
    pub(super) fn begin(&self, now: Instant, length: Duration) {
        self.with(|failing| {
            let over_at = failing.map_or(now + length, |failing| failing.over_at.max(now + length));
            *failing = Some(Failing { over_at, trying_until: None });
        });
    }

    /// It answered.
    pub(super) fn end(&self) {
        self.with(|failing| *failing = None);
    }

    fn with<T>(&self, look: impl FnOnce(&mut Option<Failing>) -> T) -> T {
        look(&mut self.failing.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// For how long whoever answered so wants to be left alone; `None` if that says nothing of other questions.
pub(in crate::auth) fn pause_after(answer: &OutboundAnswer) -> Option<Duration> {
    if !UNABLE.contains(&answer.status) {
        return None;
    }
    // A date (RFC 9110 section 10.2.3) would have to be believed together with the other's clock.
    let seconds = answer.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    Some(seconds.map_or(SHORTEST, Duration::from_secs).clamp(SHORTEST, LONGEST))
}

/// For how long nobody asks where this happened; `None` if it says nothing of other questions.
pub(in crate::auth) const fn pause_of(error: &OutboundError) -> Option<Duration> {
    match error {
        OutboundError::Unreachable(_) | OutboundError::TimedOut(_) => Some(SHORTEST),
        OutboundError::Offline
        | OutboundError::Address(_)
        | OutboundError::Exchange(_)
        | OutboundError::TooLarge(_)
        | OutboundError::GivenUp => None,
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::*;

    const LONGEST_QUESTION: Duration = Duration::from_secs(5);

    #[test]
    fn after_a_failure_one_tries_it_and_the_others_when_that_one_was_answered() {
        let (pause, began) = (Pause::default(), Instant::now());
        let admits = |milliseconds| pause.admits(began + Duration::from_millis(milliseconds), LONGEST_QUESTION);
        assert!(admits(0) && admits(0), "nothing has failed");
        pause.begin(began, SHORTEST);
        assert_eq!(
            [admits(0), admits(999), admits(1000), admits(1001), admits(5999)],
            [false, false, true, false, false]
        );
        // One that is never heard of again does not close it for good.
        assert_eq!([admits(6000), admits(6001)], [true, false]);
        pause.begin(began + Duration::from_secs(7), SHORTEST);
        assert_eq!([admits(7999), admits(8000), admits(8001)], [false, true, false]);
        pause.end();
        assert!(admits(8002) && admits(8002));
        // A longer pause is not cut short by one that failed otherwise.
        pause.begin(began, LONGEST);
        pause.begin(began, SHORTEST);
        assert_eq!([admits(59_999), admits(60_000)], [false, true]);
    }

    #[test]
    fn only_what_concerns_everybody_begins_a_pause() {
        let after = |status, retry_after: Option<&str>| {
            let headers: HeaderMap =
                retry_after.map(|value| (RETRY_AFTER, HeaderValue::from_str(value).unwrap())).into_iter().collect();
            pause_after(&OutboundAnswer { status, headers, body: "".into() }).map(|pause| pause.as_secs())
        };
        for status in [200, 302, 400, 401, 403, 404, 500, 501] {
            assert_eq!(after(status, Some("9")), None, "{status}");
        }
        for (retry_after, seconds) in [
            (None, 1),
            (Some("7"), 7),
            (Some("0"), 1),
            (Some("86400"), 60),
            (Some("-3"), 1),
            (Some("Fri, 15 Jan 2027 08:00:00 GMT"), 1),
        ] {
            for status in UNABLE {
                assert_eq!(after(status, retry_after), Some(seconds), "{status} {retry_after:?}");
            }
        }
        assert_eq!(pause_of(&OutboundError::TimedOut(SHORTEST)), Some(SHORTEST));
        assert_eq!(pause_of(&OutboundError::TooLarge(1)), None);
    }
}
