//! Owns: what a lock-out remembers, and the memories of all endpoints.
//! Refuses: keeping an id as it came: whatever its length, it costs one number, and nobody can tell which ids share one.
//! Always holds: what is forgotten first, when there is too much, is what nobody asked for the longest time.

use std::{
    collections::{HashMap, hash_map::RandomState},
    fmt,
    hash::{BuildHasher as _, Hash},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use moka::{policy::EvictionPolicy, sync::Cache};

use super::{
    Lockout,
    known_peers::KnownPeers,
    streak::{Limit, Streak},
};
use crate::{clock::UnixTime, config::LockoutConfig, http::Peer};

/// How many pairs of id and peer are remembered. To push a lock out of memory takes as many failures, and a single peer is
/// locked out long before.
const MOST_PAIRS: u64 = 65_536;

/// How many ids, and how many peers, are remembered by themselves.
const MOST_ONES: u64 = 16_384;

/// A client id, hashed under a key that only this process knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ClientHash {
    hash: u64,
}

/// What the lock-out of one endpoint remembers.
pub(super) struct Memory {
    hashing: RandomState,
    pub(super) pairs: Cache<(ClientHash, Peer), Streak>,
    pub(super) clients: Cache<ClientHash, Streak>,
    pub(super) peers: Cache<Peer, Streak>,
    known: Cache<ClientHash, KnownPeers>,
}

/// The lock-outs of all token endpoints by the endpoints' names. There is one of these for the life of the process, so that a
/// reload forgives nobody.
#[derive(Clone, Debug, Default)]
pub struct Lockouts {
    by_endpoint: Arc<Mutex<HashMap<Box<str>, Weak<Memory>>>>,
}

impl Lockouts {
    /// The lock-out of the endpoint `name` with `settings`. It shares its memory with every other one of that name that is
    /// still in use; that memory goes with the last of them.
    #[must_use]
    pub fn of(&self, name: &str, settings: &LockoutConfig) -> Lockout {
        let mut by_endpoint = self.by_endpoint.lock().unwrap_or_else(PoisonError::into_inner);
        by_endpoint.retain(|_, memory| memory.strong_count() > 0);
        let memory = by_endpoint.get(name).and_then(Weak::upgrade).unwrap_or_else(|| {
            let memory = Arc::new(Memory::new());
            by_endpoint.insert(name.into(), Arc::downgrade(&memory));
            memory
        });
        Lockout { settings: settings.clone(), memory }
    }
}

impl Memory {
    fn new() -> Self {
        Self {
            hashing: RandomState::new(),
            pairs: bounded(MOST_PAIRS),
            clients: bounded(MOST_ONES),
            peers: bounded(MOST_ONES),
            known: bounded(MOST_ONES),
        }
    }

    pub(super) fn client(&self, client_id: &str) -> ClientHash {
        ClientHash { hash: self.hashing.hash_one(client_id) }
    }

    /// Whether `client` authenticated from `peer` lately.
    pub(super) fn is_known(&self, client: ClientHash, peer: Peer, now: UnixTime) -> bool {
        self.known.get(&client).is_some_and(|known| known.contain(peer, now))
    }

    /// Notes that `client` authenticated from `peer`.
    pub(super) fn remember(&self, client: ClientHash, peer: Peer, now: UnixTime) {
        if self.known.get(&client).is_none_or(|known| known.need(peer, now)) {
            self.known
                .entry(client)
                .and_upsert_with(|entry| entry.map(moka::Entry::into_value).unwrap_or_default().with(peer, now));
        }
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Memory").field("pairs", &self.pairs.entry_count()).finish_non_exhaustive()
    }
}

/// Adds a failure to the streak under `key`; no failure at the same time is lost.
pub(super) fn count<K>(streaks: &Cache<K, Streak>, key: K, limit: Limit, now: UnixTime)
where
    K: Hash + Eq + Send + Sync + 'static,
{
    streaks
        .entry(key)
        .and_upsert_with(|entry| entry.map(moka::Entry::into_value).unwrap_or_default().after_failure(limit, now));
}

/// Least recently used first: the policy that moka has otherwise keeps newcomers out of a full cache, so that whoever fills it
/// would not be counted any more.
fn bounded<K, V>(most: u64) -> Cache<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    Cache::builder().max_capacity(most).eviction_policy(EvictionPolicy::lru()).build()
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, time::Duration};

    use super::*;

    const NOW: UnixTime = UnixTime::from_seconds(1_700_000_000);

    #[test]
    fn a_reload_forgives_nobody_and_another_endpoint_knows_nothing() {
        let lockouts = Lockouts::default();
        let settings = LockoutConfig { failures: 2, ..LockoutConfig::default() };
        let peer = Ipv4Addr::LOCALHOST.into();
        let before = lockouts.of("oauth", &settings);
        (0..2).for_each(|_| before.failed("billing", peer, NOW));
        let after = lockouts.of("oauth", &settings);
        drop(before);
        assert!(after.judge("billing", peer, NOW).is_err());
        assert!(lockouts.of("plgd", &settings).judge("billing", peer, NOW).is_ok());
        // A shorter lock is in force at once, and switching it off lets everybody in.
        let mut changed = LockoutConfig { lock_for: crate::config::HumanDuration(Duration::from_secs(5)), ..settings };
        let later = NOW.plus(Duration::from_secs(5));
        assert!(after.judge("billing", peer, later).is_err());
        assert!(lockouts.of("oauth", &changed).judge("billing", peer, later).is_ok());
        changed.failures = 0;
        assert!(lockouts.of("oauth", &changed).judge("billing", peer, NOW).is_ok());
        drop(after);
        assert!(lockouts.of("oauth", &settings).judge("billing", peer, NOW).is_ok(), "the endpoint had gone");
    }

    #[test]
    fn made_up_ids_and_addresses_take_bounded_memory() {
        let lockout = Lockouts::default().of("oauth", &LockoutConfig::default());
        for number in 0..70_000u32 {
            let peer = Ipv4Addr::from_bits(number).into();
            lockout.failed(&format!("{number}{}", "x".repeat(50)), peer, NOW);
        }
        let memory = &lockout.memory;
        memory.pairs.run_pending_tasks();
        memory.clients.run_pending_tasks();
        memory.peers.run_pending_tasks();
        let counts = [memory.pairs.entry_count(), memory.clients.entry_count(), memory.peers.entry_count()];
        assert_eq!(counts, [MOST_PAIRS, MOST_ONES, MOST_ONES]);
        // What nobody guessed at was not remembered as known, either.
        assert_eq!(memory.known.entry_count(), 0);
    }
}
