//! Owns: a change under way, and what the audit will say of it.
//! Refuses: being forgotten by the audit: what is committed is written down in the same transaction, and logged after it.
//! Always holds: what was dropped uncommitted has changed nothing and is logged nowhere.

use std::ops::{Deref, DerefMut};

use serde_json::json;
use tracing::info;

use crate::{
    authorization_server::signing_keys::{KeyChange, KeyEvent},
    clock::UnixTime,
    store::{AuditEntry, Change, Kind, StoreError},
};

/// A change of what the issuer knows.
#[derive(Debug)]
pub(in crate::authorization_server) struct Amendment {
    change: Change,
    entries: Vec<AuditEntry>,
}

impl Amendment {
    pub(super) const fn new(change: Change) -> Self {
        Self { change, entries: Vec::new() }
    }

    /// Writes down who does what.
    pub(in crate::authorization_server) async fn note(&mut self, entry: AuditEntry) -> Result<(), StoreError> {
        self.change.audit(&entry).await?;
        self.entries.push(entry);
        Ok(())
    }

    /// Changes the signing keys, in the name of `actor`.
    pub(in crate::authorization_server) async fn keys(
        &mut self,
        keys: KeyChange,
        actor: &str,
        at: UnixTime,
    ) -> Result<(), StoreError> {
        for record in &keys.put {
            self.change.put(Kind::SigningKey, &record.key_id, &json!(record).to_string()).await?;
        }
        for key_id in &keys.remove {
            self.change.remove(Kind::SigningKey, key_id).await?;
        }
        for KeyEvent { key_id, algorithm, what } in keys.events {
            let (actor, action, subject) = (actor.to_owned(), what.name().to_owned(), key_id);
            let detail = json!({ "algorithm": algorithm });
            self.note(AuditEntry { at, actor, action, subject, detail }).await?;
        }
        Ok(())
    }

    /// Makes it durable, and logs what was done.
    pub(super) async fn commit(self) -> Result<(), StoreError> {
        self.change.commit().await?;
        for AuditEntry { actor, action, subject, detail, .. } in self.entries {
            info!(target: "postern::audit", actor, action, subject, %detail, "audit");
        }
        Ok(())
    }
}

impl Deref for Amendment {
    type Target = Change;

    fn deref(&self) -> &Change {
        &self.change
    }
}

impl DerefMut for Amendment {
    fn deref_mut(&mut self) -> &mut Change {
        &mut self.change
    }
}
