//! Owns: the stream of one connection with what was received and what is to be written, shared by the connection and the body of
//! the request that is under way on it.
//! Refuses: being read by two at a time: until a request's body is whole it is read by whoever has the body, then by the connection.
//! Always holds: whoever waits for the other is woken.

use std::{
    cell::RefCell,
    io, mem,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use bytes::Bytes;
use http_body::Frame;
use tokio::{io::AsyncWrite as _, sync::oneshot};

use super::{
    body::Http1BodyError,
    decoder::{Decoded, Decoder},
    fault::RequestFault,
    head::HeadBounds,
    output::Output,
};
use crate::{
    read_ahead::ReadAhead,
    received::{LARGEST_READ, READ_OF_HEAD},
    server::stream::DownstreamStream,
};

/// The most that is read ahead of an answer.
const MOST_AHEAD: usize = 64 * 1024;

/// How much of that is read at once.
const READ_AHEAD: usize = 16 * 1024;

/// An answer to whoever waits before sending a body (RFC 9110 section 15.2.1).
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The shared part of a connection.
#[derive(Debug)]
pub(super) struct Wire {
    inner: RefCell<Inner>,
}

struct Inner {
    /// Gone when it was handed over.
    stream: Option<DownstreamStream>,
    decoder: Decoder,
    output: Output,
    /// The number of the request that is under way.
    number: u64,
    /// Whether somebody still has the body of the request.
    body_is_held: bool,
    /// Whether the sender of the body waits to be told to send it.
    continue_awaited: bool,
    /// Whether the next head was waited for: whoever is asked for it then was presumably woken for it.
    head_awaited: bool,
    /// Whether an answer has begun: then nothing may be said before it any more.
    answer_begun: bool,
    /// Who reads the body, if it waits for more.
    reader: Option<Waker>,
    /// The connection, if it waits for the body.
    connection: Option<Waker>,
    upgrade: Option<oneshot::Sender<ReadAhead<DownstreamStream>>>,
}

/// How it stands with the body of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyState {
    /// All of it was read.
    Whole,
    /// Somebody is reading it.
    Held,
    /// Nobody is, and some of it was not read.
    Left,
    /// Nothing can be read behind it.
    Broken,
}

impl Wire {
    pub(super) fn new(stream: DownstreamStream, bounds: HeadBounds) -> Self {
        let inner = Inner {
            stream: Some(stream),
            decoder: Decoder::new(bounds),
            output: Output::default(),
            number: 0,
            body_is_held: false,
            continue_awaited: false,
            head_awaited: false,
            answer_begun: false,
            reader: None,
            connection: None,
            upgrade: None,
        };
        Self { inner: RefCell::new(inner) }
    }

    /// The next head; nothing at the end. What stands before the end and is no head is none.
    pub(super) fn poll_head(
        &self,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<Option<Result<Decoded, RequestFault>>>> {
        let mut inner = self.inner.borrow_mut();
        loop {
            match inner.decoder.head() {
                Ok(None) => {}
                Ok(Some(decoded)) => {
                    inner.body_is_held = inner.decoder.is_in_body();
                    inner.continue_awaited =
                        inner.body_is_held && decoded.said.expects_continue && !decoded.said.is_http10;
                    return Poll::Ready(Ok(Some(Ok(decoded))));
                }
                Err(fault) => return Poll::Ready(Ok(Some(Err(fault)))),
            }
            if !mem::replace(&mut inner.head_awaited, true) {
                ready!(inner.poll_something(context));
            }
            if ready!(inner.poll_receive(context, READ_OF_HEAD))? == 0 {
                return Poll::Ready(Ok(None));
            }
            inner.head_awaited = false;
        }
    }

    /// The next frame of the body; nothing behind its end.
    pub(super) fn poll_frame(
        &self,
        number: u64,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Frame<Bytes>>, Http1BodyError>> {
        let mut inner = self.inner.borrow_mut();
        let inner = &mut *inner;
        if inner.number != number {
            return Poll::Ready(Ok(None));
        }
        loop {
            let frame = inner.decoder.frame();
            if !inner.decoder.is_in_body() {
                inner.body_is_held = false;
                inner.wake_connection(Some(context));
            }
            match frame {
                Err(broken) => {
                    if let Some(stream) = &inner.stream {
                        stream.activity().framing_broke();
                    }
                    return Poll::Ready(Err(Http1BodyError::Broken(broken.into())));
                }
                Ok(Some(frame)) => {
                    inner.continue_awaited = false;
                    return Poll::Ready(Ok(Some(frame)));
                }
                Ok(None) if !inner.decoder.is_in_body() => {
                    return Poll::Ready(if inner.decoder.is_nowhere() { Err(Http1BodyError::Ended) } else { Ok(None) });
                }
                Ok(None) => {}
            }
            if inner.continue_awaited && !inner.answer_begun {
                inner.continue_awaited = false;
                inner.output.gather().extend_from_slice(CONTINUE);
                if inner.poll_flush(context).is_pending() {
                    inner.wake_connection(None);
                }
            }
            let Poll::Ready(received) = inner.poll_receive(context, LARGEST_READ) else {
                inner.reader = Some(context.waker().clone());
                return Poll::Pending;
            };
            match received {
                Ok(0) => {
                    inner.decoder.give_up();
                    return Poll::Ready(Err(Http1BodyError::Ended));
                }
                Ok(_) => {}
                Err(error) => {
                    inner.decoder.give_up();
                    return Poll::Ready(Err(Http1BodyError::Io(error)));
                }
            }
        }
    }

    /// An answer begins; whether another request may be read behind this one.
    pub(super) fn begin_answer(&self) -> bool {
        let mut inner = self.inner.borrow_mut();
        inner.answer_begun = true;
        !inner.continue_awaited && !inner.decoder.is_nowhere()
    }

    /// The connection is over. Whoever still reads the body is told so.
    pub(super) fn abandon(&self) {
        let mut inner = self.inner.borrow_mut();
        inner.decoder.give_up();
        let reader = inner.reader.take();
        let (stream, upgrade) = (inner.stream.take(), inner.upgrade.take());
        drop(inner);
        drop((stream, upgrade));
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Whether all of the body has been given out, and how many bytes are left of it, if that was said.
    pub(super) fn body_left(&self, number: u64) -> (bool, Option<u64>) {
        let inner = self.inner.borrow();
        if inner.number != number {
            return (true, Some(0));
        }
        (!inner.decoder.is_in_body() && !inner.decoder.is_nowhere(), inner.decoder.left())
    }

    /// Nobody will read the rest of the body.
    pub(super) fn body_dropped(&self, number: u64) {
        let mut inner = self.inner.borrow_mut();
        if inner.number == number {
            inner.body_is_held = false;
            inner.wake_connection(None);
        }
    }

    /// How it stands with the body; whoever asks is woken when that changes.
    pub(super) fn body_state(&self, context: &Context<'_>) -> BodyState {
        let mut inner = self.inner.borrow_mut();
        if inner.decoder.is_nowhere() {
            BodyState::Broken
        } else if !inner.decoder.is_in_body() {
            BodyState::Whole
        } else if inner.body_is_held {
            inner.connection = Some(context.waker().clone());
            BodyState::Held
        } else {
            BodyState::Left
        }
    }

    /// Reads away what is left of a body that nobody reads, as far as it has come; whether it is whole then.
    pub(super) fn discard_body(&self, context: &mut Context<'_>) -> bool {
        let mut inner = self.inner.borrow_mut();
        let mut received = 0_usize;
        loop {
            while let Ok(Some(_)) = inner.decoder.frame() {}
            if !inner.decoder.is_in_body() {
                return !inner.decoder.is_nowhere();
            }
            // Whoever has been told to wait may send nothing, and whoever sends a lot is not worth the while.
            if inner.continue_awaited || received > MOST_AHEAD {
                return false;
            }
            match inner.poll_receive(context, LARGEST_READ) {
                Poll::Ready(Ok(bytes @ 1..)) => received = received.saturating_add(bytes),
                Poll::Ready(_) | Poll::Pending => return false,
            }
        }
    }

    /// Goes on to the next request.
    pub(super) fn next_request(&self) {
        let mut inner = self.inner.borrow_mut();
        inner.decoder.next();
        inner.number = inner.number.wrapping_add(1);
        (inner.answer_begun, inner.reader) = (false, None);
        inner.upgrade = None;
        // What was read ahead may be the beginning of a head.
        if inner.decoder.held() > 0
            && let Some(stream) = &inner.stream
        {
            stream.activity().bytes_received();
        }
    }

    /// Reads ahead, to learn whether the other side is still there; ready when it is not. To be called when the body is whole.
    pub(super) fn poll_gone(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.inner.borrow_mut();
        while inner.decoder.held() < MOST_AHEAD {
            ready!(inner.poll_something(context));
            if ready!(inner.poll_receive(context, READ_AHEAD))? == 0 {
                return Poll::Ready(Ok(()));
            }
            inner.decoder.received().copy_off();
        }
        Poll::Pending
    }

    /// The number of the request that is under way.
    pub(super) fn number(&self) -> u64 {
        self.inner.borrow().number
    }

    /// What there is to do while an answer is awaited: what is to be written is written, and whether the other side is still there is
    /// looked at. Ready when it is not.
    pub(super) fn poll_meanwhile(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(Err(error)) = self.poll_flush(context) {
            return Poll::Ready(Err(error));
        }
        match self.body_state(context) {
            BodyState::Whole | BodyState::Left => self.poll_gone(context),
            // Whoever reads the body notices, and behind what is broken nothing is read.
            BodyState::Held | BodyState::Broken => Poll::Pending,
        }
    }

    /// Whether nothing of a request has come.
    pub(super) fn is_at_rest(&self) -> bool {
        self.inner.borrow().decoder.held() == 0
    }

    /// Puts something into what is to be written.
    pub(super) fn write<R>(&self, write: impl FnOnce(&mut Output) -> R) -> R {
        write(&mut self.inner.borrow_mut().output)
    }

    /// Writes everything that is to be written.
    pub(super) fn poll_flush(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.borrow_mut().poll_flush(context)
    }

    /// Closes the stream in order.
    pub(super) fn poll_shutdown(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.inner.borrow_mut();
        match &mut inner.stream {
            Some(stream) => Pin::new(stream).poll_shutdown(context),
            None => Poll::Ready(Ok(())),
        }
    }

    /// Where the stream is to be handed over to after a switch of protocols.
    pub(super) fn upgrade(&self, number: u64) -> oneshot::Receiver<ReadAhead<DownstreamStream>> {
        let (sender, receiver) = oneshot::channel();
        let mut inner = self.inner.borrow_mut();
        if inner.number == number {
            inner.upgrade = Some(sender);
        }
        receiver
    }

    /// Hands the stream over; if nobody waits for it, it is closed.
    pub(super) fn hand_over(&self) {
        let mut inner = self.inner.borrow_mut();
        let rest = inner.decoder.take_rest();
        let (stream, upgrade, reader) = (inner.stream.take(), inner.upgrade.take(), inner.reader.take());
        drop(inner);
        if let (Some(stream), Some(upgrade)) = (stream, upgrade) {
            drop(upgrade.send(ReadAhead::new(stream, rest)));
        }
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

impl Inner {
    /// Ready when there may be something to receive.
    fn poll_something(&self, context: &mut Context<'_>) -> Poll<()> {
        self.stream.as_ref().map_or(Poll::Ready(()), |stream| stream.poll_something(context))
    }

    fn poll_receive(&mut self, context: &mut Context<'_>, most: usize) -> Poll<io::Result<usize>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(Ok(0)) };
        self.decoder.received().poll_read(stream, context, most)
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Some(stream) if !self.output.is_empty() || stream.is_tls() => {
                ready!(self.output.poll_write(stream, context))?;
                // Under TLS what is written may not be sent yet.
                Pin::new(stream).poll_flush(context)
            }
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Wakes the connection, if it waits and is not who is just being polled.
    fn wake_connection(&mut self, polled: Option<&Context<'_>>) {
        if let Some(connection) = self.connection.take()
            && !polled.is_some_and(|context| context.waker().will_wake(&connection))
        {
            connection.wake();
        }
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Inner").field("body_is_held", &self.body_is_held).finish_non_exhaustive()
    }
}
