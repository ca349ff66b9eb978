//! Owns: reading what a caller of the management API sends: a JSON body, a query, a name in the path.
//! Refuses: a body of another type, fields that are not known, a parameter that is given twice.
//! Always holds: what cannot be read is told as a problem that says where it is wrong, and nothing is done.

use axum::{
    RequestExt as _,
    body::Bytes,
    extract::{FromRequest, FromRequestParts, OptionalFromRequest, Path, Request, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::problem::Problem;
use crate::jose::{JsonFault, parse_object};

/// A JSON body. As `Option<Body<T>>` it may be left out.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

/// The parameters of the query.
#[derive(Debug)]
pub(super) struct Query<T>(pub(super) T);

/// The one name in the path, decoded.
#[derive(Debug)]
pub(super) struct Named(pub(super) String);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let is_json = is_json(request.headers());
        let body: Bytes = request.extract().await.map_err(unread)?;
        if is_json { read(&body) } else { Err(not_json()) }
    }
}

impl<T: DeserializeOwned, S: Send + Sync> OptionalFromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Option<Self>, Problem> {
        let is_json = is_json(request.headers());
        let body: Bytes = request.extract().await.map_err(unread)?;
        match (body.is_empty(), is_json) {
            (true, _) => Ok(None),
            (false, true) => read(&body).map(Some),
            (false, false) => Err(not_json()),
        }
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        axum::extract::Query::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Query(query)| Self(query))
            .map_err(|rejection| Problem::new(StatusCode::BAD_REQUEST, "invalid_query", rejection.body_text()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Path::from_request_parts(parts, state)
            .await
            .map(|Path(name)| Self(name))
            .map_err(|rejection| Problem::new(StatusCode::BAD_REQUEST, "invalid_path", rejection.body_text()))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = value.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/json")
}

fn not_json() -> Problem {
    let detail = "Send a JSON object, with \"Content-Type: application/json\".";
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
}

fn unread(rejection: BytesRejection) -> Problem {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "The body is longer than 256 KiB.")
        }
        _ => Problem::new(StatusCode::BAD_REQUEST, "invalid_json", "The body could not be read."),
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<Body<T>, Problem> {
    // Of two members of one name serde_json takes the last where it reads a table, and nobody could say which was meant.
    if matches!(parse_object(body), Err(JsonFault::RepeatedMember)) {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "invalid_json", "A member of the body comes twice."));
    }
    serde_json::from_slice(body).map(Body).map_err(|error| match error.classify() {
        Category::Data => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", format!("{error}.")),
        Category::Io | Category::Syntax | Category::Eof => {
            Problem::new(StatusCode::BAD_REQUEST, "invalid_json", format!("The body is not JSON: {error}."))
        }
    })
}
