//! Owns: one API token as it is kept, and what it says when it is used.
//! Refuses: keeping its secret.
//! Always holds: its permissions are those of its roles as they are configured now, and those it was given itself.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{authorization_server::client::SecretHash, clock::UnixTime, config::DialectConfig, id::TokenId, store};

/// What an API token is, by the name that its `type` claim has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ApiTokenKind {
    /// Client credentials of a user.
    UserApiToken,
    /// Client credentials of a tenant.
    TenantApiToken,
    /// An access token of a user.
    UserAccessToken,
    /// An access token of a tenant.
    TenantAccessToken,
}

/// An API token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiTokenRecord {
    /// What it is.
    pub kind: ApiTokenKind,
    /// Its id: a UUID; of client credentials the client id.
    pub id: String,
    /// The tenant it belongs to.
    pub tenant_id: String,
    /// The user it belongs to, if it is a user's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<ApiTokenUser>,
    /// The user who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// What it is for, in words.
    pub description: String,
    /// What its maker wants it to carry.
    #[serde(default)]
    pub metadata: Map<String, Value>,
    /// The roles it was given.
    #[serde(default)]
    pub roles: BTreeSet<String>,
    /// The permissions it was given beside those of its roles.
    #[serde(default)]
    pub permissions: BTreeSet<String>,
    /// The keyed hash of its secret; none for a JWT, which needs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_hash: Option<SecretHash>,
    /// When it was made.
    pub created_at: UnixTime,
    /// When it expires; none: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<UnixTime>,
}

/// The user that an API token belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiTokenUser {
    /// The user's id.
    pub id: String,
    /// The user's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

/// What API tokens have in common under one configuration.
#[derive(Clone, Debug, Default)]
pub(in crate::authorization_server) struct ApiTokenProfile {
    pub(in crate::authorization_server) issuer: String,
    pub(in crate::authorization_server) audience: String,
    /// The permissions of each role.
    pub(in crate::authorization_server) roles: BTreeMap<String, BTreeSet<String>>,
}

impl ApiTokenKind {
    /// Whether it is exchanged for tokens, and not used as it is.
    #[must_use]
    pub const fn is_credentials(self) -> bool {
        matches!(self, Self::UserApiToken | Self::TenantApiToken)
    }

    /// Whether it belongs to a user.
    #[must_use]
    pub const fn is_users(self) -> bool {
        matches!(self, Self::UserApiToken | Self::UserAccessToken)
    }

    /// The value of the `type` claim.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UserApiToken => "userApiToken",
            Self::TenantApiToken => "tenantApiToken",
            Self::UserAccessToken => "userAccessToken",
            Self::TenantAccessToken => "tenantAccessToken",
        }
    }
}

impl ApiTokenRecord {
    /// Whether it has expired at `now`.
    #[must_use]
    pub fn has_expired(&self, now: UnixTime) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

impl ApiTokenProfile {
    /// What `roles` and `permissions` permit together.
    pub(in crate::authorization_server) fn permitted<'a>(
        &'a self,
        roles: impl IntoIterator<Item = &'a String>,
        permissions: impl IntoIterator<Item = &'a String>,
    ) -> BTreeSet<&'a str> {
        let of_roles = roles.into_iter().filter_map(|role| self.roles.get(role)).flatten();
        of_roles.chain(permissions).map(String::as_str).collect()
    }
}

/// What a token says that was made of `record`, issued and expiring at the given moments.
pub(in crate::authorization_server) fn claims_of(
    record: &ApiTokenRecord,
    profile: &ApiTokenProfile,
    issued_at: UnixTime,
    expires_at: Option<UnixTime>,
) -> Map<String, Value> {
    let mut claims = Map::new();
    let mut set = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    set("iss", Value::from(profile.issuer.as_str()));
    set("aud", Value::from(profile.audience.as_str()));
    set("sub", Value::from(record.id.as_str()));
    set("type", Value::from(record.kind.name()));
    set("tenantId", Value::from(record.tenant_id.as_str()));
    set("roles", record.roles.iter().cloned().collect());
    set("permissions", profile.permitted(&record.roles, &record.permissions).into_iter().collect());
    set("metadata", Value::Object(record.metadata.clone()));
    if let Some(created_by) = &record.created_by {
        set("createdByUserId", Value::from(created_by.as_str()));
    }
    if let Some(user) = &record.user {
        set("userId", Value::from(user.id.as_str()));
        if let Some(email) = &user.email {
            set("email", Value::from(email.as_str()));
        }
    }
    set("iat", Value::from(issued_at.as_seconds()));
    if let Some(expires_at) = expires_at {
        set("exp", Value::from(expires_at.as_seconds()));
    }
    claims
}

/// What is recorded of a token that was made of `record`.
pub(in crate::authorization_server) fn record_of_api_token(
    record: &ApiTokenRecord,
    profile: &ApiTokenProfile,
    token_id: TokenId,
    key_id: &str,
    (issued_at, expires_at): (UnixTime, Option<UnixTime>),
) -> store::IssuedToken {
    store::IssuedToken {
        id: token_id,
        client_id: record.id.clone(),
        subject: record.id.clone(),
        dialect: DialectConfig::Frontegg.name().to_owned(),
        audience: profile.audience.clone(),
        scope: None,
        key_id: key_id.to_owned(),
        name: Some(record.description.clone()).filter(|description| !description.is_empty()),
        owner: record.user.as_ref().map(|user| user.id.clone()),
        tenant: Some(record.tenant_id.clone()),
        issued_at,
        expires_at,
        original_claims: None,
    }
}
