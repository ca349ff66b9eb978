//! Owns: the body of a request as it is given to whoever answers.
//! Always holds: it is read from the connection when it is asked for, and no sooner; who lets go of it unread tells the connection; none is
//! read by who has that of an earlier request.

use std::{
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use thiserror::Error;
use tokio::sync::oneshot;

use super::wire::Wire;
use crate::{read_ahead::ReadAhead, server::stream::DownstreamStream};

/// The body of a request over HTTP/1.1, and what belongs to its connection.
#[derive(Debug)]
pub struct Http1Body {
    wire: Rc<Wire>,
    /// The number of its request.
    number: u64,
}

/// Why a body did not come whole.
#[derive(Debug, Error)]
pub enum Http1BodyError {
    /// What frames it could be read in more than one way, or in none (RFC 9112 section 7.1).
    #[error("the body is not framed as RFC 9112 has it")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The other side ended before it was whole.
    #[error("the connection ended before the body was whole")]
    Ended,
    /// The connection failed.
    #[error("the connection failed")]
    Io(#[source] io::Error),
}

impl Http1Body {
    pub(super) const fn new(wire: Rc<Wire>, number: u64) -> Self {
        Self { wire, number }
    }

    /// Where the stream will be handed over if the answer is a switch of protocols.
    pub(in crate::server) fn upgrade(&self) -> oneshot::Receiver<ReadAhead<DownstreamStream>> {
        self.wire.upgrade(self.number)
    }
}

impl Body for Http1Body {
    type Data = Bytes;
    type Error = Http1BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Http1BodyError>>> {
        Poll::Ready(ready!(self.wire.poll_frame(self.number, context)).transpose())
    }

    fn is_end_stream(&self) -> bool {
        self.wire.body_left(self.number).0
    }

    fn size_hint(&self) -> SizeHint {
        self.wire.body_left(self.number).1.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for Http1Body {
    fn drop(&mut self) {
        self.wire.body_dropped(self.number);
    }
}
