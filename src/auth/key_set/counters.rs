//! Owns: what is counted about a key set, for the metrics and the admin API.
//! Refuses: labels that come from a token or from an issuer: the results are a closed list.
//! Always holds: counting takes no lock.

use std::sync::atomic::{AtomicU64, Ordering};

/// How a fetch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchResult {
    /// A key set came.
    Fetched,
    /// The issuer says that it is what it was.
    NotModified,
    /// No connection, no TLS, or it broke off.
    Unreachable,
    /// It took too long.
    TimedOut,
    /// A redirect, which is not followed.
    Redirected,
    /// Another status than 200 and 304.
    RefusedByIssuer,
    /// Longer than 512 KiB.
    TooLarge,
    /// Not JSON, no list of keys, or too many.
    NotAKeySet,
    /// A key set without one key that can be used.
    NoUsableKey,
    /// The issuer does not say where its keys are.
    DiscoveryFailed,
}

impl FetchResult {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 10] = [
        Self::Fetched,
        Self::NotModified,
        Self::Unreachable,
        Self::TimedOut,
        Self::Redirected,
        Self::RefusedByIssuer,
        Self::TooLarge,
        Self::NotAKeySet,
        Self::NoUsableKey,
        Self::DiscoveryFailed,
    ];

    /// Its name as a metric's label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Fetched => "fetched",
            Self::NotModified => "not_modified",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::Redirected => "redirected",
            Self::RefusedByIssuer => "refused_by_issuer",
            Self::TooLarge => "too_large",
            Self::NotAKeySet => "not_a_key_set",
            Self::NoUsableKey => "no_usable_key",
            Self::DiscoveryFailed => "discovery_failed",
        }
    }
}

/// What was counted since the set was made.
#[derive(Debug, Default)]
pub(super) struct Counters {
    fetches: [AtomicU64; FetchResult::ALL.len()],
    unknown_keys: AtomicU64,
}

impl Counters {
    /// Counts a fetch.
    pub(super) fn count_fetch(&self, result: FetchResult) {
        if let Some((_, count)) = self.paired().find(|(each, _)| *each == result) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a token of an unknown key.
    pub(super) fn count_unknown_key(&self) {
        self.unknown_keys.fetch_add(1, Ordering::Relaxed);
    }

    /// How many fetches ended how.
    pub(super) fn fetches(&self) -> Vec<(FetchResult, u64)> {
        self.paired().map(|(result, count)| (result, count.load(Ordering::Relaxed))).collect()
    }

    /// How many tokens named an unknown key.
    pub(super) fn unknown_keys(&self) -> u64 {
        self.unknown_keys.load(Ordering::Relaxed)
    }

    fn paired(&self) -> impl Iterator<Item = (FetchResult, &AtomicU64)> {
        FetchResult::ALL.into_iter().zip(&self.fetches)
    }
}
