//! Owns: the use of a connection for one exchange.
//! Always holds: an HTTP/1.1 connection goes back to its pool only by [`Lease::end`]; a lease that is dropped closes it.

use std::{
    cell::RefCell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::{body::Incoming, client::conn::TrySendError};

use super::{
    connect::Agreed,
    error::ExchangeError,
    framing::Framing,
    http1::{Head, Http1Connection, Http1Exchange, Inward},
    http2::SharedHttp2,
    outgoing::{Outgoing, RequestBody},
    pool::EndpointPool,
    stream::Stream,
};
use crate::http::{Request, Response};

/// A connection, in use by one exchange.
pub(super) struct Lease<B: RequestBody> {
    connection: LeasedConnection<B>,
    fresh: bool,
}

enum LeasedConnection<B: RequestBody> {
    Http1 { exchange: Http1Exchange<B>, pool: Rc<EndpointPool<B>> },
    Http2(StreamLease<B>),
}

/// The head of a response.
pub(super) struct Answer {
    pub(super) response: Response<Source>,
    pub(super) framing: Framing,
    /// Whether the connection has become one for another protocol.
    pub(super) is_switch: bool,
}

/// Where the body of a response comes from.
#[derive(Debug)]
pub(super) enum Source {
    /// From the connection of the lease.
    Http1(Inward),
    /// From a stream.
    Http2(Incoming),
}

/// One stream of a shared connection; counted until it is dropped.
struct StreamLease<B: RequestBody> {
    shared: Rc<SharedHttp2<B>>,
    idle_timeout: Duration,
}

/// How sending failed.
pub(super) enum SendFailure<B: RequestBody> {
    /// Nothing was sent: here is the request again.
    Unsent(Box<Request<Outgoing<B>>>, ExchangeError),
    /// Some of it may have been sent.
    Sent(ExchangeError),
}

impl<B: RequestBody> Lease<B> {
    pub(super) const fn http1(
        connection: Rc<RefCell<Http1Connection>>,
        pool: Rc<EndpointPool<B>>,
        fresh: bool,
    ) -> Self {
        Self { connection: LeasedConnection::Http1 { exchange: Http1Exchange::new(connection), pool }, fresh }
    }

    pub(super) fn http2(shared: Rc<SharedHttp2<B>>, idle_timeout: Duration, fresh: bool) -> Self {
        shared.enter_stream();
        Self { connection: LeasedConnection::Http2(StreamLease { shared, idle_timeout }), fresh }
    }

    /// Whether the connection was opened for this exchange.
    pub(super) const fn is_fresh(&self) -> bool {
        self.fresh
    }

    pub(super) const fn protocol(&self) -> Agreed {
        match self.connection {
            LeasedConnection::Http1 { .. } => Agreed::Http1,
            LeasedConnection::Http2(_) => Agreed::Http2,
        }
    }

    /// Sends `request` and waits for the head of its response.
    pub(super) async fn send(&mut self, request: Box<Request<Outgoing<B>>>) -> Result<Answer, SendFailure<B>> {
        match &mut self.connection {
            LeasedConnection::Http1 { exchange, .. } => exchange.send(request).await.map(Answer::from),
            LeasedConnection::Http2(stream) => {
                let response = stream.shared.sender().borrow_mut().try_send_request((*request).into());
                let response = response.await?;
                stream.shared.hearing().heard();
                let response = Response::from(response).map(Source::Http2);
                let framing = Framing::of(response.head.version, &response.head.fields);
                Ok(Answer { response, framing, is_switch: false })
            }
        }
    }

    /// Notes that a request has waited in vain. An HTTP/1.1 connection is closed then anyway.
    pub(super) fn give_up(&self) {
        if let LeasedConnection::Http2(stream) = &self.connection {
            stream.shared.hearing().give_up();
        }
    }

    /// What comes next of the body of the response.
    pub(super) fn poll_frame(
        &mut self,
        source: &mut Source,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ExchangeError>>> {
        match (source, &mut self.connection) {
            (Source::Http1(inward), LeasedConnection::Http1 { exchange, .. }) => {
                exchange.poll_frame(inward, cx).map_err(ExchangeError::from)
            }
            (Source::Http2(incoming), _) => Pin::new(incoming).poll_frame(cx).map_err(ExchangeError::from),
            (Source::Http1(_), LeasedConnection::Http2(_)) => Poll::Ready(None),
        }
    }

    /// Gives the connection back for other requests, as its exchange has ended in good order; one that is not `reusable` is closed.
    pub(super) fn end(self, reusable: bool) {
        match self.connection {
            LeasedConnection::Http1 { exchange, pool } => exchange.end(pool, reusable),
            LeasedConnection::Http2(stream) => drop(stream),
        }
    }

    /// The connection, which has become one for another protocol, and what was read of that already.
    pub(super) fn into_switched(self) -> Option<(Stream, Bytes)> {
        match self.connection {
            LeasedConnection::Http1 { exchange, .. } => exchange.into_switched(),
            LeasedConnection::Http2(_) => None,
        }
    }
}

impl Source {
    /// No body.
    pub(super) const fn empty() -> Self {
        Self::Http1(Inward::nothing())
    }

    pub(super) fn is_ended(&self) -> bool {
        match self {
            Self::Http1(inward) => inward.is_ended(),
            Self::Http2(incoming) => incoming.is_end_stream(),
        }
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(inward) => inward.size_hint(),
            Self::Http2(incoming) => incoming.size_hint(),
        }
    }
}

impl From<Head> for Answer {
    fn from(head: Head) -> Self {
        let is_switch = head.is_switch();
        Self { response: head.response.map(Source::Http1), framing: head.framing, is_switch }
    }
}

impl<B: RequestBody> Drop for StreamLease<B> {
    fn drop(&mut self) {
        self.shared.leave_stream(self.idle_timeout);
    }
}

impl<B: RequestBody> From<TrySendError<http::Request<Outgoing<B>>>> for SendFailure<B> {
    fn from(mut error: TrySendError<http::Request<Outgoing<B>>>) -> Self {
        match error.take_message() {
            Some(request) => Self::Unsent(Box::new(request.into()), error.into_error().into()),
            None => Self::Sent(error.into_error().into()),
        }
    }
}
