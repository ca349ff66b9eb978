//! Owns: the way of one request to an upstream, up to the head of its response.
//! Refuses: a request without a permit; sending again what may have been sent.
//! Always holds: another endpoint or another connection is tried only while nothing was sent.

use std::{net::IpAddr, rc::Rc, sync::Arc, time::Duration};

use http::{
    HeaderMap, HeaderValue, Request, Response,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
};
use hyper::{body::Incoming, upgrade::OnUpgrade};
use tokio::{
    pin, select,
    time::{Instant, sleep_until, timeout_at},
};

use super::{
    Limits, Upstream,
    balance::Tried,
    body::{Exchange, UpstreamBody},
    connect::ConnectError,
    endpoint::{Endpoint, UnderWay},
    error::ForwardError,
    lease::{Lease, SendFailure},
    outgoing::{Outgoing, Progress, RequestBody},
    pool::{AcquireError, EndpointPool, WorkerPools},
    request,
    upgrade::{self, UpstreamUpgrade},
};
use crate::{auth::Permit, http::BodyError};

/// How many kept connections may turn out to be closed before an endpoint is given up for this request.
const MOST_STALE: usize = 3;

/// A response that has begun.
#[derive(Debug)]
pub struct Forwarded<B: RequestBody> {
    /// The response. Its hop-by-hop headers are still there; of a length and a chunked encoding together only the latter is (RFC
    /// 9112 section 6.3).
    pub response: Response<UpstreamBody<B>>,
    /// The upgraded connection, if the upstream agreed to the upgrade that it was asked for; see [`upgrade::join`].
    pub upgrade: Option<UpstreamUpgrade>,
    /// The endpoint that answered.
    pub endpoint: Arc<str>,
    /// Where the time went.
    pub timings: Timings,
}

/// Where the time of a forwarded request went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timings {
    /// Until there was a connection; near nothing where one was kept. Endpoints tried in vain are included.
    pub connection: Duration,
    /// From then until the head of the response, the sending of the request included.
    pub response_header: Duration,
    /// Whether the connection had been used before.
    pub reused: bool,
}

/// What stays the same over all endpoints tried for one request.
struct Attempt<'a, B: RequestBody> {
    upstream: &'a Upstream,
    pools: &'a WorkerPools<B>,
    progress: Option<Rc<Progress>>,
    asked: Vec<HeaderValue>,
    began: Instant,
    deadline: Instant,
}

/// Why an endpoint gave no response.
enum Failure<B: RequestBody> {
    /// Nothing was sent: the next endpoint may have the request.
    NotSent(Box<Request<Outgoing<B>>>, ForwardError),
    /// That is the end of it.
    Final(ForwardError),
}

/// Why a connection gave no response.
enum Unanswered<B: RequestBody> {
    /// It was closed before anything was sent: here is the request again.
    Unsent(Box<Request<Outgoing<B>>>, hyper::Error),
    /// It failed.
    Failed(ForwardError),
}

/// Forwards `request` to an endpoint of `upstream` and waits for the head of the response.
///
/// The request's path, method and headers are sent as they are, but for what the protocol itself needs: HTTP/1.1 gets the
/// origin form and keeps the `Host` header that the caller decided on; HTTP/2 gets that host as `:authority` instead. A request with no
/// `Host` is sent with the authority of its URI, or else the endpoint's.
///
/// `caller` is the address that [`hash = "peer"`](crate::config::HashConfig::Peer) goes by.
///
/// `deadline` bounds everything up to the head of the response; bounding the bodies is the caller's part.
///
/// Must run where `tokio::task::spawn_local` can be called. Dropping the future gives the request up.
///
/// # Errors
/// Every [`ForwardError`]. For `Saturated` and `Connect` nothing was sent to anyone.
pub async fn forward<B: RequestBody>(
    permit: Permit,
    request: Request<B>,
    upstream: &Arc<Upstream>,
    pools: &Rc<WorkerPools<B>>,
    caller: IpAddr,
    deadline: Instant,
) -> Result<Forwarded<B>, ForwardError> {
    upstream.await_endpoints(deadline).await?;
    let claim = |name: &str| permit.token().and_then(|token| token.claim_text(name));
    let affinity = upstream.balance.affinity(request.headers(), claim, caller);
    let (parts, body) = request.into_parts();
    let (body, progress) = Outgoing::new(body);
    let asked = upgrade::asked_protocols(&parts.headers);
    let attempt = Attempt { upstream, pools, progress, asked, began: Instant::now(), deadline };
    let mut request = Request::from_parts(parts, body);
    let mut tried = Tried::default();
    let mut failure = None;
    while let Some(endpoint) = upstream.choose(affinity, &tried) {
        match attempt.at(&endpoint, request).await {
            Ok(forwarded) => return Ok(forwarded),
            Err(Failure::Final(error)) => return Err(error),
            Err(Failure::NotSent(unsent, error)) => {
                request = *unsent;
                failure = Some(error);
                tried.add(endpoint);
            }
        }
    }
    Err(failure.unwrap_or_else(|| ForwardError::Saturated { upstream: Arc::clone(&upstream.name) }))
}

impl<B: RequestBody> Attempt<'_, B> {
    /// Tries one endpoint.
    async fn at(
        &self,
        endpoint: &Arc<Endpoint>,
        mut request: Request<Outgoing<B>>,
    ) -> Result<Forwarded<B>, Failure<B>> {
        let under_way = endpoint.begin_request();
        let pool = self.pools.of(endpoint);
        let mut stale = 0;
        loop {
            let mut lease = match self.acquire(&pool, endpoint, stale > 0).await {
                Ok(lease) => lease,
                Err(error @ ForwardError::Deadline { .. }) => return Err(Failure::Final(error)),
                Err(error) => return Err(Failure::NotSent(Box::new(request), error)),
            };
            request::form(&mut request, lease.protocol(), endpoint).map_err(Failure::Final)?;
            let connected = Instant::now();
            let (unsent, error) = match self.send(&mut lease, endpoint, request, connected).await {
                Ok(response) => {
                    let timings = Timings {
                        connection: connected.duration_since(self.began),
                        response_header: connected.elapsed(),
                        reused: !lease.is_fresh(),
                    };
                    return self.receive(response, lease, under_way, timings, endpoint).map_err(Failure::Final);
                }
                Err(Unanswered::Failed(error)) => {
                    if let ForwardError::ResponseHeaderTimeout { .. } | ForwardError::Deadline { .. } = error {
                        lease.give_up();
                    }
                    return Err(Failure::Final(error));
                }
                Err(Unanswered::Unsent(unsent, error)) => (unsent, error),
            };
            if lease.is_fresh() || stale >= MOST_STALE {
                endpoint.note_connect_failure();
                let source = Arc::new(ConnectError::Lost(error));
                let error = ForwardError::Connect { endpoint: Arc::clone(endpoint.label()), source };
                return Err(Failure::NotSent(unsent, error));
            }
            endpoint.note_stale_connection();
            stale += 1;
            request = *unsent;
        }
    }

    async fn acquire(
        &self,
        pool: &Rc<EndpointPool<B>>,
        endpoint: &Endpoint,
        fresh: bool,
    ) -> Result<Lease<B>, ForwardError> {
        if let Some(lease) = pool.take(&self.limits(), fresh) {
            return Ok(lease);
        }
        match timeout_at(self.deadline, pool.acquire(&self.limits(), fresh)).await {
            Ok(Ok(lease)) => Ok(lease),
            Ok(Err(AcquireError::Saturated)) => {
                Err(ForwardError::Saturated { upstream: Arc::clone(&self.upstream.name) })
            }
            Ok(Err(AcquireError::Connect(source))) => {
                Err(ForwardError::Connect { endpoint: Arc::clone(endpoint.label()), source })
            }
            Err(_elapsed) => Err(ForwardError::Deadline { endpoint: Arc::clone(endpoint.label()) }),
        }
    }

    /// Sends the request and waits for the head of the response; gives the request back if it was not sent.
    async fn send(
        &self,
        lease: &mut Lease<B>,
        endpoint: &Endpoint,
        request: Request<Outgoing<B>>,
        connected: Instant,
    ) -> Result<Response<Incoming>, Unanswered<B>> {
        let patience = self.limits().response_header_timeout;
        let label = || Arc::clone(endpoint.label());
        let response = lease.send(request);
        let timer = sleep_until(self.deadline.min(connected + patience));
        pin!(response, timer);
        loop {
            select! {
                biased;
                sent = &mut response => return sent.map_err(|failure| match failure {
                    SendFailure::Unsent(request, error) => Unanswered::Unsent(request, error),
                    SendFailure::Sent(error) => Unanswered::Failed(self.judge(error, label())),
                }),
                () = &mut timer => {
                    let now = Instant::now();
                    if now >= self.deadline {
                        return Err(Unanswered::Failed(self.late(label())));
                    }
                    // While the request's body is on its way, it is not the upstream's turn to speak.
                    let silent_since = self.progress.as_ref().map_or(connected, |body| body.silent_since(now));
                    let patient_until = silent_since.max(connected) + patience;
                    if now >= patient_until {
                        return Err(Unanswered::Failed(ForwardError::ResponseHeaderTimeout { endpoint: label() }));
                    }
                    timer.as_mut().reset(self.deadline.min(patient_until));
                }
            }
        }
    }

    /// Who was being waited for when the time was over. A body still to come has the same deadline, and which of the two
    /// timers fires first is chance.
    fn late(&self, endpoint: Arc<str>) -> ForwardError {
        if self.progress.as_ref().is_some_and(|body| body.awaits_downstream()) {
            return ForwardError::RequestBody(Box::new(BodyError::DeadlinePassed));
        }
        ForwardError::Deadline { endpoint }
    }

    /// Whose failure it was.
    fn judge(&self, source: hyper::Error, endpoint: Arc<str>) -> ForwardError {
        if let Some(cause) = self.progress.as_ref().and_then(|body| body.take_failure()) {
            return ForwardError::RequestBody(cause);
        }
        if source.is_parse() {
            return ForwardError::Protocol { endpoint, source };
        }
        ForwardError::Reset { endpoint, source }
    }

    fn receive(
        &self,
        mut response: Response<Incoming>,
        lease: Lease<B>,
        under_way: UnderWay,
        timings: Timings,
        endpoint: &Endpoint,
    ) -> Result<Forwarded<B>, ForwardError> {
        let endpoint = Arc::clone(endpoint.label());
        // hyper puts this in when the upstream switched protocols, and only then.
        if response.extensions().get::<OnUpgrade>().is_some() {
            if !upgrade::is_asked(&self.asked, response.headers()) {
                return Err(ForwardError::UnaskedUpgrade { endpoint });
            }
            let upgraded = UpstreamUpgrade::new(hyper::upgrade::on(&mut response), under_way);
            let response = response.map(UpstreamBody::detached);
            return Ok(Forwarded { response, upgrade: Some(upgraded), endpoint, timings });
        }
        let reusable = !is_framed_twice(response.headers());
        if !reusable {
            response.headers_mut().remove(CONTENT_LENGTH);
        }
        let response = response.map(|body| UpstreamBody::new(body, Exchange { lease, reusable, under_way }));
        Ok(Forwarded { response, upgrade: None, endpoint, timings })
    }

    const fn limits(&self) -> Limits {
        self.upstream.limits
    }
}

/// Whether a response says its length in two ways, as one does who wants two readers to disagree (RFC 9112 section 6.3).
fn is_framed_twice(headers: &HeaderMap) -> bool {
    headers.contains_key(TRANSFER_ENCODING) && headers.contains_key(CONTENT_LENGTH)
}
