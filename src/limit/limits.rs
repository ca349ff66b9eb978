//! Owns: what limits remember, and the counters that replicas share, over reloads.
//! Refuses: forgiving anybody at a reload: who has the same route and the same settings has the same buckets.
//! Always holds: what no configuration uses any more is let go of; nothing is connected to here.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use super::{Rate, SharedCounters, SharedSettings, local::Local, route_limit::By};
use crate::{clock::Clock, config::Config, diagnostic::Diagnostics};

/// What outlives a configuration of limits. There is one of these for the life of the process.
pub struct Limits {
    clock: Clock,
    locals: Mutex<HashMap<Identity, Weak<Local>>>,
    shared: Mutex<Vec<Weak<SharedCounters>>>,
}

/// What makes one limit the same as another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    pub(super) route: Box<str>,
    pub(super) rate: Rate,
    pub(super) by: By,
}

impl Limits {
    /// None yet. They go by the steady side of `clock`.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, locals: Mutex::default(), shared: Mutex::default() }
    }

    /// The buckets of this limit: those that are in use, or new ones.
    pub(super) fn local(&self, identity: Identity) -> Option<Arc<Local>> {
        let mut locals = self.locals.lock().unwrap_or_else(PoisonError::into_inner);
        locals.retain(|_, local| local.strong_count() > 0);
        if let Some(local) = locals.get(&identity).and_then(Weak::upgrade) {
            return Some(local);
        }
        let local = Arc::new(Local::new(identity.rate, self.clock.clone())?);
        locals.insert(identity, Arc::downgrade(&local));
        Some(local)
    }

    /// Compiles `[shared]`: the counters with its settings that are in use, or new ones, which somebody has yet to start. None if
    /// there is no such table, or if something is wrong with it, which is noted.
    pub fn shared(&self, config: &Config, diagnostics: &mut Diagnostics) -> Option<Arc<SharedCounters>> {
        let settings = SharedSettings::compile(config.shared.as_ref()?, diagnostics)?;
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.retain(|counters| counters.strong_count() > 0);
        if let Some(counters) = shared.iter().filter_map(Weak::upgrade).find(|it| *it.settings() == settings) {
            return Some(counters);
        }
        let counters = Arc::new(SharedCounters::new(settings));
        shared.push(Arc::downgrade(&counters));
        Some(counters)
    }
}

impl fmt::Debug for Limits {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Limits").finish_non_exhaustive()
    }
}
