//! Owns: the last step: an answer dressed for the way out.
//! Refuses: telling the caller more of a refusal than a fixed sentence.
//! Always holds: every answer carries the request id, and its end is recorded.

use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use tracing::{debug, warn};

use super::{
    Fault, Rejection,
    body::{ResponseBody, ResponseEnd},
    handle::Answer,
    record::Record,
};
use crate::{
    http::{
        BodyLimits, MeteredBody, Problem,
        headers::{set_request_id, strip_hop_by_hop_from_response},
    },
    server::CloseConnection,
};

/// Sends on what an upstream, or the embedded issuer, answered.
pub(super) fn answer(answer: Answer, mut record: Box<Record>) -> Response<ResponseBody> {
    match answer {
        Answer::Forwarded(mut response, limits) => {
            let upgraded = response.status() == StatusCode::SWITCHING_PROTOCOLS;
            strip_hop_by_hop_from_response(response.headers_mut(), upgraded);
            set_request_id(response.headers_mut(), record.request_id());
            record.status(response.status());
            response.map(|body| ResponseBody::Forwarded(MeteredBody::new(body, limits, ResponseEnd::new(record))))
        }
        Answer::Own(mut response) => {
            set_request_id(response.headers_mut(), record.request_id());
            record.status(response.status());
            own(response, record)
        }
    }
}

/// Tells the caller that, and in a fixed sentence why, its request is refused.
pub(super) fn reject(rejection: &Rejection, grpc: bool, mut record: Box<Record>) -> Response<ResponseBody> {
    log(rejection, &record);
    record.rejected(rejection);
    let problem = Problem {
        status: rejection.status(),
        reason: rejection.reason(),
        detail: rejection.detail(),
        request_id: record.request_id(),
    };
    let mut response = if grpc { problem.grpc_response() } else { problem.response() };
    let headers = response.headers_mut();
    if let Some(challenge) = rejection.challenge() {
        headers.insert(header::WWW_AUTHENTICATE, challenge.header_value());
    }
    if let Rejection::MethodNotAllowed { allow } = rejection {
        headers.insert(header::ALLOW, allow.clone());
    }
    if let Some(seconds) = rejection.retry_after_seconds() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if rejection.closes_connection() {
        response.extensions_mut().insert(CloseConnection);
    }
    record.status(response.status());
    own(response.map(Full::new), record)
}

fn own(response: Response<Full<bytes::Bytes>>, record: Box<Record>) -> Response<ResponseBody> {
    response.map(|body| ResponseBody::Own(MeteredBody::new(body, BodyLimits::NONE, ResponseEnd::new(record))))
}

/// The chain of causes, once. A caller's fault is worth a line only to whoever looks for it: anybody could fill the log.
fn log(rejection: &Rejection, record: &Record) {
    let (reason, request_id) = (rejection.reason(), record.request_id());
    let error = rejection as &dyn std::error::Error;
    match rejection.fault() {
        Fault::Downstream => debug!(%request_id, reason, error, "request refused"),
        Fault::Gateway | Fault::Upstream | Fault::Issuer => warn!(%request_id, reason, error, "request failed"),
    }
}
