//! Owns: verified tokens remembered for all workers, bounded by bytes.
//! Refuses: tokens that were not verified: whoever sends bogus ones displaces nothing.
//! Always holds: an entry counts for the whole text of its token and for the issuer configuration that it was verified
//! under. It says nothing about what is allowed, and nothing about the present.

use std::{
    fmt,
    hash::{BuildHasher, Hasher, RandomState},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use moka::sync::Cache;
use zeroize::Zeroizing;

use super::{VerifiedToken, issuer::Verification};

/// How many bytes of tokens and claims are kept unless told otherwise.
const DEFAULT_CAPACITY_BYTES: u64 = 64 << 20;
/// What an entry costs beside its token and claims.
const ENTRY_BYTES: usize = 512;
/// How much of a token's end is hashed. It holds at least most of the signature, which is as good as random.
const HASHED_BYTES: usize = 64;

/// The tokens that any worker has verified.
pub struct SharedTokenCache {
    entries: Cache<u64, Arc<CachedToken>>,
    hashing: RandomState,
    counters: Mutex<Vec<Arc<Counters>>>,
}

/// A token that was verified.
pub(super) struct CachedToken {
    text: Zeroizing<Box<str>>,
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
    /// A cache of 64 MiB.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(DEFAULT_CAPACITY_BYTES)
    }

    /// A cache of `bytes` of tokens and claims.
    #[must_use]
    pub fn with_capacity(bytes: u64) -> Self {
        let weigher = |_: &u64, entry: &Arc<CachedToken>| u32::try_from(entry.weight_bytes()).unwrap_or(u32::MAX);
        Self {
            entries: Cache::builder().max_capacity(bytes).weigher(weigher).build(),
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

    /// How many bytes the entries take, about.
    #[must_use]
    pub fn weight_bytes(&self) -> u64 {
        self.entries.weighted_size()
    }

    pub(super) fn register(&self) -> Arc<Counters> {
        let counters = Arc::new(Counters::default());
        self.counters.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&counters));
        counters
    }

    /// Where to look for a token. Keyed at random, so nobody can aim at a place; entries tell whole texts apart, so
    /// sharing a place is harmless.
    pub(super) fn place(&self, text: &str) -> u64 {
        let bytes = text.as_bytes();
        let end = bytes.get(bytes.len().saturating_sub(HASHED_BYTES)..).unwrap_or(bytes);
        let mut hasher = self.hashing.build_hasher();
        hasher.write(end);
        hasher.finish()
    }

    pub(super) fn find(&self, place: u64, text: &str) -> Option<Arc<CachedToken>> {
        self.entries.get(&place).filter(|entry| entry.is_of(text))
    }

    pub(super) fn remember(&self, place: u64, entry: Arc<CachedToken>) {
        self.entries.insert(place, entry);
    }

    pub(super) fn forget(&self, place: u64) {
        self.entries.invalidate(&place);
    }

    fn sum(&self, counter: impl Fn(&Counters) -> &AtomicU64) -> u64 {
        let workers = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        workers.iter().map(|counters| counter(counters).load(Ordering::Relaxed)).sum()
    }
}

impl Default for SharedTokenCache {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SharedTokenCache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SharedTokenCache").field("entries", &self.entries.entry_count()).finish_non_exhaustive()
    }
}

impl CachedToken {
    pub(super) fn new(text: &str, verification: &Arc<Verification>, verified: Arc<VerifiedToken>) -> Self {
        Self { text: Zeroizing::new(text.into()), verification: Arc::downgrade(verification), verified }
    }

    pub(super) const fn verified(&self) -> &Arc<VerifiedToken> {
        &self.verified
    }

    pub(super) fn is_of(&self, text: &str) -> bool {
        **self.text == *text
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn was_verified_under(&self, verification: &Arc<Verification>) -> bool {
        // No other one can be at the address as long as this reference is held.
        std::ptr::eq(self.verification.as_ptr(), Arc::as_ptr(verification))
    }

    pub(super) fn weight_bytes(&self) -> usize {
        ENTRY_BYTES + self.text.len() + self.verified.claims().weight_bytes()
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
    use serde_json::{Map, json};

    use super::*;
    use crate::{
        auth::{
            Claims, Issuers, WorkerTokenCache,
            forge::{EC, FixedKeys, issuers, trusted},
        },
        jose::TokenType,
    };

    fn corp() -> Issuers {
        issuers(json!({ "corp": { "issuer": "https://id/" } }), &[&FixedKeys::of(&[&EC])], None)
    }

    fn entry(text: &str, payload_bytes: usize) -> CachedToken {
        let verification = Arc::clone(corp().by_name("corp").unwrap().verification());
        let payload = json!({ "exp": 9, "big": "x".repeat(payload_bytes) });
        let members: Map<_, _> = payload.as_object().unwrap().clone();
        let claims = Claims::read(members, TokenType::Jwt, &verification).unwrap();
        let key = trusted(&[EC.jwk()]).remove(0);
        CachedToken::new(text, &verification, Arc::new(VerifiedToken::new("corp".into(), key, claims)))
    }

    #[test]
    fn the_whole_text_decides() {
        let worker = WorkerTokenCache::new(Arc::new(SharedTokenCache::new()));
        let end = "s".repeat(HASHED_BYTES);
        worker.remember(entry(&format!("a{end}"), 10));
        assert!(worker.find(&format!("a{end}")).is_some());
        assert_eq!(worker.shared().place(&format!("a{end}")), worker.shared().place(&format!("b{end}")));
        assert!(worker.find(&format!("b{end}")).is_none());
    }

    #[test]
    fn workers_find_what_another_remembered_and_count_apart() {
        let shared = Arc::new(SharedTokenCache::new());
        let (first, second) = (WorkerTokenCache::new(Arc::clone(&shared)), WorkerTokenCache::new(Arc::clone(&shared)));
        first.remember(entry("token", 10));
        assert!(second.find("token").is_some());
        shared.forget(shared.place("token"));
        assert!(second.find("token").is_some(), "it is in the second worker's slots by now");
        second.forget("token");
        assert!(second.find("token").is_none());
        first.note_hit();
        second.note_hit();
        second.note_miss();
        assert_eq!((shared.hits(), shared.misses()), (2, 1));
    }

    #[test]
    fn bytes_bound_it() {
        let worker = WorkerTokenCache::new(Arc::new(SharedTokenCache::with_capacity(100_000)));
        for number in 0..100 {
            worker.remember(entry(&format!("{number}-large"), 10_000));
        }
        worker.shared().entries.run_pending_tasks();
        let weight = worker.shared().weight_bytes();
        assert!(weight > 10_000 && weight <= 100_000, "{weight}");
        let found = (0..100).filter(|number| worker.find(&format!("{number}-large")).is_some()).count();
        assert!((1..10).contains(&found), "large ones are not kept by the worker either: {found}");
    }
}
