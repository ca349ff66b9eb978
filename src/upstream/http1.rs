//! Owns: one HTTP/1.1 connection as requests see it, and how much its peer may say before it answers.
//! Refuses: interim responses (RFC 9110 section 15.2) without an end. None is passed on: what is behind them is.
//! Always holds: what is counted is counted for one request at a time.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
};

use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1},
};

use super::outgoing::{Outgoing, RequestBody};

/// The most that may be read between a request and its response, in bytes: the largest head and the beginning of a body as large
/// as what is read at once, and as much again for interim responses, of which there are seldom more than one.
const MOST_UNANSWERED: usize = 640 * 1024;

/// Hands requests to the connection.
pub(super) struct Http1Sender<B: RequestBody> {
    sender: http1::SendRequest<Outgoing<B>>,
    hearing: Arc<Hearing>,
}

/// What was heard since a request was sent that is not answered yet. Atomic because an upgraded connection may change threads; as
/// long as it is HTTP it is written by one.
#[derive(Debug, Default)]
pub(super) struct Hearing {
    waiting: AtomicBool,
    bytes: AtomicUsize,
}

impl Hearing {
    /// Notes that bytes were read.
    ///
    /// # Errors
    /// If they are more than any response begins with.
    pub(super) fn heard(&self, bytes: usize) -> io::Result<()> {
        if !self.waiting.load(Relaxed) {
            return Ok(());
        }
        let bytes = self.bytes.load(Relaxed).saturating_add(bytes);
        self.bytes.store(bytes, Relaxed);
        if bytes > MOST_UNANSWERED {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "too much was said before the response"));
        }
        Ok(())
    }

    fn begin(&self) {
        self.bytes.store(0, Relaxed);
        self.waiting.store(true, Relaxed);
    }

    fn end(&self) {
        self.waiting.store(false, Relaxed);
    }
}

impl<B: RequestBody> Http1Sender<B> {
    pub(super) const fn new(sender: http1::SendRequest<Outgoing<B>>, hearing: Arc<Hearing>) -> Self {
        Self { sender, hearing }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Whether nothing is on its way any more.
    pub(super) fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }

    /// Sends a request and waits for the head of its response.
    pub(super) async fn send(
        &mut self,
        request: Request<Outgoing<B>>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Outgoing<B>>>> {
        self.hearing.begin();
        let answered = self.sender.try_send_request(request).await;
        self.hearing.end();
        answered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn much_may_be_said_in_answers_and_little_before_them() {
        let hearing = Hearing::default();
        assert!(hearing.heard(10 * MOST_UNANSWERED).is_ok(), "nobody waits");
        hearing.begin();
        assert!(hearing.heard(MOST_UNANSWERED).is_ok());
        assert!(hearing.heard(1).is_err());
        hearing.begin();
        assert!(hearing.heard(MOST_UNANSWERED).is_ok(), "each request for itself");
        hearing.end();
        assert!(hearing.heard(MOST_UNANSWERED).is_ok());
    }
}
