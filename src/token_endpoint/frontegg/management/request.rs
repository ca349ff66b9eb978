//! Owns: what the bodies of `frontegg` management say.
//! Refuses: members of the wrong type.
//! Always holds: members that are not known are ignored, as the product does.

use std::collections::BTreeSet;

use super::super::super::{RequestError, parameters::Parameters};
use crate::{
    authorization_server::{ApiTokenKind, ApiTokenSwitchUpdate, ApiTokenUpdate, NewApiToken, Ownership},
    config::ApiTokenStrategyConfig,
};

/// A token to be made.
pub(super) fn new_token(
    kind: ApiTokenKind,
    owned: Ownership<'_>,
    mut parameters: Parameters,
) -> Result<NewApiToken, RequestError> {
    let minutes = parameters.integer("expiresInMinutes")?;
    Ok(NewApiToken {
        kind,
        tenant_id: owned.tenant_id.map(str::to_owned),
        user_id: owned.user_id.map(str::to_owned),
        email: None,
        description: parameters.text("description")?.unwrap_or_default(),
        metadata: parameters.object("metadata")?.unwrap_or_default(),
        roles: set(&mut parameters, "roleIds")?.unwrap_or_default(),
        permissions: set(&mut parameters, "permissionIds")?.unwrap_or_default(),
        // What should have expired already expires at once.
        expires_in_minutes: minutes.map(|minutes| u64::try_from(minutes).unwrap_or(0)),
    })
}

/// What is to be changed.
pub(super) fn update(mut parameters: Parameters) -> Result<ApiTokenUpdate, RequestError> {
    Ok(ApiTokenUpdate {
        description: parameters.text("description")?,
        metadata: parameters.object("metadata")?,
        roles: set(&mut parameters, "roleIds")?,
        permissions: set(&mut parameters, "permissionIds")?,
    })
}

/// How the vendor's switch is to be set. The default expiration is written in seconds and kept in minutes, rounded up.
pub(super) fn switch(mut parameters: Parameters) -> Result<ApiTokenSwitchUpdate, RequestError> {
    let strategy = match parameters.text("machineToMachineAuthStrategy")?.as_deref() {
        None => None,
        Some("ClientCredentials") => Some(ApiTokenStrategyConfig::ClientCredentials),
        Some("AccessToken") => Some(ApiTokenStrategyConfig::AccessToken),
        Some(_) => return Err(RequestError::MalformedBody),
    };
    let default_expiration_minutes = match parameters.integer("defaultTokenExpiration")? {
        None => None,
        Some(seconds) => match u64::try_from(seconds) {
            Ok(seconds) if seconds > 0 => Some(seconds.div_ceil(60)),
            _ => return Err(RequestError::MalformedBody),
        },
    };
    Ok(ApiTokenSwitchUpdate { enabled: parameters.flag("apiTokensEnabled")?, strategy, default_expiration_minutes })
}

fn set(parameters: &mut Parameters, name: &str) -> Result<Option<BTreeSet<String>>, RequestError> {
    Ok(parameters.list(name)?.map(BTreeSet::from_iter))
}

#[cfg(test)]
mod tests {
    use super::{super::super::super::media_type::MediaType, *};

    fn read(body: &str) -> Parameters {
        Parameters::read(MediaType::Json, body.as_bytes()).unwrap()
    }

    #[test]
    fn members_are_what_the_product_calls_them() {
        let owned = Ownership { kind: ApiTokenKind::TenantApiToken, tenant_id: Some("t"), user_id: None };
        let body = r#"{"description":"d","metadata":{"a":1},"roleIds":["r","r"],"permissionIds":[],"expiresInMinutes":5,"x":{}}"#;
        let new = new_token(owned.kind, owned, read(body)).unwrap();
        assert_eq!((new.tenant_id.as_deref(), new.description.as_str(), new.metadata.len()), (Some("t"), "d", 1));
        assert_eq!((new.roles.len(), new.permissions.len(), new.expires_in_minutes), (1, 0, Some(5)));
        assert_eq!(
            new_token(owned.kind, owned, read(r#"{"expiresInMinutes":-1}"#)).unwrap().expires_in_minutes,
            Some(0)
        );
        for wrong in [
            r#"{"description":1}"#,
            r#"{"metadata":"x"}"#,
            r#"{"roleIds":"r"}"#,
            r#"{"permissionIds":[1]}"#,
            r#"{"expiresInMinutes":1.5}"#,
        ] {
            assert_eq!(new_token(owned.kind, owned, read(wrong)).err(), Some(RequestError::MalformedBody), "{wrong}");
        }
    }

    #[test]
    fn what_is_not_there_is_not_changed() {
        let nothing = update(read("{}")).unwrap();
        assert!(nothing.description.is_none() && nothing.roles.is_none() && nothing.permissions.is_none());
        assert_eq!(update(read(r#"{"roleIds":[]}"#)).unwrap().roles, Some(BTreeSet::new()));
    }

    #[test]
    fn the_switch_counts_in_seconds() {
        let minutes = |body: &str| switch(read(body)).map(|update| update.default_expiration_minutes);
        for (seconds, kept) in [(1, 1), (60, 1), (61, 2), (86_400, 1440)] {
            assert_eq!(minutes(&format!(r#"{{"defaultTokenExpiration":{seconds}}}"#)), Ok(Some(kept)));
        }
        assert_eq!(minutes("{}"), Ok(None));
        for wrong in [
            r#"{"defaultTokenExpiration":0}"#,
            r#"{"defaultTokenExpiration":-60}"#,
            r#"{"machineToMachineAuthStrategy":"access_token"}"#,
            r#"{"apiTokensEnabled":"true"}"#,
        ] {
            assert_eq!(switch(read(wrong)).err(), Some(RequestError::MalformedBody), "{wrong}");
        }
    }
}
