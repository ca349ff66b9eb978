//! Owns: how the management API says no: RFC 9457 problem details with a stable `code`.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

/// An error as the caller sees it.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    /// Few have any, and a problem is on the way of every answer.
    further: Option<Box<Map<String, Value>>>,
    retry_after: Option<u64>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), further: None, retry_after: None }
    }

    /// Says after how many seconds it is worth while to try again (RFC 9110 section 10.2.3).
    pub(super) const fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Adds a member of its own (RFC 9457 section 3.2).
    pub(super) fn with(mut self, name: &str, value: Value) -> Self {
        self.further.get_or_insert_default().insert(name.to_owned(), value);
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
        object.extend(self.further.into_iter().flat_map(|further| *further));
        let mut response = Response::new(Body::from(Value::Object(object).to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            // RFC 6750 section 3: a bare challenge when no token came; what was wrong with one is told to nobody.
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"postern admin\""));
        }
        response
    }
}

/// An error as a sentence for the caller.
pub(super) fn sentence(error: &dyn std::error::Error) -> String {
    let text = error.to_string();
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), characters.as_str()),
        None => text,
    }
}

/// What the API says when it says no (RFC 9457), as documented. Some codes have members of their own beside these.
#[derive(Debug, ToSchema)]
#[schema(as = Problem, examples(json!({
    "type": "about:blank", "title": "Not Found", "status": 404, "code": "unknown_client",
    "detail": "There is no client \"billing\"."
})))]
#[expect(dead_code, reason = "it is there for its schema; `Problem` writes the JSON")]
pub(super) struct ProblemDocument {
    /// Always `about:blank`: `code` says which problem it is.
    r#type: String,
    /// The status in words.
    title: String,
    /// The status.
    status: u16,
    /// Which problem it is; stable.
    code: String,
    /// What is wrong, in a sentence for people.
    detail: String,
}
