//! Owns: the answers of the `plgd` dialect that carry a token.
//! Always holds: a token that never expires has no lifetime in them.

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;

use super::super::answer;
use crate::oauth::IssuedToken;

/// At `/oauth/token`.
#[derive(Serialize)]
struct Token<'a> {
    access_token: &'a str,
    token_type: &'static str,
    scope: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in: Option<u64>,
}

/// At `/api/v1/tokens`, as Protocol Buffers write it: a 64-bit number is text.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Created<'a> {
    access_token: &'a str,
    token_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in: Option<String>,
    scope: Vec<&'a str>,
}

/// The answer at `/oauth/token`.
pub(super) fn token(token: &IssuedToken) -> Response<Full<Bytes>> {
    let body = Token {
        access_token: token.access_token.expose(),
        token_type: token.token_type.as_str(),
        scope: token.scope.as_deref().unwrap_or_default(),
        expires_in: token.lifetime.map(|lifetime| lifetime.as_secs()),
    };
    answer::json(StatusCode::OK, &body)
}

/// The answer at `/api/v1/tokens`.
pub(super) fn created(token: &IssuedToken) -> Response<Full<Bytes>> {
    let body = Created {
        access_token: token.access_token.expose(),
        token_type: token.token_type.as_str(),
        expires_in: token.lifetime.map(|lifetime| lifetime.as_secs().to_string()),
        scope: token.scope.as_deref().map(|scope| scope.split(' ').collect()).unwrap_or_default(),
    };
    answer::json(StatusCode::OK, &body)
}
