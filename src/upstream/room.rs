//! Owns: waiting for room at an upstream when no endpoint may have one more request or connection.
//! Refuses: more who wait than may; what waits here has been verified and authorized, but nothing of it was sent.
//! Always holds: whatever makes room wakes one who waits; whoever stops waiting is not counted any more.

use std::{
    pin::Pin,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
};

use tokio::{
    sync::{Notify, futures::Notified},
    time::{Instant, timeout_at},
};

/// Those who wait for room at an upstream. It outlives reloads with the upstream's name.
#[derive(Debug, Default)]
pub(super) struct Room {
    waiting: AtomicUsize,
    made: Notify,
}

/// One who waits; counted until it is dropped. It listens all the time, also while it looks for room.
#[derive(Debug)]
pub(super) struct Waiting<'a> {
    room: &'a Room,
    until: Instant,
    made: Pin<Box<Notified<'a>>>,
    /// It was woken, and has not had what it was woken for.
    is_woken: bool,
}

impl Room {
    /// A place among those who wait until `until`, unless `most` do already. What makes room from now on is not missed.
    pub(super) fn enter(&self, most: u32, until: Instant) -> Option<Waiting<'_>> {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let one_more = |waiting: usize| (waiting < most).then(|| waiting.saturating_add(1));
        self.waiting.fetch_update(SeqCst, SeqCst, one_more).ok()?;
        let mut waiting = Waiting { room: self, until, made: Box::pin(self.made.notified()), is_woken: false };
        waiting.is_woken = waiting.made.as_mut().enable();
        Some(waiting)
    }

    /// A request has ended or a connection was closed. Costs a load while nobody waits.
    pub(super) fn made(&self) {
        if self.waiting.load(SeqCst) > 0 {
            self.made.notify_one();
        }
    }

    /// There may be room for many: an endpoint has come, or come back.
    pub(super) fn opened(&self) {
        if self.waiting.load(SeqCst) > 0 {
            self.made.notify_waiters();
        }
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(SeqCst)
    }
}

impl Waiting<'_> {
    /// When the wait is over.
    pub(super) const fn until(&self) -> Instant {
        self.until
    }

    /// Waits until there may be room; `false` if the time is over.
    pub(super) async fn for_room(&mut self) -> bool {
        if Instant::now() >= self.until || timeout_at(self.until, self.made.as_mut()).await.is_err() {
            return false;
        }
        self.is_woken = true;
        // Listening before looking: room that is made in between is not missed.
        self.made.set(self.room.made.notified());
        self.made.as_mut().enable();
        true
    }

    /// It has got room.
    pub(super) fn end(mut self) {
        self.is_woken = false;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.room.waiting.fetch_sub(1, SeqCst);
        // A wake that it has not heard yet is passed on by the listening itself.
        if self.is_woken {
            self.room.made();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn so_many_wait_and_no_more_and_each_is_woken_by_room() {
        let room = Room::default();
        let until = Instant::now() + Duration::from_secs(10);
        assert!(room.enter(0, until).is_none());
        let (mut one, mut two) = (room.enter(2, until).unwrap(), room.enter(2, until).unwrap());
        assert!(room.enter(2, until).is_none());
        room.made();
        assert!(one.for_room().await);
        room.made();
        assert!(two.for_room().await);
        drop(one);
        assert_eq!(room.waiting(), 1);
        assert!(room.enter(2, until).is_some());
    }

    #[tokio::test]
    async fn a_wait_ends_with_its_time() {
        let room = Room::default();
        let mut waiting = room.enter(1, Instant::now() + Duration::from_millis(5)).unwrap();
        assert!(!waiting.for_room().await);
    }

    #[tokio::test]
    async fn a_wake_that_is_not_used_is_the_next_ones() {
        let room = Room::default();
        let until = Instant::now() + Duration::from_millis(200);
        let enter = || room.enter(9, until).unwrap();
        for is_heard in [false, true] {
            for has_room in [false, true] {
                let (mut first, mut second) = (enter(), enter());
                room.made();
                if is_heard {
                    assert!(first.for_room().await);
                }
                if has_room {
                    first.end()
                } else {
                    drop(first)
                }
                let expected = !(is_heard && has_room);
                let soon = tokio::time::timeout(Duration::from_millis(20), second.for_room()).await;
                assert_eq!(soon.unwrap_or(false), expected, "{is_heard} {has_room}");
                second.end();
            }
        }
    }

    #[tokio::test]
    async fn what_opens_wakes_all() {
        let room = Room::default();
        let until = Instant::now() + Duration::from_secs(10);
        let mut all = [room.enter(9, until).unwrap(), room.enter(9, until).unwrap(), room.enter(9, until).unwrap()];
        room.opened();
        for one in &mut all {
            assert!(one.for_room().await);
        }
    }
}
