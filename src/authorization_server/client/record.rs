//! Owns: a client as the store keeps it, and the life of its secrets: made, replaced, ended.
//! Refuses: a third secret beside two that are good.
//! Always holds: a refused change changes nothing; the text of a secret leaves this file once, in the answer that made it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    Client, ClientDefinition, ClientFault, GeneratedSecret, MOST_SECRETS, NoRandomness, SecretHashing, StoredSecret,
    client_secret::ClientSecret,
};
use crate::{
    authorization_server::sealing::{Sealing, SealingError},
    clock::UnixTime,
};

/// A client of the store.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientRecord {
    /// What it is.
    pub definition: ClientDefinition,
    /// Its secrets: two that are good at most, and others that have ended and were not removed yet.
    #[serde(default)]
    pub secrets: Vec<StoredSecret>,
    /// When it was registered.
    pub created_at: UnixTime,
    /// When anything of it was last changed.
    pub updated_at: UnixTime,
}

/// Why a client gets no new secret.
#[derive(Debug, Error)]
pub enum SecretRefusal {
    /// It has two that are good.
    #[error("the client has two active secrets already: end one of them first, or wait until the older one expires")]
    TooMany,
    /// There are no random numbers.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// It cannot be kept for `client_secret_jwt`.
    #[error(transparent)]
    Sealing(#[from] SealingError),
}

/// Why a record is no client.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UnusableRecord {
    /// Its definition is none.
    #[error("the client cannot be used: {0}")]
    Definition(#[from] ClientFault),
    /// A secret that it signs with does not open.
    #[error("a secret of the client cannot be read")]
    Secret(#[from] SealingError),
}

impl ClientRecord {
    /// A client that is registered now, without a secret.
    #[must_use]
    pub const fn new(definition: ClientDefinition, now: UnixTime) -> Self {
        Self { definition, secrets: Vec::new(), created_at: now, updated_at: now }
    }

    /// The client, its secrets ready for use.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn compile(&self, id: &str, sealing: &Sealing) -> Result<Client, UnusableRecord> {
        let mut client = self.definition.compile(id)?;
        let may_sign = self.definition.signs_with_secrets();
        for stored in &self.secrets {
            let sealed = stored.sealed.as_deref().filter(|_| may_sign);
            let opened = sealed.map(|text| sealing.open(&StoredSecret::sealing_name(id, &stored.id), text));
            client.secrets.push(ClientSecret::of_store(stored, opened.transpose()?.as_deref().map(Vec::as_slice)));
        }
        // Of more than can be active at once the newest are looked at; `add_secret` does not let it come to that.
        let surplus = client.secrets.len().saturating_sub(MOST_SECRETS);
        client.secrets.drain(..surplus);
        Ok(client)
    }

    /// Gives it a secret beside the one it may have.
    ///
    /// # Errors
    /// Why it gets none; nothing has changed then.
    pub fn add_secret(
        &mut self,
        client_id: &str,
        hashing: &SecretHashing,
        sealing: &Sealing,
        now: UnixTime,
    ) -> Result<GeneratedSecret, SecretRefusal> {
        self.replace_secrets(client_id, hashing, sealing, now, |_| {})
    }

    /// Gives it a secret in the place of those it has, which are good for as long as `grace` from now on, and no longer than
    /// they were before.
    ///
    /// # Errors
    /// Why it gets none; nothing has changed then.
    pub fn rotate(
        &mut self,
        client_id: &str,
        hashing: &SecretHashing,
        sealing: &Sealing,
        now: UnixTime,
        grace: Duration,
    ) -> Result<GeneratedSecret, SecretRefusal> {
        let end = now.plus(grace);
        self.replace_secrets(client_id, hashing, sealing, now, |secret| {
            secret.expires_at = Some(secret.expires_at.map_or(end, |earlier| earlier.min(end)));
        })
    }

    fn replace_secrets(
        &mut self,
        client_id: &str,
        hashing: &SecretHashing,
        sealing: &Sealing,
        now: UnixTime,
        mut end: impl FnMut(&mut StoredSecret),
    ) -> Result<GeneratedSecret, SecretRefusal> {
        let mut secrets = self.secrets.clone();
        secrets.iter_mut().for_each(&mut end);
        secrets.retain(|secret| secret.is_active(now));
        if secrets.len() >= MOST_SECRETS {
            return Err(SecretRefusal::TooMany);
        }
        let generated = GeneratedSecret::generate()?;
        let mut id = StoredSecret::new_id()?;
        while secrets.iter().any(|secret| secret.id == id) {
            id = StoredSecret::new_id()?;
        }
        let sealed = if self.definition.signs_with_secrets() {
            let plain = generated.secret().expose().as_bytes();
            Some(sealing.seal(&StoredSecret::sealing_name(client_id, &id), plain)?)
        } else {
            None
        };
        secrets.push(StoredSecret::new(id, generated.secret(), hashing, sealed, now));
        (self.secrets, self.updated_at) = (secrets, now);
        Ok(generated)
    }

    /// Ends the secret `id` at once. Whether there was one.
    pub fn remove_secret(&mut self, id: &str, now: UnixTime) -> bool {
        let before = self.secrets.len();
        self.secrets.retain(|secret| secret.id != id);
        let removed = self.secrets.len() < before;
        if removed {
            self.updated_at = now;
        }
        removed
    }

    /// Forgets the secrets that have ended. Whether there was one.
    pub fn expire(&mut self, now: UnixTime) -> bool {
        let before = self.secrets.len();
        self.secrets.retain(|secret| secret.is_active(now));
        self.secrets.len() < before
    }

    /// Replaces its definition. Copies of secrets that it may not sign with any longer are forgotten. Secrets that were made
    /// while it might not sign with them can be presented only: a new one has to be made for signing.
    pub fn redefine(&mut self, definition: ClientDefinition, now: UnixTime) {
        if !definition.signs_with_secrets() {
            self.secrets.iter_mut().for_each(|secret| secret.sealed = None);
        }
        (self.definition, self.updated_at) = (definition, now);
    }

    /// Seals what was kept in clear before there was a key. Whether anything was.
    ///
    /// # Errors
    /// If it does not open or cannot be sealed; nothing has changed then.
    pub fn reseal(&mut self, client_id: &str, sealing: &Sealing) -> Result<bool, SealingError> {
        if !sealing.seals() {
            return Ok(false);
        }
        let mut secrets = self.secrets.clone();
        let mut resealed = false;
        for secret in &mut secrets {
            let Some(text) = secret.sealed.as_deref().filter(|text| !Sealing::is_sealed(text)) else { continue };
            let name = StoredSecret::sealing_name(client_id, &secret.id);
            secret.sealed = Some(sealing.seal(&name, &sealing.open(&name, text)?)?);
            resealed = true;
        }
        self.secrets = secrets;
        Ok(resealed)
    }
}
