//! Owns: what operators can switch while the issuer runs, as it is kept in the store.
//! Refuses: a document of another form: it counts as switched off, since it was meant to say something.
//! Always holds: without a record the issuer is on, and nothing is withdrawn.

use serde::{Deserialize, Serialize};

use crate::{clock::UnixTime, config::ApiTokenStrategyConfig};

/// The switch for everything: tokens and issuance.
pub(in crate::authorization_server) const M2M_ENABLED: &str = "m2m_enabled";
/// The moment before which no token was issued that is still good.
pub(in crate::authorization_server) const ISSUED_BEFORE: &str = "issued_before";
/// What users and tenants may create for themselves.
pub(in crate::authorization_server) const API_TOKENS: &str = "api_tokens";

/// The position of every switch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::authorization_server) struct Switches {
    pub(in crate::authorization_server) m2m_enabled: bool,
    /// In seconds since the epoch, like `iat`.
    pub(in crate::authorization_server) issued_before: Option<u64>,
    pub(in crate::authorization_server) api_tokens: ApiTokenSwitch,
}

/// What users and tenants may create for themselves: the switch of the `frontegg` dialect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiTokenSwitch {
    /// Whether API tokens can be created, exchanged and used.
    pub enabled: bool,
    /// What may be created; none: what the configuration says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<ApiTokenStrategyConfig>,
    /// How many minutes one lasts that is created without saying; none: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_expiration_minutes: Option<u64>,
}

/// The document of [`M2M_ENABLED`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OnOff {
    enabled: bool,
}

/// The document of [`ISSUED_BEFORE`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Moment {
    seconds: u64,
}

impl Default for Switches {
    fn default() -> Self {
        Self { m2m_enabled: true, issued_before: None, api_tokens: ApiTokenSwitch::default() }
    }
}

impl Default for ApiTokenSwitch {
    fn default() -> Self {
        Self { enabled: true, strategy: None, default_expiration_minutes: None }
    }
}

impl Switches {
    /// Takes over the record of one switch; none if it was removed.
    pub(in crate::authorization_server) fn apply(&mut self, id: &str, document: Option<&str>) {
        let Some(document) = document else {
            let initial = Self::default();
            match id {
                M2M_ENABLED => self.m2m_enabled = initial.m2m_enabled,
                ISSUED_BEFORE => self.issued_before = initial.issued_before,
                API_TOKENS => self.api_tokens = initial.api_tokens,
                _ => {}
            }
            return;
        };
        match id {
            M2M_ENABLED => self.m2m_enabled = serde_json::from_str(document).is_ok_and(|OnOff { enabled }| enabled),
            ISSUED_BEFORE => {
                let moment = serde_json::from_str(document).map_or(u64::MAX, |Moment { seconds }| seconds);
                self.issued_before = Some(moment);
            }
            API_TOKENS => {
                let off = ApiTokenSwitch { enabled: false, ..ApiTokenSwitch::default() };
                self.api_tokens = serde_json::from_str(document).unwrap_or(off);
            }
            // One that a newer version knows.
            _ => {}
        }
    }
}

/// The document that switches everything on or off.
pub(in crate::authorization_server) fn m2m_document(enabled: bool) -> String {
    serde_json::json!(OnOff { enabled }).to_string()
}

/// The document that withdraws what was issued before `moment`, which counts in whole seconds, as `iat` does: a token of the
/// second in which `moment` lies is withdrawn too.
pub(in crate::authorization_server) fn issued_before_document(moment: UnixTime) -> (u64, String) {
    let whole = moment.as_milliseconds().is_multiple_of(1000);
    let seconds = moment.as_seconds().saturating_add(u64::from(!whole));
    (seconds, serde_json::json!(Moment { seconds }).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_is_what_its_record_says_and_closed_if_that_is_unreadable() {
        let mut switches = Switches::default();
        assert!(switches.m2m_enabled && switches.api_tokens.enabled && switches.issued_before.is_none());
        switches.apply(M2M_ENABLED, Some(&m2m_document(false)));
        assert!(!switches.m2m_enabled);
        switches.apply(M2M_ENABLED, Some(&m2m_document(true)));
        assert!(switches.m2m_enabled);
        for unreadable in ["", "{}", "{\"enabled\":1}", "{\"enabled\":true,\"until\":3}", "[]"] {
            switches = Switches::default();
            for id in [M2M_ENABLED, ISSUED_BEFORE, API_TOKENS] {
                switches.apply(id, Some(unreadable));
            }
            assert!(!switches.m2m_enabled, "{unreadable}");
            assert_eq!(switches.issued_before, Some(u64::MAX), "{unreadable}");
            assert_eq!(switches.api_tokens.enabled, unreadable == "{\"enabled\":true}", "{unreadable}");
        }
        for id in [M2M_ENABLED, ISSUED_BEFORE, API_TOKENS] {
            switches.apply(id, None);
        }
        assert_eq!(switches, Switches::default());
    }

    #[test]
    fn a_moment_within_a_second_takes_the_second() {
        assert_eq!(issued_before_document(UnixTime::from_milliseconds(5000)).0, 5);
        assert_eq!(issued_before_document(UnixTime::from_milliseconds(5001)).0, 6);
    }
}
