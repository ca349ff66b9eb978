//! Owns: what is to be written to one connection and was not yet.
//! Refuses: copying what is large.
//! Always holds: what is written comes in the order in which it was put in; when all of it is written nothing is held.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes};
use tokio::io::AsyncWrite;

/// Pieces up to this size are copied behind what comes before them: that costs less than a second address for the kernel.
const LARGE: usize = 4 * 1024;

/// How much may be gathered before it has to be written.
const ENOUGH: usize = 64 * 1024;

/// What is to be written.
#[derive(Debug, Default)]
pub(super) struct Output {
    gathered: Vec<u8>,
    written: usize,
    /// Comes behind that.
    large: Bytes,
    /// Comes behind that.
    end: &'static [u8],
}

impl Output {
    /// Where a few bytes may be put behind the rest. Only while [`Self::has_room`].
    pub(super) fn gather(&mut self) -> &mut Vec<u8> {
        &mut self.gathered
    }

    /// Puts a piece behind the rest, and `end` behind that. Only while [`Self::has_room`].
    pub(super) fn push(&mut self, piece: Bytes, end: &'static [u8]) {
        if piece.len() < LARGE {
            self.gathered.extend_from_slice(&piece);
            self.gathered.extend_from_slice(end);
        } else {
            self.large = piece;
            self.end = end;
        }
    }

    /// Whether more may be put in before this is written.
    pub(super) fn has_room(&self) -> bool {
        self.large.is_empty() && self.end.is_empty() && self.gathered.len() < ENOUGH
    }

    /// Whether all is written.
    pub(super) fn is_empty(&self) -> bool {
        self.gathered.is_empty() && self.large.is_empty() && self.end.is_empty()
    }

    /// Writes all of it.
    pub(super) fn poll_write(
        &mut self,
        stream: &mut (impl AsyncWrite + Unpin),
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            let gathered = self.gathered.get(self.written..).unwrap_or_default();
            let mut stream = Pin::new(&mut *stream);
            let written = match (gathered.is_empty(), self.large.is_empty()) {
                (false, false) => {
                    let slices = [IoSlice::new(gathered), IoSlice::new(&self.large)];
                    ready!(stream.as_mut().poll_write_vectored(context, &slices))?
                }
                (false, true) => ready!(stream.as_mut().poll_write(context, gathered))?,
                (true, _) => ready!(stream.as_mut().poll_write(context, &self.large))?,
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let of_gathered = written.min(gathered.len());
            self.written = self.written.saturating_add(of_gathered);
            let of_large = written.saturating_sub(of_gathered).min(self.large.len());
            self.large.advance(of_large);
            if self.written == self.gathered.len() {
                self.gathered.clear();
                self.written = 0;
            }
            if self.gathered.is_empty() && self.large.is_empty() {
                self.gathered.extend_from_slice(std::mem::take(&mut self.end));
            }
        }
        self.gathered = Vec::new();
        self.large = Bytes::new();
        Poll::Ready(Ok(()))
    }
}
