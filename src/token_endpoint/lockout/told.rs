//! Owns: what replicas tell each other of failures and successes, and how it is written.
//! Refuses: telling an id or a secret: a client is told by its hash; a message that is longer than any replica's.
//! Always holds: a message says what happened, never what follows from it: that is for the settings of whoever hears it.

use std::{net::IpAddr, sync::Arc};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{clock::UnixTime, limit::SharedCounters, token_endpoint::name_hash::NameHash};

/// Where it is told.
pub(super) const CHANNEL: &str = "lockout";

/// The longest message; the longest thing in it is the name of an endpoint.
const LONGEST_BYTES: usize = 8 * 1024;

/// What happened on a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) replica: Uuid,
    pub(super) endpoint: Box<str>,
    pub(super) client: NameHash,
    pub(super) peer: IpAddr,
    pub(super) at: UnixTime,
    pub(super) what: What,
}

/// Whether an attempt to authenticate failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum What {
    /// It did.
    Failed,
    /// It did not.
    Succeeded,
}

/// Tells the other replicas what happens at one endpoint.
#[derive(Debug)]
pub(super) struct Teller {
    counters: Arc<SharedCounters>,
    replica: Uuid,
    endpoint: Arc<str>,
}

#[derive(Serialize, Deserialize)]
struct Message {
    replica: String,
    endpoint: Box<str>,
    client: String,
    peer: IpAddr,
    at: UnixTime,
    #[serde(rename = "which")]
    what: What,
}

impl Teller {
    pub(super) const fn new(counters: Arc<SharedCounters>, replica: Uuid, endpoint: Arc<str>) -> Self {
        Self { counters, replica, endpoint }
    }

    /// Tells it. Nobody waits for that, and nobody learns whether it was heard.
    pub(super) fn tell(&self, client: NameHash, peer: IpAddr, at: UnixTime, what: What) {
        let told = Told { replica: self.replica, endpoint: (&*self.endpoint).into(), client, peer, at, what };
        if let Some(message) = told.write() {
            self.counters.publish(CHANNEL, message);
        }
    }
}

impl Told {
    fn write(&self) -> Option<String> {
        let (client, endpoint) = (self.client.to_string(), self.endpoint.clone());
        let message = Message {
            replica: self.replica.to_string(),
            endpoint,
            client,
            peer: self.peer,
            at: self.at,
            what: self.what,
        };
        // Texts and numbers always serialize; were it otherwise, each replica would count for itself.
        serde_json::to_string(&message).ok()
    }

    /// Reads a message; none if it is none of a replica.
    pub(super) fn parse(message: &str) -> Option<Self> {
        if message.len() > LONGEST_BYTES {
            return None;
        }
        let Message { replica, endpoint, client, peer, at, what } = serde_json::from_str(message).ok()?;
        let (replica, client) = (Uuid::try_parse(&replica).ok()?, client.parse().ok()?);
        Some(Self { replica, endpoint, client, peer, at, what })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn told(what: What) -> Told {
        let (client, at) = (NameHash::of("canary"), UnixTime::from_seconds(1_700_000_000));
        Told { replica: Uuid::nil(), endpoint: "oauth".into(), client, peer: [192, 0, 2, 1].into(), at, what }
    }

    #[test]
    fn what_is_written_is_read_and_tells_no_id() {
        for told in [told(What::Failed), told(What::Succeeded)] {
            let message = told.write().unwrap();
            assert_eq!(Told::parse(&message), Some(told));
            assert!(!message.contains("canary"));
        }
    }

    #[test]
    fn what_is_no_message_is_not_read() {
        let good: Value = serde_json::from_str(&told(What::Failed).write().unwrap()).unwrap();
        for (member, value) in [
            ("replica", json!("x")),
            ("endpoint", json!(1)),
            ("endpoint", json!("x".repeat(LONGEST_BYTES))),
            ("client", json!("billing")),
            ("peer", json!("here")),
            ("at", json!(-1)),
            ("which", json!("other")),
            ("which", Value::Null),
        ] {
            let mut bad = good.clone();
            bad[member] = value;
            assert_eq!(Told::parse(&bad.to_string()), None, "{bad}");
        }
        assert!(Told::parse(&good.to_string()).is_some(), "the control");
        for text in ["", "{}", "null", "[]"] {
            assert_eq!(Told::parse(text), None);
        }
    }

    proptest! {
        /// Messages that were tampered with: each is read as nothing, or as what would be written alike.
        #[test]
        fn no_text_is_too_much(
            cuts in proptest::collection::vec((any::<prop::sample::Index>(), 0..4usize, "[\"{}:,.0-9a-f\\\\ é\\x00]{0,3}"), 0..4)
        ) {
            let mut message: Vec<char> = told(What::Failed).write().unwrap().chars().collect();
            for (at, taken, put) in cuts {
                let from = at.index(message.len() + 1);
                let to = (from + taken).min(message.len());
                message.splice(from..to, put.chars());
            }
            if let Some(told) = Told::parse(&message.into_iter().collect::<String>()) {
                prop_assert_eq!(Told::parse(&told.write().unwrap()), Some(told));
            }
        }
    }
}
