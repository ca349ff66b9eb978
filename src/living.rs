//! Owns: handing out one thing for each key to whoever asks, for as long as somebody has it.
//! Refuses: keeping a thing alive.
//! Always holds: of each key there is one thing at a time; it goes with the last who has it.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

/// Things that somebody has, by their keys. There are few, and they are seldom asked for: when a configuration is compiled.
pub struct Living<K, V> {
    entries: Mutex<Vec<(K, Weak<V>)>>,
}

impl<K: PartialEq, V> Living<K, V> {
    /// The living thing of this key, or the one that is made now.
    pub fn obtain(&self, key: K, make: impl FnOnce(&K) -> V) -> Arc<V> {
        let mut entries = self.living();
        if let Some(found) = find(&entries, &key) {
            return found;
        }
        let made = Arc::new(make(&key));
        entries.push((key, Arc::downgrade(&made)));
        made
    }

    /// The same, where making one may come to nothing.
    pub fn try_obtain(&self, key: K, make: impl FnOnce(&K) -> Option<V>) -> Option<Arc<V>> {
        let mut entries = self.living();
        if let Some(found) = find(&entries, &key) {
            return Some(found);
        }
        let made = Arc::new(make(&key)?);
        entries.push((key, Arc::downgrade(&made)));
        Some(made)
    }

    fn living(&self) -> MutexGuard<'_, Vec<(K, Weak<V>)>> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|(_, thing)| thing.strong_count() > 0);
        entries
    }
}

fn find<K: PartialEq, V>(entries: &[(K, Weak<V>)], key: &K) -> Option<Arc<V>> {
    entries.iter().find(|(own, _)| own == key).and_then(|(_, thing)| thing.upgrade())
}

impl<K, V> Default for Living<K, V> {
    fn default() -> Self {
        Self { entries: Mutex::default() }
    }
}

impl<K, V> fmt::Debug for Living<K, V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Living").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_for_each_key_for_as_long_as_somebody_has_it() {
        let living = Living::default();
        let one = living.obtain("a", |_| 1);
        assert!(Arc::ptr_eq(&one, &living.obtain("a", |_| 9)));
        assert_eq!(*living.obtain("b", |_| 2), 2, "another key");
        drop(one);
        assert_eq!(*living.obtain("a", |_| 3), 3, "made anew");
        assert_eq!(living.living().len(), 0, "nothing is left of what nobody has");
    }

    #[test]
    fn what_could_not_be_made_is_not_remembered() {
        let living = Living::default();
        assert!(living.try_obtain("a", |_| None).is_none());
        let one = living.try_obtain("a", |_| Some(1)).unwrap();
        assert!(Arc::ptr_eq(&one, &living.try_obtain("a", |_| Some(9)).unwrap()));
    }
}
