//! The `plgd` dialect's own management: an owner lists and revokes its tokens, and nobody else's.

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::support::{
    client::{Answer, HttpClient},
    forge::{SigningKey, claims},
    gateway::{Gateway, GatewayBuilder},
    issuer::ScriptedIssuer,
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
[token_endpoints.devices]
path = "/m2m-oauth-server/oauth/token"
dialect = "plgd"
serve = "embedded"
[token_endpoints.devices.management.require]
claims = { env = "prod" }
[token_endpoints.bare]
path = "/bare/oauth/token"
dialect = "plgd"
serve = "embedded"
[authorization_server]
issuer = "https://id.own.example/"
[authorization_server.apis."https://api.test/orders"]
scopes = ["read"]
danger_allow_unlimited = true
[authorization_server.apis."https://api.test/stock"]
[authorization_server.clients.ann]
secret = "the secret of ann"
owner = "ann"
grants = { "https://api.test/orders" = ["read"], "https://api.test/stock" = [] }
[authorization_server.clients.bob]
secret = "the secret of bob"
owner = "bob"
grants = { "https://api.test/orders" = ["read"] }
"#;

const TOKENS: &str = "/m2m-oauth-server/api/v1/tokens";
const BLACKLIST: &str = "/m2m-oauth-server/api/v1/blacklist";

struct World {
    key: SigningKey,
    gateway: Gateway,
    client: HttpClient,
    _upstream: RecordedUpstream,
    _issuer: ScriptedIssuer,
}

impl World {
    async fn open() -> Self {
        let key = SigningKey::es256("k1");
        let issuer = ScriptedIssuer::start(&[&key]).await;
        let upstream = RecordedUpstream::start().await;
        let builder = GatewayBuilder::new(CONFIG).variable("KEYS", &issuer.jwks_uri()).upstream(&upstream);
        let gateway = builder.start().await;
        Self { key, gateway, client: HttpClient::http1(), _upstream: upstream, _issuer: issuer }
    }

    /// A token of somebody, made of `changes` to an ordinary one.
    fn caller(&self, changes: Value) -> String {
        let mut claims = claims(CORP);
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        self.key.token(&claims)
    }

    fn owner(&self, owner: &str) -> String {
        self.caller(json!({ "owner": owner, "env": "prod" }))
    }

    async fn send(&self, method: &str, path: &str, token: Option<&str>, body: &str) -> Answer {
        let mut builder = Request::builder().method(method).uri(self.gateway.url(path));
        if let Some(token) = token {
            builder = builder.header("authorization", format!("Bearer {token}"));
        }
        self.client.send(builder.body(Full::new(Bytes::from(body.to_owned()))).unwrap()).await
    }

    /// A token of the client, and its name.
    async fn issued(&self, client: &str, audience: &str, name: &str) -> (String, String) {
        let body = json!({
            "grant_type": "client_credentials", "client_id": client, "client_secret": format!("the secret of {client}"),
            "audience": audience, "token_name": name,
        });
        let answer = self.send("POST", "/m2m-oauth-server/oauth/token", None, &body.to_string()).await;
        let token = answer.json()["access_token"].as_str().unwrap_or_else(|| panic!("{}", answer.text())).to_owned();
        let payload = token.split('.').nth(1).unwrap();
        let payload = base64::Engine::decode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, payload).unwrap();
        let claims: Value = serde_json::from_slice(&payload).unwrap();
        (token, claims["jti"].as_str().unwrap().to_owned())
    }

    /// The tokens that `query` means, by name.
    async fn listed(&self, caller: &str, query: &str) -> Vec<Value> {
        let answer = self.send("GET", &format!("{TOKENS}?{query}"), Some(caller), "").await;
        assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());
        assert_eq!((answer.header("content-type"), answer.header("cache-control")), ("application/json", "no-store"));
        let text = answer.text();
        let mut tokens: Vec<Value> =
            text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["result"].take()).collect();
        tokens.sort_by_key(|token| token["name"].as_str().unwrap().to_owned());
        tokens
    }

    async fn names(&self, caller: &str, query: &str) -> Vec<String> {
        let tokens = self.listed(caller, query).await;
        tokens.iter().map(|token| token["name"].as_str().unwrap().to_owned()).collect()
    }

    async fn status_at_route(&self, token: &str) -> u16 {
        self.send("GET", "/orders/1", Some(token), "").await.status.as_u16()
    }
}

const ORDERS: &str = "https://api.test/orders";
const STOCK: &str = "https://api.test/stock";

#[tokio::test]
async fn an_owner_lists_and_revokes_its_tokens() {
    let world = World::open().await;
    let (first, first_id) = world.issued("ann", ORDERS, "a").await;
    let (_, second_id) = world.issued("ann", STOCK, "b").await;
    let (third, third_id) = world.issued("ann", ORDERS, "c").await;
    let ann = world.owner("ann");

    let listed = world.listed(&ann, "").await;
    assert_eq!(listed.len(), 3);
    let token = &listed[0];
    assert_eq!((&token["id"], &token["owner"], &token["clientId"]), (&json!(first_id), &json!("ann"), &json!("ann")));
    assert_eq!(
        (&token["audience"], &token["scope"], &token["version"]),
        (&json!([ORDERS]), &json!(["read"]), &json!("0"))
    );
    assert_eq!((&token["blacklisted"], &token["originalTokenClaims"]), (&Value::Null, &Value::Null));
    let number = |name: &str| token[name].as_str().unwrap().parse::<u64>().unwrap();
    assert!(number("expiration") > number("issuedAt"));
    assert_eq!(world.names(&ann, &format!("idFilter={first_id}&idFilter={second_id}")).await, ["a", "b"]);
    assert_eq!(world.names(&ann, &format!("audienceFilter={STOCK}")).await, ["b"]);
    assert_eq!(world.names(&ann, &format!("audienceFilter={STOCK}&audienceFilter={ORDERS}")).await, ["a", "b", "c"]);
    assert_eq!(world.names(&ann, "idFilter=nobody").await, [""; 0], "an id that is none is not every id");

    assert_eq!(world.status_at_route(&first).await, 200);
    let answer = world.send("DELETE", &format!("{TOKENS}?idFilter={first_id}&idFilter=nobody"), Some(&ann), "").await;
    assert_eq!(answer.json(), json!({ "blacklistedCount": "1", "deletedCount": "0" }));
    assert_eq!(world.status_at_route(&first).await, 401);
    let again = world.send("DELETE", &format!("{TOKENS}?idFilter={first_id}"), Some(&ann), "").await;
    assert_eq!(again.json(), json!({ "blacklistedCount": "0", "deletedCount": "0" }));
    assert_eq!(world.names(&ann, "").await, ["b", "c"]);
    let with_revoked = world.listed(&ann, "includeBlacklisted=true").await;
    assert_eq!((with_revoked.len(), &with_revoked[0]["blacklisted"]["flag"]), (3, &json!(true)));

    let body = json!({ "idFilter": [third_id] }).to_string();
    assert_eq!(world.send("POST", BLACKLIST, Some(&ann), &body).await.json(), json!({ "count": "1" }));
    assert_eq!(world.status_at_route(&third).await, 401);
}

#[tokio::test]
async fn another_owners_tokens_are_neither_seen_nor_revoked() {
    let world = World::open().await;
    let (token, id) = world.issued("ann", ORDERS, "a").await;
    let bob = world.owner("bob");
    assert_eq!(world.names(&bob, &format!("idFilter={id}&includeBlacklisted=true")).await, [""; 0]);
    let answer = world.send("DELETE", &format!("{TOKENS}?idFilter={id}"), Some(&bob), "").await;
    assert_eq!(answer.json(), json!({ "blacklistedCount": "0", "deletedCount": "0" }));
    let body = json!({ "idFilter": [id] }).to_string();
    assert_eq!(world.send("POST", BLACKLIST, Some(&bob), &body).await.json(), json!({ "count": "0" }));
    assert_eq!(world.status_at_route(&token).await, 200);
}

#[tokio::test]
async fn what_is_refused_is_a_grpc_status() {
    let world = World::open().await;
    let ann = world.owner("ann");
    let other_env = world.caller(json!({ "owner": "ann", "env": "test" }));
    let nobody = world.caller(json!({ "env": "prod" }));
    let two = world.caller(json!({ "env": "prod", "owner": ["ann", "bob"] }));
    for (method, path, token, body, status, code) in [
        ("GET", TOKENS, None, "", 401, 16),
        ("GET", TOKENS, Some("a.b.c"), "", 401, 16),
        ("DELETE", TOKENS, None, "", 401, 16),
        ("POST", BLACKLIST, None, "{}", 401, 16),
        ("GET", TOKENS, Some(&*other_env), "", 403, 7),
        ("GET", TOKENS, Some(&*nobody), "", 403, 7),
        ("GET", TOKENS, Some(&*two), "", 403, 7),
        ("DELETE", TOKENS, Some(&*ann), "", 400, 3),
        ("DELETE", "/m2m-oauth-server/api/v1/tokens?idFilter=", Some(&*ann), "", 400, 3),
        ("GET", "/m2m-oauth-server/api/v1/tokens?includeBlacklisted=perhaps", Some(&*ann), "", 400, 3),
        ("POST", BLACKLIST, Some(&*ann), "{}", 400, 3),
        ("POST", BLACKLIST, Some(&*ann), "[", 400, 3),
        ("POST", BLACKLIST, Some(&*ann), r#"{"idFilter":["a"],"id_filter":["b"]}"#, 400, 3),
        ("PUT", TOKENS, Some(&*ann), "", 405, 12),
        ("GET", BLACKLIST, Some(&*ann), "", 405, 12),
    ] {
        let answer = world.send(method, path, token, body).await;
        let told = answer.json();
        assert_eq!((answer.status.as_u16(), &told["code"]), (status, &json!(code)), "{method} {path} {body} {told}");
        assert!(told["message"].is_string() && told["details"] == json!([]), "{told}");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("www-authenticate").starts_with("Bearer "), status == 401, "{method} {path}");
        assert_eq!(answer.headers.contains_key("allow"), status == 405);
    }
}

#[tokio::test]
async fn without_a_table_nothing_is_managed() {
    let world = World::open().await;
    let ann = world.owner("ann");
    let answer = world.send("GET", "/bare/api/v1/tokens", Some(&ann), "").await;
    assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "POST"));
    let answer = world.send("POST", "/bare/api/v1/blacklist", Some(&ann), "{}").await;
    assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (404, "no_route"));
    assert_eq!(world.send(Method::POST.as_str(), TOKENS, None, "{}").await.status.as_u16(), 401, "it asks for a token");
}

#[tokio::test]
async fn a_long_list_comes_in_pages_and_whole() {
    let world = World::open().await;
    for number in 0..600 {
        world.issued("bob", ORDERS, &format!("{number:04}")).await;
    }
    let names = world.names(&world.owner("bob"), "").await;
    assert_eq!((names.len(), names.first().map(String::as_str)), (600, Some("0000")));
    assert!(names.is_sorted() && names.windows(2).all(|pair| pair[0] != pair[1]));
}
