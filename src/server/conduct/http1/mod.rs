//! Owns: the guard between an HTTP/1.1 connection's bytes and hyper, and the bytes that it holds back.
//! Refuses: a head that could be read in two ways. hyper gets another in its place, so that whoever answers requests
//! answers this one too, in its turn; nothing behind it is read.
//! Always holds: a head that comes whole is judged where hyper will read it, without being copied; what is held is at most
//! the largest head that is allowed, or [`MOST_HELD`] while an answer is waited for that may switch protocols, and behind it what one
//! read gave, which hyper bounds.

mod chunks;
mod conversation;
mod fault;
mod follower;
mod grammar;
mod head;
#[cfg(test)]
mod tests;

use std::{
    io,
    task::{Context, Poll, ready},
};

use tokio::io::ReadBuf;

use self::{
    follower::{Follower, Place},
    head::HeadBounds,
};
pub(in crate::server) use conversation::Conversation;
pub use fault::RequestFault;

/// What hyper reads in the place of a head that was put aside. Few fields, since few may be allowed.
const PLACEHOLDER: &[u8] = b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n";

/// The most that is read ahead of an answer that may switch protocols (RFC 9110 section 7.8).
const MOST_HELD: usize = 64 * 1024;

/// Where bytes come from.
pub(in crate::server) trait Source {
    /// Reads some; none at the end.
    fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>>;
}

/// The guard of one connection.
#[derive(Debug)]
pub(in crate::server) struct Guard {
    follower: Follower,
    /// What has come and was not given on.
    held: Vec<u8>,
    /// How much of it may pass.
    good: usize,
    /// How much of it has.
    given: usize,
}

/// What a look at newly come bytes led to.
enum Judged {
    /// Something is there for hyper.
    Something,
    /// Nothing yet.
    Nothing,
    /// The other side has said its last.
    End,
}

impl Guard {
    /// A guard that lets heads of so many bytes and fields pass.
    pub(in crate::server) fn new(header_bytes: usize, headers: usize) -> Self {
        let bounds = HeadBounds { bytes: header_bytes, fields: headers };
        Self { follower: Follower::new(bounds), held: Vec::new(), good: 0, given: 0 }
    }

    /// Reads what may pass of `source`.
    pub(in crate::server) fn poll_read(
        &mut self,
        source: &mut impl Source,
        conversation: &Conversation,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if self.give(buffer) {
                return Poll::Ready(Ok(()));
            }
            match self.follower.place() {
                Place::Switched => return source.poll_read(context, buffer),
                Place::Aside(_) => return Poll::Pending,
                Place::Broken => {
                    return Poll::Ready(Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "the framing of a body is broken",
                    )));
                }
                Place::AfterAnswer => {
                    if let Some(switched) = conversation.poll_switch(self.follower.number(), context) {
                        self.follower.answered(switched);
                        self.judge_held(conversation);
                        continue;
                    }
                    if self.held.len() >= MOST_HELD {
                        return Poll::Pending;
                    }
                }
                Place::Head(_) | Place::Length(_) | Place::Chunks(_) => {}
            }
            let judged = if self.held.is_empty() {
                self.poll_in_place(source, conversation, context, buffer)
            } else {
                self.poll_behind_held(source, conversation, context, buffer)
            };
            match ready!(judged)? {
                Judged::Something | Judged::End => return Poll::Ready(Ok(())),
                Judged::Nothing => {}
            }
        }
    }

    /// Reads into `buffer` and leaves there what may pass. What is not whole is read on, and held if nothing more comes.
    fn poll_in_place(
        &mut self,
        source: &mut impl Source,
        conversation: &Conversation,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<Judged>> {
        let begin = buffer.filled().len();
        loop {
            let before = buffer.filled().len();
            let read = source.poll_read(context, buffer)?;
            let new = buffer.filled().get(begin..).unwrap_or_default();
            if read.is_ready() && buffer.filled().len() == before {
                buffer.set_filled(begin);
                return Poll::Ready(Ok(Judged::End));
            }
            let passed = if read.is_ready() { self.follower.advance(new) } else { 0 };
            let is_over = self.put_aside(conversation);
            let goes_on = read.is_ready() && passed == 0 && buffer.remaining() > 0;
            if goes_on && !is_over && matches!(self.follower.place(), Place::Head(_)) {
                continue;
            }
            if !is_over {
                self.hold(new.get(passed..).unwrap_or_default());
            }
            buffer.set_filled(begin.saturating_add(passed));
            return match (passed, read) {
                (0, Poll::Pending) => Poll::Pending,
                (0, Poll::Ready(())) => Poll::Ready(Ok(Judged::Nothing)),
                _ => Poll::Ready(Ok(Judged::Something)),
            };
        }
    }

    /// Reads behind what is held, with `buffer` as no more than room to read into.
    fn poll_behind_held(
        &mut self,
        source: &mut impl Source,
        conversation: &Conversation,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<Judged>> {
        let begin = buffer.filled().len();
        ready!(source.poll_read(context, buffer))?;
        let new = buffer.filled().get(begin..).unwrap_or_default();
        if new.is_empty() {
            // What is not whole never will be.
            self.release();
            return Poll::Ready(Ok(Judged::End));
        }
        self.hold(new);
        buffer.set_filled(begin);
        self.judge_held(conversation);
        Poll::Ready(Ok(Judged::Nothing))
    }

    fn judge_held(&mut self, conversation: &Conversation) {
        let passed = self.follower.advance(self.held.get(self.good..).unwrap_or_default());
        self.good = self.good.saturating_add(passed);
        self.put_aside(conversation);
    }

    /// Puts aside what was found at fault, if something was; whether nothing more is read from now on.
    fn put_aside(&mut self, conversation: &Conversation) -> bool {
        match self.follower.place() {
            Place::Aside(fault) => {
                conversation.put_aside(self.follower.number(), *fault);
                self.held.truncate(self.good);
                self.held.extend_from_slice(PLACEHOLDER);
                self.good = self.held.len();
                true
            }
            Place::Broken => {
                conversation.broke_off();
                self.held.truncate(self.good);
                true
            }
            _ => false,
        }
    }

    fn hold(&mut self, bytes: &[u8]) {
        self.held.drain(..self.given);
        self.good = self.good.saturating_sub(self.given);
        self.given = 0;
        self.held.extend_from_slice(bytes);
    }

    fn release(&mut self) {
        self.held = Vec::new();
        (self.good, self.given) = (0, 0);
    }

    /// Moves what may pass into `buffer`; `false` if there is nothing.
    fn give(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        let Some(good) = self.held.get(self.given..self.good).filter(|good| !good.is_empty()) else { return false };
        let piece = good.get(..buffer.remaining()).unwrap_or(good);
        buffer.put_slice(piece);
        self.given = self.given.saturating_add(piece.len());
        if self.given == self.held.len() {
            self.release();
        }
        true
    }
}
