//! Owns: verified tokens remembered for all workers, bounded by bytes.
//! Refuses: tokens that were not verified: whoever sends bogus ones displaces nothing.
//! Always holds: an entry counts for the whole text of its token and for the issuer configuration that it was verified
//! under. It says nothing about what is allowed, and nothing about the present. One that came once displaces none that came twice, but
//! for the few that are taken for another: one in some 30,000.
//! Workers only hand over what is to be remembered or forgotten, since moka may make whoever writes wait: a thread of the cache's own
//! does it.

use std::{
    fmt,
    hash::RandomState,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, Thread},
    time::Duration,
};

use crossbeam_queue::ArrayQueue;
use moka::{policy::EvictionPolicy, sync::Cache};

use super::{
    VerifiedToken, issuer::Verification, newcomers::Newcomers, place::Place, sightings::Sightings,
    token_text::TokenText,
};

/// How many bytes of tokens and claims are kept unless told otherwise.
const DEFAULT_CAPACITY_BYTES: u64 = 96 << 20;
/// What an entry costs beside its token and claims, moka's own part included: 20,000 tokens of 431 bytes with ten claims made a
/// process grow by 3.0 KiB each.
const ENTRY_BYTES: usize = 1408;
/// How many changes may wait for the cache's thread; what is more is not remembered for the other workers.
const CHANGES: usize = 4096;
/// How long changes are gathered, so that not each of them wakes the thread.
const GATHERING: Duration = Duration::from_millis(5);

/// The tokens that any worker has verified.
pub struct SharedTokenCache {
    sightings: Sightings,
    newcomers: Newcomers,
    store: Arc<Store>,
    /// The thread that makes the changes; nothing, and nothing shared between workers, if it could not be started.
    keeper: Option<Thread>,
    hashing: RandomState,
    counters: Mutex<Vec<Arc<Counters>>>,
}

/// What the cache and its thread share.
struct Store {
    entries: Cache<Place, Arc<CachedToken>>,
    changes: ArrayQueue<Change>,
    /// Whether the thread sleeps and has to be woken.
    asleep: AtomicBool,
    abandoned: AtomicBool,
}

/// What is to be done to the entries.
enum Change {
    Remember(Place, Arc<CachedToken>),
    Forget(Place),
}

/// A token that was verified.
pub(super) struct CachedToken {
    text: TokenText,
    /// Only to be compared: an entry must not keep alive the keys, and the fetching, of an issuer that a reload removed.
    verification: Weak<Verification>,
    verified: Arc<VerifiedToken>,
}

/// What one worker counts, in a cache line of its own.
#[derive(Default)]
#[repr(align(64))]
pub(super) struct Counters {
    pub(super) hits: AtomicU64,
    pub(super) misses: AtomicU64,
}

impl SharedTokenCache {
    /// A cache of 96 MiB, some 30,000 tokens of common size.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(DEFAULT_CAPACITY_BYTES)
    }

    /// A cache of `bytes` of tokens and claims.
    #[must_use]
    pub fn with_capacity(bytes: u64) -> Self {
        let mut cache = Self::unattended(bytes);
        let store = Arc::clone(&cache.store);
        match thread::Builder::new().name("token-cache".to_owned()).spawn(move || store.keep()) {
            Ok(keeper) => cache.keeper = Some(keeper.thread().clone()),
            Err(error) => {
                tracing::error!(%error, "no thread for the token cache: workers do not share verified tokens");
            }
        }
        cache
    }

    /// One of which nobody makes the changes.
    fn unattended(bytes: u64) -> Self {
        let weigher = |_: &Place, entry: &Arc<CachedToken>| u32::try_from(entry.weight_bytes()).unwrap_or(u32::MAX);
        // The policy that moka has otherwise lets into a full cache only what was looked for more often than what it displaces. What
        // comes again is told from what comes once before it gets here, and nothing that is here is looked for while workers have it.
        let entries = Cache::builder().eviction_policy(EvictionPolicy::lru()).max_capacity(bytes).weigher(weigher);
        let store = Arc::new(Store {
            entries: entries.build(),
            changes: ArrayQueue::new(CHANGES),
            asleep: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
        });
        Self {
            sightings: Sightings::default(),
            newcomers: Newcomers::default(),
            store,
            keeper: None,
            hashing: RandomState::new(),
            counters: Mutex::new(Vec::new()),
        }
    }

    /// How often a remembered token was used, over all workers since the start.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.sum(|counters| &counters.hits)
    }

    /// How often a token had to be verified anew, over all workers since the start.
    #[must_use]
    pub fn misses(&self) -> u64 {
        self.sum(|counters| &counters.misses)
    }

    /// How many bytes the entries take, about. A newcomer that came again may be counted twice.
    #[must_use]
    pub fn weight_bytes(&self) -> u64 {
        self.store.entries.weighted_size() + self.newcomers.weight_bytes()
    }

    pub(super) fn register(&self) -> Arc<Counters> {
        let counters = Arc::new(Counters::default());
        self.counters.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&counters));
        counters
    }

    /// Where to look for a token.
    pub(super) fn place(&self, text: &[u8]) -> Place {
        Place::of(text, &self.hashing)
    }

    pub(super) fn find(&self, place: Place, text: &[u8]) -> Option<Arc<CachedToken>> {
        // Asked first, since of every `get` moka keeps account, also of what it does not have.
        let entries = &self.store.entries;
        let entry = entries.contains_key(&place).then(|| entries.get(&place)).flatten();
        entry.filter(|entry| entry.is_of(text)).or_else(|| self.find_newcomer(place, text))
    }

    /// A newcomer, which comes again and is remembered for all from now on.
    fn find_newcomer(&self, place: Place, text: &[u8]) -> Option<Arc<CachedToken>> {
        // Read before anything is locked, so that whoever sends what nobody ever verified writes to nothing that workers share.
        if !self.sightings.holds(place) {
            return None;
        }
        let newcomer = self.newcomers.find(place, text)?;
        self.remember(place, Arc::clone(&newcomer));
        Some(newcomer)
    }

    /// Notes that a token was verified; whether it was before, by any worker.
    pub(super) fn note(&self, place: Place) -> bool {
        self.sightings.note(place)
    }

    /// Takes in a token that came for the first time: other workers find it at once, for as long as it is a newcomer. A heavy one is
    /// none, and remembered if it comes again.
    pub(super) fn welcome(&self, place: Place, entry: Arc<CachedToken>) {
        self.newcomers.admit(place, entry);
    }

    /// Lets other workers find it, soon.
    pub(super) fn remember(&self, place: Place, entry: Arc<CachedToken>) {
        self.hand_over(Change::Remember(place, entry));
    }

    /// Frees its memory, soon. Whoever finds it until then, or after an older `remember` that came late, judges it as before.
    pub(super) fn forget(&self, place: Place) {
        self.newcomers.forget(place);
        self.hand_over(Change::Forget(place));
    }

    fn hand_over(&self, change: Change) {
        // One that finds no room is dropped: the worker that verified a token has it in its own cache.
        let _ = self.store.changes.push(change);
        if self.store.asleep.load(Ordering::SeqCst)
            && self.store.asleep.swap(false, Ordering::SeqCst)
            && let Some(keeper) = &self.keeper
        {
            keeper.unpark();
        }
    }

    fn sum(&self, counter: impl Fn(&Counters) -> &AtomicU64) -> u64 {
        let workers = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        workers.iter().map(|counters| counter(counters).load(Ordering::Relaxed)).sum()
    }
}

impl Store {
    /// What the cache's thread does, until the cache is gone.
    fn keep(&self) {
        while !self.abandoned.load(Ordering::SeqCst) {
            self.make_changes();
            self.asleep.store(true, Ordering::SeqCst);
            // Said first and looked at then: a change that comes in between is seen here or wakes.
            while self.changes.is_empty()
                && self.asleep.load(Ordering::SeqCst)
                && !self.abandoned.load(Ordering::SeqCst)
            {
                thread::park();
            }
            self.asleep.store(false, Ordering::SeqCst);
            thread::sleep(GATHERING);
        }
    }

    fn make_changes(&self) {
        while let Some(change) = self.changes.pop() {
            match change {
                Change::Remember(place, entry) => self.entries.insert(place, entry),
                Change::Forget(place) => self.entries.invalidate(&place),
            }
        }
        // So that workers, which only read, find next to nothing left to tidy up.
        self.entries.run_pending_tasks();
    }
}

impl Drop for SharedTokenCache {
    fn drop(&mut self) {
        self.store.abandoned.store(true, Ordering::SeqCst);
        if let Some(keeper) = &self.keeper {
            keeper.unpark();
        }
    }
}

impl Default for SharedTokenCache {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SharedTokenCache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SharedTokenCache")
            .field("entries", &self.store.entries.entry_count())
            .finish_non_exhaustive()
    }
}

impl CachedToken {
    pub(super) fn new(text: &str, verification: &Arc<Verification>, verified: Arc<VerifiedToken>) -> Self {
        Self { text: TokenText::new(text), verification: Arc::downgrade(verification), verified }
    }

    pub(super) const fn verified(&self) -> &Arc<VerifiedToken> {
        &self.verified
    }

    pub(super) fn is_of(&self, text: &[u8]) -> bool {
        self.text.as_bytes() == text
    }

    pub(super) fn was_verified_under(&self, verification: &Arc<Verification>) -> bool {
        // No other one can be at the address as long as this reference is held.
        std::ptr::eq(self.verification.as_ptr(), Arc::as_ptr(verification))
    }

    pub(super) fn weight_bytes(&self) -> usize {
        ENTRY_BYTES + self.text.as_bytes().len() + self.verified.claims().weight_bytes()
    }
}

impl Counters {
    /// Adds one. Only the counter's own worker writes, so no read-modify-write is needed.
    pub(super) fn add(counter: &AtomicU64) {
        counter.store(counter.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::auth::{WorkerTokenCache, forge::remembered, place::HASHED_BYTES};

    fn remember(worker: &WorkerTokenCache, text: &str, payload_bytes: usize) {
        worker.remember(worker.shared().place(text.as_bytes()), remembered(text, payload_bytes));
    }

    fn is_found(worker: &WorkerTokenCache, text: &str) -> bool {
        worker.find(text).1.is_some()
    }

    /// A token that is presented twice, the second time while it is a newcomer.
    fn present_twice(worker: &WorkerTokenCache, text: &str) {
        remember(worker, text, 10);
        assert!(is_found(worker, text), "{text}");
    }

    /// Whether a worker finds it without asking the shared cache.
    fn is_own(worker: &WorkerTokenCache, text: &str) -> bool {
        worker.judge_own(text.as_bytes(), |_| Some(())).is_some()
    }

    fn until(condition: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !condition() {
            assert!(Instant::now() < deadline, "it does not come");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits until everything that was handed over is done.
    fn settle(shared: &SharedTokenCache) {
        until(|| shared.store.changes.is_empty() && shared.store.asleep.load(Ordering::SeqCst));
    }

    #[test]
    fn the_whole_text_decides() {
        let worker = WorkerTokenCache::new(Arc::new(SharedTokenCache::new()));
        let end = "s".repeat(HASHED_BYTES);
        let place = |text: String| worker.shared().place(text.as_bytes());
        assert_eq!(place(format!("a{end}")), place(format!("b{end}")));
        remember(&worker, &format!("a{end}"), 10);
        assert!(!is_found(&worker, &format!("b{end}")), "the other is a newcomer");
        assert!(is_found(&worker, &format!("a{end}")));
        assert!(!is_found(&worker, &format!("b{end}")), "the other is in the worker's slots");
        settle(worker.shared());
        let second = WorkerTokenCache::new(Arc::clone(worker.shared()));
        assert!(!is_found(&second, &format!("b{end}")), "the other is in the shared cache");
        assert!(is_found(&second, &format!("a{end}")));
    }

    #[test]
    fn workers_find_what_another_remembered_and_count_apart() {
        let shared = Arc::new(SharedTokenCache::new());
        let (first, second) = (WorkerTokenCache::new(Arc::clone(&shared)), WorkerTokenCache::new(Arc::clone(&shared)));
        remember(&first, "token", 10);
        assert!(is_found(&second, "token"), "it is a newcomer to all of them");
        settle(&shared);
        assert!(is_found(&first, "token"), "it came twice");
        first.forget(first.shared().place(b"token"));
        settle(&shared);
        assert!(!is_found(&first, "token"));
        remember(&first, "other", 10);
        first.forget(first.shared().place(b"other"));
        assert!(!is_found(&first, "other"), "a newcomer is forgotten as well");
        shared.forget(shared.place(b"token"));
        settle(&shared);
        assert!(is_found(&second, "token"), "it is in the second worker's slots by now");
        second.forget(second.shared().place(b"token"));
        assert!(!is_found(&second, "token"));
        first.note_hit();
        second.note_hit();
        second.note_miss();
        assert_eq!((shared.hits(), shared.misses()), (2, 1));
    }

    #[test]
    fn workers_never_wait_for_the_cache() {
        let shared = Arc::new(SharedTokenCache::unattended(DEFAULT_CAPACITY_BYTES));
        let worker = WorkerTokenCache::new(Arc::clone(&shared));
        for number in 0..CHANGES + 100 {
            let text = format!("{number}-token");
            present_twice(&worker, &text);
        }
        worker.forget(worker.shared().place(b"0-token"));
        assert_eq!((shared.store.changes.len(), shared.store.entries.iter().count()), (CHANGES, 0));
        let last = format!("{}-token", CHANGES + 99);
        assert!(is_found(&worker, &last), "what was dropped is in the worker's own cache");
        shared.store.make_changes();
        let other = WorkerTokenCache::new(Arc::clone(&shared));
        assert!(is_found(&other, "1-token") && !shared.store.entries.contains_key(&shared.place(last.as_bytes())));
        assert!(is_found(&other, &last), "it is still a newcomer");
        shared.store.make_changes();
        assert!(shared.store.entries.contains_key(&shared.place(last.as_bytes())), "and handed over once more");
    }

    #[test]
    fn tokens_that_come_once_displace_none_that_came_twice() {
        let shared = Arc::new(SharedTokenCache::unattended(DEFAULT_CAPACITY_BYTES));
        let worker = WorkerTokenCache::new(Arc::clone(&shared));
        present_twice(&worker, "known");
        assert_eq!(shared.store.changes.len(), 1);
        for number in 0..2000 {
            remember(&worker, &format!("{number}-new"), 10);
        }
        assert!(is_own(&worker, "known"));
        // One in 30,000 or so is taken for another that came.
        assert!(shared.store.changes.len() < 10, "nothing is to be done for those that came once");
    }

    #[test]
    fn a_token_that_comes_again_is_kept_however_late() {
        let shared = Arc::new(SharedTokenCache::unattended(DEFAULT_CAPACITY_BYTES));
        let worker = WorkerTokenCache::new(Arc::clone(&shared));
        remember(&worker, "late", 10);
        let place = shared.place(b"late");
        // Among so many others that it is no newcomer any more; none where it is noted that it came.
        let others = (0..2000).map(|number| format!("{number}-new"));
        for other in others.filter(|other| shared.place(other.as_bytes()).sighting(1 << 15) != place.sighting(1 << 15))
        {
            remember(&worker, &other, 10);
        }
        assert!(!is_found(&worker, "late"));
        remember(&worker, "late", 10);
        assert!(is_own(&worker, "late") && (1..10).contains(&shared.store.changes.len()));
    }

    #[test]
    fn newcomers_weigh() {
        let worker = WorkerTokenCache::new(Arc::new(SharedTokenCache::new()));
        assert_eq!(worker.shared().weight_bytes(), 0);
        remember(&worker, "token", 1000);
        assert!(worker.shared().weight_bytes() > 1000);
    }

    #[test]
    fn its_thread_ends_with_it() {
        let shared = SharedTokenCache::new();
        let store = Arc::downgrade(&shared.store);
        settle(&shared);
        assert!(store.strong_count() == 2, "the thread has it, too");
        drop(shared);
        until(|| store.strong_count() == 0);
    }

    #[test]
    fn bytes_bound_it() {
        let worker = WorkerTokenCache::new(Arc::new(SharedTokenCache::with_capacity(100_000)));
        for number in 0..100 {
            let text = format!("{number}-large");
            remember(&worker, &text, 10_000);
            remember(&worker, &text, 10_000);
        }
        settle(worker.shared());
        let weight = worker.shared().weight_bytes();
        assert!(weight > 10_000 && weight <= 100_000, "{weight}");
        let found: Vec<_> = (0..100).filter(|number| is_found(&worker, &format!("{number}-large"))).collect();
        assert!((1..10).contains(&found.len()), "large ones are not kept by the worker either: {found:?}");
        assert!(found.iter().all(|number| *number >= 90), "the last ones are kept: {found:?}");
    }

    #[test]
    fn a_full_cache_takes_in_what_comes_again() {
        let capacity = 20 * remembered("100-token", 10).weight_bytes() as u64;
        let shared = Arc::new(SharedTokenCache::unattended(capacity));
        let worker = WorkerTokenCache::new(Arc::clone(&shared));
        for number in 0..200 {
            present_twice(&worker, &format!("{number}-token"));
            shared.store.make_changes();
        }
        // So that nobody finds one among the newcomers; these come once and displace nothing else.
        for number in 0..2000 {
            remember(&worker, &format!("{number}-new"), 10);
        }
        assert!(shared.store.changes.len() < 3, "{}", shared.store.changes.len());
        shared.store.make_changes();
        let second = WorkerTokenCache::new(Arc::clone(&shared));
        let found: Vec<_> = (0..200).filter(|number| is_found(&second, &format!("{number}-token"))).collect();
        assert!((185..200).all(|number| found.contains(&number)) && found.len() <= 25, "{found:?}");
    }

    #[test]
    fn large_ones_that_come_once_displace_nothing() {
        let shared = Arc::new(SharedTokenCache::unattended(100_000));
        let worker = WorkerTokenCache::new(Arc::clone(&shared));
        remember(&worker, "known", 10_000);
        assert!(!is_found(&worker, "known"));
        remember(&worker, "known", 10_000);
        shared.store.make_changes();
        assert!(is_found(&worker, "known"), "it came twice");
        for number in 0..100 {
            remember(&worker, &format!("{number}-large"), 10_000);
        }
        assert!(shared.store.changes.len() < 3);
        shared.store.make_changes();
        assert!(is_found(&worker, "known"));
    }

    #[test]
    fn a_token_is_verified_twice_at_most_however_many_workers_see_it() {
        let shared = Arc::new(SharedTokenCache::unattended(DEFAULT_CAPACITY_BYTES));
        let [first, second] = [(); 2].map(|()| WorkerTokenCache::new(Arc::clone(&shared)));
        remember(&first, "token", 10);
        let place = shared.place(b"token");
        let mut between = 0;
        // None of which is noted where it is noted that the token came.
        for other in (0..2000).map(|number| format!("{number}-new")) {
            if shared.place(other.as_bytes()).sighting(1 << 15) != place.sighting(1 << 15) {
                remember(&first, &other, 10);
                between += 1;
            }
        }
        assert!(between > 300 && !is_found(&second, "token"), "it is no newcomer any more");
        remember(&second, "token", 10);
        shared.store.make_changes();
        assert!(is_found(&first, "token") && is_found(&WorkerTokenCache::new(shared), "token"));
    }

    #[test]
    fn a_newcomer_that_came_again_is_there_for_all() {
        let shared = Arc::new(SharedTokenCache::unattended(DEFAULT_CAPACITY_BYTES));
        let workers = [(); 4].map(|()| WorkerTokenCache::new(Arc::clone(&shared)));
        remember(&workers[0], "token", 10);
        // Nobody has made the change that the first of them asked for.
        assert!(workers.iter().all(|worker| is_found(worker, "token") && is_own(worker, "token")));
        shared.store.make_changes();
        assert!(is_found(&WorkerTokenCache::new(Arc::clone(&shared)), "token"));
        shared.forget(shared.place(b"token"));
        shared.store.make_changes();
        assert!(!is_found(&WorkerTokenCache::new(shared), "token"));
    }

    #[test]
    fn what_nobody_verified_asks_for_no_lock() {
        let shared = Arc::new(SharedTokenCache::unattended(DEFAULT_CAPACITY_BYTES));
        let worker = WorkerTokenCache::new(Arc::clone(&shared));
        // As a newcomer of which nobody noted that it was verified.
        shared.welcome(shared.place(b"token"), Arc::new(remembered("token", 10)));
        assert!(!is_found(&worker, "token"));
        assert!(!shared.note(shared.place(b"token")) && !is_own(&worker, "token"), "a worker's own are its slots");
        assert!(is_found(&worker, "token") && is_own(&worker, "token"));
    }
}
