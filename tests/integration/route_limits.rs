//! `routes.*.limit`: who is counted together, what callers are told, and what a reload keeps.

use std::net::Ipv4Addr;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Full;
use postern::clock::{Clock, ManualClock};
use serde_json::json;

use crate::support::{
    client::{Answer, HttpClient, request},
    corp::Corp,
    gateway::Gateway,
    observe::{log_line, metric, reload},
    upstream::RecordedUpstream,
};

const CONFIG: &str = r#"
[upstreams.orders]
endpoints = ["${UPSTREAM}"]
[routes.peer]
path = "/peer"
upstream = "orders"
limit = { requests = 3, per = "30s", by = "peer" }
[routes.peer.require]
scopes = ["orders:read"]
[routes.open]
path = "/open"
upstream = "orders"
public = true
limit = { requests = 3, per = "30s", by = "peer" }
[routes.all]
path = "/all"
upstream = "orders"
public = true
limit = { requests = 3, per = "30s", by = "route" }
[routes.client]
path = "/client"
upstream = "orders"
limit = { requests = 3, per = "30s", by = "client_id" }
[routes.client.require]
scopes = ["orders:read"]
[routes.tenant]
path = "/tenant"
upstream = "orders"
limit = { requests = 3, per = "30s", by = "tenant_id" }
[routes.tenant.require]
scopes = ["orders:read"]
[routes.trial]
path = "/trial"
upstream = "orders"
mode = "report"
limit = { requests = 3, per = "30s", by = "client_id" }
[routes.trial.require]
scopes = ["orders:write"]
[routes.free]
path = "/free"
upstream = "orders"
public = true
"#;

struct Scene {
    corp: Corp,
    upstream: RecordedUpstream,
    gateway: Gateway,
    clock: ManualClock,
    client: HttpClient,
}

impl Scene {
    async fn set() -> Self {
        let corp = Corp::start().await;
        // An upstream with limits of its own, which callers of it through a gateway have nothing from.
        let upstream = RecordedUpstream::answering(|_| {
            let answer = Response::builder().header("ratelimit-limit", "9").header("ratelimit", "\"own\";r=9;t=9");
            answer.header("ratelimit-reset", "99").body(Full::from("upstream")).expect("an answer")
        })
        .await;
        let clock = ManualClock::starting_at(Clock::system().now());
        let gateway = corp.gateway(CONFIG).upstream(&upstream).clock(clock.clock()).start().await;
        Self { corp, upstream, gateway, clock, client: HttpClient::http1() }
    }

    async fn get(&self, path: &str, token: Option<&str>) -> Answer {
        self.client.get(&self.gateway.url(path), token).await
    }

    /// The token of a client, with a tenant if one is named.
    fn token(&self, client_id: &str, tenant_id: Option<&str>) -> String {
        self.corp.token_with(|claims| {
            claims["client_id"] = json!(client_id);
            claims["tenant_id"] = json!(tenant_id);
        })
    }

    /// The statuses of `count` requests, one after another; what is refused does not reach the upstream.
    async fn statuses(&self, count: usize, path: &str, token: Option<&str>) -> Vec<u16> {
        let (before, mut statuses) = (self.upstream.count(), Vec::new());
        for _ in 0..count {
            statuses.push(self.get(path, token).await.status.as_u16());
        }
        let passed = statuses.iter().filter(|status| **status == 200).count();
        assert_eq!(self.upstream.count(), before + passed);
        statuses
    }
}

fn told(answer: &Answer) -> (u16, [&str; 4]) {
    let fields = ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset", "retry-after"];
    for field in fields {
        assert!(answer.headers.get_all(field).iter().count() <= 1, "{field}");
    }
    (answer.status.as_u16(), fields.map(|field| answer.header(field)))
}

#[tokio::test]
async fn callers_are_told_how_it_stands() {
    let scene = Scene::set().await;
    let get = async || scene.get("/open", None).await;
    for (remaining, reset) in [("2", "10"), ("1", "20"), ("0", "30")] {
        let answer = get().await;
        assert_eq!(told(&answer), (200, ["3", remaining, reset, ""]));
        assert_eq!((answer.header("ratelimit"), answer.text().as_str()), ("", "upstream"));
    }
    let refused = get().await;
    assert_eq!(told(&refused), (429, ["3", "0", "30", "10"]));
    assert_eq!((refused.reason().as_str(), refused.header("cache-control")), ("rate_limited", "no-store"));
    assert_eq!(scene.upstream.count(), 3);
    scene.clock.advance(std::time::Duration::from_millis(9_100));
    assert_eq!(told(&get().await), (429, ["3", "0", "21", "1"]), "seconds are rounded up");
    scene.clock.advance(std::time::Duration::from_millis(900));
    assert_eq!(told(&get().await), (200, ["3", "0", "30", ""]));
    assert_eq!(told(&get().await).0, 429);

    let unlimited = scene.get("/free", None).await;
    assert_eq!((told(&unlimited).1[0], unlimited.header("ratelimit-reset")), ("9", "99"), "the control: no limit here");
    assert_eq!(
        metric(&scene.gateway, "postern_rejections_total", &[("route", "open"), ("reason", "rate_limited")]).await,
        3.0
    );
    let line = log_line(&scene.gateway, "the refusal", |line| line["status"] == 429).await;
    assert_eq!((&line["route"], &line["reason"]), (&json!("open"), &json!("rate_limited")));
}

#[tokio::test]
async fn by_peer_counts_before_a_token_is_looked_at() {
    let scene = Scene::set().await;
    assert_eq!(scene.statuses(4, "/peer", None).await, [401, 401, 401, 429]);
    let good = scene.corp.token();
    assert_eq!(scene.statuses(1, "/peer", Some(&good)).await, [429]);
    let unauthorized = scene.get("/all", None).await;
    assert_eq!(unauthorized.status, 200, "the control: another route");
    // From another address of this machine.
    let other = HttpClient::from_address(Ipv4Addr::new(127, 0, 0, 77).into());
    let answer = other.get(&scene.gateway.url("/peer"), Some(&good)).await;
    assert_eq!(told(&answer), (200, ["3", "2", "10", ""]));
    let answer = other.get(&scene.gateway.url("/peer"), None).await;
    assert_eq!(told(&answer), (401, ["3", "1", "20", ""]), "whatever comes after the limit, it is told");
    // What a stranger says of who asked is not believed.
    let mut disguised = request(Method::GET, &scene.gateway.url("/peer"), Some(&good));
    disguised.headers_mut().insert("x-forwarded-for", "192.0.2.9".parse().expect("a value"));
    assert_eq!(scene.client.send(disguised).await.status, 429);
}

#[tokio::test]
async fn by_peer_believes_a_trusted_proxy() {
    let corp = Corp::start().await;
    let upstream = RecordedUpstream::start().await;
    let listener = "[listeners.public]\n";
    let gateway = corp.gateway(CONFIG).upstream(&upstream);
    let gateway = gateway.with(listener, &format!("{listener}trusted_proxies = [\"127.0.0.0/8\"]\n")).start().await;
    let client = HttpClient::http1();
    let from = async |address: &str| {
        let request = Request::get(gateway.url("/open")).header("x-forwarded-for", address);
        client.send(request.body(Full::<Bytes>::default()).expect("a request")).await.status.as_u16()
    };
    for _ in 0..3 {
        assert_eq!(from("192.0.2.1").await, 200);
    }
    assert_eq!((from("192.0.2.1").await, from("192.0.2.2").await), (429, 200));
    for host in ["1", "2", "ffff:ffff:ffff:ffff"] {
        let network = if host.len() > 1 { "2001:db8:1:2:" } else { "2001:db8:1:2::" };
        assert_eq!(from(&format!("{network}{host}")).await, 200);
    }
    assert_eq!((from("2001:db8:1:2::3").await, from("2001:db8:1:3::3").await), (429, 200), "a /64 is one peer");
}

#[tokio::test]
async fn by_route_counts_everybody_together() {
    let scene = Scene::set().await;
    let other = HttpClient::from_address(Ipv4Addr::new(127, 0, 0, 78).into());
    assert_eq!(scene.statuses(2, "/all", None).await, [200, 200]);
    assert_eq!(other.get(&scene.gateway.url("/all"), None).await.status, 200);
    assert_eq!(other.get(&scene.gateway.url("/all"), None).await.status, 429);
    assert_eq!(scene.statuses(1, "/all", None).await, [429]);
}

#[tokio::test]
async fn by_claim_counts_each_value_by_itself_and_only_what_was_authorized() {
    let scene = Scene::set().await;
    let (one, other) = (scene.token("one", Some("acme")), scene.token("two", Some("acme")));
    // What is refused for another reason costs nobody anything.
    let weak = scene.corp.token_with(|claims| {
        claims["client_id"] = json!("one");
        claims["scope"] = json!("orders:write");
    });
    assert_eq!(scene.statuses(5, "/client", Some(&weak)).await, [403; 5]);
    assert_eq!(scene.statuses(5, "/client", None).await, [401; 5]);
    assert_eq!(scene.statuses(4, "/client", Some(&one)).await, [200, 200, 200, 429]);
    assert_eq!(scene.statuses(4, "/client", Some(&other)).await, [200, 200, 200, 429]);
    // Another token of the same client is the same client.
    let again = scene.corp.token_with(|claims| {
        claims["client_id"] = json!("one");
        claims["jti"] = json!("another");
    });
    assert_eq!(scene.statuses(1, "/client", Some(&again)).await, [429]);
    // `azp` names the client where `client_id` does not.
    let by_azp = scene.corp.token_with(|claims| {
        claims["azp"] = json!("one");
        claims.as_object_mut().expect("an object").remove("client_id");
    });
    assert_eq!(scene.statuses(1, "/client", Some(&by_azp)).await, [429]);

    // Both are of one tenant; tokens without the claim share a bucket.
    assert_eq!(scene.statuses(2, "/tenant", Some(&one)).await, [200, 200]);
    assert_eq!(scene.statuses(2, "/tenant", Some(&other)).await, [200, 429]);
    let without = [scene.token("one", None), scene.token("two", None)];
    assert_eq!(scene.statuses(2, "/tenant", Some(&without[0])).await, [200, 200]);
    assert_eq!(scene.statuses(2, "/tenant", Some(&without[1])).await, [200, 429]);
}

#[tokio::test]
async fn a_route_that_only_reports_has_its_limit_enforced() {
    let scene = Scene::set().await;
    let weak = scene.corp.token();
    assert_eq!(scene.statuses(2, "/trial", Some(&weak)).await, [200, 200], "it would be refused, and is reported");
    assert_eq!(scene.statuses(2, "/trial", None).await, [200, 429], "without a token that is believed they are one");
    let good = scene.corp.token_with(|claims| claims["scope"] = json!("orders:write"));
    assert_eq!(scene.statuses(4, "/trial", Some(&good)).await, [200, 200, 200, 429]);
}

#[tokio::test]
async fn a_reload_forgives_nobody_and_a_new_limit_begins_anew() {
    let scene = Scene::set().await;
    assert_eq!(scene.statuses(3, "/open", None).await, [200; 3]);
    scene.gateway.edit("path = \"/free\"", "path = \"/gratis\"");
    assert_eq!(reload(&scene.gateway).await.status, 200);
    assert_eq!(scene.statuses(1, "/open", None).await, [429]);
    assert_eq!(scene.statuses(1, "/gratis", None).await, [200], "the control: the reload took effect");
    scene.gateway.edit("public = true\nlimit = { requests = 3", "public = true\nlimit = { requests = 5");
    let answer = reload(&scene.gateway).await;
    assert_eq!(scene.statuses(6, "/open", None).await, [200, 200, 200, 200, 200, 429]);
    // The change may have been noticed before it was asked for.
    let words = json!("route open: limit 3 per 30s by peer -> 5 per 30s by peer");
    let changes = answer.json()["changes"].as_array().expect("a list").clone();
    assert!(changes.is_empty() || changes.contains(&words), "{changes:?}");
}

#[tokio::test]
async fn a_grpc_caller_is_told_in_its_own_way() {
    let scene = Scene::set().await;
    let call = async || {
        let request = Request::post(scene.gateway.url("/open")).header("content-type", "application/grpc");
        HttpClient::http2().send(request.body(Full::<Bytes>::default()).expect("a request")).await
    };
    for _ in 0..3 {
        assert_eq!(call().await.text(), "upstream");
    }
    let refused = call().await;
    assert_eq!((refused.status.as_u16(), refused.header("grpc-status")), (200, "8"));
    assert_eq!((refused.header("retry-after"), refused.header("ratelimit-remaining")), ("10", "0"));
}
