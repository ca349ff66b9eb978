//! Owns: the series of everything that has a name in the configuration.
//! Always holds: one name has one set of series; they end when no configuration holds their handle any more.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::{MetricsSource, Samples, shard::Sharded};

/// The shards of one named thing.
#[derive(Debug)]
pub(super) struct Named<S> {
    pub(super) name: Arc<str>,
    pub(super) shards: Sharded<S>,
}

/// All named things of one kind. The lock is taken while compiling and while collecting, never for a request.
#[derive(Debug)]
pub(super) struct Directory<S> {
    workers: usize,
    entries: Mutex<BTreeMap<Arc<str>, Arc<Named<S>>>>,
}

impl<S: Default> Named<S> {
    pub(super) fn new(name: Arc<str>, workers: usize) -> Self {
        Self { name, shards: Sharded::new(workers) }
    }
}

impl<S: Default> Directory<S> {
    pub(super) fn new(workers: usize) -> Self {
        Self { workers, entries: Mutex::default() }
    }

    pub(super) fn resolve(&self, name: &str) -> Arc<Named<S>> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.get(name) {
            return Arc::clone(entry);
        }
        let name = Arc::<str>::from(name);
        let entry = Arc::new(Named::new(Arc::clone(&name), self.workers));
        entries.insert(name, Arc::clone(&entry));
        entry
    }

    /// Tells all samples, then forgets the names that nobody holds any more: told once to the end, they are over.
    pub(super) fn collect(&self, samples: &mut Samples)
    where
        Named<S>: MetricsSource,
    {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|_, entry| {
            // Looked at before telling: what a last holder counts while we tell is told the next time.
            let is_held = Arc::strong_count(entry) > 1;
            entry.collect(samples);
            is_held
        });
    }
}
