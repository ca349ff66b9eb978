//! Owns: endpoints that are written as names: which addresses a name has, and keeping that current by its time to live.
//! Refuses: forgetting addresses because nobody can say which they are now; waiting for DNS on a request's way once an address
//! is known.
//! Always holds: an address that stays keeps its endpoint, with its counts and connections; each name is looked up by one task.

mod candidates;
mod lookups;
mod name;
mod pace;
mod resolver;
mod settings;
mod usable;
mod wait;

use std::sync::Arc;

use hickory_resolver::net::NetError;
use thiserror::Error;

pub use self::name::NameStatus;
pub(super) use self::{
    lookups::Lookups,
    name::{Name, Place},
    resolver::Resolver,
    settings::compile,
};

/// Why a name has no address.
#[derive(Clone, Debug, Error)]
pub enum LookupError {
    /// The servers say that there is none.
    #[error("the name has no address")]
    NoAddress,
    /// No server said anything of use; the cause is that of the last one asked.
    #[error("no server could look it up")]
    Failed(#[source] Arc<NetError>),
    /// No server answered in time.
    #[error("no server answered in time")]
    TimedOut,
    /// It cannot be a name in DNS (RFC 1035 section 2.3.4).
    #[error("it is no name that could be looked up")]
    NoName,
    /// What the system says about its servers cannot be used.
    #[error("the system's resolver configuration cannot be used")]
    System(#[source] Arc<NetError>),
}

/// The two kinds of addresses, which are asked for and fail separately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Ipv4,
    Ipv6,
}
