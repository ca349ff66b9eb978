//! Owns: a request's body on the wire: by length or in chunks, with trailers (RFC 9112 sections 6 and 7.1).
//! Refuses: a body that is longer or shorter than its head says.
//! Always holds: large pieces are not copied, and no further one is asked for before the last was written.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::Body as _;
use std::{io::Write as _, pin::Pin};

use super::{
    super::outgoing::{Outgoing, RequestBody},
    Http1Error,
    connection::{Behind, Http1Connection},
    head_out::Outward,
};
use crate::http::write_field;

/// A piece of a body that is copied behind what is written already, so that small heads and small bodies go in one packet.
const SMALL_PIECE: usize = 4 * 1024;
/// So many bytes are gathered of small pieces.
const MOST_GATHERED: usize = 16 * 1024;

/// A request's body that is being sent.
pub(super) struct Sending<B> {
    body: Outgoing<B>,
    framing: Outward,
    behind: Behind,
    ended: bool,
}

impl<B: RequestBody> Sending<B> {
    pub(super) fn new(body: Outgoing<B>, framing: Outward) -> Self {
        let ended = framing == Outward::Nothing;
        Self { body, framing, behind: Behind::default(), ended }
    }

    /// Sends on; ready when all was sent.
    pub(super) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        connection: &mut Http1Connection,
    ) -> Poll<Result<(), Http1Error>> {
        loop {
            let gathered = self.poll_gather(cx, connection)?;
            ready!(connection.poll_write(cx, &mut self.behind)).map_err(Http1Error::Write)?;
            if self.ended {
                return Poll::Ready(Ok(()));
            }
            ready!(gathered);
        }
    }

    /// Gathers what there is of the body, until it is enough for one write; pending if more is to be waited for.
    fn poll_gather(&mut self, cx: &mut Context<'_>, connection: &mut Http1Connection) -> Poll<Result<(), Http1Error>> {
        while !self.ended && self.behind.is_empty() && connection.buffer().len() < MOST_GATHERED {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                None => {
                    self.end(None, connection.buffer())?;
                    break;
                }
                Some(frame) => frame.map_err(Http1Error::RequestBody)?,
            };
            match frame.into_data() {
                Ok(piece) => self.add(piece, connection.buffer())?,
                Err(frame) => self.end(frame.into_trailers().ok(), connection.buffer())?,
            }
        }
        Poll::Ready(Ok(()))
    }

    fn add(&mut self, piece: Bytes, buffer: &mut Vec<u8>) -> Result<(), Http1Error> {
        let is_last = self.body.is_end_stream();
        if !piece.is_empty() {
            let end: &'static [u8] = match &mut self.framing {
                Outward::Nothing => return Err(Http1Error::RequestLength),
                Outward::Length(left) => {
                    *left = left.checked_sub(piece.len() as u64).ok_or(Http1Error::RequestLength)?;
                    b""
                }
                Outward::Chunked(_) => {
                    // Into a vector of bytes nothing fails to be written.
                    let _ = write!(buffer, "{:X}\r\n", piece.len());
                    if is_last { b"\r\n0\r\n\r\n" } else { b"\r\n" }
                }
            };
            if piece.len() <= SMALL_PIECE {
                buffer.extend_from_slice(&piece);
                buffer.extend_from_slice(end);
            } else {
                self.behind = Behind { piece, end };
            }
        } else if is_last {
            return self.end(None, buffer);
        }
        if is_last {
            self.note_end()?;
        }
        Ok(())
    }

    /// The body has ended, with these trailers.
    fn end(&mut self, trailers: Option<HeaderMap>, buffer: &mut Vec<u8>) -> Result<(), Http1Error> {
        if let Outward::Chunked(announced) = &self.framing {
            buffer.extend_from_slice(b"0\r\n");
            for (name, value) in trailers.iter().flatten() {
                if announced.contains(name) {
                    write_field(buffer, name, value.as_bytes());
                }
            }
            buffer.extend_from_slice(b"\r\n");
        }
        self.note_end()
    }

    fn note_end(&mut self) -> Result<(), Http1Error> {
        if let Outward::Length(1..) = self.framing {
            return Err(Http1Error::RequestLength);
        }
        self.ended = true;
        Ok(())
    }
}
