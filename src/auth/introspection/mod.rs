//! Owns: asking an issuer what a token means that says nothing itself (RFC 7662), and remembering what it said.
//! Refuses: stale answers; answers that could be read in two ways; taking the issuer's silence for a verdict on the token.
//! Always holds: one question for one token is under way at a time; what is not active displaces nothing that is.
//!
//! [`IntrospectionSettings`] come out of the configuration, and [`super::Inquirers`] hands out one [`Introspector`] for each of
//! them. `request` writes the question, `answer` reads what comes back; when is asked at all, and what is kept, is in `inquiry`.

mod answer;
mod introspector;
mod request;
mod settings;

pub(super) use self::{
    answer::{Answer, read},
    settings::{asking, belief},
};
pub use self::{introspector::Introspector, settings::IntrospectionSettings};
