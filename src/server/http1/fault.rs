//! Owns: the ways in which a request's head is no head that we could act on.
//! Refuses: saying what is answered; whoever answers requests does.
//! Always holds: the list is closed.

use thiserror::Error;

/// Why the head of a request is put aside instead of being read.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum RequestFault {
    /// It is not as RFC 9112 sections 2 to 5 have it: a line that ends in something else than CR LF, a control character,
    /// a folded line, white space where none may be, a name that is no token, a request line of another shape.
    #[error("the request's head is not written as RFC 9112 has it")]
    Malformed,
    /// Where its body ends could be read in more than one way, or not at all (RFC 9112 section 6.3).
    #[error("the request does not say in exactly one way where its body ends")]
    FramingAmbiguous,
    /// Its body is under a transfer coding that nobody here undoes (RFC 9112 section 6.1).
    #[error("the request's body is under a transfer coding that is not undone")]
    TransferCoding,
    /// It has more bytes than the listener allows (RFC 6585 section 5).
    #[error("the request's head is too large")]
    HeadTooLarge,
    /// It has more fields than the listener allows.
    #[error("the request has too many header fields")]
    TooManyFields,
}
