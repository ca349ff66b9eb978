//! Owns: what is remembered of a request for its log line and its counts.
//! Refuses: a request that leaves no trace: the line is written when this is dropped, however the exchange ended.
//! Always holds: one line and one count for each request; nothing in it comes from an unverified token.

use std::{net::IpAddr, rc::Rc, sync::Arc, time::Duration};

use http::{Method, StatusCode, Uri, Version};
use http_body::Body;
use tokio::time::Instant;

use super::{
    Rejection,
    body::RequestBytes,
    lifeline::Lifeline,
    problems::Problems,
    rejection::Fault,
    worker::{InForce, Worker},
};
use crate::{
    auth::VerifiedToken,
    clock::UnixTime,
    http::{Arrival, BodyEnd, BodyOutcome, RequestHead, headers},
    id::{RequestId, TokenId},
    in_place,
    limit::Taken,
    server::ConnectionInfo,
    snapshot::{Route, RouteIndex},
    telemetry::{
        AccessEntry, Decision, DecisionMode, DecisionResult, RouteCounters, RouteMetrics, TokenEntry,
        access_log::Seconds,
        metrics::{Exchange, FinishedRequest, UnderWay},
    },
    upstream::Timings,
};

/// One request, from its head to the end of its answer.
///
/// Whole cache lines, as its fields alone would be of a size that is not at hand ([`in_place`]).
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Record {
    worker: Rc<Worker>,
    snapshot: Rc<InForce>,
    connection: Rc<ConnectionInfo>,
    _under_way: UnderWay,
    began: Instant,
    time: UnixTime,
    request_id: RequestId,
    version: Version,
    caller: IpAddr,
    route: Option<RouteIndex>,
    own_counters: Option<RouteCounters>,
    /// How the limit stands that it was counted by.
    limit: Option<Taken>,
    reason: Option<&'static str>,
    /// Whether nobody could say what its token is worth.
    is_unjudged: bool,
    /// What ends the exchange with its token.
    tie: Option<Lifeline>,
    status: Option<StatusCode>,
    bytes_in: RequestBytes,
    bytes_out: u64,
    /// There if there was a log to tell of the request when it came.
    logged: Option<Box<Logged>>,
}

/// What only the log tells.
#[derive(Debug)]
struct Logged {
    method: Method,
    uri: Uri,
    arrival: Option<Rc<Arrival>>,
    token: Option<Arc<VerifiedToken>>,
    /// The client that asked the embedded issuer for a token, once it had proven itself.
    issued_to: Option<Arc<str>>,
    would_refuse: Option<&'static str>,
    auth_duration: Option<Duration>,
    endpoint: Option<Arc<str>>,
    timings: Option<Timings>,
}

impl Record {
    /// Begins with a request's head.
    pub(super) fn begin(
        worker: &Rc<Worker>,
        snapshot: Rc<InForce>,
        connection: &Rc<ConnectionInfo>,
        request: &RequestHead,
    ) -> Box<Self> {
        let time = worker.clock().now();
        in_place::boxed(|| Self {
            worker: Rc::clone(worker),
            snapshot,
            connection: Rc::clone(connection),
            _under_way: UnderWay::begin(worker.metrics()),
            began: Instant::now(),
            time,
            request_id: headers::request_id(&request.fields, time),
            version: request.version,
            caller: connection.peer.ip(),
            route: None,
            own_counters: None,
            limit: None,
            reason: None,
            is_unjudged: false,
            tie: None,
            status: None,
            bytes_in: RequestBytes::default(),
            bytes_out: 0,
            logged: worker.access_log().is_on().then(|| in_place::boxed(|| Logged::of(request))),
        })
    }

    pub(super) const fn snapshot(&self) -> &Rc<InForce> {
        &self.snapshot
    }

    /// How refusals are told.
    pub(super) fn problems(&self) -> &Problems {
        self.worker.problems()
    }

    pub(super) const fn request_id(&self) -> &RequestId {
        &self.request_id
    }

    pub(super) const fn version(&self) -> Version {
        self.version
    }

    /// When the request's head had arrived, by the wall clock.
    pub(super) const fn time(&self) -> UnixTime {
        self.time
    }

    /// When the whole exchange must be over.
    pub(super) fn deadline(&self, timeout: Duration) -> Instant {
        self.began + timeout
    }

    /// Where the length of the request's body, which is `body`, is to be noted.
    pub(super) fn bytes_in(&mut self, body: &impl Body) -> RequestBytes {
        if !body.is_end_stream() {
            self.bytes_in = RequestBytes::of_body();
        }
        self.bytes_in.clone()
    }

    /// Notes which host is asked for.
    pub(super) fn arrived(&mut self, arrival: &Rc<Arrival>) {
        self.for_log(|logged| logged.arrival = Some(Rc::clone(arrival)));
    }

    /// Notes whose request it is, by what trusted proxies say.
    pub(super) const fn called_by(&mut self, caller: IpAddr) {
        self.caller = caller;
    }

    /// Whose request it is; the address that connected, as long as nothing else was noted.
    pub(super) const fn caller(&self) -> IpAddr {
        self.caller
    }

    pub(super) fn matched(&mut self, route: RouteIndex) {
        self.route = Some(route);
        if let Some(counters) = self.route_counters() {
            counters.fetch();
        }
    }

    /// Whether its issuer could not say what its token is worth, so that nobody knows whose request it is.
    pub(super) const fn is_unjudged(&self) -> bool {
        self.is_unjudged
    }

    /// Notes that it was counted by its route's limit.
    pub(super) const fn limited(&mut self, taken: Taken) {
        self.limit = Some(taken);
    }

    /// How that limit stands, if there is one.
    pub(super) const fn limit(&self) -> Option<Taken> {
        self.limit
    }

    /// Notes that the embedded issuer answers, and where that is counted.
    pub(super) fn matched_own(&mut self, metrics: &RouteMetrics) {
        self.own_counters = Some(metrics.of(self.worker.metrics()));
    }

    pub(super) fn issued(&mut self, client_id: Option<&Arc<str>>, reason: Option<&'static str>) {
        self.for_log(|logged| logged.issued_to = client_id.cloned());
        self.reason = reason;
        if let Some(reason) = reason {
            self.counters().rejected(reason);
        }
    }

    /// Notes who managed the embedded issuer's tokens, and why it was refused, if so.
    pub(super) fn managed(&mut self, token: Option<&Arc<VerifiedToken>>, reason: Option<&'static str>) {
        self.decided_about(token);
        self.reason = reason;
        if let Some(reason) = reason {
            self.counters().rejected(reason);
        }
    }

    /// Notes what was decided about a token on a route that asks for one.
    pub(super) fn decided(&mut self, token: Option<&Arc<VerifiedToken>>, refusal: Option<&Rejection>, report: bool) {
        self.decided_about(token);
        self.is_unjudged = refusal.is_some_and(|refusal| refusal.fault() == Fault::Issuer);
        if report {
            self.for_log(|logged| logged.would_refuse = refusal.map(Rejection::reason));
        }
        let Some(counters) = self.route_counters() else { return };
        let decision = Decision {
            issuer: token.map(|token| &**token.issuer()),
            result: if refusal.is_none() { DecisionResult::Allowed } else { DecisionResult::Refused },
            reason: refusal.map_or("authorized", Rejection::reason),
            mode: if report { DecisionMode::Report } else { DecisionMode::Enforce },
        };
        counters.decided(self.worker.metrics(), decision);
    }

    /// Notes what ends the exchange with its token.
    pub(super) fn tied(&mut self, tie: Option<&Lifeline>) {
        self.tie = tie.cloned();
    }

    /// What ends the exchange with its token, if anything does.
    pub(super) const fn tie(&self) -> Option<&Lifeline> {
        self.tie.as_ref()
    }

    /// What counts an upgraded connection that was cut with its token, after the record of its beginning.
    pub(super) fn token_ended_counter(&self, route: &Route) -> impl FnOnce() + 'static {
        // The series themselves, so that they go on until then.
        let (worker, series) = (Rc::clone(&self.worker), route.metrics().clone());
        move || series.of(worker.metrics()).token_ended()
    }

    /// Notes that the upstream answered.
    pub(super) fn forwarded(&mut self, endpoint: &Arc<str>, timings: Timings, status: StatusCode) {
        self.for_log(|logged| (logged.endpoint, logged.timings) = (Some(Arc::clone(endpoint)), Some(timings)));
        let Some(route) = self.matched_route() else { return };
        let exchange = Exchange {
            status: Some(status.as_u16()),
            failure: None,
            connect: (!timings.reused).then_some(timings.connection),
            header: Some(timings.response_header),
        };
        route.terms.upstream_metrics.exchanged(self.worker.metrics(), &exchange);
    }

    /// Notes that it did not.
    pub(super) fn not_forwarded(&mut self, endpoint: Option<Arc<str>>, rejection: &Rejection) {
        self.for_log(|logged| logged.endpoint = endpoint);
        // What the caller did, or what became of its token, is no failure of the upstream.
        let Rejection::Forward(_) = rejection else { return };
        let Some(route) = self.matched_route() else { return };
        let exchange = Exchange { status: None, failure: Some(rejection.reason()), connect: None, header: None };
        route.terms.upstream_metrics.exchanged(self.worker.metrics(), &exchange);
    }

    /// Notes that the gateway itself answers, and why.
    pub(super) fn rejected(&mut self, rejection: &Rejection) {
        self.reason = Some(rejection.reason());
        self.counters().rejected(rejection.reason());
    }

    pub(super) const fn status(&mut self, status: StatusCode) {
        self.status = Some(status);
    }

    /// Notes how the answer's body ended; the line is written when this is dropped.
    pub(super) fn response_ended(&mut self, end: BodyEnd) {
        self.bytes_out = end.bytes;
        let cut = self.tie.as_ref().is_some_and(Lifeline::was_cut);
        if cut && self.reason.is_none() {
            self.reason = Some("token_ended");
            self.counters().token_ended();
        }
        if self.reason.is_none() {
            self.reason = match end.outcome {
                BodyOutcome::Complete => None,
                BodyOutcome::Aborted => Some("downstream_aborted"),
                BodyOutcome::TooLarge | BodyOutcome::Failed => Some("upstream_body_aborted"),
                BodyOutcome::TimedOut => Some("upstream_body_timeout"),
            };
        }
    }

    /// Notes what only the log tells, if there is one.
    fn for_log(&mut self, note: impl FnOnce(&mut Logged)) {
        if let Some(logged) = &mut self.logged {
            note(logged);
        }
    }

    /// Notes that it was just decided about `token`.
    fn decided_about(&mut self, token: Option<&Arc<VerifiedToken>>) {
        let began = self.began;
        self.for_log(|logged| (logged.token, logged.auth_duration) = (token.cloned(), Some(began.elapsed())));
    }

    fn matched_route(&self) -> Option<&Route> {
        self.route.and_then(|index| self.snapshot.route(index))
    }

    fn route_counters(&self) -> Option<&RouteCounters> {
        self.route.and_then(|index| self.snapshot.counters(index))
    }

    /// What this request counts in.
    fn counters(&self) -> &RouteCounters {
        self.route_counters().or(self.own_counters.as_ref()).unwrap_or_else(|| self.worker.unmatched())
    }

    fn write(&self) {
        let status = self.status.map(|status| status.as_u16());
        let duration = self.began.elapsed();
        let finished = FinishedRequest { status, duration, bytes_in: self.bytes_in.count(), bytes_out: self.bytes_out };
        let route = self.matched_route();
        self.counters().finished(&finished);
        let Some(logged) = self.logged.as_deref().filter(|_| self.worker.access_log().is_on()) else { return };
        let verified = logged.token.as_deref().map(|token| TokenEntry {
            issuer: token.issuer(),
            client_id: token.client_id(),
            key_id: token.key_id(),
            jti: token.token_id(),
            name: token.token_name().filter(|name| token.token_id().and_then(TokenId::parse) != Some(*name)),
        });
        self.worker.access_log().record(&AccessEntry {
            time: self.time,
            request_id: self.request_id.as_str(),
            listener: self.connection.listener_name(),
            protocol: self.version,
            peer: self.caller,
            method: logged.method.as_str(),
            host: logged.arrival.as_ref().map(|arrival| arrival.host().as_str()),
            path: logged.uri.path(),
            route: route.map(Route::name),
            upstream: route.map(|route| &**route.terms.upstream.name()),
            endpoint: logged.endpoint.as_deref(),
            status,
            reason: self.reason.or_else(|| status.is_none().then_some("downstream_aborted")),
            would_be_reason: logged.would_refuse,
            bytes_in: finished.bytes_in,
            bytes_out: finished.bytes_out,
            duration: Seconds(duration),
            auth_duration: logged.auth_duration.map(Seconds),
            upstream_connect_duration: logged
                .timings
                .filter(|timings| !timings.reused)
                .map(|timings| Seconds(timings.connection)),
            upstream_header_duration: logged.timings.map(|timings| Seconds(timings.response_header)),
            issued_to: logged.issued_to.as_deref(),
            jwt: verified,
            config_generation: self.snapshot.generation,
        });
    }
}

impl Logged {
    fn of(request: &RequestHead) -> Self {
        Self {
            method: request.method.clone(),
            uri: request.uri.clone(),
            arrival: None,
            token: None,
            issued_to: None,
            would_refuse: None,
            auth_duration: None,
            endpoint: None,
            timings: None,
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.write();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_has_one_of_a_size_that_is_at_hand() {
        // It is aligned like a cache line, so nothing but a power of two is sure to be.
        let size = size_of::<Record>();
        assert!(size.is_power_of_two() && in_place::is_at_hand(size), "{size}");
        assert!(in_place::is_at_hand(size_of::<Logged>()), "{}", size_of::<Logged>());
    }
}
