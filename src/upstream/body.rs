//! Owns: the body of a response on its way back, and with it the use of the connection.
//! Always holds: the connection is given back when the body has ended in good order, by whoever polled the last of it; a body
//! that is dropped before its end closes the connection (HTTP/1.1) or resets the stream (HTTP/2).

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::{
    endpoint::UnderWay,
    error::ExchangeError,
    lease::{Lease, Source},
    outgoing::RequestBody,
};

/// The body of an upstream's response.
pub struct UpstreamBody<B: RequestBody> {
    source: Source,
    exchange: Option<Exchange<B>>,
}

/// What is held until the body has ended.
pub(super) struct Exchange<B: RequestBody> {
    pub(super) lease: Lease<B>,
    pub(super) reusable: bool,
    pub(super) under_way: UnderWay,
}

impl<B: RequestBody> UpstreamBody<B> {
    pub(super) fn new(source: Source, exchange: Exchange<B>) -> Self {
        let mut body = Self { source, exchange: Some(exchange) };
        if body.source.is_ended() {
            body.end();
        }
        body
    }

    /// No body, which holds nothing: the connection has become something else.
    pub(super) const fn detached() -> Self {
        Self { source: Source::empty(), exchange: None }
    }

    fn end(&mut self) {
        if let Some(Exchange { lease, reusable, under_way }) = self.exchange.take() {
            drop(under_way);
            lease.end(reusable);
        }
    }
}

impl<B: RequestBody> Body for UpstreamBody<B> {
    type Data = Bytes;
    type Error = ExchangeError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ExchangeError>>> {
        let this = self.get_mut();
        let Some(exchange) = &mut this.exchange else { return Poll::Ready(None) };
        let frame = ready!(exchange.lease.poll_frame(&mut this.source, cx));
        match &frame {
            Some(Err(_)) => drop(this.exchange.take()),
            // Nothing follows trailers (RFC 9112 section 7.1.2), and many a reader does not ask whether something does.
            Some(Ok(frame)) if frame.is_trailers() || this.source.is_ended() => this.end(),
            Some(Ok(_)) => {}
            None => this.end(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.source.is_ended()
    }

    fn size_hint(&self) -> SizeHint {
        self.source.size_hint()
    }
}

impl<B: RequestBody> std::fmt::Debug for UpstreamBody<B> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("UpstreamBody").field("source", &self.source).finish_non_exhaustive()
    }
}
