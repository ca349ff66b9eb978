//! Owns: why a question to the shared counters had no answer, and how often.
//! Refuses: passing on what the server said: some servers repeat what they were sent, and that may be a password.
//! Always holds: the reasons are a closed list.

use std::sync::atomic::{AtomicU64, Ordering};

use redis::{ErrorKind, RedisError};

/// Why there was no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// No connection could be made.
    Unreachable,
    /// There was none in time.
    TimedOut,
    /// The connection broke, or what came over it makes no sense, so that nobody knows which answer is whose.
    BrokenOff,
    /// The server answered with an error, or with something else than was asked for.
    Refused,
    /// Nobody was asked, since nobody answered shortly before.
    Skipped,
}

/// How often each happened.
#[derive(Debug, Default)]
pub(super) struct Failures([AtomicU64; Failure::ALL.len()]);

impl Failure {
    const ALL: [Self; 5] = [Self::Unreachable, Self::TimedOut, Self::BrokenOff, Self::Refused, Self::Skipped];

    /// Of a question on a connection.
    pub(super) fn of(error: &RedisError) -> Self {
        match error {
            error if error.is_timeout() => Self::TimedOut,
            error if error.is_io_error() || error.kind() == ErrorKind::Parse => Self::BrokenOff,
            _ => Self::Refused,
        }
    }

    /// Of an attempt to connect.
    pub(super) fn of_connecting(error: &RedisError) -> Self {
        match Self::of(error) {
            Self::BrokenOff => Self::Unreachable,
            other => other,
        }
    }

    /// Its stable name, for logs and metrics.
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::BrokenOff => "broken_off",
            Self::Refused => "refused",
            Self::Skipped => "skipped",
        }
    }
}

impl Failures {
    pub(super) fn count(&self, failure: Failure) {
        let place = Failure::ALL.iter().position(|one| *one == failure).and_then(|index| self.0.get(index));
        if let Some(count) = place {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Failure::ALL.iter().zip(&self.0).map(|(failure, count)| (failure.reason(), count.load(Ordering::Relaxed)))
    }
}
