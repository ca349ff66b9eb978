//! Owns: the answers of the `oauth2` dialect that grant something.

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;
use serde_json::{Map, Value};

use super::super::{Introspected, answer};
use crate::oauth::IssuedToken;

/// RFC 6749 section 5.1, and what else the issuer says.
#[derive(Serialize)]
struct Success<'a> {
    access_token: &'a str,
    token_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
    #[serde(flatten)]
    beside: &'a Map<String, Value>,
}

/// The answer that carries `token`. The `auth0` dialect has the same.
pub(in super::super) fn token(token: &IssuedToken) -> Response<Full<Bytes>> {
    let body = Success {
        access_token: token.access_token.expose(),
        token_type: token.token_type.as_str(),
        expires_in: token.lifetime.map(|lifetime| lifetime.as_secs()),
        scope: token.scope.as_deref(),
        beside: &token.beside,
    };
    answer::json(StatusCode::OK, &body)
}

/// The answer to a revocation, whether or not there was anything to revoke (RFC 7009 section 2.2): the status says it all.
pub(super) fn revoked() -> Response<Full<Bytes>> {
    answer::uncached(StatusCode::OK, Bytes::new())
}

/// The answer to an introspection (RFC 7662 section 2.2).
pub(super) fn introspected(introspected: Introspected) -> Response<Full<Bytes>> {
    let (active, said) = match introspected {
        Introspected::Inactive => (false, Map::new()),
        Introspected::Active(said) => (true, said),
    };
    let mut body = Map::from_iter([("active".to_owned(), Value::Bool(active))]);
    // A claim of that name must not contradict what was found out.
    body.extend(said.into_iter().filter(|(name, _)| name != "active"));
    answer::json(StatusCode::OK, &body)
}
