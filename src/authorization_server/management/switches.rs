//! Owns: the switch for everything, and reading the audit.
//! Refuses: overruling the configuration: what is off there stays off.
//! Always holds: while the switch is off, nothing is issued and no token of the issuer is good, on all replicas.

use std::sync::Arc;

use serde_json::json;

use super::{Actor, ManagementError};
use crate::{
    authorization_server::{
        AuthorizationServer,
        registry::{M2M_ENABLED, m2m_document},
    },
    clock::UnixTime,
    store::{AuditEntry, Kind},
};

/// How the switches stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SwitchOverview {
    /// What the configuration says.
    pub configured: bool,
    /// What was switched at run time.
    pub switched: bool,
    /// Everything that was issued before this second is refused.
    pub issued_before_seconds: Option<u64>,
}

impl AuthorizationServer {
    /// How the switches stand.
    #[must_use]
    pub fn switches(&self) -> SwitchOverview {
        let state = self.registry().memory().state();
        SwitchOverview {
            configured: self.settings().is_enabled(),
            switched: state.switches.m2m_enabled,
            issued_before_seconds: state.switches.issued_before,
        }
    }

    /// Switches everything off or on.
    ///
    /// # Errors
    /// If it could not be kept; it stays as it was.
    pub async fn switch_m2m(&self, actor: &Actor, enabled: bool, now: UnixTime) -> Result<(), ManagementError> {
        let (registry, actor) = (Arc::clone(self.registry()), actor.clone());
        self.registry()
            .on_control(async move {
                let mut change = registry.amend().await?;
                change.put(Kind::Switch, M2M_ENABLED, &m2m_document(enabled)).await?;
                change.note(actor.did("switch.set", M2M_ENABLED, json!({ "enabled": enabled }), now)).await?;
                registry.commit(change).await?;
                Ok(())
            })
            .await?
    }

    /// What was done, the latest first, before the entry numbered `before`.
    ///
    /// # Errors
    /// If the store cannot be asked.
    pub async fn audit(&self, limit: u32, before: Option<i64>) -> Result<Vec<(i64, AuditEntry)>, ManagementError> {
        let store = self.registry().store().clone();
        Ok(self.registry().on_control(async move { store.audit(limit, before).await }).await??)
    }
}
