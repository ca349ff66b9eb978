//! Owns: one request and its response over an HTTP/1.1 connection.
//! Refuses: a connection that is not at rest.
//! Always holds: a request that was not sent is given back; the connection is used again only when request and response have both
//! ended, and neither side wants it closed.

use std::{
    cell::RefCell,
    future::poll_fn,
    mem,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::Method;
use http_body::Frame;

use super::{
    super::{
        lease::SendFailure,
        outgoing::{Outgoing, RequestBody},
        pool::EndpointPool,
        stream::Stream,
    },
    Http1Connection, Http1Error,
    body_in::{Inward, Step},
    body_out::Sending,
    connection::Behind,
    head_in::{Head, HeadIn},
    head_out::{self, Outward},
    rest::Rest,
};
use crate::{
    http::Request,
    received::{LARGEST_READ, READ_OF_HEAD},
    turn::Turn,
};

/// The most that may be read between a request and its response, in bytes: the largest head and the beginning of a body as large
/// as what is read at once, and as much again for interim responses, of which there are seldom more than one.
const MOST_UNANSWERED: usize = 384 * 1024;

/// One request and its response over a connection.
pub(in super::super) struct Http1Exchange<B: RequestBody> {
    connection: Rc<RefCell<Http1Connection>>,
    /// The request's body, until it was sent or the response begins.
    sending: Option<Box<Sending<B>>>,
    /// The request's body, if the response began first.
    rest: Option<Rest<B>>,
    persists: bool,
}

/// A response that is being waited for.
struct Awaited {
    head: HeadIn,
    /// Bytes that were read since the request.
    heard: usize,
    /// Whether it was asked for before: then whoever asks was presumably woken for it.
    is_expected: bool,
    /// Why not all of the request could be written. What the other side has said before counts nevertheless.
    unwritten: Option<Http1Error>,
}

impl<B: RequestBody> Http1Exchange<B> {
    pub(in super::super) const fn new(connection: Rc<RefCell<Http1Connection>>) -> Self {
        Self { connection, sending: None, rest: None, persists: false }
    }

    /// Sends `request` and waits for the head of its response.
    pub(in super::super) async fn send(
        &mut self,
        mut request: Box<Request<Outgoing<B>>>,
    ) -> Result<Head, SendFailure<B>> {
        if !self.begin(&mut request) {
            return Err(SendFailure::Unsent(request, Http1Error::NotAtRest.into()));
        }
        let is_whole = self.sending.is_none();
        let head = HeadIn::new(request.head.method == Method::HEAD);
        let mut awaited = Awaited { head, heard: 0, is_expected: false, unwritten: None };
        let mut turn = Turn::default();
        let answered = poll_fn(|cx| {
            ready!(turn.poll_others(cx));
            self.poll_answer(cx, &mut awaited)
        })
        .await;
        let head = match answered {
            Ok(head) => head,
            Err(error) => {
                let is_unsent = is_whole && self.connection.borrow().is_untouched();
                return Err(match error {
                    Http1Error::Write(_) if is_unsent => SendFailure::Unsent(request, error.into()),
                    error => SendFailure::Sent(error.into()),
                });
            }
        };
        self.persists = self.persists && head.persists;
        if let Some(sending) = self.sending.take() {
            if head.is_switch() {
                return Err(SendFailure::Sent(Http1Error::SwitchedEarly.into()));
            }
            self.rest = Some(Rest::send(&self.connection, sending));
        }
        Ok(head)
    }

    /// Makes the request ready to be written; `false` if the connection cannot be used.
    fn begin(&mut self, request: &mut Request<Outgoing<B>>) -> bool {
        let mut connection = self.connection.borrow_mut();
        if !connection.is_at_rest() {
            return false;
        }
        let written = head_out::write(request, connection.begin());
        self.persists = !written.closes;
        if written.framing != Outward::Nothing {
            let body = mem::replace(&mut request.body, Outgoing::empty());
            self.sending = Some(Box::new(Sending::new(body, written.framing)));
        }
        true
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>, awaited: &mut Awaited) -> Poll<Result<Head, Http1Error>> {
        let mut connection = self.connection.borrow_mut();
        if awaited.unwritten.is_none() {
            let sent = match &mut self.sending {
                Some(sending) => sending.poll_send(cx, &mut connection),
                None => connection.poll_write(cx, &mut Behind::default()).map_err(Http1Error::Write),
            };
            match sent {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => self.sending = None,
                // What it said before it had anything of the request is no answer.
                Poll::Ready(Err(error @ Http1Error::Write(_))) if connection.may_have_written() => {
                    (self.sending, self.persists) = (None, false);
                    awaited.unwritten = Some(error);
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            }
        }
        // It takes a while.
        if !mem::replace(&mut awaited.is_expected, true) {
            ready!(connection.poll_something(cx));
        }
        loop {
            let read = match connection.poll_read(cx, READ_OF_HEAD) {
                Poll::Ready(Ok(0)) => Err(Http1Error::Closed),
                Poll::Ready(read) => read,
                // Also when not all could be written: what it said before may be there, and not known of yet.
                Poll::Pending => return Poll::Pending,
            };
            let read = read.map_err(|error| awaited.unwritten.take().unwrap_or(error))?;
            awaited.heard = awaited.heard.saturating_add(read);
            if awaited.heard > MOST_UNANSWERED {
                return Poll::Ready(Err(Http1Error::TooMuchSaid));
            }
            if let Some(head) = awaited.head.take(&mut connection.read)? {
                return Poll::Ready(Ok(head));
            }
            // Whoever sends it may take their time.
            connection.read.copy_off();
        }
    }

    /// What comes next of the response's body.
    pub(in super::super) fn poll_frame(
        &mut self,
        inward: &mut Inward,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Http1Error>>> {
        if let Some(rest) = &self.rest
            && let Poll::Ready(error) = rest.poll_failure(cx)
        {
            return Poll::Ready(Some(Err(error)));
        }
        let mut connection = self.connection.borrow_mut();
        loop {
            match inward.next(&mut connection.read)? {
                Step::Frame(frame) => return Poll::Ready(Some(Ok(frame))),
                Step::End => return Poll::Ready(None),
                Step::More => {}
            }
            if ready!(connection.poll_read(cx, LARGEST_READ))? == 0 {
                inward.close()?;
            }
        }
    }

    /// Gives the connection to `pool`, as the response has ended in good order, if it can be used again: at once, or when the rest of the
    /// request was sent.
    pub(in super::super) fn end(self, pool: Rc<EndpointPool<B>>, is_reusable: bool) {
        let is_reusable = is_reusable && self.persists;
        match self.rest {
            Some(rest) if !rest.is_sent() => rest.go_on(is_reusable.then_some(pool)),
            _ if is_reusable => pool.keep(self.connection),
            _ => {}
        }
    }

    /// The connection, which is one for another protocol now, and what was read of that already.
    pub(in super::super) fn into_switched(self) -> Option<(Stream, Bytes)> {
        let connection = Rc::try_unwrap(self.connection).ok()?;
        Some(connection.into_inner().into_parts())
    }
}
