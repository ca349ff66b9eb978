//! The life of signing keys, from the first start to their removal, with records that go through JSON as in the store.

use std::{collections::BTreeMap, time::Duration};

use SigningAlgorithmConfig::{ES256, EdDSA};
use proptest::{collection::vec, prelude::*};
use serde_json::{Map, Value};

use super::*;
use crate::{
    authorization_server::sealing::{Sealing, SealingError},
    clock::UnixTime,
    config::SigningAlgorithmConfig,
    jose::{CompactJws, TokenType, VerificationKey},
    secret::Secret,
};

const START: UnixTime = UnixTime::from_seconds(1_700_000_000);

fn after(seconds: u64) -> UnixTime {
    START.plus(Duration::from_secs(seconds))
}

fn sealing(key: &str) -> Sealing {
    Sealing::of(Some(&Secret::new(key.to_owned()))).unwrap()
}

/// The store, as far as it matters here.
struct Records {
    sealing: Sealing,
    documents: BTreeMap<String, String>,
}

impl Records {
    fn new() -> Self {
        Self { sealing: sealing("a key of the operator's"), documents: BTreeMap::new() }
    }

    /// After the first start.
    fn started(algorithm: SigningAlgorithmConfig) -> Self {
        let mut records = Self::new();
        records.ensure(algorithm, START);
        records
    }

    fn parsed(&self) -> Vec<SigningKeyRecord> {
        self.documents.iter().map(|(id, document)| SigningKeyRecord::parse(id, document).unwrap()).collect()
    }

    fn opened(&self) -> Result<KeyRing, SigningKeyError> {
        KeyRing::of(self.parsed(), &self.sealing)
    }

    fn ring(&self) -> KeyRing {
        self.opened().unwrap()
    }

    /// Puts and removes, and gives what happened: the kind, and the key's place in the order of making.
    fn apply(&mut self, change: KeyChange) -> Vec<KeyEventKind> {
        let mut named: Vec<&String> = change.put.iter().map(|record| &record.key_id).chain(&change.remove).collect();
        named.sort();
        assert!(named.is_sorted_by(|left, right| left < right), "a key is named twice");
        for record in &change.put {
            self.documents.insert(record.key_id.clone(), serde_json::to_string(record).unwrap());
        }
        change.remove.iter().for_each(|key_id| assert!(self.documents.remove(key_id).is_some()));
        assert!(change.events.iter().all(|event| named.contains(&&event.key_id)));
        change.events.iter().map(|event| event.what).collect()
    }

    fn ensure(&mut self, algorithm: SigningAlgorithmConfig, now: UnixTime) -> Vec<KeyEventKind> {
        let change = self.ring().ensure(algorithm, now, &self.sealing).unwrap();
        self.apply(change)
    }

    fn rotate(&mut self, now: UnixTime, haste: bool) -> Result<Vec<KeyEventKind>, KeyChangeError> {
        let change = self.ring().rotate(now, haste, &self.sealing)?;
        Ok(self.apply(change))
    }

    fn revoke(&mut self, key_id: &str, now: UnixTime) -> Result<Vec<KeyEventKind>, KeyChangeError> {
        let change = self.ring().revoke(key_id, now, &self.sealing)?;
        Ok(self.apply(change))
    }

    fn retire(&mut self, key_id: &str, now: UnixTime) -> Result<Vec<KeyEventKind>, KeyChangeError> {
        let change = self.ring().retire(key_id, now)?;
        Ok(self.apply(change))
    }

    fn current(&self) -> String {
        self.ring().current().unwrap().key_id().to_owned()
    }

    fn next(&self, algorithm: SigningAlgorithmConfig) -> String {
        self.ring().next_record(algorithm).unwrap().key_id.clone()
    }

    fn published(&self) -> Vec<String> {
        self.ring().published().map(|key| key.key_id().to_owned()).collect()
    }

    fn states(&self) -> Vec<KeyState> {
        self.ring().records().map(|record| record.state).collect()
    }

    fn alter(&mut self, key_id: &str, alter: impl FnOnce(&mut SigningKeyRecord)) {
        let mut record = SigningKeyRecord::parse(key_id, &self.documents[key_id]).unwrap();
        alter(&mut record);
        self.documents.insert(key_id.to_owned(), serde_json::to_string(&record).unwrap());
    }
}

#[test]
fn the_first_start_makes_a_key_that_signs_and_one_that_will() {
    let mut records = Records::new();
    assert!(records.ring().current().is_none());
    assert_eq!(records.ring().jwks(), r#"{"keys":[]}"#);
    assert_eq!(records.ensure(ES256, START), [KeyEventKind::Made, KeyEventKind::Activated, KeyEventKind::Made]);
    assert_eq!(records.states(), [KeyState::Current, KeyState::Next]);
    assert_eq!(records.published(), [records.current(), records.next(ES256)]);
    let before = records.documents.clone();
    assert_eq!(records.ensure(ES256, after(1_000_000)), []);
    assert_eq!(records.documents, before, "a second start changes nothing");
    let ring = records.ring();
    assert_eq!(ring.verification_keys().unwrap().len(), 2);
    assert_eq!(ring.current().unwrap().created_at(), START);
}

#[test]
fn replicas_publish_the_same_document() {
    let mut records = Records::started(ES256);
    records.rotate(after(600), false).unwrap();
    records.ensure(EdDSA, after(601));
    let mut reversed = records.parsed();
    reversed.reverse();
    let document = records.ring().jwks();
    assert_eq!(KeyRing::of(reversed, &records.sealing).unwrap().jwks(), document);
    let parsed: Value = serde_json::from_slice(&document).unwrap();
    let key_ids: Vec<&str> =
        parsed["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap()).collect();
    assert_eq!(key_ids, records.published());
}

#[test]
fn a_rotation_lets_the_next_key_sign_once_everybody_can_know_it() {
    let mut records = Records::started(ES256);
    let (first, second) = (records.current(), records.next(ES256));
    let refused = records.rotate(after(299), false).unwrap_err();
    let KeyChangeError::NextTooNew { key_id, remaining_seconds: 1 } = &refused else { panic!("{refused}") };
    assert_eq!(*key_id, second);
    assert!(refused.to_string().contains("wait 1 s"), "{refused}");
    let token = records.ring().current().unwrap().sign(TokenType::AccessToken, &Map::new()).unwrap();

    let events = records.rotate(after(300), false).unwrap();
    assert_eq!(events, [KeyEventKind::Retired, KeyEventKind::Activated, KeyEventKind::Made]);
    assert_eq!(records.current(), second);
    assert_eq!(records.states(), [KeyState::Current, KeyState::Next, KeyState::Previous]);
    assert_eq!(records.published()[2], first);
    let ring = records.ring();
    let [current, previous] = [&second, &first].map(|key_id| ring.find(key_id).unwrap());
    assert_eq!((current.activated_at, current.created_at), (Some(after(300)), START));
    assert_eq!((previous.activated_at, previous.retired_at), (Some(START), Some(after(300))));
    // What was signed before is good.
    let token = CompactJws::parse(token.compact.expose()).unwrap();
    let keys = ring.verification_keys().unwrap();
    let key = keys.iter().map(|(key, _)| key).find(|key| key.key_id() == token.header().key_id()).unwrap();
    let verify =
        |key: &VerificationKey| key.verify(token.header().algorithm(), token.signing_input(), token.signature());
    assert!(verify(key).is_ok());

    // In haste it does not wait.
    assert!(records.rotate(after(301), false).is_err());
    assert!(records.rotate(after(301), true).is_ok());
    // Nor is there anything to rotate before the first start.
    assert!(matches!(Records::new().rotate(START, true), Err(KeyChangeError::NoNextKey)));
}

#[test]
fn two_replicas_that_rotate_at_once_rotate_once() {
    let mut records = Records::started(ES256);
    let day = Duration::from_secs(86_400);
    let now = START.plus(day);
    // Both find that it is due; the changes of the store wait for each other, and each decides by what it reads there.
    let outcomes = [0, 1].map(|_| {
        let ring = records.ring();
        if !ring.is_due(day, now) {
            return false;
        }
        records.rotate(now, false).unwrap();
        true
    });
    assert_eq!(outcomes, [true, false]);
    assert_eq!(records.published().len(), 3);
}

#[test]
fn a_key_is_due_when_it_has_signed_long_enough_and_another_can() {
    let mut records = Records::started(ES256);
    let hour = Duration::from_secs(3600);
    assert!(!KeyRing::default().is_due(hour, after(0)));
    for (seconds, due) in [(0, false), (3_599, false), (3_600, true), (7_200, true)] {
        assert_eq!(records.ring().is_due(hour, after(seconds)), due, "{seconds}");
    }
    assert!(!records.ring().is_due(hour, UnixTime::default()), "a clock that was set back");
    // The next key was made a moment ago.
    let next = records.next(ES256);
    records.revoke(&next, after(3_600)).unwrap();
    assert!(!records.ring().is_due(hour, after(3_601)));
    assert!(records.ring().is_due(hour, after(3_900)));
    records.rotate(after(3_900), false).unwrap();
    assert!(!records.ring().is_due(hour, after(7_499)));
    assert!(records.ring().is_due(hour, after(7_500)));
}

#[test]
fn a_compromised_key_is_gone_at_once_and_issuing_goes_on() {
    let mut records = Records::started(ES256);
    records.rotate(after(600), false).unwrap();
    let previous = records.published()[2].clone();
    let (current, next) = (records.current(), records.next(ES256));

    let events = records.revoke(&current, after(601)).unwrap();
    assert_eq!(events, [KeyEventKind::Revoked, KeyEventKind::Activated, KeyEventKind::Made]);
    assert_eq!(records.current(), next, "though it was made a moment ago");
    assert!(!records.published().contains(&current));
    let revoked = records.ring().find(&current).cloned().unwrap();
    assert_eq!((revoked.state, revoked.revoked_at), (KeyState::Revoked, Some(after(601))));
    assert_eq!(revoked.private_key, None);

    assert_eq!(records.revoke(&previous, after(602)).unwrap(), [KeyEventKind::Revoked]);
    assert_eq!(records.states(), [KeyState::Current, KeyState::Next, KeyState::Revoked, KeyState::Revoked]);

    let next = records.next(ES256);
    let events = records.revoke(&next, after(603)).unwrap();
    assert_eq!(events, [KeyEventKind::Revoked, KeyEventKind::Made]);
    assert_ne!(records.next(ES256), next);

    // A second time changes nothing, and what is not there cannot be revoked.
    let before = records.documents.clone();
    assert_eq!(records.revoke(&current, after(999)).unwrap(), []);
    assert_eq!(records.documents, before);
    assert!(
        matches!(records.revoke("nobody's", START), Err(KeyChangeError::UnknownKey { key_id }) if key_id == "nobody's")
    );
}

#[test]
fn another_algorithm_takes_over_and_the_old_keys_stay_until_their_tokens_have_gone() {
    let mut records = Records::started(ES256);
    let (old, old_next) = (records.current(), records.next(ES256));
    let events = records.ensure(EdDSA, after(10));
    assert_eq!(events, [KeyEventKind::Retired, KeyEventKind::Made, KeyEventKind::Activated, KeyEventKind::Made]);
    let ring = records.ring();
    assert_eq!(ring.current().unwrap().algorithm(), EdDSA);
    assert_eq!(ring.published().count(), 4);
    assert_eq!(records.ensure(EdDSA, after(11)), []);
    assert_eq!(ring.retirable(after(309)).count(), 0);
    assert_eq!(ring.retirable(after(310)).collect::<Vec<_>>(), [old.as_str()]);

    // A next key that nobody will ever use goes with the last one that signed.
    assert_eq!(records.retire(&old, after(310)).unwrap(), [KeyEventKind::Removed, KeyEventKind::Removed]);
    assert_eq!(records.states(), [KeyState::Current, KeyState::Next]);
    assert!(!records.published().contains(&old_next));
}

#[test]
fn going_back_to_an_algorithm_uses_the_key_that_everybody_knows() {
    let mut records = Records::started(ES256);
    let next = records.next(ES256);
    records.ensure(EdDSA, after(10));
    records.ensure(ES256, after(20));
    assert_eq!(records.current(), next);
    let ed = records.ring();
    assert_eq!(ed.next_record(EdDSA).map(|record| record.state), Some(KeyState::Next));
    // To and fro adds one key a turn, and the keys that signed can be forgotten.
    assert_eq!(records.published().len(), 5);
}

#[test]
fn only_keys_that_no_longer_sign_are_forgotten() {
    let mut records = Records::started(ES256);
    records.rotate(after(600), false).unwrap();
    let previous = records.published()[2].clone();
    for (key_id, seconds) in [(records.current(), 9_999), (records.next(ES256), 9_999), (previous.clone(), 899)] {
        let refused = records.retire(&key_id, after(seconds)).unwrap_err();
        assert!(matches!(&refused, KeyChangeError::StillNeeded { key_id: named, .. } if *named == key_id), "{refused}");
    }
    assert!(matches!(records.retire("nobody's", START), Err(KeyChangeError::UnknownKey { .. })));
    assert_eq!(records.retire(&previous, after(900)).unwrap(), [KeyEventKind::Removed]);
    assert_eq!(records.states(), [KeyState::Current, KeyState::Next]);
    let compromised = records.current();
    records.revoke(&compromised, after(1_000)).unwrap();
    assert_eq!(records.ring().retirable(after(1_300)).collect::<Vec<_>>(), [compromised.as_str()]);
}

#[test]
fn keys_that_do_not_open_are_named_and_never_replaced() {
    let mut records = Records::started(ES256);
    let key_id = records.current();
    for (sealing, expected, remedy) in [
        (Sealing::of(None).unwrap(), "NoKey", "configure the one"),
        (sealing("another key"), "AnotherKey", "configure the one"),
    ] {
        records.sealing = sealing;
        let error = records.opened().unwrap_err();
        let SigningKeyError::Sealed { key_id: named, source } = &error else { panic!("{error:?}") };
        assert_eq!(*named, key_id);
        assert!(error.to_string().contains(&key_id) && format!("{source:?}").starts_with(expected), "{error}");
        assert!(source.to_string().contains("encryption_key") && source.to_string().contains(remedy), "{source}");
    }
}

#[test]
fn records_that_contradict_each_other_or_were_tampered_with_are_refused() {
    type Tampering = fn(&mut Records, &str, &str);
    type Expected = fn(&SigningKeyError) -> bool;
    let cases: [(&str, Tampering, Expected); 6] = [
        (
            "two current keys",
            |records, _, next| records.alter(next, |record| record.state = KeyState::Current),
            |error| matches!(error, SigningKeyError::Contradiction { state: KeyState::Current, .. }),
        ),
        (
            "two next keys",
            |records, current, _| records.alter(current, |record| record.state = KeyState::Next),
            |error| matches!(error, SigningKeyError::Contradiction { state: KeyState::Next, .. }),
        ),
        (
            "no private half",
            |records, current, _| records.alter(current, |record| record.private_key = None),
            |error| matches!(error, SigningKeyError::Unreadable { .. }),
        ),
        (
            "another algorithm",
            |records, current, _| records.alter(current, |record| record.algorithm = EdDSA),
            |error| matches!(error, SigningKeyError::Corrupt { .. }),
        ),
        (
            "the sealed half of another key",
            |records, current, next| {
                let other = records.ring().find(next).unwrap().private_key.clone();
                records.alter(current, |record| record.private_key = other);
            },
            |error| matches!(error, SigningKeyError::Sealed { source: SealingError::Corrupt { .. }, .. }),
        ),
        (
            "another key, in clear",
            |records, current, _| {
                let (_, pkcs8) = SigningKey::generate(ES256, START).unwrap();
                let plain = Sealing::of(None).unwrap().seal("", &pkcs8).unwrap();
                records.alter(current, |record| record.private_key = Some(plain));
            },
            |error| matches!(error, SigningKeyError::OtherKey { .. }),
        ),
    ];
    for (name, tamper, expected) in cases {
        let mut records = Records::started(ES256);
        let (current, next) = (records.current(), records.next(ES256));
        tamper(&mut records, &current, &next);
        let error = records.opened().unwrap_err();
        assert!(expected(&error), "{name}: {error:?}");
        assert!(error.to_string().contains(&current) || error.to_string().contains(&next), "{name}: {error}");
    }
}

#[test]
fn documents_that_are_none_are_refused_and_not_repeated() {
    let records = Records::started(ES256);
    let key_id = records.current();
    let document = &records.documents[&key_id];
    assert!(SigningKeyRecord::parse(&key_id, document).is_ok());
    for bad in [
        "",
        "{}",
        "canary",
        &document.replace("\"state\"", "\"canary\":1,\"state\""),
        &document.replace("ES256", "canary"),
    ] {
        let error = SigningKeyRecord::parse(&key_id, bad).unwrap_err();
        assert!(error.to_string().contains(&key_id) && !format!("{error} {error:?}").contains("canary"), "{error}");
    }
    assert!(SigningKeyRecord::parse("another", document).is_err());
}

#[test]
fn what_was_kept_in_clear_is_encrypted_once_there_is_a_key() {
    let mut records = Records::new();
    records.sealing = Sealing::of(None).unwrap();
    records.ensure(ES256, START);
    let compromised = records.next(ES256);
    records.revoke(&compromised, START).unwrap();
    let (document, clear) = (records.ring().jwks(), records.ring());
    assert!(clear.is_in_clear());
    assert!(clear.reseal(&records.sealing).unwrap().is_empty(), "there is no key");

    records.sealing = sealing("now there is one");
    let change = records.ring().reseal(&records.sealing).unwrap();
    assert_eq!(records.apply(change), [KeyEventKind::Encrypted; 2]);
    let sealed = records.ring();
    assert!(!sealed.is_in_clear() && sealed.jwks() == document);
    assert!(sealed.reseal(&records.sealing).unwrap().is_empty());
    assert!(records.documents.values().all(|document| !document.contains("plain:")));
    assert!(KeyRing::of(records.parsed(), &Sealing::of(None).unwrap()).is_err());
}

#[test]
fn debug_shows_no_private_key() {
    let mut records = Records::new();
    records.sealing = Sealing::of(None).unwrap();
    records.ensure(ES256, START);
    let ring = records.ring();
    let change = ring.rotate(after(600), false, &records.sealing).unwrap();
    let shown = format!("{ring:?} {change:?} {:?}", records.parsed());
    for record in ring.records().chain(&change.put) {
        let private = record.private_key.as_deref().unwrap().trim_start_matches("plain:v1:");
        assert!(!shown.contains(private) && !shown.contains("plain:v1:"));
    }
}

/// What may be done to the keys.
#[derive(Clone, Debug)]
enum Step {
    Ensure(bool),
    Rotate(bool),
    Revoke(usize),
    Retire(usize),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => any::<bool>().prop_map(Step::Ensure),
        3 => any::<bool>().prop_map(Step::Rotate),
        2 => (0usize..8).prop_map(Step::Revoke),
        2 => (0usize..8).prop_map(Step::Retire),
        3 => (0u64..900).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_happens_one_key_signs_and_another_is_ready(steps in vec(step(), 0..24)) {
        let mut records = Records::started(ES256);
        let mut now = START;
        // Every key that ever signed and was neither revoked nor forgotten.
        let mut owed = vec![records.current()];
        for step in steps {
            let some_key = |index: usize| {
                let key_ids: Vec<String> = records.documents.keys().cloned().collect();
                key_ids[index % key_ids.len()].clone()
            };
            match step {
                Step::Ensure(elliptic) => drop(records.ensure(if elliptic { ES256 } else { EdDSA }, now)),
                Step::Rotate(haste) => drop(records.rotate(now, haste)),
                Step::Revoke(index) => {
                    let key_id = some_key(index);
                    records.revoke(&key_id, now).unwrap();
                    owed.retain(|owed| *owed != key_id);
                }
                Step::Retire(index) => {
                    let key_id = some_key(index);
                    if records.retire(&key_id, now).is_ok() {
                        owed.retain(|owed| *owed != key_id);
                    }
                }
                Step::Wait(seconds) => now = now.plus(Duration::from_secs(seconds)),
            }
            let ring = records.ring();
            let current = ring.current().unwrap();
            prop_assert!(ring.next_record(current.algorithm()).is_some());
            prop_assert_eq!(ring.find(current.key_id()).unwrap().retired_at, None);
            owed.push(current.key_id().to_owned());
            let published = records.published();
            prop_assert!(owed.iter().all(|key_id| published.contains(key_id)));
            let hidden = ring.records().filter(|record| record.state == KeyState::Revoked);
            prop_assert!(hidden.into_iter().all(|record| record.private_key.is_none() && !published.contains(&record.key_id)));
        }
    }
}
