//! Owns: what a client posts to when it wants a token: the shape of requests and answers (RFC 6749 sections 2.3, 4.4
//! and 5).
//! Refuses: deciding who gets a token; that is whoever stands behind [`TokenIssuer`].
//! Always holds: every answer, refusals included, says `Cache-Control: no-store`; no answer repeats anything out of the
//! request; a request that can be read in two ways is refused.

mod compile;
mod endpoint;
mod issuer;
mod lockout;
mod parameters;
mod refusal;
mod request;
mod response;

pub use self::{
    compile::compile,
    endpoint::{Answer, Outcome, TokenEndpoint},
    issuer::{IssueError, TokenIssuer, TokenRequest},
    lockout::{LockedOut, LockedOutBy, Lockout, Lockouts},
    refusal::{RequestError, TokenRefusal},
};

#[cfg(test)]
mod tests;
