//! Owns: what an issuer said of tokens, for as long as it may be believed.
//! Refuses: the tokens themselves: they are known by their SHA-256.
//! Always holds: good tokens and all others have room of their own, so whoever sends bogus tokens displaces no good one.

use aws_lc_rs::digest::{SHA256, digest};
use moka::sync::Cache;

use super::{Said, Told};
use crate::clock::UnixTime;

/// What is kept at most.
#[derive(Clone, Copy, Debug)]
pub(in crate::auth) struct Room {
    /// About how many bytes of answers about good tokens.
    pub(in crate::auth) good_bytes: u64,
    /// How many answers about others.
    pub(in crate::auth) others: u64,
}

/// By what a token is known: its SHA-256, so that a dump of memory holds fewer tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::auth) struct Fingerprint {
    bytes: [u8; 32],
}

/// What an issuer said, by token.
pub(super) struct Memory<T: Said> {
    good: Cache<Fingerprint, (Told<T>, u32)>,
    others: Cache<Fingerprint, Told<T>>,
}

impl Fingerprint {
    /// That of `text`.
    pub(in crate::auth) fn of(text: &str) -> Self {
        let mut bytes = [0; 32];
        bytes.iter_mut().zip(digest(&SHA256, text.as_bytes()).as_ref()).for_each(|(to, from)| *to = *from);
        Self { bytes }
    }
}

impl<T: Said> Memory<T> {
    pub(super) fn new(room: Room) -> Self {
        let good = Cache::builder().max_capacity(room.good_bytes).weigher(|_, (_, weight)| *weight);
        Self { good: good.build(), others: Cache::new(room.others) }
    }

    /// What was said of it and may be believed at `now`.
    pub(super) fn find(&self, token: &Fingerprint, now: UnixTime) -> Option<Told<T>> {
        let good = self.good.get(token).map(|(told, _)| told).filter(|told| told.belief.holds_at(now));
        good.or_else(|| self.others.get(token).filter(|told| told.belief.holds_at(now)))
    }

    /// Whether it was good when somebody last asked, however long ago.
    pub(super) fn was_good(&self, token: &Fingerprint) -> bool {
        self.good.contains_key(token)
    }

    /// Keeps what was said, which takes about `bytes`. Called where waiting for moka harms nobody.
    pub(super) fn keep(&self, token: Fingerprint, told: Told<T>, bytes: usize) {
        if told.said.is_good() {
            self.others.invalidate(&token);
            self.good.insert(token, (told, u32::try_from(bytes).unwrap_or(u32::MAX)));
            self.good.run_pending_tasks();
        } else {
            self.good.invalidate(&token);
            self.others.insert(token, told);
            self.others.run_pending_tasks();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{auth::inquiry::Belief, clock::Moment};

    const ROOM: Room = Room { good_bytes: 8 << 20, others: 1000 };

    impl Said for bool {
        fn name(&self) -> &'static str {
            "said"
        }

        fn is_good(&self) -> bool {
            *self
        }
    }

    fn at(seconds: u64) -> UnixTime {
        UnixTime::from_seconds(seconds)
    }

    fn told(said: bool, seconds: u64) -> Told<bool> {
        Told { said, belief: Belief::new(Moment::present(at(100)), Duration::from_secs(seconds)) }
    }

    #[test]
    fn bogus_tokens_displace_no_good_one() {
        let memory = Memory::new(ROOM);
        let good = Fingerprint::of("good");
        memory.keep(good, told(true, 30), 1044);
        for number in 0..1500 {
            memory.keep(Fingerprint::of(&format!("bogus {number}")), told(false, 100), 1044);
        }
        assert!(memory.find(&good, at(101)).is_some_and(|told| told.said));
        assert!(memory.others.entry_count() <= ROOM.others);
        assert!(memory.find(&good, at(130)).is_none());
        assert!(memory.was_good(&good), "also if that is not believed any more");
    }

    #[test]
    fn what_is_said_last_counts() {
        let (memory, token) = (Memory::new(ROOM), Fingerprint::of("token"));
        let said = |seconds| memory.find(&token, at(seconds)).map(|told| told.said);
        memory.keep(token, told(true, 30), 2);
        memory.keep(token, told(false, 10), 2);
        assert_eq!((said(105), memory.was_good(&token)), (Some(false), false));
        assert_eq!(said(115), None, "the older answer is gone");
        memory.keep(token, told(true, 30), 2);
        assert_eq!(said(105), Some(true));
    }
}
