//! Owns: the signing keys as they are kept: made, rotated when they are due, removed when nothing lives of them any more.
//! Refuses: deciding by what this replica remembers: what to do is decided by what the store says within the change.
//! Always holds: two replicas that find a key due rotate it once.

use super::{Amendment, ChangeError, OpenError, Registry};
use crate::{
    authorization_server::signing_keys::{KeyRing, KeyState, SigningKeyError, SigningKeyRecord, write},
    clock::UnixTime,
    config::SigningAlgorithmConfig,
    store::{AuditEntry, Kind, Record},
};

/// Who does by himself what is due.
const ITSELF: &str = "postern";

impl Registry {
    /// Makes the current and the next key of `algorithm` if they are not there.
    ///
    /// # Errors
    /// If they cannot be made or kept.
    pub async fn ensure_keys(&self, algorithm: SigningAlgorithmConfig) -> Result<(), ChangeError> {
        if self.memory.state().ring.current(algorithm).is_some() {
            return Ok(());
        }
        let now = self.clock.now();
        let mut change = self.amend().await?;
        let ring = self.ring_within(&mut change).await?;
        let puts = ring.ensure(algorithm, now, &self.sealing)?;
        write(&mut change, &puts).await?;
        change.note(entry("key.make", &format!("{algorithm:?}"), now)).await?;
        self.commit(change).await
    }

    /// The keys as they are within a change, which nobody else makes another change beside.
    pub(in crate::authorization_server) async fn ring_within(
        &self,
        change: &mut Amendment,
    ) -> Result<KeyRing, ChangeError> {
        Ok(KeyRing::of(&records_within(change).await?, &self.sealing)?)
    }

    /// Whether the keys in the store can be opened.
    pub(super) fn judge_keys(&self) -> Result<(), SigningKeyError> {
        let records: Vec<_> = self.memory.state().key_records.values().cloned().collect();
        KeyRing::of(&records, &self.sealing).map(|_| ())
    }

    /// Rotates the key that has signed for as long as it may, and removes previous ones of which no token lives.
    pub(super) async fn tend_keys(&self, now: UnixTime) -> Result<(), ChangeError> {
        let Some(settings) = self.settings.load_full() else { return Ok(()) };
        let algorithm = settings.algorithm();
        let due = |ring: &KeyRing| settings.rotate_every().is_some_and(|every| ring.due(algorithm, every, now));
        if due(&self.memory.state().ring) {
            let mut change = self.amend().await?;
            let ring = self.ring_within(&mut change).await?;
            // Another replica may have done so since.
            if due(&ring) {
                write(&mut change, &ring.rotate(algorithm, now, false, &self.sealing)?).await?;
                change.note(entry("key.rotate", &format!("{algorithm:?}"), now)).await?;
                self.commit(change).await?;
            }
        }
        self.retire_keys(now).await
    }

    async fn retire_keys(&self, now: UnixTime) -> Result<(), ChangeError> {
        let previous: Vec<String> = {
            let state = self.memory.state();
            let records = state.key_records.values();
            records.filter(|record| record.is_past(now)).map(|record| record.key_id.clone()).collect()
        };
        for key_id in previous {
            if self.store.key_is_needed(&key_id, now).await? {
                continue;
            }
            let mut change = self.amend().await?;
            change.remove(Kind::SigningKey, &key_id).await?;
            change.note(entry("key.retire", &key_id, now)).await?;
            self.commit(change).await?;
        }
        Ok(())
    }

    /// Encrypts what is kept in clear, now that there is a key to encrypt it under.
    pub(super) async fn reseal(&self) -> Result<(), OpenError> {
        if !self.sealing.seals() {
            return Ok(());
        }
        let now = self.clock.now();
        let mut change = self.amend().await?;
        let records: Vec<SigningKeyRecord> = records_within(&mut change).await?;
        let puts = KeyRing::reseal(&records, &self.sealing)?;
        if puts.is_empty() {
            return Ok(());
        }
        write(&mut change, &puts).await?;
        change.note(entry("key.encrypt", "all", now)).await?;
        change.commit().await?;
        Ok(())
    }
}

/// The keys in the store. One that cannot be read stands in the way: to go on without it would be to make another in its place.
async fn records_within(change: &mut Amendment) -> Result<Vec<SigningKeyRecord>, ChangeError> {
    let records = change.list(Kind::SigningKey).await?;
    let read = |record: Record| {
        let document = record.document.unwrap_or_default();
        serde_json::from_str(&document)
            .map_err(|source| SigningKeyError::UnreadableRecord { key_id: record.id, source }.into())
    };
    records.into_iter().map(read).collect()
}

fn entry(action: &str, subject: &str, at: UnixTime) -> AuditEntry {
    let detail = serde_json::json!({});
    AuditEntry { at, actor: ITSELF.to_owned(), action: action.to_owned(), subject: subject.to_owned(), detail }
}
