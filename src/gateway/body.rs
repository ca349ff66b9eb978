//! Owns: the bodies that pass through the gateway, each with its meter.
//! Always holds: nothing is gathered: a frame goes on as it came, trailers included.

use std::{
    cell::Cell,
    error::Error,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{Full, combinators::UnsyncBoxBody};

use super::{
    lifeline::{Lifeline, Part},
    record::Record,
    tied_body::{TiedBody, TokenEnded},
    worker::InForce,
};
use crate::{
    http::{BodyEnd, BodyError, Fields, MeteredBody, OnBodyEnd, headers::strip_trailers},
    server::DownstreamBody,
    upstream::UpstreamBody,
};

/// A request's body on its way to the upstream. Its trailers go through the same hands as its headers: whoever may not say
/// who calls in the one may not say it in the other (RFC 9110 section 6.5.1).
pub struct RequestBody {
    body: MeteredBody<DownstreamBody, RequestBytes>,
    snapshot: Rc<InForce>,
    tie: Option<Lifeline>,
}

impl RequestBody {
    pub(super) const fn new(
        body: MeteredBody<DownstreamBody, RequestBytes>,
        snapshot: Rc<InForce>,
        tie: Option<Lifeline>,
    ) -> Self {
        Self { body, snapshot, tie }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if let Some(tie) = &this.tie
            && !this.body.is_end_stream()
            && let Poll::Ready(error) = tie.poll_end(Part::Request, cx)
        {
            tie.note_cut();
            return Poll::Ready(Some(Err(BodyError::Failed(Box::new(TokenEnded(error))))));
        }
        let mut frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
        if let Some(Ok(frame)) = &mut frame
            && let Some(trailers) = frame.trailers_mut()
        {
            let mut fields = Fields::from(std::mem::take(trailers));
            strip_trailers(&mut fields);
            this.snapshot.identity_headers.strip(&mut fields);
            *trailers = fields.into();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Where the length of a request's body is noted for the log. Of what has no body nothing is noted.
#[derive(Clone, Debug, Default)]
pub struct RequestBytes {
    bytes: Option<Rc<Cell<u64>>>,
}

impl RequestBytes {
    /// For a request with a body.
    pub(super) fn of_body() -> Self {
        Self { bytes: Some(Rc::default()) }
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.bytes.as_ref().map_or(0, |bytes| bytes.get())
    }
}

impl OnBodyEnd for RequestBytes {
    fn body_ended(self, end: BodyEnd) {
        if let Some(bytes) = self.bytes {
            bytes.set(end.bytes);
        }
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

/// What the management of a token endpoint says: a text, or a list that is fetched while it is sent.
pub struct ManagedBody {
    body: UnsyncBoxBody<Bytes, Box<dyn Error + Send + Sync>>,
}

impl ManagedBody {
    pub(super) const fn new(body: UnsyncBoxBody<Bytes, Box<dyn Error + Send + Sync>>) -> Self {
        Self { body }
    }
}

impl Body for ManagedBody {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A response's body on its way to downstream. It is handed on some ten times, and so it is boxed where it is large.
pub enum ResponseBody {
    /// What the upstream sends.
    Forwarded(Box<ForwardedBody>),
    /// What the gateway itself says.
    Own(MeteredBody<Full<Bytes>, ResponseEnd>),
    /// What the management of a token endpoint says.
    Managed(Box<MeteredBody<ManagedBody, ResponseEnd>>),
}

type ForwardedBody = MeteredBody<TiedBody<UpstreamBody<RequestBody>>, ResponseEnd>;

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.get_mut() {
            Self::Forwarded(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            Self::Own(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            Self::Managed(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Forwarded(body) => body.is_end_stream(),
            Self::Own(body) => body.is_end_stream(),
            Self::Managed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Forwarded(body) => body.size_hint(),
            Self::Own(body) => body.size_hint(),
            Self::Managed(body) => body.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::in_place;

    #[test]
    fn each_answer_of_an_upstream_has_one_of_a_size_that_is_at_hand() {
        assert!(in_place::is_at_hand(size_of::<ForwardedBody>()), "{}", size_of::<ForwardedBody>());
    }
}
