//! Owns: one HTTP/2 connection that many requests of a worker share.
//! Refuses: more streams at once than its peer allows (RFC 9113 section 5.1.2).
//! Always holds: what its task leaves unsent when it ends is given back.

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    pin::Pin,
    rc::Rc,
    task::ready,
    time::Duration,
};

use hyper::{
    client::conn::http2::{self, Connection, SendRequest},
    rt::Executor,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::Instant;

use super::{
    outgoing::{Outgoing, RequestBody},
    stream::Stream,
};

/// What one stream may send before we have read it: enough for a fast network, and the most that a slow reader makes us keep, as
/// much as over HTTP/1.1.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
/// What all streams of a connection may: as much as there can be (RFC 9113 section 6.9.1). The connection is shared, and with any less a
/// few callers who do not read their responses would keep those of all others from coming.
const CONNECTION_WINDOW_BYTES: u32 = (1 << 31) - 1;
/// What of one request's body is kept for an upstream that is slow to read.
const SEND_BUFFER_BYTES: usize = 256 * 1024;
/// A peer that has answered nobody for so long gets no further requests by the same connection.
const LONGEST_SILENCE: Duration = Duration::from_secs(10);
/// The largest head of a response.
const HEADER_LIST_BYTES: u32 = 64 * 1024;

type Driven<B> = Connection<TokioIo<Stream>, Outgoing<B>, LocalExecutor>;

/// Runs hyper's tasks on the worker's own thread.
#[derive(Clone, Copy, Debug)]
pub(super) struct LocalExecutor;

/// Whether a connection's peer still answers. If it vanishes without a word, the kernel notices only after many minutes, and
/// until then everyone who shares the connection would wait in vain. Further requests go by another connection meanwhile.
#[derive(Debug, Default)]
pub(super) struct Hearing {
    /// When the first of those was asked that have had no answer since.
    unanswered_since: Cell<Option<Instant>>,
    given_up: Cell<bool>,
}

/// A connection as requests see it. It closes once the last of these is dropped and its streams have ended.
pub(super) struct SharedHttp2<B: RequestBody> {
    sender: RefCell<SendRequest<Outgoing<B>>>,
    /// Emptied by the driver when the connection has ended.
    connection: Rc<RefCell<Option<Driven<B>>>>,
    streams: Cell<usize>,
    hearing: Hearing,
    /// When it may be closed, counted from the end of its last stream.
    expires: Cell<Instant>,
}

impl Hearing {
    /// A response has begun.
    pub(super) fn heard(&self) {
        self.unanswered_since.set(None);
        self.given_up.set(false);
    }

    /// A request has waited in vain.
    pub(super) fn give_up(&self) {
        self.given_up.set(true);
    }

    fn asked(&self, now: Instant) {
        if self.unanswered_since.get().is_none() {
            self.unanswered_since.set(Some(now));
        }
    }

    fn is_lost(&self, now: Instant) -> bool {
        self.given_up.get() || self.unanswered_since.get().is_some_and(|since| now >= since + LONGEST_SILENCE)
    }
}

impl<B: RequestBody> SharedHttp2<B> {
    /// Begins HTTP/2 on `stream`; the future that comes with it drives the connection and ends with it.
    pub(super) async fn begin(stream: Stream) -> hyper::Result<(Rc<Self>, impl Future<Output = hyper::Result<()>>)> {
        let (sender, connection) = http2::Builder::new(LocalExecutor)
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_send_buf_size(SEND_BUFFER_BYTES)
            .max_header_list_size(HEADER_LIST_BYTES)
            .handshake(TokioIo::new(stream))
            .await?;
        let connection = Rc::new(RefCell::new(Some(connection)));
        let shared = Rc::new(Self {
            sender: RefCell::new(sender),
            connection: Rc::clone(&connection),
            streams: Cell::new(0),
            hearing: Hearing::default(),
            expires: Cell::new(Instant::now()),
        });
        Ok((shared, drive(connection)))
    }

    pub(super) fn is_closed(&self) -> bool {
        self.sender.borrow().is_closed()
    }

    /// Whether its peer allows one more stream now. Until the peer's settings have arrived, 100 are taken for allowed; hyper
    /// keeps back what turns out to be too many.
    pub(super) fn has_room(&self) -> bool {
        let most = match self.connection.try_borrow() {
            Ok(connection) => connection.as_ref().map_or(0, Connection::current_max_send_streams),
            Err(_being_driven) => 0,
        };
        !self.is_closed() && self.streams.get() < most && !self.hearing.is_lost(Instant::now())
    }

    /// Whether no stream is open and none has been for the idle timeout.
    pub(super) fn is_expired(&self, now: Instant) -> bool {
        self.streams.get() == 0 && self.expires.get() <= now
    }

    /// When it may be closed, if it stays unused; nothing while it is in use.
    pub(super) fn expires(&self) -> Option<Instant> {
        (self.streams.get() == 0).then(|| self.expires.get())
    }

    /// The sender, for the moment of handing a request over.
    pub(super) const fn sender(&self) -> &RefCell<SendRequest<Outgoing<B>>> {
        &self.sender
    }

    /// What was heard of its peer.
    pub(super) const fn hearing(&self) -> &Hearing {
        &self.hearing
    }

    pub(super) fn enter_stream(&self) {
        self.streams.set(self.streams.get() + 1);
        self.hearing.asked(Instant::now());
    }

    pub(super) fn leave_stream(&self, idle_timeout: Duration) {
        let streams = self.streams.get().saturating_sub(1);
        self.streams.set(streams);
        if streams == 0 {
            self.expires.set(Instant::now() + idle_timeout);
        }
    }
}

impl<F: Future + 'static> Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        drop(tokio::task::spawn_local(future));
    }
}

/// Polls the connection where requests can look at it in between, and drops it as soon as it has ended, so that what still waits
/// in its queue goes back to those who sent it.
async fn drive<B: RequestBody>(connection: Rc<RefCell<Option<Driven<B>>>>) -> hyper::Result<()> {
    let ended = poll_fn(|cx| {
        let mut connection = connection.borrow_mut();
        let Some(driven) = connection.as_mut() else { return Ok(()).into() };
        let ended = ready!(Pin::new(driven).poll(cx));
        std::task::Poll::Ready(ended)
    })
    .await;
    let finished = connection.borrow_mut().take();
    drop(finished);
    ended
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_lost_that_answers_nobody_and_found_again_when_it_answers() {
        let hearing = Hearing::default();
        let began = Instant::now();
        assert!(!hearing.is_lost(began + 10 * LONGEST_SILENCE), "nobody has asked");
        hearing.asked(began);
        hearing.asked(began + LONGEST_SILENCE / 2);
        assert!(!hearing.is_lost(began + LONGEST_SILENCE / 2));
        assert!(hearing.is_lost(began + LONGEST_SILENCE), "further requests do not make it younger");
        hearing.heard();
        assert!(!hearing.is_lost(began + LONGEST_SILENCE));
        hearing.give_up();
        assert!(hearing.is_lost(began));
        hearing.heard();
        assert!(!hearing.is_lost(began));
    }
}
