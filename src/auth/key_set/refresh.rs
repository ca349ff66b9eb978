//! Owns: the task that keeps one key set fresh: when an attempt is made, and what follows from how it went.
//! Refuses: two attempts at once for one set; replacing a good set by a failure.
//! Always holds: whoever waits for an attempt hears of its end.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{task::JoinHandle, time::timeout};
use tracing::{info, warn};

use super::{
    counters::FetchResult,
    fetch::{Cause, FetchError, Fetcher, Learnt},
    kept_keys::KeptKeys,
    known_keys::KnownKeys,
    pace::Pace,
    report::{Report, in_words},
    shared::Shared,
};

/// Keeps one set fresh.
pub(super) struct Refresher {
    shared: Arc<Shared>,
    fetcher: Fetcher,
    /// The age of the set at which it is refreshed; none: at once.
    refresh_at_age: Option<Duration>,
    failures: u32,
    /// The end of the pause after a failure.
    paused_until: Option<Instant>,
    /// The set being written to disk.
    keeping: Option<JoinHandle<()>>,
    /// Whether a newer set waits for that to end.
    unkept: bool,
}

impl Refresher {
    /// Makes one that has not asked yet. Its first attempt is due at once, also when a set was found on disk: that one may
    /// have been superseded while the program did not run.
    pub(super) const fn new(shared: Arc<Shared>, fetcher: Fetcher) -> Self {
        Self { shared, fetcher, refresh_at_age: None, failures: 0, paused_until: None, keeping: None, unkept: false }
    }

    /// Goes on until the task is dropped.
    pub(super) async fn run(mut self) {
        loop {
            let cause = self.next_cause().await;
            self.attempt(cause).await;
        }
    }

    async fn next_cause(&mut self) -> Cause {
        loop {
            if self.unkept {
                self.keep();
            }
            if let Some(cause) = self.shared.take_wanted() {
                return cause;
            }
            let wait = self.until_due();
            if wait.is_zero() {
                return Cause::Scheduled;
            }
            // Bounded, for the wall clock may be set and a laptop may sleep.
            let _ = timeout(wait.min(self.shared.pace.look_again), self.shared.wanted()).await;
        }
    }

    fn until_due(&self) -> Duration {
        let pause = self.paused_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()));
        let fresh = match (&*self.shared.known.load(), self.refresh_at_age) {
            (Some(known), Some(at_age)) => at_age.saturating_sub(known.age(self.shared.clock.now())),
            _ => Duration::ZERO,
        };
        fresh.max(pause)
    }

    async fn attempt(&mut self, cause: Cause) {
        self.shared.progress.send_modify(|progress| progress.begun += 1);
        let known = self.shared.known.load_full();
        let outcome = self.fetcher.attempt(known.as_deref(), cause).await;
        let failed = outcome.is_err();
        let fruitful = match outcome {
            Ok(learnt) => self.succeed(known.as_deref(), learnt),
            Err(error) => {
                self.fail(&error);
                false
            }
        };
        if cause == Cause::UnknownKey {
            self.shared.cooldown.begin(fruitful);
        }
        self.shared.progress.send_modify(|progress| {
            progress.ended = progress.begun;
            progress.failed = failed;
        });
        if !failed {
            self.keep();
        }
    }

    /// Takes the keys over. Whether there are new ones among them.
    fn succeed(&mut self, known: Option<&KnownKeys>, learnt: Learnt) -> bool {
        let (next, result) = match learnt {
            Learnt::Confirmed(confirmed) => (*confirmed, FetchResult::NotModified),
            Learnt::Fetched(fetched) => (KnownKeys::succeeding(known, *fetched), FetchResult::Fetched),
        };
        if self.failures > 0 || known.is_none_or(|known| !Arc::ptr_eq(&known.keys, &next.keys)) {
            let ids: Vec<Option<&str>> = next.keys.iter().map(|key| key.key().key_id()).collect();
            info!(url = %next.url, keys = ?ids, skipped = next.skipped.len(), "fetched the key set");
        }
        self.failures = 0;
        self.paused_until = None;
        // Keys given up before their lifetime ends are refreshed in time for that.
        self.refresh_at_age = Some(Pace::refresh_point(next.lifetime.min(self.shared.settings.max_stale)));
        self.shared.counters.count_fetch(result);
        let fruitful = known.is_none_or(|known| next.has_keys_beyond(known));
        self.shared.known.store(Some(Arc::new(next)));
        self.report(None);
        fruitful
    }

    fn fail(&mut self, error: &FetchError) {
        self.failures = self.failures.saturating_add(1);
        self.paused_until = Some(Instant::now() + self.shared.pace.pause_after(self.failures));
        self.shared.counters.count_fetch(error.result());
        let text = in_words(error);
        let usable = self.shared.is_usable();
        warn!(place = %self.shared.settings.place_in_words(), failures = self.failures, usable, error = %text,
            "the key set could not be fetched; the last good one stays until it is too old");
        self.report(Some(text));
    }

    fn report(&self, error: Option<String>) {
        let now = self.shared.clock.now();
        let last_error = error.map(|error| (now, error)).or_else(|| self.shared.report.load().last_error.clone());
        self.shared.report.store(Arc::new(Report {
            last_attempt: Some(now),
            last_error,
            failures: self.failures,
            next_attempt: Some(Instant::now() + self.until_due()),
            discovery_error: self.fetcher.discovery_error().map(str::to_owned),
        }));
    }

    /// Brings the set to the disk, on a thread that may block. A disk that hangs holds up neither this task nor more than
    /// one such thread.
    fn keep(&mut self) {
        let (Some(directory), Some(known)) = (self.shared.directory.clone(), self.shared.known.load_full()) else {
            return;
        };
        self.unkept = self.keeping.as_ref().is_some_and(|earlier| !earlier.is_finished());
        if self.unkept {
            self.shared.disk_error.store(Some(Arc::new("the last write has not ended yet".to_owned())));
            return;
        }
        let shared = Arc::clone(&self.shared);
        self.keeping = Some(tokio::task::spawn_blocking(move || {
            let origin = shared.settings.origin();
            let error = directory.store(&origin, &KeptKeys::of(&origin, &known)).err().map(|error| in_words(&error));
            if let Some(error) = &error {
                warn!(url = %known.url, %error, "the last good key set could not be kept on disk");
            }
            shared.disk_error.store(error.map(Arc::new));
        }));
    }
}
