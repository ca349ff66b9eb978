//! The `frontegg` dialect's own management: tenants and users make, list, change and delete API tokens, and the vendor switches
//! them off and on.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};

use crate::support::{
    client::{Answer, HttpClient},
    forge::{SigningKey, changed, claims},
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
[token_endpoints.tokens]
path = "/identity/resources/auth/v1/api-token"
dialect = "frontegg"
serve = "embedded"
[token_endpoints.tokens.management.require]
[authorization_server]
issuer = "https://id.own.example/"
api_tokens = "client_credentials"
[authorization_server.roles.reader]
permissions = ["orders.read"]
[authorization_server.roles.admin]
permissions = ["orders.read", "orders.write"]
[authorization_server.apis."https://api.test/orders"]
"#;

const TENANT_V2: &str = "tenants/api-tokens/v2";
const TENANT_V1: &str = "tenants/api-tokens/v1";
const TENANT_ACCESS: &str = "tenants/access-tokens/v1";
const USER_V1: &str = "users/api-tokens/v1";
const USER_ACCESS: &str = "users/access-tokens/v1";
const SWITCH: &str = "configurations/v1";

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

    fn caller(&self, says: &Value) -> String {
        self.key.token(&changed(claims(CORP), says))
    }

    /// An administrator of the tenant `t`.
    fn admin(&self) -> String {
        self.caller(&json!({ "sub": "u", "tenantId": "t", "email": "u@t.test", "roles": ["reader"], "permissions": ["fe.secure.*"] }))
    }

    fn vendor(&self) -> String {
        self.caller(&json!({ "sub": "backend", "permissions": ["fe.secure.*"] }))
    }

    async fn send(&self, method: &str, url: &str, fields: &[(&str, &str)], body: Option<&Value>) -> Answer {
        let mut builder = Request::builder().method(method).uri(self.gateway.url(url));
        for (name, value) in fields {
            builder = builder.header(*name, *value);
        }
        if body.is_some() {
            builder = builder.header("content-type", "application/json");
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        self.client.send(builder.body(Full::new(Bytes::from(body))).unwrap()).await
    }

    /// A request of `caller` to manage.
    async fn manage(&self, caller: &str, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.manage_for(caller, &[], method, path, body).await
    }

    async fn manage_for(
        &self,
        caller: &str,
        whose: &[(&str, &str)],
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        let authorization = format!("Bearer {caller}");
        let fields = [&[("authorization", authorization.as_str())], whose].concat();
        self.send(method, &format!("/identity/resources/{path}"), &fields, body.as_ref()).await
    }

    /// What a successful making answers.
    async fn made(&self, caller: &str, path: &str, body: Value) -> Value {
        let answer = self.manage(caller, "POST", path, Some(body)).await;
        assert_eq!(answer.status.as_u16(), 201, "{}", answer.text());
        assert_eq!(answer.header("cache-control"), "no-store");
        answer.json()
    }

    async fn exchange(&self, made: &Value) -> Answer {
        let body = json!({ "clientId": made["clientId"], "secret": made["secret"] });
        self.send("POST", "/identity/resources/auth/v1/api-token", &[], Some(&body)).await
    }

    async fn at_route(&self, field: (&str, &str)) -> u16 {
        self.send("GET", "/orders/1", &[field], None).await.status.as_u16()
    }

    async fn bearer_at_route(&self, token: &str) -> u16 {
        self.at_route(("authorization", &format!("Bearer {token}"))).await
    }

    async fn switch(&self, body: Value) -> Value {
        let answer = self.manage(&self.vendor(), "POST", SWITCH, Some(body)).await;
        assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());
        answer.json()
    }
}

fn assert_refused(answer: &Answer, status: u16, sentence: &str) {
    assert_eq!((answer.status.as_u16(), answer.json()), (status, json!({ "errors": [sentence] })));
    assert_eq!(answer.header("www-authenticate").starts_with("Bearer "), status == 401);
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} in {value}"))
}

#[tokio::test]
async fn credentials_of_a_tenant_from_making_to_deletion() {
    let world = World::open().await;
    let admin = world.admin();
    let body = json!({
        "description": "nightly", "metadata": { "a": 1 }, "roleIds": ["reader"], "expiresInMinutes": 60, "unknown": [],
    });
    let made = world.made(&admin, TENANT_V2, body).await;
    assert_eq!((text(&made, "tenantId"), text(&made, "createdByUserId")), ("t", "u"));
    assert_eq!(
        (&made["roleIds"], &made["permissionIds"], &made["metadata"]),
        (&json!(["reader"]), &json!([]), &json!({ "a": 1 }))
    );
    assert!(text(&made, "expires") > text(&made, "createdAt") && text(&made, "expires").ends_with('Z'));
    let id = text(&made, "clientId").to_owned();

    let listed = world.manage(&admin, "GET", TENANT_V1, None).await;
    let listed = listed.json();
    assert_eq!((listed.as_array().unwrap().len(), text(&listed[0], "clientId")), (1, id.as_str()));
    assert!(listed[0].get("secret").is_none());

    let exchanged = world.exchange(&made).await.json();
    let token = text(&exchanged, "accessToken").to_owned();
    assert_eq!(world.bearer_at_route(&token).await, 200);
    assert_eq!(world.at_route(("x-api-key", &token)).await, 400);

    let path = format!("{TENANT_V1}/{id}");
    let changed = world.manage(&admin, "PATCH", &path, Some(json!({ "description": "weekly" }))).await.json();
    assert_eq!((text(&changed, "description"), &changed["roleIds"]), ("weekly", &json!(["reader"])));
    let changed = world.manage(&admin, "PATCH", &path, Some(json!({ "roleIds": [] }))).await.json();
    assert_eq!((text(&changed, "description"), &changed["roleIds"]), ("weekly", &json!([])));

    let other = world.caller(&json!({ "sub": "x", "tenantId": "other", "permissions": ["fe.secure.*"] }));
    assert_refused(&world.manage(&other, "DELETE", &path, None).await, 404, "Api token not found");
    assert_eq!(world.manage(&admin, "DELETE", &path, None).await.status.as_u16(), 200);
    assert_eq!(world.bearer_at_route(&token).await, 401);
    // There no token is asked for, so there is no challenge.
    let refused = world.exchange(&made).await;
    assert_eq!((refused.status.as_u16(), refused.json()), (401, json!({ "errors": ["Invalid authentication"] })));
    assert_refused(&world.manage(&admin, "DELETE", &path, None).await, 404, "Api token not found");
    let refresh = json!({ "refreshToken": exchanged["refreshToken"] });
    let refreshed =
        world.send("POST", "/identity/resources/auth/v1/api-token/token/refresh", &[], Some(&refresh)).await;
    assert_eq!(refreshed.status.as_u16(), 401);
}

#[tokio::test]
async fn a_users_token_may_what_the_user_may() {
    let world = World::open().await;
    let admin = world.admin();
    let made = world.made(&admin, USER_V1, json!({ "description": "mine" })).await;
    assert_eq!((text(&made, "userId"), &made["roleIds"]), ("u", &json!(["reader"])));
    assert_eq!(made["permissionIds"], json!(["fe.secure.*"]));
    let path = format!("{USER_V1}/{}", text(&made, "clientId"));
    let neighbour = world.caller(&json!({ "sub": "v", "tenantId": "t", "permissions": ["fe.secure.*"] }));
    assert_eq!(world.manage(&neighbour, "GET", USER_V1, None).await.json(), json!([]));
    assert_refused(&world.manage(&neighbour, "DELETE", &path, None).await, 404, "Api token not found");
    let vendor = [("frontegg-tenant-id", "t"), ("frontegg-user-id", "u")];
    let listed = world.manage_for(&world.vendor(), &vendor, "GET", USER_V1, None).await.json();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(world.manage(&admin, "PATCH", &path, Some(json!({}))).await.status.as_u16(), 405);
    assert_eq!(world.manage(&admin, "DELETE", &path, None).await.status.as_u16(), 200);
    assert_eq!(world.manage(&admin, "GET", USER_V1, None).await.json(), json!([]));
}

#[tokio::test]
async fn access_tokens_are_used_as_they_are() {
    let world = World::open().await;
    let admin = world.admin();
    let denied = world.manage(&admin, "POST", TENANT_ACCESS, Some(json!({ "description": "x" }))).await;
    assert_refused(&denied, 403, "Api tokens of this kind are disabled");
    let switch = world.switch(json!({ "machineToMachineAuthStrategy": "AccessToken" })).await;
    assert_eq!(
        (&switch["apiTokensEnabled"], text(&switch, "machineToMachineAuthStrategy")),
        (&json!(true), "AccessToken")
    );
    for path in [TENANT_ACCESS, USER_ACCESS] {
        let made = world.made(&admin, path, json!({ "description": "x", "expiresInMinutes": 5 })).await;
        let (id, secret) = (text(&made, "id"), text(&made, "secret"));
        assert!(made.get("clientId").is_none() && made["expires"].is_string());
        assert_eq!(world.at_route(("x-api-key", secret)).await, 200);
        assert_eq!(world.bearer_at_route(secret).await, 400, "the wrong way round");
        let listed = world.manage(&admin, "GET", path, None).await.json();
        assert_eq!(text(&listed["accessTokens"][0], "id"), id);
        assert_eq!(world.manage(&admin, "DELETE", &format!("{path}/{id}"), None).await.status.as_u16(), 200);
        assert_eq!(world.at_route(("x-api-key", secret)).await, 401);
        assert_eq!(world.manage(&admin, "GET", path, None).await.json(), json!({ "accessTokens": [] }));
    }
}

#[tokio::test]
async fn each_permission_is_needed_for_what_it_says() {
    let world = World::open().await;
    let made = world.made(&world.admin(), TENANT_V2, json!({ "description": "x" })).await;
    let id = text(&made, "clientId").to_owned();
    let tenants = format!("{TENANT_V1}/{id}");
    let users = format!("{USER_V1}/{id}");
    let actions: [(&str, &str, &str); 7] = [
        ("fe.secure.read.tenantApiTokens", "GET", TENANT_V1),
        ("fe.secure.write.tenantApiTokens", "POST", TENANT_V2),
        ("fe.secure.write.tenantApiTokens", "PATCH", &tenants),
        ("fe.secure.read.userApiTokens", "GET", USER_V1),
        ("fe.secure.write.userApiTokens", "POST", USER_V1),
        ("fe.secure.delete.userApiTokens", "DELETE", &users),
        ("fe.secure.delete.tenantApiTokens", "DELETE", &tenants),
    ];
    for (permission, _, _) in actions {
        // What it lets happen must not spoil what the others try.
        let caller = world.caller(&json!({ "sub": "u", "tenantId": "t", "permissions": [permission] }));
        for (needed, method, path) in actions {
            if permission.contains("delete.tenant") && needed == permission {
                continue;
            }
            let body = matches!(method, "POST" | "PATCH").then(|| json!({ "description": "y" }));
            let answer = world.manage(&caller, method, path, body).await;
            assert_eq!(
                answer.status.as_u16() == 403,
                needed != permission,
                "{permission}: {method} {path}: {}",
                answer.text()
            );
        }
    }
    let deleter = world.caller(&json!({ "tenantId": "t", "permissions": ["fe.secure.delete.tenantApiTokens"] }));
    assert_eq!(world.manage(&deleter, "DELETE", &tenants, None).await.status.as_u16(), 200);
}

#[tokio::test]
async fn nobody_reaches_or_grants_more_than_they_have() {
    let world = World::open().await;
    let writer = world.caller(&json!({
        "sub": "u", "tenantId": "t", "roles": ["reader"], "permissions": ["fe.secure.write.tenantApiTokens", "fe.secure.write.userApiTokens"],
    }));
    for (whose, path, body, status, sentence) in [
        (vec![], TENANT_V2, json!({ "roleIds": ["admin"] }), 403, "Forbidden"),
        (vec![], TENANT_V2, json!({ "permissionIds": ["orders.write"] }), 403, "Forbidden"),
        (vec![], TENANT_V2, json!({ "permissionIds": ["fe.secure.*"] }), 403, "Forbidden"),
        (vec![], TENANT_V2, json!({ "roleIds": ["nobody"] }), 400, "Role not found"),
        (vec![], TENANT_V2, json!({ "roleIds": "reader" }), 400, "Invalid input json"),
        (vec![], TENANT_V2, json!({ "expiresInMinutes": 0 }), 400, "expiresInMinutes must be positive"),
        (vec![], TENANT_V2, json!({ "description": "x".repeat(2000) }), 400, "description or metadata is too large"),
        (vec![("frontegg-tenant-id", "other")], TENANT_V2, json!({}), 403, "Forbidden"),
        (vec![("frontegg-user-id", "other")], USER_V1, json!({}), 403, "Forbidden"),
    ] {
        let answer = world.manage_for(&writer, &whose, "POST", path, Some(body.clone())).await;
        assert_refused(&answer, status, sentence);
    }
    let twice = [("frontegg-tenant-id", "t"), ("frontegg-tenant-id", "t")];
    assert_eq!(world.manage_for(&writer, &twice, "POST", TENANT_V2, Some(json!({}))).await.status.as_u16(), 400);
    let own = json!({ "roleIds": ["reader"], "permissionIds": ["orders.read"] });
    world.made(&writer, TENANT_V2, own).await;
    let nobody_meant = world.manage(&world.vendor(), "GET", TENANT_V1, None).await;
    assert_refused(&nobody_meant, 400, "frontegg-tenant-id or frontegg-user-id is missing");
    assert_refused(&world.manage(&world.admin(), "GET", SWITCH, None).await, 403, "Forbidden");
    assert_refused(
        &world.send("GET", "/identity/resources/tenants/api-tokens/v1", &[], None).await,
        401,
        "Unauthorized",
    );
    assert_refused(&world.manage("a.b.c", "GET", TENANT_V1, None).await, 401, "Unauthorized");
    let form = [("authorization", format!("Bearer {writer}"))];
    let fields: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let untyped = world.send("POST", "/identity/resources/tenants/api-tokens/v2", &fields, None).await;
    assert_refused(&untyped, 400, "Content-Type must be application/json");
}

#[tokio::test]
async fn the_switch_is_in_force_at_once_and_everywhere() {
    let world = World::open().await;
    let admin = world.admin();
    let made = world.made(&admin, TENANT_V2, json!({ "description": "x" })).await;
    let exchanged = world.exchange(&made).await.json();
    let token = text(&exchanged, "accessToken").to_owned();
    assert_eq!(world.bearer_at_route(&token).await, 200);
    let off = world.switch(json!({ "apiTokensEnabled": false, "defaultTokenExpiration": 3600 })).await;
    assert_eq!((&off["apiTokensEnabled"], &off["defaultTokenExpiration"]), (&json!(false), &json!(3600)));
    assert_eq!(world.bearer_at_route(&token).await, 401);
    let sentence = "Api tokens are disabled";
    assert_refused(&world.exchange(&made).await, 403, sentence);
    let refresh = json!({ "refreshToken": exchanged["refreshToken"] });
    let refresh_at = "/identity/resources/auth/v1/api-token/token/refresh";
    assert_refused(&world.send("POST", refresh_at, &[], Some(&refresh)).await, 403, sentence);
    assert_refused(&world.manage(&admin, "POST", TENANT_V2, Some(json!({}))).await, 403, sentence);
    let told = world.manage(&world.vendor(), "GET", SWITCH, None).await.json();
    assert_eq!(
        (&told["apiTokensEnabled"], text(&told, "machineToMachineAuthStrategy")),
        (&json!(false), "ClientCredentials")
    );

    world.switch(json!({ "apiTokensEnabled": true })).await;
    assert_eq!(world.bearer_at_route(&token).await, 200);
    assert_eq!(world.exchange(&made).await.status.as_u16(), 200);
    assert_eq!(world.send("POST", refresh_at, &[], Some(&refresh)).await.status.as_u16(), 200, "it stayed unused");
    assert_eq!(world.send("POST", refresh_at, &[], Some(&refresh)).await.status.as_u16(), 401, "it is good once");
    let bounded = world.made(&admin, TENANT_V2, json!({ "description": "y" })).await;
    let moment = |name: &str| text(&bounded, name).parse::<jiff::Timestamp>().unwrap();
    let lasts = Duration::try_from(moment("expires").duration_since(moment("createdAt"))).unwrap();
    assert!((3599..=3600).contains(&lasts.as_secs()), "{lasts:?}: the default that was set meanwhile");
}
