//! Owns: what a body may cost, and the error when it costs more.

use std::{error::Error, time::Duration};

use http_body::SizeHint;
use thiserror::Error;
use tokio::time::Instant;

use super::BodyOutcome;

/// What a body may cost.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    /// The most bytes of data; absent: no bound.
    pub bytes: Option<u64>,
    /// The longest pause of the sender; absent: no bound.
    pub idle: Option<Duration>,
    /// When the whole exchange must be over; absent: never.
    pub deadline: Option<Instant>,
}

impl BodyLimits {
    /// No bounds.
    pub const NONE: Self = Self { bytes: None, idle: None, deadline: None };

    /// Whether a body that announces this length may be begun with. A longer one can be refused before anything is sent on.
    #[must_use]
    pub fn allow(&self, announced: &SizeHint) -> bool {
        self.bytes.is_none_or(|limit| announced.lower() <= limit)
    }

    /// Until when a sender that has nothing at `now` is waited for.
    pub(super) fn patience(&self, now: Instant) -> Option<Instant> {
        let idle = self.idle.and_then(|idle| now.checked_add(idle));
        match (idle, self.deadline) {
            (Some(idle), Some(deadline)) => Some(idle.min(deadline)),
            (idle, deadline) => idle.or(deadline),
        }
    }

    /// Why the wait is over.
    pub(super) fn lost_patience(&self, now: Instant) -> BodyError {
        if self.deadline.is_some_and(|deadline| now >= deadline) { BodyError::DeadlinePassed } else { BodyError::Idle }
    }

    pub(super) fn refuse_late(&self, now: impl FnOnce() -> Instant) -> Result<(), BodyError> {
        match self.deadline {
            Some(deadline) if now() >= deadline => Err(BodyError::DeadlinePassed),
            _ => Ok(()),
        }
    }

    pub(super) fn refuse_more_than(&self, bytes: u64) -> Result<(), BodyError> {
        match self.bytes {
            Some(limit_bytes) if bytes > limit_bytes => Err(BodyError::TooLarge { limit_bytes }),
            _ => Ok(()),
        }
    }
}

/// Why a body was cut off.
#[derive(Debug, Error)]
pub enum BodyError {
    /// It is longer than allowed.
    #[error("the body has more than {limit_bytes} bytes")]
    TooLarge {
        /// How much is allowed.
        limit_bytes: u64,
    },
    /// Its sender paused for too long.
    #[error("the body's sender paused for too long")]
    Idle,
    /// The whole exchange took too long.
    #[error("the exchange took too long")]
    DeadlinePassed,
    /// Its sender failed.
    #[error("the body broke off")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}

impl BodyError {
    /// Finds the error of a metered body in a chain of causes, in which HTTP libraries wrap it.
    #[must_use]
    pub fn find<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e Self> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(found) = error.downcast_ref() {
                return Some(found);
            }
            cause = error.source();
        }
        None
    }

    /// How a body that is cut off for this reason has ended.
    #[must_use]
    pub const fn outcome(&self) -> BodyOutcome {
        match self {
            Self::TooLarge { .. } => BodyOutcome::TooLarge,
            Self::Idle | Self::DeadlinePassed => BodyOutcome::TimedOut,
            Self::Failed(_) => BodyOutcome::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announced_length_is_judged_beforehand() {
        let limits = BodyLimits { bytes: Some(5), ..BodyLimits::NONE };
        assert!(limits.allow(&SizeHint::with_exact(5)) && limits.allow(&SizeHint::default()));
        assert!(!limits.allow(&SizeHint::with_exact(6)));
        assert!(BodyLimits::NONE.allow(&SizeHint::with_exact(u64::MAX)));
    }

    #[test]
    fn the_error_is_found_under_others() {
        #[derive(Debug, Error)]
        #[error("outer")]
        struct Outer(#[source] BodyError);
        assert!(matches!(BodyError::find(&Outer(BodyError::Idle)), Some(BodyError::Idle)));
        assert!(matches!(BodyError::find(&BodyError::Failed(Box::new(BodyError::Idle))), Some(BodyError::Failed(_))));
        assert!(BodyError::find(&std::io::Error::other("x")).is_none());
    }
}
