//! Owns: a response's body as it is read: by its length, in chunks, or until the connection ends (RFC 9112 section 6).
//! Refuses: a connection that ends before the body does.
//! Always holds: the body goes on as it was read, without being copied; what is behind its end stays where it is.

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::{Http1Error, chunks::Chunks};
use crate::received::Received;

/// What is still to come of a response's body.
#[derive(Debug)]
pub(in super::super) struct Inward {
    left: Left,
}

#[derive(Debug)]
enum Left {
    Nothing,
    Length(u64),
    Chunks(Box<Chunks>),
    UntilClose,
}

/// What comes next.
#[derive(Debug)]
pub(super) enum Step {
    /// A piece, or trailers.
    Frame(Frame<Bytes>),
    /// Nothing more.
    End,
    /// What has not been read yet.
    More,
}

impl Inward {
    pub(in super::super) const fn nothing() -> Self {
        Self { left: Left::Nothing }
    }

    pub(super) const fn of_length(length: u64) -> Self {
        Self { left: if length == 0 { Left::Nothing } else { Left::Length(length) } }
    }

    pub(super) fn chunked() -> Self {
        Self { left: Left::Chunks(Box::default()) }
    }

    pub(super) const fn until_close() -> Self {
        Self { left: Left::UntilClose }
    }

    /// Whether it ends only where the connection does.
    pub(super) const fn ends_with_connection(&self) -> bool {
        matches!(self.left, Left::UntilClose)
    }

    pub(in super::super) const fn is_ended(&self) -> bool {
        matches!(self.left, Left::Nothing)
    }

    pub(in super::super) fn size_hint(&self) -> SizeHint {
        match &self.left {
            Left::Nothing => SizeHint::with_exact(0),
            Left::Length(length) => SizeHint::with_exact(*length),
            Left::Chunks(_) | Left::UntilClose => SizeHint::default(),
        }
    }

    /// Takes what comes next off what was `read`.
    pub(super) fn next(&mut self, read: &mut Received) -> Result<Step, Http1Error> {
        match &mut self.left {
            Left::Nothing => Ok(Step::End),
            Left::Length(left) => {
                let Some(piece) = piece(read, *left) else { return Ok(Step::More) };
                *left = left.saturating_sub(piece.len() as u64);
                if *left == 0 {
                    self.left = Left::Nothing;
                }
                Ok(Step::Frame(Frame::data(piece)))
            }
            Left::Chunks(chunks) => {
                let step = chunks.next(read)?;
                if chunks.is_ended() {
                    self.left = Left::Nothing;
                }
                Ok(step)
            }
            Left::UntilClose => Ok(piece(read, u64::MAX).map_or(Step::More, |piece| Step::Frame(Frame::data(piece)))),
        }
    }

    /// The connection has ended.
    pub(super) fn close(&mut self) -> Result<(), Http1Error> {
        match self.left {
            Left::Nothing | Left::UntilClose => {
                self.left = Left::Nothing;
                Ok(())
            }
            Left::Length(_) | Left::Chunks(_) => Err(Http1Error::Incomplete),
        }
    }
}

/// Up to `most` bytes of what was read; none if nothing was.
pub(super) fn piece(read: &mut Received, most: u64) -> Option<Bytes> {
    (most > 0 && !read.is_empty()).then(|| read.take(usize::try_from(most).unwrap_or(usize::MAX)))
}
