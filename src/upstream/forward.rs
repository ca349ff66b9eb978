//! Owns: the way of one request to an upstream, up to the head of its response: which endpoint, and whether another one.
//! Refuses: a request without a permit; sending again what may have been acted on, but for what [`super::retry`] allows.
//! Always holds: each further try is one that the cause, the request and the budget allow; waiting for room has an end.

use std::{cell::Cell, net::IpAddr, pin::Pin, rc::Rc, sync::Arc, time::Duration};

use http::{HeaderValue, Request, Response};
use rand::Rng;
use tokio::{
    sync::futures::Notified,
    time::{Instant, sleep},
};

use super::{
    Outcome, Upstream,
    attempt::{Attempt, Failure},
    balance::Tried,
    body::UpstreamBody,
    endpoint::Endpoint,
    error::{Fault, ForwardError},
    outgoing::{Outgoing, RequestBody},
    pool::WorkerPools,
    retry::{Cause, Retrying},
    room::Waiting,
    spare::Spare,
    upgrade::{self, UpstreamUpgrade},
};
use crate::auth::Permit;

/// The longest pause before an endpoint is asked again that has just failed the same request.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

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
    /// Until there was a connection; near nothing where one was kept. Tries in vain and waiting for room are included.
    pub connection: Duration,
    /// From then until the head of the response, the sending of the request included.
    pub response_header: Duration,
    /// Whether the connection had been used before.
    pub reused: bool,
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
/// Every [`ForwardError`]. For `Saturated` and `Connect` nothing was sent to anyone, unless an earlier try was.
pub async fn forward<B: RequestBody>(
    permit: Permit,
    request: Request<B>,
    upstream: &Arc<Upstream>,
    pools: &Rc<WorkerPools<B>>,
    caller: IpAddr,
    deadline: Instant,
) -> Result<Forwarded<B>, ForwardError> {
    let began = Instant::now();
    upstream.await_endpoints(deadline).await?;
    let claim = |name: &str| permit.token().and_then(|token| token.claim_text(name));
    let affinity = upstream.balance.affinity(request.headers(), claim, caller);
    let asked = upgrade::asked_protocols(request.headers());
    let policy = upstream.retry.as_ref().filter(|_| asked.is_empty());
    let (request, spare) = match policy {
        Some(policy) => Spare::of(request, policy),
        None => (request.map(Outgoing::new), None),
    };
    let forwarding = Forwarding {
        upstream,
        pools,
        affinity,
        asked,
        spare,
        began,
        deadline,
        tried: Tried::default(),
        attempts: 1,
        may_repeat: false,
        lacks_room: false,
        failure: None,
        retrying: None,
        waiting: Cell::default(),
        room_made: None,
    };
    forwarding.run(request).await
}

/// One request, over all its tries.
struct Forwarding<'a, B: RequestBody> {
    upstream: &'a Arc<Upstream>,
    pools: &'a WorkerPools<B>,
    affinity: Option<u64>,
    asked: Vec<HeaderValue>,
    spare: Option<Spare<B>>,
    began: Instant,
    deadline: Instant,
    tried: Tried,
    attempts: u32,
    /// Whether an endpoint that was tried may be tried again when all were.
    may_repeat: bool,
    /// Whether an endpoint had no room.
    lacks_room: bool,
    failure: Option<ForwardError>,
    retrying: Option<Retrying>,
    waiting: Cell<Option<Waiting<'a>>>,
    room_made: Option<Pin<Box<Notified<'a>>>>,
}

impl<B: RequestBody> Forwarding<'_, B> {
    async fn run(mut self, mut request: Request<Outgoing<B>>) -> Result<Forwarded<B>, ForwardError> {
        loop {
            let Some(endpoint) = self.choose().await else {
                self.wait_for_room().await?;
                continue;
            };
            let attempt = Attempt {
                upstream: self.upstream,
                endpoint: &endpoint,
                pools: self.pools,
                waiting: &self.waiting,
                progress: request.body().progress(),
                asked: &self.asked,
                began: self.began,
                deadline: self.deadline,
            };
            let ended = attempt.run(request).await;
            if let Some(outcome) = outcome(&ended) {
                self.upstream.note(&endpoint, outcome);
            }
            request = match ended {
                Ok(forwarded) => match self.instead_of(&forwarded, endpoint) {
                    Some(request) => request,
                    None => return Ok(forwarded),
                },
                Err(failure) => self.after(failure, endpoint)?,
            };
        }
    }

    /// The endpoint to try next.
    async fn choose(&mut self) -> Option<Arc<Endpoint>> {
        let next = self.upstream.choose(self.affinity, &self.tried);
        if next.is_some() || !self.may_repeat {
            return next;
        }
        self.tried.clear();
        sleep(rand::rng().random_range(Duration::ZERO..LONGEST_PAUSE)).await;
        self.upstream.choose(self.affinity, &self.tried)
    }

    /// The request to try next after a failure.
    fn after(&mut self, failure: Failure<B>, endpoint: Arc<Endpoint>) -> Result<Request<Outgoing<B>>, ForwardError> {
        let (error, cause) = match failure {
            Failure::Final(error) => return Err(error),
            Failure::NotSent(request, error) => {
                // Passing on to the next endpoint for want of room costs nobody anything.
                self.lacks_room |= matches!(error, ForwardError::Saturated { .. });
                if !matches!(error, ForwardError::Saturated { .. }) && !self.may_try_again(Cause::Connect) {
                    return Err(error);
                }
                self.may_repeat = false;
                self.failure = Some(error);
                self.tried.add(endpoint);
                return Ok(*request);
            }
            Failure::Refused(error) => (error, Cause::Connect),
            Failure::Broken(error) => (error, Cause::Reset),
        };
        match self.once_more(cause, endpoint) {
            Some(request) => {
                self.failure = Some(error);
                Ok(request)
            }
            None => Err(error),
        }
    }

    /// The request to try next in place of an answer that is not good enough.
    fn instead_of(&mut self, forwarded: &Forwarded<B>, endpoint: Arc<Endpoint>) -> Option<Request<Outgoing<B>>> {
        let status = forwarded.response.status().as_u16();
        self.once_more(Cause::Status(status), endpoint)
    }

    /// The request that was sent, once more, if it may be.
    fn once_more(&mut self, cause: Cause, endpoint: Arc<Endpoint>) -> Option<Request<Outgoing<B>>> {
        let spare = self.spare.as_ref()?;
        let policy = self.upstream.retry.as_ref()?;
        if !policy.covers(cause) || !(cause == Cause::Connect || spare.is_idempotent()) {
            return None;
        }
        let request = spare.request()?;
        if !self.may_try_again(cause) {
            return None;
        }
        self.may_repeat = true;
        self.tried.add(endpoint);
        Some(request)
    }

    /// Whether there is another try, and notes that there is.
    fn may_try_again(&mut self, cause: Cause) -> bool {
        let Some(policy) = &self.upstream.retry else { return cause == Cause::Connect };
        if !policy.covers(cause) || self.attempts >= policy.attempts {
            return false;
        }
        if self.retrying.is_none() {
            let under_way = self.upstream.requests_under_way();
            self.retrying = self.upstream.retries.spend(policy.budget, under_way);
        }
        if self.retrying.is_none() {
            return false;
        }
        self.attempts = self.attempts.saturating_add(1);
        self.upstream.retries.note(cause);
        true
    }

    /// Waits until an endpoint may have room; fails if that is not what all of them lack, or takes too long.
    async fn wait_for_room(&mut self) -> Result<(), ForwardError> {
        let upstream: &Upstream = self.upstream;
        if !self.lacks_room {
            return Err(self.failure.take().unwrap_or_else(|| upstream.saturated()));
        }
        let mut waiting = self.waiting.take();
        match (&waiting, self.room_made.take()) {
            (Some(waiting), Some(made)) => {
                if !waiting.for_room(made).await {
                    return Err(upstream.saturated());
                }
            }
            _ => {
                let until = self.deadline.min(Instant::now() + upstream.limits.wait_timeout);
                waiting =
                    Some(upstream.room.enter(upstream.limits.max_waiting, until).ok_or_else(|| upstream.saturated())?);
            }
        }
        // Listening before looking again: room that is made in between is not missed.
        self.room_made = waiting.as_ref().map(Waiting::listen);
        self.waiting.set(waiting);
        self.tried.clear();
        self.lacks_room = false;
        Ok(())
    }
}

/// What an attempt says about its endpoint, if anything.
fn outcome<B: RequestBody>(ended: &Result<Forwarded<B>, Failure<B>>) -> Option<Outcome> {
    match ended {
        Ok(forwarded) => Some(Outcome::Answered(forwarded.response.status().as_u16())),
        Err(Failure::Refused(_) | Failure::Broken(_)) => Some(Outcome::Failed),
        Err(Failure::NotSent(_, error) | Failure::Final(error)) => match error {
            // This is said of us.
            ForwardError::Connect { .. } if error.fault() == Fault::Gateway => None,
            ForwardError::Connect { .. }
            | ForwardError::ResponseHeaderTimeout { .. }
            | ForwardError::Reset { .. }
            | ForwardError::Protocol { .. }
            | ForwardError::TransferCoding { .. }
            | ForwardError::UnaskedUpgrade { .. } => Some(Outcome::Failed),
            // These are said of us, of the request, or of how long its whole exchange may take.
            ForwardError::Saturated { .. }
            | ForwardError::Deadline { .. }
            | ForwardError::NotUpgraded { .. }
            | ForwardError::RequestBody(_)
            | ForwardError::NotForwardable(_) => None,
        },
    }
}
