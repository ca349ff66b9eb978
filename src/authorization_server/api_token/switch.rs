//! Owns: the vendor's switch for API tokens: whether there are any, of which sort, and how long they last if nobody says.
//! Refuses: callers of a tenant, whatever they are permitted.
//! Always holds: a change touches only what it names, whoever else changes the rest at the same time.

use std::sync::Arc;

use serde_json::json;

use super::{ApiTokenError, Caller, caller::ApiTokenAction};
use crate::{
    authorization_server::{
        AuthorizationServer,
        registry::{API_TOKENS, ApiTokenSwitch},
    },
    clock::UnixTime,
    config::ApiTokenStrategyConfig,
    store::{AuditEntry, Kind},
};

/// How the switch is to be set; what is not there stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ApiTokenSwitchUpdate {
    /// Whether API tokens can be created, exchanged and used.
    pub enabled: Option<bool>,
    /// What may be created.
    pub strategy: Option<ApiTokenStrategyConfig>,
    /// How many minutes one lasts that is created without saying.
    pub default_expiration_minutes: Option<u64>,
}

impl AuthorizationServer {
    /// The vendor's switch, as `caller` may see it.
    ///
    /// # Errors
    /// If the caller may not.
    pub fn api_token_switch(&self, caller: &Caller) -> Result<ApiTokenSwitch, ApiTokenError> {
        caller.may_configure(ApiTokenAction::Read)?;
        self.configured()?;
        let switch = self.registry().memory().state().switches.api_tokens.clone();
        Ok(ApiTokenSwitch { strategy: self.api_token_strategy(), ..switch })
    }

    /// Sets the vendor's switch; gives how it stands then.
    ///
    /// # Errors
    /// Why it stays as it was.
    pub async fn set_api_token_switch(
        &self,
        caller: &Caller,
        update: ApiTokenSwitchUpdate,
        now: UnixTime,
    ) -> Result<ApiTokenSwitch, ApiTokenError> {
        caller.may_configure(ApiTokenAction::Write)?;
        self.configured()?;
        let (registry, actor) = (Arc::clone(self.registry()), caller.name.clone());
        let switch = self
            .registry()
            .on_control(async move {
                let mut change = registry.amend().await?;
                let before = change.find(Kind::Switch, API_TOKENS).await?;
                let switch = update.applied_to(before.as_deref());
                let detail = json!(switch);
                change.put(Kind::Switch, API_TOKENS, &detail.to_string()).await?;
                let (action, subject) = ("switch.set".to_owned(), API_TOKENS.to_owned());
                change.note(AuditEntry { at: now, actor, action, subject, detail }).await?;
                registry.commit(change).await.map(|()| switch)
            })
            .await??;
        Ok(ApiTokenSwitch { strategy: self.api_token_strategy(), ..switch })
    }
}

impl ApiTokenSwitchUpdate {
    fn applied_to(self, document: Option<&str>) -> ApiTokenSwitch {
        let off = || ApiTokenSwitch { enabled: false, ..ApiTokenSwitch::default() };
        // One that cannot be read counts as off, and stays so unless this says otherwise.
        let before = document.map(|document| serde_json::from_str(document).unwrap_or_else(|_| off()));
        let before = before.unwrap_or_default();
        ApiTokenSwitch {
            enabled: self.enabled.unwrap_or(before.enabled),
            strategy: self.strategy.or(before.strategy),
            default_expiration_minutes: self.default_expiration_minutes.or(before.default_expiration_minutes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_named_stays() {
        let kept = r#"{"enabled":true,"strategy":"access_token","default_expiration_minutes":5}"#;
        let off = ApiTokenSwitchUpdate { enabled: Some(false), ..ApiTokenSwitchUpdate::default() };
        let strategy = Some(ApiTokenStrategyConfig::AccessToken);
        let expected = ApiTokenSwitch { enabled: false, strategy, default_expiration_minutes: Some(5) };
        assert_eq!(off.applied_to(Some(kept)), expected);
        let longer = ApiTokenSwitchUpdate { default_expiration_minutes: Some(9), ..ApiTokenSwitchUpdate::default() };
        assert_eq!(
            longer.applied_to(Some(kept)),
            ApiTokenSwitch { enabled: true, default_expiration_minutes: Some(9), ..expected }
        );
        assert!(longer.applied_to(None).enabled);
        assert!(!longer.applied_to(Some("{}")).enabled, "an unreadable switch is off");
    }
}
