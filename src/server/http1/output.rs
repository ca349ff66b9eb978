//! Owns: what is to be written to one connection and was not yet.
//! Refuses: copying what is large.
//! Always holds: what is written comes in the order in which it was put in; when all of it is written nothing is held.

use std::{
    cell::Cell,
    io::{self, IoSlice},
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes};
use tokio::io::AsyncWrite;

/// Pieces up to this size are copied behind what comes before them: that costs less than a second address for the kernel.
const LARGE: usize = 4 * 1024;

/// How much may be gathered before it has to be written.
const ENOUGH: usize = 64 * 1024;

/// The most room that is kept for whoever gathers next, in bytes.
const MOST_SPARE: usize = 8 * 1024;

thread_local! {
    /// Room that one connection needs no more and the next one soon will.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// What is to be written.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// Without room as long as nothing is to be written.
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
        if self.gathered.capacity() == 0 {
            self.gathered = SPARE.take();
        }
        &mut self.gathered
    }

    /// Puts a piece behind the rest, and `end` behind that. Only while [`Self::has_room`].
    pub(super) fn push(&mut self, piece: Bytes, end: &'static [u8]) {
        if piece.len() < LARGE {
            let gathered = self.gather();
            gathered.extend_from_slice(&piece);
            gathered.extend_from_slice(end);
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
                self.gathered.extend_from_slice(mem::take(&mut self.end));
            }
        }
        let gathered = mem::take(&mut self.gathered);
        if (1..=MOST_SPARE).contains(&gathered.capacity()) {
            SPARE.set(gathered);
        }
        self.large = Bytes::new();
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// Writes all of it; what was written.
    fn write(output: &mut Output) -> Vec<u8> {
        let mut written = Vec::new();
        let polled = output.poll_write(&mut written, &mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, Poll::Ready(Ok(()))) && output.is_empty());
        written
    }

    #[test]
    fn what_was_gathered_leaves_room_for_the_next_one_and_nothing_else() {
        let (mut first, mut second) = (Output::default(), Output::default());
        first.gather().extend_from_slice(b"head ");
        first.push(Bytes::from_static(b"body"), b" end");
        let place = first.gathered.as_ptr();
        assert_eq!(write(&mut first), b"head body end");
        assert_eq!(first.gathered.capacity(), 0);
        second.gather().extend_from_slice(b"other");
        assert_eq!(second.gathered.as_ptr(), place);
        assert_eq!(write(&mut second), b"other");
        second.gather().reserve(MOST_SPARE + 1);
        second.push(Bytes::from_static(b"x"), b"");
        assert_eq!(write(&mut second), b"x");
        assert!(first.gather().capacity() <= MOST_SPARE, "much is not kept");
    }

    #[test]
    fn what_is_large_comes_in_its_place() {
        let mut output = Output::default();
        output.gather().extend_from_slice(b"head");
        output.push(Bytes::from(vec![b'x'; LARGE]), b"end");
        assert!(!output.has_room());
        let written = write(&mut output);
        assert!(written.starts_with(b"headx") && written.ends_with(b"xend") && written.len() == LARGE + 7);
    }
}
