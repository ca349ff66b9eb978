//! Owns: how the management API says no: RFC 9457 problem details with a stable `code`.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};

/// An error as the caller sees it.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    further: Map<String, Value>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), further: Map::new() }
    }

    /// Adds a member of its own (RFC 9457 section 3.2).
    pub(super) fn with(mut self, name: &str, value: Value) -> Self {
        self.further.insert(name.to_owned(), value);
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut object = Map::new();
        object.insert("type".to_owned(), json!("about:blank"));
        object.insert("title".to_owned(), json!(self.status.canonical_reason().unwrap_or("Error")));
        object.insert("status".to_owned(), json!(self.status.as_u16()));
        object.insert("code".to_owned(), json!(self.code));
        object.insert("detail".to_owned(), json!(self.detail));
        object.extend(self.further);
        let mut response = Response::new(Body::from(Value::Object(object).to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::UNAUTHORIZED {
            // RFC 6750 section 3: a bare challenge when no token came; what was wrong with one is told to nobody.
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"postern admin\""));
        }
        response
    }
}
