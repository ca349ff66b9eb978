//! Owns: where one client has authenticated from lately.
//! Refuses: more than a few peers a client, so that whoever has a good secret cannot push out what is known of others.

use std::{sync::Arc, time::Duration};

use crate::{clock::UnixTime, http::Peer};

/// How many peers are known of one client.
const MOST_PEERS: usize = 32;

/// How long a peer is known after the client's last success from there.
const KNOWN_FOR: Duration = Duration::from_hours(24);

/// How old a note may become before a success writes it anew: far less often than a busy client gets tokens.
const RENEWED_AFTER: Duration = Duration::from_hours(1);

/// The peers from which one client authenticated, the latest note first.
#[derive(Clone, Debug, Default)]
pub(super) struct KnownPeers {
    peers: Arc<[(Peer, UnixTime)]>,
}

impl KnownPeers {
    /// Whether the client authenticated from `peer` lately.
    pub(super) fn contain(&self, peer: Peer, now: UnixTime) -> bool {
        self.noted_at(peer).is_some_and(|noted_at| now.since(noted_at) < KNOWN_FOR)
    }

    /// Whether a success from `peer` says something new.
    pub(super) fn need(&self, peer: Peer, now: UnixTime) -> bool {
        self.noted_at(peer).is_none_or(|noted_at| now.since(noted_at) >= RENEWED_AFTER)
    }

    /// These peers and `peer`.
    pub(super) fn with(&self, peer: Peer, now: UnixTime) -> Self {
        let recent = |noted: &&(Peer, UnixTime)| noted.0 != peer && now.since(noted.1) < KNOWN_FOR;
        let others = self.peers.iter().filter(recent).take(MOST_PEERS - 1);
        Self { peers: std::iter::once(&(peer, now)).chain(others).copied().collect() }
    }

    fn noted_at(&self, peer: Peer) -> Option<UnixTime> {
        self.peers.iter().find(|noted| noted.0 == peer).map(|noted| noted.1)
    }
}
