//! Owns: what it takes to make a request once more: its head, and its body as far as it is kept.
//! Refuses: a request whose body is lost.
//! Always holds: the request made again is the one that was made first, byte for byte.

use http::Extensions;
use http_body::Body as _;

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
    /// What it takes to send `request` again, of which nothing was sent, unless nothing could come of that. `may_refuse`: whether an
    /// endpoint may say that it did nothing with what it was sent, which only HTTP/2 can.
    pub(super) fn of(request: &mut Request<Outgoing<B>>, policy: &RetryPolicy, may_refuse: bool) -> Option<Self> {
        let Request { head, body } = request;
        let is_of_use = policy.may_send_again(&head.method, may_refuse);
        if !is_of_use || body.size_hint().lower() > policy.most_body_bytes {
            return None;
        }
        let replay = body.take_once().map(|body| Replay::new(body, policy.most_body_bytes));
        if let Some(replay) = &replay {
            *body = Outgoing::replayed(replay.first());
        }
        // What else the protocol of the caller says of it is said once.
        let head = RequestHead { extensions: Extensions::new(), ..head.clone() };
        Some(Self { head, body: replay })
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
