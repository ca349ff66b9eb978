//! Owns: what a lock-out remembers.
//! Refuses: growing with what callers make up.
//! Always holds: what is forgotten first, when there is too much, is what nobody asked for the longest time.

use std::{fmt, hash::Hash};

use moka::{ops::compute::Op, policy::EvictionPolicy, sync::Cache};

use super::{
    known_peers::KnownPeers,
    streak::{Limit, Streak},
};
use crate::{clock::UnixTime, http::Peer, token_endpoint::name_hash::NameHash};

/// How many pairs of id and peer are remembered. To push a lock out of memory takes as many failures, and a single peer is
/// locked out long before.
const MOST_PAIRS: u64 = 65_536;

/// How many ids, and how many peers, are remembered by themselves.
const MOST_ONES: u64 = 16_384;

/// What the lock-out of one endpoint remembers.
pub(super) struct Memory {
    pub(super) pairs: Cache<(NameHash, Peer), Streak>,
    pub(super) clients: Cache<NameHash, Streak>,
    pub(super) peers: Cache<Peer, Streak>,
    known: Cache<NameHash, KnownPeers>,
}

impl Memory {
    pub(super) fn new() -> Self {
        Self {
            pairs: bounded(MOST_PAIRS),
            clients: bounded(MOST_ONES),
            peers: bounded(MOST_ONES),
            known: bounded(MOST_ONES),
        }
    }

    /// Whether `client` authenticated from `peer` lately.
    pub(super) fn is_known(&self, client: NameHash, peer: Peer, now: UnixTime) -> bool {
        self.known.get(&client).is_some_and(|known| known.contain(peer, now))
    }

    /// Adds a failure of `client` from `peer` to all three streaks.
    pub(super) fn failed(&self, (client, peer): (NameHash, Peer), narrow: Limit, now: UnixTime) {
        let wide = narrow.wide();
        count(&self.pairs, (client, peer), narrow, now);
        count(&self.clients, client, wide, now);
        count(&self.peers, peer, wide, now);
    }

    /// Ends the streak of `client` from `peer`, and notes that it authenticated from there. Whether that said anything new.
    pub(super) fn succeeded(&self, pair: (NameHash, Peer), now: UnixTime) -> bool {
        // Nearly always there is nothing to end, and looking is cheaper than removing.
        let ends = self.pairs.contains_key(&pair);
        if ends {
            self.pairs.invalidate(&pair);
        }
        self.note_known(pair, now) || ends
    }

    /// The same of a success elsewhere, at `at`, of which is heard only now: what began after it goes on.
    pub(super) fn succeeded_elsewhere(&self, pair: (NameHash, Peer), at: UnixTime) {
        if self.pairs.contains_key(&pair) {
            self.pairs.entry(pair).and_compute_with(|entry| match entry {
                Some(entry) if !entry.value().began_after(at) => Op::Remove,
                _ => Op::Nop,
            });
        }
        self.note_known(pair, at);
    }

    /// Notes that `client` authenticated from `peer`. Whether that said anything new.
    fn note_known(&self, (client, peer): (NameHash, Peer), now: UnixTime) -> bool {
        let is_new = self.known.get(&client).is_none_or(|known| known.need(peer, now));
        if is_new {
            self.known
                .entry(client)
                .and_upsert_with(|entry| entry.map(moka::Entry::into_value).unwrap_or_default().with(peer, now));
        }
        is_new
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Memory").field("pairs", &self.pairs.entry_count()).finish_non_exhaustive()
    }
}

/// Adds a failure to the streak under `key`; no failure at the same time is lost.
fn count<K>(streaks: &Cache<K, Streak>, key: K, limit: Limit, now: UnixTime)
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
    use std::net::Ipv4Addr;

    use super::{super::Lockouts, *};
    use crate::config::LockoutConfig;

    const NOW: UnixTime = UnixTime::from_seconds(1_700_000_000);

    #[test]
    fn made_up_ids_and_addresses_take_bounded_memory() {
        let lockout = Lockouts::default().of("oauth", "oauth", &LockoutConfig::default(), None);
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
