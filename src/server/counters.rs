//! Owns: what is counted here, as atomics that the metrics may read at any time.
//! Refuses: knowing how it is shown.
//! Always holds: a counter never goes down; a gauge is what it says at the moment of reading.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn increment(&self) {
        self.add(1);
    }

    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What happened to the connections of one listener since it was bound. Touched when a connection begins or ends.
#[derive(Debug, Default)]
pub struct ListenerCounters {
    pub(super) accepted: Counter,
    pub(super) accept_errors: Counter,
    pub(super) refused_per_peer: Counter,
    pub(super) proxy_header_failures: Counter,
    pub(super) refused_descriptors: Counter,
    pub(super) tls_handshake_failures: Counter,
    pub(super) header_timeouts: Counter,
    pub(super) stalled: Counter,
    pub(super) malformed: Counter,
    pub(super) floods: Counter,
    pub(super) cut: Counter,
}

impl ListenerCounters {
    /// Connections that were accepted and served.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.accepted.read()
    }

    /// Times that accepting failed, for want of descriptors for instance.
    #[must_use]
    pub fn accept_errors(&self) -> u64 {
        self.accept_errors.read()
    }

    /// Connections closed at once because their peer had too many.
    #[must_use]
    pub fn refused_per_peer(&self) -> u64 {
        self.refused_per_peer.read()
    }

    /// Connections closed because no sound PROXY protocol header came in time, of which each should have had one.
    #[must_use]
    pub fn proxy_header_failures(&self) -> u64 {
        self.proxy_header_failures.read()
    }

    /// Connections closed at once because nearly all descriptors were in use.
    #[must_use]
    pub fn refused_descriptors(&self) -> u64 {
        self.refused_descriptors.read()
    }

    /// TLS handshakes that failed or took too long.
    #[must_use]
    pub fn tls_handshake_failures(&self) -> u64 {
        self.tls_handshake_failures.read()
    }

    /// Connections closed because a request's head took too long.
    #[must_use]
    pub fn header_timeouts(&self) -> u64 {
        self.header_timeouts.read()
    }

    /// HTTP/1.1 connections and HTTP/2 streams closed because their reader stood still.
    #[must_use]
    pub fn stalled(&self) -> u64 {
        self.stalled.read()
    }

    /// Connections closed because what came was no HTTP, or larger than the limits.
    #[must_use]
    pub fn malformed(&self) -> u64 {
        self.malformed.read()
    }

    /// HTTP/2 connections ended because too many of their frames carried nothing.
    #[must_use]
    pub fn floods(&self) -> u64 {
        self.floods.read()
    }

    /// Connections cut at the end of a grace period.
    #[must_use]
    pub fn cut(&self) -> u64 {
        self.cut.read()
    }
}

/// What one worker has in hand. Written by that worker alone, and far enough from the next one's that no core waits for another
/// one's cache line.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct WorkerCounters {
    under_way: AtomicUsize,
    begun: AtomicU64,
    in_hand: AtomicUsize,
    shed: AtomicU64,
}

impl WorkerCounters {
    /// Requests whose response has not ended yet.
    #[must_use]
    pub fn requests_under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    /// Requests since the start.
    #[must_use]
    pub fn requests_begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// Those of them that somebody works on: an answer of our own is none that only waits for its reader.
    pub(super) fn requests_in_hand(&self) -> usize {
        self.in_hand.load(Ordering::Relaxed)
    }

    /// Requests that were answered at the door.
    pub(super) fn requests_shed(&self) -> u64 {
        self.shed.load(Ordering::Relaxed)
    }

    // There is one writer, so a load and a store do what a locked addition would, at a fifth of its price.
    pub(super) fn request_begun(&self) {
        self.begun.store(self.begun.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        self.under_way.store(self.under_way.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    pub(super) fn request_ended(&self) {
        self.under_way.store(self.under_way.load(Ordering::Relaxed).saturating_sub(1), Ordering::Relaxed);
    }

    pub(super) fn request_taken_up(&self) {
        self.in_hand.store(self.requests_in_hand().saturating_add(1), Ordering::Relaxed);
    }

    pub(super) fn request_done_with(&self) {
        self.in_hand.store(self.requests_in_hand().saturating_sub(1), Ordering::Relaxed);
    }

    pub(super) fn request_shed(&self) {
        self.shed.store(self.requests_shed().wrapping_add(1), Ordering::Relaxed);
    }
}
