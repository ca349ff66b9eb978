//! Owns: the signing keys as they are kept: made, rotated when they are due, removed when nothing lives of them any more.
//! Refuses: deciding by what this replica remembers: what to do is decided by what the store says within the change.
//! Always holds: two replicas that find a key due rotate it once.

use std::time::Duration;

use serde_json::json;

use super::{Amendment, ChangeError, OpenError, Registry};
use crate::{
    authorization_server::{
        client::ClientRecord,
        signing_keys::{KeyChangeError, KeyRing, SigningKeyError, SigningKeyRecord},
    },
    clock::UnixTime,
    config::SigningAlgorithmConfig,
    store::{Kind, Record},
};

/// How long after its end a token may yet be accepted somewhere.
const LEEWAY: Duration = Duration::from_secs(10 * 60);
/// Who does by himself what is due.
const ITSELF: &str = "postern";

impl Registry {
    /// Makes the current and the next key of `algorithm` if they are not there.
    ///
    /// # Errors
    /// If they cannot be made or kept.
    pub async fn ensure_keys(&self, algorithm: SigningAlgorithmConfig) -> Result<(), ChangeError> {
        if self.memory.state().ring.current().is_some_and(|key| key.algorithm() == algorithm) {
            return Ok(());
        }
        let now = self.clock.now();
        let mut change = self.amend().await?;
        let ring = self.ring_within(&mut change).await?;
        let wanted = ring.ensure(algorithm, now, &self.sealing)?;
        change.keys(wanted, ITSELF, now).await?;
        self.commit(change).await
    }

    /// The keys as they are within a change, which nobody else makes another change beside.
    pub(in crate::authorization_server) async fn ring_within(
        &self,
        change: &mut Amendment,
    ) -> Result<KeyRing, ChangeError> {
        let records = change.list(Kind::SigningKey).await?;
        let read =
            |record: &Record| SigningKeyRecord::parse(&record.id, record.document.as_deref().unwrap_or_default());
        // One that cannot be read stands in the way: to go on without it would be to make another in its place.
        let records = records.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        Ok(KeyRing::of(records, &self.sealing)?)
    }

    /// Whether the keys in the store can be opened.
    pub(super) fn judge_keys(&self) -> Result<(), SigningKeyError> {
        let state = self.memory.state();
        KeyRing::of(state.key_records.values().cloned(), &self.sealing).map(|_| ())
    }

    /// Rotates the key that has signed for as long as it may, and removes previous ones of which no token lives.
    pub(super) async fn tend_keys(&self, now: UnixTime) -> Result<(), ChangeError> {
        let Some(settings) = self.settings.load_full() else { return Ok(()) };
        let due = |ring: &KeyRing| settings.rotate_every().is_some_and(|every| ring.is_due(every, now));
        if due(&self.memory.state().ring) {
            let mut change = self.amend().await?;
            let ring = self.ring_within(&mut change).await?;
            // Another replica may have done so since.
            if due(&ring) {
                change.keys(ring.rotate(now, false, &self.sealing)?, ITSELF, now).await?;
                self.commit(change).await?;
            }
        }
        self.retire_keys(now).await
    }

    async fn retire_keys(&self, now: UnixTime) -> Result<(), ChangeError> {
        let previous: Vec<String> = self.memory.state().ring.retirable(now).map(str::to_owned).collect();
        for key_id in previous {
            // Whoever verifies may allow for clocks that are apart.
            if self.store.key_is_needed(&key_id, now.minus(LEEWAY)).await? {
                continue;
            }
            let mut change = self.amend().await?;
            let ring = self.ring_within(&mut change).await?;
            match ring.retire(&key_id, now) {
                Ok(retired) => {
                    change.keys(retired, ITSELF, now).await?;
                    self.commit(change).await?;
                }
                // Another replica was first.
                Err(KeyChangeError::UnknownKey { .. }) => {}
                Err(error) => return Err(error.into()),
            }
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
        let ring = self.ring_within(&mut change).await?;
        let sealed = ring.reseal(&self.sealing)?;
        let clients = self.reseal_clients(&mut change).await?;
        if sealed.is_empty() && clients == 0 {
            return Ok(());
        }
        change.keys(sealed, ITSELF, now).await?;
        change.commit().await?;
        Ok(())
    }

    /// The same for the secrets that clients sign with.
    async fn reseal_clients(&self, change: &mut Amendment) -> Result<usize, OpenError> {
        let mut sealed = 0;
        for Record { id, document, .. } in change.list(Kind::Client).await? {
            // One that cannot be read counts for nothing, and is left as it is.
            let read = document.and_then(|document| serde_json::from_str::<ClientRecord>(&document).ok());
            let Some(mut record) = read else { continue };
            if record.reseal(&id, &self.sealing)? {
                change.put(Kind::Client, &id, &json!(record).to_string()).await?;
                sealed += 1;
            }
        }
        Ok(sealed)
    }
}
