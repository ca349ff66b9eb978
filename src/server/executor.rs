//! Owns: the tasks of an HTTP/2 connection's streams, on the worker's own thread.
//! Refuses: a stream whose reader stands still: it is reset, and its neighbours are not touched.
//! Always holds: a stream that is answered at once costs no timer.

use std::{
    cell::Cell,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use hyper::rt::Executor;
use pin_project_lite::pin_project;
use tokio::{
    task::spawn_local,
    time::{Instant, Sleep, sleep},
};

use super::{listener::Listener, request::BodyTurn};

/// Spawns on the current thread. One for each connection.
#[derive(Clone)]
pub(super) struct LocalExecutor {
    shared: Rc<Shared>,
}

struct Shared {
    /// The stream that hyper is about to spawn: it asks the service first and the executor right after.
    beginning: Cell<Option<Rc<BodyTurn>>>,
    stall: Duration,
    listener: Arc<Listener>,
}

pin_project! {
    struct WatchedStream<F> {
        #[pin]
        stream: F,
        turn: Rc<BodyTurn>,
        alarm: Option<(u64, Pin<Box<Sleep>>)>,
        stall: Duration,
        listener: Arc<Listener>,
    }
}

impl LocalExecutor {
    pub(super) fn new(stall: Duration, listener: Arc<Listener>) -> Self {
        Self { shared: Rc::new(Shared { beginning: Cell::new(None), stall, listener }) }
    }

    /// To be called by the service for each request, before its future is spawned.
    pub(super) fn stream_begins(&self) -> Rc<BodyTurn> {
        let turn = Rc::new(BodyTurn::default());
        self.shared.beginning.set(Some(Rc::clone(&turn)));
        turn
    }
}

impl<F: Future<Output = ()> + 'static> Executor<F> for LocalExecutor {
    fn execute(&self, stream: F) {
        let Shared { beginning, stall, listener } = &*self.shared;
        match beginning.take() {
            Some(turn) => {
                let listener = Arc::clone(listener);
                spawn_local(WatchedStream { stream, turn, alarm: None, stall: *stall, listener });
            }
            None => {
                spawn_local(stream);
            }
        }
    }
}

impl<F: Future<Output = ()>> Future for WatchedStream<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        if this.stream.poll(context).is_ready() {
            return Poll::Ready(());
        }
        let Some(piece) = this.turn.waiting_for_reader() else {
            return Poll::Pending;
        };
        let (of_piece, alarm) = this.alarm.get_or_insert_with(|| (piece, Box::pin(sleep(*this.stall))));
        if *of_piece != piece {
            *of_piece = piece;
            alarm.as_mut().reset(Instant::now() + *this.stall);
        }
        if alarm.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        // Ending here drops the stream unfinished, which resets it (RFC 9113 section 5.4.2).
        this.listener.counters().stalled.increment();
        Poll::Ready(())
    }
}
