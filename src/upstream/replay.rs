//! Owns: a request's body that may have to be sent once more: what was read of it is kept, up to a bound.
//! Refuses: being read by an attempt that was given up; being replayed once more was read than is kept.
//! Always holds: each reader gets the whole body from its beginning, in order; the source is read once.

use std::{
    cell::{Cell, RefCell},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};

use super::outgoing::RequestBody;

/// A body, and what was read of it. Cheap to clone: clones are the same body.
#[derive(Debug)]
pub(super) struct Replay<B> {
    source: Rc<Source<B>>,
}

#[derive(Debug)]
struct Source<B> {
    body: RefCell<B>,
    kept: RefCell<Kept>,
    /// How much may be kept, in bytes.
    most: u64,
    /// The reader that may read on: the last that was made.
    reader: Cell<u32>,
}

#[derive(Debug, Default)]
struct Kept {
    pieces: Vec<Piece>,
    bytes: u64,
    ended: bool,
    /// More was read than is kept, or reading failed.
    is_lost: bool,
}

#[derive(Clone, Debug)]
enum Piece {
    Data(Bytes),
    Trailers(HeaderMap),
}

/// One attempt's way through the body.
#[derive(Debug)]
pub(super) struct Reader<B> {
    source: Rc<Source<B>>,
    number: u32,
    position: usize,
}

/// Why a reader has no next piece.
#[derive(Debug)]
pub(super) enum ReadError<E> {
    /// Another attempt has the body now. To whoever reads here it must not look as if it were whole.
    GivenUp,
    /// The body itself failed.
    Failed(E),
}

impl<B: RequestBody> Replay<B> {
    /// A body of which `most` bytes are kept.
    pub(super) fn new(body: B, most: u64) -> Self {
        let (body, kept) = (RefCell::new(body), RefCell::default());
        Self { source: Rc::new(Source { body, kept, most, reader: Cell::new(0) }) }
    }

    /// The first reader.
    pub(super) fn first(&self) -> Reader<B> {
        Reader { source: Rc::clone(&self.source), number: self.source.reader.get(), position: 0 }
    }

    /// A reader from the beginning; those from before can read no more. None if the beginning is not there any more.
    pub(super) fn reader(&self) -> Option<Reader<B>> {
        if self.source.kept.borrow().is_lost {
            return None;
        }
        let number = self.source.reader.get().wrapping_add(1);
        self.source.reader.set(number);
        Some(Reader { source: Rc::clone(&self.source), number, position: 0 })
    }
}

impl<B: RequestBody> Reader<B> {
    /// The next piece; nothing at the end.
    pub(super) fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ReadError<B::Error>>>> {
        if self.number != self.source.reader.get() {
            return Poll::Ready(Some(Err(ReadError::GivenUp)));
        }
        let kept = self.source.kept.borrow().pieces.get(self.position).cloned();
        if let Some(piece) = kept {
            self.position += 1;
            return Poll::Ready(Some(Ok(piece.into())));
        }
        if self.source.kept.borrow().ended {
            return Poll::Ready(None);
        }
        let frame = ready!(Pin::new(&mut *self.source.body.borrow_mut()).poll_frame(cx));
        let mut kept = self.source.kept.borrow_mut();
        match &frame {
            None => kept.ended = true,
            Some(Err(_)) => kept.lose(),
            Some(Ok(frame)) if !kept.is_lost => {
                kept.keep(frame, self.source.most);
                self.position = kept.pieces.len();
            }
            Some(Ok(_)) => {}
        }
        Poll::Ready(frame.map(|frame| frame.map_err(ReadError::Failed)))
    }

    /// Whether nothing follows.
    pub(super) fn is_end_stream(&self) -> bool {
        let is_at_the_end = self.position >= self.source.kept.borrow().pieces.len();
        is_at_the_end && self.source.body.borrow().is_end_stream()
    }

    /// The length of the whole body, of which nothing may have been read yet.
    pub(super) fn size_hint(&self) -> SizeHint {
        let left: u64 = self.source.kept.borrow().left_from(self.position);
        let ahead = self.source.body.borrow().size_hint();
        let mut hint = SizeHint::new();
        if let Some(upper) = ahead.upper().and_then(|upper| upper.checked_add(left)) {
            hint.set_upper(upper);
        }
        hint.set_lower(ahead.lower().saturating_add(left).min(hint.upper().unwrap_or(u64::MAX)));
        hint
    }
}

impl Kept {
    fn keep(&mut self, frame: &Frame<Bytes>, most: u64) {
        let piece = match (frame.data_ref(), frame.trailers_ref()) {
            (Some(data), _) => Piece::Data(data.clone()),
            (None, Some(trailers)) => Piece::Trailers(trailers.clone()),
            (None, None) => return,
        };
        let length = match &piece {
            Piece::Data(data) => data.len() as u64,
            Piece::Trailers(_) => 0,
        };
        self.bytes = self.bytes.saturating_add(length);
        if self.bytes > most { self.lose() } else { self.pieces.push(piece) }
    }

    /// The beginning is not needed any more, since nobody can be given the rest.
    fn lose(&mut self) {
        self.is_lost = true;
        self.pieces = Vec::new();
    }

    fn left_from(&self, position: usize) -> u64 {
        let left = self.pieces.iter().skip(position);
        left.map(|piece| if let Piece::Data(data) = piece { data.len() as u64 } else { 0 }).sum()
    }
}

impl<B> Clone for Replay<B> {
    fn clone(&self) -> Self {
        Self { source: Rc::clone(&self.source) }
    }
}

impl From<Piece> for Frame<Bytes> {
    fn from(piece: Piece) -> Self {
        match piece {
            Piece::Data(data) => Self::data(data),
            Piece::Trailers(trailers) => Self::trailers(trailers),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, future::poll_fn};

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
            let Ok(frame) = frame else { return None };
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
