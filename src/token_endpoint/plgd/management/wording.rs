//! Owns: what a refusal to manage says in the `plgd` dialect.
//! Refuses: sentences put together from what was sent.

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;

use super::super::{
    super::{ManagementRefusal, RequestError, answer},
    wording::{INVALID_ARGUMENT, Status, UNAUTHENTICATED, UNAVAILABLE, UNIMPLEMENTED},
};

/// gRPC's status code for one who may not.
const PERMISSION_DENIED: u8 = 7;
/// gRPC's status code for what does not exist.
const NOT_FOUND: u8 = 5;

/// The answer.
pub(super) fn response(refusal: &ManagementRefusal) -> Response<Full<Bytes>> {
    let status = refusal.status();
    let code = match status {
        StatusCode::UNAUTHORIZED => UNAUTHENTICATED,
        StatusCode::FORBIDDEN => PERMISSION_DENIED,
        StatusCode::NOT_FOUND => NOT_FOUND,
        StatusCode::METHOD_NOT_ALLOWED => UNIMPLEMENTED,
        StatusCode::SERVICE_UNAVAILABLE => UNAVAILABLE,
        _ => INVALID_ARGUMENT,
    };
    answer::json(status, &Status { code, message: sentence(refusal, status).to_owned(), details: [] })
}

fn sentence(refusal: &ManagementRefusal, status: StatusCode) -> &'static str {
    match refusal {
        ManagementRefusal::Request(RequestError::MethodNotAllowed) => "method not allowed",
        ManagementRefusal::Request(RequestError::BodyTooLarge) => "body too large",
        ManagementRefusal::Request(RequestError::RepeatedParameter) => "repeated parameter",
        ManagementRefusal::Request(_) => "invalid body",
        ManagementRefusal::MalformedQuery => "invalid query",
        ManagementRefusal::NoToken => "missing bearer token",
        ManagementRefusal::OwnerMissing => "the token has no owner",
        ManagementRefusal::IdFilterMissing => "idFilter is required",
        _ => match status {
            StatusCode::UNAUTHORIZED => "invalid token",
            StatusCode::BAD_REQUEST => "invalid request",
            StatusCode::SERVICE_UNAVAILABLE => "temporarily unavailable",
            _ => "permission denied",
        },
    }
}
