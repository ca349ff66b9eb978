//! Owns: the ways in which an exchange over HTTP/1.1 fails.
//! Always holds: what the other side said wrongly is told apart from what it did not say.

use std::io;

use thiserror::Error;

use super::super::outgoing::BodyFailed;

/// Why an exchange over HTTP/1.1 failed.
#[derive(Debug, Error)]
pub enum Http1Error {
    /// The connection was closed, or something came over it, before the request was sent.
    #[error("the connection was not at rest before the request")]
    NotAtRest,
    /// The request could not be written.
    #[error("the connection could not be written to")]
    Write(#[source] io::Error),
    /// The response could not be read.
    #[error("the connection could not be read from")]
    Read(#[source] io::Error),
    /// The connection ended before the head of the response did.
    #[error("the connection was closed before the response")]
    Closed,
    /// The connection ended before the body of the response did.
    #[error("the connection was closed before the end of the response's body")]
    Incomplete,
    /// Interim responses (RFC 9110 section 15.2) without an end.
    #[error("too much was said before the response")]
    TooMuchSaid,
    /// The head of the response is none.
    #[error("the head of the response cannot be read")]
    Head(#[source] HeadFault),
    /// The head of the response is larger than allowed.
    #[error("the head of the response is too large")]
    HeadTooLarge,
    /// The response's length is no number.
    #[error("the length of the response is no number")]
    Length,
    /// The endpoint switched protocols before it had the whole request (RFC 9110 section 7.8).
    #[error("the protocol was switched before the request's end")]
    SwitchedEarly,
    /// A chunk of the response's body is none (RFC 9112 section 7.1).
    #[error("a chunk of the response's body is none")]
    Chunk,
    /// What follows the last chunk is no trailer section, or one larger than allowed.
    #[error("the trailers of the response cannot be read")]
    Trailers,
    /// The request's own body failed.
    #[error("the request could not be sent to its end")]
    RequestBody(#[source] BodyFailed),
    /// The request's own body is longer or shorter than its head says.
    #[error("the request's body is not as long as its head says")]
    RequestLength,
}

/// Why what came for the head of a response is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HeadFault {
    /// It does not begin with a status line (RFC 9112 section 4).
    #[error("its first line is no status line")]
    StatusLine,
    /// A control character stands in it, or a CR alone.
    #[error("it has a control character within a line")]
    Control,
    /// A line is no field (RFC 9112 section 5); what is folded is none either (section 5.2).
    #[error("it has a line that is no field")]
    Field,
    /// There are too many of them.
    #[error("it has too many fields")]
    TooManyFields,
}

impl Http1Error {
    /// Whether what came before the response's body is not HTTP, or larger than allowed.
    pub(in super::super) const fn is_protocol(&self) -> bool {
        match self {
            Self::Head(_) | Self::HeadTooLarge | Self::Length | Self::SwitchedEarly => true,
            Self::NotAtRest
            | Self::Write(_)
            | Self::Read(_)
            | Self::Closed
            | Self::Incomplete
            | Self::TooMuchSaid
            | Self::Chunk
            | Self::Trailers
            | Self::RequestBody(_)
            | Self::RequestLength => false,
        }
    }
}
