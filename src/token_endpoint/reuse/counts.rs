//! Owns: how often a token was handed out again, and how many are not any more, by why.
//! Always holds: a token is counted as dropped once.

use std::sync::atomic::{AtomicU64, Ordering};

/// Why a token is not handed out any more though it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// Postern refused it at a route.
    Refused,
    /// An upstream answered 401 to it.
    UpstreamRefused,
    /// It was revoked through Postern.
    Revoked,
    /// The provider does not know the client, or not by the credential that it was had with.
    InvalidClient,
    /// Its client has another credential.
    CredentialChanged,
    /// An operator said so.
    Operator,
    /// Others needed its room.
    NoRoom,
}

/// What one endpoint counts, since the start.
#[derive(Debug, Default)]
pub(super) struct Counts {
    reused: AtomicU64,
    dropped: [AtomicU64; DropReason::ALL.len()],
}

impl DropReason {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Refused,
        Self::UpstreamRefused,
        Self::Revoked,
        Self::InvalidClient,
        Self::CredentialChanged,
        Self::Operator,
        Self::NoRoom,
    ];

    /// Its name in the metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::UpstreamRefused => "upstream_401",
            Self::Revoked => "revoked",
            Self::InvalidClient => "invalid_client",
            Self::CredentialChanged => "credential_changed",
            Self::Operator => "operator",
            Self::NoRoom => "no_room",
        }
    }
}

impl Counts {
    pub(super) fn reuse(&self) {
        self.reused.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn drop(&self, reason: DropReason, tokens: u64) {
        if let Some(count) = DropReason::ALL.iter().position(|it| *it == reason).and_then(|at| self.dropped.get(at)) {
            count.fetch_add(tokens, Ordering::Relaxed);
        }
    }

    pub(super) fn reused(&self) -> u64 {
        self.reused.load(Ordering::Relaxed)
    }

    pub(super) fn dropped(&self) -> impl Iterator<Item = (DropReason, u64)> {
        DropReason::ALL.into_iter().zip(self.dropped.iter().map(|count| count.load(Ordering::Relaxed)))
    }
}
