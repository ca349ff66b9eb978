//! One connection to the gateway, over which every frame of a body is in the test's own hands.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::mpsc,
    time::timeout,
};

use super::wait::PATIENCE;

/// Why a body broke off.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// Any body.
pub(crate) type AnyBody = UnsyncBoxBody<Bytes, BoxError>;

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// An open connection.
pub(crate) enum Connection {
    Http1(http1::SendRequest<AnyBody>),
    Http2(http2::SendRequest<AnyBody>),
}

/// An answer, read to its end, trailers included.
#[derive(Debug)]
pub(crate) struct WholeAnswer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
}

impl Protocol {
    /// Its name in ALPN.
    pub(crate) const fn alpn(self) -> &'static str {
        match self {
            Self::Http1 => "http/1.1",
            Self::Http2 => "h2",
        }
    }
}

impl Connection {
    /// Connects in clear.
    pub(crate) async fn open(address: SocketAddr, protocol: Protocol) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        Self::over(stream, protocol).await
    }

    /// Begins `protocol` on a stream that is there already.
    pub(crate) async fn over<S>(stream: S, protocol: Protocol) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let io = TokioIo::new(stream);
        match protocol {
            Protocol::Http1 => {
                let (sender, connection) = http1::handshake(io).await.expect("HTTP/1.1");
                tokio::spawn(connection);
                Self::Http1(sender)
            }
            Protocol::Http2 => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.expect("HTTP/2");
                tokio::spawn(connection);
                Self::Http2(sender)
            }
        }
    }

    /// Sends a request whose URI is absolute, in the form that the protocol wants, and waits for the answer's head.
    pub(crate) async fn send(&mut self, mut request: Request<AnyBody>) -> hyper::Result<Response<Incoming>> {
        match self {
            Self::Http1(sender) => {
                let uri = request.uri().clone();
                if let Some(authority) = uri.authority() {
                    let host = authority.as_str().parse().expect("a host");
                    request.headers_mut().entry("host").or_insert(host);
                }
                let target = uri.path_and_query().expect("a path").as_str();
                *request.uri_mut() = target.parse().expect("a target");
                sender.ready().await?;
                sender.send_request(request).await
            }
            Self::Http2(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }

    /// Sends a request and reads the answer to its end, which must come in time.
    pub(crate) async fn exchange(&mut self, request: Request<AnyBody>) -> WholeAnswer {
        let exchange = async { whole(self.send(request).await.expect("an answer")).await.expect("a whole answer") };
        timeout(PATIENCE, exchange).await.expect("an answer in time")
    }
}

/// Reads an answer to its end, which must come in time.
pub(crate) async fn whole(response: Response<Incoming>) -> hyper::Result<WholeAnswer> {
    let (parts, body) = response.into_parts();
    let collected = timeout(PATIENCE, body.collect()).await.expect("the end in time")?;
    let trailers = collected.trailers().cloned();
    Ok(WholeAnswer { status: parts.status.as_u16(), headers: parts.headers, body: collected.to_bytes(), trailers })
}

/// No body.
pub(crate) fn empty() -> AnyBody {
    bytes("")
}

/// A body of known length.
pub(crate) fn bytes(bytes: impl Into<Bytes>) -> AnyBody {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A body of these frames, whose length is not told beforehand.
pub(crate) fn frames(frames: Vec<Frame<Bytes>>) -> AnyBody {
    StreamBody::new(futures_util::stream::iter(frames.into_iter().map(Ok))).boxed_unsync()
}

/// The hand that sends a body piece by piece; letting go of it ends the body.
pub(crate) struct Pieces(mpsc::Sender<Result<Frame<Bytes>, BoxError>>);

impl Pieces {
    /// Sends a piece, as soon as the one before it was taken.
    pub(crate) async fn send(&self, piece: impl Into<Bytes>) {
        self.try_send(piece).await.expect("somebody takes it");
    }

    /// Sends a piece; an error if nobody wants the body any more.
    pub(crate) async fn try_send(&self, piece: impl Into<Bytes>) -> Result<(), String> {
        self.0.send(Ok(Frame::data(piece.into()))).await.map_err(|_| "nobody takes it".to_owned())
    }

    /// Breaks the body off.
    pub(crate) async fn abort(self) {
        // Whoever reads it may have gone already.
        let _ = self.0.send(Err("broken off by the test".into())).await;
    }
}

/// A body that is sent piece by piece.
pub(crate) fn piecewise() -> (Pieces, AnyBody) {
    let (sender, receiver) = mpsc::channel(1);
    let pieces = futures_util::stream::unfold(receiver, |mut receiver| async move {
        let piece = receiver.recv().await?;
        Some((piece, receiver))
    });
    (Pieces(sender), StreamBody::new(pieces).boxed_unsync())
}

/// A body of `count` pieces, each of these bytes. `taken` is told of each that was asked for.
pub(crate) fn repeated(piece: Bytes, count: usize, taken: impl Fn(usize) + Send + 'static) -> AnyBody {
    let pieces = futures_util::stream::iter((0..count).map(move |_| {
        taken(piece.len());
        Ok(Frame::data(piece.clone()))
    }));
    StreamBody::new(pieces).boxed_unsync()
}
