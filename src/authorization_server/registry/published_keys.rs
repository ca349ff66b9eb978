//! Owns: the public keys of the embedded issuer as verification sees them.
//! Refuses: keys that were revoked, from the moment on that this replica knows.
//! Always holds: a key is published before the first token that this replica signs with it, and one that goes is withdrawn from
//! everyone who still holds it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};

use crate::{
    auth::{TrustedKey, TrustedKeySet},
    clock::UnixTime,
    jose::VerificationKey,
};

/// How long a request waits for the store to be looked at.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long after a look at the store an unknown key id causes no other: anybody can send unknown key ids.
const COOLDOWN: Duration = Duration::from_secs(1);

/// The keys that are published.
#[derive(Debug)]
pub(super) struct PublishedKeys {
    keys: ArcSwap<Box<[Arc<TrustedKey>]>>,
    /// How often the store has been looked at.
    looks: watch::Sender<u64>,
    wanted: Notify,
    /// When it was last asked for. Only requests with unknown keys come here.
    asked: Mutex<Option<Instant>>,
}

impl Default for PublishedKeys {
    fn default() -> Self {
        let keys = ArcSwap::from_pointee(Box::default());
        Self { keys, looks: watch::Sender::new(0), wanted: Notify::new(), asked: Mutex::new(None) }
    }
}

impl PublishedKeys {
    /// Publishes `keys` and nothing else. Keys that stay keep what is known about their use.
    pub(super) fn replace(&self, keys: Vec<(VerificationKey, UnixTime)>) {
        let before = self.keys.load_full();
        let same = |known: &&Arc<TrustedKey>, key: &VerificationKey| known.key().thumbprint() == key.thumbprint();
        let kept: Vec<Arc<TrustedKey>> = keys
            .into_iter()
            .map(|(key, made_at)| match before.iter().find(|known| same(known, &key)) {
                Some(known) => Arc::clone(known),
                None => Arc::new(TrustedKey::new(key, made_at)),
            })
            .collect();
        let gone: Vec<_> = before.iter().filter(|known| !kept.iter().any(|kept| Arc::ptr_eq(kept, known))).collect();
        self.keys.store(Arc::new(kept.into()));
        for key in gone {
            key.withdraw();
        }
    }

    /// Withdraws the keys whose ids are not `listed` any more.
    pub(super) fn retain(&self, listed: impl Fn(&str) -> bool) {
        let (kept, gone): (Vec<_>, Vec<_>) =
            self.all().into_iter().partition(|key| key.key().key_id().is_some_and(&listed));
        self.keys.store(Arc::new(kept.into()));
        for key in gone {
            key.withdraw();
        }
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<Arc<TrustedKey>> {
        self.keys.load().to_vec()
    }

    pub(super) fn find(&self, key_id: &str) -> Option<Arc<TrustedKey>> {
        self.keys.load().iter().find(|key| key.key().key_id() == Some(key_id)).map(Arc::clone)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.load().is_empty()
    }

    pub(super) fn trusted(&self) -> TrustedKeySet {
        let keys = self.all();
        if keys.is_empty() { TrustedKeySet::Unavailable } else { TrustedKeySet::Usable(keys.into()) }
    }

    /// Notes that the store has been looked at.
    pub(super) fn note_look(&self) {
        self.looks.send_modify(|looks| *looks += 1);
    }

    /// Waits until somebody wants the store to be looked at.
    pub(super) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// Has the store looked at on account of a key that is not known, and waits for that.
    pub(super) async fn look(&self) -> Look {
        let mut looks = self.looks.subscribe();
        let count = *looks.borrow_and_update();
        // Nobody follows a store: what is published is all there is.
        if count == 0 {
            return Look::Done;
        }
        {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            if asked.is_some_and(|asked| now.duration_since(asked) < COOLDOWN) {
                return Look::CoolingDown;
            }
            *asked = Some(now);
        }
        self.wanted.notify_one();
        match timeout(PATIENCE, looks.wait_for(|looks| *looks > count)).await {
            Ok(Ok(_)) => Look::Done,
            // The store is away: a key that is not known here may exist all the same.
            Ok(Err(_)) | Err(_) => Look::Failed,
        }
    }
}

/// What came of looking for an unknown key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Done,
    CoolingDown,
    Failed,
}
