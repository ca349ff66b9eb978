//! Owns: which tokens have been revoked, held in memory for every request to ask.
//! Refuses: guessing: no filter that is right most of the time, no answer that waits for anybody.
//! Always holds: what [`RevokedTokens::insert_all`] was given is found by every reader from its return on, until the token
//! could not be accepted any more; readers take no lock, whatever writers do.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;

use crate::{clock::UnixTime, id::TokenId};

/// How many bits of a mixed id choose its shard.
const SHARD_BITS: u32 = 12;

/// A shard of a million tokens is then of some 250: 6 KiB to copy when one of them is added, and 8 looks to find one.
const SHARDS: usize = 1 << SHARD_BITS;

/// The expiry of a token that has none.
const NEVER: u64 = u64::MAX;

/// How long a token is remembered after it has expired: longer than the largest leeway with which an expired token is still
/// accepted, 5 minutes.
const KEPT_PAST_EXPIRY: Duration = Duration::from_mins(6);

/// The revoked tokens, by their names. Exact: 24 bytes for each, sorted, in shards that are replaced when one of them
/// changes.
pub struct RevokedTokens {
    /// Always [`SHARDS`] of them.
    shards: Box<[ArcSwapOption<Shard>]>,
    /// Two random numbers, so that nobody who can choose ids can choose their shard.
    mixing: (u64, u64),
    /// How many there are in all shards. Never zero while a reader could find one that was reported as inserted.
    count: AtomicUsize,
    /// Held by whoever replaces shards.
    writing: Mutex<()>,
}

/// Some of the tokens, sorted by id.
struct Shard {
    entries: Box<[Entry]>,
}

/// One revoked token.
#[derive(Clone, Copy)]
struct Entry {
    id: [u8; 16],
    /// Seconds since the Unix epoch, or [`NEVER`].
    expires_at: u64,
}

impl RevokedTokens {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        let shards = std::iter::repeat_with(ArcSwapOption::empty).take(SHARDS).collect();
        // An odd factor loses nothing; see `shard_of`.
        let mixing = (rand::random(), rand::random::<u64>() | 1);
        Self { shards, mixing, count: AtomicUsize::new(0), writing: Mutex::new(()) }
    }

    /// Whether the token of this name has been revoked. Takes no lock and never waits.
    #[must_use]
    pub fn contains(&self, token: &TokenId) -> bool {
        if self.count.load(Ordering::Acquire) == 0 {
            return false;
        }
        let id = token.as_bytes();
        let Some(shard) = self.shards.get(self.shard_of(id)) else { return false };
        let entries = shard.load();
        let Some(shard) = entries.as_deref() else { return false };
        shard.entries.binary_search_by(|entry| entry.id.cmp(id)).is_ok()
    }

    /// Adds tokens, each with the moment at which it expires, if ever. One that is there already keeps the later moment.
    ///
    /// Shards are replaced one after the other, each once. Beside the tokens themselves that takes as much memory again for
    /// as long as it lasts.
    pub fn insert_all(&self, tokens: impl IntoIterator<Item = (TokenId, Option<UnixTime>)>) {
        let mut added: Vec<(usize, Entry)> = tokens
            .into_iter()
            .map(|(token, expires_at)| {
                let entry = Entry { id: *token.as_bytes(), expires_at: in_seconds(expires_at) };
                (self.shard_of(&entry.id), entry)
            })
            .collect();
        // The latest expiry of one id first, so that it is the one that stays.
        added.sort_unstable_by(|(left_shard, left), (right_shard, right)| {
            (left_shard, left.id, right.expires_at).cmp(&(right_shard, right.id, left.expires_at))
        });
        added.dedup_by(|(_, later), (_, kept)| later.id == kept.id);
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        for same_shard in added.chunk_by(|(left, _), (right, _)| left == right) {
            let Some(shard) = same_shard.first().and_then(|(index, _)| self.shards.get(*index)) else { continue };
            let before = shard.load();
            let before = before.as_deref().map_or(&[][..], |shard| &shard.entries);
            let merged = merge(before, same_shard.iter().map(|(_, entry)| *entry));
            self.count.fetch_add(merged.len() - before.len(), Ordering::AcqRel);
            shard.store(Some(Arc::new(Shard { entries: merged })));
        }
    }

    /// Forgets the tokens that have expired so long ago that no leeway lets them in again.
    pub fn prune(&self, now: UnixTime) {
        let forgotten_until = now.minus(KEPT_PAST_EXPIRY).as_seconds();
        let kept = |entry: &&Entry| entry.expires_at >= forgotten_until;
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        for shard in &self.shards {
            let before = shard.load();
            let Some(before) = before.as_deref() else { continue };
            let remaining = before.entries.iter().filter(kept).count();
            if remaining == before.entries.len() {
                continue;
            }
            let mut entries = Vec::with_capacity(remaining);
            entries.extend(before.entries.iter().filter(kept));
            shard.store((remaining > 0).then(|| Arc::new(Shard { entries: entries.into_boxed_slice() })));
            self.count.fetch_sub(before.entries.len() - remaining, Ordering::AcqRel);
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How much memory they take, in bytes: every allocation as it was asked for.
    #[must_use]
    pub fn bytes(&self) -> usize {
        /// What an `Arc` keeps beside its value: the two counts of references.
        const ARC_COUNTS: usize = 2 * size_of::<usize>();
        let of_shard = |shard: &ArcSwapOption<Shard>| {
            let shard = shard.load();
            shard.as_deref().map_or(0, |shard| ARC_COUNTS + size_of::<Shard>() + size_of_val(&*shard.entries))
        };
        size_of_val(&*self.shards) + self.shards.iter().map(of_shard).sum::<usize>()
    }

    /// The shard of an id: the first bits of its two halves, mixed by a multiplication with what only this process knows.
    fn shard_of(&self, id: &[u8; 16]) -> usize {
        let id = u128::from_be_bytes(*id);
        // Each half of the id by itself, truncated on purpose.
        let (high, low) = ((id >> 64) as u64, id as u64);
        let (offset, factor) = self.mixing;
        let product = u128::from((high ^ low.rotate_left(32)).wrapping_add(offset)) * u128::from(factor);
        let folded = (product >> 64) as u64 ^ product as u64;
        (folded.wrapping_mul(factor) >> (u64::BITS - SHARD_BITS)) as usize
    }
}

impl Default for RevokedTokens {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for RevokedTokens {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RevokedTokens").field("count", &self.len()).finish_non_exhaustive()
    }
}

/// A fraction of a second counts as a whole one, so that nothing is forgotten early.
fn in_seconds(expires_at: Option<UnixTime>) -> u64 {
    expires_at.map_or(NEVER, |moment| moment.as_milliseconds().div_ceil(1000))
}

/// Both, sorted; one id once, with the later of its expiries. Each of the two must be sorted and name an id once.
fn merge(before: &[Entry], added: impl Iterator<Item = Entry> + Clone) -> Box<[Entry]> {
    let is_new = |entry: &Entry| before.binary_search_by(|known| known.id.cmp(&entry.id)).is_err();
    // Counted first, so that the memory asked for is the memory needed.
    let mut merged = Vec::with_capacity(before.len() + added.clone().filter(is_new).count());
    let (mut known, mut added) = (before.iter().copied().peekable(), added.peekable());
    while let (Some(left), Some(right)) = (known.peek(), added.peek()) {
        let order = left.id.cmp(&right.id);
        let from_known = if order.is_le() { known.next() } else { None };
        let from_added = if order.is_ge() { added.next() } else { None };
        let later = from_known.into_iter().chain(from_added).max_by_key(|entry| entry.expires_at);
        merged.extend(later);
    }
    merged.extend(known);
    merged.extend(added);
    merged.into_boxed_slice()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::{collection::vec, prelude::*};

    use super::*;

    const NOW: UnixTime = UnixTime::from_seconds(1_700_000_000);

    fn revoked(tokens: &[(TokenId, Option<UnixTime>)]) -> RevokedTokens {
        let revoked = RevokedTokens::new();
        revoked.insert_all(tokens.iter().copied());
        revoked
    }

    /// Ids that differ in a few places only, so that equal and neighbouring ones are common.
    fn id() -> impl Strategy<Value = TokenId> {
        (0u8..4, 0u8..8).prop_map(|(first, last)| {
            let mut bytes = [7; 16];
            (bytes[0], bytes[15]) = (first, last);
            TokenId::from_bytes(bytes)
        })
    }

    /// What happens to the tokens.
    #[derive(Clone, Debug)]
    enum Step {
        Insert(Vec<(TokenId, Option<u64>)>),
        Prune(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let expiry = prop_oneof![3 => (0u64..5_000).prop_map(Some), 1 => Just(None)];
        prop_oneof![
            3 => vec((id(), expiry), 0..12).prop_map(Step::Insert),
            1 => (0u64..6_000).prop_map(Step::Prune),
        ]
    }

    proptest! {
        #[test]
        fn it_knows_what_a_plain_map_knows(steps in vec(step(), 0..20)) {
            let revoked = RevokedTokens::new();
            let mut expected: HashMap<TokenId, u64> = HashMap::new();
            for step in steps {
                match step {
                    Step::Insert(tokens) => {
                        for (token, expiry) in &tokens {
                            let kept = expected.entry(*token).or_default();
                            *kept = (*kept).max(expiry.unwrap_or(u64::MAX));
                        }
                        let moment = |expiry: Option<u64>| expiry.map(UnixTime::from_seconds);
                        revoked.insert_all(tokens.into_iter().map(|(token, expiry)| (token, moment(expiry))));
                    }
                    Step::Prune(now) => {
                        revoked.prune(UnixTime::from_seconds(now));
                        expected.retain(|_, expiry| expiry.saturating_add(KEPT_PAST_EXPIRY.as_secs()) >= now);
                    }
                }
                prop_assert_eq!(revoked.len(), expected.len());
                prop_assert_eq!(revoked.is_empty(), expected.is_empty());
                for first in 0..5 {
                    for last in 0..9 {
                        let mut bytes = [7; 16];
                        (bytes[0], bytes[15]) = (first, last);
                        let token = TokenId::from_bytes(bytes);
                        prop_assert_eq!(revoked.contains(&token), expected.contains_key(&token));
                    }
                }
            }
        }
    }

    #[test]
    fn a_million_tokens_are_found_and_cost_less_than_100_mebibytes() {
        const MANY: usize = 1_000_000;
        let tokens: Vec<TokenId> = std::iter::repeat_with(TokenId::generate).take(MANY).collect();
        let revoked = RevokedTokens::new();
        // Half of them at once, as at a start, and half in many small changes' worth of pieces.
        let (at_once, in_pieces) = tokens.split_at(MANY / 2);
        let expiry = Some(NOW.plus(Duration::from_secs(3600)));
        revoked.insert_all(at_once.iter().map(|token| (*token, expiry)));
        for piece in in_pieces.chunks(50_000) {
            revoked.insert_all(piece.iter().map(|token| (*token, expiry)));
        }
        assert_eq!(revoked.len(), MANY);
        assert!(tokens.iter().all(|token| revoked.contains(token)));
        assert!((0..10_000).all(|_| !revoked.contains(&TokenId::generate())));
        let bytes = revoked.bytes();
        assert!((24 * MANY..100 * 1024 * 1024).contains(&bytes), "{bytes} bytes");
        // Even the fullest shard is quick to copy and to search.
        let fullest = revoked.shards.iter().filter_map(ArcSwapOption::load_full).map(|shard| shard.entries.len()).max();
        assert!(fullest < Some(3 * MANY / SHARDS), "{fullest:?} in one of {SHARDS} shards");
        revoked.prune(NOW.plus(Duration::from_secs(7200)));
        assert_eq!((revoked.len(), revoked.bytes()), (0, RevokedTokens::new().bytes()));
    }

    #[test]
    fn ids_that_differ_in_a_few_bits_do_not_share_a_shard() {
        let revoked = RevokedTokens::new();
        for shift in [0u32, 8, 40, 64, 100, 112] {
            let ids = (0..4096u128).map(|number| number.checked_shl(shift).unwrap().to_be_bytes());
            let mut sizes: HashMap<usize, usize> = HashMap::new();
            for id in ids {
                *sizes.entry(revoked.shard_of(&id)).or_default() += 1;
            }
            assert!(sizes.values().all(|size| *size < 64), "shift {shift}: {:?}", sizes.values().max());
        }
    }

    #[test]
    fn a_token_is_forgotten_only_when_no_leeway_would_let_it_in() {
        let (soon, unlimited) = (TokenId::generate(), TokenId::generate());
        let revoked = revoked(&[(soon, Some(NOW)), (unlimited, None)]);
        for (later_seconds, kept) in [(0, true), (300, true), (360, true), (361, false)] {
            revoked.prune(NOW.plus(Duration::from_secs(later_seconds)));
            assert_eq!(revoked.contains(&soon), kept, "{later_seconds} s after its expiry");
        }
        revoked.prune(UnixTime::from_milliseconds(u64::MAX));
        assert!(revoked.contains(&unlimited));
    }

    #[test]
    fn a_later_expiry_is_never_lost_and_one_that_comes_twice_counts_once() {
        let token = TokenId::generate();
        let late = NOW.plus(Duration::from_secs(1_000));
        for order in [[Some(NOW), Some(late)], [Some(late), Some(NOW)]] {
            let one_change = revoked(&order.map(|expiry| (token, expiry)));
            let two_changes = revoked(&[(token, order[0])]);
            two_changes.insert_all([(token, order[1])]);
            for revoked in [one_change, two_changes] {
                assert_eq!(revoked.len(), 1);
                revoked.prune(late);
                assert!(revoked.contains(&token));
            }
        }
    }

    #[test]
    fn readers_see_every_token_while_writers_write() {
        let revoked = RevokedTokens::new();
        let kept: Vec<TokenId> = std::iter::repeat_with(TokenId::generate).take(500).collect();
        revoked.insert_all(kept.iter().map(|token| (*token, None)));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let fresh: Vec<TokenId> = std::iter::repeat_with(TokenId::generate).take(20).collect();
                        revoked.insert_all(fresh.iter().map(|token| (*token, Some(NOW))));
                        assert!(fresh.iter().all(|token| revoked.contains(token)));
                    }
                });
            }
            scope.spawn(|| (0..50).for_each(|_| revoked.prune(NOW)));
            scope.spawn(|| (0..50).for_each(|_| assert!(kept.iter().all(|token| revoked.contains(token)))));
        });
        assert_eq!(revoked.len(), 8_500);
        revoked.prune(NOW.plus(Duration::from_secs(3600)));
        assert_eq!(revoked.len(), 500);
    }
}
