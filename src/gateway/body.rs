//! Owns: the bodies that pass through the gateway, each with its meter.
//! Always holds: nothing is gathered: a frame goes on as it came, trailers included.

use std::{
    cell::Cell,
    error::Error,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;

use super::record::Record;
use crate::{
    http::{BodyEnd, MeteredBody, OnBodyEnd},
    upstream::UpstreamBody,
};

/// A request's body on its way to the upstream.
pub type RequestBody = MeteredBody<Incoming, RequestBytes>;

/// Where the length of a request's body is noted for the log.
#[derive(Clone, Debug, Default)]
pub struct RequestBytes {
    bytes: Rc<Cell<u64>>,
}

impl RequestBytes {
    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.bytes.get()
    }
}

impl OnBodyEnd for RequestBytes {
    fn body_ended(self, end: BodyEnd) {
        self.bytes.set(end.bytes);
    }
}

/// The log line of an exchange, written when the response's body has ended.
#[derive(Debug)]
pub struct ResponseEnd {
    record: Box<Record>,
}

impl ResponseEnd {
    pub(super) const fn new(record: Box<Record>) -> Self {
        Self { record }
    }
}

impl OnBodyEnd for ResponseEnd {
    fn body_ended(mut self, end: BodyEnd) {
        self.record.response_ended(end);
    }
}

/// A response's body on its way to downstream.
pub enum ResponseBody {
    /// What the upstream sends.
    Forwarded(MeteredBody<UpstreamBody<RequestBody>, ResponseEnd>),
    /// What the gateway itself says.
    Own(MeteredBody<Full<Bytes>, ResponseEnd>),
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.get_mut() {
            Self::Forwarded(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            Self::Own(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Forwarded(body) => body.is_end_stream(),
            Self::Own(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Forwarded(body) => body.size_hint(),
            Self::Own(body) => body.size_hint(),
        }
    }
}
