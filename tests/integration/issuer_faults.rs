//! An issuer that is away, slow, broken or lying, beside one that is well.

use std::time::Duration;

use http::{Method, StatusCode};
use postern::clock::{ManualClock, UnixTime};
use serde_json::{Value, json};

use crate::support::{
    client::{Answer, HttpClient, request},
    forge::{SigningKey, base64url, claims, key_document, now},
    gateway::{Gateway, GatewayBuilder},
    issuer::{Conduct, ScriptedIssuer},
    openmetrics::scrape,
    upstream::RecordedUpstream,
    wait::until,
};

const CONFIG: &str = r#"
[issuers.corp]
issuer = "${ISSUER}"
audience = "https://api.test/orders"
[issuers.corp.key_set]
max_age = "1m"
max_stale = "2m"
startup = "degraded"
[issuers.well]
issuer = "${WELL}"
audience = "https://api.test/orders"
[upstreams.orders]
endpoints = ["${UPSTREAM}"]
[routes.orders]
path = "/orders/{*rest}"
upstream = "orders"
[routes.orders.require]
scopes = ["orders:read"]
"#;

/// The patient, called `corp`, and a healthy issuer beside it, called `well`.
struct Ward {
    corp: ScriptedIssuer,
    well: ScriptedIssuer,
    key: SigningKey,
    well_key: SigningKey,
    same_token: String,
    upstream: RecordedUpstream,
    client: HttpClient,
}

impl Ward {
    async fn open() -> Self {
        let (key, well_key) = (SigningKey::es256("k1"), SigningKey::es256("w1"));
        let corp = ScriptedIssuer::start(&[&key]).await;
        let well = ScriptedIssuer::start(&[&well_key]).await;
        let same_token = key.token(&claims(&corp.name()));
        let (upstream, client) = (RecordedUpstream::start().await, HttpClient::http1());
        Self { corp, well, key, well_key, same_token, upstream, client }
    }

    fn gateway(&self) -> GatewayBuilder {
        let builder = GatewayBuilder::new(CONFIG).issuer(&self.corp).variable("WELL", &self.well.name());
        builder.upstream(&self.upstream)
    }

    async fn ask(&self, gateway: &Gateway, token: &str) -> Answer {
        self.client.get(&gateway.url("/orders/1"), Some(token)).await
    }

    /// Asks with good tokens of the patient: one that was seen before, and one that was not.
    async fn ask_patient(&self, gateway: &Gateway) -> (Answer, Answer) {
        let signed_anew = self.key.token(&claims(&self.corp.name()));
        (self.ask(gateway, &self.same_token).await, self.ask(gateway, &signed_anew).await)
    }

    async fn assert_well(&self, gateway: &Gateway, during: &str) {
        let answer = self.ask(gateway, &self.well_key.token(&claims(&self.well.name()))).await;
        assert_eq!(answer.status, StatusCode::OK, "the healthy issuer, during: {during}");
    }

    async fn refresh(&self, gateway: &Gateway) -> Answer {
        let url = gateway.admin_url("/api/v1/issuers/corp/refresh");
        self.client.send(request(Method::POST, &url, None)).await
    }

    async fn until_ready(&self, gateway: &Gateway) {
        until("the gateway is ready", || async {
            (self.client.get(&gateway.admin_url("/readyz"), None).await.status == StatusCode::OK).then_some(())
        })
        .await;
    }

    async fn status(&self, gateway: &Gateway) -> Value {
        let issuers = self.client.get(&gateway.admin_url("/api/v1/issuers"), None).await.json();
        issuers
            .as_array()
            .and_then(|all| all.iter().find(|one| one["name"] == "corp"))
            .cloned()
            .expect("corp is listed")
    }
}

fn assert_unavailable(answer: &Answer) {
    assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (503, "keys_unavailable"));
    assert!(answer.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0));
    assert!(answer.headers.get("www-authenticate").is_none());
}

#[tokio::test]
async fn keys_serve_until_max_stale_and_then_readiness_says_why_and_all_recovers_by_itself() {
    let ward = Ward::open().await;
    let clock = ManualClock::starting_at(UnixTime::from_seconds(now()));
    let gateway = ward.gateway().clock(clock.clock()).start().await;
    ward.until_ready(&gateway).await;
    let (seen, fresh) = ward.ask_patient(&gateway).await;
    assert_eq!((seen.status, fresh.status), (StatusCode::OK, StatusCode::OK));

    ward.corp.go_down().await;
    clock.advance(Duration::from_secs(110));
    let failed = ward.refresh(&gateway).await;
    assert_eq!((failed.status.as_u16(), failed.json()["code"].as_str()), (502, Some("fetch_failed")));
    let (seen, fresh) = ward.ask_patient(&gateway).await;
    assert_eq!((seen.status, fresh.status), (StatusCode::OK, StatusCode::OK), "stale keys serve");
    assert_eq!(ward.status(&gateway).await["state"], "stale");
    assert_eq!(ward.client.get(&gateway.admin_url("/readyz"), None).await.status, StatusCode::OK);

    clock.advance(Duration::from_secs(11));
    let before = ward.upstream.count();
    let (seen, fresh) = ward.ask_patient(&gateway).await;
    assert_unavailable(&seen);
    assert_unavailable(&fresh);
    assert_eq!(ward.upstream.count(), before);
    ward.assert_well(&gateway, "an outage beyond max_stale").await;
    let readiness = ward.client.get(&gateway.admin_url("/readyz"), None).await;
    let missing = readiness.json()["missing"].clone();
    assert_eq!((readiness.status.as_u16(), missing.as_array().map(Vec::len)), (503, Some(1)));
    assert_eq!((&missing[0]["kind"], &missing[0]["name"]), (&json!("issuer"), &json!("corp")));
    let reason = missing[0]["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("max_stale") && reason.contains("no connection could be made"), "{reason}");
    let metrics = scrape(&ward.client, &gateway).await;
    assert_eq!(metrics.value("postern_key_set_keys", &[("issuer", "corp")]), Some(0.0));
    assert!(metrics.value("postern_key_set_age_seconds", &[("issuer", "corp")]).is_some_and(|age| age >= 121.0));

    ward.corp.come_back().await;
    ward.until_ready(&gateway).await;
    let (seen, fresh) = ward.ask_patient(&gateway).await;
    assert_eq!((seen.status, fresh.status), (StatusCode::OK, StatusCode::OK));
}

#[tokio::test]
async fn no_answer_that_is_not_a_key_set_harms_the_keys_that_are_known() {
    let ward = Ward::open().await;
    let gateway = ward.gateway().start().await;
    ward.until_ready(&gateway).await;
    let decoy = RecordedUpstream::start().await;
    let oversized = format!("{}{}", key_document(&[&ward.key]), " ".repeat(600 * 1024));
    let private = json!({ "keys": [{ "kty": "oct", "kid": "k1", "k": base64url("secret") }] }).to_string();
    let many: Vec<Value> = (0..101).map(|number| json!({ "kty": "EC", "kid": number.to_string() })).collect();
    let cases = [
        ("HTML", Conduct::Says("<html><body>Sign in</body></html>".to_owned()), "not_a_key_set"),
        ("an empty answer", Conduct::Says(String::new()), "not_a_key_set"),
        ("JSON of another kind", Conduct::Says("[]".to_owned()), "not_a_key_set"),
        ("101 keys", Conduct::Says(json!({ "keys": many }).to_string()), "not_a_key_set"),
        ("no keys", Conduct::Says(r#"{"keys":[]}"#.to_owned()), "no_usable_key"),
        ("symmetric keys only", Conduct::Says(private), "no_usable_key"),
        ("a redirect", Conduct::Redirects(format!("{}/jwks", decoy.url())), "redirected"),
        ("500", Conduct::Fails(StatusCode::INTERNAL_SERVER_ERROR), "refused_by_issuer"),
        ("404", Conduct::Fails(StatusCode::NOT_FOUND), "refused_by_issuer"),
        ("304 to an unconditional request", Conduct::Fails(StatusCode::NOT_MODIFIED), "refused_by_issuer"),
        ("half an answer", Conduct::Truncated, "unreachable"),
        ("more than 512 KiB", Conduct::Says(oversized), "too_large"),
        ("an answer after more than 5 s", Conduct::Slow(Duration::from_secs(30)), "timed_out"),
    ];
    for (what, conduct, result) in cases {
        let labels = [("issuer", "corp"), ("result", result)];
        let before = scrape(&ward.client, &gateway).await.value("postern_key_set_fetches_total", &labels);
        ward.corp.conduct(conduct);
        let refreshed = ward.refresh(&gateway).await;
        assert_eq!(
            (refreshed.status.as_u16(), refreshed.json()["code"].as_str()),
            (502, Some("fetch_failed")),
            "{what}"
        );
        let (seen, fresh) = ward.ask_patient(&gateway).await;
        assert_eq!((seen.status, fresh.status), (StatusCode::OK, StatusCode::OK), "{what}");
        ward.assert_well(&gateway, what).await;
        let metrics = scrape(&ward.client, &gateway).await;
        assert!(metrics.value("postern_key_set_fetches_total", &labels) > before, "{what} is counted as {result}");
        assert_eq!(metrics.value("postern_key_set_keys", &[("issuer", "corp")]), Some(1.0), "{what}");
    }
    assert_eq!(decoy.count(), 0, "a redirect is not followed");
    ward.corp.conduct(Conduct::Honest);
    let refreshed = ward.refresh(&gateway).await;
    assert_eq!((refreshed.status, &refreshed.json()["state"]), (StatusCode::OK, &json!("usable")));
}

#[tokio::test]
async fn one_odd_key_does_not_spoil_the_set() {
    let ward = Ward::open().await;
    let (twin, other_twin, encryption) =
        (SigningKey::es256("twin"), SigningKey::es256("twin"), SigningKey::es256("encryption"));
    let mut for_encryption = encryption.jwk();
    for_encryption["use"] = json!("enc");
    let mut signs_only = SigningKey::es256("signs").jwk();
    signs_only["key_ops"] = json!(["sign"]);
    let mut private = SigningKey::es256("private").jwk();
    private["d"] = json!(base64url([1; 32]));
    let odd = json!({ "keys": [
        { "kty": "oct", "kid": "symmetric", "k": base64url([7; 32]) },
        { "kty": "AKP", "kid": "of-tomorrow", "alg": "ML-DSA-44", "pub": "AAAA" },
        { "kty": "RSA", "kid": "short", "n": base64url([0xff; 128]), "e": "AQAB" },
        { "kty": "EC", "crv": "P-256", "kid": "off-curve", "x": base64url([1; 32]), "y": base64url([1; 32]) },
        for_encryption, signs_only, private, twin.jwk(), other_twin.jwk(),
        { "kid": 7 }, "no key at all", null,
        ward.key.jwk(),
    ] });
    ward.corp.conduct(Conduct::Says(odd.to_string()));
    let gateway = ward.gateway().start().await;
    ward.until_ready(&gateway).await;
    for (key, kid) in [(&twin, "twin"), (&other_twin, "twin"), (&encryption, "encryption"), (&encryption, "symmetric")]
    {
        let header = json!({ "alg": "ES256", "kid": kid, "typ": "at+jwt" }).to_string();
        let token = key.token_of("ES256", &header, &claims(&ward.corp.name()).to_string());
        let answer = ward.ask(&gateway, &token).await;
        assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (401, "unknown_key"), "{kid}");
    }
    assert_eq!(ward.upstream.count(), 0);
    let (seen, fresh) = ward.ask_patient(&gateway).await;
    assert_eq!((seen.status, fresh.status), (StatusCode::OK, StatusCode::OK));
    let status = ward.status(&gateway).await;
    let names = |list: &str| -> Vec<Value> {
        status["key_set"][list].as_array().expect("a list").iter().map(|key| key["key_id"].clone()).collect()
    };
    assert_eq!(names("keys"), [json!("k1")]);
    assert_eq!(names("skipped").len(), 12, "{status:#}");
    let metrics = scrape(&ward.client, &gateway).await;
    assert_eq!(metrics.value("postern_key_set_keys", &[("issuer", "corp")]), Some(1.0));
}

#[tokio::test]
async fn metadata_that_name_another_issuer_lead_to_no_keys() {
    let ward = Ward::open().await;
    ward.corp.claim_to_be("http://127.0.0.1/somebody-else");
    let gateway = ward.gateway().start().await;
    let readiness = until("the lie is noticed", || async {
        let answer = ward.client.get(&gateway.admin_url("/readyz"), None).await;
        answer.text().contains("another issuer").then_some(answer)
    })
    .await;
    assert_eq!((readiness.status.as_u16(), &readiness.json()["missing"][0]["name"]), (503, &json!("corp")));
    let (seen, fresh) = ward.ask_patient(&gateway).await;
    assert_unavailable(&seen);
    assert_unavailable(&fresh);
    assert_eq!((ward.corp.key_fetches(), ward.upstream.count()), (0, 0));
    ward.assert_well(&gateway, "a lie of the other issuer").await;
    let metrics = scrape(&ward.client, &gateway).await;
    let labels = [("issuer", "corp"), ("result", "discovery_failed")];
    assert!(metrics.value("postern_key_set_fetches_total", &labels) > Some(0.0));

    ward.corp.claim_to_be(&ward.corp.name());
    ward.until_ready(&gateway).await;
    let (seen, fresh) = ward.ask_patient(&gateway).await;
    assert_eq!((seen.status, fresh.status), (StatusCode::OK, StatusCode::OK));
}
