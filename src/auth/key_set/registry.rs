//! Owns: which remote key sets there are: one for each settings, whoever asks.
//! Refuses: keeping one alive that nobody uses.
//! Always holds: a reload that asks with the settings of a live set gets that very set.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use super::{
    directory::KeySetDirectory,
    pace::Pace,
    remote::{RemoteKeySet, Surroundings},
    settings::KeySetSettings,
};
use crate::{clock::Clock, outbound::SystemRoots};

/// All remote key sets of the program. Made once, and kept over reloads.
pub struct KeySets {
    clock: Clock,
    directory: Option<Arc<KeySetDirectory>>,
    system_roots: SystemRoots,
    pace: Pace,
    live: Mutex<HashMap<KeySetSettings, Weak<RemoteKeySet>>>,
}

impl KeySets {
    /// None yet. Without a directory, no set outlives a restart.
    #[must_use]
    pub fn new(clock: Clock, directory: Option<KeySetDirectory>) -> Self {
        Self::paced(clock, directory.map(Arc::new), Pace::default())
    }

    pub(super) fn paced(clock: Clock, directory: Option<Arc<KeySetDirectory>>, pace: Pace) -> Self {
        Self { clock, directory, system_roots: SystemRoots::default(), pace, live: Mutex::default() }
    }

    /// The set with these settings: the live one, or a new one that is to be started. A new one whose issuer is known already
    /// under other timings takes over the keys of that one, so that changing a timing interrupts nothing.
    pub fn obtain(&self, settings: KeySetSettings) -> Arc<RemoteKeySet> {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.retain(|_, set| set.strong_count() > 0);
        if let Some(set) = live.get(&settings).and_then(Weak::upgrade) {
            return set;
        }
        let origin = settings.origin();
        let predecessor = live
            .iter()
            .filter(|(settings, _)| settings.origin() == origin)
            .filter_map(|(_, set)| set.upgrade())
            .filter_map(|set| Some((set.measures().age?, set)))
            .min_by_key(|(age, _)| *age)
            .map(|(_, set)| set);
        let surroundings = Surroundings {
            clock: self.clock.clone(),
            directory: self.directory.clone(),
            system_roots: &self.system_roots,
            pace: self.pace,
        };
        let set = Arc::new(RemoteKeySet::new(settings.clone(), predecessor.as_deref(), surroundings));
        live.insert(settings, Arc::downgrade(&set));
        set
    }
}

impl fmt::Debug for KeySets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("KeySets").field("directory", &self.directory).finish_non_exhaustive()
    }
}
