//! Owns: the keys of one remote issuer, as verification and the operator see them.
//! Refuses: a fetch on the way of a request whose key is known.
//! Always holds: reading takes no lock; dropping the set ends its task.

use std::{
    fmt,
    future::{Future, ready},
    pin::Pin,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use thiserror::Error;
use tokio::{runtime::Handle, task::AbortHandle, time::timeout};
use tracing::{info, warn};

use super::{
    directory::KeySetDirectory,
    fetch::{Cause, Fetcher},
    known_keys::KnownKeys,
    pace::Pace,
    refresh::Refresher,
    report::in_words,
    settings::KeySetSettings,
    shared::Shared,
    status::{KeySetMeasures, KeySetStatus},
    transport::Transport,
};
use crate::{
    auth::{KeySource, KeyStanding, TrustedKeySet, UnknownKeyFetch},
    clock::{Clock, UnixTime},
    outbound::{RemoteUrl, SystemRoots},
};

/// The keys of one remote issuer. Routes, workers and reloads share it; see [`super::KeySets`] for where it comes from.
pub struct RemoteKeySet {
    shared: Arc<Shared>,
    /// Made with the set and taken by its task.
    fetcher: Mutex<Option<Fetcher>>,
    task: OnceLock<AbortHandle>,
}

/// Why a forced refresh did not renew the set.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RefreshError {
    /// Nothing fetches this set (yet).
    #[error("this key set was not started")]
    NotStarted,
    /// No end came in time.
    #[error("the fetch has not ended after {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The fetch failed; the last good set stays.
    #[error("the fetch failed: {0}")]
    Failed(String),
}

/// What a set is made with, beside its settings.
pub(super) struct Surroundings<'a> {
    pub(super) clock: Clock,
    pub(super) directory: Option<Arc<KeySetDirectory>>,
    pub(super) system_roots: &'a SystemRoots,
    pub(super) pace: Pace,
}

impl RemoteKeySet {
    /// Makes one that fetches nothing before it is started. Its first keys are those of `predecessor`, a set of the same
    /// origin, or else the last good ones on disk.
    pub(super) fn new(settings: KeySetSettings, predecessor: Option<&Self>, surroundings: Surroundings<'_>) -> Self {
        let Surroundings { clock, directory, system_roots, pace } = surroundings;
        let known = predecessor
            .and_then(|predecessor| predecessor.shared.known.load_full())
            .or_else(|| Some(Arc::new(revive(&settings, directory.as_deref()?, clock.now())?)));
        let found: Option<RemoteUrl> = known.as_ref().map(|known| known.url.clone());
        let transport = Transport::new(settings.trust.roots(system_roots), &pace);
        let fetcher = Fetcher::new(transport, &settings, found, clock.clone(), pace);
        Self {
            shared: Arc::new(Shared::new(settings, clock, pace, directory, known)),
            fetcher: Mutex::new(Some(fetcher)),
            task: OnceLock::new(),
        }
    }

    /// Begins to fetch, on `handle`, at once and then whenever it is due. Doing so again does nothing.
    pub fn start(&self, handle: &Handle) {
        let fetcher = self.fetcher.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(fetcher) = fetcher {
            let task = handle.spawn(Refresher::new(Arc::clone(&self.shared), fetcher).run());
            // Nobody else took the fetcher, so nobody else set this.
            let _ = self.task.set(task.abort_handle());
        }
    }

    /// Waits until there are keys that are not too old, for as long as `patience`. Whether there are.
    pub async fn wait_ready(&self, patience: Duration) -> bool {
        let mut progress = self.shared.progress.subscribe();
        let usable = progress.wait_for(|_| self.shared.is_usable());
        matches!(timeout(patience, usable).await, Ok(Ok(_)))
    }

    /// Whether there are keys that are not too old.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.shared.is_usable()
    }

    /// Asks the issuer anew where its keys are and what they are, and waits for the end of that. For an operator: it keeps
    /// to no cooldown.
    ///
    /// # Errors
    /// Why the set was not renewed.
    pub async fn refresh(&self) -> Result<(), RefreshError> {
        if self.task.get().is_none() {
            return Err(RefreshError::NotStarted);
        }
        // Two metadata documents and the keys, and before that perhaps as much for the attempt under way.
        let patience = self.shared.pace.exchange.saturating_mul(6);
        let mut progress = self.shared.progress.subscribe();
        let awaited = progress.borrow_and_update().begun + 1;
        self.shared.want(Cause::Operator);
        let ended = progress.wait_for(|progress| progress.ended >= awaited);
        match timeout(patience, ended).await {
            Ok(Ok(progress)) if !progress.failed => Ok(()),
            Ok(Ok(_)) => {
                let report = self.shared.report.load();
                Err(RefreshError::Failed(report.last_error.as_ref().map(|(_, text)| text.clone()).unwrap_or_default()))
            }
            _ => Err(RefreshError::TimedOut(patience)),
        }
    }

    /// What an operator wants to know about it.
    #[must_use]
    pub fn status(&self) -> KeySetStatus {
        KeySetStatus::of(&self.shared)
    }

    /// What the metrics say about it.
    #[must_use]
    pub fn measures(&self) -> KeySetMeasures {
        KeySetMeasures::of(&self.shared)
    }

    /// What tells it from others.
    #[must_use]
    pub fn settings(&self) -> &KeySetSettings {
        &self.shared.settings
    }
}

/// Waiting for an unknown key needs a runtime with a timer, which may be another one than the set was started on.
impl KeySource for RemoteKeySet {
    fn current(&self, now: UnixTime) -> TrustedKeySet {
        self.shared.current(now)
    }

    fn standing(&self, now: UnixTime) -> KeyStanding {
        self.shared.standing(now)
    }

    fn fetch_for_unknown_key(&self) -> Pin<Box<dyn Future<Output = UnknownKeyFetch> + Send + '_>> {
        self.shared.counters.count_unknown_key();
        if self.shared.cooldown.lasts() {
            Box::pin(ready(UnknownKeyFetch::CoolingDown))
        } else if self.task.get().is_none() {
            Box::pin(ready(UnknownKeyFetch::Failed))
        } else {
            Box::pin(self.shared.fetch_for_unknown_key())
        }
    }

    fn note_unknown_key_id(&self, key_id: &str) {
        if let Some(known) = &*self.shared.known.load() {
            known.removed.note_presented(key_id, self.shared.clock.now());
        }
    }
}

impl fmt::Debug for RemoteKeySet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RemoteKeySet").field("settings", &self.shared.settings).finish_non_exhaustive()
    }
}

impl Drop for RemoteKeySet {
    fn drop(&mut self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

fn revive(settings: &KeySetSettings, directory: &KeySetDirectory, now: UnixTime) -> Option<KnownKeys> {
    let origin = settings.origin();
    let file = directory.file(&origin);
    let ignored = |error: &dyn std::error::Error| {
        warn!(file = %file.display(), place = %settings.place_in_words(), error = %in_words(error),
            "the key set kept on disk is ignored");
    };
    let kept = directory.load(&origin).map_err(|error| ignored(&error)).ok()??;
    let known = kept.revive(now).map_err(|error| ignored(&error)).ok()?;
    info!(url = %known.url, age_seconds = known.age(now).as_secs(), keys = known.keys.len(),
        "took over the key set kept on disk");
    Some(known)
}
