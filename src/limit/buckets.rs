//! Owns: what is remembered of everybody whose requests are counted by themselves.
//! Refuses: more than some 65 000 of them: newcomers beyond share 4096 buckets until others have been let go of.
//! Always holds: who is let go of would be let through as often as a newcomer; a request looks through a small part at most.

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher as _,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use governor::{
    clock::Clock as _,
    nanos::Nanos,
    state::{InMemoryState, NotKeyed, StateStore},
};

use super::{key::Key, steady::Steady};

/// In how many parts they are kept, so that workers seldom meet.
const SHARDS: usize = 64;
/// How many are remembered in a part.
const MOST_IN_SHARD: usize = 1024;
/// How many are remembered at most; parts fill unevenly.
#[cfg(test)]
pub(super) const MOST_KEYS: usize = SHARDS * MOST_IN_SHARD;

/// How many buckets those share for whom there is no room. Nobody can tell beforehand with whom.
pub(super) const OVERFLOW: usize = 4096;
/// How often a part is looked through at least, if newcomers come.
const SWEPT_EVERY: Duration = Duration::from_secs(60);
/// How often it is looked through at most, when it is full.
const SWEPT_AT_MOST_EVERY: Duration = Duration::from_secs(1);
/// Buckets reckon from a moment that is later by a little than the one that sweeping reckons from.
const MARGIN: Duration = Duration::from_millis(10);

/// The buckets of one limit, by whose they are. A clone is the same buckets.
#[derive(Clone)]
pub(super) struct Buckets {
    all: Arc<All>,
}

struct All {
    hashing: RandomState,
    shards: Box<[RwLock<Shard>]>,
    /// The bucket of a limit on everybody together, which every request of it uses; and of whoever has no place, who is nobody.
    everybody: InMemoryState,
    /// The buckets of all for whom there is no room.
    overflow: Box<[InMemoryState]>,
    clock: Steady,
}

#[derive(Default)]
struct Shard {
    kept: HashMap<Key, InMemoryState>,
    swept_at: Duration,
}

impl Buckets {
    pub(super) fn new(clock: Steady) -> Self {
        let shards = (0..SHARDS).map(|_| RwLock::default()).collect();
        let overflow = (0..OVERFLOW).map(|_| InMemoryState::default()).collect();
        let everybody = InMemoryState::default();
        Self { all: Arc::new(All { hashing: RandomState::new(), shards, everybody, overflow, clock }) }
    }

    /// Puts back what was taken out of the bucket of `key`, which takes `each` to come back by itself. Nothing is entered for it.
    pub(super) fn give_back(&self, key: &Key, each: Duration) {
        let each = Nanos::from(each);
        // A bucket is kept as the time when it is full; a closure that gives an error changes nothing.
        let earlier = |full: Option<Nanos>| full.map(|at| ((), at.saturating_sub(each))).ok_or(());
        let _ = match self.all.places(key) {
            (Some(shard), overflow) => {
                let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
                shard.kept.get(key).unwrap_or(overflow).measure_and_replace(&NotKeyed::NonKey, earlier)
            }
            (None, _) => self.all.everybody.measure_and_replace(&NotKeyed::NonKey, earlier),
        };
    }
}

impl All {
    /// Where the bucket of `key` is, or is to be, and the one that it shares if there is no room. Everybody's is in neither.
    fn places(&self, key: &Key) -> (Option<&RwLock<Shard>>, &InMemoryState) {
        let hash = usize::try_from(self.hashing.hash_one(key) >> 32).unwrap_or_default();
        let shard = self.shards.get(hash % SHARDS).filter(|_| *key != Key::Everybody);
        (shard, self.overflow.get(hash / SHARDS % OVERFLOW).unwrap_or(&self.everybody))
    }
}

impl Shard {
    fn is_crowded(&self) -> bool {
        self.kept.len() >= MOST_IN_SHARD
    }

    fn is_due(&self, now: Duration) -> bool {
        let every = if self.is_crowded() { SWEPT_AT_MOST_EVERY } else { SWEPT_EVERY };
        now.saturating_sub(self.swept_at) >= every
    }

    /// Lets go of full buckets, from time to time.
    fn sweep(&mut self, now: Duration) {
        if !self.is_due(now) {
            return;
        }
        self.swept_at = now;
        let full_by = Nanos::from(now.saturating_sub(MARGIN));
        // A closure that gives an error changes nothing.
        let is_full = |bucket: &InMemoryState| {
            let looked = bucket.measure_and_replace(&NotKeyed::NonKey, Err::<((), Nanos), _>);
            looked.err().flatten().is_none_or(|at| at <= full_by)
        };
        self.kept.retain(|_, bucket| !is_full(bucket));
    }
}

impl StateStore for Buckets {
    type Key = Key;

    fn measure_and_replace<T, F, E>(&self, key: &Key, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let (Some(shard), overflow) = self.all.places(key) else {
            return self.all.everybody.measure_and_replace(&NotKeyed::NonKey, measure);
        };
        let now = Duration::from(self.all.clock.now());
        {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            match shard.kept.get(key) {
                Some(bucket) => return bucket.measure_and_replace(&NotKeyed::NonKey, measure),
                None if shard.is_crowded() && !shard.is_due(now) => {
                    return overflow.measure_and_replace(&NotKeyed::NonKey, measure);
                }
                None => {}
            }
        }
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        shard.sweep(now);
        if shard.is_crowded() && !shard.kept.contains_key(key) {
            drop(shard);
            return overflow.measure_and_replace(&NotKeyed::NonKey, measure);
        }
        shard.kept.entry(*key).or_default().measure_and_replace(&NotKeyed::NonKey, measure)
    }
}
