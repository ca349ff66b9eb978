//! Owns: what the gateway answers in the name of the embedded issuer: tokens and published documents.
//! Always holds: a token endpoint speaks its own dialect, also when it refuses.

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::Full;
use hyper::body::Incoming;
use tracing::debug;

use super::{Rejection, handle::Answer, record::Record};
use crate::{
    http::{BodyLimits, MeteredBody, forwarded},
    server::ConnectionInfo,
    snapshot::Snapshot,
    token_endpoint::{Arrival, Operation, TokenEndpoint, TokenRefusal},
};

/// Answers a request to a token endpoint.
pub(super) async fn issue(
    (endpoint, operation): (&TokenEndpoint, Operation),
    request: Request<Incoming>,
    connection: &ConnectionInfo,
    snapshot: &Snapshot,
    record: &mut Record,
) -> Result<Answer, Rejection> {
    // A snapshot with a token endpoint has an issuer before it comes into force.
    let issuer = snapshot.issuing().ok_or(Rejection::NoRoute)?;
    let limits = {
        let limits = &connection.settings().limits;
        // How much may be read is the endpoint's own matter; how slowly is the listener's.
        let deadline = Some(record.deadline(limits.body_idle_timeout));
        BodyLimits { bytes: None, idle: Some(limits.body_idle_timeout), deadline }
    };
    let peer = forwarded::caller(request.headers(), connection.peer.ip(), &connection.settings().trusted_proxies);
    record.caller(peer);
    let arrival = Arrival { peer, at: record.time() };
    let bytes_in = record.bytes_in();
    let request = request.map(|body| MeteredBody::new(body, limits, bytes_in));
    let answer = endpoint.respond(operation, request, &issuer, arrival).await;
    let refusal = answer.outcome.refusal();
    if let Some(refusal) = refusal {
        let (request_id, error) = (record.request_id(), refusal as &dyn std::error::Error);
        debug!(%request_id, error, "a token endpoint refused a request");
    }
    record.issued(answer.outcome.client_id(), refusal.map(TokenRefusal::reason));
    Ok(Answer::Own(answer.response))
}

/// Answers with a document of the embedded issuer.
pub(super) fn document(path: &str, snapshot: &Snapshot) -> Result<Answer, Rejection> {
    let document = snapshot.embedded().and_then(|issuer| issuer.document(path)).ok_or(Rejection::NoRoute)?;
    let mut response: Response<Full<Bytes>> = Response::new(Full::new(document.body.clone()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(document.content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(document.cache_control));
    Ok(Answer::Own(response))
}
