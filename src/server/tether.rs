//! Owns: the tie between a connection and its stream once the stream has been given away as an upgrade (RFC 9110 section
//! 7.8): its keeper learns when the stream is dropped, and can cut it off.
//! Refuses: costing anything before there is an upgrade.
//! Always holds: a stream that was cut answers every read and write with an error, and whoever waits on it is woken.

use std::{
    future::poll_fn,
    io,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll},
};

use futures_util::task::AtomicWaker;

/// The tie. Atomic as all that a connection shares is; both ends live on one worker.
#[derive(Debug, Default)]
pub(super) struct Tether {
    held: AtomicBool,
    dropped: AtomicBool,
    cut: AtomicBool,
    keeper: AtomicWaker,
    reader: AtomicWaker,
    writer: AtomicWaker,
}

impl Tether {
    /// The stream is gone.
    pub(super) fn let_go(&self) {
        self.dropped.store(true, Ordering::Release);
        self.keeper.wake();
    }

    pub(super) fn is_gone(&self) -> bool {
        self.dropped.load(Ordering::Acquire)
    }

    /// Whether somebody waits for the stream to be dropped, and may cut it off.
    pub(super) fn is_held(&self) -> bool {
        self.held.load(Ordering::Relaxed)
    }

    /// Before a read: fails if the stream was cut off.
    pub(super) fn before_read(&self, context: &Context<'_>) -> io::Result<()> {
        self.before(&self.reader, context)
    }

    /// Before a write: fails if the stream was cut off.
    pub(super) fn before_write(&self, context: &Context<'_>) -> io::Result<()> {
        self.before(&self.writer, context)
    }

    /// Waits until the stream is dropped; giving up the wait cuts it off.
    pub(super) async fn hold(&self) {
        struct CutOnDrop<'a>(&'a Tether);
        impl Drop for CutOnDrop<'_> {
            fn drop(&mut self) {
                self.0.cut.store(true, Ordering::Release);
                self.0.reader.wake();
                self.0.writer.wake();
            }
        }

        self.held.store(true, Ordering::Release);
        let _cut = CutOnDrop(self);
        poll_fn(|context| {
            self.keeper.register(context.waker());
            if self.is_gone() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn before(&self, waker: &AtomicWaker, context: &Context<'_>) -> io::Result<()> {
        if !self.is_held() {
            return Ok(());
        }
        waker.register(context.waker());
        if self.cut.load(Ordering::Acquire) { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }
}
