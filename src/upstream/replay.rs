//! Owns: a request's body that may have to be sent once more: what was read of it is kept, up to a bound.
//! Refuses: being read by an attempt that was given up; being replayed once more was read than is kept.
//! Always holds: each reader gets the whole body from its beginning, in order; the source is read once.

use std::{
    cell::{Cell, RefCell},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Frame, SizeHint};

use super::outgoing::RequestBody;

/// A body, and what was read of it. When it is dropped, its reader reads on, and nothing more is kept.
#[derive(Debug)]
pub(super) struct Replay<B> {
    source: Rc<Source<B>>,
}

#[derive(Debug)]
struct Source<B> {
    body: RefCell<B>,
    kept: RefCell<Kept>,
    /// The reader that may read on: the last that was made.
    reader: Cell<u32>,
    /// Whom the body wakes.
    waker: RefCell<Option<Waker>>,
}

/// What was read, copied into one piece: a piece as it arrived may be a few bytes of a large buffer.
#[derive(Debug, Default)]
struct Kept {
    data: BytesMut,
    trailers: Option<HeaderMap>,
    /// How many bytes of data may be kept.
    most: u64,
    /// What the last reader has had of it.
    position: usize,
    has_had_trailers: bool,
    ended: bool,
    /// There will be no further reader.
    is_final: bool,
    /// More was read than is kept, or reading failed.
    is_lost: bool,
}

/// One attempt's way through the body.
#[derive(Debug)]
pub(super) struct Reader<B> {
    source: Rc<Source<B>>,
    number: u32,
}

/// What comes next of a body that has not ended.
#[derive(Debug)]
pub(super) enum Next<E> {
    /// A piece.
    Piece(Frame<Bytes>),
    /// Another attempt has the body now. To whoever reads here it must not look as if it were whole.
    GivenUp,
    /// The body itself failed.
    Failed(E),
}

impl<E> From<Result<Frame<Bytes>, E>> for Next<E> {
    fn from(frame: Result<Frame<Bytes>, E>) -> Self {
        frame.map_or_else(Self::Failed, Self::Piece)
    }
}

impl<B: RequestBody> Replay<B> {
    /// A body of which `most` bytes are kept.
    pub(super) fn new(body: B, most: u64) -> Self {
        let kept = RefCell::new(Kept { most, ..Kept::default() });
        Self {
            source: Rc::new(Source { body: RefCell::new(body), kept, reader: Cell::new(0), waker: RefCell::default() }),
        }
    }

    /// The first reader.
    pub(super) fn first(&self) -> Reader<B> {
        Reader { source: Rc::clone(&self.source), number: self.source.reader.get() }
    }

    /// A reader from the beginning; those from before can read no more. None if the beginning is not there any more.
    pub(super) fn reader(&self) -> Option<Reader<B>> {
        if !self.is_whole() {
            return None;
        }
        let number = self.source.reader.get().wrapping_add(1);
        self.source.reader.set(number);
        let mut kept = self.source.kept.borrow_mut();
        (kept.position, kept.has_had_trailers) = (0, false);
        // Whoever waits for more has to hear that none will come.
        let waker = self.source.waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
        Some(Reader { source: Rc::clone(&self.source), number })
    }

    /// Whether the beginning is still there.
    pub(super) fn is_whole(&self) -> bool {
        !self.source.kept.borrow().is_lost
    }

    /// Whether the last reader has had all of it.
    pub(super) fn is_read(&self) -> bool {
        self.source.is_read()
    }
}

impl<B: RequestBody> Source<B> {
    fn is_read(&self) -> bool {
        let kept = self.kept.borrow();
        kept.is_had() && (kept.ended || self.body.borrow().is_end_stream())
    }
}

impl<B: RequestBody> Reader<B> {
    /// The next piece; nothing at the end.
    pub(super) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Next<B::Error>>> {
        if !self.is_last() {
            return Poll::Ready(Some(Next::GivenUp));
        }
        let mut kept = self.source.kept.borrow_mut();
        if let Some(frame) = kept.next() {
            return Poll::Ready(Some(Next::Piece(frame)));
        }
        if kept.ended {
            return Poll::Ready(None);
        }
        let Poll::Ready(frame) = Pin::new(&mut *self.source.body.borrow_mut()).poll_frame(cx) else {
            self.source.waker.replace(Some(cx.waker().clone()));
            return Poll::Pending;
        };
        match &frame {
            None => kept.ended = true,
            Some(Err(_)) => kept.lose(),
            Some(Ok(frame)) => kept.keep(frame),
        }
        Poll::Ready(frame.map(Next::from))
    }

    /// Whether nothing follows. Of a reader that was given up something does: the news of it.
    pub(super) fn is_end_stream(&self) -> bool {
        self.is_last() && self.source.is_read()
    }

    /// The length of the whole body, of which nothing may have been read yet.
    pub(super) fn size_hint(&self) -> SizeHint {
        let left = self.source.kept.borrow().left() as u64;
        let ahead = self.source.body.borrow().size_hint();
        let mut hint = SizeHint::new();
        if let Some(upper) = ahead.upper().and_then(|upper| upper.checked_add(left)) {
            hint.set_upper(upper);
        }
        hint.set_lower(ahead.lower().saturating_add(left).min(hint.upper().unwrap_or(u64::MAX)));
        hint
    }

    fn is_last(&self) -> bool {
        self.number == self.source.reader.get()
    }
}

impl Kept {
    /// What the reader has not had yet of what is kept.
    fn next(&mut self) -> Option<Frame<Bytes>> {
        let data = self.data.get(self.position..).filter(|data| !data.is_empty()).map(Bytes::copy_from_slice);
        if let Some(data) = data {
            self.position = self.data.len();
            if self.is_final {
                self.lose();
            }
            return Some(Frame::data(data));
        }
        let trailers = self.trailers.clone().filter(|_| !self.has_had_trailers)?;
        self.has_had_trailers = true;
        Some(Frame::trailers(trailers))
    }

    /// Keeps what the reader has just had.
    fn keep(&mut self, frame: &Frame<Bytes>) {
        if let Some(trailers) = frame.trailers_ref() {
            self.trailers = Some(trailers.clone());
            self.has_had_trailers = true;
        }
        let Some(data) = frame.data_ref().filter(|_| !self.is_lost) else { return };
        if self.data.len().saturating_add(data.len()) as u64 > self.most {
            self.lose();
        } else {
            self.data.extend_from_slice(data);
            self.position = self.data.len();
        }
    }

    /// The beginning is not needed any more, since nobody can be given the rest.
    fn lose(&mut self) {
        self.is_lost = true;
        self.data = BytesMut::new();
        self.position = 0;
    }

    fn left(&self) -> usize {
        self.data.len().saturating_sub(self.position)
    }

    /// Whether the reader has had all that is kept.
    fn is_had(&self) -> bool {
        self.left() == 0 && (self.has_had_trailers || self.trailers.is_none())
    }
}

impl<B> Drop for Replay<B> {
    fn drop(&mut self) {
        let mut kept = self.source.kept.borrow_mut();
        kept.is_final = true;
        if kept.left() == 0 {
            kept.lose();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        future::poll_fn,
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering::Relaxed},
        },
        task::Wake,
    };

    use futures_util::stream;
    use http_body_util::StreamBody;
    use proptest::prelude::*;

    use super::*;

    fn body(pieces: &[&'static [u8]]) -> impl RequestBody {
        let mut frames: Vec<Result<Frame<Bytes>, Infallible>> =
            pieces.iter().map(|piece| Ok(Frame::data(Bytes::from_static(piece)))).collect();
        frames.push(Ok(Frame::trailers(HeaderMap::from_iter([(
            http::header::ETAG,
            http::HeaderValue::from_static("t"),
        )]))));
        StreamBody::new(stream::iter(frames))
    }

    /// Reads up to `count` pieces: their bytes, and how many trailers there were. None: the reader was given up.
    async fn read<B: RequestBody>(reader: &mut Reader<B>, count: usize) -> Option<(Vec<u8>, usize)> {
        let (mut bytes, mut trailers) = (Vec::new(), 0);
        for _ in 0..count {
            let Some(frame) = poll_fn(|cx| reader.poll_piece(cx)).await else { break };
            let Next::Piece(frame) = frame else { return None };
            match frame.into_data() {
                Ok(data) => bytes.extend_from_slice(&data),
                Err(_) => trailers += 1,
            }
        }
        Some((bytes, trailers))
    }

    #[tokio::test]
    async fn each_reader_gets_all_of_it_and_an_old_one_nothing_more() {
        let replay = Replay::new(body(&[b"one", b"two", b"three"]), 100);
        let mut first = replay.reader().unwrap();
        assert_eq!(read(&mut first, 2).await.unwrap().0, b"onetwo");
        let mut second = replay.reader().unwrap();
        assert_eq!(read(&mut first, 9).await, None);
        assert_eq!(read(&mut second, 9).await, Some((b"onetwothree".to_vec(), 1)));
        assert_eq!(read(&mut replay.reader().unwrap(), 9).await, Some((b"onetwothree".to_vec(), 1)));
    }

    #[tokio::test]
    async fn what_is_too_long_goes_on_once_and_is_not_given_again() {
        let replay = Replay::new(body(&[b"one", b"two", b"three"]), 5);
        let mut first = replay.reader().unwrap();
        assert_eq!(read(&mut first, 1).await.unwrap().0, b"one");
        assert!(replay.reader().is_some());
        let mut second = replay.reader().unwrap();
        assert_eq!(read(&mut second, 9).await, Some((b"onetwothree".to_vec(), 1)));
        assert!(replay.reader().is_none());
    }

    #[tokio::test]
    async fn nothing_is_kept_that_nobody_can_be_given() {
        // What was read already goes at once.
        let replay = Replay::new(body(&[b"one", b"two", b"three"]), 100);
        let mut reader = replay.first();
        read(&mut reader, 2).await.unwrap();
        assert_eq!(reader.source.kept.borrow().data, b"onetwo"[..]);
        drop(replay);
        assert_eq!(reader.source.kept.borrow().data.capacity(), 0);
        assert_eq!(read(&mut reader, 9).await, Some((b"three".to_vec(), 1)));
        assert_eq!(reader.source.kept.borrow().data.capacity(), 0);

        // What the last reader has not had yet goes when it has.
        let replay = Replay::new(body(&[b"one", b"two", b"three"]), 100);
        read(&mut replay.first(), 2).await.unwrap();
        let mut reader = replay.reader().unwrap();
        drop(replay);
        assert_eq!(read(&mut reader, 9).await, Some((b"onetwothree".to_vec(), 1)));
        assert_eq!(reader.source.kept.borrow().data.capacity(), 0);
    }

    #[tokio::test]
    async fn small_pieces_cost_no_more_than_their_bytes() {
        let pieces: Vec<&'static [u8]> =
            (0..3000).map(|number| if number % 3 == 0 { &b"x"[..] } else { b"" }).collect();
        let replay = Replay::new(body(&pieces), 1000);
        assert_eq!(read(&mut replay.first(), 9999).await.unwrap().0.len(), 1000);
        let kept = replay.source.kept.borrow().data.capacity();
        assert!((1000..=2048).contains(&kept), "{kept}");
        let again = read(&mut replay.reader().unwrap(), 2).await.unwrap();
        assert_eq!((again.0.len(), again.1), (1000, 1), "in one piece");
    }

    #[derive(Default)]
    struct Alarm(AtomicBool);

    impl Wake for Alarm {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Relaxed);
        }
    }

    #[test]
    fn whoever_waits_hears_that_another_reads_now() {
        let pending = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>());
        let replay = Replay::new(pending, 100);
        let mut first = replay.first();
        let alarm = Arc::new(Alarm::default());
        let waker = Waker::from(Arc::clone(&alarm));
        let mut cx = Context::from_waker(&waker);
        assert!(first.poll_piece(&mut cx).is_pending());
        let _second = replay.reader().unwrap();
        assert!(alarm.0.load(Relaxed));
        assert!(matches!(first.poll_piece(&mut cx), Poll::Ready(Some(Next::GivenUp))));
    }

    proptest! {
        #[test]
        fn a_reader_that_comes_after_any_number_of_pieces_gets_the_same(reads in prop::collection::vec(0usize..6, 1..5)) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let all = runtime.block_on(async {
                let replay = Replay::new(body(&[b"one", b"two", b"three"]), 100);
                for count in reads {
                    read(&mut replay.reader().unwrap(), count).await;
                }
                read(&mut replay.reader().unwrap(), 9).await
            });
            prop_assert_eq!(all, Some((b"onetwothree".to_vec(), 1)));
        }
    }
}
