//! Owns: who may not try to authenticate for a while, because too many attempts failed.
//! Refuses: letting anybody go on guessing, and letting anybody lock out a client from where it usually comes.
//! Always holds: whatever ids and addresses callers make up, the memory it takes is bounded; time comes from the caller.
//!
//! Three streaks of failures are kept, for three ways of guessing:
//!
//! - of a client id from a peer: `failures` in a row lock out that pair. A success ends the streak.
//! - of a client id from everywhere, ten times as many: somebody guesses with many addresses. It locks out those
//!   peers from which that client has not authenticated lately, so that it goes on working where it works already.
//! - of a peer under every id, ten times as many: somebody tries ids. It locks that peer out of the ids under which it has
//!   not authenticated lately.
//!
//! A success does not end the latter two: else whoever has one good secret, or shares an address with a busy client, could guess
//! without end.
//!
//! Replicas that share a server tell each other of failures and successes, so that guessing at all of them in turn is no way
//! around. Nobody waits for that; without the server each goes by what it has seen itself.

mod known_peers;
mod lockouts;
mod memory;
mod streak;
mod told;

use std::{net::IpAddr, sync::Arc, time::Duration};

pub use self::lockouts::Lockouts;
use self::{
    memory::Memory,
    streak::Limit,
    told::{Teller, What},
};
use super::name_hash::NameHash;
use crate::{clock::UnixTime, config::LockoutConfig, http::Peer};

/// The lock-out of one token endpoint: its settings, and what it remembers, which outlives a reload. From [`Lockouts::of`].
#[derive(Debug)]
pub struct Lockout {
    settings: LockoutConfig,
    memory: Arc<Memory>,
    /// Who tells the other replicas, if there may be some.
    teller: Option<Teller>,
}

/// An attempt is refused without looking at its proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("locked out after too many failures: {by}")]
pub struct LockedOut {
    /// When the next attempt will be looked at; more than nothing.
    pub retry_after: Duration,
    /// Whose failures they were.
    pub by: LockedOutBy,
}

/// Whose failures lock out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockedOutBy {
    /// Those of this client id from this peer.
    #[error("of this client from this address")]
    ClientAndPeer,
    /// Those of this client id from everywhere; this peer is none of those where the client usually comes from.
    #[error("of this client from many addresses")]
    Client,
    /// Those of this peer under all ids; this id is none of those it usually comes as.
    #[error("of this address under many ids")]
    Peer,
}

impl Lockout {
    /// Whether `client_id`, coming from `peer`, may try to authenticate. To be asked before its proof is looked at.
    ///
    /// # Errors
    /// It is locked out, and for how long.
    pub fn judge(&self, client_id: &str, peer: IpAddr, now: UnixTime) -> Result<(), LockedOut> {
        if self.is_off() {
            return Ok(());
        }
        let (client, peer) = (NameHash::of(client_id), Peer::of(peer));
        let remaining = |streak: Option<streak::Streak>, limit: Limit| streak.and_then(|it| it.remaining(limit, now));
        if let Some(retry_after) = remaining(self.memory.pairs.get(&(client, peer)), self.narrow()) {
            return Err(LockedOut { retry_after, by: LockedOutBy::ClientAndPeer });
        }
        let of_client = remaining(self.memory.clients.get(&client), self.narrow().wide());
        let of_peer = remaining(self.memory.peers.get(&peer), self.narrow().wide());
        let longer = match (of_client, of_peer) {
            (None, None) => return Ok(()),
            (Some(of_client), of_peer) if Some(of_client) >= of_peer => (of_client, LockedOutBy::Client),
            (of_client, of_peer) => (of_peer.or(of_client).unwrap_or_default(), LockedOutBy::Peer),
        };
        if self.memory.is_known(client, peer, now) {
            return Ok(());
        }
        let (retry_after, by) = longer;
        Err(LockedOut { retry_after, by })
    }

    /// Notes that an attempt to authenticate failed. Only what [`Lockout::judge`] let through counts.
    pub fn failed(&self, client_id: &str, peer: IpAddr, now: UnixTime) {
        if self.is_off() {
            return;
        }
        let client = NameHash::of(client_id);
        self.memory.failed((client, Peer::of(peer)), self.narrow(), now);
        if let Some(teller) = &self.teller {
            teller.tell(client, peer, now, What::Failed);
        }
    }

    /// Notes that `client_id` has authenticated from `peer`.
    pub fn succeeded(&self, client_id: &str, peer: IpAddr, now: UnixTime) {
        if self.is_off() {
            return;
        }
        let client = NameHash::of(client_id);
        let is_new = self.memory.succeeded((client, Peer::of(peer)), now);
        // A busy client says the same again and again.
        if let Some(teller) = self.teller.as_ref().filter(|_| is_new) {
            teller.tell(client, peer, now, What::Succeeded);
        }
    }

    /// Counts a failure on another replica, by the settings here.
    fn failed_elsewhere(&self, pair: (NameHash, Peer), now: UnixTime) {
        if !self.is_off() {
            self.memory.failed(pair, self.narrow(), now);
        }
    }

    const fn is_off(&self) -> bool {
        self.settings.failures == 0
    }

    const fn narrow(&self) -> Limit {
        Limit::of(&self.settings)
    }
}

#[cfg(test)]
mod tests;
