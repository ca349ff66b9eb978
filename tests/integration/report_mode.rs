//! `mode = "report"`: decided, logged and counted, and let through all the same.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};

use crate::support::{
    client::HttpClient,
    forge::{SigningKey, changed, claims, now},
    gateway::{Gateway, GatewayBuilder},
    issuer::{Conduct, ScriptedIssuer},
    observe::{log_line, metric, reload},
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
key_set = { startup = "degraded" }
[upstreams.orders]
endpoints = ["${UPSTREAM}"]
[routes.trial]
path = "/trial/{*rest}"
upstream = "orders"
mode = "report"
[routes.trial.require]
scopes = ["orders:read"]
[routes.trial.identity]
headers = { "x-client-id" = "client_id", "x-note" = "note" }
[routes.earnest]
path = "/earnest/{*rest}"
upstream = "orders"
[routes.earnest.require]
scopes = ["orders:read"]
[routes.earnest.identity]
headers = { "x-client-id" = "client_id", "x-note" = "note" }
[routes.open]
path = "/open"
upstream = "orders"
public = true
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
        issuers[1].conduct(Conduct::Fails(http::StatusCode::BAD_GATEWAY));
        let upstream = RecordedUpstream::start().await;
        let gateway = GatewayBuilder::new(CONFIG)
            .variable("CORP_KEYS", &issuers[0].jwks_uri())
            .variable("DOWN_KEYS", &issuers[1].jwks_uri())
            .upstream(&upstream)
            .start()
            .await;
        Self { key, upstream, gateway, client: HttpClient::http1(), _issuers: issuers }
    }

    /// A request that claims to be somebody, with this credential if any.
    fn request(&self, path: &str, authorization: Option<&str>) -> Request<Full<Bytes>> {
        let mut builder = Request::get(self.gateway.url(path)).header("x-client-id", "forged");
        if let Some(authorization) = authorization {
            builder = builder.header("authorization", authorization);
        }
        builder.body(Full::default()).expect("a request")
    }

    async fn decisions(&self, result: &str, reason: &str, mode: &str) -> f64 {
        let labels = [("result", result), ("reason", reason), ("mode", mode)];
        metric(&self.gateway, "postern_auth_decisions_total", &labels).await
    }
}

#[tokio::test]
async fn what_would_be_refused_is_let_through_and_told() {
    let world = World::new().await;
    let token = |changes: &Value| format!("Bearer {}", world.key.token(&changed(claims(CORP), changes)));
    let rows: Vec<(Option<String>, &str, Option<&str>)> = vec![
        // What comes, what would be said, and who the log says it is: whose token was verified.
        (None, "no_token", None),
        (Some("Basic YTpi".to_owned()), "scheme_not_accepted", None),
        (Some("Bearer a.b".to_owned()), "token_malformed", None),
        (Some(format!("{0}, {0}", token(&json!({})))), "several_credentials", None),
        (Some(format!("Bearer {}", SigningKey::es256("k1").token(&claims(CORP)))), "bad_signature", None),
        (Some(token(&json!({ "exp": now() - 100, "iat": now() - 200 }))), "token_expired", None),
        (Some(token(&json!({ "iss": "https://id.down.example/" }))), "keys_unavailable", None),
        (Some(token(&json!({ "scope": "other" }))), "scope_missing", Some("billing")),
        (Some(token(&json!({ "aud": "other" }))), "audience_mismatch", Some("billing")),
        (Some(token(&json!({ "note": "a\u{7}b" }))), "claim_not_forwardable", Some("billing")),
    ];
    for (count, (authorization, reason, logged)) in rows.iter().enumerate() {
        let path = format!("/trial/{reason}");
        let answer = world.client.send(world.request(&path, authorization.as_deref())).await;
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, "upstream"), "{reason}");
        assert!(answer.header("www-authenticate").is_empty());
        assert_eq!(world.upstream.count(), count + 1);
        let seen = world.upstream.last();
        assert_eq!(seen.target, path);
        // The upstream takes these for the word of a token that may do this, so it is told nothing.
        assert!(!seen.headers.contains_key("x-client-id"), "{reason}");
        assert!(!seen.headers.contains_key("x-note") && !seen.headers.contains_key("authorization"), "{reason}");
        let line = log_line(&world.gateway, reason, |line| line["path"] == path.as_str()).await;
        assert_eq!((&line["would_be_reason"], line.get("reason")), (&json!(reason), None));
        assert_eq!((&line["status"], &line["route"]), (&json!(200), &json!("trial")));
        assert_eq!(line["jwt"]["client_id"].as_str(), *logged, "{reason}");
        assert_eq!(world.decisions("refused", reason, "report").await, 1.0, "{reason}");
        assert_eq!(world.decisions("refused", reason, "enforce").await, 0.0, "{reason}");
    }

    let good = token(&json!({ "note": "hello" }));
    let answer = world.client.send(world.request("/trial/good", Some(&good))).await;
    assert_eq!(answer.status, 200);
    let seen = world.upstream.last();
    assert_eq!(
        (&seen.headers["x-client-id"], &seen.headers["x-note"]),
        (&"billing".parse().unwrap(), &"hello".parse().unwrap())
    );
    let line = log_line(&world.gateway, "the good one", |line| line["path"] == "/trial/good").await;
    assert_eq!((line.get("would_be_reason"), line.get("reason")), (None, None));
    assert_eq!(world.decisions("allowed", "authorized", "report").await, 1.0);

    // The same requests on a route that means it, and the switch from one to the other.
    let before = world.upstream.count();
    for (authorization, reason, _) in &rows {
        let answer = world.client.send(world.request("/earnest/1", authorization.as_deref())).await;
        assert_eq!((answer.status == 200, answer.reason().as_str()), (false, *reason));
        assert_eq!(world.decisions("refused", reason, "enforce").await, 1.0, "{reason}");
    }
    assert_eq!(world.upstream.count(), before);
    assert_eq!(world.client.send(world.request("/earnest/1", Some(&good))).await.status, 200);
    world.gateway.edit("mode = \"report\"", "mode = \"enforce\"");
    assert_eq!(reload(&world.gateway).await.status, 200);
    assert_eq!(world.client.send(world.request("/trial/1", None)).await.status, 401);
}

#[tokio::test]
async fn nobody_can_forget_a_route_that_only_reports() {
    let world = World::new().await;
    let expected = json!(["trial"]);
    let ready = world.client.get(&world.gateway.admin_url("/readyz"), None).await.json();
    assert_eq!((&ready["report_only_routes"], &ready["public_routes"]), (&expected, &json!(["open"])));
    let config = world.client.get(&world.gateway.admin_url("/api/v1/config"), None).await.json();
    assert_eq!((&config["report_only_routes"], &config["public_routes"]), (&expected, &json!(["open"])));
    world.gateway.edit("mode = \"report\"", "mode = \"enforce\"");
    assert_eq!(reload(&world.gateway).await.status, 200);
    let ready = world.client.get(&world.gateway.admin_url("/readyz"), None).await.json();
    assert_eq!(ready["report_only_routes"], json!([]));
}
