//! Owns: somebody whose tokens are counted.
//! Refuses: keeping an id as it came: whatever its length, a count costs 16 bytes of it.
//! Always holds: two replicas call the same holder by the same key.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};

use super::allowance::Allowance;

/// Whose tokens are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HolderKind {
    /// Those of a client.
    Client,
    /// Those of an organisation, over all its clients.
    Organization,
}

/// The name of a holder, shortened: the beginning of its SHA-256. Whoever chooses ids can find two that share a count only at a
/// cost that no quota is worth.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct HolderKey([u8; 16]);

/// A holder, and how much it gets.
#[derive(Clone, Debug)]
pub(super) struct Holder {
    pub(super) kind: HolderKind,
    pub(super) name: Box<str>,
    pub(super) key: HolderKey,
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

impl HolderKey {
    fn of(name: &str) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(name.as_bytes());
        let mut key = [0; 16];
        key.iter_mut().zip(context.finish().as_ref()).for_each(|(byte, hashed)| *byte = *hashed);
        Self(key)
    }
}

impl Holder {
    pub(super) fn new(kind: HolderKind, name: &str, allowance: Allowance) -> Self {
        Self { kind, name: name.into(), key: HolderKey::of(name), allowance }
    }
}

impl fmt::Display for HolderKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for HolderKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}
