//! The tokens endpoint of a plgd hub: what its services ask about tokens, and what owners do with their own.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::{GATEWAY, does_not_open, issued, opens};
use crate::support::systems::{DEVICES, PLGD_TOKENS, START, Systems, bearer, part, text};

/// What the tokens endpoint lists for whoever holds `token`.
async fn listed(systems: &Systems, token: &str, query: &str) -> Vec<Value> {
    let path = format!("{PLGD_TOKENS}?{query}");
    let answer = systems.send(Method::GET, &path, &[("authorization", &bearer(token))], "").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let result = |line: &str| serde_json::from_str::<Value>(line).expect("JSON")["result"].clone();
    answer.text().lines().filter(|line| !line.is_empty()).map(result).collect()
}

fn id_of(token: &str) -> String {
    text(&part(token, 1), "jti")
}

#[tokio::test]
async fn a_service_looks_a_token_up_by_its_id_and_sees_it_blacklisted() {
    let systems = Systems::open().await;
    let service = issued(&systems, &json!({ "token_name": "the service" })).await;
    let token = issued(&systems, &json!({ "token_name": "the device", "scope": "devices:read" })).await;
    let id = id_of(&token);
    let look_up = format!("idFilter={id}&includeBlacklisted=true");
    let found = listed(&systems, &service, &look_up).await;
    assert_eq!(found.len(), 1, "{found:?}");
    let found = &found[0];
    for (member, value) in [
        ("id", json!(id)),
        ("name", json!("the device")),
        ("owner", json!("owner-1")),
        ("clientId", json!("hub")),
        ("subject", json!("owner-1")),
        ("audience", json!([DEVICES])),
        ("scope", json!(["devices:read"])),
        ("issuedAt", json!(START.to_string())),
        ("expiration", json!((START + 3600).to_string())),
    ] {
        assert_eq!(found[member], value, "{member} in {found}");
    }
    assert_ne!(found["blacklisted"]["flag"], json!(true));

    let path = format!("{PLGD_TOKENS}?idFilter={id}");
    let deleted = systems.send(Method::DELETE, &path, &[("authorization", &bearer(&service))], "").await;
    assert_eq!(
        (deleted.status.as_u16(), deleted.json()),
        (200, json!({ "blacklistedCount": "1", "deletedCount": "0" }))
    );
    does_not_open(&systems, &token, "token_revoked").await;
    opens(&systems, &service).await;
    let found = listed(&systems, &service, &look_up).await;
    assert_eq!(found[0]["blacklisted"]["flag"], json!(true));
    assert_eq!(found[0]["blacklisted"]["timestamp"], json!(START.to_string()));
    // Without being asked for, blacklisted ones are not told.
    assert!(listed(&systems, &service, &format!("idFilter={id}")).await.is_empty());
    let all = listed(&systems, &service, "").await;
    assert!(all.len() == 1 && all[0]["id"] == json!(id_of(&service)), "{all:?}");
}

#[tokio::test]
async fn another_owner_sees_and_revokes_nothing() {
    let systems = Systems::open().await;
    let own = issued(&systems, &json!({})).await;
    let other = issued(&systems, &json!({ "client_id": "gateway", "client_secret": GATEWAY })).await;
    let id = id_of(&own);
    assert!(listed(&systems, &other, &format!("idFilter={id}&includeBlacklisted=true")).await.is_empty());
    let path = format!("{PLGD_TOKENS}?idFilter={id}");
    let answer = systems.send(Method::DELETE, &path, &[("authorization", &bearer(&other))], "").await;
    assert_eq!(answer.json(), json!({ "blacklistedCount": "0", "deletedCount": "0" }));
    opens(&systems, &own).await;
    // The owner, whom the authority vouches for, does both.
    let owner = systems.authority_token(&json!({ "owner": "owner-1" }));
    assert_eq!(listed(&systems, &owner, "").await.len(), 1);
    let answer = systems.send(Method::DELETE, &path, &[("authorization", &bearer(&owner))], "").await;
    assert_eq!(answer.json(), json!({ "blacklistedCount": "1", "deletedCount": "0" }));
    does_not_open(&systems, &own, "token_revoked").await;
}

#[tokio::test]
async fn nothing_is_revoked_without_saying_what_nor_listed_for_nobody() {
    let systems = Systems::open().await;
    let token = issued(&systems, &json!({})).await;
    let answer = systems.send(Method::DELETE, PLGD_TOKENS, &[("authorization", &bearer(&token))], "").await;
    assert_eq!((answer.status.as_u16(), &answer.json()["code"]), (400, &json!(3)));
    opens(&systems, &token).await;
    for headers in [&[][..], &[("authorization", "Bearer nonsense")]] {
        let answer = systems.send(Method::GET, PLGD_TOKENS, headers, "").await;
        assert_eq!((answer.status.as_u16(), &answer.json()["code"]), (401, &json!(16)), "{headers:?}");
        assert!(answer.header("www-authenticate").starts_with("Bearer"));
    }
    let ownerless = systems.authority_token(&json!({ "owner": null }));
    let answer = systems.send(Method::GET, PLGD_TOKENS, &[("authorization", &bearer(&ownerless))], "").await;
    assert!(matches!(answer.status.as_u16(), 401 | 403), "{}", answer.text());
}

#[tokio::test]
async fn an_expired_token_is_deleted_and_not_blacklisted() {
    let systems = Systems::open().await;
    let short = issued(&systems, &json!({ "expiration": START + 10 })).await;
    let service = issued(&systems, &json!({})).await;
    systems.clock.advance(Duration::from_secs(11));
    let path = format!("{PLGD_TOKENS}?idFilter={}", id_of(&short));
    let answer = systems.send(Method::DELETE, &path, &[("authorization", &bearer(&service))], "").await;
    assert_eq!(answer.json(), json!({ "blacklistedCount": "0", "deletedCount": "1" }));
    does_not_open(&systems, &short, "token_expired").await;
}

#[tokio::test]
async fn a_token_that_the_management_api_revokes_is_blacklisted_too() {
    let systems = Systems::open().await;
    let (token, service) = (issued(&systems, &json!({})).await, issued(&systems, &json!({})).await);
    let id = id_of(&token);
    let listing = systems.listed("owner=owner-1").await;
    assert!(listing.iter().any(|item| item["id"] == json!(id) && item["dialect"] == json!("plgd")), "{listing:?}");
    systems.managed(Method::POST, "/api/v1/revocations", Some(&json!({ "token_id": id }))).await;
    does_not_open(&systems, &token, "token_revoked").await;
    let found = listed(&systems, &service, &format!("idFilter={id}&includeBlacklisted=true")).await;
    assert_eq!(found[0]["blacklisted"]["flag"], json!(true));
}
