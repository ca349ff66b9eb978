//! Owns: the bytes of one connection, in clear or over TLS, with what was read ahead put back in front.
//! Refuses: passing on the frames of a flood; hiding from the connection's keeper what goes on: every wait of a write and every first
//! byte is noted.
//! Always holds: the connection's place among the listener's connections is given back when the stream is dropped, by
//! whomever: a connection, or the owner of an upgrade.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

use super::{activity::Activity, conduct::FrameMeter, slots::ConnectionSlot, sniff::Prefix};

/// How bytes are carried.
pub(super) enum Transport {
    Clear(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// The stream that a connection reads and writes.
pub struct DownstreamStream {
    transport: Transport,
    prefix: Prefix,
    /// Counts the frames, if HTTP/2 is spoken.
    meter: Option<FrameMeter>,
    activity: Arc<Activity>,
    shut_down: bool,
    _slot: ConnectionSlot,
}

impl Transport {
    fn socket(&mut self) -> &mut TcpStream {
        match self {
            Self::Clear(stream) => stream,
            Self::Tls(stream) => stream.get_mut().0,
        }
    }
}

impl DownstreamStream {
    pub(super) const fn new(
        transport: Transport,
        prefix: Prefix,
        meter: Option<FrameMeter>,
        activity: Arc<Activity>,
        slot: ConnectionSlot,
    ) -> Self {
        Self { transport, prefix, meter, activity, shut_down: false, _slot: slot }
    }

    /// Ready when there may be something to read, its end included. Where there is nothing, this takes a third of what it takes to read in
    /// vain.
    pub(super) fn poll_something(&self, context: &mut Context<'_>) -> Poll<()> {
        match &self.transport {
            Transport::Clear(stream) if self.prefix.is_empty() && !self.activity.tether.is_held() => {
                stream.poll_read_ready(context).map(drop)
            }
            // What was read ahead or deciphered already, and whether it was cut off, is seen only by reading it.
            Transport::Clear(_) | Transport::Tls(_) => Poll::Ready(()),
        }
    }

    pub(super) const fn is_tls(&self) -> bool {
        matches!(self.transport, Transport::Tls(_))
    }

    pub(super) fn activity(&self) -> &Activity {
        &self.activity
    }

    fn note<T>(&self, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match &written {
            Poll::Pending => self.activity.write_blocked(),
            Poll::Ready(_) => self.activity.write_progressed(),
        }
        written
    }

    fn note_written(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let (Some(meter), Poll::Ready(Ok(bytes))) = (&mut self.meter, &written) {
            meter.written(*bytes);
        }
        self.note(written)
    }

    /// Reads away what the other side still sends, until it has seen our end. Closing a socket with unread bytes makes the
    /// kernel send a reset, which may destroy the answer on its way (RFC 9112 section 9.6).
    fn poll_discard(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut storage = [0; 4096];
        loop {
            let mut buffer = ReadBuf::new(&mut storage);
            match ready!(Pin::new(self.transport.socket()).poll_read(context, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                // Whatever ends it, we are through: there is nobody to tell.
                Ok(()) | Err(_) => return Poll::Ready(Ok(())),
            }
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Clear(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

impl AsyncRead for DownstreamStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { transport, prefix, meter, activity, .. } = &mut *self;
        activity.tether.before_read(context)?;
        if let Some(meter) = meter
            && meter.has_ended()
        {
            meter.say_farewell(buffer);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        if !prefix.give(buffer) {
            ready!(Pin::new(transport).poll_read(context, buffer))?;
        }
        if buffer.filled().len() > before {
            activity.bytes_received();
        } else {
            activity.read_ended();
        }
        if let Some(meter) = meter {
            meter.read(buffer, before);
            if meter.is_overdrawn() {
                activity.flood_noticed();
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for DownstreamStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.activity.tether.before_write(context)?;
        let written = Pin::new(&mut self.transport).poll_write(context, bytes);
        self.note_written(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.activity.tether.before_write(context)?;
        let written = Pin::new(&mut self.transport).poll_write_vectored(context, slices);
        self.note_written(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.activity.tether.before_write(context)?;
        let flushed = Pin::new(&mut self.transport).poll_flush(context);
        self.note(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.shut_down {
            if self.activity.shutdown_since().is_none() {
                self.activity.shutdown_begun();
            }
            ready!(Pin::new(&mut self.transport).poll_shutdown(context))?;
            self.shut_down = true;
        }
        if self.activity.may_still_send() { self.poll_discard(context) } else { Poll::Ready(Ok(())) }
    }
}

impl Drop for DownstreamStream {
    fn drop(&mut self) {
        self.activity.tether.let_go();
    }
}
