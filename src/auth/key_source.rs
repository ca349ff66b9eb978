//! Owns: what verification needs of whoever keeps an issuer's keys: the trait, and the keys that it hands out.
//! Refuses: knowing where keys come from. Remote issuers are in [`super::key_set`]; the embedded one is wired by the
//! composition root.
//! Always holds: reading the current keys takes no lock and never waits; a key that its issuer withdrew says so to
//! everyone who still holds it.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use crate::{clock::UnixTime, jose};

/// Whoever keeps the keys of one issuer.
pub trait KeySource: Send + Sync + fmt::Debug {
    /// The keys as they are known at `now`.
    fn current(&self, now: UnixTime) -> TrustedKeySet;

    /// How matters stand at `now`, for a token whose key is known already. The same answer as [`KeySource::current`]
    /// gives; a source overrides it where it can answer without handing out its keys.
    fn standing(&self, now: UnixTime) -> KeyStanding {
        match self.current(now) {
            TrustedKeySet::Usable(_) => KeyStanding::Usable,
            TrustedKeySet::Unavailable => KeyStanding::Unavailable,
        }
    }

    /// One fetch on behalf of a request whose key id is unknown. Requests share one fetch, and fetches keep to a
    /// cooldown; a source whose keys are never fetched answers [`UnknownKeyFetch::Current`] at once.
    ///
    /// Whatever it answers, look at [`KeySource::current`] once more before refusing: the keys may have come in between
    /// the first look and this call.
    fn fetch_for_unknown_key(&self) -> Pin<Box<dyn Future<Output = UnknownKeyFetch> + Send + '_>>;

    /// Notes that a token names a key id that is not among the current keys, so that the source can tell its operator when
    /// that is a key it once listed. `key_id` comes from outside and is kept nowhere.
    fn note_unknown_key_id(&self, _key_id: &str) {}
}

/// The keys of an issuer at one moment.
#[derive(Clone, Debug)]
pub enum TrustedKeySet {
    /// Usable keys.
    Usable(Arc<[Arc<TrustedKey>]>),
    /// None have been fetched yet, or the last good ones are older than `max_stale`: nothing can be decided.
    Unavailable,
}

/// How an issuer's keys stand at one moment; see [`TrustedKeySet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStanding {
    /// There are usable keys.
    Usable,
    /// Nothing can be decided.
    Unavailable,
}

/// How a fetch on account of an unknown key id ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownKeyFetch {
    /// What [`KeySource::current`] says now is what the issuer says now: a key absent from it does not exist.
    Current,
    /// No fetch was made, because the last one was less than the cooldown ago.
    CoolingDown,
    /// The fetch failed or took too long, or too many requests wait for it already: nothing can be decided.
    Failed,
}

/// A public key that an issuer lists, or listed.
pub struct TrustedKey {
    key: jose::VerificationKey,
    first_seen: UnixTime,
    last_used_seconds: AtomicU64,
    withdrawn: AtomicBool,
}

impl TrustedKey {
    /// Takes in a key first seen at `first_seen`.
    #[must_use]
    pub const fn new(key: jose::VerificationKey, first_seen: UnixTime) -> Self {
        Self { key, first_seen, last_used_seconds: AtomicU64::new(0), withdrawn: AtomicBool::new(false) }
    }

    /// The key itself.
    #[must_use]
    pub const fn key(&self) -> &jose::VerificationKey {
        &self.key
    }

    /// When its issuer first listed it.
    #[must_use]
    pub const fn first_seen(&self) -> UnixTime {
        self.first_seen
    }

    /// When it last verified a token, with a resolution of one second.
    #[must_use]
    pub fn last_used(&self) -> Option<UnixTime> {
        match self.last_used_seconds.load(Ordering::Relaxed) {
            0 => None,
            seconds => Some(UnixTime::from_seconds(seconds)),
        }
    }

    /// Notes that it verified a token at `now`.
    pub fn note_use(&self, now: UnixTime) {
        // Written at most once a second, so that workers do not fight over the cache line.
        let seconds = now.as_seconds();
        if self.last_used_seconds.load(Ordering::Relaxed) != seconds {
            self.last_used_seconds.store(seconds, Ordering::Relaxed);
        }
    }

    /// Whether its issuer no longer lists it. Tokens that it signed are then no longer good.
    #[must_use]
    pub fn is_withdrawn(&self) -> bool {
        self.withdrawn.load(Ordering::Acquire)
    }

    /// Marks it as no longer listed.
    pub fn withdraw(&self) {
        self.withdrawn.store(true, Ordering::Release);
    }
}

impl fmt::Debug for TrustedKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TrustedKey")
            .field("key_id", &self.key.key_id())
            .field("withdrawn", &self.is_withdrawn())
            .finish_non_exhaustive()
    }
}
