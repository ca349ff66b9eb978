//! Owns: who manages API tokens, and what they may.
//! Refuses: reaching into another tenant or another user; granting a role or a permission that the caller has not.
//! Always holds: the permission is named in full, `fe.secure.read.tenantApiTokens`; a `*` stands for all that follows.

use std::collections::BTreeSet;

use serde_json::Value;
use thiserror::Error;

use super::record::ApiTokenProfile;
use crate::jose::Member;

/// Whoever asks, as its verified token says.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// What it is called in the audit.
    pub name: String,
    /// The tenant it belongs to; none: it is the vendor's own.
    pub tenant_id: Option<String>,
    /// The user it is.
    pub user_id: Option<String>,
    roles: BTreeSet<String>,
    permissions: BTreeSet<String>,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiTokenAction {
    /// Listing.
    Read,
    /// Making and changing.
    Write,
    /// Deleting.
    Delete,
}

/// Why the caller may not.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotAllowed {
    /// A permission is missing.
    #[error("the permission {permission} is missing")]
    PermissionMissing {
        /// It.
        permission: String,
    },
    /// It belongs to another tenant.
    #[error("the caller belongs to another tenant")]
    OtherTenant,
    /// The request does not say which tenant or user it is about.
    #[error("the request does not say whose tokens are meant")]
    NobodyMeant,
    /// It is another user.
    #[error("the caller is another user")]
    OtherUser,
    /// It would give away more than it has.
    #[error("the caller does not have all that it would grant")]
    GrantsMore,
}

impl Caller {
    /// Reads a caller out of the claims of its verified token. `claim` gives a claim by its name.
    #[must_use]
    pub fn of_claims<'a>(name: &str, claim: impl Fn(&str) -> Option<Member<'a>>) -> Self {
        let text = |name: &str| claim(name).and_then(Member::as_text).map(str::to_owned);
        let list = |name: &str| -> BTreeSet<String> {
            let values = claim(name).and_then(Member::as_list).into_iter().flatten();
            values.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        // A user's own token names the user by `sub`; one that was made for a user says whose it is.
        let is_api_token = claim("type").and_then(Member::as_text).is_some_and(|kind| kind.ends_with("Token"));
        let user_id = text("userId").or_else(|| if is_api_token { None } else { text("sub") });
        Self {
            name: name.to_owned(),
            tenant_id: text("tenantId"),
            user_id,
            roles: list("roles"),
            permissions: list("permissions"),
        }
    }

    /// Whether it may do `action` with the tokens of users or of tenants.
    ///
    /// # Errors
    /// [`NotAllowed::PermissionMissing`].
    pub fn may(&self, action: ApiTokenAction, of_users: bool) -> Result<(), NotAllowed> {
        let verb = match action {
            ApiTokenAction::Read => "read",
            ApiTokenAction::Write => "write",
            ApiTokenAction::Delete => "delete",
        };
        let whose = if of_users { "userApiTokens" } else { "tenantApiTokens" };
        self.demand(&format!("fe.secure.{verb}.{whose}"))
    }

    /// Whether it may read or change the vendor's switch.
    ///
    /// # Errors
    /// [`NotAllowed`]: also a tenant's caller may not, whatever its permissions.
    pub fn may_configure(&self, action: ApiTokenAction) -> Result<(), NotAllowed> {
        if self.tenant_id.is_some() {
            return Err(NotAllowed::OtherTenant);
        }
        let verb = if action == ApiTokenAction::Read { "read" } else { "write" };
        self.demand(&format!("fe.secure.{verb}.configurations"))
    }

    /// The tenant that a request means which names `named`. A caller of a tenant means its own.
    ///
    /// # Errors
    /// If it names another one, or none at all.
    pub fn tenant<'a>(&'a self, named: Option<&'a str>) -> Result<&'a str, NotAllowed> {
        match (self.tenant_id.as_deref(), named) {
            (Some(own), Some(named)) if own != named => Err(NotAllowed::OtherTenant),
            (Some(own), _) => Ok(own),
            // The vendor's own callers reach every tenant, and only they hold the whole of the permissions.
            (None, Some(named)) => self.demand("fe.secure.*").map(|()| named),
            (None, None) => Err(NotAllowed::NobodyMeant),
        }
    }

    /// The user that a request means which names `named`. A caller of a tenant means itself.
    ///
    /// # Errors
    /// If it names another one, or none at all.
    pub fn user<'a>(&'a self, named: Option<&'a str>) -> Result<&'a str, NotAllowed> {
        match (self.tenant_id.as_ref(), self.user_id.as_deref(), named) {
            (Some(_), Some(own), Some(named)) if own != named => Err(NotAllowed::OtherUser),
            (Some(_), Some(own), _) => Ok(own),
            (None, _, Some(named)) => Ok(named),
            _ => Err(NotAllowed::NobodyMeant),
        }
    }

    /// The roles that it has, as far as they are configured, and the permissions that it has beside those of its roles.
    pub(super) fn own(&self, profile: &ApiTokenProfile) -> (BTreeSet<String>, BTreeSet<String>) {
        let roles: BTreeSet<String> =
            self.roles.iter().filter(|role| profile.roles.contains_key(*role)).cloned().collect();
        let of_roles = profile.permitted(&roles, []);
        let beside = self.permissions.iter().filter(|permission| !of_roles.contains(permission.as_str()));
        let permissions = beside.cloned().collect();
        (roles, permissions)
    }

    /// Whether it has all of the roles and permissions that it would give away.
    ///
    /// # Errors
    /// [`NotAllowed::GrantsMore`].
    pub(in crate::authorization_server) fn may_grant(
        &self,
        profile: &ApiTokenProfile,
        roles: &BTreeSet<String>,
        permissions: &BTreeSet<String>,
    ) -> Result<(), NotAllowed> {
        let own = profile.permitted(&self.roles, &self.permissions);
        let has = |wanted: &String| own.iter().any(|own| covers(own, wanted));
        // A role is below one's own if one is permitted all that it permits. One that permits nothing here may mean much to
        // whoever reads the claim, so only who has it gives it away, or the vendor.
        let below = |role: &String| match profile.roles.get(role) {
            Some(permissions) if !permissions.is_empty() => permissions.iter().all(has),
            _ => self.tenant_id.is_none() && own.contains("fe.secure.*"),
        };
        let mut roles = roles.iter().filter(|role| !self.roles.contains(*role));
        if roles.all(below) && permissions.iter().all(has) { Ok(()) } else { Err(NotAllowed::GrantsMore) }
    }

    fn demand(&self, permission: &str) -> Result<(), NotAllowed> {
        if self.permissions.iter().any(|own| covers(own, permission)) {
            return Ok(());
        }
        Err(NotAllowed::PermissionMissing { permission: permission.to_owned() })
    }
}

/// Whether the permission `own` includes `wanted`: it is the same, or ends in `*` and the rest is its beginning.
fn covers(own: &str, wanted: &str) -> bool {
    match own.strip_suffix('*') {
        // A `*` stands for whole words only: `fe.secure.*`, not `fe.sec*`.
        Some(beginning) if beginning.is_empty() || beginning.ends_with('.') => wanted.starts_with(beginning),
        _ => own == wanted,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    fn caller(claims: Value) -> Caller {
        let claims: Map<String, Value> = claims.as_object().unwrap().clone();
        Caller::of_claims("it", |name| claims.get(name).map(Member::from))
    }

    #[test]
    fn a_permission_is_the_one_that_is_asked_for() {
        let reader = caller(json!({ "permissions": ["fe.secure.read.tenantApiTokens"], "tenantId": "t" }));
        assert_eq!(reader.may(ApiTokenAction::Read, false), Ok(()));
        for (action, of_users) in
            [(ApiTokenAction::Read, true), (ApiTokenAction::Write, false), (ApiTokenAction::Delete, false)]
        {
            assert!(reader.may(action, of_users).is_err());
        }
        let all = caller(json!({ "permissions": ["fe.secure.*"] }));
        assert_eq!(all.may(ApiTokenAction::Delete, true), Ok(()));
        for half in ["fe.sec*", "fe.secure", "fe.secure.read.tenantApiToken", "FE.SECURE.*", ""] {
            let half = caller(json!({ "permissions": [half] }));
            assert!(half.may(ApiTokenAction::Read, false).is_err(), "{half:?}");
        }
        // Not a list is nothing.
        assert!(caller(json!({ "permissions": "fe.secure.*" })).may(ApiTokenAction::Read, false).is_err());
    }

    #[test]
    fn nobody_reaches_into_another_tenant() {
        let own = caller(json!({ "permissions": ["fe.secure.*"], "tenantId": "t", "sub": "u" }));
        assert_eq!(own.tenant(None), Ok("t"));
        assert_eq!(own.tenant(Some("t")), Ok("t"));
        assert_eq!(own.tenant(Some("other")), Err(NotAllowed::OtherTenant));
        assert_eq!(own.user(None), Ok("u"));
        assert_eq!(own.user(Some("other")), Err(NotAllowed::OtherUser));
        assert_eq!(own.may_configure(ApiTokenAction::Read), Err(NotAllowed::OtherTenant));
        let vendor = caller(json!({ "permissions": ["fe.secure.*"], "sub": "backend" }));
        assert_eq!((vendor.tenant(Some("t")), vendor.user(Some("u"))), (Ok("t"), Ok("u")));
        assert_eq!(vendor.tenant(None), Err(NotAllowed::NobodyMeant));
        assert_eq!(vendor.user(None), Err(NotAllowed::NobodyMeant));
        assert_eq!(vendor.may_configure(ApiTokenAction::Write), Ok(()));
        let stray = caller(json!({ "permissions": ["fe.secure.read.tenantApiTokens"] }));
        assert!(stray.tenant(Some("t")).is_err(), "who has no tenant and not everything reaches none");
        // A token that was made for a tenant is no user.
        let made = caller(json!({ "type": "tenantApiToken", "tenantId": "t", "sub": "id" }));
        assert_eq!(made.user(None), Err(NotAllowed::NobodyMeant));
    }

    #[test]
    fn nobody_grants_more_than_they_have() {
        let set = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<BTreeSet<_>>();
        let roles = [("reader", set(&["read"])), ("admin", set(&["read", "write"])), ("bare", set(&[]))];
        let roles = roles.into_iter().map(|(role, permissions)| (role.to_owned(), permissions)).collect();
        let profile = ApiTokenProfile { roles, ..ApiTokenProfile::default() };
        let reader = caller(json!({ "roles": ["reader"], "permissions": ["extra"] }));
        for (roles, permissions, allowed) in [
            (set(&[]), set(&[]), true),
            (set(&["reader"]), set(&["extra", "read"]), true),
            (set(&["admin"]), set(&[]), false),
            (set(&["bare"]), set(&[]), false),
            (set(&["reader", "admin"]), set(&[]), false),
            (set(&[]), set(&["write"]), false),
        ] {
            assert_eq!(reader.may_grant(&profile, &roles, &permissions).is_ok(), allowed, "{roles:?} {permissions:?}");
        }
    }
}
