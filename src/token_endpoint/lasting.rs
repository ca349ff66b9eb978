//! Owns: what token endpoints keep for the life of the process, whichever configuration is in force.

use std::sync::Arc;

use super::{Lockouts, Quotas, ReuseMemories, forwarding::AllCounters};
use crate::outbound::Outbound;

/// What token endpoints keep over reloads.
#[derive(Clone, Debug)]
pub struct Lasting {
    /// Who is locked out.
    pub lockouts: Lockouts,
    /// How many tokens everybody has had.
    pub quotas: Quotas,
    /// Which of providers' tokens are handed out again.
    pub reuse: ReuseMemories,
    /// How outside providers are asked.
    pub outbound: Arc<Outbound>,
    /// What is counted of those requests.
    pub(super) counters: AllCounters,
}

impl Lasting {
    /// Nothing kept yet.
    #[must_use]
    pub fn new(outbound: Arc<Outbound>) -> Self {
        let (lockouts, quotas, counters) = (Lockouts::default(), Quotas::default(), AllCounters::default());
        Self { lockouts, quotas, reuse: ReuseMemories::default(), outbound, counters }
    }

    /// For a process that only looks at a configuration.
    #[must_use]
    pub fn offline() -> Self {
        Self::new(Arc::new(Outbound::new(None)))
    }
}
