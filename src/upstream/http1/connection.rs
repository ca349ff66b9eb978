//! Owns: one HTTP/1.1 connection: its socket, what was read and not used yet, and what is still to be written.
//! Refuses: being used for a request when it is not at rest: closed by the other side, or with something said that nobody asked for.
//! Always holds: nothing runs beside whoever uses it; at rest it keeps no buffers for long.

use std::{
    future::poll_fn,
    io::{self, IoSlice},
    pin::{Pin, pin},
    task::{Context, Poll, Waker, ready},
};

use bytes::{Buf as _, Bytes};
use tokio::{
    io::{AsyncRead as _, AsyncWrite as _, ReadBuf},
    task::coop::unconstrained,
};

use super::{
    super::{pool::Counted, stream::Stream},
    Http1Error,
};
use crate::received::Received;

/// One HTTP/1.1 connection.
pub(in super::super) struct Http1Connection {
    stream: Stream,
    /// What was read and not used yet.
    pub(super) read: Received,
    /// What is to be written, and how much of it was.
    write: Vec<u8>,
    written: usize,
    /// Whether anything of the last request was written.
    has_written: bool,
    /// How much was ever written; goes round.
    total: u64,
    _counted: Counted,
}

/// What is written behind the buffer without being copied: the rest of a piece of a body, and what ends its frame.
#[derive(Debug, Default)]
pub(super) struct Behind {
    pub(super) piece: Bytes,
    pub(super) end: &'static [u8],
}

impl Http1Connection {
    pub(in super::super) fn new(stream: Stream, counted: Counted) -> Self {
        let (read, write) = (Received::default(), Vec::new());
        Self { stream, read, write, written: 0, has_written: false, total: 0, _counted: counted }
    }

    /// Whether nothing has come over it since its last response, not even its end. Costs a system call only if something has.
    pub(super) fn is_at_rest(&mut self) -> bool {
        self.is_clean() && !(self.stream.may_have_something() && self.has_something())
    }

    /// Looks whatever else the task has done in its turn: one that had done enough would be told that there is nothing.
    fn has_something(&mut self) -> bool {
        let look = unconstrained(poll_fn(|cx| self.poll_disturbed(cx)));
        pin!(look).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    /// Ready as soon as something comes over it, be it its end.
    pub(in super::super) fn poll_disturbed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut byte = [0];
        Pin::new(&mut self.stream).poll_read(cx, &mut ReadBuf::new(&mut byte)).map(drop)
    }

    /// Whether it has been left as a request may find it, as far as is known without looking.
    pub(in super::super) fn is_clean(&self) -> bool {
        self.read.is_empty() && !self.has_unwritten()
    }

    /// Lets go of the buffer, as it is not used for a while.
    pub(in super::super) fn rest(&mut self) {
        if self.is_clean() {
            self.write = Vec::new();
            self.written = 0;
        }
    }

    /// The socket, and what was read of it and not used.
    pub(super) fn into_parts(mut self) -> (Stream, Bytes) {
        (self.stream, self.read.take_to_keep(usize::MAX))
    }

    /// A request begins: its head is written into this.
    pub(super) fn begin(&mut self) -> &mut Vec<u8> {
        self.has_written = false;
        self.buffer()
    }

    /// What is written next is written into this.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        if self.written > 0 && !self.has_unwritten() {
            self.write.clear();
            self.written = 0;
        }
        &mut self.write
    }

    fn has_unwritten(&self) -> bool {
        self.written < self.write.len()
    }

    /// Ready when there may be something to read.
    pub(super) fn poll_something(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.stream.poll_something(cx)
    }

    /// Reads once what there is, up to `most` bytes; 0 bytes at the end.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<Result<usize, Http1Error>> {
        self.read.poll_read(&mut self.stream, cx, most).map_err(Http1Error::Read)
    }

    /// Writes the buffer and what is behind it; ready when all of it is on its way.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, behind: &mut Behind) -> Poll<io::Result<()>> {
        loop {
            let unwritten = self.write.get(self.written..).unwrap_or_default();
            let stream = Pin::new(&mut self.stream);
            let written = match (unwritten.is_empty(), behind.piece.is_empty() && behind.end.is_empty()) {
                (true, true) => break,
                (false, true) => ready!(stream.poll_write(cx, unwritten))?,
                (_, false) => {
                    let slices = [IoSlice::new(unwritten), IoSlice::new(&behind.piece), IoSlice::new(behind.end)];
                    let empty = slices.iter().take_while(|slice| slice.is_empty()).count();
                    ready!(stream.poll_write_vectored(cx, slices.get(empty..).unwrap_or_default()))?
                }
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.has_written = true;
            self.total = self.total.wrapping_add(written as u64);
            let of_buffer = written.min(unwritten.len());
            self.written = self.written.saturating_add(of_buffer);
            behind.wrote(written.saturating_sub(of_buffer));
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Whether anything of the request may have been written. Under TLS that is not known: a record may be on its way before its end is.
    pub(super) const fn may_have_written(&self) -> bool {
        self.has_written || self.stream.is_tls()
    }

    /// How much was ever written; goes round.
    pub(super) const fn total_written(&self) -> u64 {
        self.total
    }

    /// Whether nothing of the request can have left.
    pub(super) const fn is_untouched(&self) -> bool {
        !self.may_have_written()
    }
}

impl Behind {
    pub(super) fn is_empty(&self) -> bool {
        self.piece.is_empty() && self.end.is_empty()
    }

    fn wrote(&mut self, written: usize) {
        let of_piece = written.min(self.piece.len());
        self.piece.advance(of_piece);
        if self.piece.is_empty() {
            // Bytes that were all passed over still hold on to where they were.
            self.piece = Bytes::new();
        }
        self.end = self.end.get(written.saturating_sub(of_piece)..).unwrap_or_default();
    }
}
