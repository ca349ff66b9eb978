//! `X-API-Key`: a credential where the embedded issuer has such tokens, and a header like any other elsewhere.

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::Full;

use crate::support::{
    client::{Answer, HttpClient},
    forge::{SigningKey, claims},
    gateway::{Gateway, GatewayBuilder},
    issuer::ScriptedIssuer,
    observe::{metric, reload},
    raw::exchange,
    upstream::RecordedUpstream,
};

const CORP: &str = "https://id.corp.example/";

const CONFIG: &str = r#"
[issuers.corp]
issuer = "https://id.corp.example/"
jwks_uri = "${KEYS}"
audience = "https://api.test/orders"
[issuers.own]
embedded = true
audience = "https://api.test/orders"
[upstreams.orders]
endpoints = ["${UPSTREAM}"]
[routes.orders]
path = "/orders/{*rest}"
upstream = "orders"
[routes.orders.require]
[routes.kept]
path = "/kept/{*rest}"
upstream = "orders"
[routes.kept.require]
[routes.kept.identity]
authorization = "keep"
[routes.open]
path = "/open/{*rest}"
upstream = "orders"
public = true
[routes.tried]
path = "/tried/{*rest}"
upstream = "orders"
mode = "report"
[routes.tried.require]
[authorization_server]
issuer = "https://id.own.example/"
# api_tokens = "access_token"
[authorization_server.apis."https://api.test/orders"]
"#;

struct World {
    token: String,
    upstream: RecordedUpstream,
    gateway: Gateway,
    client: HttpClient,
    _issuer: ScriptedIssuer,
}

impl World {
    async fn with_api_tokens() -> Self {
        Self::with(&CONFIG.replace("# api_tokens", "api_tokens")).await
    }

    async fn with(config: &str) -> Self {
        let key = SigningKey::es256("k1");
        let issuer = ScriptedIssuer::start(&[&key]).await;
        let upstream = RecordedUpstream::start().await;
        let builder = GatewayBuilder::new(config).variable("KEYS", &issuer.jwks_uri());
        let gateway = builder.upstream(&upstream).start().await;
        let token = key.token(&claims(CORP));
        Self { token, upstream, gateway, client: HttpClient::http1(), _issuer: issuer }
    }

    async fn send(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let mut builder = Request::get(self.gateway.url(path));
        for (name, value) in fields {
            builder = builder.header(*name, *value);
        }
        self.client.send(builder.body(Full::<Bytes>::default()).expect("a request")).await
    }

    /// What the upstream saw of a request that gets through.
    async fn seen(&self, path: &str, fields: &[(&str, &str)]) -> HeaderMap {
        let before = self.upstream.count();
        let answer = self.send(path, fields).await;
        assert_eq!((answer.status.as_u16(), self.upstream.count()), (200, before + 1), "{path} {}", answer.text());
        self.upstream.last().headers
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }
}

const ALIASES: [(&str, &str); 3] = [("x_api_key", "forged"), ("x.api.key", "forged"), ("X-API_Key", "forged")];

#[tokio::test]
async fn one_credential_in_its_own_field() {
    let world = World::with_api_tokens().await;
    let (bearer, token) = (world.bearer(), world.token.as_str());
    let nobodys = "pst_nobody";
    for (fields, status, reason) in [
        (vec![("x-api-key", nobodys)], 401, "unknown_token"),
        (vec![("authorization", "Bearer pst_nobody")], 401, "unknown_token"),
        (vec![("x-api-key", "a b")], 401, "token_malformed"),
        (vec![("x-api-key", "a.b")], 401, "token_malformed"),
        (vec![("x-api-key", token)], 400, "wrong_credential_header"),
        (vec![("x-api-key", nobodys), ("x-api-key", nobodys)], 400, "several_credentials"),
        (vec![("x-api-key", nobodys), ("authorization", bearer.as_str())], 400, "several_credentials"),
        (vec![("x-api-key", nobodys), ("authorization", "Basic YTpi")], 400, "several_credentials"),
        (vec![("x_api_key", nobodys)], 401, "no_token"),
    ] {
        let before = world.upstream.count();
        let answer = world.send("/orders/1", &fields).await;
        assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (status, reason), "{fields:?}");
        let challenge = answer.header("www-authenticate").to_owned();
        assert!(challenge.starts_with("Bearer "), "{challenge}");
        assert_eq!(challenge.contains("invalid_request"), status == 400, "{challenge}");
        assert!(!answer.text().contains(nobodys) && !challenge.contains(nobodys), "credentials are not told");
        assert_eq!(world.upstream.count(), before);
    }
    let query = world.send("/orders/1?access_token=a", &[("x-api-key", nobodys)]).await;
    assert_eq!(query.reason(), "several_credentials");
    assert_eq!(world.send("/orders/1", &[("authorization", &bearer)]).await.status, 200);
    let decided = [("route", "orders"), ("result", "refused"), ("reason", "unknown_token")];
    assert!(metric(&world.gateway, "postern_auth_decisions_total", &decided).await >= 2.0);
}

#[tokio::test]
async fn it_goes_no_further_than_authorization_does() {
    let world = World::with_api_tokens().await;
    let bearer = world.bearer();
    let token = world.token.as_str();
    for (path, credential, kept) in [
        ("/orders/1", ("authorization", bearer.as_str()), None),
        ("/kept/1", ("authorization", bearer.as_str()), Some("authorization")),
        ("/open/1", ("x-api-key", "whatever"), None),
        ("/tried/1", ("x-api-key", token), None),
        ("/tried/1", ("x-api-key", "pst_nobody"), None),
    ] {
        let fields: Vec<_> = ALIASES.into_iter().chain([credential]).collect();
        let headers = world.seen(path, &fields).await;
        assert!(!headers.values().any(|value| value == "forged"), "{path}: {headers:?}");
        for name in ["x-api-key", "authorization"] {
            assert_eq!(headers.contains_key(name), kept == Some(name), "{path} {name}");
        }
    }
}

#[tokio::test]
async fn nor_does_it_in_trailers() {
    let world = World::with_api_tokens().await;
    let request = format!(
        "POST /orders/1 HTTP/1.1\r\nhost: a\r\nauthorization: {}\r\ntransfer-encoding: chunked\r\n\
         trailer: x-api-key, x-sum\r\nconnection: close\r\n\r\n0\r\nx-api-key: a\r\nx_api_key: b\r\nx-sum: 1\r\n\r\n",
        world.bearer()
    );
    assert_eq!(exchange(world.gateway.address(), request).await.status, 200);
    let trailers = world.upstream.last().trailers;
    assert_eq!(trailers.keys().map(http::HeaderName::as_str).collect::<Vec<_>>(), ["x-sum"]);
}

#[tokio::test]
async fn elsewhere_it_is_the_upstreams_business() {
    let world = World::with(CONFIG).await;
    let bearer = world.bearer();
    let own = [("x-api-key", "the upstream's own"), ("x_api_key", "this one too")];
    for path in ["/orders/1", "/kept/1", "/open/1"] {
        let fields: Vec<_> = own.into_iter().chain([("authorization", bearer.as_str())]).collect();
        let headers = world.seen(path, &fields).await;
        assert!(own.iter().all(|(name, value)| headers[*name] == *value), "{path}: {headers:?}");
    }
    assert_eq!(world.send("/orders/1", &own).await.reason(), "no_token");

    world.gateway.edit("# api_tokens", "api_tokens");
    reload(&world.gateway).await;
    assert_eq!(world.send("/orders/1", &[("x-api-key", "pst_nobody")]).await.reason(), "unknown_token");
}
