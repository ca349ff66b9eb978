//! Owns: the words in which a change of the signing keys is told: what the store is to put and to remove, and what the audit
//! log is to say.
//! Always holds: a change names a key once.

use super::{KeyState, SigningKey, SigningKeyError, SigningKeyRecord};
use crate::{authorization_server::sealing::Sealing, clock::UnixTime, config::SigningAlgorithmConfig};

/// What is to change in the store, and why. All of it goes into one change there, or none.
#[derive(Debug, Default)]
#[must_use = "nothing has changed until the store says so"]
pub struct KeyChange {
    /// Records to put.
    pub put: Vec<SigningKeyRecord>,
    /// Key ids of records to remove.
    pub remove: Vec<String>,
    /// What happens, in this order, for the audit log.
    pub events: Vec<KeyEvent>,
}

/// Something that happens to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyEvent {
    /// The key.
    pub key_id: String,
    /// Its algorithm.
    pub algorithm: SigningAlgorithmConfig,
    /// What happens.
    pub what: KeyEventKind,
}

/// What can happen to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyEventKind {
    /// It was made, and is published.
    Made,
    /// It begins to sign.
    Activated,
    /// Another one signs in its place.
    Retired,
    /// It and all that it signed are no longer accepted.
    Revoked,
    /// Nothing that it signed lives any more, and it is forgotten.
    Removed,
    /// It had been kept in clear, and is encrypted now.
    Encrypted,
}

/// Why the keys are not changed as somebody asked.
#[derive(Debug, thiserror::Error)]
pub enum KeyChangeError {
    /// There is no key of this id.
    #[error("there is no signing key {key_id}")]
    UnknownKey {
        /// The id.
        key_id: String,
    },
    /// There are no keys yet, or the next one is missing: [`super::KeyRing::ensure`] comes first.
    #[error("there is no signing key that could take over: start the issuer, which makes one")]
    NoNextKey,
    /// Verifiers that cache the key document may not know the next key yet.
    #[error(
        "the next signing key {key_id} was published less than {published} seconds ago, so verifiers that cache the key \
         document would refuse what it signs: wait {remaining_seconds} s, or rotate in haste",
        published = super::rotation::KNOWN_AFTER.as_secs()
    )]
    NextTooNew {
        /// The next key.
        key_id: String,
        /// How long it takes until it may sign, in seconds.
        remaining_seconds: u64,
    },
    /// Only what no longer signs can be forgotten.
    #[error("the signing key {key_id} is {state:?}, or was until a moment ago, and is still needed")]
    StillNeeded {
        /// The key.
        key_id: String,
        /// The part that it plays.
        state: KeyState,
    },
    /// A key could not be made.
    #[error(transparent)]
    Making(#[from] SigningKeyError),
}

impl KeyChange {
    /// Whether nothing is to change.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.put.is_empty() && self.remove.is_empty()
    }

    /// Makes a key that plays the part of `state` from now on.
    pub(super) fn make(
        &mut self,
        algorithm: SigningAlgorithmConfig,
        state: KeyState,
        now: UnixTime,
        sealing: &Sealing,
    ) -> Result<(), SigningKeyError> {
        let (key, pkcs8) = SigningKey::generate(algorithm, now)?;
        let key_id = key.key_id().to_owned();
        let sealed = sealing
            .seal(&SigningKeyRecord::sealing_name(&key_id), &pkcs8)
            .map_err(|source| SigningKeyError::Sealed { key_id: key_id.clone(), source })?;
        let record = SigningKeyRecord {
            key_id,
            algorithm,
            state,
            created_at: now,
            activated_at: (state == KeyState::Current).then_some(now),
            retired_at: None,
            revoked_at: None,
            private_key: Some(sealed),
        };
        self.note(&record, KeyEventKind::Made);
        if state == KeyState::Current {
            self.note(&record, KeyEventKind::Activated);
        }
        self.put.push(record);
        Ok(())
    }

    pub(super) fn activate(&mut self, next: &SigningKeyRecord, now: UnixTime) {
        self.note(next, KeyEventKind::Activated);
        self.put.push(SigningKeyRecord { state: KeyState::Current, activated_at: Some(now), ..next.clone() });
    }

    pub(super) fn retire(&mut self, current: &SigningKeyRecord, now: UnixTime) {
        self.note(current, KeyEventKind::Retired);
        self.put.push(SigningKeyRecord { state: KeyState::Previous, retired_at: Some(now), ..current.clone() });
    }

    pub(super) fn revoke(&mut self, record: &SigningKeyRecord, now: UnixTime) {
        self.note(record, KeyEventKind::Revoked);
        let revoked =
            SigningKeyRecord { state: KeyState::Revoked, revoked_at: Some(now), private_key: None, ..record.clone() };
        self.put.push(revoked);
    }

    pub(super) fn forget(&mut self, record: &SigningKeyRecord) {
        self.note(record, KeyEventKind::Removed);
        self.remove.push(record.key_id.clone());
    }

    pub(super) fn reseal(&mut self, record: &SigningKeyRecord, sealed: String) {
        self.note(record, KeyEventKind::Encrypted);
        self.put.push(SigningKeyRecord { private_key: Some(sealed), ..record.clone() });
    }

    fn note(&mut self, record: &SigningKeyRecord, what: KeyEventKind) {
        self.events.push(KeyEvent { key_id: record.key_id.clone(), algorithm: record.algorithm, what });
    }
}

impl KeyEventKind {
    /// Its name in the audit log; stable.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Made => "signing_key.made",
            Self::Activated => "signing_key.activated",
            Self::Retired => "signing_key.retired",
            Self::Revoked => "signing_key.revoked",
            Self::Removed => "signing_key.removed",
            Self::Encrypted => "signing_key.encrypted",
        }
    }
}
