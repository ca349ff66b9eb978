//! Owns: somebody whose tokens are counted.
//! Always holds: a client and an organisation of the same name are not counted together.

use super::allowance::Allowance;
use crate::token_endpoint::name_hash::NameHash;

/// Whose tokens are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HolderKind {
    /// Those of a client.
    Client,
    /// Those of an organisation, over all its clients.
    Organization,
}

/// A holder, and how much it gets.
#[derive(Clone, Debug)]
pub(super) struct Holder {
    pub(super) kind: HolderKind,
    pub(super) name: Box<str>,
    pub(super) key: NameHash,
    pub(super) allowance: Allowance,
}

impl HolderKind {
    /// Its name.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Organization => "organization",
        }
    }
}

impl Holder {
    pub(super) fn new(kind: HolderKind, name: &str, allowance: Allowance) -> Self {
        Self { kind, name: name.into(), key: NameHash::of(name), allowance }
    }
}
