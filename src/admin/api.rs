//! Owns: the paths of the operator's listener and what each answers.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Path, Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::json;

use super::{
    Configuration, IssuerStatus, Operations, RefreshError, Reloaded, guard::guard, model::Readiness, problem::Problem,
};
use crate::telemetry::metrics::CONTENT_TYPE;

/// How long an answer may take; a reload that takes longer goes on by itself.
const LONGEST_ANSWER: Duration = Duration::from_secs(30);

/// All paths, behind the guard.
pub fn router(operations: Arc<dyn Operations>) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/api/v1/config", get(config))
        .route("/api/v1/reload", post(reload))
        .route("/api/v1/issuers", get(issuers))
        .route("/api/v1/issuers/{name}/refresh", post(refresh))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(Arc::clone(&operations), guard))
        .layer(middleware::from_fn(finish))
        .with_state(operations)
}

async fn livez() -> &'static str {
    "ok\n"
}

async fn readyz(State(operations): State<Arc<dyn Operations>>) -> Response {
    let readiness = operations.readiness();
    let Readiness { draining, missing, public_routes, report_only_routes } = &readiness;
    let (code, status) = match (readiness.is_ready(), draining) {
        (true, _) => (StatusCode::OK, "ready"),
        (false, true) => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
        (false, false) => (StatusCode::SERVICE_UNAVAILABLE, "not_ready"),
    };
    let body = json!({
        "status": status, "missing": missing, "public_routes": public_routes, "report_only_routes": report_only_routes
    });
    (code, Json(body)).into_response()
}

async fn metrics(State(operations): State<Arc<dyn Operations>>) -> Result<Response, Problem> {
    let text = operations.metrics().map_err(|_| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "metrics_unavailable", "The metrics could not be encoded.")
    })?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response())
}

async fn config(State(operations): State<Arc<dyn Operations>>) -> Json<Configuration> {
    Json(operations.configuration())
}

async fn reload(State(operations): State<Arc<dyn Operations>>) -> Result<Json<Reloaded>, Problem> {
    match operations.reload().await {
        Ok(reloaded) => Ok(Json(reloaded)),
        Err(rejected) => {
            let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "configuration_rejected", sentence(&rejected));
            Err(problem.with("diagnostics", rejected.diagnostics))
        }
    }
}

async fn issuers(State(operations): State<Arc<dyn Operations>>) -> Json<Vec<IssuerStatus>> {
    Json(operations.issuers())
}

async fn refresh(
    State(operations): State<Arc<dyn Operations>>,
    Path(name): Path<String>,
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

async fn not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not_found", "There is nothing at this path.")
}

async fn method_not_allowed() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "This path does not know the method.")
}

/// Ends what takes too long, and forbids keeping what is true only now.
async fn finish(request: Request, next: Next) -> Response {
    let mut response = match tokio::time::timeout(LONGEST_ANSWER, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            Problem::new(StatusCode::GATEWAY_TIMEOUT, "timeout", "This takes longer than 30 s; it goes on by itself.")
                .into_response()
        }
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// An error as a sentence for the caller.
fn sentence(error: &dyn std::error::Error) -> String {
    let text = error.to_string();
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), characters.as_str()),
        None => text,
    }
}
