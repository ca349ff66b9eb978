//! Owns: the way from a request's credential to a [`Permit`]: extraction, verification, rules.
//! Refuses: deciding where a request goes; answering it.
//! Always holds: a [`VerifiedToken`] has been verified against a key of its own issuer; a [`Permit`] has been authorized
//! against one route's rules, or that route's operator said that it needs none.

pub mod key_set;
mod key_source;
mod permit;
mod verified_token;

pub use self::{
    key_source::{KeySource, TrustedKey, TrustedKeySet, UnknownKeyFetch},
    permit::Permit,
    verified_token::VerifiedToken,
};
