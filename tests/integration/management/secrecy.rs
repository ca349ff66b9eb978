//! What the audit says, and that neither it nor the program's log ever says a secret.

use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};

use super::office::{ADMIN_TOKEN, BILLING_SECRET, CONFIG, ORDERS, Office, asking, reader};
use crate::support::{
    client::HttpClient, forge::SigningKey, issuer::ScriptedIssuer, program::Program, upstream::RecordedUpstream,
};

#[tokio::test]
async fn the_audit_says_who_did_what_and_when() {
    let office = Office::open().await;
    office.add("shipping", &reader(&json!({ "owner": "ann" }))).await;
    office.advance(60);
    office.done(Method::POST, "/api/v1/clients/shipping/disable", None).await;
    office.post("/api/v1/revocations", &json!({ "owner": "ann" })).await;
    office.done(Method::PUT, "/api/v1/switches", Some(&json!({ "m2m_enabled": false }))).await;
    let page = office.get("/api/v1/audit?limit=4").await;
    let entries = page["entries"].as_array().unwrap();
    let said: Vec<[&str; 3]> =
        entries.iter().map(|entry| ["actor", "action", "subject"].map(|name| entry[name].as_str().unwrap())).collect();
    let expected = [
        ["admin-api", "switch.set", "m2m_enabled"],
        ["admin-api", "token.revoke", "owner ann"],
        ["admin-api", "client.disable", "shipping"],
        ["admin-api", "client.add", "shipping"],
    ];
    assert_eq!(said, expected);
    assert_eq!(entries[3]["detail"]["client"]["owner"], "ann");
    assert_eq!(entries[0]["detail"], json!({ "enabled": false }));
    let moment = |entry: &Value| entry["at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second();
    assert_eq!(moment(&entries[2]) - moment(&entries[3]), 60);

    // What comes before is on the next page: the keys that were made at the start.
    let next = page["next"].as_i64().unwrap();
    let earlier = office.get(&format!("/api/v1/audit?before={next}")).await;
    let entries = earlier["entries"].as_array().unwrap();
    assert!(!entries.is_empty() && earlier.get("next").is_none(), "{earlier}");
    for entry in entries {
        assert!(entry["action"].as_str().unwrap().starts_with("signing_key."), "{entry}");
        assert_ne!(entry["actor"], "admin-api");
        assert!(entry["number"].as_i64().unwrap() < next);
    }
}

#[tokio::test]
async fn no_secret_is_in_the_audit_or_in_the_log() {
    let key = SigningKey::es256("k1");
    let issuer = ScriptedIssuer::start(&[&key]).await;
    let upstream = RecordedUpstream::start().await;
    let config = CONFIG
        .replace("${ISSUER}", &issuer.name())
        .replace("${UPSTREAM}", &upstream.url())
        .replace("access_log = \"off\"", "log_level = \"trace\"");
    let variables = [("ADMIN_TOKEN", ADMIN_TOKEN), ("BILLING_SECRET", BILLING_SECRET)];
    let program = Program::start(&config, &variables).await;
    let client = HttpClient::http1();
    let ask = |method: Method, path: &str, body: Option<Value>| {
        let request = asking(method, &program.admin_url(path), body.as_ref());
        let client = client.clone();
        async move {
            let answer = client.send(request).await;
            assert!(answer.status.is_success(), "{}", answer.text());
            answer.json()
        }
    };
    let mut canaries =
        vec![ADMIN_TOKEN.to_owned(), BILLING_SECRET.to_owned(), "0123456789abcdef0123456789abcdef".to_owned()];
    let text = |value: &Value| value.as_str().expect("a text").to_owned();

    let grants = json!({ ORDERS: ["orders:read"] });
    let methods = ["client_secret_post", "client_secret_jwt"];
    let added = json!({ "id": "shipping", "owner": "ann", "grants": grants, "authentication_methods": methods });
    let secret = text(&ask(Method::POST, "/api/v1/clients", Some(added)).await["secret"]);
    canaries.push(secret.clone());
    let rotated = ask(Method::POST, "/api/v1/clients/shipping/rotate", Some(json!({ "grace": "1h" }))).await;
    canaries.push(text(&rotated["secret"]));
    let wanted = json!({ "client_id": "shipping" });
    canaries.push(text(&ask(Method::POST, "/api/v1/tokens", Some(wanted)).await["access_token"]));
    for (id, secret) in [("shipping", &*secret), ("billing", BILLING_SECRET)] {
        let parameters = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)];
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        let request = Request::post(program.url("/oauth/token"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Full::from(body))
            .expect("a request");
        let answer = client.send(request).await;
        canaries.push(text(&answer.json()["access_token"]));
    }
    // Only the signature makes a token good; header and payload are shared with what may be told.
    let signatures =
        canaries.iter().filter_map(|text| text.rsplit_once('.')).map(|(_, signature)| signature.to_owned());
    let signatures: Vec<String> = signatures.collect();
    assert_eq!(signatures.len(), 3);
    canaries.extend(signatures);
    ask(Method::POST, "/api/v1/clients/shipping/disable", None).await;
    ask(Method::POST, "/api/v1/clients/shipping/enable", None).await;
    ask(Method::POST, "/api/v1/revocations", Some(json!({ "owner": "ann" }))).await;
    ask(Method::POST, "/api/v1/keys/rotate", Some(json!({ "haste": true }))).await;
    ask(Method::PUT, "/api/v1/switches", Some(json!({ "m2m_enabled": false }))).await;
    ask(Method::DELETE, "/api/v1/clients/shipping", None).await;

    let mut seen = vec![("the log", program.log())];
    for path in ["/api/v1/audit?limit=1000", "/api/v1/clients", "/api/v1/tokens?include_revoked=true", "/api/v1/keys"] {
        seen.push((path, ask(Method::GET, path, None).await.to_string()));
    }
    assert!(seen[1].1.contains("client.rotate") && seen[0].1.contains("postern is running"));
    for (place, said) in &seen {
        for canary in &canaries {
            assert!(!said.contains(canary.as_str()), "{canary} is in {place}");
        }
    }
}
