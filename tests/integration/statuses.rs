//! What a refused caller gets: status, challenge (RFC 6750), problem document (RFC 9457), gRPC status.

use bytes::Bytes;
use http::{Method, Request, Response, header};
use http_body_util::Full;
use postern::gateway::REASONS;
use serde_json::json;

use crate::support::{
    client::{Answer, HttpClient, request},
    forge::{SigningKey, changed, claims, now},
    gateway::{Gateway, GatewayBuilder},
    issuer::{Conduct, ScriptedIssuer},
    upstream::RecordedUpstream,
};

const CORP: &str = "https://id.corp.example/";

const CONFIG: &str = r#"
[issuers.corp]
issuer = "https://id.corp.example/"
jwks_uri = "${CORP_KEYS}"
audience = "https://api.test/orders"
[issuers.down]
issuer = "https://id.down.example/"
jwks_uri = "${DOWN_KEYS}"
audience = "https://api.test/orders"
[issuers.down.key_set]
startup = "degraded"
[upstreams.orders]
endpoints = ["${UPSTREAM}"]
[routes.orders]
path = "/orders/{tenant}"
methods = ["GET", "POST"]
upstream = "orders"
[routes.orders.require]
scopes = ["orders:read", "orders:list"]
claims = { env = "prod" }
path_claims = { tenant = "tenant_id" }
[routes.any]
path = "/any"
methods = ["GET"]
upstream = "orders"
[routes.any.require]
any_scope = ["a", "b"]
"#;

struct World {
    key: SigningKey,
    upstream: RecordedUpstream,
    gateway: Gateway,
    client: HttpClient,
    _issuers: [ScriptedIssuer; 2],
}

impl World {
    async fn new() -> Self {
        let key = SigningKey::es256("k1");
        let issuers = [ScriptedIssuer::start(&[&key]).await, ScriptedIssuer::start(&[]).await];
        issuers[1].conduct(Conduct::Fails(http::StatusCode::INTERNAL_SERVER_ERROR));
        let upstream = RecordedUpstream::answering(|_| Response::new(Full::from("upstream"))).await;
        let gateway = GatewayBuilder::new(CONFIG)
            .variable("CORP_KEYS", &issuers[0].jwks_uri())
            .variable("DOWN_KEYS", &issuers[1].jwks_uri())
            .upstream(&upstream)
            .start()
            .await;
        Self { key, upstream, gateway, client: HttpClient::http1(), _issuers: issuers }
    }

    /// A token that `/orders/acme` accepts, changed.
    fn token(&self, changes: &serde_json::Value) -> String {
        let good = changed(claims(CORP), &json!({ "scope": "orders:read orders:list", "env": "prod" }));
        self.key.token(&changed(good, changes))
    }

    fn get(&self, path: &str) -> http::request::Builder {
        Request::get(self.gateway.url(path))
    }
}

fn bare(builder: http::request::Builder) -> Request<Full<Bytes>> {
    builder.body(Full::default()).expect("a request")
}

fn bearer(builder: http::request::Builder, token: &str) -> Request<Full<Bytes>> {
    bare(builder.header("authorization", format!("Bearer {token}")))
}

/// The members of a problem document, each of which has one right value.
fn assert_problem(answer: &Answer, status: u16, reason: &str) {
    assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (status, reason));
    let (_, sentence) = REASONS.iter().find(|(known, _)| *known == reason).expect("a reason of the closed list");
    assert_eq!(answer.header("content-type"), "application/problem+json", "{reason}");
    assert_eq!(answer.header("cache-control"), "no-store", "{reason}");
    let request_id = answer.header("x-request-id");
    assert!(!request_id.is_empty());
    let expected = json!({
        "type": "about:blank",
        "title": answer.status.canonical_reason(),
        "status": status,
        "detail": sentence,
        "reason": reason,
        "request_id": request_id,
    });
    assert_eq!(answer.json(), expected);
}

const BARE: &str = r#"Bearer realm="postern""#;

#[tokio::test]
async fn every_row_of_the_table_of_statuses() {
    let world = World::new().await;
    let good = world.token(&json!({}));
    let orders = || world.get("/orders/acme");
    let down = changed(claims("https://id.down.example/"), &json!({}));
    let challenge = |code: &str, sentence: &str| {
        format!(r#"Bearer realm="postern", error="{code}", error_description="{sentence}""#)
    };
    let scope = |needed: &str| {
        let missing = challenge("insufficient_scope", "The token lacks a scope that is needed here.");
        format!(r#"{missing}, scope="{needed}""#)
    };
    let several = || challenge("invalid_request", "The request brings more than one credential.");
    let rows: Vec<(Request<Full<Bytes>>, u16, &str, String)> = vec![
        (bare(orders()), 401, "no_token", BARE.to_owned()),
        (bare(orders().header("authorization", "Basic YTpi")), 401, "scheme_not_accepted", BARE.to_owned()),
        (
            bearer(orders(), &SigningKey::es256("k1").token(&claims(CORP))),
            401,
            "bad_signature",
            challenge("invalid_token", "The token's signature does not verify."),
        ),
        (
            bearer(orders(), &world.token(&json!({ "exp": now() - 100, "iat": now() - 200 }))),
            401,
            "token_expired",
            challenge("invalid_token", "The token has expired."),
        ),
        (bearer(orders(), "no-jwt"), 401, "token_malformed", challenge("invalid_token", "The token is malformed.")),
        (
            bearer(orders().header("authorization", format!("Bearer {good}")), &good),
            400,
            "several_credentials",
            several(),
        ),
        (bearer(world.get(&format!("/orders/acme?access_token={good}")), &good), 400, "several_credentials", several()),
        (
            bare(orders().header("authorization", format!("Bearer {good}, Bearer {good}"))),
            400,
            "several_credentials",
            several(),
        ),
        (
            bare(world.get(&format!("/orders/acme?access_token={good}"))),
            400,
            "token_in_query",
            challenge("invalid_request", "The token must be in the Authorization header, not in the query."),
        ),
        (
            bearer(orders(), &world.token(&json!({ "scope": "orders:read" }))),
            403,
            "scope_missing",
            scope("orders:read orders:list"),
        ),
        (bearer(world.get("/any"), &good), 403, "scope_missing", scope("a b")),
        (bearer(orders(), &world.token(&json!({ "aud": "other" }))), 403, "audience_mismatch", String::new()),
        (bearer(orders(), &world.token(&json!({ "env": "dev" }))), 403, "claim_mismatch", String::new()),
        (bearer(world.get("/orders/other"), &good), 403, "path_claim_mismatch", String::new()),
        (bearer(orders(), &world.key.token(&down)), 503, "keys_unavailable", String::new()),
        (bearer(world.get("/nothing"), &good), 404, "no_route", String::new()),
        (bearer(Request::delete(world.gateway.url("/orders/acme")), &good), 405, "method_not_allowed", String::new()),
    ];
    let attacks = rows.len();
    for (request, status, reason, challenge) in rows {
        let answer = world.client.send(request).await;
        assert_problem(&answer, status, reason);
        assert_eq!(answer.header("www-authenticate"), challenge, "{reason}");
        assert_eq!(answer.headers.get_all("www-authenticate").iter().count(), usize::from(!challenge.is_empty()));
        assert_eq!(answer.header("retry-after"), if status == 503 { "1" } else { "" }, "{reason}");
        assert_eq!(answer.header("allow"), if status == 405 { "GET, POST" } else { "" }, "{reason}");
        // The control: nothing that was refused stands in the way of what is not.
        assert_eq!(world.client.send(bearer(orders(), &good)).await.status, 200);
    }
    assert_eq!(world.upstream.count(), attacks);
    assert!(world.upstream.requests().iter().all(|recorded| recorded.target == "/orders/acme"));
}

#[tokio::test]
async fn a_caller_that_speaks_grpc_gets_a_grpc_status() {
    let world = World::new().await;
    let client = HttpClient::http2();
    let call = |path: &str, token: Option<&str>| {
        let mut request = request(Method::POST, &world.gateway.url(path), token);
        request.headers_mut().insert(header::CONTENT_TYPE, "application/grpc+proto".parse().expect("a value"));
        request
    };
    let good = world.token(&json!({}));
    let down = world.key.token(&claims("https://id.down.example/"));
    for (request, status, message) in [
        (call("/orders/acme", None), "16", "A bearer token is needed."),
        (call("/orders/acme", Some("x")), "16", "The token is malformed."),
        (
            call("/orders/acme", Some(&world.token(&json!({ "scope": "a" })))),
            "7",
            "The token lacks a scope that is needed here.",
        ),
        (call("/orders/other", Some(&good)), "7", "The token is not for what the path names."),
        (call("/orders/acme", Some(&down)), "14", "The keys of the token's issuer cannot be had at the moment."),
        (call("/nothing", Some(&good)), "12", "There is nothing here."),
        (call("/any", Some(&good)), "12", "This method is not available here."),
        (call("/orders//acme", Some(&good)), "3", "The request's path can be read in more than one way."),
    ] {
        let answer = client.send(request).await;
        // The gRPC protocol wants 200 with headers only ("Trailers-Only").
        assert_eq!((answer.status.as_u16(), answer.header("grpc-status")), (200, status), "{message}");
        assert_eq!(answer.header("grpc-message"), message);
        assert_eq!(answer.header("content-type"), "application/grpc");
        assert!(answer.body.is_empty() && !answer.header("x-request-id").is_empty());
    }
    assert_eq!(world.upstream.count(), 0);
    let control = client.send(call("/orders/acme", Some(&good))).await;
    assert_eq!((control.status.as_u16(), world.upstream.count()), (200, 1));
}
