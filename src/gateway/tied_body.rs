//! Owns: the body of an answer that ends with the token that it was asked for with.
//! Refuses: looking complete when it was cut: it fails, or, where gRPC has a word for it, says so in its trailers.
//! Always holds: nothing passes once the token has ended; without a tie it is the body itself.

use std::{
    error::Error,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use thiserror::Error;

use super::lifeline::{Lifeline, Part};
use crate::{auth::VerifyError, http::GrpcStatus};

type BoxError = Box<dyn Error + Send + Sync>;

/// The body of an upstream's answer, perhaps tied to a token.
pub struct TiedBody<B> {
    body: B,
    tie: Option<Lifeline>,
    grpc: bool,
    over: bool,
}

/// The token ended before what it was good for did.
#[derive(Debug, Error)]
#[error("the token ended first")]
pub(super) struct TokenEnded(#[source] pub(super) VerifyError);

impl<B> TiedBody<B> {
    /// `body`, cut when `tie` says so: by trailers if it is `grpc`, or else by an error.
    pub(super) const fn new(body: B, tie: Option<Lifeline>, grpc: bool) -> Self {
        Self { body, tie, grpc, over: false }
    }
}

impl<B> Body for TiedBody<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        if this.over {
            return Poll::Ready(None);
        }
        if let Some(tie) = &this.tie
            && !this.body.is_end_stream()
            && let Poll::Ready(error) = tie.poll_end(Part::Response, context)
        {
            tie.note_cut();
            this.over = true;
            return Poll::Ready(Some(if this.grpc {
                Ok(Frame::trailers(GrpcStatus::Unauthenticated.trailers("The token has ended.")))
            } else {
                Err(Box::new(TokenEnded(error)))
            }));
        }
        Pin::new(&mut this.body).poll_frame(context).map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.over || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
