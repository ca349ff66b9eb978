//! Owns: a stream of which something was read before whoever it is for came to read it.
//! Refuses: holding on to what was read once it was given out.
//! Always holds: what was read ahead comes first; writing is the stream's own.

use std::{
    fmt,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream, and what was read of it already.
pub struct ReadAhead<S> {
    stream: S,
    ahead: Bytes,
}

impl<S> ReadAhead<S> {
    /// Gives out `ahead`, and then what comes of `stream`.
    pub const fn new(stream: S, ahead: Bytes) -> Self {
        Self { stream, ahead }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadAhead<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.ahead.is_empty() {
            return Pin::new(&mut this.stream).poll_read(context, buffer);
        }
        let piece = this.ahead.get(..buffer.remaining()).unwrap_or(&this.ahead);
        buffer.put_slice(piece);
        let given = piece.len();
        this.ahead.advance(given);
        if this.ahead.is_empty() {
            // Bytes that were all passed over still hold on to where they were.
            this.ahead = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ReadAhead<S> {
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

impl<S> fmt::Debug for ReadAhead<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ReadAhead").field("ahead", &self.ahead.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn what_was_read_comes_first_and_is_let_go_of() {
        let (near, mut far) = tokio::io::duplex(64);
        far.write_all(b"behind").await.unwrap();
        let ahead = Bytes::from(b"before ".to_vec());
        let mut stream = ReadAhead::new(near, ahead.clone());
        let mut read = [0; 4];
        stream.read_exact(&mut read).await.unwrap();
        assert_eq!((&read, ahead.is_unique()), (b"befo", false));
        let mut rest = [0; 9];
        stream.read_exact(&mut rest).await.unwrap();
        assert_eq!((&rest, ahead.is_unique()), (b"re behind", true));
        stream.write_all(b"answer").await.unwrap();
        let mut answer = [0; 6];
        far.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"answer");
    }
}
