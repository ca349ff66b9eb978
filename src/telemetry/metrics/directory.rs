//! Owns: the series of everything that has a name in the configuration.
//! Always holds: one name has one set of series; they end when no configuration holds their handle any more.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use super::{Samples, shard::Sharded};

/// What is counted of one named thing, of whatever kind.
pub(super) trait Shard: Default {
    /// Tells what all workers have counted of the thing of this name.
    fn collect(name: &str, shards: &Sharded<Self>, samples: &mut Samples);
}

/// All named things of one kind. The lock is taken while compiling and while collecting, never for a request.
#[derive(Debug)]
pub(super) struct Directory<S> {
    workers: usize,
    entries: Mutex<BTreeMap<Box<str>, Sharded<S>>>,
}

impl<S: Shard> Directory<S> {
    pub(super) fn new(workers: usize) -> Self {
        Self { workers, entries: Mutex::default() }
    }

    pub(super) fn resolve(&self, name: &str) -> Sharded<S> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.get(name) {
            return entry.clone();
        }
        let entry = Sharded::new(self.workers);
        entries.insert(name.into(), entry.clone());
        entry
    }

    /// Tells all samples, then forgets the names that nobody holds any more: told once to the end, they are over.
    pub(super) fn collect(&self, samples: &mut Samples) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|name, entry| {
            // Looked at before telling: what a last holder counts while we tell is told the next time.
            let is_held = entry.is_shared();
            S::collect(name, entry, samples);
            is_held
        });
    }
}
