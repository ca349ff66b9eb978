//! Owns: listing, rotating and revoking the embedded issuer's signing keys.

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    super::{
        extract::{Body, Named},
        moment::Moment,
        problem::Problem,
    },
    Asked,
    model::Revoked,
};
use crate::{
    authorization_server::{AuthorizationServer, KeyOverview, KeyState},
    config::SigningAlgorithmConfig,
};

/// All signing keys.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct SigningKeyList {
    /// In the order in which they were made.
    keys: Vec<SigningKeyItem>,
}

/// A signing key; its private half is never shown.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct SigningKeyItem {
    /// Its id (`kid`).
    #[schema(example = "WmPqVPMQpbMjcvkhbXyZKJKHJm6VwVVjDpW8tDjGz6k")]
    key_id: String,
    /// What it signs with.
    algorithm: SigningAlgorithmConfig,
    /// The part it plays.
    state: KeyState,
    /// When it was made, and published.
    created_at: Moment,
    /// When it began to sign.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    activated_at: Option<Moment>,
    /// When it stopped to sign.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    retired_at: Option<Moment>,
    /// When it was revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    revoked_at: Option<Moment>,
}

/// How the next key takes over.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::admin) struct KeyRotationRequest {
    /// Even if the next key was published so lately that verifiers which cache the key document do not know it yet.
    #[schema(example = false)]
    haste: bool,
}

/// Lists the signing keys
#[utoipa::path(
    get, path = "/api/v1/keys", operation_id = "list_keys", tag = "keys",
    responses((status = 200, description = "All of them, also those that sign no more", body = SigningKeyList)),
)]
pub(in crate::admin) async fn list(asked: Asked) -> Json<SigningKeyList> {
    Json(keys(&asked.issuer))
}

/// Lets the next key sign
///
/// The one before stays published until the last token that it signed has expired.
#[utoipa::path(
    post, path = "/api/v1/keys/rotate", operation_id = "rotate_keys", tag = "keys", request_body = Option<KeyRotationRequest>,
    responses(
        (status = 200, description = "The keys from now on", body = SigningKeyList),
        (status = 409, description = "`next_key_too_new`: verifiers may not know the next key yet (`remaining_seconds`); \
                                      `no_next_key`"),
        (status = 422, description = "`invalid_body`"),
    ),
)]
pub(in crate::admin) async fn rotate(
    asked: Asked,
    request: Option<Body<KeyRotationRequest>>,
) -> Result<Json<SigningKeyList>, Problem> {
    let haste = request.is_some_and(|Body(request)| request.haste);
    asked.issuer.rotate_keys(&asked.actor, haste, asked.now).await?;
    Ok(Json(keys(&asked.issuer)))
}

/// Revokes a compromised key
///
/// It is no longer published, every token that it signed is refused from the answer on, and another key signs.
#[utoipa::path(
    post, path = "/api/v1/keys/{key_id}/revoke", operation_id = "revoke_key", tag = "keys",
    params(("key_id" = String, Path, description = "The key")),
    responses(
        (status = 200, description = "How many live tokens it had signed", body = Revoked),
        (status = 404, description = "`unknown_key`"),
    ),
)]
pub(in crate::admin) async fn revoke(asked: Asked, Named(key_id): Named) -> Result<Json<Revoked>, Problem> {
    let revoked = asked.issuer.revoke_key(&asked.actor, &key_id, asked.now).await?;
    Ok(Json(Revoked { revoked: Some(revoked) }))
}

fn keys(issuer: &AuthorizationServer) -> SigningKeyList {
    SigningKeyList { keys: issuer.signing_keys().into_iter().map(SigningKeyItem::from).collect() }
}

impl From<KeyOverview> for SigningKeyItem {
    fn from(key: KeyOverview) -> Self {
        let KeyOverview { key_id, algorithm, state, created_at, activated_at, retired_at, revoked_at } = key;
        Self {
            key_id,
            algorithm,
            state,
            created_at: Moment(created_at),
            activated_at: activated_at.map(Moment),
            retired_at: retired_at.map(Moment),
            revoked_at: revoked_at.map(Moment),
        }
    }
}
