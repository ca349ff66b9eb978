//! Owns: the kept tokens of one endpoint, found by the request that they answer, by their own text, by their client.
//! Refuses: more bytes than it is told. What was not asked for the longest time goes first.
//! Always holds: every index names the kept tokens and no others.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    Asker, ReuseKey,
    fingerprint::{Fingerprint, Fingerprinting},
    kept::Kept,
};
use crate::clock::UnixTime;

/// How many tokens that have ended are cleared away by whoever puts another one in.
const CLEARED_AT_ONCE: usize = 32;

/// The kept tokens of one endpoint.
#[derive(Default)]
pub(super) struct Shelf {
    entries: HashMap<ReuseKey, Entry>,
    by_token: HashMap<Fingerprint, BTreeSet<ReuseKey>>,
    by_client: HashMap<Fingerprint, BTreeSet<ReuseKey>>,
    by_use: BTreeMap<u64, ReuseKey>,
    by_end: BTreeSet<(UnixTime, ReuseKey)>,
    /// Counts uses, so that each has a place among them.
    uses: u64,
    bytes: u64,
    /// Counts the times that an operator cleared something away.
    generation: u64,
}

struct Entry {
    kept: Kept,
    token: Fingerprint,
    bytes: u64,
    used: u64,
}

impl Shelf {
    /// The token under `key`. It counts as used.
    pub(super) fn find(&mut self, key: ReuseKey) -> Option<&mut Kept> {
        let entry = self.entries.get_mut(&key)?;
        self.uses += 1;
        self.by_use.remove(&entry.used);
        entry.used = self.uses;
        self.by_use.insert(entry.used, key);
        Some(&mut entry.kept)
    }

    /// Keeps a token in place of the one under `key`, and gives back how many others had to go. One that alone takes more than
    /// `most_bytes` is not kept.
    pub(super) fn insert(&mut self, key: ReuseKey, kept: Kept, by: &Fingerprinting, most_bytes: u64) -> u64 {
        self.remove(key);
        let bytes = kept.bytes();
        if bytes > most_bytes {
            return 0;
        }
        let mut gone = 0;
        while self.bytes + bytes > most_bytes
            && let Some(oldest) = self.by_use.first_key_value().map(|(_, key)| *key)
        {
            gone += u64::from(self.remove(oldest));
        }
        self.uses += 1;
        let token = token_fingerprint(by, kept.token().access_token.expose());
        self.by_token.entry(token).or_default().insert(key);
        self.by_client.entry(kept.asker().client).or_default().insert(key);
        self.by_use.insert(self.uses, key);
        self.by_end.insert((kept.ends_at(), key));
        self.bytes += bytes;
        self.entries.insert(key, Entry { kept, token, bytes, used: self.uses });
        gone
    }

    /// Whether there was one.
    pub(super) fn remove(&mut self, key: ReuseKey) -> bool {
        let Some(entry) = self.entries.remove(&key) else { return false };
        self.by_use.remove(&entry.used);
        self.by_end.remove(&(entry.kept.ends_at(), key));
        self.bytes = self.bytes.saturating_sub(entry.bytes);
        unlist(&mut self.by_token, entry.token, key);
        unlist(&mut self.by_client, entry.kept.asker().client, key);
        true
    }

    /// Removes a token wherever it is; gives back at how many places it was.
    pub(super) fn remove_token(&mut self, token: Fingerprint) -> u64 {
        let keys = self.by_token.get(&token).cloned().unwrap_or_default();
        self.remove_all_of(keys)
    }

    /// Removes those of a client's tokens that were had with a credential of which `is_meant` says so.
    pub(super) fn remove_client(&mut self, client: Fingerprint, is_meant: impl Fn(Fingerprint) -> bool) -> u64 {
        let entry_is_meant =
            |key: &&ReuseKey| self.entries.get(*key).is_some_and(|it| is_meant(it.kept.asker().credential));
        let keys: Vec<_> = self.by_client.get(&client).into_iter().flatten().filter(entry_is_meant).copied().collect();
        self.remove_all_of(keys)
    }

    /// Removes all of them, or all of a client's, and keeps nothing that is under way.
    pub(super) fn clear(&mut self, client: Option<Fingerprint>) -> u64 {
        self.generation += 1;
        match client {
            Some(client) => self.remove_client(client, |_| true),
            None => {
                let keys: Vec<_> = self.entries.keys().copied().collect();
                self.remove_all_of(keys)
            }
        }
    }

    /// Clears away some of those that have ended.
    pub(super) fn clear_ended(&mut self, now: UnixTime) {
        for _ in 0..CLEARED_AT_ONCE {
            match self.by_end.first() {
                Some((end, key)) if *end <= now => {
                    let key = *key;
                    self.remove(key);
                }
                _ => return,
            }
        }
    }

    /// Whether there is a token that was had with this very credential.
    pub(super) fn holds(&self, asker: Asker) -> bool {
        let keys = self.by_client.get(&asker.client).into_iter().flatten();
        keys.filter_map(|key| self.entries.get(key)).any(|entry| entry.kept.asker() == asker)
    }

    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Another number after each [`Shelf::clear`].
    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    fn remove_all_of(&mut self, keys: impl IntoIterator<Item = ReuseKey>) -> u64 {
        keys.into_iter().map(|key| u64::from(self.remove(key))).sum()
    }
}

/// What a token is recognised by.
pub(super) fn token_fingerprint(by: &Fingerprinting, text: &str) -> Fingerprint {
    by.of("token", text)
}

fn unlist(index: &mut HashMap<Fingerprint, BTreeSet<ReuseKey>>, at: Fingerprint, key: ReuseKey) {
    if let Some(keys) = index.get_mut(&at) {
        keys.remove(&key);
        if keys.is_empty() {
            index.remove(&at);
        }
    }
}
