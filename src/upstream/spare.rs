//! Owns: what it takes to make a request once more: its head, and its body as far as it is kept.
//! Refuses: a request whose body is lost.
//! Always holds: the request made again is the one that was made first, byte for byte.

use http::Extensions;

use super::{
    outgoing::{Outgoing, RequestBody},
    replay::Replay,
    retry::{RetryPolicy, is_idempotent},
};
use crate::http::{Request, RequestHead};

/// A request that may be made again.
pub(super) struct Spare<B> {
    head: RequestHead,
    /// None: the request has no body.
    body: Option<Replay<B>>,
}

impl<B: RequestBody> Spare<B> {
    /// A request to send, and what it takes to send it again, unless nothing could come of that. `may_refuse`: whether an endpoint may
    /// say that it did nothing with what it was sent, which only HTTP/2 can.
    pub(super) fn of(
        request: Request<B>,
        policy: &RetryPolicy,
        may_refuse: bool,
    ) -> (Request<Outgoing<B>>, Option<Self>) {
        let Request { head, body } = request;
        let is_of_use = policy.may_send_again(&head.method, may_refuse);
        if !is_of_use || body.size_hint().lower() > policy.most_body_bytes {
            return (Request { head, body: Outgoing::new(body) }, None);
        }
        // What else the protocol of the caller says of it is said once.
        let again = RequestHead { extensions: Extensions::new(), ..head.clone() };
        if body.is_end_stream() {
            return (Request { head, body: Outgoing::new(body) }, Some(Self { head: again, body: None }));
        }
        let replay = Replay::new(body, policy.most_body_bytes);
        let outgoing = Outgoing::replayed(replay.first());
        (Request { head, body: outgoing }, Some(Self { head: again, body: Some(replay) }))
    }

    /// Whether making it twice is as good as making it once.
    pub(super) fn is_idempotent(&self) -> bool {
        is_idempotent(&self.head.method)
    }

    /// Whether its body is still there.
    pub(super) fn is_whole(&self) -> bool {
        self.body.as_ref().is_none_or(Replay::is_whole)
    }

    /// Whether all of it is on its way: what is answered now will not break off for want of the rest.
    pub(super) fn is_sent(&self) -> bool {
        self.body.as_ref().is_none_or(Replay::is_read)
    }

    /// The request once more, if its body is still there.
    pub(super) fn request(&self) -> Option<Request<Outgoing<B>>> {
        let body = match &self.body {
            None => Outgoing::empty(),
            Some(replay) => Outgoing::replayed(replay.reader()?),
        };
        Some(Request { head: self.head.clone(), body })
    }
}
