//! Owns: showing the configuration in force, and reloading it.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};

use super::{
    Configuration, Operations, Reloaded,
    problem::{Problem, sentence},
};

/// Shows the configuration in force
///
/// Its secrets are redacted. Of one that was refused only what was wrong with it is told.
#[utoipa::path(
    get, path = "/api/v1/config", operation_id = "show_config", tag = "configuration",
    responses((status = 200, description = "It, and the last rejection, if there was one", body = Configuration)),
)]
pub(super) async fn show(State(operations): State<Arc<dyn Operations>>) -> Json<Configuration> {
    Json(operations.configuration())
}

/// Reloads the configuration now
///
/// If anything in it is wrong, nothing is applied.
#[utoipa::path(
    post, path = "/api/v1/reload", operation_id = "reload", tag = "configuration",
    responses(
        (status = 200, description = "It is in force", body = Reloaded),
        (status = 422, description = "`configuration_rejected`, with `diagnostics`"),
    ),
)]
pub(super) async fn reload(State(operations): State<Arc<dyn Operations>>) -> Result<Json<Reloaded>, Problem> {
    match operations.reload().await {
        Ok(reloaded) => Ok(Json(reloaded)),
        Err(rejected) => {
            let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "configuration_rejected", sentence(&rejected));
            Err(problem.with("diagnostics", rejected.diagnostics))
        }
    }
}
