//! Owns: the life of a request. Read `exchange` from top to bottom.
//! Refuses: forwarding without a permit; deciding one request by two snapshots.
//! Always holds: every request is answered, logged once and counted once.

use std::{pin::pin, rc::Rc, time::Duration};

use http::{HeaderValue, Method, StatusCode, Uri, Version, header};
use hyper::upgrade::OnUpgrade;
use tokio::time::Instant;

use super::{
    Rejection,
    body::{ManagedBody, RequestBody, RequestBytes, ResponseBody},
    lifeline::Lifeline,
    limit, own,
    permit::permit,
    record::Record,
    respond, upgrade,
    websocket::{self, Bridge},
    worker::{Shared, Worker},
};
use crate::{
    auth::{Permit, WorkerTokenCache, from_authorization},
    http::{
        Arrival, BodyError, BodyLimits, Fields, MeteredBody, NormalPath, Request, RequestHead, Response, grpc_timeout,
        headers::{requested_upgrade, set_request_id, strip_credentials, strip_hop_by_hop_from_request},
        is_grpc,
    },
    server::{ConnectionInfo, DownstreamBody, DownstreamUpgrade, Handler, Protocol, RequestFault},
    snapshot::{Destination, Route, Snapshot},
    telemetry::WorkerMetrics,
    token_endpoint::DropReason,
    upstream::{self, Forwarded},
};

/// The gateway on one worker. Clones are the same gateway.
#[derive(Clone, Debug)]
pub struct Gateway {
    worker: Rc<Worker>,
}

impl Gateway {
    /// The gateway of one worker; to be made on that worker's thread.
    #[must_use]
    pub fn new(shared: Shared, metrics: WorkerMetrics, tokens: WorkerTokenCache) -> Self {
        Self { worker: Rc::new(Worker::new(shared, metrics, tokens)) }
    }
}

impl Handler for Gateway {
    type Body = ResponseBody;

    async fn handle(
        &self,
        request: Request<DownstreamBody>,
        connection: &Rc<ConnectionInfo>,
    ) -> Response<ResponseBody> {
        let mut record = Record::begin(&self.worker, self.worker.snapshot(), connection, &request.head);
        let grpc = speaks_grpc(&request.head);
        let answered = pin!(self.exchange(request, connection, &mut record)).await;
        match answered {
            Ok(answer) => respond::answer(answer, record),
            Err(rejection) => respond::reject(&rejection, grpc, record),
        }
    }

    fn is_whole(body: &ResponseBody) -> bool {
        matches!(body, ResponseBody::Own(_))
    }

    fn configuration_changed(&self) {
        // Asking for the snapshot in force lets go of the one before, of its key sets and of its connections.
        drop(self.worker.snapshot());
    }

    fn overloaded(&self, request: &Request<DownstreamBody>, connection: &Rc<ConnectionInfo>) -> Response<ResponseBody> {
        let record = Record::begin(&self.worker, self.worker.snapshot(), connection, &request.head);
        respond::reject(&Rejection::Overloaded, speaks_grpc(&request.head), record)
    }

    fn put_aside(&self, fault: RequestFault, connection: &Rc<ConnectionInfo>) -> Response<ResponseBody> {
        let record = Record::begin(&self.worker, self.worker.snapshot(), connection, &unread(connection));
        respond::reject(&Rejection::Head(fault), false, record)
    }
}

/// What a request is answered with, before it is dressed for the way out.
pub(super) enum Answer {
    /// What an upstream answered.
    Forwarded(Response<upstream::UpstreamBody<RequestBody>>, BodyLimits),
    /// What the embedded issuer answered.
    Own(http::Response<http_body_util::Full<bytes::Bytes>>),
    /// What the management of a token endpoint answered.
    Managed(http::Response<ManagedBody>),
}

impl Gateway {
    async fn exchange(
        &self,
        request: Request<DownstreamBody>,
        connection: &Rc<ConnectionInfo>,
        record: &mut Record,
    ) -> Result<Answer, Rejection> {
        let snapshot = Rc::clone(record.snapshot());
        let Request { mut head, body } = request;
        let bridge = Bridge::of(&mut head);
        refuse_method(&head.method)?;
        let arrival = connection.arrivals.of(&head)?;
        record.arrived(&arrival);
        let path = NormalPath::parse(head.uri.path())?;
        let matched = snapshot.match_route(arrival.host(), &path, &head.method)?;
        let route = match *matched.value {
            Destination::Route(index) => {
                record.matched(index);
                snapshot.route(index).ok_or(Rejection::NoRoute)?
            }
            // What Postern itself answers with a 2xx is no WebSocket, and would be taken for one.
            Destination::Own(_) if bridge.is_some() => return Err(Rejection::MethodNotForwarded),
            Destination::Own(index) => {
                let own = snapshot.own(index).ok_or(Rejection::NoRoute)?;
                let place = (own, &matched.parameters());
                let request = Request { head, body };
                // Boxed, since few requests come here: else each would carry the room for it.
                return Box::pin(own::answer(&self.worker, place, request, connection, &snapshot, record)).await;
            }
        };
        let timeout = patience(route, &head);
        limit::by_peer(route, &head, connection, record).await?;
        let target = path
            .path_and_query(&head.uri, route.strip_prefix.as_deref())
            .map_err(|_| crate::http::PathError::TooLong)?;
        let (permit, told) = pin!(permit(&self.worker, &snapshot, route, &head, &matched, record)).await?;
        // Nobody asks it any more, and the rest of the exchange need not carry it.
        drop(matched);
        limit::by_principal(route, &permit, record).await?;

        // The rewriting may take it away, and only the answer tells whether it was good.
        let presented = presented_token(&snapshot, route, &permit, &head.fields);
        if let Some(bridge) = &bridge {
            bridge.form(&mut head);
        }
        let deadline = record.deadline(timeout);
        let upgrades = requested_upgrade(&head).is_some();
        let limits = self.rewrite(&mut head.fields, (route, deadline, upgrades), &arrival, connection, record);
        told.add_to(&mut head.fields);
        head.uri = target.into();
        let upgrading = upgrades.then(|| take_upgrade(&mut head, &body)).flatten();
        let hold = websocket::take_hold(&mut head);
        let tied = permit.token().filter(|_| route.terms.end_with_token).map(|token| self.worker.tie(token, &snapshot));
        record.tied(tied.as_ref());
        let body = RequestBody::new(metered(body, limits, record)?, Rc::clone(&snapshot), tied.clone());
        let request = Request { head, body };
        let caller = record.caller();
        let forwarded =
            pin!(upstream::forward(permit, request, &route.terms.upstream, self.worker.pools(), caller, deadline))
                .await;
        let Forwarded { mut response, upgrade, endpoint, timings } = *forwarded.map_err(|error| {
            let endpoint = error.endpoint().cloned();
            let rejection = Rejection::from(error);
            record.not_forwarded(endpoint, &rejection);
            rejection
        })?;
        record.forwarded(&endpoint, timings, response.head.status);
        if response.head.status == StatusCode::UNAUTHORIZED
            && let Some(token) = presented.as_ref().and_then(|field| from_authorization(field.as_bytes()).ok())
        {
            snapshot.reuses.drop_token(token.as_str(), DropReason::UpstreamRefused);
        }
        // What was waited for is not begun with a token that has ended in the meantime.
        if let Some(error) = tied.as_ref().and_then(Lifeline::ended) {
            return Err(error.into());
        }
        if let Some(bridge) = &bridge {
            bridge.answer(&mut response, upgrade.is_some(), &endpoint).map_err(Rejection::from)?;
        }
        if let (Some(upstream), Some(downstream)) = (upgrade, upgrading) {
            let counter = record.token_ended_counter(route);
            upgrade::join_in_background((downstream, hold), upstream, connection, tied, counter);
        }
        let response_limits = BodyLimits { bytes: None, ..limits };
        Ok(Answer::Forwarded(response, response_limits))
    }

    /// Takes out what must not reach the upstream, then puts in what the gateway itself says; gives the body's bounds.
    fn rewrite(
        &self,
        fields: &mut Fields,
        (route, deadline, upgrades): (&Route, Instant, bool),
        arrival: &Arrival,
        connection: &ConnectionInfo,
        record: &mut Record,
    ) -> BodyLimits {
        if !route.terms.identity.keeps_authorization {
            strip_credentials(fields, record.snapshot().issuers.accepts_api_keys());
        }
        strip_hop_by_hop_from_request(fields, upgrades);
        record.snapshot().identity_headers.strip(fields);
        // RFC 9110 section 10.1.1: whoever reads the body answers 100 Continue, and that is the gateway.
        fields.remove(&header::EXPECT);
        let settings = connection.settings();
        record.called_by(arrival.hop().add_to(fields, &settings.trusted_proxies));
        set_request_id(fields, record.request_id());
        let host = arrival.host().header_value();
        if fields.only(&header::HOST) != Some(host.as_bytes()) {
            fields.insert(header::HOST, host.clone());
        }
        BodyLimits {
            bytes: Some(settings.limits.body_bytes),
            idle: Some(settings.limits.body_idle_timeout),
            deadline: Some(deadline),
        }
    }
}

/// gRPC is spoken over HTTP/2 only; anybody else gets the status itself. So does whoever asks for a WebSocket, for whom a refusal
/// within a 200 would be the beginning of one.
fn speaks_grpc(head: &RequestHead) -> bool {
    head.version == Version::HTTP_2 && head.method != Method::CONNECT && is_grpc(&head.fields)
}

/// How long an exchange may take: as long as its route says, but no longer than a gRPC caller waits.
fn patience(route: &Route, head: &RequestHead) -> Duration {
    let is_call = head.version == Version::HTTP_2 && is_grpc(&head.fields);
    let callers = is_call.then(|| grpc_timeout(&head.fields)).flatten();
    callers.map_or(route.terms.timeout, |callers| callers.min(route.terms.timeout))
}

/// Refuses methods that make no sense before an API: one asks for a tunnel, the other for an echo of what should stay secret.
///
/// # Errors
/// [`Rejection::MethodNotForwarded`].
pub fn refuse_method(method: &Method) -> Result<(), Rejection> {
    match *method {
        Method::CONNECT | Method::TRACE => Err(Rejection::MethodNotForwarded),
        _ => Ok(()),
    }
}

/// What stands in the log for a request of which nothing is known.
fn unread(connection: &ConnectionInfo) -> RequestHead {
    RequestHead {
        method: Method::from_bytes(b"-").unwrap_or_default(),
        uri: Uri::from_static("*"),
        version: match connection.protocol {
            Protocol::Http1 => Version::HTTP_11,
            Protocol::Http2 => Version::HTTP_2,
        },
        ..RequestHead::default()
    }
}

/// The field with the token that the upstream is about to judge, if its verdict is of use to anybody.
fn presented_token(snapshot: &Snapshot, route: &Route, permit: &Permit, fields: &Fields) -> Option<HeaderValue> {
    let is_judged = permit.token().is_some() || route.terms.identity.keeps_authorization;
    let is_of_use = snapshot.reuses.follows_upstreams() && is_judged;
    is_of_use.then(|| fields.first_owned(&header::AUTHORIZATION)).flatten()
}

fn take_upgrade(head: &mut RequestHead, body: &DownstreamBody) -> Option<DownstreamUpgrade> {
    let of_stream = || head.extensions.remove::<OnUpgrade>().map(DownstreamUpgrade::of_stream);
    body.upgrade().or_else(of_stream)
}

fn metered(
    body: DownstreamBody,
    limits: BodyLimits,
    record: &mut Record,
) -> Result<MeteredBody<DownstreamBody, RequestBytes>, Rejection> {
    if !limits.allow(&http_body::Body::size_hint(&body)) {
        return Err(BodyError::TooLarge { limit_bytes: limits.bytes.unwrap_or_default() }.into());
    }
    let bytes_in = record.bytes_in(&body);
    Ok(MeteredBody::new(body, limits, bytes_in))
}

impl From<crate::routing::NoMatch> for Rejection {
    fn from(no_match: crate::routing::NoMatch) -> Self {
        match no_match {
            crate::routing::NoMatch::NoRoute => Self::NoRoute,
            crate::routing::NoMatch::MethodNotAllowed { allow } => Self::MethodNotAllowed { allow },
        }
    }
}
