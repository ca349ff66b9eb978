//! Owns: what it takes to make a request once more: its head, and its body as far as it is kept.
//! Refuses: a request whose body is lost.
//! Always holds: the request made again is the one that was made first, byte for byte.

use http::{HeaderMap, Method, Request, Uri};

use super::{
    outgoing::{Outgoing, RequestBody},
    replay::Replay,
    retry::{RetryPolicy, is_idempotent},
};

/// A request that may be made again.
pub(super) struct Spare<B> {
    method: Method,
    target: Uri,
    headers: HeaderMap,
    /// None: the request has no body.
    body: Option<Replay<B>>,
}

impl<B: RequestBody> Spare<B> {
    /// A request to send, and what it takes to send it again, unless nothing could come of that.
    pub(super) fn of(request: Request<B>, policy: &RetryPolicy) -> (Request<Outgoing<B>>, Option<Self>) {
        let (parts, body) = request.into_parts();
        if body.size_hint().lower() > policy.most_body_bytes {
            return (Request::from_parts(parts, Outgoing::new(body)), None);
        }
        let head = |body| Self {
            method: parts.method.clone(),
            target: parts.uri.clone(),
            headers: parts.headers.clone(),
            body,
        };
        if body.is_end_stream() {
            let spare = head(None);
            return (Request::from_parts(parts, Outgoing::new(body)), Some(spare));
        }
        let replay = Replay::new(body, policy.most_body_bytes);
        let (spare, outgoing) = (head(Some(replay.clone())), Outgoing::replayed(replay.first()));
        (Request::from_parts(parts, outgoing), Some(spare))
    }

    /// Whether making it twice is as good as making it once.
    pub(super) fn is_idempotent(&self) -> bool {
        is_idempotent(&self.method)
    }

    /// The request once more, if its body is still there.
    pub(super) fn request(&self) -> Option<Request<Outgoing<B>>> {
        let body = match &self.body {
            None => Outgoing::empty(),
            Some(replay) => Outgoing::replayed(replay.reader()?),
        };
        let mut request = Request::new(body);
        request.method_mut().clone_from(&self.method);
        request.uri_mut().clone_from(&self.target);
        request.headers_mut().clone_from(&self.headers);
        Some(request)
    }
}
