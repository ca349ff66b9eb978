//! Owns: showing the issuers whose tokens are verified, and having their keys fetched.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};

use super::{
    IssuerStatus, Operations, RefreshError,
    extract::Named,
    problem::{Problem, sentence},
};

/// Shows the issuers and their keys
#[utoipa::path(
    get, path = "/api/v1/issuers", operation_id = "list_issuers", tag = "issuers",
    responses((status = 200, description = "All of them", body = Vec<IssuerStatus>)),
)]
pub(super) async fn list(State(operations): State<Arc<dyn Operations>>) -> Json<Vec<IssuerStatus>> {
    Json(operations.issuers())
}

/// Fetches an issuer's keys now
#[utoipa::path(
    post, path = "/api/v1/issuers/{name}/refresh", operation_id = "refresh_issuer", tag = "issuers",
    params(("name" = String, Path, description = "The issuer's name in the configuration", example = "corp")),
    responses(
        (status = 200, description = "How the issuer stands after that", body = IssuerStatus),
        (status = 404, description = "`unknown_issuer`"),
        (status = 409, description = "`embedded_issuer`: its keys are not fetched"),
        (status = 502, description = "`fetch_failed`: the keys before stay in use"),
    ),
)]
pub(super) async fn refresh(
    State(operations): State<Arc<dyn Operations>>,
    Named(name): Named,
) -> Result<Json<IssuerStatus>, Problem> {
    operations.refresh(&name).await.map(Json).map_err(|error| {
        let (status, code) = match error {
            RefreshError::Unknown => (StatusCode::NOT_FOUND, "unknown_issuer"),
            RefreshError::Embedded => (StatusCode::CONFLICT, "embedded_issuer"),
            RefreshError::Failed(_) => (StatusCode::BAD_GATEWAY, "fetch_failed"),
        };
        Problem::new(status, code, sentence(&error))
    })
}
