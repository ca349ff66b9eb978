//! What is noted of requests, and how they are refused.

use std::{hint::black_box, net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use http::{StatusCode, Version};
use postern::{
    clock::ManualClock,
    diagnostic::Diagnostics,
    http::Problem,
    id::RequestId,
    limit::{Limits, RouteLimit, Whose},
    telemetry::{
        AccessEntry, AccessLog, Decision, DecisionMode, DecisionResult, Destination, Metrics, TokenEntry,
        metrics::{Exchange, FinishedRequest, UnderWay},
    },
};

use super::{
    Counter,
    scene::{self, NOW},
};

const REQUEST_ID: &str = "0190a3c4-7b1e-7cc0-8000-0123456789ab";

/// A client's bucket in a limit, which has room: counted here alone.
pub(crate) fn limit(counter: &mut Counter) {
    let config = scene::config(
        "[upstreams.u]\nendpoints = [\"http://127.0.0.1:1\"]\n[issuers.corp]\nissuer = \"https://id.corp.example/\"\n\
         [routes.r]\npath = \"/\"\nupstream = \"u\"\nlimit = { requests = 100000, per = \"1s\", by = \"client_id\" }\n\
         [routes.r.require]\nscopes = [\"a\"]\n",
    );
    let limits = Limits::new(ManualClock::starting_at(NOW).clock());
    let route = config.routes.get("r").expect("a route");
    let raw = route.limit.as_ref().expect("a limit");
    let limit = RouteLimit::compile("r", raw, route, (&limits, None), &mut Diagnostics::new()).expect("a limit");
    let whose = Whose::Token { issuer: "corp", value: Some("billing") };
    counter.count(500, || scene::at_once(limit.take(black_box(&whose))));
}

/// Making the line of one request and queueing it. Writing it is another thread's.
pub(crate) fn access_log_line(counter: &mut Counter) {
    let log = AccessLog::start(&Destination::File(PathBuf::from("/dev/null"))).expect("a log");
    let time = |microseconds| Some(Duration::from_micros(microseconds).into());
    let entry = AccessEntry {
        time: NOW,
        request_id: REQUEST_ID,
        listener: "public",
        protocol: Version::HTTP_11,
        peer: IpAddr::from([192, 0, 2, 1]),
        method: "GET",
        host: Some("api.example.com"),
        path: "/v1/tenants/acme/orders/17?expand=lines",
        route: Some("orders"),
        upstream: Some("orders"),
        endpoint: Some("http://10.0.0.1:8080"),
        status: Some(200),
        reason: None,
        would_be_reason: None,
        bytes_in: 0,
        bytes_out: 200,
        duration: Duration::from_micros(1234).into(),
        auth_duration: time(3),
        upstream_connect_duration: None,
        upstream_header_duration: time(1100),
        issued_to: None,
        jwt: Some(TokenEntry {
            issuer: "corp",
            client_id: Some("billing"),
            key_id: Some("k1"),
            jti: Some("6f1a5e1e-7c1f-4c55-9d0b-0f8f8b1c2d3e"),
            name: None,
        }),
        config_generation: 1,
    };
    // Fewer than half of the queue: the thread that writes is not woken.
    counter.count(500, || log.record(black_box(&entry)));
}

/// Counting a request: that it began, what was decided, how its upstream answered, that it has ended.
pub(crate) fn metrics(counter: &mut Counter) {
    let (metrics, mut workers) = Metrics::new(1);
    let worker = std::rc::Rc::new(workers.pop().expect("a worker"));
    let (route, upstream) = (metrics.route("orders").of(&worker), metrics.upstream("orders"));
    let issuer: Arc<str> = Arc::from("corp");
    counter.count(500, || {
        let under_way = UnderWay::begin(&worker);
        let decision = Decision {
            issuer: Some(&issuer),
            result: DecisionResult::Allowed,
            reason: "authorized",
            mode: DecisionMode::Enforce,
        };
        route.decided(&worker, decision);
        let header = Some(Duration::from_micros(1100));
        upstream.exchanged(&worker, &Exchange { status: Some(200), failure: None, connect: None, header });
        let duration = Duration::from_micros(1234);
        route.finished(&FinishedRequest { status: Some(200), duration, bytes_in: 0, bytes_out: 200 });
        drop(under_way);
    });
}

/// The answer to a request that is refused.
pub(crate) fn refusal(counter: &mut Counter) {
    let request_id = RequestId::parse(REQUEST_ID.as_bytes()).expect("an id");
    let problem = Problem::new(StatusCode::UNAUTHORIZED, "token_expired", "The token has expired.");
    counter.count(500, || black_box(&problem).response(&request_id));
}
