//! Owns: how many connections a listener has, over all workers, and how many of them from each peer.
//! Refuses: a connection beyond the limit: it waits (all together) or is turned away (one peer).
//! Always holds: a slot that was taken is given back when it is dropped, however the connection ended.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::Notify;

use super::listener::Listener;

/// The places of one listener. Touched when a connection begins and ends, never by a request.
#[derive(Debug, Default)]
pub(super) struct ConnectionSlots {
    open: AtomicUsize,
    freed: Notify,
}

/// How many connections each peer has; only peers that have one are in it.
#[derive(Debug, Default)]
pub(super) struct PeerCounts {
    counts: Mutex<HashMap<IpAddr, u32>>,
}

/// One connection's place among those of its peer.
#[derive(Debug)]
pub(super) struct PeerSlot {
    listener: Arc<Listener>,
    peer: IpAddr,
}

/// One connection's place among those of its listener.
#[derive(Debug)]
pub(super) struct ConnectionSlot {
    listener: Arc<Listener>,
    peer: Option<PeerSlot>,
}

impl ConnectionSlots {
    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// To be called when the limit has been raised: whoever waits looks again.
    pub(super) fn limit_changed(&self) {
        self.freed.notify_waiters();
    }

    fn take(&self, limit: usize) -> bool {
        let one_more = |open: usize| (open < limit).then(|| open.saturating_add(1));
        self.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    fn give_back(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
        self.freed.notify_one();
    }
}

impl PeerCounts {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, u32>> {
        // Counting cannot panic half-way, so a poisoned map is still a right one.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PeerSlot {
    /// A place for a further connection of `peer`, if it has fewer than `limit`.
    pub(super) fn take(listener: &Arc<Listener>, peer: IpAddr, limit: u32) -> Option<Self> {
        let mut counts = listener.peers().lock();
        let count = counts.entry(peer).or_insert(0);
        if *count >= limit {
            return None;
        }
        *count = count.saturating_add(1);
        Some(Self { listener: Arc::clone(listener), peer })
    }
}

impl ConnectionSlot {
    /// A place, if one is free now.
    pub(super) fn take(listener: &Arc<Listener>, peer: &mut Option<PeerSlot>) -> Option<Self> {
        let limit = listener.settings().limits.connections;
        listener.slots().take(limit).then(|| Self { listener: Arc::clone(listener), peer: peer.take() })
    }

    /// A place, as soon as one is free. `peer` is taken only when there is one, so the wait may be given up.
    pub(super) async fn wait(listener: &Arc<Listener>, peer: &mut Option<PeerSlot>) -> Self {
        loop {
            let mut freed = std::pin::pin!(listener.slots().freed.notified());
            // Listening before looking: a slot freed in between is not missed.
            freed.as_mut().enable();
            if let Some(slot) = Self::take(listener, peer) {
                return slot;
            }
            freed.await;
        }
    }

    /// Counts the connection among those of `peer`, which may be somebody else than who connected; `false` if it has `limit` already.
    pub(super) fn count_among(&mut self, peer: IpAddr, limit: u32) -> bool {
        if self.peer.as_ref().is_none_or(|slot| slot.peer != peer) {
            self.peer = PeerSlot::take(&self.listener, peer, limit);
        }
        self.peer.is_some()
    }
}

impl Drop for PeerSlot {
    fn drop(&mut self) {
        if let Entry::Occupied(mut entry) = self.listener.peers().lock().entry(self.peer) {
            let left = entry.get().saturating_sub(1);
            if left == 0 {
                entry.remove();
            } else {
                *entry.get_mut() = left;
            }
        }
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.listener.slots().give_back();
    }
}
