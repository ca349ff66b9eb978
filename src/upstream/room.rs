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

/// One who waits; counted until it is dropped.
#[derive(Debug)]
pub(super) struct Waiting<'a> {
    room: &'a Room,
    until: Instant,
}

impl Room {
    /// A place among those who wait until `until`, unless `most` do already.
    pub(super) fn enter(&self, most: u32, until: Instant) -> Option<Waiting<'_>> {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let one_more = |waiting: usize| (waiting < most).then(|| waiting.saturating_add(1));
        self.waiting.fetch_update(SeqCst, SeqCst, one_more).ok()?;
        Some(Waiting { room: self, until })
    }

    /// A request has ended or a connection was closed. Costs a load while nobody waits.
    pub(super) fn made(&self) {
        if self.waiting.load(SeqCst) > 0 {
            self.made.notify_one();
        }
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(SeqCst)
    }
}

impl<'a> Waiting<'a> {
    /// Begins to listen. What makes room from now on is not missed, however late it is waited for.
    pub(super) fn listen(&self) -> Pin<Box<Notified<'a>>> {
        let mut made = Box::pin(self.room.made.notified());
        made.as_mut().enable();
        made
    }

    /// Waits until there may be room; `false` if the time is over.
    pub(super) async fn for_room(&self, made: Pin<Box<Notified<'a>>>) -> bool {
        timeout_at(self.until, made).await.is_ok()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.room.waiting.fetch_sub(1, SeqCst);
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
        let (one, two) = (room.enter(2, until).unwrap(), room.enter(2, until).unwrap());
        assert!(room.enter(2, until).is_none());
        let (first, second) = (one.listen(), two.listen());
        room.made();
        assert!(one.for_room(first).await);
        room.made();
        assert!(two.for_room(second).await);
        drop(one);
        assert_eq!(room.waiting(), 1);
        assert!(room.enter(2, until).is_some());
    }

    #[tokio::test]
    async fn a_wait_ends_with_its_time() {
        let room = Room::default();
        let waiting = room.enter(1, Instant::now() + Duration::from_millis(5)).unwrap();
        let made = waiting.listen();
        assert!(!waiting.for_room(made).await);
    }
}
