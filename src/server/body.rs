//! Owns: the body of a request, whatever protocol it came by, and what its connection may become.
//! Always holds: whoever answers does not see by which protocol a body comes, but in its errors.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::{
    body::Incoming,
    upgrade::{OnUpgrade, Upgraded},
};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::oneshot,
};

use super::{
    http1::{Http1Body, Http1BodyError},
    stream::DownstreamStream,
};
use crate::read_ahead::ReadAhead;

/// The body of a request.
#[derive(Debug)]
pub enum DownstreamBody {
    /// There is none.
    Empty,
    /// Over HTTP/1.1.
    Http1(Http1Body),
    /// Over HTTP/2.
    Http2(Incoming),
}

/// Why the body of a request did not come whole.
#[derive(Debug, Error)]
pub enum DownstreamBodyError {
    /// Over HTTP/1.1.
    #[error(transparent)]
    Http1(#[from] Http1BodyError),
    /// Over HTTP/2.
    #[error("the stream failed")]
    Http2(#[source] hyper::Error),
}

/// What a connection, or a stream of one, will become if the answer is a switch of protocols; to be awaited when it has been given.
#[derive(Debug)]
pub struct DownstreamUpgrade {
    source: UpgradeSource,
}

#[derive(Debug)]
enum UpgradeSource {
    Http1(oneshot::Receiver<ReadAhead<DownstreamStream>>),
    Http2(OnUpgrade),
}

/// There is no upgrade: the answer was none, or the connection ended.
#[derive(Debug, Error)]
#[error("the connection has not become anything else")]
pub struct NotUpgraded(#[source] Box<dyn std::error::Error + Send + Sync>);

/// What an upgrade is made of.
#[derive(Debug)]
pub enum DownstreamUpgraded {
    /// The connection itself.
    Http1(ReadAhead<DownstreamStream>),
    /// A stream of it.
    Http2(TokioIo<Upgraded>),
}

impl DownstreamBody {
    /// What an HTTP/1.1 connection will become, if the answer is a switch of protocols.
    #[must_use]
    pub fn upgrade(&self) -> Option<DownstreamUpgrade> {
        match self {
            Self::Http1(body) => Some(DownstreamUpgrade { source: UpgradeSource::Http1(body.upgrade()) }),
            Self::Empty | Self::Http2(_) => None,
        }
    }
}

impl DownstreamUpgrade {
    /// What an HTTP/2 stream will become, as it stands in the extensions of its request.
    #[must_use]
    pub const fn of_stream(stream: OnUpgrade) -> Self {
        Self { source: UpgradeSource::Http2(stream) }
    }
}

impl Body for DownstreamBody {
    type Data = Bytes;
    type Error = DownstreamBodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, DownstreamBodyError>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Http1(body) => {
                Pin::new(body).poll_frame(context).map(|frame| frame.map(|frame| frame.map_err(Into::into)))
            }
            Self::Http2(body) => Pin::new(body)
                .poll_frame(context)
                .map(|frame| frame.map(|frame| frame.map_err(DownstreamBodyError::Http2))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Http1(body) => body.is_end_stream(),
            Self::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Http1(body) => body.size_hint(),
            Self::Http2(body) => body.size_hint(),
        }
    }
}

impl Future for DownstreamUpgrade {
    type Output = Result<DownstreamUpgraded, NotUpgraded>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match &mut self.get_mut().source {
            UpgradeSource::Http1(stream) => match ready!(Pin::new(stream).poll(context)) {
                Ok(stream) => Ok(DownstreamUpgraded::Http1(stream)),
                Err(error) => Err(NotUpgraded(error.into())),
            },
            UpgradeSource::Http2(stream) => match ready!(Pin::new(stream).poll(context)) {
                Ok(stream) => Ok(DownstreamUpgraded::Http2(TokioIo::new(stream))),
                Err(error) => Err(NotUpgraded(error.into())),
            },
        })
    }
}

/// Calls a method of whichever stream it is.
macro_rules! either {
    ($upgraded:expr, $stream:ident => $call:expr) => {
        match $upgraded.get_mut() {
            DownstreamUpgraded::Http1(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            DownstreamUpgraded::Http2(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
        }
    };
}

impl AsyncRead for DownstreamUpgraded {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_read(context, buffer))
    }
}

impl AsyncWrite for DownstreamUpgraded {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        either!(self, stream => stream.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, stream => stream.poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Http1(stream) => stream.is_write_vectored(),
            Self::Http2(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_shutdown(context))
    }
}
