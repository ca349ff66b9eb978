//! Owns: listing, rotating and revoking signing keys.
//! Refuses: a rotation to a key that verifiers may not know yet, unless that is wanted.
//! Always holds: a revoked key verifies nothing from the answer on, and another one signs.

use std::sync::Arc;

use serde_json::json;

use super::{Actor, ManagementError};
use crate::{
    authorization_server::{AuthorizationServer, signing_keys::KeyState},
    clock::UnixTime,
    config::SigningAlgorithmConfig,
    store::Selection,
};

/// A signing key, as operators see it: no private half.
#[derive(Clone, Debug)]
pub struct KeyOverview {
    /// Its id.
    pub key_id: String,
    /// What it signs with.
    pub algorithm: SigningAlgorithmConfig,
    /// The part it plays.
    pub state: KeyState,
    /// When it was made.
    pub created_at: UnixTime,
    /// When it began to sign.
    pub activated_at: Option<UnixTime>,
    /// When it stopped to sign.
    pub retired_at: Option<UnixTime>,
    /// When it was revoked.
    pub revoked_at: Option<UnixTime>,
}

impl AuthorizationServer {
    /// All keys, in the order in which they were made.
    #[must_use]
    pub fn signing_keys(&self) -> Vec<KeyOverview> {
        let state = self.registry().memory().state();
        let mut keys: Vec<KeyOverview> = state
            .key_records
            .values()
            .map(|record| KeyOverview {
                key_id: record.key_id.clone(),
                algorithm: record.algorithm,
                state: record.state,
                created_at: record.created_at,
                activated_at: record.activated_at,
                retired_at: record.retired_at,
                revoked_at: record.revoked_at,
            })
            .collect();
        keys.sort_by(|first, second| (first.created_at, &first.key_id).cmp(&(second.created_at, &second.key_id)));
        keys
    }

    /// Lets the next key sign from now on.
    ///
    /// # Errors
    /// Why the current one goes on.
    pub async fn rotate_keys(&self, actor: &Actor, haste: bool, now: UnixTime) -> Result<(), ManagementError> {
        let (registry, actor) = (Arc::clone(self.registry()), actor.clone());
        self.registry()
            .on_control(async move {
                let mut change = registry.amend().await?;
                let ring = registry.ring_within(&mut change).await?;
                let rotated = ring.rotate(now, haste, registry.sealing())?;
                change.keys(rotated, actor.name(), now).await?;
                registry.commit(change).await?;
                Ok(())
            })
            .await?
    }

    /// Revokes a compromised key, and every token that it signed.
    ///
    /// # Errors
    /// If there is no such key, or the revocation could not be kept.
    pub async fn revoke_key(&self, actor: &Actor, key_id: &str, now: UnixTime) -> Result<u64, ManagementError> {
        let (registry, actor, key_id) = (Arc::clone(self.registry()), actor.clone(), key_id.to_owned());
        self.registry()
            .on_control(async move {
                let mut change = registry.amend().await?;
                let ring = registry.ring_within(&mut change).await?;
                change.keys(ring.revoke(&key_id, now, registry.sealing())?, actor.name(), now).await?;
                // From here on nothing that it signed is good; the lists say so when the rest is done.
                registry.commit(change).await?;
                let subject = format!("key {key_id}");
                let entry = |revoked| actor.did("token.revoke", &subject, json!({ "revoked": revoked }), now);
                Ok(registry.revoke_all(&Selection::Key(key_id), now, entry).await?)
            })
            .await?
    }
}
