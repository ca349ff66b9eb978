//! Owns: counters by a label that is met at run time, out of a small closed set.
//! Refuses: growing with what callers send: its keys are names of the configuration and reasons of the program.
//! Always holds: entries are only ever appended, by the one worker whose shard it is, so readers need no lock.

use std::sync::OnceLock;

use super::shard::Counter;

/// An append-only list of counters. The usual few entries are found faster here than in a hash table.
#[derive(Debug)]
pub(super) struct Tally<K> {
    first: Link<K>,
}

type Link<K> = OnceLock<Box<Entry<K>>>;

#[derive(Debug)]
struct Entry<K> {
    key: K,
    count: Counter,
    next: Link<K>,
}

impl<K> Tally<K> {
    /// Counts one more of the key that `is_it` knows; the first time, `key` makes it.
    pub(super) fn count(&self, is_it: impl Fn(&K) -> bool, key: impl FnOnce() -> K) {
        let mut link = &self.first;
        while let Some(entry) = link.get() {
            if is_it(&entry.key) {
                return entry.count.add(1);
            }
            link = &entry.next;
        }
        let entry = Box::new(Entry { key: key(), count: Counter::starting_at(1), next: OnceLock::new() });
        // It cannot be occupied: its worker is the only one that appends.
        drop(link.set(entry));
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, u64)> {
        std::iter::successors(self.first.get(), |entry| entry.next.get()).map(|entry| (&entry.key, entry.count.value()))
    }
}

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self { first: OnceLock::new() }
    }
}
