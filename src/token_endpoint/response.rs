//! Owns: the answers of a token endpoint (RFC 6749 sections 5.1 and 5.2).
//! Refuses: being kept by any cache.
//! Always holds: JSON with a body; a 401 says how to authenticate, a 405 which method is meant, a 503 when to come
//! back.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE},
};
use http_body_util::Full;
use serde::Serialize;

use super::TokenRefusal;
use crate::oauth::IssuedToken;

/// Seconds after which a client may try again when the issuer failed.
const RETRY_AFTER_SECONDS: &str = "5";

/// RFC 6749 section 5.1.
#[derive(Serialize)]
struct Success<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
}

/// RFC 6749 section 5.2.
#[derive(Serialize)]
struct Failure {
    error: &'static str,
    error_description: &'static str,
}

/// The answer that carries `token`.
pub(super) fn success(token: &IssuedToken) -> Response<Full<Bytes>> {
    let body = Success {
        access_token: token.access_token.expose(),
        token_type: "Bearer",
        expires_in: token.lifetime.as_secs(),
        scope: token.scope.as_deref(),
    };
    respond(StatusCode::OK, &body)
}

/// The answer that says why there is no token.
pub(super) fn failure(refusal: &TokenRefusal) -> Response<Full<Bytes>> {
    let wording = refusal.wording();
    let body = Failure { error: wording.code, error_description: wording.description };
    let mut response = respond(wording.status, &body);
    let headers = response.headers_mut();
    match wording.status {
        // After Basic RFC 6749 section 5.2 asks for it; in every 401 RFC 9110 section 15.5.2 does.
        StatusCode::UNAUTHORIZED => set(headers, WWW_AUTHENTICATE, r#"Basic realm="postern", charset="UTF-8""#),
        StatusCode::METHOD_NOT_ALLOWED => set(headers, ALLOW, "POST"),
        StatusCode::SERVICE_UNAVAILABLE => set(headers, RETRY_AFTER, RETRY_AFTER_SECONDS),
        _ => {}
    }
    response
}

fn respond(status: StatusCode, body: &impl Serialize) -> Response<Full<Bytes>> {
    // Strings and a number always serialize; were it otherwise, an empty answer would grant nothing.
    let body = serde_json::to_vec(body).unwrap_or_default();
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    set(headers, CONTENT_TYPE, "application/json");
    set(headers, CACHE_CONTROL, "no-store");
    set(headers, PRAGMA, "no-cache");
    response
}

fn set(headers: &mut HeaderMap, name: http::HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}
