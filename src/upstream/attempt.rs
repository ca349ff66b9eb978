//! Owns: one try of a request at one endpoint, up to the head of its response.
//! Refuses: sending again what may have been sent. Whether there is another try is decided in [`super::forward`].
//! Always holds: another connection to the same endpoint is tried only while nothing was sent.

use std::{cell::Cell, future::poll_fn, pin::pin, rc::Rc, sync::Arc, task::Poll};

use http::{HeaderValue, header::CONTENT_LENGTH};
use tokio::time::{Instant, timeout_at};

use super::{
    Limits, Upstream,
    body::{Exchange, UpstreamBody},
    connect::ConnectError,
    endpoint::{Endpoint, UnderWay},
    error::{ExchangeError, ForwardError},
    forward::{Forwarded, Timings},
    framing::Framing,
    lease::{Answer, Lease, SendFailure},
    outgoing::{Outgoing, Progress, RequestBody},
    pool::{AcquireError, EndpointPool, WorkerPools},
    request,
    retry::is_refused,
    room::Waiting,
    upgrade::{self, UpstreamUpgrade},
};
use crate::{
    http::{BodyError, Request},
    in_place,
};

/// How many kept connections may turn out to be closed before an endpoint is given up for this request.
const MOST_STALE: usize = 3;

/// One try.
pub(super) struct Attempt<'a, 'room, B: RequestBody> {
    pub(super) upstream: &'a Upstream,
    pub(super) endpoint: &'a Arc<Endpoint>,
    pub(super) pools: &'a WorkerPools<B>,
    /// Given up as soon as there is room.
    pub(super) waiting: &'a Cell<Option<Waiting<'room>>>,
    pub(super) progress: Option<Rc<Progress>>,
    pub(super) asked: &'a [HeaderValue],
    /// Whether nothing was tried before.
    pub(super) is_first: bool,
    pub(super) began: Instant,
    pub(super) deadline: Instant,
}

/// Why an endpoint gave no response.
pub(super) enum Failure<B: RequestBody> {
    /// Nothing was sent: here is the request again.
    NotSent(Box<Request<Outgoing<B>>>, ForwardError),
    /// It was sent, and the endpoint says that it did nothing with it.
    Refused(ForwardError),
    /// It was sent, and the connection or stream ended before the response began.
    Broken(ForwardError),
    /// That is the end of it.
    Final(ForwardError),
}

/// Why a connection gave no response.
enum Unanswered<B: RequestBody> {
    /// It was closed before anything was sent: here is the request again.
    Unsent(Box<Request<Outgoing<B>>>, ExchangeError),
    /// It failed.
    Failed(ForwardError),
}

impl<B: RequestBody> Attempt<'_, '_, B> {
    /// Tries the endpoint.
    pub(super) async fn run(&self, mut request: Box<Request<Outgoing<B>>>) -> Result<Box<Forwarded<B>>, Failure<B>> {
        let endpoint = self.endpoint;
        let Some(mut under_way) = endpoint.begin_request(self.upstream.limits.max_requests) else {
            return Err(Failure::NotSent(request, self.upstream.saturated()));
        };
        // Whoever comes too late takes no connection: it would have to be given up for what it did not do.
        if self.deadline <= self.began {
            return Err(Failure::Final(ForwardError::Deadline { endpoint: Arc::clone(endpoint.label()) }));
        }
        let pool = self.pools.of(endpoint);
        let mut stale = 0;
        loop {
            let kept = pool.take(&self.limits(), stale > 0);
            let mut is_at_once = kept.is_some() && self.is_first && stale == 0;
            let acquired = match kept {
                Some(lease) => Ok(lease),
                // Boxed, since few requests need it: else each would carry the room for a handshake.
                None => Box::pin(self.acquire(&pool, stale > 0)).await,
            };
            let mut lease = match acquired {
                Ok(lease) => lease,
                Err(error @ ForwardError::Deadline { .. }) => return Err(Failure::Final(error)),
                Err(error) => return Err(Failure::NotSent(request, error)),
            };
            under_way.note_connection();
            // There is room: whoever waits behind may move up.
            if let Some(waiting) = self.waiting.take() {
                waiting.end();
                is_at_once = false;
            }
            request::form(&mut request, lease.protocol(), endpoint).map_err(Failure::Final)?;
            // A look at the clock is a hundredth of what a request costs.
            let connected = if is_at_once { self.began } else { Instant::now() };
            let sent = pin!(self.send(&mut lease, request, connected)).await;
            let (unsent, error) = match sent {
                Ok(answer) => {
                    let timings = Timings {
                        connection: connected.duration_since(self.began),
                        response_header: connected.elapsed(),
                        reused: !lease.is_fresh(),
                    };
                    return self.receive(answer, lease, under_way, timings).map_err(Failure::Final);
                }
                Err(Unanswered::Failed(error)) => {
                    if let ForwardError::ResponseHeaderTimeout { .. } | ForwardError::Deadline { .. } = error {
                        lease.give_up();
                    }
                    return Err(Failure::from(error));
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
            request = unsent;
        }
    }

    /// A connection that is not at hand.
    async fn acquire(&self, pool: &Rc<EndpointPool<B>>, fresh: bool) -> Result<Lease<B>, ForwardError> {
        let endpoint = self.endpoint;
        let waiting = self.waiting.take();
        let patient_until = waiting.as_ref().map_or(self.deadline, Waiting::until);
        self.waiting.set(waiting);
        match timeout_at(patient_until, pool.acquire(&self.limits(), fresh)).await {
            Ok(Ok(lease)) => Ok(lease),
            Ok(Err(AcquireError::Saturated)) => Err(self.upstream.saturated()),
            Ok(Err(AcquireError::Connect(source))) => {
                Err(ForwardError::Connect { endpoint: Arc::clone(endpoint.label()), source })
            }
            Err(_elapsed) if patient_until < self.deadline => Err(self.upstream.saturated()),
            Err(_elapsed) => Err(ForwardError::Deadline { endpoint: Arc::clone(endpoint.label()) }),
        }
    }

    /// Sends the request and waits for the head of the response; gives the request back if it was not sent.
    async fn send(
        &self,
        lease: &mut Lease<B>,
        request: Box<Request<Outgoing<B>>>,
        connected: Instant,
    ) -> Result<Answer, Unanswered<B>> {
        let patience = self.limits().response_header_timeout;
        let label = || Arc::clone(self.endpoint.label());
        let mut response = pin!(lease.send(request));
        let mut wait = self.pools.patience().until(self.deadline.min(connected + patience));
        loop {
            let sent = poll_fn(|context| match response.as_mut().poll(context) {
                Poll::Ready(sent) => Poll::Ready(Some(sent)),
                Poll::Pending => wait.poll_over(context).map(|()| None),
            });
            if let Some(sent) = sent.await {
                return sent.map_err(|failure| match failure {
                    SendFailure::Unsent(request, error) => Unanswered::Unsent(request, error),
                    SendFailure::Sent(error) => Unanswered::Failed(self.judge(error, label())),
                });
            }
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
            wait.extend(self.deadline.min(patient_until));
        }
    }

    /// Who was being waited for when the time was over. A body still to come has the same deadline, and mostly notices it first: this
    /// one may be noticed a little late.
    fn late(&self, endpoint: Arc<str>) -> ForwardError {
        if self.progress.as_ref().is_some_and(|body| body.awaits_downstream()) {
            return ForwardError::RequestBody(Box::new(BodyError::DeadlinePassed));
        }
        ForwardError::Deadline { endpoint }
    }

    /// Whose failure it was.
    fn judge(&self, source: ExchangeError, endpoint: Arc<str>) -> ForwardError {
        if let Some(cause) = self.progress.as_ref().and_then(|body| body.take_failure()) {
            return ForwardError::RequestBody(cause);
        }
        if source.is_protocol() {
            return ForwardError::Protocol { endpoint, source };
        }
        ForwardError::Reset { endpoint, source }
    }

    fn receive(
        &self,
        answer: Answer,
        lease: Lease<B>,
        under_way: UnderWay,
        timings: Timings,
    ) -> Result<Box<Forwarded<B>>, ForwardError> {
        let endpoint = Arc::clone(self.endpoint.label());
        let Answer { mut response, framing, is_switch } = answer;
        if is_switch {
            let switched = lease.into_switched().filter(|_| upgrade::is_asked(self.asked, &response.head.fields));
            let Some((stream, ahead)) = switched else { return Err(ForwardError::UnaskedUpgrade { endpoint }) };
            let upgraded = UpstreamUpgrade::new(stream, ahead, under_way);
            let response = response.map(|_| UpstreamBody::detached());
            return Ok(Box::new(Forwarded { response, upgrade: Some(upgraded), endpoint, timings }));
        }
        let reusable = match framing {
            Framing::Clear => true,
            Framing::Twice => {
                response.head.fields.remove(&CONTENT_LENGTH);
                false
            }
            Framing::Coded => return Err(ForwardError::TransferCoding { endpoint }),
            Framing::Repeated => return Err(ForwardError::RepeatedLength { endpoint }),
        };
        let response = response.map(|body| UpstreamBody::new(body, Exchange { lease, reusable, under_way }));
        Ok(in_place::boxed(|| Forwarded { response, upgrade: None, endpoint, timings }))
    }

    const fn limits(&self) -> Limits {
        self.upstream.limits
    }
}

impl<B: RequestBody> From<ForwardError> for Failure<B> {
    fn from(error: ForwardError) -> Self {
        match error {
            ForwardError::Reset { ref source, .. } if is_refused(source) => Self::Refused(error),
            ForwardError::Reset { .. } => Self::Broken(error),
            other => Self::Final(other),
        }
    }
}
