//! A gateway with an embedded issuer, a route, and an operator who speaks to its management API.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use postern::clock::{ManualClock, UnixTime};
use serde_json::{Value, json};

use crate::support::{
    client::{Answer, HttpClient},
    forge::{SigningKey, now},
    gateway::{Gateway, GatewayBuilder},
    issuer::ScriptedIssuer,
    upstream::RecordedUpstream,
};

pub(super) const ADMIN_TOKEN: &str = "admin-token-0123456789";
pub(super) const BILLING_SECRET: &str = "configured-secret-of-billing-77";
pub(super) const ORDERS: &str = "https://api.test/orders";

pub(super) const CONFIG: &str = r#"
[process]
workers = 2
data_directory = "data"
[telemetry]
access_log = "off"
[listeners.public]
address = "127.0.0.1:0"
[admin]
address = "127.0.0.1:0"
token = { env = "ADMIN_TOKEN" }
[issuers.corp]
issuer = "${ISSUER}"
audience = "https://api.test/orders"
[issuers.local]
embedded = true
audience = "https://api.test/orders"
[authorization_server]
issuer = "https://issuer.test/"
encryption_key = "0123456789abcdef0123456789abcdef"
[authorization_server.apis."https://api.test/orders"]
scopes = ["orders:read", "orders:write"]
[authorization_server.clients.billing]
secret = { env = "BILLING_SECRET" }
tenant = "acme"
grants = { "https://api.test/orders" = ["orders:read"] }
[token_endpoints.oauth]
path = "/oauth/token"
serve = "embedded"
[token_endpoints.outside]
path = "/outside/token"
forward = "http://127.0.0.1:9/token"
[token_endpoints.outside.reuse]
min_remaining = "5m"
[upstreams.orders]
endpoints = ["${UPSTREAM}"]
[routes.orders]
path = "/orders/{*rest}"
upstream = "orders"
[routes.orders.require]
scopes = ["orders:read"]
"#;

/// The definition of a client that may read orders.
pub(super) fn reader(more: &Value) -> Value {
    let mut definition = json!({ "grants": { ORDERS: ["orders:read"] } });
    for (name, value) in more.as_object().into_iter().flatten() {
        definition[name] = value.clone();
    }
    definition
}

pub(super) struct Office {
    pub(super) gateway: Gateway,
    pub(super) clock: ManualClock,
    pub(super) upstream: RecordedUpstream,
    client: HttpClient,
    _issuer: ScriptedIssuer,
}

impl Office {
    pub(super) async fn open() -> Self {
        let key = SigningKey::es256("k1");
        let issuer = ScriptedIssuer::start(&[&key]).await;
        let upstream = RecordedUpstream::start().await;
        let clock = ManualClock::starting_at(UnixTime::from_seconds(now()));
        let builder = GatewayBuilder::whole(CONFIG).issuer(&issuer).upstream(&upstream).clock(clock.clock());
        let builder = builder.variable("ADMIN_TOKEN", ADMIN_TOKEN).variable("BILLING_SECRET", BILLING_SECRET);
        let gateway = builder.start().await;
        Self { gateway, clock, upstream, client: HttpClient::http1(), _issuer: issuer }
    }

    /// What the management API answers.
    pub(super) async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let request = asking(method, &self.gateway.admin_url(path), body);
        self.client.send(request).await
    }

    pub(super) async fn get(&self, path: &str) -> Value {
        self.done(Method::GET, path, None).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Value {
        self.done(Method::POST, path, Some(body)).await
    }

    /// What the management API answers, which is no refusal.
    pub(super) async fn done(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let answer = self.ask(method.clone(), path, body).await;
        assert!(answer.status.is_success(), "{method} {path}: {} {}", answer.status, answer.text());
        answer.json()
    }

    /// Registers a client, and gives its secret.
    pub(super) async fn add(&self, id: &str, definition: &Value) -> String {
        let mut body = definition.clone();
        body["id"] = json!(id);
        let answer = self.post("/api/v1/clients", &body).await;
        assert_eq!(answer["id"], id);
        answer["secret"].as_str().expect("a secret").to_owned()
    }

    /// What the token endpoint answers.
    pub(super) async fn token_answer(&self, client_id: &str, secret: &str) -> Answer {
        let parameters = [("grant_type", "client_credentials"), ("client_id", client_id), ("client_secret", secret)];
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        let request = Request::post(self.gateway.url("/oauth/token"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Full::new(Bytes::from(body)))
            .expect("a request");
        self.client.send(request).await
    }

    /// A token from the token endpoint.
    pub(super) async fn token(&self, client_id: &str, secret: &str) -> String {
        let answer = self.token_answer(client_id, secret).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        answer.json()["access_token"].as_str().expect("a token").to_owned()
    }

    /// The status of a request with `token`, which reaches the upstream if and only if it is 200.
    pub(super) async fn use_token(&self, token: &str) -> u16 {
        let before = self.upstream.count();
        let answer = self.client.get(&self.gateway.url("/orders/1"), Some(token)).await;
        let reached = self.upstream.count() > before;
        assert_eq!(reached, answer.status == StatusCode::OK, "{}", answer.text());
        answer.status.as_u16()
    }

    /// The id of the key that signs.
    pub(super) async fn signing_key(&self) -> String {
        let keys = self.get("/api/v1/keys").await;
        let current = keys["keys"].as_array().expect("a list").iter().find(|key| key["state"] == "current");
        current.expect("one signs")["key_id"].as_str().expect("an id").to_owned()
    }

    pub(super) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

/// A request of the operator.
pub(super) fn asking(method: Method, url: &str, body: Option<&Value>) -> Request<Full<Bytes>> {
    let mut builder = Request::builder().method(method).uri(url);
    builder = builder.header("authorization", format!("Bearer {ADMIN_TOKEN}"));
    match body {
        Some(body) => {
            let body = Full::new(Bytes::from(body.to_string()));
            builder.header("content-type", "application/json").body(body).expect("a request")
        }
        None => builder.body(Full::default()).expect("a request"),
    }
}

/// The name of the token in a JWT: its `jti`.
pub(super) fn id_of(token: &str) -> String {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    let payload = token.split('.').nth(1).expect("a payload");
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(payload).expect("base64url");
    let claims: Value = serde_json::from_slice(&bytes).expect("JSON");
    claims["jti"].as_str().expect("an id").to_owned()
}
