//! Owns: how an endpoint's answer to the question after its health can be bad, and how many there were of each kind.
//! Always holds: the list is closed; nothing of an answer but its status is repeated.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use thiserror::Error;

use crate::upstream::connect::ConnectError;

/// Why an answer is a bad one, or why there is none.
#[derive(Debug, Error)]
pub(super) enum BadAnswer {
    /// No connection could be made.
    #[error("no connection could be made")]
    Unreachable(#[source] ConnectError),
    /// It answered with another status than expected.
    #[error("it answered with status {0}")]
    Status(u16),
    /// It took longer than `timeout`.
    #[error("it took longer than {0:?}")]
    TimedOut(Duration),
    /// The connection ended before the answer did, or what came back is not HTTP.
    #[error("it broke off")]
    BrokenOff(#[source] hyper::Error),
    /// It cannot be asked in this way.
    #[error("the question cannot be put to it")]
    Unaskable(#[source] crate::upstream::ForwardError),
}

/// The answers of an endpoint so far.
#[derive(Debug, Default)]
pub(in crate::upstream) struct AnswerCounts {
    good: AtomicU64,
    unreachable: AtomicU64,
    tls: AtomicU64,
    status: AtomicU64,
    timed_out: AtomicU64,
    broken_off: AtomicU64,
    not_asked: AtomicU64,
}

impl BadAnswer {
    /// Whether it says something of this process and nothing of the endpoint, which was not asked at all.
    pub(super) fn is_our_own(&self) -> bool {
        match self {
            Self::Unreachable(error) => error.is_ours(),
            Self::Unaskable(_) => true,
            Self::Status(_) | Self::TimedOut(_) | Self::BrokenOff(_) => false,
        }
    }
}

impl AnswerCounts {
    /// Counts one.
    pub(super) fn count(&self, answer: &Result<(), BadAnswer>) {
        let counter = match answer {
            Ok(()) => &self.good,
            Err(bad) if bad.is_our_own() => &self.not_asked,
            Err(BadAnswer::Unreachable(ConnectError::Tls(_) | ConnectError::NoHttp2)) => &self.tls,
            Err(BadAnswer::Unreachable(_)) => &self.unreachable,
            Err(BadAnswer::Status(_)) => &self.status,
            Err(BadAnswer::TimedOut(_)) => &self.timed_out,
            Err(BadAnswer::BrokenOff(_)) => &self.broken_off,
            Err(BadAnswer::Unaskable(_)) => &self.not_asked,
        };
        counter.fetch_add(1, Relaxed);
    }

    /// How many of each kind, by the word that metrics have for it.
    pub(in crate::upstream) fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("good", &self.good),
            ("unreachable", &self.unreachable),
            ("tls", &self.tls),
            ("status", &self.status),
            ("timed_out", &self.timed_out),
            ("broken_off", &self.broken_off),
            ("not_asked", &self.not_asked),
        ]
        .into_iter()
        .map(|(word, counter)| (word, counter.load(Relaxed)))
    }
}
