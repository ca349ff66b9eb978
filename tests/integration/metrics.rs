//! What a scraper is told after traffic of every kind.

use std::collections::BTreeSet;

use http::{Method, StatusCode};
use serde_json::json;

use crate::support::{
    client::{HttpClient, request},
    forge::{SigningKey, base64url, claims},
    gateway::{Gateway, GatewayBuilder},
    issuer::ScriptedIssuer,
    openmetrics::{Exposition, scrape},
    upstream::RecordedUpstream,
};

const CONFIG: &str = r#"
[issuers.corp]
issuer = "${ISSUER}"
audience = "https://api.test/orders"
[upstreams.orders]
endpoints = ["${UPSTREAM}"]
[upstreams.nobody]
endpoints = ["http://127.0.0.1:1"]
[routes.orders]
path = "/orders/{*rest}"
upstream = "orders"
[routes.orders.require]
scopes = ["orders:read"]
[routes.watched]
path = "/watched"
upstream = "orders"
mode = "report"
[routes.watched.require]
scopes = ["orders:write"]
[routes.dead]
path = "/dead"
upstream = "nobody"
public = true
[listeners.tls]
address = "127.0.0.1:0"
[listeners.tls.tls]
certificate = "one/tls.crt"
private_key = "one/tls.key"
certificates = [{ certificate = "two/tls.crt", private_key = "two/tls.key" }]
"#;

/// 1 January of 2080 and of 2090, in seconds since the epoch.
const ENDS: [(&str, i32, f64); 2] = [("one", 2080, 3_471_292_800.0), ("two", 2090, 3_786_912_000.0)];

struct Scene {
    issuer: ScriptedIssuer,
    key: SigningKey,
    gateway: Gateway,
    client: HttpClient,
    _upstream: RecordedUpstream,
}

impl Scene {
    async fn set() -> Self {
        let key = SigningKey::es256("k1");
        let issuer = ScriptedIssuer::start(&[&key]).await;
        let upstream = RecordedUpstream::start().await;
        let builder = GatewayBuilder::new(CONFIG).issuer(&issuer).upstream(&upstream);
        for (folder, year, _) in ENDS {
            let mut parameters = rcgen::CertificateParams::new(vec![format!("{folder}.example")]).expect("a name");
            parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
            parameters.not_after = rcgen::date_time_ymd(year, 1, 1);
            let pair = rcgen::KeyPair::generate().expect("a key");
            let certificate = parameters.self_signed(&pair).expect("a certificate");
            let folder = builder.folder().join(folder);
            std::fs::create_dir(&folder).expect("made");
            std::fs::write(folder.join("tls.crt"), certificate.pem()).expect("written");
            std::fs::write(folder.join("tls.key"), pair.serialize_pem()).expect("written");
        }
        let gateway = builder.start().await;
        Self { issuer, key, gateway, client: HttpClient::http1(), _upstream: upstream }
    }

    async fn get(&self, path: &str, token: Option<&str>) -> u16 {
        self.client.get(&self.gateway.url(path), token).await.status.as_u16()
    }

    async fn scrape(&self) -> Exposition {
        scrape(&self.client, &self.gateway).await
    }
}

#[tokio::test]
async fn every_metric_that_operators_rely_on_is_there_with_its_labels() {
    let scene = Scene::set().await;
    let good = scene.key.token(&claims(&scene.issuer.name()));
    for _ in 0..3 {
        assert_eq!(scene.get("/orders/1", Some(&good)).await, 200);
    }
    assert_eq!(scene.get("/orders/1", None).await, 401);
    assert_eq!(scene.get("/watched", Some(&good)).await, 200);
    assert_eq!(scene.get("/dead", None).await, 502);
    assert_eq!(scene.get("/nowhere", None).await, 404);
    let unknown = SigningKey::es256("unknown").token(&claims(&scene.issuer.name()));
    assert_eq!(scene.get("/orders/1", Some(&unknown)).await, 401);

    let metrics = scene.scrape().await;
    let value = |name: &str, labels: &[(&str, &str)]| metrics.value(name, labels);
    let orders = ("route", "orders");
    assert_eq!(value("postern_requests_total", &[orders, ("status_class", "2xx")]), Some(3.0));
    assert_eq!(value("postern_requests_total", &[orders, ("status_class", "4xx")]), Some(2.0));
    assert_eq!(value("postern_requests_total", &[("route", "dead"), ("status_class", "5xx")]), Some(1.0));
    assert_eq!(value("postern_requests_total", &[("route", ""), ("status_class", "4xx")]), Some(1.0));
    assert_eq!(value("postern_request_duration_seconds_count", &[orders]), Some(5.0));
    let decision = |route, issuer, result, reason, mode| {
        let labels = [("route", route), ("issuer", issuer), ("result", result), ("reason", reason), ("mode", mode)];
        metrics.value("postern_auth_decisions_total", &labels)
    };
    assert_eq!(decision("orders", "corp", "allowed", "authorized", "enforce"), Some(3.0));
    assert_eq!(decision("orders", "", "refused", "no_token", "enforce"), Some(1.0));
    assert_eq!(decision("orders", "", "refused", "unknown_key", "enforce"), Some(1.0));
    assert_eq!(decision("watched", "corp", "refused", "scope_missing", "report"), Some(1.0));
    assert_eq!(metrics.sum("postern_auth_decisions_total", &[]), 6.0, "public routes decide nothing");
    assert_eq!(value("postern_token_cache_hits_total", &[]), Some(3.0));
    assert_eq!(value("postern_token_cache_misses_total", &[]), Some(2.0));
    let corp = ("issuer", "corp");
    assert!(value("postern_key_set_age_seconds", &[corp]).is_some_and(|age| (0.0..60.0).contains(&age)));
    assert_eq!(value("postern_key_set_fetches_total", &[corp, ("result", "fetched")]), Some(2.0));
    assert_eq!(value("postern_key_set_keys", &[corp]), Some(1.0));
    assert_eq!(value("postern_unknown_key_total", &[corp]), Some(1.0));
    let upstream = ("upstream", "orders");
    assert_eq!(value("postern_upstream_requests_total", &[upstream, ("status_class", "2xx")]), Some(4.0));
    assert_eq!(value("postern_upstream_response_header_seconds_count", &[upstream]), Some(4.0));
    assert!(value("postern_upstream_connections", &[upstream]).is_some_and(|open| open >= 1.0));
    let failures = [("upstream", "nobody"), ("reason", "upstream_connect_failed")];
    assert_eq!(value("postern_upstream_failures_total", &failures), Some(1.0));
    assert_eq!(value("postern_config_last_reload_successful", &[]), Some(1.0));
    assert_eq!(value("postern_config_generation", &[]), Some(1.0));
    let config = scene.client.get(&scene.gateway.admin_url("/api/v1/config"), None).await.json();
    let hash = config["hash"].as_str().expect("a hash");
    assert_eq!(value("postern_config_info", &[("hash", hash)]), Some(1.0));
}

#[tokio::test]
async fn certificates_of_one_file_name_are_told_apart() {
    let scene = Scene::set().await;
    let metrics = scene.scrape().await;
    for (folder, _, ends) in ENDS {
        let file = scene.gateway.folder.path().join(folder).join("tls.crt");
        let labels = [("listener", "tls"), ("certificate", file.to_str().expect("UTF-8"))];
        assert_eq!(metrics.value("postern_tls_certificate_not_after_seconds", &labels), Some(ends));
    }
}

#[tokio::test]
async fn a_rejected_reload_is_told_until_the_next_good_one() {
    let scene = Scene::set().await;
    let reload = || scene.client.send(request(Method::POST, &scene.gateway.admin_url("/api/v1/reload"), None));
    scene.gateway.edit("path = \"/dead\"", "path = 7");
    assert_eq!(reload().await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let metrics = scene.scrape().await;
    assert_eq!(metrics.value("postern_config_last_reload_successful", &[]), Some(0.0));
    assert_eq!(metrics.value("postern_config_generation", &[]), Some(1.0));
    assert!(metrics.value("postern_config_reloads_total", &[("result", "rejected")]) >= Some(1.0));
    scene.gateway.edit("path = 7", "path = \"/dead/too\"");
    assert_eq!(reload().await.status, StatusCode::OK);
    let metrics = scene.scrape().await;
    assert_eq!(metrics.value("postern_config_last_reload_successful", &[]), Some(1.0));
    assert!(metrics.value("postern_config_generation", &[]) >= Some(2.0));
    assert!(metrics.value("postern_config_reloads_total", &[("result", "applied")]) >= Some(1.0));
}

#[tokio::test]
async fn no_label_comes_from_a_token_that_was_not_verified_and_none_from_a_request() {
    let scene = Scene::set().await;
    let canary = "canary\"} 1\npostern_requests_total{route=\"x";
    let stranger = SigningKey::es256("canary-key");
    let mut hostile = claims(&scene.issuer.name());
    for claim in ["client_id", "sub", "azp", "jti", "scope", "tenant_id"] {
        hostile[claim] = json!(canary);
    }
    let mut of_nobody = hostile.clone();
    of_nobody["iss"] = json!(format!("https://{canary}"));
    let header = |kid: &str| json!({ "alg": "ES256", "kid": kid, "typ": "at+jwt" }).to_string();
    let mut tokens = vec![
        stranger.token(&hostile),
        stranger.token(&of_nobody),
        stranger.token_of("ES256", &header(canary), &hostile.to_string()),
        stranger.token_of("ES256", &header("k1"), &hostile.to_string()),
        format!("{}.{}.{}", base64url(canary), base64url(canary), base64url(canary)),
        "canary".to_owned(),
    ];
    tokens.extend(
        (0..50).map(|number| stranger.token_of("ES256", &header(&format!("canary-{number}")), &hostile.to_string())),
    );
    for token in &tokens {
        for path in ["/orders/canary?canary=1", "/watched"] {
            let status = scene.get(path, Some(token)).await;
            assert!(status == 401 || path == "/watched", "{status}");
        }
    }
    assert_eq!(scene.get("/canary", None).await, 404);
    let strange = request(Method::from_bytes(b"CANARY").expect("a method"), &scene.gateway.url("/orders/1"), None);
    assert_eq!(scene.client.send(strange).await.status, 401);
    // The control: traffic that counts under names of the configuration.
    let good = scene.key.token(&claims(&scene.issuer.name()));
    assert_eq!(scene.get("/orders/1", Some(&good)).await, 200);

    let text = scene.client.get(&scene.gateway.admin_url("/metrics"), None).await.text();
    assert!(!text.to_ascii_lowercase().contains("canary"), "{text}");
    let metrics = Exposition::parse(&text);
    let labels = |label: &str| -> BTreeSet<String> {
        metrics.samples.iter().filter_map(|sample| sample.labels.get(label)).cloned().collect()
    };
    assert_eq!(labels("issuer"), BTreeSet::from(["".to_owned(), "corp".to_owned()]));
    assert_eq!(labels("route"), BTreeSet::from(["".to_owned(), "orders".to_owned(), "watched".to_owned()]));
    assert!(labels("client_id").is_empty() && labels("kid").is_empty());
    assert!(metrics.sum("postern_auth_decisions_total", &[("result", "refused"), ("issuer", "")]) >= 112.0);
}

#[tokio::test]
async fn counts_and_histograms_only_ever_grow() {
    let scene = Scene::set().await;
    let good = scene.key.token(&claims(&scene.issuer.name()));
    let mut before = scene.scrape().await;
    for round in 1..4_u32 {
        for path in ["/orders/1", "/watched", "/nowhere", "/dead"] {
            scene.get(path, Some(&good)).await;
        }
        let after = scene.scrape().await;
        let grows = |name: &str| ["_total", "_bucket", "_count", "_sum"].iter().any(|ending| name.ends_with(ending));
        for sample in before.samples.iter().filter(|sample| grows(&sample.name)) {
            let now = after.samples.iter().find(|now| now.name == sample.name && now.labels == sample.labels);
            assert!(now.is_some_and(|now| now.value >= sample.value), "{sample:?} became {now:?}");
        }
        let count = after.value("postern_request_duration_seconds_count", &[("route", "orders")]);
        assert_eq!(count, Some(f64::from(round)));
        let all = after.value("postern_request_duration_seconds_bucket", &[("route", "orders"), ("le", "+Inf")]);
        assert_eq!(all, count);
        before = after;
    }
    let kinds: BTreeSet<&str> = before.families.values().map(String::as_str).collect();
    assert_eq!(kinds, BTreeSet::from(["counter", "gauge", "histogram", "info"]));
}
