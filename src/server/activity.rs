//! Owns: what goes on on one connection: requests under way, bytes of a head that came, a write that waits.
//! Refuses: deciding anything; [`super::timekeeper`] does.
//! Always holds: noting something costs a few plain loads and stores; the clock is read only when something begins or ends.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use tokio::time::Instant;

use super::{handler::Protocol, tether::Tether};

/// What goes on on one connection. Atomic because what stands in the extensions of a request has to be `Sync`, written by
/// one thread only: so a load and a store stand where a locked addition would.
#[derive(Debug)]
pub(super) struct Activity {
    protocol: Protocol,
    opened: Instant,
    begun: AtomicU32,
    under_way: AtomicU32,
    idle_since: Moment,
    head_received: AtomicBool,
    body_expected: AtomicBool,
    read_ended: AtomicBool,
    close_wanted: AtomicBool,
    flooded: AtomicBool,
    framing_broken: AtomicBool,
    at_rest: AtomicBool,
    write_blocked_since: Moment,
    shutdown_since: Moment,
    /// For when the stream becomes an upgrade.
    pub(super) tether: Tether,
}

/// Milliseconds since the connection was opened, plus one; zero is never.
#[derive(Debug, Default)]
struct Moment(AtomicU64);

impl Activity {
    pub(super) fn new(protocol: Protocol, opened: Instant) -> Self {
        let activity = Self {
            protocol,
            opened,
            begun: AtomicU32::new(0),
            under_way: AtomicU32::new(0),
            idle_since: Moment::default(),
            head_received: AtomicBool::new(false),
            body_expected: AtomicBool::new(false),
            read_ended: AtomicBool::new(false),
            close_wanted: AtomicBool::new(false),
            flooded: AtomicBool::new(false),
            framing_broken: AtomicBool::new(false),
            at_rest: AtomicBool::new(false),
            write_blocked_since: Moment::default(),
            shutdown_since: Moment::default(),
            tether: Tether::default(),
        };
        activity.idle_since.set_now(opened);
        activity
    }

    pub(super) const fn protocol(&self) -> Protocol {
        self.protocol
    }

    pub(super) const fn opened(&self) -> Instant {
        self.opened
    }

    /// How many requests there have been; goes round.
    pub(super) fn begun(&self) -> u32 {
        self.begun.load(Relaxed)
    }

    pub(super) fn is_busy(&self) -> bool {
        self.under_way.load(Relaxed) > 0
    }

    /// Since when no request is under way.
    pub(super) fn idle_since(&self) -> Instant {
        self.idle_since.read(self.opened).unwrap_or(self.opened)
    }

    /// Whether bytes of a request came that is not complete yet. HTTP/1.1 only.
    pub(super) fn head_received(&self) -> bool {
        self.head_received.load(Relaxed)
    }

    pub(super) fn write_blocked_since(&self) -> Option<Instant> {
        self.write_blocked_since.read(self.opened)
    }

    pub(super) fn shutdown_since(&self) -> Option<Instant> {
        self.shutdown_since.read(self.opened)
    }

    pub(super) fn close_wanted(&self) -> bool {
        self.close_wanted.load(Relaxed)
    }

    /// Whether the frames that came were a flood.
    pub(super) fn is_flooded(&self) -> bool {
        self.flooded.load(Relaxed)
    }

    /// Whether the other side may still be sending something that nobody is going to read. An HTTP/2 connection that ends
    /// and was not asked to is one whose client did wrong, and is told so.
    pub(super) fn may_still_send(&self) -> bool {
        let unread = match self.protocol {
            Protocol::Http1 => self.body_expected.load(Relaxed) || self.head_received(),
            Protocol::Http2 => !self.at_rest.load(Relaxed),
        };
        unread && !self.read_ended.load(Relaxed)
    }

    pub(super) fn request_begun(&self, with_body: bool) {
        self.begun.store(self.begun().wrapping_add(1), Relaxed);
        self.under_way.store(self.under_way.load(Relaxed).saturating_add(1), Relaxed);
        self.head_received.store(false, Relaxed);
        self.body_expected.store(with_body, Relaxed);
    }

    pub(super) fn request_ended(&self) {
        let left = self.under_way.load(Relaxed).saturating_sub(1);
        self.under_way.store(left, Relaxed);
        if left == 0 {
            self.idle_since.set_now(self.opened);
        }
    }

    pub(super) fn want_close(&self) {
        self.close_wanted.store(true, Relaxed);
    }

    /// The framing of a body is broken: nothing can be read behind it.
    pub(super) fn framing_broke(&self) {
        self.framing_broken.store(true, Relaxed);
    }

    /// Whether the framing of a body broke.
    pub(super) fn is_framing_broken(&self) -> bool {
        self.framing_broken.load(Relaxed)
    }

    pub(super) fn flood_noticed(&self) {
        self.flooded.store(true, Relaxed);
    }

    /// An HTTP/2 connection is closed in order.
    pub(super) fn closing_in_order(&self) {
        self.at_rest.store(true, Relaxed);
    }

    /// What the other side may still be sending is not waited for.
    pub(super) fn closed_at_rest(&self) {
        self.at_rest.store(true, Relaxed);
        self.body_expected.store(false, Relaxed);
        self.head_received.store(false, Relaxed);
    }

    pub(super) fn bytes_received(&self) {
        if self.protocol == Protocol::Http1 && !self.is_busy() {
            self.head_received.store(true, Relaxed);
        }
    }

    pub(super) fn read_ended(&self) {
        self.read_ended.store(true, Relaxed);
    }

    pub(super) fn write_blocked(&self) {
        if !self.write_blocked_since.is_set() {
            self.write_blocked_since.set_now(self.opened);
        }
    }

    pub(super) fn write_progressed(&self) {
        if self.write_blocked_since.is_set() {
            self.write_blocked_since.clear();
            // A slow reader that still reads the end of the last response is not idle yet.
            self.idle_since.set_now(self.opened);
        }
    }

    pub(super) fn shutdown_begun(&self) {
        self.shutdown_since.set_now(self.opened);
    }
}

impl Moment {
    fn is_set(&self) -> bool {
        self.0.load(Relaxed) != 0
    }

    fn clear(&self) {
        self.0.store(0, Relaxed);
    }

    fn set_now(&self, opened: Instant) {
        let milliseconds = u64::try_from(opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.store(milliseconds.saturating_add(1), Relaxed);
    }

    fn read(&self, opened: Instant) -> Option<Instant> {
        let milliseconds = self.0.load(Relaxed).checked_sub(1)?;
        Some(opened + Duration::from_millis(milliseconds))
    }
}
