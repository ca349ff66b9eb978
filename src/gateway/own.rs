//! Owns: what the gateway answers in the name of the embedded issuer: tokens, their management, and published documents.
//! Always holds: a token endpoint speaks its own dialect, also when it refuses.

use std::net::IpAddr;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use tracing::{debug, error};

use super::{
    Rejection,
    body::{ManagedBody, RequestBytes},
    handle::Answer,
    record::Record,
    worker::Worker,
};
use crate::{
    http::{BodyLimits, MeteredBody, PathParameters, Request, forwarded},
    server::{ConnectionInfo, DownstreamBody},
    snapshot::{Own, Snapshot},
    token_endpoint::{
        Arrival, Managed, ManagementRefusal, Managing, Operation, TokenEndpoint, TokenIssuer, TokenRefusal,
    },
};

/// Answers a request to what stands at a `place` of Postern's own.
pub(super) async fn answer(
    worker: &Worker,
    (own, parameters): (&Own, &PathParameters),
    request: Request<DownstreamBody>,
    connection: &ConnectionInfo,
    snapshot: &Snapshot,
    record: &mut Record,
) -> Result<Answer, Rejection> {
    match own {
        Own::Document(path) => document(path, snapshot),
        Own::TokenEndpoint(endpoint, operation, metrics) => {
            record.matched_own(metrics);
            if operation.is_management(&request.head.method) {
                let place = (&**endpoint, *operation, parameters);
                manage(worker, place, request, connection, snapshot, record).await
            } else {
                issue((endpoint, *operation), request, connection, snapshot, record).await
            }
        }
    }
}

/// Answers a request to a token endpoint.
async fn issue(
    (endpoint, operation): (&TokenEndpoint, Operation),
    request: Request<DownstreamBody>,
    connection: &ConnectionInfo,
    snapshot: &Snapshot,
    record: &mut Record,
) -> Result<Answer, Rejection> {
    let embedded = snapshot.issuing();
    let issuer: &dyn TokenIssuer = match (endpoint.forwarding(), &embedded) {
        (Some(forwarding), _) => forwarding,
        (None, Some(embedded)) => embedded,
        // A snapshot whose endpoint has the embedded issuer has it before it comes into force.
        (None, None) => return Err(Rejection::NoRoute),
    };
    let (request, peer) = admitted(request, connection, record);
    let arrival = Arrival { peer, at: record.time(), with_certificate: connection.brought_certificate() };
    let answer = endpoint.respond(operation, request, issuer, arrival).await;
    let refusal = answer.outcome.refusal();
    if let Some(refusal) = refusal {
        let (request_id, error) = (record.request_id(), refusal as &dyn std::error::Error);
        debug!(%request_id, error, "a token endpoint refused a request");
    }
    record.issued(answer.outcome.client_id(), refusal.map(TokenRefusal::reason));
    Ok(Answer::Own(answer.response))
}

/// Answers a request to the management of a token endpoint.
async fn manage(
    worker: &Worker,
    (endpoint, operation, parameters): (&TokenEndpoint, Operation, &PathParameters),
    request: Request<DownstreamBody>,
    connection: &ConnectionInfo,
    snapshot: &Snapshot,
    record: &mut Record,
) -> Result<Answer, Rejection> {
    let server = snapshot.embedded().ok_or(Rejection::NoRoute)?;
    let managing = Managing { server, issuers: &snapshot.issuers, tokens: worker.tokens(), at: record.time() };
    let (request, _) = admitted(request, connection, record);
    let Managed { response, token, refusal } = endpoint.manage(operation, request, parameters, managing).await;
    if let Some(refusal) = &refusal {
        log(refusal, response.status(), record);
    }
    record.managed(token.as_ref(), refusal.as_ref().map(ManagementRefusal::reason));
    Ok(Answer::Managed(response.map(ManagedBody::new)))
}

/// The chain of causes, once. A caller's fault is worth a line only to whoever looks for it; our own is told to operators.
fn log(refusal: &ManagementRefusal, status: StatusCode, record: &Record) {
    let (request_id, reason, error) = (record.request_id(), refusal.reason(), refusal as &dyn std::error::Error);
    match refusal {
        // The key set tells of its own failures.
        ManagementRefusal::Token(_) => debug!(%request_id, reason, error, "managing was refused"),
        _ if status.is_server_error() => error!(%request_id, reason, error, "managing failed"),
        _ => debug!(%request_id, reason, error, "managing was refused"),
    }
}

/// The request with its body under watch, and who sent it, as far as that can be believed.
fn admitted(
    request: Request<DownstreamBody>,
    connection: &ConnectionInfo,
    record: &mut Record,
) -> (http::Request<MeteredBody<DownstreamBody, RequestBytes>>, IpAddr) {
    let limits = &connection.settings().limits;
    // How much may be read is the endpoint's own matter; how slowly is the listener's.
    let deadline = Some(record.deadline(limits.body_idle_timeout));
    let limits = BodyLimits { bytes: None, idle: Some(limits.body_idle_timeout), deadline };
    let peer = forwarded::caller(&request.head.fields, connection.peer.ip(), &connection.settings().trusted_proxies);
    record.called_by(peer);
    let bytes_in = record.bytes_in(&request.body);
    (request.map(|body| MeteredBody::new(body, limits, bytes_in)).into(), peer)
}

/// Answers with a document of the embedded issuer.
fn document(path: &str, snapshot: &Snapshot) -> Result<Answer, Rejection> {
    let document = snapshot.embedded().and_then(|issuer| issuer.document(path)).ok_or(Rejection::NoRoute)?;
    let mut response: Response<Full<Bytes>> = Response::new(Full::new(document.body.clone()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(document.content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(document.cache_control));
    Ok(Answer::Own(response))
}
