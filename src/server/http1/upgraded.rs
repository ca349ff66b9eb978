//! Owns: what a connection becomes after a switch of protocols (RFC 9110 section 7.8).
//! Always holds: what came behind the request comes first.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::server::stream::DownstreamStream;

/// A stream that is not HTTP any more.
pub struct Http1Upgraded {
    stream: DownstreamStream,
    read_ahead: Bytes,
}

impl Http1Upgraded {
    pub(super) const fn new(stream: DownstreamStream, read_ahead: Bytes) -> Self {
        Self { stream, read_ahead }
    }
}

impl AsyncRead for Http1Upgraded {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.read_ahead.is_empty() {
            return Pin::new(&mut this.stream).poll_read(context, buffer);
        }
        let piece = this.read_ahead.get(..buffer.remaining()).unwrap_or(&this.read_ahead);
        buffer.put_slice(piece);
        let read = piece.len();
        this.read_ahead.advance(read);
        if this.read_ahead.is_empty() {
            // Bytes that were all passed over still hold on to where they were.
            this.read_ahead = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Http1Upgraded {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

impl std::fmt::Debug for Http1Upgraded {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Http1Upgraded").field("read_ahead", &self.read_ahead.len()).finish_non_exhaustive()
    }
}
