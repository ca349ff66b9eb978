//! The operator's listener: health, the management API, and who may use it.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use postern::clock::{ManualClock, UnixTime};
use serde_json::{Value, json};

use crate::support::{
    client::{Answer, HttpClient, raw, request},
    forge::{SigningKey, claims, now},
    gateway::{Gateway, GatewayBuilder},
    issuer::{Conduct, ScriptedIssuer},
    upstream::RecordedUpstream,
    wait::until,
};

const TOKEN: &str = "admin-token-0123456789";
const CLIENT_SECRET: &str = "client-secret-that-nobody-may-see";

const CONFIG: &str = r#"
[process]
workers = 2
data_directory = "data"
drain_delay = "${DRAIN_DELAY:-0s}"
[telemetry]
access_log = "off"
[listeners.public]
address = "127.0.0.1:0"
[admin]
address = "${ADMIN:-127.0.0.1:0}"
token = { env = "ADMIN_TOKEN" }
[issuers.corp]
issuer = "${ISSUER}"
audience = "https://api.test/orders"
[issuers.corp.key_set]
startup = "degraded"
[issuers.local]
embedded = true
audience = "https://api.test/orders"
[authorization_server]
issuer = "http://127.0.0.1:1/"
[authorization_server.apis."https://api.test/orders"]
scopes = ["orders:read"]
[authorization_server.clients.billing]
secret = "client-secret-that-nobody-may-see"
grants = { "https://api.test/orders" = ["orders:read"] }
[token_endpoints.oauth]
path = "/oauth/token"
serve = "embedded"
[upstreams.orders]
endpoints = ["${UPSTREAM}"]
[routes.orders]
path = "/orders/{*rest}"
upstream = "orders"
[routes.orders.require]
scopes = ["orders:read"]
[routes.open]
path = "/open"
upstream = "orders"
public = true
[routes.watched]
path = "/watched"
upstream = "orders"
mode = "report"
[routes.watched.require]
scopes = ["orders:read"]
"#;

struct Office {
    issuer: ScriptedIssuer,
    key: SigningKey,
    upstream: RecordedUpstream,
    gateway: Gateway,
    client: HttpClient,
}

impl Office {
    async fn open() -> Self {
        Self::built(|builder| builder).await
    }

    async fn built(build: impl FnOnce(GatewayBuilder) -> GatewayBuilder) -> Self {
        let key = SigningKey::es256("k1");
        let issuer = ScriptedIssuer::start(&[&key]).await;
        let upstream = RecordedUpstream::start().await;
        let builder = GatewayBuilder::whole(CONFIG).issuer(&issuer).upstream(&upstream);
        let gateway = build(builder.variable("ADMIN_TOKEN", TOKEN)).start().await;
        let office = Self { issuer, key, upstream, gateway, client: HttpClient::http1() };
        until("the issuer's keys", || async { (office.issuer.key_fetches() > 0).then_some(()) }).await;
        office
    }

    async fn get(&self, path: &str) -> Answer {
        self.client.get(&self.gateway.admin_url(path), Some(TOKEN)).await
    }

    async fn post(&self, path: &str) -> Answer {
        self.client.send(request(Method::POST, &self.gateway.admin_url(path), Some(TOKEN))).await
    }

    /// Exchanges a part of the configuration and reloads. If the file watch was faster, the answer tells of no change; then
    /// all is done once more.
    async fn exchange(&self, from: &str, to: &str) -> Answer {
        for _ in 0..10 {
            self.gateway.edit(from, to);
            let answer = self.post("/api/v1/reload").await;
            if answer.status != StatusCode::OK || answer.json()["changes"] != json!([]) {
                return answer;
            }
            self.gateway.edit(to, from);
            self.post("/api/v1/reload").await;
        }
        panic!("the file watch was always faster");
    }
}

#[tokio::test]
async fn health_names_the_issuer_that_is_missing_and_the_routes_that_enforce_less() {
    let key = SigningKey::es256("k1");
    let issuer = ScriptedIssuer::start(&[&key]).await;
    issuer.conduct(Conduct::Fails(StatusCode::BAD_GATEWAY));
    let upstream = RecordedUpstream::start().await;
    let builder = GatewayBuilder::whole(CONFIG).issuer(&issuer).upstream(&upstream);
    let gateway = builder.variable("ADMIN_TOKEN", TOKEN).start().await;
    let client = HttpClient::http1();
    let alive = client.get(&gateway.admin_url("/livez"), None).await;
    assert_eq!((alive.status, alive.text().as_str()), (StatusCode::OK, "ok\n"));
    let ready = until("the failure is known", || async {
        let ready = client.get(&gateway.admin_url("/readyz"), None).await;
        ready.text().contains("status 502").then_some(ready)
    })
    .await;
    let told = ready.json();
    assert_eq!((ready.status.as_u16(), &told["status"]), (503, &json!("not_ready")));
    assert_eq!((&told["missing"][0]["kind"], &told["missing"][0]["name"]), (&json!("issuer"), &json!("corp")));
    assert_eq!((&told["public_routes"], &told["report_only_routes"]), (&json!(["open"]), &json!(["watched"])));
    assert_eq!(ready.header("cache-control"), "no-store");
    issuer.conduct(Conduct::Honest);
    let ready = until("the keys are there", || async {
        let ready = client.get(&gateway.admin_url("/readyz"), None).await;
        (ready.status == StatusCode::OK).then_some(ready)
    })
    .await;
    assert_eq!((&ready.json()["status"], &ready.json()["missing"]), (&json!("ready"), &json!([])));
}

#[tokio::test]
async fn readiness_names_a_certificate_that_has_expired() {
    let clock = ManualClock::starting_at(UnixTime::from_seconds(now()));
    let office = Office::built(|builder| {
        let mut parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(2090, 1, 1);
        let key = rcgen::KeyPair::generate().expect("a key");
        let certificate = parameters.self_signed(&key).expect("a certificate");
        std::fs::write(builder.folder().join("server.pem"), certificate.pem()).expect("written");
        std::fs::write(builder.folder().join("server.key"), key.serialize_pem()).expect("written");
        builder.clock(clock.clock()).also(
            "[listeners.tls]\naddress = \"127.0.0.1:0\"\n[listeners.tls.tls]\ncertificate = \"server.pem\"\n\
             private_key = \"server.key\"\n",
        )
    })
    .await;
    until("it is ready", || async { (office.get("/readyz").await.status == StatusCode::OK).then_some(()) }).await;
    clock.set(UnixTime::from_seconds(3_786_912_001));
    let told = office.get("/readyz").await.json();
    let missing = told["missing"].as_array().expect("a list").clone();
    let certificate = missing.iter().find(|one| one["kind"] == "certificate").expect("the certificate is named");
    assert_eq!(certificate["name"], "tls");
    let reason = certificate["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("server.pem") && reason.contains("expired"), "{reason}");
}

#[tokio::test]
async fn readiness_fails_first_when_the_program_stops() {
    let office = Office::built(|builder| builder.variable("DRAIN_DELAY", "5s")).await;
    until("it is ready", || async { (office.get("/readyz").await.status == StatusCode::OK).then_some(()) }).await;
    let (ready, open) = (office.gateway.admin_url("/readyz"), office.gateway.url("/open"));
    let Office { client, gateway, upstream, .. } = office;
    let drained = tokio::spawn(gateway.drain());
    let told = until("readiness fails", || async {
        let answer = client.get(&ready, None).await;
        (answer.status == StatusCode::SERVICE_UNAVAILABLE).then_some(answer)
    })
    .await;
    assert_eq!(told.json()["status"], "draining");
    assert_eq!(client.get(&open, None).await.status, StatusCode::OK, "requests are still answered");
    drained.await.expect("it stops");
    assert!(client.try_send(request(Method::GET, &open, None)).await.is_err(), "and now nobody is there");
    assert_eq!(upstream.count(), 1);
}

#[tokio::test]
async fn the_applied_configuration_is_told_and_never_the_rejected_one() {
    let office = Office::open().await;
    let before = office.get("/api/v1/config").await.json();
    assert_eq!(before["generation"], 1);
    assert!(before["hash"].as_str().is_some_and(|hash| hash.len() == 64));
    assert_eq!(before["configuration"]["routes"]["orders"]["require"]["scopes"], json!(["orders:read"]));
    assert_eq!((&before["public_routes"], &before["report_only_routes"]), (&json!(["open"]), &json!(["watched"])));
    assert_eq!(before.get("last_rejected"), None);

    let answer = office
        .exchange(
            "scopes = [\"orders:read\"]\n[routes.open]",
            "scopes = [\"orders:read\", \"orders:write\"]\n[routes.open]",
        )
        .await;
    let applied = answer.json();
    assert_eq!((answer.status, &applied["changes"]), (StatusCode::OK, &json!(["route orders: scopes +orders:write"])));
    let after = office.get("/api/v1/config").await.json();
    assert_ne!(after["hash"], before["hash"]);
    assert!(after["generation"].as_u64() > Some(1));
    let scopes = json!(["orders:read", "orders:write"]);
    assert_eq!(after["configuration"]["routes"]["orders"]["require"]["scopes"], scopes);

    office.gateway.edit("path = \"/open\"", "pfad = \"/rejected-path\"\npath = \"/rejected-too\"");
    let refused = office.post("/api/v1/reload").await;
    assert_eq!((refused.status.as_u16(), refused.json()["code"].as_str()), (422, Some("configuration_rejected")));
    let diagnostics = refused.json()["diagnostics"].clone();
    assert!(diagnostics.to_string().contains("pfad"), "{diagnostics}");
    let told = office.get("/api/v1/config").await.json();
    assert_eq!((&told["hash"], &told["configuration"]), (&after["hash"], &after["configuration"]));
    assert_eq!(told["last_rejected"]["diagnostics"], diagnostics);
    assert!(told["last_rejected"]["at"].as_str().is_some_and(|at| at.ends_with('Z')));
    assert!(!told["configuration"].to_string().contains("rejected"));
    assert_eq!(office.client.get(&office.gateway.url("/open"), None).await.status, StatusCode::OK);

    office.gateway.edit("pfad = \"/rejected-path\"\npath = \"/rejected-too\"", "path = \"/open\"");
    assert_eq!(office.post("/api/v1/reload").await.status, StatusCode::OK);
    assert_eq!(office.get("/api/v1/config").await.json().get("last_rejected"), None);
}

#[tokio::test]
async fn issuers_are_told_with_their_keys_and_refreshed_by_name() {
    let office = Office::open().await;
    let good = office.key.token(&claims(&office.issuer.name()));
    until("a token is good", || async {
        let answer = office.client.get(&office.gateway.url("/orders/1"), Some(&good)).await;
        (answer.status == StatusCode::OK).then_some(())
    })
    .await;
    let issuers = office.get("/api/v1/issuers").await.json();
    let corp = &issuers[0];
    assert_eq!(
        (&corp["name"], &corp["state"], &corp["issuer"]),
        (&json!("corp"), &json!("usable"), &json!(office.issuer.name()))
    );
    let key = &corp["key_set"]["keys"][0];
    assert_eq!(key["key_id"], "k1");
    assert!(key["first_seen"].is_string() && key["last_used"].is_string(), "{key}");
    assert!(corp["key_set"]["age_seconds"].is_u64() && corp["key_set"]["next_refresh_in_seconds"].is_u64(), "{corp}");
    let local = &issuers[1];
    assert_eq!((&local["name"], &local["state"]), (&json!("local"), &json!("usable")));
    assert_eq!(local["embedded_keys"].as_array().map(Vec::len), Some(2), "the current key and the next");

    let fetches = office.issuer.key_fetches();
    assert_eq!(office.post("/api/v1/issuers/corp/refresh").await.status, StatusCode::OK);
    assert_eq!(office.issuer.key_fetches(), fetches + 1);
    for (issuer, status, code) in [("nobody", 404, "unknown_issuer"), ("local", 409, "embedded_issuer")] {
        let answer = office.post(&format!("/api/v1/issuers/{issuer}/refresh")).await;
        assert_eq!((answer.status.as_u16(), answer.json()["code"].as_str()), (status, Some(code)));
    }
    office.issuer.conduct(Conduct::Fails(StatusCode::IM_A_TEAPOT));
    let answer = office.post("/api/v1/issuers/corp/refresh").await;
    assert_eq!((answer.status.as_u16(), answer.json()["code"].as_str()), (502, Some("fetch_failed")));
    let status = office.get("/api/v1/issuers").await.json()[0]["key_set"].clone();
    assert!(status["last_error"].as_str().is_some_and(|error| error.contains("418")), "{status}");
    assert_eq!(
        office.client.get(&office.gateway.admin_url("/api/v1/issuers/corp/refresh"), Some(TOKEN)).await.status,
        405
    );
}

#[tokio::test]
async fn whoever_has_no_token_gets_one_and_the_same_answer_everywhere() {
    let office = Office::open().await;
    let ask = |method: Method, path: &str, authorization: &[&str]| {
        let mut builder = Request::builder().method(method).uri(office.gateway.admin_url(path));
        for value in authorization {
            builder = builder.header("authorization", *value);
        }
        office.client.send(builder.body(Full::<Bytes>::default()).expect("a request"))
    };
    let good = format!("Bearer {TOKEN}");
    let nearly = format!("Bearer {}X", TOKEN.trim_end_matches('9'));
    let longer = format!("Bearer {TOKEN}X");
    let fetches = office.issuer.key_fetches();
    let reference = ask(Method::GET, "/api/v1/config", &[]).await;
    assert_eq!((reference.status.as_u16(), reference.json()["code"].as_str()), (401, Some("unauthorized")));
    assert!(reference.header("www-authenticate").starts_with("Bearer"));
    for (method, path) in [
        (Method::GET, "/metrics"),
        (Method::GET, "/api/v1/config"),
        (Method::GET, "/api/v1/issuers"),
        (Method::POST, "/api/v1/reload"),
        (Method::POST, "/api/v1/issuers/corp/refresh"),
        (Method::GET, "/"),
        (Method::GET, "/api/v1/there-is-no-such-path"),
        (Method::GET, "//readyz"),
        (Method::GET, "/readyz/"),
        (Method::GET, "/livez/../api/v1/config"),
    ] {
        for wrong in [
            &[][..],
            &[""],
            &["Bearer"],
            &["Bearer "],
            &["Bearer wrong"],
            &[&nearly],
            &[&longer],
            &[TOKEN],
            &["Basic YWRtaW46YWRtaW4tdG9rZW4tMDEyMzQ1Njc4OQ=="],
            &[&good, &good],
            &["Bearer wrong", &good],
        ] {
            let answer = ask(method.clone(), path, wrong).await;
            assert_eq!(answer.status, 401, "{method} {path} {wrong:?}");
            assert_eq!(answer.body, reference.body, "{method} {path} {wrong:?}");
        }
    }
    assert_eq!(office.issuer.key_fetches(), fetches, "nothing was carried out");
    assert_eq!(ask(Method::GET, "/api/v1/config", &[&good]).await.json()["generation"], 1);
    for open in ["/livez", "/readyz"] {
        assert_ne!(ask(Method::GET, open, &[]).await.status, 401);
    }
}

#[tokio::test]
async fn a_browser_cannot_be_made_to_act_for_another_site() {
    let office = Office::open().await;
    let fetches = office.issuer.key_fetches();
    let own = office.gateway.admin_url("");
    let ask = |header: &str, value: &str| {
        let url = office.gateway.admin_url("/api/v1/issuers/corp/refresh");
        let builder =
            Request::builder().method(Method::POST).uri(url).header("authorization", format!("Bearer {TOKEN}"));
        office.client.send(builder.header(header, value).body(Full::<Bytes>::default()).expect("a request"))
    };
    for (header, value) in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("origin", "http://localhost.evil.example"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        let answer = ask(header, value).await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()["code"].as_str()),
            (403, Some("cross_site")),
            "{header}: {value}"
        );
    }
    assert_eq!(office.issuer.key_fetches(), fetches);
    assert_eq!(ask("origin", &own).await.status, StatusCode::OK);
    assert_eq!(ask("sec-fetch-site", "same-origin").await.status, StatusCode::OK);
    assert_eq!(office.issuer.key_fetches(), fetches + 2);
}

#[tokio::test]
async fn without_a_token_only_names_of_this_machine_are_answered() {
    let key = SigningKey::es256("k1");
    let issuer = ScriptedIssuer::start(&[&key]).await;
    let upstream = RecordedUpstream::start().await;
    let config = CONFIG.replace("token = { env = \"ADMIN_TOKEN\" }\n", "");
    let gateway = GatewayBuilder::whole(&config).issuer(&issuer).upstream(&upstream).start().await;
    let address = gateway.running().admin_address().expect("an admin listener");
    let ask = |line: &str, host: &str| {
        let text = format!("{line} HTTP/1.1\r\n{host}Connection: close\r\n\r\n");
        async move { raw(address, text.as_bytes()).await }
    };
    for host in [
        "Host: evil.example\r\n",
        "Host: localhost.evil.example\r\n",
        "Host: 127.0.0.1.evil.example\r\n",
        "Host: 192.0.2.1\r\n",
        "Host: 127.0.0.1\r\nHost: evil.example\r\n",
        "",
    ] {
        for path in ["/api/v1/config", "/metrics", "/readyz"] {
            let answer = ask(&format!("GET {path}"), host).await;
            assert!(answer.starts_with("HTTP/1.1 403") || answer.starts_with("HTTP/1.1 400"), "{host} {answer}");
            assert!(!answer.contains("orders"), "{answer}");
        }
    }
    let answer = ask("GET http://evil.example/api/v1/config", "Host: 127.0.0.1\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    for host in [format!("Host: {address}\r\n"), "Host: localhost\r\n".to_owned(), "Host: [::1]:9090\r\n".to_owned()] {
        assert!(ask("GET /api/v1/config", &host).await.starts_with("HTTP/1.1 200"), "{host}");
    }
}

#[tokio::test]
async fn a_reload_changes_the_token_and_never_takes_it_from_a_listener_that_others_reach() {
    let office = Office::built(|builder| builder.variable("ADMIN", "0.0.0.0:0")).await;
    let port = office.gateway.running().admin_address().expect("an admin listener").port();
    let status = |token: Option<&'static str>| {
        let url = format!("http://127.0.0.1:{port}/api/v1/config");
        let client = office.client.clone();
        async move { client.get(&url, token).await.status.as_u16() }
    };
    let reload = |token: &'static str| {
        let url = format!("http://127.0.0.1:{port}/api/v1/reload");
        let client = office.client.clone();
        async move { client.send(request(Method::POST, &url, Some(token))).await.status }
    };
    assert_eq!((status(None).await, status(Some(TOKEN)).await), (401, 200));
    office.gateway.edit("token = { env = \"ADMIN_TOKEN\" }", "token = \"another-token-0123456789\"");
    let another = "another-token-0123456789";
    // The file watch may have been faster, and the old token is no good any more.
    reload(TOKEN).await;
    until("the new token", || async { (status(Some(another)).await == 200).then_some(()) }).await;
    assert_eq!(status(Some(TOKEN)).await, 401);

    let without = "address = \"127.0.0.1:0\"\n[issuers.corp]";
    office
        .gateway
        .edit("address = \"${ADMIN:-127.0.0.1:0}\"\ntoken = \"another-token-0123456789\"\n[issuers.corp]", without);
    assert_eq!(reload(another).await, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!((status(None).await, status(Some(TOKEN)).await, status(Some(another)).await), (401, 401, 200));
    office.gateway.edit(&format!("[admin]\n{without}"), "[issuers.corp]");
    assert_eq!(reload(another).await, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!((status(None).await, status(Some(another)).await), (401, 200));
}

#[tokio::test]
async fn no_answer_tells_a_secret() {
    let office = Office::open().await;
    // What is rejected must not be told either: a new secret beside a mistake, and one in the place of the mistake.
    for (from, to) in [
        (
            "secret = \"client-secret-that-nobody-may-see\"",
            "secret = \"canary-secret-of-the-rejected\"\nsecrett = \"canary-misspelt\"",
        ),
        ("jwks_uri = \"x\"", "jwks_uri = \"https://user:canary-password@id.example/jwks\""),
        ("token = { env = \"ADMIN_TOKEN\" }", "token = [\"canary-in-a-list\"]"),
    ] {
        if from.starts_with("jwks_uri") {
            office.gateway.edit("issuer = \"${ISSUER}\"", &format!("issuer = \"${{ISSUER}}\"\n{to}"));
        } else {
            office.gateway.edit(from, to);
        }
        let refused = office.post("/api/v1/reload").await;
        assert_eq!(refused.status, 422, "{to}");
        let mut told = refused.text();
        for path in ["/readyz", "/metrics", "/api/v1/config", "/api/v1/issuers"] {
            told.push_str(&office.get(path).await.text());
        }
        for secret in [TOKEN, CLIENT_SECRET, "canary", "BEGIN PRIVATE KEY"] {
            assert!(!told.contains(secret), "{secret} after {to}: {told}");
        }
        let config: Value = office.get("/api/v1/config").await.json();
        assert!(config["last_rejected"]["diagnostics"].as_array().is_some_and(|all| !all.is_empty()));
        assert_eq!(config["configuration"]["authorization_server"]["clients"]["billing"]["secret"], "[redacted]");
        if from.starts_with("jwks_uri") {
            office.gateway.edit(&format!("\n{to}"), "");
        } else {
            office.gateway.edit(to, from);
        }
    }
    tokio::time::timeout(Duration::from_secs(20), office.post("/api/v1/reload")).await.expect("an answer");
    assert_eq!(office.upstream.count(), 0);
}
