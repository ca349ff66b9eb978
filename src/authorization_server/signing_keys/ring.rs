//! Owns: all signing keys together, opened: which one signs, which ones are published.
//! Refuses: records that contradict each other, and a key that does not open: never are new ones made in its place.
//! Always holds: the same records give the same document on every replica, byte for byte.

use std::{cmp::Reverse, collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{KeyState, SigningKey, SigningKeyError, SigningKeyRecord, UnverifiableKey, jose_algorithm};
use crate::{
    authorization_server::sealing::Sealing, clock::UnixTime, config::SigningAlgorithmConfig, jose::VerificationKey,
};

/// The signing keys of the embedded issuer. Before the first start there are none.
#[derive(Debug, Default)]
pub struct KeyRing {
    /// In the order in which they are published: the current one, the next ones, previous ones; then the revoked ones.
    keys: Vec<RingKey>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct RingKey {
    pub(super) record: SigningKeyRecord,
    /// None if it is revoked.
    key: Option<Arc<SigningKey>>,
}

impl KeyRing {
    /// Opens the keys of `records`. Takes about a millisecond for each RSA key.
    ///
    /// # Errors
    /// If one of them does not open, or they contradict each other.
    pub fn of(records: impl IntoIterator<Item = SigningKeyRecord>, sealing: &Sealing) -> Result<Self, SigningKeyError> {
        let mut records: Vec<SigningKeyRecord> = records.into_iter().collect();
        records.sort_by(|left, right| place(left).cmp(&place(right)));
        refuse_contradictions(&records)?;
        let opened = records.into_iter().map(|record| {
            let key = match (record.state, &record.private_key) {
                (KeyState::Revoked, _) => None,
                (_, Some(sealed)) => Some(Arc::new(open(&record, sealed, sealing)?)),
                (_, None) => return Err(SigningKeyError::Unreadable { key_id: record.key_id }),
            };
            Ok(RingKey { record, key })
        });
        let keys = opened.collect::<Result<_, _>>()?;
        Ok(Self { keys })
    }

    /// The key that signs. There is one after [`KeyRing::ensure`].
    ///
    /// It may be of another algorithm than the one that this replica is configured with, while a new configuration makes
    /// its way through the replicas.
    #[must_use]
    pub fn current(&self) -> Option<&Arc<SigningKey>> {
        self.keys.iter().find(|key| key.record.state == KeyState::Current)?.key.as_ref()
    }

    /// Every key whose tokens are good: the current one, the next ones, then previous ones.
    pub fn published(&self) -> impl Iterator<Item = &Arc<SigningKey>> {
        self.keys.iter().filter_map(|key| key.key.as_ref())
    }

    /// All keys as the store keeps them, revoked ones last.
    pub fn records(&self) -> impl Iterator<Item = &SigningKeyRecord> {
        self.keys.iter().map(|key| &key.record)
    }

    /// The key document (RFC 7517 section 5): public halves only.
    #[must_use]
    pub fn jwks(&self) -> Bytes {
        let keys: Vec<Value> = self.published().map(|key| Value::Object(key.public_jwk().clone())).collect();
        let mut document = Map::new();
        document.insert("keys".to_owned(), Value::Array(keys));
        Bytes::from(Value::Object(document).to_string())
    }

    /// The published keys, ready for verifying, each with the moment it was made.
    ///
    /// # Errors
    /// If verification would not accept one of them, which [`KeyRing::of`] has tried already.
    pub fn verification_keys(&self) -> Result<Vec<(VerificationKey, UnixTime)>, UnverifiableKey> {
        let parse = |key: &Arc<SigningKey>| match VerificationKey::parse(key.public_jwk()) {
            Ok(parsed) => Ok((parsed, key.created_at())),
            Err(why) => Err(UnverifiableKey { key_id: key.key_id().to_owned(), why }),
        };
        self.published().map(parse).collect()
    }

    pub(super) fn find(&self, key_id: &str) -> Option<&SigningKeyRecord> {
        self.records().find(|record| record.key_id == key_id)
    }

    pub(super) fn current_record(&self) -> Option<&SigningKeyRecord> {
        self.records().find(|record| record.state == KeyState::Current)
    }

    pub(super) fn next_record(&self, algorithm: SigningAlgorithmConfig) -> Option<&SigningKeyRecord> {
        self.records().find(|record| record.state == KeyState::Next && record.algorithm == algorithm)
    }
}

/// The place of a key among the others: by the part it plays, the newest first.
fn place(record: &SigningKeyRecord) -> (KeyState, Reverse<UnixTime>, &str) {
    (record.state, Reverse(record.created_at), &record.key_id)
}

/// One key signs, and one of each algorithm is next.
fn refuse_contradictions(records: &[SigningKeyRecord]) -> Result<(), SigningKeyError> {
    let mut taken = BTreeSet::new();
    for record in records {
        let part = match record.state {
            KeyState::Current => None,
            KeyState::Next => Some(jose_algorithm(record.algorithm)),
            KeyState::Previous | KeyState::Revoked => continue,
        };
        if !taken.insert(part) {
            return Err(SigningKeyError::Contradiction { key_id: record.key_id.clone(), state: record.state });
        }
    }
    Ok(())
}

fn open(record: &SigningKeyRecord, sealed: &str, sealing: &Sealing) -> Result<SigningKey, SigningKeyError> {
    let (key_id, algorithm) = (&record.key_id, record.algorithm);
    let pkcs8 = sealing
        .open(&SigningKeyRecord::sealing_name(key_id), sealed)
        .map_err(|source| SigningKeyError::Sealed { key_id: key_id.clone(), source })?;
    let key = SigningKey::from_pkcs8(&pkcs8, algorithm, record.created_at)
        .map_err(|source| SigningKeyError::Corrupt { key_id: key_id.clone(), algorithm, source })?;
    if key.key_id() != key_id {
        return Err(SigningKeyError::OtherKey { key_id: key_id.clone() });
    }
    Ok(key)
}
