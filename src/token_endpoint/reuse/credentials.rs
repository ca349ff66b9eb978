//! Owns: with which credentials a provider gave tokens lately.
//! Always holds: fingerprints only, a bounded number of them; a credential that is in use is not taken for a new one.

use std::time::Duration;

use moka::{policy::EvictionPolicy, sync::Cache};

use super::Asker;
use crate::clock::{Moment, UnixTime};

/// How many are remembered. If one is forgotten too early, tokens that its client has under others are had anew, once.
const MOST: u64 = 65_536;
/// How long one is remembered after the provider last gave a token for it.
const REMEMBERED_FOR: Duration = Duration::from_hours(24);

/// The credentials that the provider of one endpoint accepted.
pub(super) struct AcceptedCredentials {
    accepted: Cache<Asker, Moment>,
}

impl AcceptedCredentials {
    pub(super) fn new() -> Self {
        Self { accepted: Cache::builder().max_capacity(MOST).eviction_policy(EvictionPolicy::lru()).build() }
    }

    /// Whether the provider accepted it before.
    pub(super) fn are_known(&self, asker: Asker, now: UnixTime) -> bool {
        self.accepted.get(&asker).is_some_and(|accepted| accepted.age(now) < REMEMBERED_FOR)
    }

    /// The provider accepts it.
    pub(super) fn remember(&self, asker: Asker, now: UnixTime) {
        self.accepted.insert(asker, Moment::present(now));
    }

    /// The provider does not accept it any more.
    pub(super) fn forget(&self, asker: Asker) {
        self.accepted.invalidate(&asker);
    }
}
