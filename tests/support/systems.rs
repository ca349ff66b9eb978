//! One gateway in which clients of every dialect are at home at once: one registry, one key document, four endpoints for tokens,
//! a route for each sort of token. And somebody else's issuer, the authority, whose tokens some of them present.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use jsonwebtoken::{DecodingKey, Validation, jwk::JwkSet};
use postern::clock::{ManualClock, UnixTime};
use serde_json::{Value, json};

use super::{
    client::{Answer, HttpClient},
    forge::{SigningKey, changed},
    gateway::{Gateway, GatewayBuilder},
    issuer::ScriptedIssuer,
    upstream::RecordedUpstream,
};

/// The embedded issuer's name, as all its tokens have it.
pub(crate) const ISSUER: &str = "https://systems.test/";
/// An API whose tokens last a day.
pub(crate) const ORDERS: &str = "https://api.test/orders";
/// An API whose tokens last as long as any may: 30 days.
pub(crate) const ARCHIVE: &str = "https://api.test/archive";
/// An API that there is, and that nobody was granted.
pub(crate) const UNGRANTED: &str = "https://api.test/ungranted";
/// An API whose tokens may last for ever.
pub(crate) const DEVICES: &str = "https://api.test/devices";

/// The moment at which every test begins, in seconds.
pub(crate) const START: u64 = 1_800_000_000;
/// A day.
pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);

/// The dialect that is every issuer's own, with revocation and introspection beside it.
pub(crate) const OAUTH2: &str = "/oauth2/token";
/// Where clients of a hosted identity product ask.
pub(crate) const AUTH0: &str = "/oauth/token";
/// Where clients of a plgd hub ask.
pub(crate) const PLGD: &str = "/m2m-oauth-server/oauth/token";
/// The tokens endpoint of a plgd hub.
pub(crate) const PLGD_TOKENS: &str = "/m2m-oauth-server/api/v1/tokens";

/// The secret of the client `billing`.
pub(crate) const BILLING: &str = "canary-billing-secret-0123456789-abcdefgh";
/// Its other one.
pub(crate) const BILLING_NEXT: &str = "canary-billing-secret-next-0123456789-abc";
/// The secret of the client `hub`.
pub(crate) const HUB: &str = "canary-hub-secret+with/everything:0123456";

const FORM: &str = "application/x-www-form-urlencoded";

const CONFIG: &str = r#"
[issuers.own]
embedded = true
audience = "https://api.test/orders"
leeway = "0s"
[issuers.authority]
issuer = "${ISSUER}"
audience = "https://systems.test/"
leeway = "0s"
[upstreams.all]
endpoints = ["${UPSTREAM}"]
[routes.orders]
path = "/orders/{*rest}"
upstream = "all"
[routes.orders.require]
issuers = ["own"]
scopes = ["orders:read"]
[routes.orders.identity]
headers = { "x-client-id" = "client_id" }
[routes.devices]
path = "/devices/{*rest}"
upstream = "all"
[routes.devices.require]
issuers = ["own"]
audience = "https://api.test/devices"
scopes = ["devices:read"]
[routes.app]
path = "/app/{*rest}"
upstream = "all"
[routes.app.require]
issuers = ["own"]
audience = "https://api.test/app"
claims = { permissions = "orders.read" }

[token_endpoints.oauth2]
path = "/oauth2/token"
serve = "embedded"
[token_endpoints.auth0]
path = "/oauth/token"
dialect = "auth0"
serve = "embedded"
[token_endpoints.plgd]
path = "/m2m-oauth-server/oauth/token"
dialect = "plgd"
serve = "embedded"
[token_endpoints.plgd.management.require]
issuers = ["own", "authority"]
audience = ["https://api.test/devices", "https://systems.test/"]
[token_endpoints.frontegg]
path = "/identity/resources/auth/v1/api-token"
dialect = "frontegg"
serve = "embedded"
[token_endpoints.frontegg.management.require]
issuers = ["authority"]

[authorization_server]
issuer = "https://systems.test/"
api_tokens = "client_credentials"
api_token_audience = "https://api.test/app"
[authorization_server.roles.reader]
permissions = ["orders.read"]
[authorization_server.roles.writer]
permissions = ["orders.read", "orders.write"]
[authorization_server.apis."https://api.test/orders"]
scopes = ["orders:read", "orders:write"]
token_lifetime = "24h"
[authorization_server.apis."https://api.test/archive"]
scopes = ["archive:read"]
token_lifetime = "30d"
[authorization_server.apis."https://api.test/ungranted"]
scopes = ["anything"]
[authorization_server.apis."https://api.test/devices"]
scopes = ["devices:read", "devices:write"]
token_lifetime = "1h"
danger_allow_unlimited = true
[authorization_server.apis."https://api.test/app"]
token_lifetime = "1h"

[authorization_server.clients.billing]
secret = "canary-billing-secret-0123456789-abcdefgh"
other_secret = "canary-billing-secret-next-0123456789-abc"
organizations = ["org_acme"]
claims = { "https://corp.test/plan" = { name = "gold", seats = 5 }, regions = ["eu", "us"] }
introspects = ["https://api.test/devices"]
[authorization_server.clients.billing.grants]
"https://api.test/orders" = ["orders:read"]
"https://api.test/archive" = ["archive:read"]
[authorization_server.clients.idle]
secret = "canary-idle-secret-0123456789-abcdefghijk"
[authorization_server.clients.hub]
secret = "canary-hub-secret+with/everything:0123456"
owner = "owner-1"
claims = { site = "plant-7" }
grants = { "https://api.test/devices" = ["devices:read", "devices:write"] }
[authorization_server.clients.gateway]
secret = "canary-gateway-secret-0123456789-abcdefgh"
owner = "owner-2"
token_lifetime = "0s"
grants = { "https://api.test/devices" = ["devices:read"] }
[authorization_server.clients.app]
assertion_issuers = ["authority"]
grants = { "https://api.test/devices" = ["devices:read"] }
"#;

/// The gateway and all that is around it.
pub(crate) struct Systems {
    pub(crate) gateway: Gateway,
    pub(crate) upstream: RecordedUpstream,
    pub(crate) authority: ScriptedIssuer,
    pub(crate) authority_key: SigningKey,
    pub(crate) clock: ManualClock,
    pub(crate) client: HttpClient,
}

/// A token whose signature was verified with the published keys, and nothing of this program.
#[derive(Debug)]
pub(crate) struct ReadToken {
    pub(crate) header: Value,
    pub(crate) claims: Value,
}

impl Systems {
    pub(crate) async fn open() -> Self {
        Self::furnished(|builder| builder).await
    }

    /// With a configuration that `furnish` has changed or added to, and files in its folder.
    pub(crate) async fn furnished(furnish: impl FnOnce(GatewayBuilder) -> GatewayBuilder) -> Self {
        let authority_key = SigningKey::es256("authority-1");
        let authority = ScriptedIssuer::start(&[&authority_key]).await;
        let upstream = RecordedUpstream::start().await;
        let clock = ManualClock::starting_at(UnixTime::from_seconds(START));
        let builder = furnish(GatewayBuilder::new(CONFIG)).issuer(&authority).upstream(&upstream);
        let gateway = builder.clock(clock.clock()).start().await;
        Self { gateway, upstream, authority, authority_key, clock, client: HttpClient::http1() }
    }

    /// What time it is for the gateway, in seconds.
    pub(crate) fn now(&self) -> u64 {
        self.clock.clock().now().as_seconds()
    }

    /// Sends a request to the public listener.
    pub(crate) async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut builder = Request::builder().method(method).uri(self.gateway.url(path));
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        self.client.send(builder.body(Full::new(Bytes::from(body.to_owned()))).expect("a request")).await
    }

    /// Posts JSON.
    pub(crate) async fn post_json(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, &[("content-type", "application/json")], &body.to_string()).await
    }

    /// Posts a form.
    pub(crate) async fn post_form(&self, path: &str, parameters: &[(&str, &str)]) -> Answer {
        self.send(Method::POST, path, &[("content-type", FORM)], &form(parameters)).await
    }

    /// Posts a form with an `Authorization` header.
    pub(crate) async fn post_form_as(&self, path: &str, authorization: &str, parameters: &[(&str, &str)]) -> Answer {
        let headers = [("content-type", FORM), ("authorization", authorization)];
        self.send(Method::POST, path, &headers, &form(parameters)).await
    }

    /// Asks the management API.
    pub(crate) async fn admin(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let mut builder = Request::builder().method(method).uri(self.gateway.admin_url(path));
        if body.is_some() {
            builder = builder.header("content-type", "application/json");
        }
        let body = body.map(ToString::to_string).unwrap_or_default();
        self.client.send(builder.body(Full::new(Bytes::from(body))).expect("a request")).await
    }

    /// Asks the management API for what it does, and gives its answer.
    pub(crate) async fn managed(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let answer = self.admin(method, path, body).await;
        assert!(answer.status.is_success(), "{path}: {} {}", answer.status, answer.text());
        if answer.body.is_empty() { Value::Null } else { answer.json() }
    }

    /// Switches all machine-to-machine tokens on or off.
    pub(crate) async fn switch(&self, enabled: bool) {
        let switches = self.managed(Method::PUT, "/api/v1/switches", Some(&json!({ "m2m_enabled": enabled }))).await;
        assert_eq!(switches["m2m_enabled"], json!(enabled));
    }

    /// The recorded tokens that the management API lists under `query`.
    pub(crate) async fn listed(&self, query: &str) -> Vec<Value> {
        let page = self.managed(Method::GET, &format!("/api/v1/tokens?{query}"), None).await;
        page["tokens"].as_array().expect("a list").clone()
    }

    /// The token opens `path`, and nothing of it goes further than the gateway.
    pub(crate) async fn opens(&self, path: &str, header: &str, value: &str) {
        let before = self.upstream.count();
        let answer = self.send(Method::GET, path, &[(header, value)], "").await;
        assert_eq!((answer.status, answer.text().as_str()), (StatusCode::OK, "upstream"), "{path}");
        assert_eq!(self.upstream.count(), before + 1);
        let arrived = self.upstream.last();
        assert_eq!(arrived.target, path);
        assert!(!arrived.headers.contains_key(header), "{header} went on");
    }

    /// The token does not open `path`, for `reason`, and the upstream hears nothing.
    pub(crate) async fn does_not_open(&self, path: &str, header: &str, value: &str, status: u16, reason: &str) {
        let before = self.upstream.count();
        let answer = self.send(Method::GET, path, &[(header, value)], "").await;
        assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (status, reason), "{path} {}", answer.text());
        assert!(answer.header("www-authenticate").starts_with("Bearer"), "{path}");
        assert_eq!(self.upstream.count(), before);
    }

    /// A token of the authority, which is about `user-1` and meant for the embedded issuer; `changes` are made to it.
    pub(crate) fn authority_token(&self, changes: &Value) -> String {
        self.authority_key.token(&self.authority_claims(changes))
    }

    /// The claims of such a token.
    pub(crate) fn authority_claims(&self, changes: &Value) -> Value {
        let claims = json!({
            "iss": self.authority.name(), "aud": ISSUER, "sub": "user-1", "owner": "owner-1", "device_id": "device-1",
            "iat": self.now(), "exp": self.now() + 600,
        });
        changed(claims, changes)
    }

    /// The key ids of the key document at `path`.
    pub(crate) async fn key_ids(&self, path: &str) -> Vec<String> {
        let document = self.send(Method::GET, path, &[], "").await.json();
        let keys = document["keys"].as_array().expect("a list");
        keys.iter().map(|key| key["kid"].as_str().expect("a key id").to_owned()).collect()
    }

    /// Verifies the signature as any resource server would. Whether the token has expired is not looked at.
    pub(crate) async fn read(&self, token: &str) -> ReadToken {
        let document = self.send(Method::GET, "/.well-known/jwks.json", &[], "").await.json();
        let keys: JwkSet = serde_json::from_value(document).expect("a key set");
        let header = jsonwebtoken::decode_header(token).expect("a header");
        let key = keys.find(header.kid.as_deref().expect("a key id")).expect("the key is published");
        let mut validation = Validation::new(header.alg);
        // The test's clock is not the system's.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let key = DecodingKey::from_jwk(key).expect("a key");
        let claims = jsonwebtoken::decode::<Value>(token, &key, &validation).expect("it verifies").claims;
        ReadToken { header: part(token, 0), claims }
    }
}

/// The members of a part of a JWT, as they stand there.
pub(crate) fn part(token: &str, position: usize) -> Value {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    let part = token.split('.').nth(position).expect("a JWT");
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
}

/// A form.
pub(crate) fn form(parameters: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

/// `Authorization: Basic` of exactly these bytes.
pub(crate) fn basic(credentials: &str) -> String {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    format!("Basic {}", BASE64_STANDARD.encode(credentials))
}

/// The value of `Authorization` with this token.
pub(crate) fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// The text of a member.
pub(crate) fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_else(|| panic!("{member} is no text in {value}")).to_owned()
}

/// It is an answer of a token endpoint: JSON that no cache keeps.
pub(crate) fn assert_uncached_json(answer: &Answer) {
    assert_eq!(answer.header("content-type"), "application/json", "{}", answer.text());
    assert_eq!((answer.header("cache-control"), answer.header("pragma")), ("no-store", "no-cache"));
}

/// It is exactly this answer, of a token endpoint.
pub(crate) fn assert_answer(answer: &Answer, status: u16, body: &Value) {
    assert_eq!((answer.status.as_u16(), &answer.json()), (status, body));
    assert_uncached_json(answer);
}
