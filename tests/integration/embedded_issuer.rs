//! The embedded issuer through the gateway's public listener: tokens, documents, keys, and being switched off.

use std::net::SocketAddr;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::JwkSet};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::support::{
    client::{Answer, HttpClient, request},
    gateway::{Gateway, GatewayBuilder},
    upstream::RecordedUpstream,
};

const AUDIENCE: &str = "https://api.test/orders";

/// The listener has a port that is known beforehand, because the issuer's name holds it.
const CONFIG: &str = r#"
[process]
workers = 2
data_directory = "${DATA}"
[telemetry]
access_log = "off"
[listeners.public]
address = "${ADDRESS}"
[admin]
address = "127.0.0.1:0"
[issuers.local]
embedded = true
algorithms = ["ES256", "RS256"]
audience = "https://api.test/orders"
[upstreams.orders]
endpoints = ["${UPSTREAM}"]
[routes.orders]
path = "/orders/{*rest}"
upstream = "orders"
[routes.orders.require]
scopes = ["orders:read"]
[routes.orders.identity]
headers = { "x-client-id" = "client_id", "x-tenant" = "tenant_id" }
[token_endpoints.oauth]
path = "/oauth/token"
serve = "embedded"
[authorization_server]
issuer = "http://${ADDRESS}/tenants/one"
m2m_enabled = true
[authorization_server.signing]
algorithm = "ES256"
[authorization_server.apis."https://api.test/orders"]
scopes = ["orders:read", "orders:write"]
[authorization_server.clients.billing]
secret = "the secret of billing+%&="
grants = { "https://api.test/orders" = ["orders:read"] }
claims = { tenant_id = "acme" }
# more clients
"#;

const SECRET: &str = "the secret of billing+%&=";

struct House {
    gateway: Gateway,
    address: SocketAddr,
    upstream: RecordedUpstream,
    data: TempDir,
    client: HttpClient,
}

impl House {
    async fn open() -> Self {
        Self::over(tempfile::tempdir().expect("a folder"), CONFIG).await
    }

    /// One that keeps its keys in `data`.
    async fn over(data: TempDir, config: &str) -> Self {
        let upstream = RecordedUpstream::start().await;
        loop {
            // Somebody else may take the port in between; then another one is tried.
            let address = TcpListener::bind("127.0.0.1:0").await.and_then(|probe| probe.local_addr()).expect("a port");
            let builder = GatewayBuilder::whole(config).upstream(&upstream).variable("ADDRESS", &address.to_string());
            let builder = builder.variable("DATA", data.path().to_str().expect("UTF-8"));
            if let Ok(gateway) = builder.try_start().await {
                return Self { gateway, address, upstream, data, client: HttpClient::http1() };
            }
        }
    }

    fn issuer(&self) -> String {
        format!("http://{}/tenants/one", self.address)
    }

    async fn get(&self, url: &str) -> Answer {
        self.client.get(url, None).await
    }

    async fn post(&self, content_type: &str, authorization: Option<&str>, body: String) -> Answer {
        let mut builder = Request::builder().method(Method::POST).uri(self.gateway.url("/oauth/token"));
        builder = builder.header("content-type", content_type);
        if let Some(authorization) = authorization {
            builder = builder.header("authorization", authorization);
        }
        self.client.send(builder.body(Full::new(Bytes::from(body))).expect("a request")).await
    }

    async fn form(&self, parameters: &[(&str, &str)]) -> Answer {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        self.post("application/x-www-form-urlencoded", None, body).await
    }

    /// A token for `client_id`, by form.
    async fn ask_for_token(&self, client_id: &str, secret: &str) -> Answer {
        self.form(&[("grant_type", "client_credentials"), ("client_id", client_id), ("client_secret", secret)]).await
    }

    async fn token(&self) -> String {
        let answer = self.ask_for_token("billing", SECRET).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        token_in(&answer)
    }

    async fn orders(&self, token: &str) -> Answer {
        self.client.get(&self.gateway.url("/orders/1"), Some(token)).await
    }

    /// Changes the configuration; on return it is in force.
    async fn reload_with(&self, from: &str, to: &str) {
        self.gateway.edit(from, to);
        let answer = self.client.send(request(Method::POST, &self.gateway.admin_url("/api/v1/reload"), None)).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    }

    async fn key_document(&self) -> Value {
        self.get(&format!("{}/.well-known/jwks.json", self.issuer())).await.json()
    }

    /// Verifies as any resource server would, with the published keys and nothing of this program.
    async fn verified_elsewhere(&self, token: &str) -> Value {
        let keys: JwkSet = serde_json::from_value(self.key_document().await).expect("a key set");
        let header = jsonwebtoken::decode_header(token).expect("a header");
        assert_eq!(header.typ.as_deref(), Some("at+jwt"));
        let key = keys.find(header.kid.as_deref().expect("a key id")).expect("the key is published");
        let mut validation = Validation::new(header.alg);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[self.issuer()]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        let key = DecodingKey::from_jwk(key).expect("a key");
        jsonwebtoken::decode::<Value>(token, &key, &validation).expect("it verifies").claims
    }
}

fn token_in(answer: &Answer) -> String {
    answer.json()["access_token"].as_str().expect("a token").to_owned()
}

fn key_ids(document: &Value) -> Vec<String> {
    let keys = document["keys"].as_array().expect("a list");
    keys.iter().map(|key| key["kid"].as_str().expect("a key id").to_owned()).collect()
}

/// RFC 6749 section 5.2, and nothing to be kept.
fn assert_error(answer: &Answer, status: u16, code: &str) {
    let told = answer.json();
    assert_eq!((answer.status.as_u16(), told["error"].as_str()), (status, Some(code)), "{told}");
    assert!(told["error_description"].is_string() && told.get("access_token").is_none());
    assert_eq!(told.as_object().map(serde_json::Map::len), Some(2), "{told}");
    assert_headers(answer);
}

fn assert_headers(answer: &Answer) {
    assert_eq!((answer.header("cache-control"), answer.header("pragma")), ("no-store", "no-cache"));
    assert_eq!(answer.header("content-type"), "application/json");
}

#[tokio::test]
async fn a_token_comes_by_form_json_and_basic_and_opens_the_route() {
    let house = House::open().await;
    let json_body = json!({
        "grant_type": "client_credentials", "client_id": "billing", "client_secret": SECRET, "audience": AUDIENCE
    });
    // RFC 6749 section 2.3.1: form-encoded before they are joined.
    let basic = BASE64_STANDARD.encode("billing:the+secret+of+billing%2B%25%26%3D");
    let form = "application/x-www-form-urlencoded";
    let answers = [
        house.ask_for_token("billing", SECRET).await,
        house.post("application/json", None, json_body.to_string()).await,
        house
            .post(form, Some(&format!("Basic {basic}")), "grant_type=client_credentials&scope=orders%3Aread".to_owned())
            .await,
    ];
    let mut ids = Vec::new();
    for answer in answers {
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        assert_headers(&answer);
        let told = answer.json();
        assert_eq!((&told["token_type"], &told["expires_in"]), (&json!("Bearer"), &json!(3600)));
        let token = token_in(&answer);
        let claims = house.verified_elsewhere(&token).await;
        assert_eq!((&claims["client_id"], &claims["sub"]), (&json!("billing"), &json!("billing")));
        assert_eq!((&claims["scope"], &claims["tenant_id"]), (&json!("orders:read"), &json!("acme")));
        ids.push(claims["jti"].as_str().expect("an id").to_owned());
        assert_eq!(house.orders(&token).await.status, StatusCode::OK);
        let arrived = house.upstream.last().headers;
        assert_eq!(
            (arrived["x-client-id"].as_bytes(), arrived["x-tenant"].as_bytes()),
            (&b"billing"[..], &b"acme"[..])
        );
        assert!(!arrived.contains_key("authorization"));
    }
    ids.dedup();
    assert_eq!((ids.len(), house.upstream.count()), (3, 3));
    assert_eq!(house.client.get(&house.gateway.url("/orders/1"), None).await.status, 401);
}

#[tokio::test]
async fn what_is_refused_is_refused_in_the_shape_of_the_rfc() {
    let house = House::open().await;
    let grant = ("grant_type", "client_credentials");
    let (id, secret) = (("client_id", "billing"), ("client_secret", SECRET));
    for (parameters, status, code) in [
        (&[id, secret][..], 400, "invalid_request"),
        (&[("grant_type", "password"), id, secret], 400, "unsupported_grant_type"),
        (&[grant], 401, "invalid_client"),
        (&[grant, id], 401, "invalid_client"),
        (&[grant, id, ("client_secret", "wrong")], 401, "invalid_client"),
        (&[grant, ("client_id", "nobody"), secret], 401, "invalid_client"),
        (&[grant, id, secret, ("scope", "orders:write")], 400, "invalid_scope"),
        (&[grant, id, secret, ("scope", "\"")], 400, "invalid_scope"),
        (&[grant, id, secret, ("audience", "https://elsewhere.test/")], 400, "invalid_target"),
        (&[grant, grant, id, secret], 400, "invalid_request"),
        (&[grant, id, secret, secret], 400, "invalid_request"),
    ] {
        let answer = house.form(parameters).await;
        assert_error(&answer, status, code);
        assert_eq!(answer.headers.contains_key("www-authenticate"), status == 401, "{parameters:?}");
        assert!(!answer.text().contains(SECRET));
    }
    for (content_type, body) in
        [("text/plain", "grant_type=client_credentials"), ("application/json", "{"), ("application/json", "[]")]
    {
        assert_error(&house.post(content_type, None, body.to_owned()).await, 400, "invalid_request");
    }
    let huge = format!("grant_type=client_credentials&client_id={}", "x".repeat(1024 * 1024));
    assert_error(&house.post("application/x-www-form-urlencoded", None, huge).await, 413, "invalid_request");
    assert_eq!(house.ask_for_token("billing", SECRET).await.status, StatusCode::OK);
}

#[tokio::test]
async fn only_post_asks_for_tokens() {
    let house = House::open().await;
    let url = house.gateway.url("/oauth/token");
    let query = format!("{url}?grant_type=client_credentials&client_id=billing&client_secret=x");
    for (method, url) in [(Method::GET, &url), (Method::GET, &query), (Method::PUT, &url), (Method::DELETE, &url)] {
        let answer = house.client.send(request(method, url, None)).await;
        assert_error(&answer, 405, "invalid_request");
        assert_eq!(answer.header("allow"), "POST");
    }
    assert_eq!(house.ask_for_token("billing", SECRET).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_wrong_secret_and_an_unknown_client_get_one_and_the_same_answer() {
    let house = House::open().await;
    let wrong = house.ask_for_token("billing", "wrong").await;
    assert_error(&wrong, 401, "invalid_client");
    for (client_id, secret) in [("nobody", "wrong"), ("nobody", SECRET), ("BILLING", SECRET), ("billing ", SECRET)] {
        let answer = house.ask_for_token(client_id, secret).await;
        assert_eq!((answer.status, &answer.body), (wrong.status, &wrong.body), "{client_id:?}");
        let others = |answer: &Answer| {
            let mut headers = answer.headers.clone();
            headers.remove("x-request-id");
            headers.remove("date");
            headers
        };
        assert_eq!(others(&answer), others(&wrong), "{client_id:?}");
    }
    assert_eq!(house.ask_for_token("billing", SECRET).await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_documents_are_served_agree_and_lead_to_what_they_name() {
    let house = House::open().await;
    let oauth =
        house.get(&format!("http://{}/.well-known/oauth-authorization-server/tenants/one", house.address)).await;
    let openid = house.get(&format!("{}/.well-known/openid-configuration", house.issuer())).await;
    for answer in [&oauth, &openid] {
        assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "application/json"));
        assert!(answer.header("cache-control").contains("max-age="));
    }
    let (oauth, openid) = (oauth.json(), openid.json());
    for member in ["issuer", "jwks_uri", "token_endpoint", "grant_types_supported", "scopes_supported"] {
        assert_eq!(oauth[member], openid[member], "{member}");
    }
    assert_eq!(oauth["issuer"], json!(house.issuer()));
    assert_eq!(oauth["scopes_supported"], json!(["orders:read", "orders:write"]));
    let keys = house.get(oauth["jwks_uri"].as_str().expect("an address")).await;
    assert_eq!((keys.status, keys.header("content-type")), (StatusCode::OK, "application/jwk-set+json"));
    assert_eq!(keys.json()["keys"].as_array().map(Vec::len), Some(2), "the current key and the next");
    for private in ["\"d\"", "\"p\"", "\"q\"", "PRIVATE"] {
        assert!(!keys.text().contains(private), "{private}");
    }
    let endpoint = oauth["token_endpoint"].as_str().expect("an address");
    let body = "grant_type=client_credentials&client_id=billing&client_secret=wrong";
    let request = Request::post(endpoint).header("content-type", "application/x-www-form-urlencoded");
    let answer = house.client.send(request.body(Full::from(body)).expect("a request")).await;
    assert_error(&answer, 401, "invalid_client");
}

/// Another gateway, to which this one is an issuer like any other.
#[tokio::test]
async fn another_gateway_finds_the_keys_by_discovery_and_takes_the_tokens() {
    let house = House::open().await;
    let config = "[issuers.house]\nissuer = \"${ISSUER}\"\ntoken_type = \"at+jwt\"\naudience = \"https://api.test/orders\"\n\
                  [upstreams.orders]\nendpoints = [\"${UPSTREAM}\"]\n[routes.orders]\npath = \"/orders\"\n\
                  upstream = \"orders\"\n[routes.orders.require]\nscopes = [\"orders:read\"]\n";
    let builder = GatewayBuilder::new(config).upstream(&house.upstream).variable("ISSUER", &house.issuer());
    let other = builder.start().await;
    let answer = house.client.get(&other.url("/orders"), Some(&house.token().await)).await;
    assert_eq!((answer.status, house.upstream.count()), (StatusCode::OK, 1));
}

#[tokio::test]
async fn switched_off_nothing_is_issued_and_no_token_counts_until_it_is_on_again() {
    let house = House::open().await;
    let token = house.token().await;
    assert_eq!(house.orders(&token).await.status, StatusCode::OK);
    house.reload_with("m2m_enabled = true", "m2m_enabled = false").await;
    assert_error(&house.ask_for_token("billing", SECRET).await, 400, "unauthorized_client");
    assert_error(&house.ask_for_token("billing", "wrong").await, 401, "invalid_client");
    let before = house.upstream.count();
    for client in [house.client.clone(), HttpClient::http1(), HttpClient::http1(), HttpClient::http2()] {
        let refused = client.get(&house.gateway.url("/orders/1"), Some(&token)).await;
        assert_eq!((refused.status.as_u16(), refused.reason().as_str()), (401, "issuer_disabled"));
    }
    assert_eq!(house.upstream.count(), before);
    let issuers = house.get(&house.gateway.admin_url("/api/v1/issuers")).await.json();
    assert_eq!(issuers[0]["state"], "disabled");
    house.reload_with("m2m_enabled = false", "m2m_enabled = true").await;
    assert_eq!(house.orders(&token).await.status, StatusCode::OK);
    assert_eq!(house.orders(&house.token().await).await.status, StatusCode::OK);
}

#[tokio::test]
async fn keys_survive_a_restart_and_their_tokens_with_them() {
    let house = House::open().await;
    let (token, keys) = (house.token().await, key_ids(&house.key_document().await));
    let House { gateway, data, address, .. } = house;
    gateway.drain().await;
    // Another address, so the issuer would have another name; it is given the old one.
    let config = CONFIG.replace("http://${ADDRESS}/", &format!("http://{address}/"));
    let house = House::over(data, &config).await;
    let document = house.get(&house.gateway.url("/tenants/one/.well-known/jwks.json")).await.json();
    assert_eq!(key_ids(&document), keys);
    assert_eq!(house.orders(&token).await.status, StatusCode::OK);
    let strange = House::open().await;
    assert_eq!(strange.orders(&token).await.reason(), "unknown_issuer", "the control: another issuer's house");
}

#[tokio::test]
async fn both_algorithms_issue_and_a_change_keeps_the_tokens_that_are_out() {
    let house = House::open().await;
    let elliptic = house.token().await;
    let before = key_ids(&house.key_document().await);
    house.reload_with("algorithm = \"ES256\"", "algorithm = \"RS256\"").await;
    let rsa = house.token().await;
    for (token, algorithm) in [(&elliptic, Algorithm::ES256), (&rsa, Algorithm::RS256)] {
        assert_eq!(jsonwebtoken::decode_header(token).expect("a header").alg, algorithm);
        house.verified_elsewhere(token).await;
        assert_eq!(house.orders(token).await.status, StatusCode::OK);
    }
    let after = key_ids(&house.key_document().await);
    assert!(before.iter().all(|id| after.contains(id)) && after.len() == 4, "{before:?} {after:?}");
}

#[tokio::test]
async fn clients_come_and_go_with_a_reload() {
    let house = House::open().await;
    let new = "[authorization_server.clients.reports]\nsecret = \"the secret of reports\"\n\
               grants = { \"https://api.test/orders\" = [\"orders:read\"] }\n";
    assert_error(&house.ask_for_token("reports", "the secret of reports").await, 401, "invalid_client");
    let billing = house.token().await;
    house.reload_with("# more clients\n", new).await;
    let reports = house.ask_for_token("reports", "the secret of reports").await;
    assert_eq!(reports.status, StatusCode::OK);
    assert_eq!(house.orders(&token_in(&reports)).await.status, StatusCode::OK);
    assert_eq!(house.upstream.last().headers["x-client-id"], "reports");
    assert_eq!(house.orders(&billing).await.status, StatusCode::OK, "the other client's token stays good");
    house.reload_with(new, "").await;
    assert_error(&house.ask_for_token("reports", "the secret of reports").await, 401, "invalid_client");
    assert_eq!(house.ask_for_token("billing", SECRET).await.status, StatusCode::OK);
    house.reload_with(SECRET, "a new secret of billing").await;
    assert_error(&house.ask_for_token("billing", SECRET).await, 401, "invalid_client");
    assert_eq!(house.ask_for_token("billing", "a new secret of billing").await.status, StatusCode::OK);
}

#[tokio::test]
async fn another_data_directory_is_for_the_next_start_and_withdraws_no_key() {
    let house = House::open().await;
    let token = house.token().await;
    let keys = key_ids(&house.key_document().await);
    house.reload_with("data_directory = \"${DATA}\"", "data_directory = \"${DATA}/elsewhere\"").await;
    assert_eq!(house.orders(&token).await.status, StatusCode::OK);
    assert_eq!(key_ids(&house.key_document().await), keys);
    assert!(!house.data.path().join("elsewhere").exists());
}

#[tokio::test]
async fn a_reload_without_the_issuer_refuses_its_tokens_and_serves_its_documents_no_more() {
    let house = House::open().await;
    let token = house.token().await;
    assert_eq!(house.orders(&token).await.status, StatusCode::OK);
    let text = std::fs::read_to_string(house.gateway.file()).expect("readable");
    let (head, _) = text.split_once("[token_endpoints.oauth]").expect("a token endpoint");
    let without =
        head.replace("embedded = true", "issuer = \"http://127.0.0.1:1\"\njwks_uri = \"http://127.0.0.1:1/jwks\"");
    house.reload_with(&text, &without).await;
    let before = house.upstream.count();
    let refused = house.orders(&token).await;
    assert_eq!((refused.status.as_u16(), refused.reason().as_str()), (401, "unknown_issuer"));
    assert_eq!(house.get(&house.gateway.url("/tenants/one/.well-known/jwks.json")).await.status, 404);
    assert_eq!(house.ask_for_token("billing", SECRET).await.status, 404);
    assert_eq!(house.upstream.count(), before);
    house.reload_with(&without, &text).await;
    assert_eq!(house.orders(&token).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_route_for_the_whole_host_sees_no_secret_of_a_client() {
    let everything = "[routes.all]\nhost = \"127.0.0.1\"\npath = \"/{*rest}\"\nupstream = \"orders\"\npublic = true\n";
    let house = House::over(tempfile::tempdir().expect("a folder"), &format!("{CONFIG}\n{everything}")).await;
    house.token().await;
    assert!(house.key_document().await["keys"].is_array());
    assert_eq!(house.upstream.count(), 0, "{:?}", house.upstream.requests());
    assert_eq!(house.get(&house.gateway.url("/else")).await.status, StatusCode::OK);
    assert_eq!(house.upstream.last().target, "/else");
}
