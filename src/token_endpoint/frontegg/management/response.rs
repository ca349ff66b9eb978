//! Owns: API tokens and the vendor's switch as the product writes them.
//! Always holds: a secret is in no answer but the one to its making.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;
use serde_json::{Map, Value};

use super::super::super::answer;
use crate::{
    authorization_server::{ApiTokenKind, ApiTokenRecord, ApiTokenSwitch, CreatedApiToken},
    config::ApiTokenStrategyConfig,
    telemetry::Rfc3339,
};

/// An API token. Client credentials call their id `clientId`, access tokens `id`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ApiToken<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    description: &'a str,
    tenant_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_by_user_id: Option<&'a str>,
    metadata: &'a Map<String, Value>,
    role_ids: &'a BTreeSet<String>,
    permission_ids: &'a BTreeSet<String>,
    created_at: Rfc3339,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<Rfc3339>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
}

/// The vendor's switch.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Configuration {
    api_tokens_enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    machine_to_machine_auth_strategy: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_token_expiration: Option<u64>,
}

/// A list of access tokens.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AccessTokens<'a> {
    access_tokens: Vec<ApiToken<'a>>,
}

impl<'a> ApiToken<'a> {
    /// One that there is.
    pub(super) fn of(record: &'a ApiTokenRecord) -> Self {
        let is_credentials = record.kind.is_credentials();
        Self {
            client_id: is_credentials.then_some(&record.id),
            id: (!is_credentials).then_some(&record.id),
            description: &record.description,
            tenant_id: &record.tenant_id,
            user_id: record.user.as_ref().map(|user| user.id.as_str()),
            created_by_user_id: record.created_by.as_deref(),
            metadata: &record.metadata,
            role_ids: &record.roles,
            permission_ids: &record.permissions,
            created_at: Rfc3339(record.created_at),
            expires: record.expires_at.map(Rfc3339),
            secret: None,
        }
    }

    /// One that was just made.
    pub(super) fn created(created: &'a CreatedApiToken) -> Self {
        Self { secret: Some(created.secret.expose()), ..Self::of(&created.record) }
    }
}

/// The switch as it stands.
pub(super) fn configuration(switch: &ApiTokenSwitch) -> Configuration {
    Configuration {
        api_tokens_enabled: switch.enabled,
        machine_to_machine_auth_strategy: switch.strategy.map(|strategy| match strategy {
            ApiTokenStrategyConfig::ClientCredentials => "ClientCredentials",
            ApiTokenStrategyConfig::AccessToken => "AccessToken",
        }),
        default_token_expiration: switch.default_expiration_minutes.map(|minutes| minutes.saturating_mul(60)),
    }
}

/// The answer with tokens of a kind: a list of credentials is bare, one of access tokens has a name.
pub(super) fn list(kind: ApiTokenKind, tokens: &[Arc<ApiTokenRecord>]) -> Response<Full<Bytes>> {
    let tokens: Vec<ApiToken<'_>> = tokens.iter().map(|record| ApiToken::of(record)).collect();
    if kind.is_credentials() {
        answer::json(StatusCode::OK, &tokens)
    } else {
        answer::json(StatusCode::OK, &AccessTokens { access_tokens: tokens })
    }
}
