//! What an issuer can say of a token, and what cannot be taken for an answer.

use std::time::Duration;

use serde_json::{Value, json};

use super::{START, World, active, says};
use crate::support::{asked::Reply, gateway::GatewayBuilder};

#[tokio::test]
async fn what_a_token_means_is_judged_like_a_jwt() {
    let world = World::open().await;
    let rows: [(Value, u16, &str); 38] = [
        (json!({}), 200, ""),
        (json!({ "iss": null }), 200, ""),
        (json!({ "exp": null }), 200, ""),
        (json!({ "iat": null, "nbf": START }), 200, ""),
        (json!({ "token_type": null }), 200, ""),
        (json!({ "token_type": "bEARER" }), 200, ""),
        (json!({ "token_use": "access_token" }), 200, ""),
        (json!({ "token_use": "access", "typ": "Bearer" }), 200, ""),
        (json!({ "aud": ["x", "https://api.test/orders"] }), 200, ""),
        (json!({ "scope": "orders:write" }), 403, "scope_missing"),
        (json!({ "scope": null }), 403, "scope_missing"),
        (json!({ "scope": "orders:read  \u{e9}" }), 401, "claim_invalid"),
        (json!({ "aud": "https://api.test/other" }), 403, "audience_mismatch"),
        (json!({ "aud": null }), 403, "audience_mismatch"),
        (json!({ "iss": "https://id.corp.example" }), 401, "unknown_issuer"),
        (json!({ "iss": "https://id.CORP.example/" }), 401, "unknown_issuer"),
        (json!({ "iss": ["https://id.corp.example/"] }), 401, "claim_invalid"),
        (json!({ "exp": START }), 401, "token_expired"),
        (json!({ "exp": START - 1, "iat": START - 9 }), 401, "token_expired"),
        (json!({ "exp": "1900000000" }), 401, "claim_invalid"),
        (json!({ "exp": true }), 401, "claim_invalid"),
        (json!({ "nbf": START + 10 }), 401, "token_not_yet_valid"),
        (json!({ "nbf": "1" }), 401, "claim_invalid"),
        (json!({ "iat": START + 10 }), 401, "token_from_future"),
        (json!({ "iat": [] }), 401, "claim_invalid"),
        (json!({ "token_type": "DPoP" }), 401, "token_bound_to_key"),
        (json!({ "cnf": { "jkt": "x" } }), 401, "token_bound_to_key"),
        (json!({ "token_type": "refresh_token" }), 401, "not_an_access_token"),
        (json!({ "token_use": "refresh_token" }), 401, "not_an_access_token"),
        (json!({ "token_use": "id" }), 401, "not_an_access_token"),
        (json!({ "typ": "Refresh" }), 401, "not_an_access_token"),
        (json!({ "typ": "ID" }), 401, "not_an_access_token"),
        (json!({ "token_type": 1 }), 401, "claim_invalid"),
        // The marks of ID tokens and of security events.
        (json!({ "nonce": "n" }), 401, "not_an_access_token"),
        (json!({ "at_hash": "h" }), 401, "not_an_access_token"),
        (json!({ "c_hash": "h" }), 401, "not_an_access_token"),
        (json!({ "events": { "http://schemas.openid.net/event/backchannel-logout": {} } }), 401, "not_an_access_token"),
        (json!({ "events": "not an event" }), 200, ""),
    ];
    for (number, (changes, status, reason)) in rows.iter().enumerate() {
        let answer = active(changes);
        world.endpoint.answers(move |_| says(&answer));
        let (token, before) = (format!("good-{number}"), world.endpoint.count());
        for _ in 0..2 {
            let got = world.present(&token).await;
            assert_eq!(got, (*status, (*reason).to_owned()), "{changes}");
        }
        // What its issuer said of it is remembered, also where that is refused; only what has ended is asked about anew.
        let questions = if *reason == "token_expired" { 2 } else { 1 };
        assert_eq!(world.endpoint.count() - before, questions, "{changes}");
    }
}

#[tokio::test]
async fn what_is_no_answer_is_nobodys_fault_but_the_issuers() {
    let world = World::open().await;
    let good = active(&json!({})).to_string();
    let half = good.split_at(good.len() / 2).0.to_owned();
    let of_active = |value: &str| Reply::Says(good.replace("\"active\":true", &format!("\"active\":{value}")));
    let rows = [
        (of_active("\"true\""), "active_not_boolean"),
        (of_active("1"), "active_not_boolean"),
        (of_active("null"), "active_not_boolean"),
        (Reply::Says("{}".to_owned()), "active_not_boolean"),
        (of_active("false,\"active\":true"), "not_an_object"),
        (Reply::Says("<html>welcome</html>".to_owned()), "not_an_object"),
        (Reply::Says(format!("[{good}]")), "not_an_object"),
        (Reply::Says(String::new()), "not_an_object"),
        (Reply::Says(half.clone()), "not_an_object"),
        (Reply::Breaks(half), "broken_off"),
        (Reply::Redirects("/introspect".to_owned()), "status"),
        (Reply::Fails(500), "status"),
        (Reply::Fails(429), "status"),
        (Reply::Fails(400), "status"),
        (Reply::Fails(401), "credentials_refused"),
        (Reply::Fails(403), "credentials_refused"),
        (Reply::Spaces(100 << 20), "too_large"),
        (Reply::Slowly(Duration::from_secs(4), Box::new(Reply::Says(good.clone()))), "timed_out"),
    ];
    for (number, (reply, result)) in rows.iter().enumerate() {
        world.endpoint.says(reply.clone());
        let token = format!("good-{number}");
        let before = world.asked(result).await;
        world.refused(&token, 503, "introspection_unavailable").await;
        assert_eq!(world.asked(result).await, before + 1.0, "{reply:?}");
        // Nothing is held against it: a moment later it is as good as any. Only what concerns everybody takes that moment.
        world.endpoint.answers(super::known);
        match reply {
            Reply::Fails(429) | Reply::Slowly(..) => world.opens_again(&token).await,
            _ => world.opens(&token).await,
        }
    }
    let issuers = world.client.get(&world.gateway.admin_url("/api/v1/issuers"), None).await.json();
    let status = &issuers[0]["introspection"];
    assert_eq!(status["endpoint"], world.endpoint.url("/introspect"));
    assert_eq!(status["last_error"], "the answer took longer than 2000 ms");
    assert_eq!(status["last_error_at"], "2027-01-15T08:00:00.000Z");
    assert_eq!((&issuers[0]["state"], &issuers[0]["key_set"]), (&json!("usable"), &Value::Null));
    let counted = status["requests"].as_array().expect("a list");
    assert!(counted.contains(&json!({ "result": "credentials_refused", "count": 2 })), "{status}");
}

#[tokio::test]
async fn what_the_configuration_asks_of_jwts_it_asks_of_opaque_tokens() {
    let strict = |builder: GatewayBuilder| {
        builder.with("leeway = \"0s\"", "leeway = \"0s\"\nmax_lifetime = \"10m\"\nrequired_claims = [\"tenant\"]")
    };
    let world = World::furnished(strict).await;
    for (number, (changes, status, reason)) in [
        (json!({ "tenant": "a" }), 200, ""),
        (json!({}), 401, "claim_missing"),
        (json!({ "tenant": "a", "exp": START + 601 }), 401, "lifetime_too_long"),
        (json!({ "tenant": "a", "exp": null }), 401, "lifetime_too_long"),
        (json!({ "tenant": "a", "iat": null }), 401, "claim_missing"),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = active(&changes);
        world.endpoint.answers(move |_| says(&answer));
        assert_eq!(world.present(&format!("good-{number}")).await, (status, reason.to_owned()), "{changes}");
    }
}
