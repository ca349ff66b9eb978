//! What `require` asks for, rule by rule, and that each request is judged anew.

use http::Method;
use serde_json::{Value, json};

use crate::support::{
    client::{HttpClient, request},
    forge::{SigningKey, changed, claims},
    gateway::{Gateway, GatewayBuilder},
    issuer::ScriptedIssuer,
    observe::{metric, reload},
    upstream::RecordedUpstream,
};

const CORP: &str = "https://id.corp.example/";
const PARTNER: &str = "https://id.partner.example/";

const CONFIG: &str = r#"
[issuers.corp]
issuer = "https://id.corp.example/"
jwks_uri = "${CORP_KEYS}"
audience = "https://api.test/orders"
[issuers.partner]
issuer = "https://id.partner.example/"
jwks_uri = "${PARTNER_KEYS}"
audience = ["https://api.test/partners", "https://api.test/shared"]
[upstreams.orders]
endpoints = ["${UPSTREAM}"]

[routes.any-issuer]
path = "/any-issuer"
upstream = "orders"
[routes.any-issuer.require]

[routes.corp-only]
path = "/corp-only"
upstream = "orders"
[routes.corp-only.require]
issuers = ["corp"]

[routes.own-audience]
path = "/own-audience"
upstream = "orders"
[routes.own-audience.require]
audience = "https://api.test/stock"

[routes.audiences]
path = "/audiences"
upstream = "orders"
[routes.audiences.require]
audience = ["https://api.test/stock", "https://api.test/parts"]

[routes.scopes]
path = "/scopes"
upstream = "orders"
[routes.scopes.require]
scopes = ["orders:read", "orders:list"]

[routes.any-scope]
path = "/any-scope"
upstream = "orders"
[routes.any-scope.require]
any_scope = ["orders:read", "orders:admin"]

[routes.claims]
path = "/claims"
upstream = "orders"
[routes.claims.require]
claims = { env = "prod", roles = ["reader", "admin"], level = 3, beta = true }

[routes.tenants]
path = "/tenants/{tenant}/items/{*rest}"
upstream = "orders"
[routes.tenants.require]
path_claims = { tenant = "tenant_id" }

[routes.read]
path = "/things/{id}"
methods = ["GET"]
upstream = "orders"
[routes.read.require]
scopes = ["things:read"]

[routes.write]
path = "/things/{id}"
methods = ["PUT", "DELETE"]
upstream = "orders"
[routes.write.require]
scopes = ["things:write"]
"#;

struct World {
    corp: SigningKey,
    partner: SigningKey,
    upstream: RecordedUpstream,
    gateway: Gateway,
    client: HttpClient,
    _issuers: [ScriptedIssuer; 2],
}

impl World {
    async fn new() -> Self {
        let (corp, partner) = (SigningKey::es256("corp"), SigningKey::ed25519("partner"));
        let issuers = [ScriptedIssuer::start(&[&corp]).await, ScriptedIssuer::start(&[&partner]).await];
        let upstream = RecordedUpstream::start().await;
        let gateway = GatewayBuilder::new(CONFIG)
            .one_worker()
            .variable("CORP_KEYS", &issuers[0].jwks_uri())
            .variable("PARTNER_KEYS", &issuers[1].jwks_uri())
            .upstream(&upstream)
            .start()
            .await;
        Self { corp, partner, upstream, gateway, client: HttpClient::http1(), _issuers: issuers }
    }

    fn corp(&self, changes: &Value) -> String {
        self.corp.token(&changed(claims(CORP), changes))
    }

    fn partner(&self, changes: &Value) -> String {
        self.partner.token(&changed(claims(PARTNER), changes))
    }

    /// `200` or the reason; and the upstream saw the request exactly if it was 200.
    async fn outcome(&self, method: Method, path: &str, token: &str) -> String {
        let before = self.upstream.count();
        let answer = self.client.send(request(method, &self.gateway.url(path), Some(token))).await;
        let passed = usize::from(answer.status == 200);
        assert_eq!(self.upstream.count(), before + passed, "{path}: {}", answer.status);
        if passed == 1 {
            assert_eq!(self.upstream.last().target, path);
            return "200".to_owned();
        }
        assert_eq!(answer.status, 403, "{path}: {}", answer.text());
        answer.reason()
    }

    async fn get(&self, path: &str, token: &str) -> String {
        self.outcome(Method::GET, path, token).await
    }
}

#[tokio::test]
async fn issuers_and_their_audiences() {
    let world = World::new().await;
    let shared = json!({ "aud": "https://api.test/shared" });
    for (path, token, expected) in [
        ("/any-issuer", world.corp(&json!({})), "200"),
        ("/any-issuer", world.partner(&shared), "200"),
        ("/any-issuer", world.partner(&json!({ "aud": ["x", "https://api.test/partners"] })), "200"),
        // Each issuer's tokens are held against its own audience.
        ("/any-issuer", world.corp(&shared), "audience_mismatch"),
        ("/any-issuer", world.partner(&json!({})), "audience_mismatch"),
        ("/corp-only", world.corp(&json!({})), "200"),
        ("/corp-only", world.partner(&shared), "issuer_not_accepted"),
        ("/corp-only", world.partner(&json!({ "aud": "https://api.test/orders" })), "issuer_not_accepted"),
        ("/own-audience", world.corp(&json!({ "aud": "https://api.test/stock" })), "200"),
        ("/own-audience", world.partner(&json!({ "aud": "https://api.test/stock" })), "200"),
        ("/own-audience", world.corp(&json!({})), "audience_mismatch"),
        ("/own-audience", world.corp(&json!({ "aud": "https://api.test/stock/" })), "audience_mismatch"),
        ("/own-audience", world.corp(&json!({ "aud": "HTTPS://api.test/stock" })), "audience_mismatch"),
        ("/own-audience", world.corp(&json!({ "aud": [] })), "audience_mismatch"),
        ("/own-audience", world.corp(&json!({ "aud": null })), "audience_mismatch"),
        ("/own-audience", world.corp(&json!({ "aud": "" })), "audience_mismatch"),
        ("/audiences", world.corp(&json!({ "aud": "https://api.test/parts" })), "200"),
        ("/audiences", world.corp(&json!({ "aud": ["https://api.test/stock", "x"] })), "200"),
        ("/audiences", world.corp(&json!({})), "audience_mismatch"),
    ] {
        assert_eq!(world.get(path, &token).await, expected, "{path}");
    }
}

#[tokio::test]
async fn scopes_and_claims() {
    let world = World::new().await;
    let good = json!({ "env": "prod", "roles": ["writer", "admin"], "level": 3, "beta": true });
    let with = |changes: Value| world.corp(&changed(good.clone(), &changes));
    for (path, token, expected) in [
        ("/scopes", world.corp(&json!({ "scope": "orders:read orders:list" })), "200"),
        ("/scopes", world.corp(&json!({ "scope": "orders:list x", "scp": ["orders:read"] })), "200"),
        ("/scopes", world.corp(&json!({ "scope": "orders:read" })), "scope_missing"),
        ("/scopes", world.corp(&json!({ "scope": "ORDERS:READ ORDERS:LIST" })), "scope_missing"),
        ("/scopes", world.corp(&json!({ "scope": "orders:read,orders:list" })), "scope_missing"),
        ("/scopes", world.corp(&json!({ "scope": "orders:readorders:list" })), "scope_missing"),
        ("/scopes", world.corp(&json!({ "scope": null })), "scope_missing"),
        ("/any-scope", world.corp(&json!({ "scope": "orders:read" })), "200"),
        ("/any-scope", world.corp(&json!({ "scope": "x orders:admin" })), "200"),
        ("/any-scope", world.corp(&json!({ "scope": "orders" })), "scope_missing"),
        ("/any-scope", world.corp(&json!({ "scope": null })), "scope_missing"),
        ("/claims", with(json!({})), "200"),
        ("/claims", with(json!({ "roles": "reader" })), "200"),
        ("/claims", with(json!({ "env": ["dev", "prod"] })), "200"),
        ("/claims", with(json!({ "env": "production" })), "claim_mismatch"),
        ("/claims", with(json!({ "env": "PROD" })), "claim_mismatch"),
        ("/claims", world.corp(&json!({ "roles": ["admin"], "level": 3, "beta": true })), "claim_mismatch"),
        ("/claims", with(json!({ "env": { "prod": true } })), "claim_mismatch"),
        ("/claims", with(json!({ "roles": ["writer"] })), "claim_mismatch"),
        ("/claims", with(json!({ "roles": [] })), "claim_mismatch"),
        ("/claims", with(json!({ "roles": "reader admin" })), "claim_mismatch"),
        ("/claims", with(json!({ "level": "3" })), "claim_mismatch"),
        ("/claims", with(json!({ "level": 4 })), "claim_mismatch"),
        ("/claims", with(json!({ "beta": "true" })), "claim_mismatch"),
        ("/claims", with(json!({ "beta": 1 })), "claim_mismatch"),
    ] {
        assert_eq!(world.get(path, &token).await, expected, "{path}");
    }
}

#[tokio::test]
async fn what_the_path_names_must_be_the_tokens() {
    let world = World::new().await;
    let acme = world.corp(&json!({}));
    for (path, token, expected) in [
        ("/tenants/acme/items/1", acme.clone(), "200"),
        ("/tenants/acme/items", acme.clone(), "200"),
        ("/tenants/other/items/1", acme.clone(), "path_claim_mismatch"),
        ("/tenants/ACME/items/1", acme.clone(), "path_claim_mismatch"),
        ("/tenants/acme%20/items/1", acme.clone(), "path_claim_mismatch"),
        ("/tenants/other/items/acme", acme.clone(), "path_claim_mismatch"),
        ("/tenants/7/items/1", world.corp(&json!({ "tenant_id": 7 })), "200"),
        ("/tenants/7/items/1", world.corp(&json!({ "tenant_id": "7" })), "200"),
        ("/tenants/07/items/1", world.corp(&json!({ "tenant_id": 7 })), "path_claim_mismatch"),
        ("/tenants/7/items/1", world.corp(&json!({ "tenant_id": ["7"] })), "path_claim_mismatch"),
        ("/tenants/7/items/1", world.corp(&json!({ "tenant_id": null })), "path_claim_mismatch"),
        ("/tenants/a%20b/items/1", world.corp(&json!({ "tenant_id": "a b" })), "200"),
    ] {
        assert_eq!(world.get(path, &token).await, expected, "{path}");
    }
    // An escape that says nothing else than the letter is that letter, for the rule and for the upstream.
    let answer = world.client.get(&world.gateway.url("/tenants/%61cme/items/1"), Some(&acme)).await;
    assert_eq!((answer.status.as_u16(), world.upstream.last().target.as_str()), (200, "/tenants/acme/items/1"));
}

#[tokio::test]
async fn a_decision_is_never_remembered() {
    let world = World::new().await;
    let read = world.corp(&json!({ "scope": "things:read" }));
    for _ in 0..3 {
        assert_eq!(world.get("/things/1", &read).await, "200");
        assert_eq!(world.outcome(Method::PUT, "/things/1", &read).await, "scope_missing");
        assert_eq!(world.outcome(Method::DELETE, "/things/1", &read).await, "scope_missing");
        assert_eq!(world.get("/scopes", &read).await, "scope_missing");
    }
    let both = world.corp(&json!({ "scope": "things:read things:write" }));
    assert_eq!(world.outcome(Method::PUT, "/things/1", &both).await, "200");
    assert_eq!(world.get("/things/1", &both).await, "200");
    // Verification is: of fourteen requests with two tokens, twelve needed no signature.
    assert_eq!(metric(&world.gateway, "postern_token_cache_hits_total", &[]).await, 12.0);
    assert_eq!(metric(&world.gateway, "postern_token_cache_misses_total", &[]).await, 2.0);

    // A rule that changes while the token is in the cache counts for the very next request.
    world.gateway.edit("scopes = [\"things:read\"]", "scopes = [\"things:look\"]");
    assert_eq!(reload(&world.gateway).await.status, 200);
    assert_eq!(world.get("/things/1", &read).await, "scope_missing");
    assert_eq!(world.outcome(Method::PUT, "/things/1", &both).await, "200", "the other rule stayed");
}
