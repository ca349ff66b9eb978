//! A gateway with an embedded issuer, as those see it who ask it for tokens, use them, and manage it.

use std::{
    collections::{BTreeSet, HashMap},
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use postern::config::StoreConfig;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{
    client::{Answer, HttpClient},
    forge::SigningKey,
    gateway::{Gateway, GatewayBuilder},
    upstream::RecordedUpstream,
};

/// What its tokens say they are from; nobody listens there.
pub(crate) const ISSUER: &str = "https://issuer.test/one";
/// The only API.
pub(crate) const AUDIENCE: &str = "https://api.test/orders";
/// The client of the configuration, and its secret.
pub(crate) const BILLING: (&str, &str) = ("billing", "canary-secret-of-billing-0123456789");
/// Where tokens are asked for, in each dialect.
pub(crate) const OAUTH2: &str = "/oauth/token";
pub(crate) const AUTH0: &str = "/auth0/oauth/token";
pub(crate) const PLGD: &str = "/plgd/oauth/token";
pub(crate) const FRONTEGG: &str = "/frontegg/auth/v1/api-token";

/// A route for clients, one for a tenant's API tokens, and one client; all dialects. Asks for `${UPSTREAM}` and `${STORE}`. Nobody is locked out, since the tests present
/// many a secret that is good no more.
pub(crate) const CONFIG: &str = r#"
[process]
workers = 2
grace_period = "1s"
[telemetry]
access_log = "off"
[listeners.public]
address = "127.0.0.1:0"
[admin]
address = "127.0.0.1:0"
[issuers.own]
embedded = true
audience = "https://api.test/orders"
[upstreams.orders]
endpoints = ["${UPSTREAM}"]
[routes.orders]
path = "/orders"
upstream = "orders"
[routes.orders.require]
scopes = ["orders:read"]
[routes.mine]
path = "/mine"
upstream = "orders"
[routes.mine.require]
claims = { tenantId = "acme" }
[token_endpoints.oauth]
path = "/oauth/token"
serve = "embedded"
lockout = { failures = 0 }
[token_endpoints.auth0]
path = "/auth0/oauth/token"
dialect = "auth0"
serve = "embedded"
lockout = { failures = 0 }
[token_endpoints.plgd]
path = "/plgd/oauth/token"
dialect = "plgd"
serve = "embedded"
lockout = { failures = 0 }
[token_endpoints.frontegg]
path = "/frontegg/auth/v1/api-token"
dialect = "frontegg"
serve = "embedded"
lockout = { failures = 0 }
[authorization_server]
issuer = "https://issuer.test/one"
store = "${STORE}"
api_tokens = "client_credentials"
[authorization_server.apis."https://api.test/orders"]
scopes = ["orders:read", "orders:write"]
[authorization_server.clients.billing]
secret = "canary-secret-of-billing-0123456789"
grants = { "https://api.test/orders" = ["orders:read"] }
owner = "ann"
"#;

/// How long a change may take to be in force on another replica, from its answer on.
pub(crate) const SPREAD: Duration = Duration::from_secs(2);

/// Where it is.
#[derive(Clone)]
pub(crate) struct Issuing {
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) client: HttpClient,
}

/// A gateway in this process whose issuer keeps what it knows at `location`, about to be started.
pub(crate) fn replica(location: &StoreConfig, upstream: &RecordedUpstream) -> GatewayBuilder {
    GatewayBuilder::whole(CONFIG).upstream(upstream).variable("STORE", &written(location))
}

/// A location as it is written in a configuration.
pub(crate) fn written(location: &StoreConfig) -> String {
    match location {
        StoreConfig::Sqlite(file) => format!("sqlite:{}", file.display()),
        StoreConfig::Postgres(url) => url.expose().to_owned(),
    }
}

/// The configuration in a file of `folder`, for the program.
pub(crate) fn write_config(folder: &Path, location: &StoreConfig, upstream: &RecordedUpstream) -> PathBuf {
    let text = CONFIG.replace("${UPSTREAM}", &upstream.url()).replace("${STORE}", &written(location));
    super::launch::write(folder, "postern.toml", &text)
}

impl Issuing {
    /// At these addresses.
    pub(crate) fn at(public: SocketAddr, admin: SocketAddr) -> Self {
        Self { public, admin, client: HttpClient::http1() }
    }

    /// In this process.
    pub(crate) fn of(gateway: &Gateway) -> Self {
        Self::at(gateway.address(), gateway.running().admin_address().expect("there is an admin listener"))
    }

    /// Posts a form to the public listener; an error is a connection that was cut.
    pub(crate) async fn try_form(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Answer, String> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        let request = Request::post(format!("http://{}{path}", self.public))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Full::new(Bytes::from(body)))
            .expect("a request");
        self.client.try_send(request).await
    }

    /// Posts a form to the public listener.
    pub(crate) async fn form(&self, path: &str, parameters: &[(&str, &str)]) -> Answer {
        self.try_form(path, parameters).await.expect("an answer")
    }

    /// Asks for a token by a secret, in a dialect that knows forms.
    pub(crate) async fn ask_at(&self, path: &str, (client_id, secret): (&str, &str)) -> Answer {
        self.form(path, &grant(client_id, secret)).await
    }

    /// Asks for a token by a secret, as RFC 6749 says.
    pub(crate) async fn ask(&self, credentials: (&str, &str)) -> Answer {
        self.ask_at(OAUTH2, credentials).await
    }

    /// A token for who has this secret.
    pub(crate) async fn token(&self, credentials: (&str, &str)) -> String {
        let answer = self.ask(credentials).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        token_in(&answer)
    }

    /// Asks for a token by an assertion (RFC 7523).
    pub(crate) async fn ask_by_assertion(&self, assertion: &str) -> Answer {
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        let parameters =
            [("grant_type", "client_credentials"), ("client_assertion_type", kind), ("client_assertion", assertion)];
        self.form(OAUTH2, &parameters).await
    }

    /// Posts JSON to the public listener.
    pub(crate) async fn json(&self, path: &str, body: Value) -> Answer {
        let request = Request::post(format!("http://{}{path}", self.public))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body.to_string())))
            .expect("a request");
        self.client.send(request).await
    }

    /// Exchanges an API token for an access token, in the dialect of those.
    pub(crate) async fn exchange(&self, (client_id, secret): (&str, &str)) -> Answer {
        self.json(FRONTEGG, json!({ "clientId": client_id, "secret": secret })).await
    }

    /// Exchanges a refresh token for the next one.
    pub(crate) async fn refresh(&self, refresh_token: &str) -> Answer {
        self.json(&format!("{FRONTEGG}/token/refresh"), json!({ "refreshToken": refresh_token })).await
    }

    /// Uses what an API token was exchanged for at the route for those.
    pub(crate) async fn mine(&self, token: &str) -> Answer {
        self.client.get(&format!("http://{}/mine", self.public), Some(token)).await
    }

    /// Uses a token at the route.
    pub(crate) async fn orders(&self, token: &str) -> Answer {
        self.client.get(&format!("http://{}/orders", self.public), Some(token)).await
    }

    /// Whether the route lets a token through; another answer than yes and no fails the test.
    pub(crate) async fn accepts(&self, token: &str) -> bool {
        let answer = self.orders(token).await;
        assert!([200, 401].contains(&answer.status.as_u16()), "{} {}", answer.status, answer.text());
        answer.status == 200
    }

    /// Whether who has this secret gets a token; another answer than yes and no fails the test.
    pub(crate) async fn issues_to(&self, credentials: (&str, &str)) -> bool {
        let answer = self.ask(credentials).await;
        assert!([200, 400, 401].contains(&answer.status.as_u16()), "{} {}", answer.status, answer.text());
        answer.status == 200
    }

    /// Asks the management API, with a body unless it is null; an error is a connection that was cut.
    pub(crate) async fn try_manage(&self, method: Method, path: &str, body: Value) -> Result<Answer, String> {
        let mut builder = Request::builder().method(method).uri(format!("http://{}/api/v1{path}", self.admin));
        let mut bytes = Bytes::new();
        if !body.is_null() {
            builder = builder.header("content-type", "application/json");
            bytes = Bytes::from(body.to_string());
        }
        self.client.try_send(builder.body(Full::new(bytes)).expect("a request")).await
    }

    /// Asks the management API.
    pub(crate) async fn manage(&self, method: Method, path: &str, body: Value) -> Answer {
        self.try_manage(method, path, body).await.expect("an answer")
    }

    /// Has the management API do something, which succeeds; what it says.
    pub(crate) async fn done(&self, method: Method, path: &str, body: Value) -> Value {
        let answer = self.manage(method, path, body).await;
        assert!(answer.status.is_success(), "{path}: {} {}", answer.status, answer.text());
        if answer.body.is_empty() { Value::Null } else { answer.json() }
    }

    /// Posts to the management API.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        self.done(Method::POST, path, body).await
    }

    /// Reads from the management API.
    pub(crate) async fn read(&self, path: &str) -> Value {
        self.done(Method::GET, path, Value::Null).await
    }

    /// Registers a client; its secret.
    pub(crate) async fn register(&self, id: &str) -> String {
        text(&self.post("/clients", registration(id)).await["secret"])
    }

    /// Revokes one token.
    pub(crate) async fn revoke(&self, token: &str) {
        self.post("/revocations", json!({ "token_id": id_of(token) })).await;
    }

    /// Switches everything off or on.
    pub(crate) async fn switch(&self, on: bool) {
        self.done(Method::PUT, "/switches", json!({ "m2m_enabled": on })).await;
    }

    /// The ids of the signing keys that play this part.
    pub(crate) async fn keys(&self, state: &str) -> Vec<String> {
        let keys = self.read("/keys").await;
        let keys = keys["keys"].as_array().expect("a list").iter();
        keys.filter(|key| key["state"] == state).map(|key| text(&key["key_id"])).collect()
    }

    /// The tokens that are listed, newest first until all that are `wanted` were seen, and whether each is revoked.
    pub(crate) async fn listed(&self, mut wanted: BTreeSet<String>) -> HashMap<String, bool> {
        let mut found = HashMap::new();
        let mut place = String::new();
        while !wanted.is_empty() {
            let page = self.read(&format!("/tokens?limit=1000&include_revoked=true{place}")).await;
            for token in page["tokens"].as_array().expect("a list") {
                let id = text(&token["id"]);
                wanted.remove(&id);
                found.insert(id, token["state"] == "revoked");
            }
            let Some(next) = page["next"].as_str() else { break };
            let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
            place = format!("&after={next}");
        }
        found
    }
}

/// What asks for a token by a secret.
pub(crate) fn grant<'a>(client_id: &'a str, secret: &'a str) -> [(&'a str, &'a str); 4] {
    let kind = ("grant_type", "client_credentials");
    [kind, ("client_id", client_id), ("client_secret", secret), ("audience", AUDIENCE)]
}

/// What registers a client that may use the route.
pub(crate) fn registration(id: &str) -> Value {
    json!({ "id": id, "grants": { AUDIENCE: ["orders:read"] } })
}

/// An assertion of a client, good for a minute and once.
pub(crate) fn assertion(key: &SigningKey, client_id: &str) -> String {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_secs();
    let jti = postern::id::TokenId::generate().to_string();
    let claims = json!({
        "iss": client_id, "sub": client_id, "aud": ISSUER, "jti": jti, "iat": now, "exp": now + 60,
    });
    let header = json!({ "alg": key.algorithm(), "kid": key.key_id, "typ": "JWT" });
    key.token_of(key.algorithm(), &header.to_string(), &claims.to_string())
}

/// The token of an answer.
pub(crate) fn token_in(answer: &Answer) -> String {
    text(&answer.json()["access_token"])
}

/// What stands in the second part of a token.
pub(crate) fn claims_of(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("three parts");
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).expect("base64url")).expect("JSON")
}

/// The `jti` of a token.
pub(crate) fn id_of(token: &str) -> String {
    text(&claims_of(token)["jti"])
}

/// The `kid` of a token.
pub(crate) fn key_of(token: &str) -> String {
    let header = token.split('.').next().expect("three parts");
    let header: Value =
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(header).expect("base64url")).expect("JSON");
    text(&header["kid"])
}

/// A JSON text.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

/// Waits until `condition` holds, which has to be within `limit` from now; how long it was before that could be told.
pub(crate) async fn within<F: Future<Output = bool>>(
    limit: Duration,
    what: &str,
    mut condition: impl FnMut() -> F,
) -> Duration {
    let since = Instant::now();
    loop {
        // What was asked in time counts, though its answer may come late on a busy machine.
        let asked = since.elapsed();
        assert!(asked < limit, "not within {limit:?}: {what}");
        if condition().await {
            return since.elapsed();
        }
        sleep(Duration::from_millis(5)).await;
    }
}
