//! Owns: the last step: an answer dressed for the way out.
//! Refuses: telling the caller more of a refusal than a fixed sentence.
//! Always holds: every answer carries the request id, and its end is recorded.

use http::{HeaderValue, StatusCode, Version, header};
use http_body_util::Full;
use tracing::{debug, warn};

use super::{
    Fault, Rejection,
    body::{ResponseBody, ResponseEnd},
    handle::Answer,
    limit,
    record::Record,
    tied_body::TiedBody,
};
use crate::{
    http::{
        BodyLimits, MeteredBody, Response,
        headers::{set_request_id, strip_hop_by_hop_from_response},
        is_grpc,
    },
    in_place,
    server::CloseConnection,
};

/// Sends on what an upstream, or the embedded issuer, answered.
pub(super) fn answer(answer: Answer, mut record: Box<Record>) -> Response<ResponseBody> {
    match answer {
        Answer::Forwarded(mut response, limits) => {
            let upgraded = response.head.status == StatusCode::SWITCHING_PROTOCOLS;
            strip_hop_by_hop_from_response(&mut response.head.fields, upgraded);
            set_request_id(&mut response.head.fields, record.request_id());
            limit::tell(&mut response.head.fields, record.limit());
            record.status(response.head.status);
            let (tie, grpc) =
                (record.tie().cloned(), record.version() == Version::HTTP_2 && is_grpc(&response.head.fields));
            response.map(|body| {
                let body = || MeteredBody::new(TiedBody::new(body, tie, grpc), limits, ResponseEnd::new(record));
                ResponseBody::Forwarded(in_place::boxed(body))
            })
        }
        Answer::Own(response) => {
            let mut response = Response::from(response);
            set_request_id(&mut response.head.fields, record.request_id());
            record.status(response.head.status);
            own(response, record)
        }
        Answer::Managed(response) => {
            let mut response = Response::from(response);
            set_request_id(&mut response.head.fields, record.request_id());
            record.status(response.head.status);
            let end = ResponseEnd::new(record);
            response.map(|body| ResponseBody::Managed(Box::new(MeteredBody::new(body, BodyLimits::NONE, end))))
        }
    }
}

/// Tells the caller that, and in a fixed sentence why, its request is refused.
pub(super) fn reject(rejection: &Rejection, grpc: bool, mut record: Box<Record>) -> Response<ResponseBody> {
    log(rejection, &record);
    record.rejected(rejection);
    let (problem, request_id) = (record.problems().of(rejection), record.request_id());
    let mut response = if grpc { problem.grpc_response(request_id) } else { problem.response(request_id) };
    let fields = &mut response.head.fields;
    if let Some(challenge) = rejection.challenge() {
        fields.append(header::WWW_AUTHENTICATE, challenge);
    }
    if let Rejection::MethodNotAllowed { allow } = rejection {
        fields.append(header::ALLOW, allow.clone());
    }
    if let Some(seconds) = rejection.retry_after_seconds() {
        fields.append(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    limit::tell(fields, record.limit());
    // Over HTTP/2 each request stands alone: a bad one says nothing about its neighbours, who may be other callers' behind a
    // proxy.
    if rejection.closes_connection() && record.version() < Version::HTTP_2 {
        response.head.extensions.insert(CloseConnection);
    }
    // A gRPC refusal is a 200 on the wire; what counts is what it says.
    record.status(problem.status());
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
        // Whoever finds that there is too much to do tells of it once.
        Fault::Gateway if reason == Rejection::Overloaded.reason() => {
            debug!(%request_id, reason, error, "request not taken")
        }
        Fault::Downstream => debug!(%request_id, reason, error, "request refused"),
        // The key set tells of its own failures, once each; a line for every request would let callers fill the log.
        Fault::Issuer => debug!(%request_id, reason, error, "request cannot be decided"),
        Fault::Gateway | Fault::Upstream => warn!(%request_id, reason, error, "request failed"),
    }
}
