//! Owns: counters by a label that is met at run time, out of a small closed set.
//! Refuses: growing with what callers send: its keys are names of the configuration and reasons of the program.
//! Always holds: entries are only ever appended, by the one worker whose shard it is, so readers need no lock.

use std::sync::OnceLock;

use super::shard::Counter;

/// An append-only list of counters. The usual few entries are found faster here than in a hash table; the first one, which is often the
/// only one, without leaving the place of the tally.
#[derive(Debug)]
pub(super) struct Tally<K> {
    first: OnceLock<Entry<K>>,
}

#[derive(Debug)]
struct Entry<K> {
    key: K,
    count: Counter,
    next: OnceLock<Box<Self>>,
}

impl<K> Tally<K> {
    /// Counts one more of the key that `is_it` knows; the first time, `key` makes it.
    pub(super) fn count(&self, is_it: impl Fn(&K) -> bool, key: impl FnOnce() -> K) {
        let new = || Entry { key: key(), count: Counter::starting_at(1), next: OnceLock::new() };
        // What is empty stays so until it is set: its worker is the only one that appends.
        let Some(mut entry) = self.first.get() else { return drop(self.first.set(new())) };
        while !is_it(&entry.key) {
            let Some(next) = entry.next.get() else { return drop(entry.next.set(Box::new(new()))) };
            entry = next;
        }
        entry.count.add(1);
    }

    /// Whether nothing has been counted yet.
    pub(super) fn is_empty(&self) -> bool {
        self.first.get().is_none()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, u64)> {
        std::iter::successors(self.first.get(), |entry| entry.next.get().map(|next| &**next))
            .map(|entry| (&entry.key, entry.count.value()))
    }
}

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self { first: OnceLock::new() }
    }
}
