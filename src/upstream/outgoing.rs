//! Owns: the request's body on its way to the upstream, and what must be known of it to judge a failure.
//! Always holds: a failure of the downstream side is told apart from one of the upstream; a request without a body costs nothing.

use std::{
    cell::{Cell, RefCell},
    error::Error,
    mem,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use thiserror::Error;
use tokio::time::Instant;

use super::replay::{Next, Reader};

type BoxError = Box<dyn Error + Send + Sync>;

/// What can be forwarded as a request's body.
pub trait RequestBody: Body<Data = Bytes, Error: Into<BoxError>> + Unpin + 'static {}

impl<B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin + 'static> RequestBody for B {}

/// A request's body, watched.
#[derive(Debug)]
pub(super) struct Outgoing<B> {
    content: Content<B>,
    progress: Option<Rc<Progress>>,
}

#[derive(Debug)]
enum Content<B> {
    /// Sent once.
    Once(B),
    /// May be sent again.
    Replayed(Reader<B>),
    /// There is none.
    Empty,
}

/// How far a body has got.
#[derive(Debug)]
pub(super) struct Progress {
    stage: Cell<Stage>,
    since: Cell<Instant>,
    failure: RefCell<Option<BoxError>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The next piece has not been asked for: the upstream is slow to read.
    Sending,
    /// The next piece has been asked for: the downstream is slow to send.
    AwaitingDownstream,
    /// There are no more pieces.
    Ended,
}

/// Says to the protocol that the body failed; the cause is kept in [`Progress`].
#[derive(Debug, Error)]
#[error("the request's body failed")]
pub struct BodyFailed;

impl<B: RequestBody> Outgoing<B> {
    /// A body that is sent once.
    pub(super) fn new(body: B) -> Self {
        Self::of(Content::Once(body))
    }

    /// A body that may be sent again.
    pub(super) fn replayed(reader: Reader<B>) -> Self {
        Self::of(Content::Replayed(reader))
    }

    /// No body.
    pub(super) fn empty() -> Self {
        Self::of(Content::Empty)
    }

    /// Takes it out to be sent in another way, if there is one that is sent once.
    pub(super) fn take_once(&mut self) -> Option<B> {
        if self.content.is_end_stream() {
            return None;
        }
        match mem::replace(&mut self.content, Content::Empty) {
            Content::Once(body) => Some(body),
            other @ (Content::Replayed(_) | Content::Empty) => {
                self.content = other;
                None
            }
        }
    }

    /// How far it has got; nothing for one that has no body.
    pub(super) fn progress(&self) -> Option<Rc<Progress>> {
        self.progress.clone()
    }

    fn of(content: Content<B>) -> Self {
        let progress = (!content.is_end_stream()).then(|| {
            let since = Cell::new(Instant::now());
            Rc::new(Progress { stage: Cell::new(Stage::Sending), since, failure: RefCell::new(None) })
        });
        Self { content, progress }
    }
}

impl<B: RequestBody> Content<B> {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Next<B::Error>>> {
        match self {
            Self::Once(body) => Pin::new(body).poll_frame(cx).map(|frame| frame.map(Next::from)),
            Self::Replayed(reader) => reader.poll_piece(cx),
            Self::Empty => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Once(body) => body.is_end_stream(),
            Self::Replayed(reader) => reader.is_end_stream(),
            Self::Empty => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Once(body) => body.size_hint(),
            Self::Replayed(reader) => reader.size_hint(),
            Self::Empty => SizeHint::with_exact(0),
        }
    }
}

impl Progress {
    /// Since when the upstream could have answered and did not.
    pub(super) fn silent_since(&self, now: Instant) -> Instant {
        match self.stage.get() {
            Stage::AwaitingDownstream => now,
            Stage::Sending | Stage::Ended => self.since.get(),
        }
    }

    /// Whether the next piece has been asked for and has not come.
    pub(super) fn awaits_downstream(&self) -> bool {
        self.stage.get() == Stage::AwaitingDownstream
    }

    /// The failure of the downstream side, if there was one.
    pub(super) fn take_failure(&self) -> Option<BoxError> {
        self.failure.borrow_mut().take()
    }

    fn enter(&self, stage: Stage) {
        self.stage.set(stage);
        self.since.set(Instant::now());
    }
}

impl<B> Drop for Outgoing<B> {
    fn drop(&mut self) {
        // The upstream may have said that it wants no more: from then on it is its turn.
        if let Some(progress) = &self.progress
            && progress.stage.get() != Stage::Ended
        {
            progress.enter(Stage::Ended);
        }
    }
}

impl<B: RequestBody> Body for Outgoing<B> {
    type Data = Bytes;
    type Error = BodyFailed;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailed>>> {
        let this = self.get_mut();
        let Some(progress) = &this.progress else { return Poll::Ready(None) };
        progress.stage.set(Stage::AwaitingDownstream);
        let frame = ready!(this.content.poll_frame(cx));
        match frame {
            None => {
                progress.enter(Stage::Ended);
                Poll::Ready(None)
            }
            Some(Next::Piece(frame)) => {
                let last = this.content.is_end_stream() || frame.is_trailers();
                progress.enter(if last { Stage::Ended } else { Stage::Sending });
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Next::GivenUp) => {
                progress.enter(Stage::Ended);
                Poll::Ready(Some(Err(BodyFailed)))
            }
            Some(Next::Failed(error)) => {
                progress.enter(Stage::Ended);
                *progress.failure.borrow_mut() = Some(error.into());
                Poll::Ready(Some(Err(BodyFailed)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.content.size_hint()
    }
}
