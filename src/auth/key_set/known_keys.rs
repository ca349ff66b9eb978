//! Owns: the last good set of an issuer's keys, as one immutable value, and how the next one comes out of it.
//! Refuses: judging whether it is too old; that is asked of it, with the time.
//! Always holds: a key that stays listed stays the same [`TrustedKey`], and one that does not is withdrawn.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{freshness::Validators, removed_keys::RemovedKeys};
use crate::{
    auth::TrustedKey,
    clock::{Moment, UnixTime},
    jose::{KeyDocument, SkippedKey, VerificationKey},
    outbound::RemoteUrl,
};

/// A set of keys, with everything known about where it comes from.
#[derive(Clone, Debug)]
pub(super) struct KnownKeys {
    /// The keys.
    pub(super) keys: Arc<[Arc<TrustedKey>]>,
    /// What else the document lists.
    pub(super) skipped: Arc<[SkippedKey]>,
    /// Keys that it once listed.
    pub(super) removed: RemovedKeys,
    /// The document, to be kept on disk.
    pub(super) document: Bytes,
    /// Where it was fetched.
    pub(super) url: RemoteUrl,
    /// What it can be recognised by.
    pub(super) validators: Validators,
    /// How long it is fresh.
    pub(super) lifetime: Duration,
    /// When the issuer last said that these are its keys.
    pub(super) confirmed: Moment,
}

/// A document as it came in.
#[derive(Debug)]
pub(super) struct FetchedKeys {
    pub(super) parsed: KeyDocument,
    pub(super) document: Bytes,
    pub(super) url: RemoteUrl,
    pub(super) validators: Validators,
    pub(super) lifetime: Duration,
    /// The moment at which it was asked for: what it says may be as old as that.
    pub(super) asked: Moment,
}

impl KnownKeys {
    /// The set that follows `previous` now that `fetched` came in. Keys that are no longer listed are withdrawn here, so
    /// they end no later than the new ones begin.
    pub(super) fn succeeding(previous: Option<&Self>, fetched: FetchedKeys) -> Self {
        let now = fetched.asked.wall();
        let before: &[Arc<TrustedKey>] = previous.map_or(&[], |known| &known.keys);
        let keys: Vec<Arc<TrustedKey>> =
            fetched.parsed.keys.into_iter().map(|key| kept_or_new(before, key, now)).collect();
        let is_listed = |old: &Arc<TrustedKey>| keys.iter().any(|key| Arc::ptr_eq(old, key));
        let gone: Vec<&Arc<TrustedKey>> = before.iter().filter(|old| !is_listed(old)).collect();
        gone.iter().for_each(|key| key.withdraw());
        let removed = previous.map(|known| known.removed.clone()).unwrap_or_default().succeeding(&gone, &keys, now);
        let unchanged = gone.is_empty() && before.len() == keys.len();
        let keys = match previous {
            Some(known) if unchanged => Arc::clone(&known.keys),
            _ => keys.into(),
        };
        Self {
            keys,
            skipped: fetched.parsed.skipped.into(),
            removed,
            document: fetched.document,
            url: fetched.url,
            validators: fetched.validators,
            lifetime: fetched.lifetime,
            confirmed: fetched.asked,
        }
    }

    /// The same set, said by its issuer at `asked` to be what it was.
    pub(super) fn renewed(&self, validators: Validators, lifetime: Option<Duration>, asked: Moment) -> Self {
        Self {
            validators: self.validators.renewed(validators),
            lifetime: lifetime.unwrap_or(self.lifetime),
            confirmed: asked,
            ..self.clone()
        }
    }

    /// Whether it has keys that `earlier` has not.
    pub(super) fn has_keys_beyond(&self, earlier: &Self) -> bool {
        self.keys.iter().any(|key| !earlier.keys.iter().any(|old| Arc::ptr_eq(old, key)))
    }

    /// How long ago the issuer last said that these are its keys.
    pub(super) fn age(&self, now: UnixTime) -> Duration {
        self.confirmed.age(now)
    }
}

fn kept_or_new(before: &[Arc<TrustedKey>], key: VerificationKey, now: UnixTime) -> Arc<TrustedKey> {
    match before.iter().find(|old| *old.key() == key && !old.is_withdrawn()) {
        Some(old) => Arc::clone(old),
        None => Arc::new(TrustedKey::new(key, now)),
    }
}
