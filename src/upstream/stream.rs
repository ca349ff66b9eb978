//! Owns: the socket to an endpoint, in clear or under TLS.
//! Always holds: as long as it exists, upgraded or not, it counts as one connection of its endpoint.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, Waker},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

use super::endpoint::ConnectionSlot;

/// An open connection to an endpoint.
pub(super) struct Stream {
    transport: Transport,
    _slot: ConnectionSlot,
}

enum Transport {
    Clear(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Calls a method of whichever transport it is.
macro_rules! either {
    ($stream:expr, $transport:ident => $call:expr) => {
        match &mut $stream.get_mut().transport {
            Transport::Clear(stream) => {
                let $transport = Pin::new(stream);
                $call
            }
            Transport::Tls(stream) => {
                let $transport = Pin::new(stream.as_mut());
                $call
            }
        }
    };
}

impl Stream {
    pub(super) const fn clear(stream: TcpStream, slot: ConnectionSlot) -> Self {
        Self { transport: Transport::Clear(stream), _slot: slot }
    }

    pub(super) fn tls(stream: TlsStream<TcpStream>, slot: ConnectionSlot) -> Self {
        Self { transport: Transport::Tls(Box::new(stream)), _slot: slot }
    }

    /// Whether there may be something to read, its end included. Costs no system call.
    pub(super) fn may_have_something(&self) -> bool {
        match &self.transport {
            Transport::Clear(stream) => stream.try_io(Interest::READABLE, || Ok(())).is_ok(),
            // What was deciphered already is seen only by reading it.
            Transport::Tls(_) => true,
        }
    }

    /// Ready when there may be something to read. Where there is nothing, this takes a third of what it takes to read in vain.
    pub(super) fn poll_something(&self, cx: &mut Context<'_>) -> Poll<()> {
        match &self.transport {
            Transport::Clear(stream) => stream.poll_read_ready(cx).map(drop),
            Transport::Tls(_) => Poll::Ready(()),
        }
    }

    pub(super) const fn is_tls(&self) -> bool {
        matches!(self.transport, Transport::Tls(_))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Transport::Tls(stream) = &mut self.transport {
            // RFC 8446 section 6.1: an end that was not said looks like a cut. The few bytes nearly always find room.
            let _ = Pin::new(stream.as_mut()).poll_shutdown(&mut Context::from_waker(Waker::noop()));
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        either!(self, transport => transport.poll_read(cx, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        either!(self, transport => transport.poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, transport => transport.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, transport => transport.poll_shutdown(cx))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, transport => transport.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Clear(stream) => stream.is_write_vectored(),
            Transport::Tls(stream) => stream.is_write_vectored(),
        }
    }
}
