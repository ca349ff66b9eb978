//! Owns: the use of a connection for one exchange.
//! Always holds: an HTTP/1.1 connection goes back to its pool only by [`Lease::give_back`]; a lease that is dropped closes it.

use std::{rc::Rc, time::Duration};

use http::{Request, Response};
use hyper::{body::Incoming, client::conn::TrySendError};

use super::{
    connect::Agreed,
    http1::Http1Sender,
    http2::SharedHttp2,
    outgoing::{Outgoing, RequestBody},
    pool::EndpointPool,
};

/// A connection, in use by one exchange.
pub(super) struct Lease<B: RequestBody> {
    connection: LeasedConnection<B>,
    idle_timeout: Duration,
    fresh: bool,
}

enum LeasedConnection<B: RequestBody> {
    Http1 { sender: Http1Sender<B>, pool: Rc<EndpointPool<B>> },
    Http2(StreamLease<B>),
}

/// One stream of a shared connection; counted until it is dropped.
struct StreamLease<B: RequestBody> {
    shared: Rc<SharedHttp2<B>>,
    idle_timeout: Duration,
}

/// How sending failed.
pub(super) enum SendFailure<B: RequestBody> {
    /// Nothing was sent: here is the request again.
    Unsent(Box<Request<Outgoing<B>>>, hyper::Error),
    /// Some of it may have been sent.
    Sent(hyper::Error),
}

impl<B: RequestBody> Lease<B> {
    pub(super) const fn http1(
        sender: Http1Sender<B>,
        pool: Rc<EndpointPool<B>>,
        idle_timeout: Duration,
        fresh: bool,
    ) -> Self {
        Self { connection: LeasedConnection::Http1 { sender, pool }, idle_timeout, fresh }
    }

    pub(super) fn http2(shared: Rc<SharedHttp2<B>>, idle_timeout: Duration, fresh: bool) -> Self {
        shared.enter_stream();
        Self { connection: LeasedConnection::Http2(StreamLease { shared, idle_timeout }), idle_timeout, fresh }
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
    pub(super) async fn send(&mut self, request: Request<Outgoing<B>>) -> Result<Response<Incoming>, SendFailure<B>> {
        let sent = match &mut self.connection {
            LeasedConnection::Http1 { sender, .. } => sender.send(request).await,
            LeasedConnection::Http2(stream) => {
                let response = stream.shared.sender().borrow_mut().try_send_request(request);
                let answered = response.await;
                if answered.is_ok() {
                    stream.shared.hearing().heard();
                }
                answered
            }
        };
        sent.map_err(SendFailure::from)
    }

    /// Notes that a request has waited in vain. An HTTP/1.1 connection is closed then anyway.
    pub(super) fn give_up(&self) {
        if let LeasedConnection::Http2(stream) = &self.connection {
            stream.shared.hearing().give_up();
        }
    }

    /// Gives the connection back for other requests, as its exchange has ended in good order.
    pub(super) fn give_back(self) {
        match self.connection {
            LeasedConnection::Http1 { sender, pool } => pool.keep(sender, self.idle_timeout),
            LeasedConnection::Http2(stream) => drop(stream),
        }
    }
}

impl<B: RequestBody> Drop for StreamLease<B> {
    fn drop(&mut self) {
        self.shared.leave_stream(self.idle_timeout);
    }
}

impl<B: RequestBody> From<TrySendError<Request<Outgoing<B>>>> for SendFailure<B> {
    fn from(mut error: TrySendError<Request<Outgoing<B>>>) -> Self {
        match error.take_message() {
            Some(request) => Self::Unsent(Box::new(request), error.into_error()),
            None => Self::Sent(error.into_error()),
        }
    }
}
