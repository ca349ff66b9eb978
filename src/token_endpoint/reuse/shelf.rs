//! Owns: the kept tokens of one endpoint, found by the request that they answer, by their own text, by their client.
//! Refuses: more bytes than it is told. What was not asked for the longest time goes first.
//! Always holds: every index names the kept tokens and no others.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    Asker, ReuseKey,
    fingerprint::{Fingerprint, Fingerprinting},
    kept::Kept,
};
use crate::clock::UnixTime;

/// How many tokens that have ended are cleared away by whoever puts another one in.
const CLEARED_AT_ONCE: usize = 32;

/// The kept tokens of one endpoint.
#[derive(Default)]
pub(super) struct Shelf {
    entries: HashMap<ReuseKey, Entry>,
    by_token: HashMap<Fingerprint, BTreeSet<ReuseKey>>,
    by_client: HashMap<Fingerprint, BTreeSet<ReuseKey>>,
    by_use: BTreeMap<u64, ReuseKey>,
    by_end: BTreeSet<(UnixTime, ReuseKey)>,
    /// Counts uses, so that each has a place among them.
    uses: u64,
    bytes: u64,
    /// Counts the times that an operator cleared something away.
    generation: u64,
}

struct Entry {
    kept: Kept,
    token: Fingerprint,
    bytes: u64,
    used: u64,
}

impl Shelf {
    /// The token under `key`. It counts as used.
    pub(super) fn find(&mut self, key: ReuseKey) -> Option<&mut Kept> {
        let entry = self.entries.get_mut(&key)?;
        self.uses += 1;
        self.by_use.remove(&entry.used);
        entry.used = self.uses;
        self.by_use.insert(entry.used, key);
        Some(&mut entry.kept)
    }

    /// Keeps a token in place of the one under `key`, and gives back how many others had to go. One that alone takes more than
    /// `most_bytes` is not kept.
    pub(super) fn insert(&mut self, key: ReuseKey, kept: Kept, by: &Fingerprinting, most_bytes: u64) -> u64 {
        self.remove(key);
        let bytes = kept.bytes();
        if bytes > most_bytes {
            return 0;
        }
        let mut gone = 0;
        while self.bytes + bytes > most_bytes
            && let Some(oldest) = self.by_use.first_key_value().map(|(_, key)| *key)
        {
            gone += u64::from(self.remove(oldest));
        }
        self.uses += 1;
        let token = token_fingerprint(by, kept.token().access_token.expose());
        self.by_token.entry(token).or_default().insert(key);
        self.by_client.entry(kept.asker().client).or_default().insert(key);
        self.by_use.insert(self.uses, key);
        self.by_end.insert((kept.ends_at(), key));
        self.bytes += bytes;
        self.entries.insert(key, Entry { kept, token, bytes, used: self.uses });
        gone
    }

    /// Whether there was one.
    pub(super) fn remove(&mut self, key: ReuseKey) -> bool {
        let Some(entry) = self.entries.remove(&key) else { return false };
        self.by_use.remove(&entry.used);
        self.by_end.remove(&(entry.kept.ends_at(), key));
        self.bytes = self.bytes.saturating_sub(entry.bytes);
        unlist(&mut self.by_token, entry.token, key);
        unlist(&mut self.by_client, entry.kept.asker().client, key);
        true
    }

    /// Removes a token wherever it is; gives back at how many places it was.
    pub(super) fn remove_token(&mut self, token: Fingerprint) -> u64 {
        let keys = self.by_token.get(&token).cloned().unwrap_or_default();
        self.remove_all_of(keys)
    }

    /// Removes those of a client's tokens that were had with a credential of which `is_meant` says so.
    pub(super) fn remove_client(&mut self, client: Fingerprint, is_meant: impl Fn(Fingerprint) -> bool) -> u64 {
        let entry_is_meant =
            |key: &&ReuseKey| self.entries.get(*key).is_some_and(|it| is_meant(it.kept.asker().credential));
        let keys: Vec<_> = self.by_client.get(&client).into_iter().flatten().filter(entry_is_meant).copied().collect();
        self.remove_all_of(keys)
    }

    /// Removes all of them, or all of a client's, and keeps nothing that is under way.
    pub(super) fn clear(&mut self, client: Option<Fingerprint>) -> u64 {
        self.generation += 1;
        match client {
            Some(client) => self.remove_client(client, |_| true),
            None => {
                let keys: Vec<_> = self.entries.keys().copied().collect();
                self.remove_all_of(keys)
            }
        }
    }

    /// Clears away some of those that have ended.
    pub(super) fn clear_ended(&mut self, now: UnixTime) {
        for _ in 0..CLEARED_AT_ONCE {
            match self.by_end.first() {
                Some((end, key)) if *end <= now => {
                    let key = *key;
                    self.remove(key);
                }
                _ => return,
            }
        }
    }

    /// Whether there is a token that was had with this very credential.
    pub(super) fn holds(&self, asker: Asker) -> bool {
        let keys = self.by_client.get(&asker.client).into_iter().flatten();
        keys.filter_map(|key| self.entries.get(key)).any(|entry| entry.kept.asker() == asker)
    }

    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Another number after each [`Shelf::clear`].
    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    fn remove_all_of(&mut self, keys: impl IntoIterator<Item = ReuseKey>) -> u64 {
        keys.into_iter().map(|key| u64::from(self.remove(key))).sum()
    }
}

/// What a token is recognised by.
pub(super) fn token_fingerprint(by: &Fingerprinting, text: &str) -> Fingerprint {
    by.of("token", text)
}

fn unlist(index: &mut HashMap<Fingerprint, BTreeSet<ReuseKey>>, at: Fingerprint, key: ReuseKey) {
    if let Some(keys) = index.get_mut(&at) {
        keys.remove(&key);
        if keys.is_empty() {
            index.remove(&at);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use proptest::prelude::*;

    use super::{super::testing, *};
    use crate::clock::Moment;

    const NOW: UnixTime = UnixTime::from_seconds(1_700_000_000);
    const MOST_BYTES: u64 = 8 * 1100;

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Insert { key: u8, client: u8, credential: u8, token: u8, seconds: u64 },
        Find(u8),
        RemoveToken(u8),
        RemoveClient(u8, u8),
        Clear(u8),
        ClearEnded(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let insert = (0..20u8, 0..4u8, 0..3u8, 0..12u8, 1..1000u64);
        prop_oneof![
            8 => insert.prop_map(|(key, client, credential, token, seconds)| Step::Insert {
                key, client, credential, token, seconds
            }),
            3 => (0..20u8).prop_map(Step::Find),
            2 => (0..12u8).prop_map(Step::RemoveToken),
            2 => (0..4u8, 0..3u8).prop_map(|(client, credential)| Step::RemoveClient(client, credential)),
            1 => (0..4u8).prop_map(Step::Clear),
            1 => (0..1000u64).prop_map(Step::ClearEnded),
        ]
    }

    fn take(shelf: &mut Shelf, step: Step, by: &Fingerprinting) {
        let key = |number: u8| ReuseKey(by.of("request", &number.to_string()));
        let asker = |client: u8, credential: u8| testing::asker(&client.to_string(), &credential.to_string());
        match step {
            Step::Insert { key: number, client, credential, token, seconds } => {
                let token = Arc::new(testing::token(&format!("token-{token}"), seconds, NOW));
                let kept = Kept::of(&token, asker(client, credential), Moment::present(NOW)).unwrap();
                shelf.insert(key(number), kept, by, MOST_BYTES);
                assert!(shelf.find(key(number)).is_some());
            }
            Step::Find(number) => {
                shelf.find(key(number));
            }
            Step::RemoveToken(token) => {
                let token = token_fingerprint(by, &format!("token-{token}"));
                shelf.remove_token(token);
                assert_eq!(shelf.remove_token(token), 0);
            }
            Step::RemoveClient(client, credential) => {
                let asker = asker(client, credential);
                let held = shelf.holds(asker);
                assert_eq!(shelf.remove_client(asker.client, |it| it == asker.credential) > 0, held);
                assert!(!shelf.holds(asker));
            }
            Step::Clear(client) => {
                shelf.clear((client > 0).then(|| asker(client, 0).client));
            }
            Step::ClearEnded(seconds) => shelf.clear_ended(NOW.plus(Duration::from_secs(seconds))),
        }
    }

    /// Every entry has its place in every index, and they have no others.
    fn assert_sound(shelf: &Shelf) {
        for (key, entry) in &shelf.entries {
            assert!(shelf.by_token[&entry.token].contains(key));
            assert!(shelf.by_client[&entry.kept.asker().client].contains(key));
            assert_eq!(shelf.by_use[&entry.used], *key);
            assert!(shelf.by_end.contains(&(entry.kept.ends_at(), *key)));
        }
        let listed =
            |index: &HashMap<Fingerprint, BTreeSet<ReuseKey>>| index.values().map(BTreeSet::len).sum::<usize>();
        let places = [listed(&shelf.by_token), listed(&shelf.by_client), shelf.by_use.len(), shelf.by_end.len()];
        assert_eq!(places, [shelf.len(); 4]);
        assert!(shelf.by_token.values().chain(shelf.by_client.values()).all(|keys| !keys.is_empty()));
        assert_eq!(shelf.bytes(), shelf.entries.values().map(|entry| entry.bytes).sum::<u64>());
        assert!(shelf.bytes() <= MOST_BYTES);
    }

    proptest! {
        #[test]
        fn the_indexes_name_what_is_kept_and_nothing_else(steps in proptest::collection::vec(step(), 0..80)) {
            let (by, mut shelf) = (Fingerprinting::new().unwrap(), Shelf::default());
            for step in steps {
                take(&mut shelf, step, &by);
                assert_sound(&shelf);
            }
        }
    }

    #[test]
    fn what_was_not_asked_for_the_longest_time_goes_first() {
        let (by, mut shelf) = (Fingerprinting::new().unwrap(), Shelf::default());
        let insert = |number| Step::Insert { key: number, client: 0, credential: 0, token: number, seconds: 100 };
        (0..8).for_each(|number| take(&mut shelf, insert(number), &by));
        take(&mut shelf, Step::Find(0), &by);
        take(&mut shelf, insert(8), &by);
        let there =
            |shelf: &mut Shelf, number: u8| shelf.find(ReuseKey(by.of("request", &number.to_string()))).is_some();
        assert!(there(&mut shelf, 0) && !there(&mut shelf, 1) && there(&mut shelf, 2) && there(&mut shelf, 8));
    }
}
