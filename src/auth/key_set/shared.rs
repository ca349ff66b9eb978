//! Owns: what the requests that read a key set share with the task that refreshes it.
//! Refuses: locks on the way of a request that reads known keys.
//! Always holds: an attempt's outcome is in place (keys, cooldown, report) before anyone who waits for it wakes up.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::{Notify, watch};

use super::{
    cooldown::Cooldown, counters::Counters, directory::KeySetDirectory, fetch::Cause, known_keys::KnownKeys,
    pace::Pace, report::Report, settings::KeySetSettings,
};
use crate::{
    auth::{KeyStanding, TrustedKeySet, UnknownKeyFetch},
    clock::{Clock, UnixTime},
};

/// One remote key set's state.
pub(super) struct Shared {
    pub(super) settings: KeySetSettings,
    pub(super) clock: Clock,
    pub(super) pace: Pace,
    pub(super) directory: Option<Arc<KeySetDirectory>>,
    /// The last good set.
    pub(super) known: ArcSwapOption<KnownKeys>,
    /// How the last attempt went.
    pub(super) report: ArcSwap<Report>,
    /// Why the last good set could not be kept on disk.
    pub(super) disk_error: ArcSwapOption<String>,
    pub(super) counters: Counters,
    pub(super) cooldown: Cooldown,
    pub(super) progress: watch::Sender<Progress>,
    wake: Notify,
    unknown_key_wanted: AtomicBool,
    operator_wants: AtomicBool,
    waiting: AtomicUsize,
}

/// How many attempts there were.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    pub(super) begun: u64,
    pub(super) ended: u64,
    /// Whether the last that ended failed.
    pub(super) failed: bool,
}

/// A place among the requests that wait; given back when dropped, also by a request whose sender went away.
pub(super) struct WaitingPlace<'a> {
    waiting: &'a AtomicUsize,
}

impl Shared {
    pub(super) fn new(
        settings: KeySetSettings,
        clock: Clock,
        pace: Pace,
        directory: Option<Arc<KeySetDirectory>>,
        known: Option<Arc<KnownKeys>>,
    ) -> Self {
        Self {
            cooldown: Cooldown::of(settings.unknown_key_cooldown),
            settings,
            clock,
            pace,
            directory,
            known: ArcSwapOption::new(known),
            report: ArcSwap::from_pointee(Report::default()),
            disk_error: ArcSwapOption::empty(),
            counters: Counters::default(),
            progress: watch::Sender::new(Progress::default()),
            wake: Notify::new(),
            unknown_key_wanted: AtomicBool::new(false),
            operator_wants: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
        }
    }

    /// The keys, if they are not too old at `now`.
    pub(super) fn current(&self, now: UnixTime) -> TrustedKeySet {
        match &*self.known.load() {
            Some(known) if self.are_usable(known, now) => TrustedKeySet::Usable(Arc::clone(&known.keys)),
            _ => TrustedKeySet::Unavailable,
        }
    }

    /// Whether there are keys that are not too old at `now`.
    pub(super) fn standing(&self, now: UnixTime) -> KeyStanding {
        match &*self.known.load() {
            Some(known) if self.are_usable(known, now) => KeyStanding::Usable,
            _ => KeyStanding::Unavailable,
        }
    }

    /// Whether there are keys that are not too old.
    pub(super) fn is_usable(&self) -> bool {
        self.standing(self.clock.now()) == KeyStanding::Usable
    }

    fn are_usable(&self, known: &KnownKeys, now: UnixTime) -> bool {
        known.age(now) <= self.settings.max_stale
    }

    /// Waits for the attempt under way, or has one made and waits for that.
    pub(super) async fn fetch_for_unknown_key(&self) -> UnknownKeyFetch {
        let Some(_place) = self.place_among_the_waiting() else { return UnknownKeyFetch::Failed };
        let mut progress = self.progress.subscribe();
        let seen = *progress.borrow_and_update();
        let awaited = if seen.begun > seen.ended {
            seen.begun
        } else {
            // Asked after `seen` was read: an attempt that ended in between and began the cooldown is seen by its count.
            if self.cooldown.lasts() {
                return UnknownKeyFetch::CoolingDown;
            }
            self.want(Cause::UnknownKey);
            seen.begun + 1
        };
        let ended = progress.wait_for(|progress| progress.ended >= awaited);
        match tokio::time::timeout(self.pace.unknown_key_wait, ended).await {
            Ok(Ok(progress)) if !progress.failed => UnknownKeyFetch::Current,
            _ => UnknownKeyFetch::Failed,
        }
    }

    /// Has an attempt made.
    pub(super) fn want(&self, cause: Cause) {
        match cause {
            Cause::Scheduled => {}
            Cause::UnknownKey => self.unknown_key_wanted.store(true, Ordering::SeqCst),
            Cause::Operator => self.operator_wants.store(true, Ordering::SeqCst),
        }
        self.wake.notify_one();
    }

    /// What is wanted, which from now on is taken care of. The wish for an unknown key lapses while the cooldown lasts: it
    /// came too late for the attempt that began it, and its request was answered by that one.
    pub(super) fn take_wanted(&self) -> Option<Cause> {
        if self.operator_wants.swap(false, Ordering::SeqCst) {
            return Some(Cause::Operator);
        }
        let wanted = self.unknown_key_wanted.swap(false, Ordering::SeqCst);
        (wanted && !self.cooldown.lasts()).then_some(Cause::UnknownKey)
    }

    /// Waits until something is wanted, or was since the last time.
    pub(super) async fn wanted(&self) {
        self.wake.notified().await;
    }

    fn place_among_the_waiting(&self) -> Option<WaitingPlace<'_>> {
        let place = WaitingPlace { waiting: &self.waiting };
        // Counted first and given back on drop, so that two at once cannot both take the last place.
        (self.waiting.fetch_add(1, Ordering::SeqCst) < self.pace.waiting_requests).then_some(place)
    }
}

impl Drop for WaitingPlace<'_> {
    fn drop(&mut self) {
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{START, quick_pace, settings},
        *,
    };
    use crate::clock::ManualClock;

    #[test]
    fn a_wish_for_an_unknown_key_lapses_in_the_cooldown_and_an_operators_does_not() {
        let clock = ManualClock::starting_at(START).clock();
        let shared = Shared::new(settings("jwks_uri = 'https://id.example/jwks'"), clock, quick_pace(), None, None);
        shared.want(Cause::UnknownKey);
        assert_eq!((shared.take_wanted(), shared.take_wanted()), (Some(Cause::UnknownKey), None));
        shared.cooldown.begin(false);
        shared.want(Cause::UnknownKey);
        assert_eq!(shared.take_wanted(), None);
        shared.want(Cause::Operator);
        assert_eq!(shared.take_wanted(), Some(Cause::Operator));
    }
}
