//! Owns: one request under way: counted from its head to the end of its response.
//! Refuses: looking into a body.
//! Always holds: a request is counted off exactly once, also when its connection breaks or its handler is dropped.

use std::{
    cell::Cell,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::{activity::Activity, counters::WorkerCounters};

/// Where the requests of one connection are counted.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) activity: Arc<Activity>,
    pub(super) worker: Arc<WorkerCounters>,
}

/// A request that has begun and not ended.
#[derive(Debug)]
pub(super) struct RequestGuard {
    tally: Rc<Tally>,
    in_hand: Cell<bool>,
}

/// Keeps a request counted as under way on its connection after its answer, until the last clone of this is dropped: a stream that has
/// become something else (RFC 8441) does not leave its connection idle. To be taken from the extensions of a CONNECT request over
/// HTTP/2, on its worker's thread.
#[derive(Clone, Debug)]
pub struct StreamHold {
    _held: Arc<Held>,
}

#[derive(Debug)]
struct Held {
    activity: Arc<Activity>,
}

/// Whose turn it is in sending the body of one HTTP/2 response.
///
/// A reader that opens no window (RFC 9113 section 5.2) shows only in this, that nobody asks the body for its next piece.
#[derive(Debug, Default)]
pub(super) struct BodyTurn {
    pieces: Cell<u64>,
    reader_to_move: Cell<bool>,
}

pin_project! {
    /// A response's body, with which its request ends.
    #[derive(Debug)]
    pub struct TrackedBody<B> {
        #[pin]
        body: B,
        turn: Option<Rc<BodyTurn>>,
        request: RequestGuard,
    }
}

impl RequestGuard {
    pub(super) fn begin(tally: &Rc<Tally>, with_body: bool) -> Self {
        tally.activity.request_begun(with_body);
        tally.worker.request_begun();
        Self { tally: Rc::clone(tally), in_hand: Cell::new(false) }
    }

    /// Somebody works on it from now on, until [`Self::done_with`] or its end.
    pub(super) fn taken_up(&self) {
        if !self.in_hand.replace(true) {
            self.tally.worker.request_taken_up();
        }
    }

    /// What is left of it is its reader's to do.
    pub(super) fn done_with(&self) {
        if self.in_hand.replace(false) {
            self.tally.worker.request_done_with();
        }
    }
}

impl StreamHold {
    pub(super) fn new(tally: &Tally) -> Self {
        tally.activity.request_begun(false);
        Self { _held: Arc::new(Held { activity: Arc::clone(&tally.activity) }) }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.activity.request_ended();
    }
}

impl BodyTurn {
    /// The number of the piece that the reader leaves lying, if it is the reader's turn.
    pub(super) fn waiting_for_reader(&self) -> Option<u64> {
        self.reader_to_move.get().then(|| self.pieces.get())
    }

    fn give(&self, to_reader: bool) {
        self.pieces.set(self.pieces.get().wrapping_add(1));
        self.reader_to_move.set(to_reader);
    }
}

impl<B> TrackedBody<B> {
    pub(super) fn new(body: B, request: RequestGuard, turn: Option<Rc<BodyTurn>>) -> Self {
        if let Some(turn) = &turn {
            turn.give(true);
        }
        Self { body, turn, request }
    }
}

impl<B: Body> Body for TrackedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        let frame = this.body.poll_frame(context);
        if let Some(turn) = this.turn {
            turn.give(matches!(&frame, Poll::Ready(Some(Ok(_)))));
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.done_with();
        self.tally.activity.request_ended();
        self.tally.worker.request_ended();
    }
}
