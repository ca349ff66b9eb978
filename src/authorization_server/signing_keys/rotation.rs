//! Owns: how keys come and go: made at the first start, rotated, revoked, forgotten.
//! Refuses: letting a key sign that verifiers cannot know yet, and forgetting one that may still be asked for.
//! Always holds: pure: what is decided follows from the ring, the time and the question. So that two replicas cannot both
//! decide, the ring must be one of records that were read inside the very change of the store that the answer goes into.

use std::time::Duration;

use super::{KeyChange, KeyChangeError, KeyRing, KeyState, SigningKeyError, SigningKeyRecord};
use crate::{authorization_server::sealing::Sealing, clock::UnixTime, config::SigningAlgorithmConfig};

/// After so long every verifier that keeps to the key document's `Cache-Control` knows a key that was published.
pub const KNOWN_AFTER: Duration = Duration::from_mins(5);

/// How long a key is kept after it has stopped to sign, whatever was recorded: a replica that has not heard of it may still be
/// recording what it signed.
const SETTLED_AFTER: Duration = Duration::from_mins(5);

impl KeyRing {
    /// What it takes for `algorithm` to sign: keys at the first start, and when another algorithm signed before. That one's
    /// keys stay published; going back to it uses its next key, which everybody knows.
    ///
    /// To be asked when the issuer starts and when its algorithm changes, and not again and again: two replicas that are
    /// configured differently would take turns.
    ///
    /// # Errors
    /// If a key cannot be made.
    pub fn ensure(
        &self,
        algorithm: SigningAlgorithmConfig,
        now: UnixTime,
        sealing: &Sealing,
    ) -> Result<KeyChange, SigningKeyError> {
        let mut change = KeyChange::default();
        let (current, next) = (self.current_record(), self.next_record(algorithm));
        if current.is_some_and(|current| current.algorithm == algorithm) {
            if next.is_none() {
                change.make(algorithm, KeyState::Next, now, sealing)?;
            }
            return Ok(change);
        }
        if let Some(current) = current {
            change.retire(current, now);
        }
        change.succeed(next, algorithm, now, sealing)?;
        Ok(change)
    }

    /// Lets the next key sign, and makes another next one.
    ///
    /// # Errors
    /// [`KeyChangeError::NextTooNew`], unless in `haste`; [`KeyChangeError::NoNextKey`]; or a key cannot be made.
    pub fn rotate(&self, now: UnixTime, haste: bool, sealing: &Sealing) -> Result<KeyChange, KeyChangeError> {
        let current = self.current_record().ok_or(KeyChangeError::NoNextKey)?;
        let next = self.next_record(current.algorithm).ok_or(KeyChangeError::NoNextKey)?;
        let remaining = KNOWN_AFTER.saturating_sub(now.since(next.created_at));
        if !haste && !remaining.is_zero() {
            let remaining_seconds = remaining.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX);
            return Err(KeyChangeError::NextTooNew { key_id: next.key_id.clone(), remaining_seconds });
        }
        let mut change = KeyChange::default();
        change.retire(current, now);
        change.succeed(Some(next), current.algorithm, now, sealing)?;
        Ok(change)
    }

    /// Whether the current key has signed for `rotate_every` and the next one may take over.
    #[must_use]
    pub fn is_due(&self, rotate_every: Duration, now: UnixTime) -> bool {
        let Some(current) = self.current_record() else { return false };
        let known = |next: &SigningKeyRecord| now.since(next.created_at) >= KNOWN_AFTER;
        now.since(current.activated_at.unwrap_or(current.created_at)) >= rotate_every
            && self.next_record(current.algorithm).is_some_and(known)
    }

    /// Revokes a key that somebody else may have, at once. In the current one's place the next one signs, though verifiers
    /// may not know it yet; in the place of a next one comes another. That the tokens it signed are revoked by their names,
    /// too, is for the caller to see to. Nothing changes if it is revoked already.
    ///
    /// # Errors
    /// [`KeyChangeError::UnknownKey`], or a key cannot be made.
    pub fn revoke(&self, key_id: &str, now: UnixTime, sealing: &Sealing) -> Result<KeyChange, KeyChangeError> {
        let record = self.find(key_id).ok_or_else(|| KeyChangeError::UnknownKey { key_id: key_id.to_owned() })?;
        let algorithm = record.algorithm;
        let mut change = KeyChange::default();
        if record.state == KeyState::Revoked {
            return Ok(change);
        }
        change.revoke(record, now);
        let signs = self.current_record().is_some_and(|current| current.algorithm == algorithm);
        match record.state {
            KeyState::Current => change.succeed(self.next_record(algorithm), algorithm, now, sealing)?,
            KeyState::Next if signs => change.make(algorithm, KeyState::Next, now, sealing)?,
            KeyState::Next | KeyState::Previous | KeyState::Revoked => {}
        }
        Ok(change)
    }

    /// The keys that could be forgotten, if nothing that they signed lives any more, which the store knows.
    pub fn retirable(&self, now: UnixTime) -> impl Iterator<Item = &str> {
        self.records().filter(move |record| has_settled(record, now)).map(|record| record.key_id.as_str())
    }

    /// Forgets a key that signed once. To be asked for one of [`KeyRing::retirable`], once the store has said that nothing
    /// which it signed lives any more. With the last key of an algorithm that no longer signs goes its next one.
    ///
    /// # Errors
    /// [`KeyChangeError::UnknownKey`] or [`KeyChangeError::StillNeeded`].
    pub fn retire(&self, key_id: &str, now: UnixTime) -> Result<KeyChange, KeyChangeError> {
        let record = self.find(key_id).ok_or_else(|| KeyChangeError::UnknownKey { key_id: key_id.to_owned() })?;
        if !has_settled(record, now) {
            return Err(KeyChangeError::StillNeeded { key_id: key_id.to_owned(), state: record.state });
        }
        let mut change = KeyChange::default();
        change.forget(record);
        let lives = |other: &SigningKeyRecord| {
            other.algorithm == record.algorithm
                && other.key_id != record.key_id
                && matches!(other.state, KeyState::Current | KeyState::Previous)
        };
        if !self.records().any(lives)
            && let Some(stranded) = self.next_record(record.algorithm)
        {
            change.forget(stranded);
        }
        Ok(change)
    }

    /// Encrypts what was kept in clear before a key was configured.
    ///
    /// # Errors
    /// If the cryptography fails.
    pub fn reseal(&self, sealing: &Sealing) -> Result<KeyChange, SigningKeyError> {
        let mut change = KeyChange::default();
        if !sealing.seals() {
            return Ok(change);
        }
        for (record, plain) in self.kept_in_clear() {
            let failed = |source| SigningKeyError::Sealed { key_id: record.key_id.clone(), source };
            let name = SigningKeyRecord::sealing_name(&record.key_id);
            let pkcs8 = sealing.open(&name, plain).map_err(failed)?;
            change.reseal(record, sealing.seal(&name, &pkcs8).map_err(failed)?);
        }
        Ok(change)
    }

    /// Whether a private key is kept in clear, of which the operator is to be warned.
    #[must_use]
    pub fn is_in_clear(&self) -> bool {
        self.kept_in_clear().next().is_some()
    }

    fn kept_in_clear(&self) -> impl Iterator<Item = (&SigningKeyRecord, &str)> {
        let texts = self.records().filter_map(|record| Some((record, record.private_key.as_deref()?)));
        texts.filter(|(_, text)| !Sealing::is_sealed(text))
    }
}

impl KeyChange {
    /// Lets `next` sign, or a new key if there is none, and makes another next one.
    fn succeed(
        &mut self,
        next: Option<&SigningKeyRecord>,
        algorithm: SigningAlgorithmConfig,
        now: UnixTime,
        sealing: &Sealing,
    ) -> Result<(), SigningKeyError> {
        match next {
            Some(next) => self.activate(next, now),
            None => self.make(algorithm, KeyState::Current, now, sealing)?,
        }
        self.make(algorithm, KeyState::Next, now, sealing)
    }
}

/// Whether it has stopped to sign so long ago that every replica knows.
fn has_settled(record: &SigningKeyRecord, now: UnixTime) -> bool {
    let stopped_at = match record.state {
        KeyState::Current | KeyState::Next => None,
        KeyState::Previous => record.retired_at,
        KeyState::Revoked => record.revoked_at,
    };
    stopped_at.is_some_and(|stopped_at| now.since(stopped_at) >= SETTLED_AFTER)
}
