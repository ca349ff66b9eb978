//! Owns: the way of one request to an upstream, up to the head of its response: which endpoint, and whether another one.
//! Refuses: a request without a permit; sending again what may have been acted on, but for what [`super::retry`] allows.
//! Always holds: each further try is one that the cause, the request and the budget allow; waiting for room has an end.

use std::{cell::Cell, net::IpAddr, pin::pin, rc::Rc, sync::Arc, time::Duration};

use http::HeaderValue;
use rand::Rng;
use tokio::time::{Instant, sleep};

use super::{
    Outcome, Upstream,
    attempt::{Attempt, Failure},
    balance::Tried,
    body::UpstreamBody,
    endpoint::Endpoint,
    error::ForwardError,
    outgoing::{Outgoing, RequestBody},
    pool::WorkerPools,
    retry::{Cause, Retrying},
    room::Waiting,
    spare::Spare,
    upgrade::{self, UpstreamUpgrade},
};
use crate::{
    auth::Permit,
    http::{Request, Response},
    in_place,
};

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
pub fn forward<'a, B: RequestBody>(
    permit: Permit,
    request: Request<B>,
    upstream: &'a Arc<Upstream>,
    pools: &'a Rc<WorkerPools<B>>,
    caller: IpAddr,
    deadline: Instant,
) -> impl Future<Output = Result<Box<Forwarded<B>>, ForwardError>> + 'a {
    // What is awaited is copied whenever it is handed on, and so is what it gives: both are boxed, which saves some 800
    // instructions a request.
    let request = in_place::boxed(|| request.map(Outgoing::new));
    forward_boxed(permit, request, upstream, pools, caller, deadline)
}

async fn forward_boxed<B: RequestBody>(
    permit: Permit,
    mut request: Box<Request<Outgoing<B>>>,
    upstream: &Arc<Upstream>,
    pools: &Rc<WorkerPools<B>>,
    caller: IpAddr,
    deadline: Instant,
) -> Result<Box<Forwarded<B>>, ForwardError> {
    let began = Instant::now();
    upstream.await_endpoints(deadline).await?;
    let claim = |name: &str| permit.token().and_then(|token| token.claim_text(name));
    let affinity = upstream.balance.affinity(&request.head.fields, claim, caller);
    let asked = upgrade::asked_protocols(&request.head.fields);
    let policy = upstream.retry.as_ref().filter(|_| asked.is_empty());
    let spare = policy.and_then(|policy| Spare::of(&mut request, policy, upstream.members.may_speak_http2()));
    let mut forwarding = Forwarding {
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
        failure: None,
        answer: None,
        retrying: None,
        waiting: Cell::default(),
    };
    pin!(forwarding.run(request)).await
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
    failure: Option<ForwardError>,
    /// An answer that was not good enough, for want of a better one.
    answer: Option<Box<Forwarded<B>>>,
    retrying: Option<Retrying>,
    waiting: Cell<Option<Waiting<'a>>>,
}

impl<B: RequestBody> Forwarding<'_, B> {
    async fn run(&mut self, mut request: Box<Request<Outgoing<B>>>) -> Result<Box<Forwarded<B>>, ForwardError> {
        // Waiting is boxed wherever it is seldom: else each request would carry the room for it.
        let mut endpoint = match self.upstream.choose(self.affinity, &self.tried) {
            Some(endpoint) => endpoint,
            None => Box::pin(self.find()).await?,
        };
        loop {
            let attempt = Attempt {
                upstream: self.upstream,
                endpoint: &endpoint,
                pools: self.pools,
                waiting: &self.waiting,
                progress: request.body.progress(),
                asked: &self.asked,
                is_first: self.attempts == 1 && self.failure.is_none(),
                began: self.began,
                deadline: self.deadline,
            };
            let ended = pin!(attempt.run(request)).await;
            if let Some(outcome) = outcome(&ended) {
                self.upstream.note(&endpoint, outcome);
            }
            (endpoint, request) = match ended {
                Ok(forwarded) => {
                    // One that another try would make break off is no answer to keep.
                    let is_sent = self.spare.as_ref().is_some_and(Spare::is_sent);
                    let cause = Cause::Status(forwarded.response.head.status.as_u16());
                    if !self.may_repeat_after(cause) {
                        return Ok(forwarded);
                    }
                    let Some(next) = Box::pin(self.once_more(cause, endpoint)).await else { return Ok(forwarded) };
                    if is_sent {
                        self.answer = Some(forwarded);
                    }
                    next
                }
                Err(failure) => match Box::pin(self.after(failure, endpoint)).await {
                    Ok(next) => next,
                    Err(error) => return self.answer.take().ok_or(error),
                },
            };
        }
    }

    /// The endpoint to try next, as soon as there is one.
    async fn find(&mut self) -> Result<Arc<Endpoint>, ForwardError> {
        loop {
            if let Some(endpoint) = self.choose().await {
                return Ok(endpoint);
            }
            self.wait_for_room().await?;
        }
    }

    async fn choose(&mut self) -> Option<Arc<Endpoint>> {
        let next = self.upstream.choose(self.affinity, &self.tried);
        if next.is_some() || !self.may_repeat {
            return next;
        }
        self.tried.clear();
        sleep(rand::rng().random_range(Duration::ZERO..LONGEST_PAUSE)).await;
        self.upstream.choose(self.affinity, &self.tried)
    }

    /// Where to try next after a failure, and with which request.
    async fn after(
        &mut self,
        failure: Failure<B>,
        endpoint: Arc<Endpoint>,
    ) -> Result<(Arc<Endpoint>, Box<Request<Outgoing<B>>>), ForwardError> {
        let (error, cause) = match failure {
            Failure::Final(error) => return Err(error),
            // Passing on to the next endpoint for want of room costs nobody anything.
            Failure::NotSent(request, error @ ForwardError::Saturated { .. }) => {
                self.tried.add_full(endpoint);
                self.may_repeat = false;
                self.failure = Some(error);
                return Ok((self.find().await?, request));
            }
            Failure::NotSent(request, error) => {
                if !self.may_try_again(Cause::Connect) {
                    return Err(error);
                }
                self.tried.add(endpoint);
                self.may_repeat = false;
                self.failure = Some(error);
                let next = self.find().await?;
                let again = self.begin_again(Cause::Connect).then_some((next, request));
                return again.ok_or_else(|| self.failure());
            }
            Failure::Refused(error) => (error, Cause::Connect),
            Failure::Broken(error) => (error, Cause::Reset),
        };
        self.once_more(cause, endpoint).await.ok_or(error)
    }

    /// Where to try once more what was sent, if it may be, and with which request.
    async fn once_more(
        &mut self,
        cause: Cause,
        endpoint: Arc<Endpoint>,
    ) -> Option<(Arc<Endpoint>, Box<Request<Outgoing<B>>>)> {
        if !self.may_repeat_after(cause) {
            return None;
        }
        self.may_repeat = true;
        self.tried.add(endpoint);
        let next = self.choose().await?;
        // It may have gone on being sent while there was a pause.
        if !self.spare.as_ref()?.is_whole() || !self.begin_again(cause) {
            return None;
        }
        Some((next, Box::new(self.spare.as_ref()?.request()?)))
    }

    /// Whether what was sent may be sent once more.
    fn may_repeat_after(&self, cause: Cause) -> bool {
        let is_harmless = |spare: &Spare<B>| cause == Cause::Connect || spare.is_idempotent();
        let may_be = self.spare.as_ref().is_some_and(|spare| is_harmless(spare) && spare.is_whole());
        may_be && self.may_try_again(cause)
    }

    /// Whether there may be another try.
    fn may_try_again(&self, cause: Cause) -> bool {
        match &self.upstream.retry {
            None => cause == Cause::Connect,
            Some(policy) => policy.covers(cause) && self.attempts < policy.attempts,
        }
    }

    /// Begins another try, of which is known where; `false` if the budget is spent.
    fn begin_again(&mut self, cause: Cause) -> bool {
        let Some(policy) = &self.upstream.retry else { return true };
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

    /// Why the last try came to nothing.
    fn failure(&mut self) -> ForwardError {
        self.failure.take().unwrap_or_else(|| self.upstream.saturated())
    }

    /// Waits until an endpoint may have room; fails if that is not what is lacking, or takes too long. Whoever has an answer that will do
    /// does not wait for another.
    async fn wait_for_room(&mut self) -> Result<(), ForwardError> {
        let upstream: &Upstream = self.upstream;
        if !self.tried.any_full() || self.answer.is_some() {
            return Err(self.failure());
        }
        let waiting = match self.waiting.take() {
            Some(mut waiting) => waiting.for_room().await.then_some(waiting),
            None => {
                let until = self.deadline.min(Instant::now() + upstream.limits.wait_timeout);
                upstream.room.enter(upstream.limits.max_waiting, until)
            }
        };
        self.waiting.set(Some(waiting.ok_or_else(|| upstream.saturated())?));
        self.tried.clear_full();
        Ok(())
    }
}

/// What an attempt says about its endpoint, if anything.
fn outcome<B: RequestBody>(ended: &Result<Box<Forwarded<B>>, Failure<B>>) -> Option<Outcome> {
    match ended {
        Ok(forwarded) => Some(Outcome::Answered(forwarded.response.head.status.as_u16())),
        // It did what the protocol has for one that is busy or about to go, and nothing else.
        Err(Failure::Refused(_)) => None,
        Err(Failure::Broken(_)) => Some(Outcome::Failed),
        Err(Failure::NotSent(_, error) | Failure::Final(error)) => match error {
            // This is said of us.
            ForwardError::Connect { source, .. } if source.is_ours() => None,
            ForwardError::Connect { .. }
            | ForwardError::ResponseHeaderTimeout { .. }
            | ForwardError::Reset { .. }
            | ForwardError::Protocol { .. }
            | ForwardError::TransferCoding { .. }
            | ForwardError::RepeatedLength { .. }
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
