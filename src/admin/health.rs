//! Owns: what probes and collectors ask: alive, ready, metrics.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Operations, Readiness, model::Missing, problem::Problem};
use crate::telemetry::metrics::CONTENT_TYPE;

/// Whether requests should be sent here.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReadinessReport {
    /// `ready`, or why not.
    status: ReadinessStatus,
    /// What is needed and not there.
    missing: Vec<Missing>,
    /// Routes that need no token.
    #[schema(value_type = Vec<String>, example = json!(["health"]))]
    public_routes: Vec<Arc<str>>,
    /// Routes whose rules are decided but not enforced.
    #[schema(value_type = Vec<String>, example = json!([]))]
    report_only_routes: Vec<Arc<str>>,
}

#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ReadinessStatus {
    /// Send requests.
    Ready,
    /// The program is stopping.
    Draining,
    /// Something is missing.
    NotReady,
}

/// Says that the process runs
#[utoipa::path(
    get, path = "/livez", operation_id = "livez", tag = "health", security(()),
    responses((status = 200, description = "It runs", body = String, content_type = "text/plain", example = json!("ok\n"))),
)]
pub(super) async fn livez() -> &'static str {
    "ok\n"
}

/// Says whether requests should be sent here
#[utoipa::path(
    get, path = "/readyz", operation_id = "readyz", tag = "health", security(()),
    responses(
        (status = 200, description = "Send them", body = ReadinessReport),
        (status = 503, description = "Do not: something is missing, or the program is stopping", body = ReadinessReport),
    ),
)]
pub(super) async fn readyz(State(operations): State<Arc<dyn Operations>>) -> Response {
    let readiness = operations.readiness();
    let (code, status) = match (readiness.is_ready(), readiness.draining) {
        (true, _) => (StatusCode::OK, ReadinessStatus::Ready),
        (false, true) => (StatusCode::SERVICE_UNAVAILABLE, ReadinessStatus::Draining),
        (false, false) => (StatusCode::SERVICE_UNAVAILABLE, ReadinessStatus::NotReady),
    };
    let Readiness { missing, public_routes, report_only_routes, .. } = readiness;
    (code, Json(ReadinessReport { status, missing, public_routes, report_only_routes })).into_response()
}

/// Gives all metrics
#[utoipa::path(
    get, path = "/metrics", operation_id = "metrics", tag = "health",
    responses(
        (status = 200, description = "All of them, in the OpenMetrics text format", body = String,
         content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8",
         example = json!("postern_requests_under_way 0\n# EOF\n")),
        (status = 500, description = "`metrics_unavailable`"),
    ),
)]
pub(super) async fn metrics(State(operations): State<Arc<dyn Operations>>) -> Result<Response, Problem> {
    let text = operations.metrics().map_err(|_| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "metrics_unavailable", "The metrics could not be encoded.")
    })?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response())
}
