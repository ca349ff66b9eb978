//! Owns: the life of one HTTP/1.1 connection: a request, its answer, the next request.
//! Refuses: a second request before the first is answered; going on behind a message whose end is not known.
//! Always holds: who leaves is noticed while an answer is awaited, and what was begun for it is dropped.

use std::{
    io, mem,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame};

use super::{
    body::Http1Body,
    decoder::Decoded,
    encoder::{self, Framing},
    fault::RequestFault,
    head::{HeadBounds, Said},
    wire::{BodyState, Wire},
};
use crate::{
    http::{Request, Response, ResponseHead},
    in_place,
    server::{
        drive::{ConnectionError, HttpConnection},
        stream::DownstreamStream,
    },
    turn::{Turn, poll_noticing},
};

/// One connection. It ends without an error when either side has ended it in order, or when it was handed over as an upgrade.
pub(in crate::server) struct Http1Connection<S, F, B> {
    wire: Rc<Wire>,
    service: S,
    stage: Stage<F, B>,
    is_closing: bool,
}

/// What is under way.
enum Stage<F, B> {
    /// Waiting for a head.
    Reading,
    /// Waiting for the answer to a request.
    Answering { answer: Pin<Box<F>>, said: Said, keep_alive: bool },
    /// Sending a body.
    Sending(Box<Sending<B>>),
    /// Sending what is left to be sent, and then waiting for whoever still reads the request. As long as somebody does, the answer's
    /// body is held: the request is under way.
    Lingering { body: Option<Box<B>>, keep_alive: bool, turn: Turn },
    /// The last of it is HTTP, what follows is not.
    Switching,
    /// Nothing follows.
    Closing,
}

/// A body on its way.
struct Sending<B> {
    body: B,
    framing: Framing,
    is_ended: bool,
    keep_alive: bool,
}

impl<S, F, B> Http1Connection<S, F, B>
where
    S: Fn(Result<Request<Option<Http1Body>>, RequestFault>) -> F + Unpin,
    F: Future<Output = Response<B>>,
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Serves `stream`; `service` answers, also in the place of a head that is none.
    pub(in crate::server) fn new(stream: DownstreamStream, bounds: HeadBounds, service: S) -> Self {
        let wire = Rc::new(Wire::new(stream, bounds));
        Self { wire, service, stage: Stage::Reading, is_closing: false }
    }

    fn poll_stage(&mut self, context: &mut Context<'_>) -> Poll<Result<Stage<F, B>, ConnectionError>> {
        match &mut self.stage {
            Stage::Reading => {
                if self.is_closing && self.wire.is_at_rest() {
                    return Poll::Ready(Ok(Stage::Closing));
                }
                Poll::Ready(Ok(match ready!(self.wire.poll_head(context))? {
                    None => Stage::Closing,
                    Some(Ok(decoded)) => self.begin(decoded),
                    Some(Err(fault)) => {
                        Stage::Answering { answer: self.answer(Err(fault)), said: Said::default(), keep_alive: false }
                    }
                }))
            }
            Stage::Answering { answer, said, keep_alive } => {
                let (polled, is_polled_again) = poll_noticing(|| answer.as_mut().poll(context));
                let Poll::Ready(response) = polled else {
                    return if is_polled_again { Poll::Pending } else { self.wire.poll_meanwhile(context).map(left) };
                };
                let keep_alive = *keep_alive && !self.is_closing;
                Poll::Ready(send(&self.wire, response, *said, keep_alive, context))
            }
            Stage::Sending(sending) => {
                ready!(sending.poll_send(&self.wire, context))?;
                let Stage::Sending(sending) = mem::replace(&mut self.stage, Stage::Closing) else {
                    return Poll::Ready(Ok(Stage::Closing));
                };
                Poll::Ready(Ok(sending.sent(&self.wire, context)))
            }
            Stage::Lingering { body, keep_alive, turn } => {
                ready!(turn.poll_others(context));
                ready!(self.wire.poll_flush(context))?;
                let state = self.wire.body_state(context);
                if state == BodyState::Held {
                    return Poll::Pending;
                }
                drop(body.take());
                let is_whole = match state {
                    BodyState::Whole => true,
                    BodyState::Left => self.wire.discard_body(context),
                    BodyState::Held | BodyState::Broken => false,
                };
                if !is_whole || !*keep_alive || self.is_closing {
                    return Poll::Ready(Ok(Stage::Closing));
                }
                self.wire.next_request();
                Poll::Ready(Ok(Stage::Reading))
            }
            Stage::Switching | Stage::Closing => Poll::Pending,
        }
    }

    fn answer(&self, request: Result<Request<Option<Http1Body>>, RequestFault>) -> Pin<Box<F>> {
        Box::into_pin(in_place::boxed(|| (self.service)(request)))
    }

    fn begin(&self, decoded: Decoded) -> Stage<F, B> {
        let Decoded { request, said, length } = decoded;
        let keep_alive = !said.close && (!said.is_http10 || said.keep_alive);
        // What has no body and cannot become anything else needs nothing of the connection.
        let needs_wire = length != Some(0) || said.upgrade || said.is_connect;
        let body = needs_wire.then(|| Http1Body::new(Rc::clone(&self.wire), self.wire.number()));
        let answer = self.answer(Ok(Request { head: request, body }));
        Stage::Answering { answer, said, keep_alive }
    }
}

/// What follows when the other side is gone.
fn left<F, B>(gone: io::Result<()>) -> Result<Stage<F, B>, ConnectionError> {
    gone.map(|()| Stage::Closing).map_err(ConnectionError::from)
}

/// Begins to send an answer.
fn send<F, B>(
    wire: &Wire,
    response: Response<B>,
    said: Said,
    mut keep_alive: bool,
    context: &mut Context<'_>,
) -> Result<Stage<F, B>, ConnectionError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let Response { mut head, body } = response;
    let mut body = Some(body);
    let is_101 = head.status.as_u16() == 101;
    if head.status.is_informational() && !(is_101 && said.upgrade) {
        // It would be taken for the first of two answers (RFC 9110 section 15.2), and the next one for the second.
        head = ResponseHead { status: 500_u16.try_into().unwrap_or_default(), ..ResponseHead::default() };
        (body, keep_alive) = (None, false);
    }
    // Behind what cannot be read, or may be sent or not, nothing can be.
    keep_alive &= wire.begin_answer();
    let length = body.as_ref().map_or(Some(0), |body| body.size_hint().exact());
    let framing = wire.write(|output| encoder::write_head(output.gather(), &head, said, length, &mut keep_alive));
    let is_switch = if said.is_connect { head.status.is_success() } else { head.status.as_u16() == 101 };
    Ok(match body {
        _ if is_switch => Stage::Switching,
        Some(body) if !matches!(framing, Framing::Empty | Framing::Length(0)) => {
            let may_be_there = matches!(framing, Framing::Length(_));
            let mut sending = Sending { body, framing, is_ended: false, keep_alive };
            // A body that is there already needs no place to stay.
            if may_be_there && let Poll::Ready(sent) = sending.poll_send(wire, context) {
                sent?;
                sending.sent(wire, context)
            } else {
                Stage::Sending(Box::new(sending))
            }
        }
        _ => Stage::Lingering { body: None, keep_alive, turn: Turn::default() },
    })
}

impl<B> Sending<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Ready when all of it is put in.
    fn poll_send(&mut self, wire: &Wire, context: &mut Context<'_>) -> Poll<Result<(), ConnectionError>> {
        let Self { body, framing, is_ended, .. } = self;
        loop {
            if !wire.write(|output| output.has_room()) {
                ready!(wire.poll_flush(context))?;
            }
            if *is_ended {
                wire.write(|output| framing.end(output, None))?;
                return Poll::Ready(Ok(()));
            }
            let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(context) else {
                // Whoever left gets no end: half an answer must not look like one that ends with its connection.
                return wire
                    .poll_meanwhile(context)
                    .map(|gone| Err(gone.err().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into()).into()));
            };
            *is_ended = take_in(wire, framing, frame)? || body.is_end_stream();
        }
    }

    /// What follows.
    fn sent<F>(self, wire: &Wire, context: &Context<'_>) -> Stage<F, B> {
        let Self { body, keep_alive, .. } = self;
        let is_held = wire.body_state(context) == BodyState::Held;
        Stage::Lingering { body: is_held.then(|| Box::new(body)), keep_alive, turn: Turn::default() }
    }
}

/// Takes in what a body gave; whether that was the last of it.
fn take_in<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    wire: &Wire,
    framing: &mut Framing,
    frame: Option<Result<Frame<Bytes>, E>>,
) -> Result<bool, ConnectionError> {
    let Some(frame) = frame else { return Ok(true) };
    let frame = frame.map_err(|error| ConnectionError::Body(error.into()))?;
    match frame.into_data() {
        Ok(piece) => wire.write(|output| framing.write(output, piece))?,
        Err(frame) => {
            let trailers = frame.into_trailers().ok();
            wire.write(|output| framing.end(output, trailers))?;
            *framing = Framing::Empty;
            return Ok(true);
        }
    }
    Ok(false)
}

impl<S, F, B> Future for Http1Connection<S, F, B>
where
    S: Fn(Result<Request<Option<Http1Body>>, RequestFault>) -> F + Unpin,
    F: Future<Output = Response<B>>,
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Output = Result<(), ConnectionError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        loop {
            match &this.stage {
                Stage::Closing => {
                    ready!(this.wire.poll_flush(context))?;
                    return this.wire.poll_shutdown(context).map_err(ConnectionError::from);
                }
                Stage::Switching => {
                    ready!(this.wire.poll_flush(context))?;
                    this.wire.hand_over();
                    return Poll::Ready(Ok(()));
                }
                _ => this.stage = ready!(this.poll_stage(context))?,
            }
        }
    }
}

impl<S, F, B> HttpConnection for Http1Connection<S, F, B>
where
    S: Fn(Result<Request<Option<Http1Body>>, RequestFault>) -> F + Unpin,
    F: Future<Output = Response<B>>,
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn shut_down(self: Pin<&mut Self>) {
        self.get_mut().is_closing = true;
    }
}

impl<S, F, B> Drop for Http1Connection<S, F, B> {
    fn drop(&mut self) {
        // Whoever still has the body of a request would keep the socket open.
        self.wire.abandon();
    }
}
