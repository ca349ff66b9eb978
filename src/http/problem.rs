//! Owns: how a refusal looks to the caller: a problem document (RFC 9457), or a gRPC status for callers that speak gRPC.
//! Refuses: saying more than a fixed sentence: causes belong into the log.
//! Always holds: an answer is never stored by a cache.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::id::RequestId;

use super::{Fields, Response, headers::set_request_id};

const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// What a `grpc-message` escapes: all but printable ASCII, and the percent sign (gRPC over HTTP/2, "Responses").
const GRPC_MESSAGE_ESCAPED: &AsciiSet = &CONTROLS.add(b'%');

/// How many fields a refusal has, about.
const FIELDS: usize = 8;

/// Why requests are refused, and how that is told.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    reason: &'static str,
    detail: &'static str,
    /// Its document, up to the request that it is about.
    beginning: Box<str>,
}

impl Problem {
    /// One that is told with this status: the stable name of its reason, as in the log and the metrics, and one sentence for the
    /// caller.
    #[must_use]
    pub fn new(status: StatusCode, reason: &'static str, detail: &'static str) -> Self {
        Self { status, reason, detail, beginning: beginning(status, reason, detail).into() }
    }

    /// The status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The stable name of the reason.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        self.reason
    }

    /// The answer to the request under this id, as `application/problem+json` (RFC 9457). Other fields, like `WWW-Authenticate`, are
    /// for the caller to add.
    #[must_use]
    pub fn response(&self, request_id: &RequestId) -> Response<Bytes> {
        let mut response = Response::new(self.status, Bytes::from(self.document(request_id)));
        let content_type = const { HeaderValue::from_static("application/problem+json") };
        add_fields(&mut response.head.fields, content_type, request_id);
        response
    }

    /// The answer to a gRPC call: headers only, with `grpc-status` and `grpc-message` in them ("Trailers-Only"); the HTTP
    /// status is 200, as the protocol has it.
    #[must_use]
    pub fn grpc_response(&self, request_id: &RequestId) -> Response<Bytes> {
        let mut response = Response::new(StatusCode::OK, Bytes::new());
        let fields = &mut response.head.fields;
        add_fields(fields, const { HeaderValue::from_static("application/grpc") }, request_id);
        fields.append(GRPC_STATUS, HeaderValue::from(GrpcStatus::from(self.status).code()));
        let message = utf8_percent_encode(self.detail, GRPC_MESSAGE_ESCAPED).to_string();
        if let Ok(message) = HeaderValue::try_from(message) {
            fields.append(GRPC_MESSAGE, message);
        }
        response
    }

    fn document(&self, request_id: &RequestId) -> String {
        // An id has no character that JSON would want to be escaped.
        [&*self.beginning, request_id.as_str(), "\"}"].concat()
    }
}

/// RFC 9457 section 3.1, and two members of our own (section 3.2), of which the last is still to be filled in.
fn beginning(status: StatusCode, reason: &str, detail: &str) -> String {
    // RFC 9457 section 4.2.1: with this type, the title is the status' own phrase.
    let title = status.canonical_reason().unwrap_or("Error");
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    format!(
        "{{\"type\":\"about:blank\",\"title\":{},\"status\":{},\"detail\":{},\"reason\":{},\"request_id\":\"",
        quoted(title),
        status.as_str(),
        quoted(detail),
        quoted(reason),
    )
}

fn add_fields(fields: &mut Fields, content_type: HeaderValue, request_id: &RequestId) {
    fields.reserve(FIELDS);
    fields.append(header::CONTENT_TYPE, content_type);
    fields.append(header::CACHE_CONTROL, const { HeaderValue::from_static("no-store") });
    set_request_id(fields, request_id);
}

/// Whether a request is a gRPC call: its content type is `application/grpc`, alone or followed by `+` or `;`.
#[must_use]
pub fn is_grpc(fields: &Fields) -> bool {
    let kind = fields.first(&header::CONTENT_TYPE);
    let after = kind.and_then(|kind| kind.strip_prefix(b"application/grpc"));
    after.is_some_and(|after| matches!(after.first(), None | Some(b'+' | b';')))
}

/// The gRPC statuses with which a gateway answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrpcStatus {
    /// None of the others.
    Unknown,
    /// The request is malformed.
    InvalidArgument,
    /// It took too long.
    DeadlineExceeded,
    /// Not allowed.
    PermissionDenied,
    /// Too much, or too often.
    ResourceExhausted,
    /// Nothing answers there.
    Unimplemented,
    /// Our own fault.
    Internal,
    /// It may work later.
    Unavailable,
    /// No good token.
    Unauthenticated,
}

impl GrpcStatus {
    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::Unknown => 2,
            Self::InvalidArgument => 3,
            Self::DeadlineExceeded => 4,
            Self::PermissionDenied => 7,
            Self::ResourceExhausted => 8,
            Self::Unimplemented => 12,
            Self::Internal => 13,
            Self::Unavailable => 14,
            Self::Unauthenticated => 16,
        }
    }

    /// The trailers that end a stream with this status, and say why in a sentence.
    #[must_use]
    pub fn trailers(self, message: &'static str) -> HeaderMap {
        let mut trailers = HeaderMap::new();
        trailers.insert(GRPC_STATUS, HeaderValue::from(self.code()));
        trailers.insert(GRPC_MESSAGE, HeaderValue::from_static(message));
        trailers
    }
}

impl From<StatusCode> for GrpcStatus {
    /// What a gRPC client makes of these statuses by itself ("HTTP to gRPC Status Code Mapping"), more precise where that
    /// mapping has to guess and we know.
    fn from(status: StatusCode) -> Self {
        match status {
            StatusCode::BAD_REQUEST => Self::InvalidArgument,
            StatusCode::UNAUTHORIZED => Self::Unauthenticated,
            StatusCode::FORBIDDEN => Self::PermissionDenied,
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => Self::Unimplemented,
            StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => Self::DeadlineExceeded,
            StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::TOO_MANY_REQUESTS
            | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => Self::ResourceExhausted,
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE => Self::Unavailable,
            StatusCode::INTERNAL_SERVER_ERROR => Self::Internal,
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request_id() -> RequestId {
        RequestId::parse(b"r-1").unwrap()
    }

    fn problem() -> Problem {
        Problem::new(StatusCode::FORBIDDEN, "insufficient_scope", "100% \"no\", café")
    }

    #[test]
    fn a_problem_document_has_its_members() {
        let response = problem().response(&request_id());
        assert_eq!(response.head.status, 403);
        assert_eq!(&response.head.fields["content-type"], "application/problem+json");
        assert_eq!(&response.head.fields["cache-control"], "no-store");
        assert_eq!(&response.head.fields["x-request-id"], "r-1");
        assert_eq!(
            response.body,
            "{\"type\":\"about:blank\",\"title\":\"Forbidden\",\"status\":403,\"detail\":\"100% \\\"no\\\", café\",\
             \"reason\":\"insufficient_scope\",\"request_id\":\"r-1\"}"
        );
    }

    #[test]
    fn whatever_is_said_is_json() {
        for detail in ["plain", "", "\"", "a\\b", "line\nbreak", "\u{0}\u{1f}\u{7f}\u{2028}", "café \u{1f600}"] {
            let problem = Problem::new(StatusCode::NOT_FOUND, "no_route", detail);
            let read: serde_json::Value = serde_json::from_slice(&problem.response(&request_id()).body).unwrap();
            let expected = serde_json::json!({
                "type": "about:blank", "title": "Not Found", "status": 404, "detail": detail, "reason": "no_route",
                "request_id": "r-1",
            });
            assert_eq!(read, expected);
        }
    }

    #[test]
    fn a_grpc_caller_gets_a_grpc_status() {
        let response = problem().grpc_response(&request_id());
        assert_eq!(response.head.status, 200);
        assert_eq!(&response.head.fields["grpc-status"], "7");
        assert_eq!(&response.head.fields["grpc-message"], "100%25 \"no\", caf%C3%A9");
        assert!(response.body.is_empty());
    }

    #[test]
    fn grpc_calls_are_told_by_their_content_type() {
        let grpc = |kind: &str| is_grpc(&Fields::from_iter([(header::CONTENT_TYPE, kind.parse().unwrap())]));
        assert!(grpc("application/grpc") && grpc("application/grpc+proto") && grpc("application/grpc;x"));
        assert!(!grpc("application/grpc-web") && !grpc("application/json") && !is_grpc(&Fields::default()));
    }
}
