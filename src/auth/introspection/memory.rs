//! Owns: what an issuer said of tokens, for as long as it may be believed.
//! Refuses: the tokens themselves: they are known by their SHA-256.
//! Always holds: what is active and what is not have room of their own, so whoever sends bogus tokens displaces no good one.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::digest::{SHA256, digest};
use moka::sync::Cache;
use serde_json::{Map, Value};

use crate::clock::UnixTime;

/// About how many bytes of answers about good tokens are kept. Workers remember what they made of them, so this is for those
/// that come a moment later, and for tokens that are active and refused for what they say.
const ACTIVE_BYTES: u64 = 8 << 20;
/// What an entry costs beside its text.
const ENTRY_BYTES: usize = 1024;
/// How many tokens are known not to be active.
const MOST_INACTIVE: u64 = 10_000;

/// What an issuer said of a token.
#[derive(Clone, Debug)]
pub(in crate::auth) enum Answer {
    /// It is good.
    Active {
        /// What it means.
        members: Arc<Map<String, Value>>,
        /// Until when that may be believed.
        until: UnixTime,
    },
    /// It is not.
    Inactive {
        /// Until when that may be believed.
        until: UnixTime,
    },
}

/// By what a token is known: its SHA-256, so that a dump of memory holds fewer tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::auth) struct Fingerprint {
    bytes: [u8; 32],
}

/// What an issuer said, by token.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    active: Cache<Fingerprint, (Answer, u32)>,
    inactive: Cache<Fingerprint, UnixTime>,
}

impl Fingerprint {
    /// That of `text`.
    pub(in crate::auth) fn of(text: &str) -> Self {
        let mut bytes = [0; 32];
        bytes.iter_mut().zip(digest(&SHA256, text.as_bytes()).as_ref()).for_each(|(to, from)| *to = *from);
        Self { bytes }
    }
}

impl Memory {
    pub(super) fn new() -> Self {
        let active = Cache::builder().max_capacity(ACTIVE_BYTES).weigher(|_, (_, weight)| *weight);
        Self { active: active.build(), inactive: Cache::new(MOST_INACTIVE) }
    }

    /// What was said of it and may be believed at `now`.
    pub(super) fn find(&self, token: &Fingerprint, now: UnixTime) -> Option<Answer> {
        if let Some((answer, _)) = self.active.get(token).filter(|(answer, _)| answer.is_believed_at(now)) {
            return Some(answer);
        }
        let until = self.inactive.get(token).filter(|until| now < *until)?;
        Some(Answer::Inactive { until })
    }

    /// Keeps what was said in `bytes` bytes. Called where waiting for moka harms nobody.
    pub(super) fn keep(&self, token: Fingerprint, answer: &Answer, bytes: usize) {
        match answer {
            Answer::Active { .. } => {
                let weight = u32::try_from(bytes.saturating_mul(2) + ENTRY_BYTES).unwrap_or(u32::MAX);
                self.inactive.invalidate(&token);
                self.active.insert(token, (answer.clone(), weight));
                self.active.run_pending_tasks();
            }
            Answer::Inactive { until } => {
                self.active.invalidate(&token);
                self.inactive.insert(token, *until);
                self.inactive.run_pending_tasks();
            }
        }
    }
}

impl Answer {
    /// What was said at `asked_at`: that a token is good and means `members`.
    pub(super) fn active(members: Map<String, Value>, asked_at: UnixTime, cache_for: Duration) -> Self {
        let until = asked_at.plus(cache_for);
        let ends = members.get("exp").and_then(Value::as_f64).filter(|seconds| *seconds >= 0.0);
        // What is no time is refused by whoever reads the claims.
        let ends = ends.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let until = ends.map_or(until, |ends| until.min(UnixTime::default().plus(ends)));
        Self::Active { members: Arc::new(members), until }
    }

    /// Whether it may be believed at `now`.
    pub(super) fn is_believed_at(&self, now: UnixTime) -> bool {
        let (Self::Active { until, .. } | Self::Inactive { until }) = self;
        now < *until
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(seconds: u64) -> UnixTime {
        UnixTime::from_seconds(seconds)
    }

    fn active(members: Value) -> Answer {
        Answer::active(members.as_object().unwrap().clone(), at(100), Duration::from_secs(30))
    }

    #[test]
    fn an_answer_is_believed_until_the_token_ends_and_no_longer_than_told() {
        for (members, until) in [
            (json!({}), 130),
            (json!({ "exp": 120 }), 120),
            (json!({ "exp": 120.0 }), 120),
            (json!({ "exp": 1000 }), 130),
            (json!({ "exp": 50 }), 50),
            (json!({ "exp": "120" }), 130),
            (json!({ "exp": 1e300 }), 130),
        ] {
            let answer = active(members.clone());
            assert_eq!(
                (answer.is_believed_at(at(until - 1)), answer.is_believed_at(at(until))),
                (true, false),
                "{members}"
            );
        }
    }

    #[test]
    fn bogus_tokens_displace_no_good_one() {
        let memory = Memory::new();
        let good = Fingerprint::of("good");
        memory.keep(good, &active(json!({ "sub": "s" })), 20);
        for number in 0..15_000 {
            let inactive = Answer::Inactive { until: at(200) };
            memory.keep(Fingerprint::of(&format!("bogus {number}")), &inactive, 16);
        }
        assert!(matches!(memory.find(&good, at(101)), Some(Answer::Active { .. })));
        assert!(memory.inactive.entry_count() <= MOST_INACTIVE);
        assert!(memory.find(&good, at(130)).is_none());
    }

    #[test]
    fn what_is_said_last_counts() {
        let (memory, token) = (Memory::new(), Fingerprint::of("token"));
        memory.keep(token, &active(json!({})), 2);
        memory.keep(token, &Answer::Inactive { until: at(110) }, 2);
        assert!(matches!(memory.find(&token, at(105)), Some(Answer::Inactive { .. })));
        assert!(memory.find(&token, at(115)).is_none(), "the older answer is gone");
        memory.keep(token, &active(json!({})), 2);
        assert!(matches!(memory.find(&token, at(105)), Some(Answer::Active { .. })));
    }
}
