//! Owns: the paths of the operator's listener, and what holds for all of them.
//! Always holds: every path and method is in the OpenAPI document, and nothing else is.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    http::{HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};

use super::{
    Operations, configuration, guard::guard, health, issuer, issuers, openapi, problem::Problem, reused_tokens,
};

/// How long an answer may take; a reload that takes longer goes on by itself.
const LONGEST_ANSWER: Duration = Duration::from_secs(30);
/// The longest body; what a client is takes a few KiB.
const LONGEST_BODY_BYTES: usize = 256 * 1024;

/// All paths, behind the guard.
pub fn router(operations: Arc<dyn Operations>) -> Router {
    let paths = routes().into_iter().fold(Router::new(), |router, (path, methods)| router.route(path, methods));
    paths
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(Arc::clone(&operations), guard))
        .layer(middleware::from_fn(finish))
        .layer(DefaultBodyLimit::max(LONGEST_BODY_BYTES))
        .with_state(operations)
}

/// Every path and what answers there.
pub(super) fn routes() -> Vec<(&'static str, MethodRouter<Arc<dyn Operations>>)> {
    let mut routes = vec![
        ("/livez", get(health::livez)),
        ("/readyz", get(health::readyz)),
        ("/metrics", get(health::metrics)),
        ("/api/v1/config", get(configuration::show)),
        ("/api/v1/reload", post(configuration::reload)),
        ("/api/v1/issuers", get(issuers::list)),
        ("/api/v1/issuers/{name}/refresh", post(issuers::refresh)),
        ("/api/v1/reused-tokens", get(reused_tokens::list).delete(reused_tokens::drop)),
        ("/api/v1/openapi.json", get(openapi::show)),
    ];
    routes.extend(issuer::routes());
    routes
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
