//! Owns: one attempt of a client to authenticate, and what comes of it for the lock-out.
//! Always holds: its outcome is counted once, by whoever learns it first: a client that hangs up before it is answered has tried
//! all the same.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{Arrival, IssueError, Lockout};

/// An attempt to authenticate. Clones are the same attempt.
#[derive(Clone, Default)]
pub struct Attempt {
    under_watch: Option<Arc<UnderWatch>>,
}

struct UnderWatch {
    lockout: Arc<Lockout>,
    client_id: Box<str>,
    arrival: Arrival,
    is_noted: AtomicBool,
}

impl Attempt {
    /// An attempt in the name of `client_id`.
    ///
    /// # Errors
    /// It is locked out from where the attempt comes.
    pub(super) fn begin(lockout: &Arc<Lockout>, client_id: &str, arrival: Arrival) -> Result<Self, IssueError> {
        lockout
            .judge(client_id, arrival.peer, arrival.at)
            .map_err(|locked| IssueError::LockedOut { retry_after: locked.retry_after })?;
        let lockout = Arc::clone(lockout);
        let watch = UnderWatch { lockout, client_id: client_id.into(), arrival, is_noted: AtomicBool::new(false) };
        Ok(Self { under_watch: Some(Arc::new(watch)) })
    }

    /// Notes whether the client has proven who it is; none if that was not found out.
    pub(super) fn note(&self, proven: Option<bool>) {
        let (Some(watch), Some(proven)) = (&self.under_watch, proven) else { return };
        if watch.is_noted.swap(true, Ordering::AcqRel) {
            return;
        }
        let Arrival { peer, at, .. } = watch.arrival;
        if proven {
            watch.lockout.succeeded(&watch.client_id, peer, at);
        } else {
            watch.lockout.failed(&watch.client_id, peer, at);
        }
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Attempt").field("is_watched", &self.under_watch.is_some()).finish_non_exhaustive()
    }
}
