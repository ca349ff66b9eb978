//! Owns: what limits remember, and the counters that replicas share, over reloads.
//! Refuses: forgiving anybody at a reload: who has the same route and the same settings has the same buckets.
//! Always holds: what no configuration uses any more is let go of; nothing is connected to here.

use std::{fmt, sync::Arc};

use super::{Rate, SharedCounters, SharedSettings, local::Local, route_limit::By};
use crate::{clock::Clock, config::Config, diagnostic::Diagnostics, living::Living};

/// What outlives a configuration of limits. There is one of these for the life of the process.
pub struct Limits {
    clock: Clock,
    locals: Living<Identity, Local>,
    shared: Living<SharedSettings, SharedCounters>,
}

/// What makes one limit the same as another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) route: Box<str>,
    pub(super) rate: Rate,
    pub(super) by: By,
}

impl Limits {
    /// None yet. They go by the steady side of `clock`.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, locals: Living::default(), shared: Living::default() }
    }

    /// The buckets of this limit: those that are in use, or new ones.
    pub(super) fn local(&self, identity: Identity) -> Option<Arc<Local>> {
        self.locals.try_obtain(identity, |identity| Local::new(identity.rate, self.clock.clone()))
    }

    /// Compiles `[shared]`: the counters with its settings that are in use, or new ones, which somebody has yet to start. None if
    /// there is no such table, or if something is wrong with it, which is noted.
    pub fn shared(&self, config: &Config, diagnostics: &mut Diagnostics) -> Option<Arc<SharedCounters>> {
        let settings = SharedSettings::compile(config.shared.as_ref()?, diagnostics)?;
        Some(self.shared.obtain(settings, |settings| SharedCounters::new(settings.clone())))
    }
}

impl fmt::Debug for Limits {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Limits").finish_non_exhaustive()
    }
}
