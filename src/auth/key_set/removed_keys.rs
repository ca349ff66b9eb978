//! Owns: the keys that an issuer listed once, to tell an operator that somebody still signs with them.
//! Refuses: growing: the last 32 are remembered, and only those with an id.
//! Always holds: looking a key id up takes no lock and no allocation.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::{auth::TrustedKey, clock::UnixTime};

/// How many are remembered.
const REMEMBERED: usize = 32;

/// The keys that are no longer listed, the last removed first.
#[derive(Clone, Debug, Default)]
pub(super) struct RemovedKeys {
    keys: Vec<Arc<RemovedKey>>,
}

/// A key that is no longer listed.
#[derive(Debug)]
pub(super) struct RemovedKey {
    pub(super) key_id: String,
    pub(super) removed_at: UnixTime,
    pub(super) last_used: Option<UnixTime>,
    presented: AtomicU64,
    last_presented_seconds: AtomicU64,
}

impl RemovedKeys {
    /// These and those in `gone`, without the ids that are `listed` again.
    pub(super) fn succeeding(self, gone: &[&Arc<TrustedKey>], listed: &[Arc<TrustedKey>], now: UnixTime) -> Self {
        let newly = gone.iter().filter_map(|key| {
            Some(Arc::new(RemovedKey {
                key_id: key.key().key_id()?.to_owned(),
                removed_at: now,
                last_used: key.last_used(),
                presented: AtomicU64::new(0),
                last_presented_seconds: AtomicU64::new(0),
            }))
        });
        let is_listed = |id: &str| listed.iter().any(|key| key.key().key_id() == Some(id));
        let is_newly_gone = |id: &str| gone.iter().any(|key| key.key().key_id() == Some(id));
        let earlier = self.keys.iter().filter(|key| !is_newly_gone(&key.key_id)).cloned();
        Self { keys: newly.chain(earlier).filter(|key| !is_listed(&key.key_id)).take(REMEMBERED).collect() }
    }

    /// Notes that a token names the key `key_id`, if that is one of these.
    pub(super) fn note_presented(&self, key_id: &str, now: UnixTime) {
        if let Some(key) = self.keys.iter().find(|key| key.key_id == key_id) {
            key.presented.fetch_add(1, Ordering::Relaxed);
            key.last_presented_seconds.store(now.as_seconds(), Ordering::Relaxed);
        }
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &RemovedKey> {
        self.keys.iter().map(AsRef::as_ref)
    }
}

impl RemovedKey {
    /// How many tokens named it after it was removed.
    pub(super) fn presented(&self) -> u64 {
        self.presented.load(Ordering::Relaxed)
    }

    /// When the last of them came.
    pub(super) fn last_presented(&self) -> Option<UnixTime> {
        (self.presented() > 0).then(|| UnixTime::from_seconds(self.last_presented_seconds.load(Ordering::Relaxed)))
    }
}
