//! Owns: a change under way, and what the audit will say of it.
//! Refuses: being forgotten by the audit: what is committed is written down in the same transaction, and logged after it.
//! Always holds: what was dropped uncommitted has changed nothing and is logged nowhere.

use std::ops::{Deref, DerefMut};

use tracing::info;

use crate::store::{AuditEntry, Change, StoreError};

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
