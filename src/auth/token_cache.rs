//! Owns: verified tokens remembered for all workers, bounded by bytes.
//! Refuses: tokens that were not verified: whoever sends bogus ones displaces nothing.
//! Always holds: an entry counts for the whole text of its token and for the issuer configuration that it was verified
//! under. It says nothing about what is allowed, and nothing about the present. One that came once displaces none that came twice, but
//! for the few that are taken for another: one in some 16,000.
//! Workers only hand over what is to be remembered or forgotten, since moka may make whoever writes wait: a thread of the cache's own
//! does it.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, Thread},
    time::Duration,
};

use crossbeam_queue::ArrayQueue;
use foldhash::{fast, quality};
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
    hashing: quality::RandomState,
    counters: Mutex<Vec<Arc<Counters>>>,
}

/// What the cache and its thread share.
struct Store {
    /// Places are hashes already.
    entries: Cache<Place, Arc<CachedToken>, fast::RandomState>,
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
    finding: Finding,
}

/// What was found out about a token.
#[derive(Clone)]
pub(super) struct Finding {
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
            entries: entries.build_with_hasher(fast::RandomState::default()),
            changes: ArrayQueue::new(CHANGES),
            asleep: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
        });
        Self {
            sightings: Sightings::default(),
            newcomers: Newcomers::default(),
            store,
            keeper: None,
            hashing: quality::RandomState::default(),
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
        let newcomer = Arc::new(CachedToken::new(text, self.newcomers.find(place, text)?));
        self.remember(place, Arc::clone(&newcomer));
        Some(newcomer)
    }

    /// Notes that a token was verified; whether it was before, by any worker.
    pub(super) fn note(&self, place: Place) -> bool {
        self.sightings.note(place)
    }

    /// Takes in a token that came for the first time: other workers find it at once, for as long as it is a newcomer. A heavy one is
    /// none, and remembered if it comes again.
    pub(super) fn welcome(&self, place: Place, text: &[u8], finding: Finding) {
        self.newcomers.admit(place, text, finding);
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
    pub(super) fn new(text: &[u8], finding: Finding) -> Self {
        Self { text: TokenText::new(text), finding }
    }

    pub(super) const fn verified(&self) -> &Arc<VerifiedToken> {
        &self.finding.verified
    }

    pub(super) fn is_of(&self, text: &[u8]) -> bool {
        self.text.as_bytes() == text
    }

    pub(super) fn was_verified_under(&self, verification: &Arc<Verification>) -> bool {
        // No other one can be at the address as long as this reference is held.
        std::ptr::eq(self.finding.verification.as_ptr(), Arc::as_ptr(verification))
    }

    pub(super) fn weight_bytes(&self) -> usize {
        self.finding.weight_bytes(self.text.memory_bytes())
    }
}

impl Finding {
    pub(super) fn new(verification: &Arc<Verification>, verified: Arc<VerifiedToken>) -> Self {
        Self { verification: Arc::downgrade(verification), verified }
    }

    /// About how many bytes an entry takes that says this of a token whose text takes so many.
    pub(super) fn weight_bytes(&self, text_bytes: usize) -> usize {
        ENTRY_BYTES + text_bytes + self.verified.claims().weight_bytes()
    }
}

impl Counters {
    /// Adds one. Only the counter's own worker writes, so no read-modify-write is needed.
    pub(super) fn add(counter: &AtomicU64) {
        counter.store(counter.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
