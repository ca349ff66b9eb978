//! Finding the key document from the issuer's name.

use std::time::Duration;

use serde_json::json;

use super::super::testing::{Reply, ScriptedIssuer, Side, eventually, fetches, listed_key};

const OPENID: &str = "/tenant/.well-known/openid-configuration";
const OAUTH: &str = "/.well-known/oauth-authorization-server/tenant";

fn metadata(issuer: &str, jwks_uri: &str) -> Reply {
    Reply::text(200, json!({ "issuer": issuer, "jwks_uri": jwks_uri, "token_endpoint": "x" }).to_string())
}

async fn scripted() -> (ScriptedIssuer, String) {
    let issuer = ScriptedIssuer::start().await;
    issuer.set("/jwks", Reply::keys(&[listed_key("one")]));
    let name = issuer.url("/tenant");
    (issuer, name)
}

#[tokio::test]
async fn openid_metadata_lead_to_the_keys_and_are_asked_for_once() {
    let (issuer, name) = scripted().await;
    issuer.set(OPENID, metadata(&name, &issuer.url("/jwks")));
    let side = Side::new();
    let set = side.ready(&format!("issuer = '{name}'")).await;
    side.clock.advance(Duration::from_secs(600));
    eventually("a refresh", || issuer.count("/jwks") == 2).await;
    assert_eq!((issuer.count(OPENID), issuer.count(OAUTH)), (1, 0));
    assert_eq!(set.status().place, format!("discovered from {name}"));
    assert_eq!(set.status().url, Some(issuer.url("/jwks")));
    // An operator's refresh asks for everything anew.
    set.refresh().await.unwrap();
    assert_eq!(issuer.count(OPENID), 2);
}

#[tokio::test]
async fn metadata_of_rfc_8414_are_the_second_choice() {
    let (issuer, name) = scripted().await;
    issuer.set(OAUTH, metadata(&name, &issuer.url("/jwks")));
    let side = Side::new();
    side.ready(&format!("issuer = '{name}'")).await;
    assert_eq!((issuer.count(OPENID), issuer.count(OAUTH)), (1, 1));
}

#[tokio::test]
async fn metadata_that_lie_are_refused_and_no_keys_are_fetched() {
    let (issuer, name) = scripted().await;
    let jwks = issuer.url("/jwks");
    let lies = [
        metadata(&format!("{name}/"), &jwks),
        metadata("https://other.example", &jwks),
        metadata(&name, "http://id.example/jwks"),
        metadata(&name, "file:///etc/passwd"),
        metadata(&name, "https://user:hunter2@id.example/jwks"),
        Reply::text(200, "<html>"),
        Reply::text(200, json!({ "issuer": name }).to_string()),
        Reply::text(302, "").header("location", issuer.url("/honest")),
    ];
    issuer.set("/honest", metadata(&name, &jwks));
    for lie in lies {
        issuer.set(OPENID, lie.clone());
        issuer.set(OAUTH, lie);
        let side = Side::new();
        let set = side.start(&format!("issuer = '{name}'"));
        eventually("a refusal", || fetches(&set.status(), "discovery_failed") >= 1).await;
        assert!(!set.is_ready());
        let said = set.status().last_error.unwrap();
        assert!(said.starts_with("discovery failed") && !said.contains("hunter2"), "{said}");
    }
    assert_eq!((issuer.count("/jwks"), issuer.count("/honest")), (0, 0));
    // The control.
    issuer.set(OPENID, metadata(&name, &jwks));
    Side::new().ready(&format!("issuer = '{name}'")).await;
}

#[tokio::test]
async fn the_issuer_is_asked_anew_when_its_keys_have_moved() {
    let (issuer, name) = scripted().await;
    issuer.set(OPENID, metadata(&name, &issuer.url("/jwks")));
    let side = Side::new();
    let set = side.ready(&format!("issuer = '{name}'")).await;
    issuer.set("/jwks", Reply::text(404, ""));
    issuer.set("/moved", Reply::keys(&[listed_key("moved")]));
    issuer.set(OPENID, metadata(&name, &issuer.url("/moved")));
    side.clock.advance(Duration::from_secs(600));
    eventually("the keys are found", || side.ids(&set) == ["moved"]).await;
    assert_eq!((issuer.count(OPENID), issuer.count("/jwks")), (2, 4));
}

#[tokio::test]
async fn metadata_that_went_away_leave_the_address_that_is_known() {
    let (issuer, name) = scripted().await;
    issuer.set(OPENID, metadata(&name, &issuer.url("/jwks")));
    let side = Side::new();
    let set = side.ready(&format!("issuer = '{name}'")).await;
    issuer.set(OPENID, metadata("https://other.example", "https://other.example/jwks"));
    issuer.set("/jwks", Reply::keys(&[listed_key("two")]));
    set.refresh().await.unwrap();
    assert_eq!(side.ids(&set), ["two"]);
    let status = set.status();
    assert!(status.warnings[0].contains("https://other.example"), "{:?}", status.warnings);
}
