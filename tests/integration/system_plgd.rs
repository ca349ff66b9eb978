//! A client of a plgd hub's M2M OAuth server, which has changed the host in its URLs and nothing else; and a service that asks
//! the tokens endpoint whether a token is still good.

mod tokens;

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use crate::support::{
    client::Answer,
    forge::SigningKey,
    systems::{
        DEVICES, HUB, ISSUER, PLGD, PLGD_TOKENS, START, Systems, assert_answer, assert_uncached_json, basic, bearer,
        text,
    },
};

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const GATEWAY: &str = "canary-gateway-secret-0123456789-abcdefgh";
const INVALID_CLIENT: &str = "cannot create token: invalid request: invalid client or client secret";

/// What a client sends, with changes; null takes a member out.
fn request_with(changes: &Value) -> Value {
    let base = json!({ "grant_type": "client_credentials", "client_id": "hub", "client_secret": HUB });
    crate::support::forge::changed(base, changes)
}

async fn ask(systems: &Systems, changes: &Value) -> Answer {
    systems.post_json(PLGD, &request_with(changes)).await
}

async fn issued(systems: &Systems, changes: &Value) -> String {
    let answer = ask(systems, changes).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_uncached_json(&answer);
    text(&answer.json(), "access_token")
}

fn unauthenticated(message: &str) -> Value {
    json!({ "code": 16, "message": message, "details": [] })
}

/// Refused as plgd does: everything but a body that does not parse is a 401.
async fn refused(systems: &Systems, changes: &Value, message: &str) {
    assert_answer(&ask(systems, changes).await, 401, &unauthenticated(message));
}

async fn opens(systems: &Systems, token: &str) {
    systems.opens("/devices/1", "authorization", &bearer(token)).await;
}

async fn does_not_open(systems: &Systems, token: &str, reason: &str) {
    systems.does_not_open("/devices/1", "authorization", &bearer(token), 401, reason).await;
}

#[tokio::test]
async fn a_token_comes_by_json_form_and_basic_and_opens_the_route() {
    let systems = Systems::open().await;
    let pairs =
        [("grant_type", "client_credentials"), ("client_id", "hub"), ("client_secret", HUB), ("audience", DEVICES)];
    let by_basic = [("grant_type", "client_credentials"), ("client_id", "nobody"), ("client_secret", "wrong")];
    let authorization = basic(&format!("hub:{HUB}"));
    let text_plain = [("content-type", "text/plain")];
    for answer in [
        ask(&systems, &json!({ "audience": DEVICES })).await,
        // JSON, whatever the content type says.
        systems.send(Method::POST, PLGD, &text_plain, &request_with(&json!({})).to_string()).await,
        systems.post_form(PLGD, &pairs).await,
        // Basic overrides the body.
        systems.post_form_as(PLGD, &authorization, &by_basic).await,
    ] {
        let token = text(&answer.json(), "access_token");
        let body = json!({
            "access_token": token, "token_type": "Bearer", "scope": "devices:read devices:write", "expires_in": 3600
        });
        assert_answer(&answer, 200, &body);
        let read = systems.read(&token).await;
        assert_eq!(read.header, json!({ "alg": "ES256", "typ": "JWT", "kid": read.header["kid"] }));
        let jti = text(&read.claims, "jti");
        assert_eq!((jti.len(), jti.matches('-').count()), (36, 4), "a UUID: {jti}");
        assert_eq!(
            read.claims,
            json!({
                "jti": jti, "iss": ISSUER, "aud": DEVICES, "sub": "owner-1", "owner": "owner-1", "client_id": "hub",
                "scope": "devices:read devices:write", "iat": START, "exp": START + 3600,
                // Inserted.
                "site": "plant-7",
            })
        );
        opens(&systems, &token).await;
    }
    // And a wrong one in the header is not made good by the body.
    let wrong = systems.post_form_as(PLGD, &basic("hub:wrong"), &pairs).await;
    assert_answer(&wrong, 401, &unauthenticated(INVALID_CLIENT));
}

#[tokio::test]
async fn the_tokens_endpoint_says_the_same_in_camel_case() {
    let systems = Systems::open().await;
    let request = json!({
        "clientId": "hub", "clientSecret": HUB, "grantType": "client_credentials", "audience": [DEVICES],
        "scope": ["devices:read"], "tokenName": "my token", "expiration": (START + 60).to_string(),
    });
    let answer = systems.post_json(PLGD_TOKENS, &request).await;
    let token = text(&answer.json(), "accessToken");
    let body = json!({ "accessToken": token, "tokenType": "Bearer", "expiresIn": "60", "scope": ["devices:read"] });
    assert_answer(&answer, 200, &body);
    let claims = systems.read(&token).await.claims;
    assert_eq!((&claims["name"], &claims["exp"]), (&json!("my token"), &json!(START + 60)));
    opens(&systems, &token).await;
}

#[tokio::test]
async fn refusals_are_statuses_of_grpc() {
    let systems = Systems::open().await;
    let invalid_audience = "cannot create token: invalid request: invalid audience";
    for (changes, message) in [
        (json!({ "client_secret": "wrong" }), INVALID_CLIENT),
        (json!({ "client_secret": null }), INVALID_CLIENT),
        (json!({ "client_id": "nobody" }), INVALID_CLIENT),
        (json!({ "client_id": null }), INVALID_CLIENT),
        (json!({ "grant_type": "password" }), "cannot create token: invalid request: invalid grant type"),
        (json!({ "grant_type": null }), "cannot create token: invalid request: invalid grant type"),
        (json!({ "audience": "https://api.test/nobody" }), invalid_audience),
        (json!({ "audience": "https://api.test/ungranted" }), invalid_audience),
        (json!({ "scope": "devices:read devices:own" }), "cannot create token: invalid request: invalid scope"),
        (
            json!({ "client_id": "idle", "client_secret": "canary-idle-secret-0123456789-abcdefghijk" }),
            invalid_audience,
        ),
    ] {
        refused(&systems, &changes, message).await;
    }
    for body in ["{", "", "[]", r#"{"client_id":"hub","client_id":"hub"}"#, r#"{"client_id":7}"#] {
        let answer = systems.send(Method::POST, PLGD, &[("content-type", "application/json")], body).await;
        let told = answer.json();
        assert_eq!((answer.status.as_u16(), &told["code"], &told["details"]), (400, &json!(3), &json!([])), "{body}");
        assert!(text(&told, "message").starts_with("cannot create token: "));
        assert_uncached_json(&answer);
    }
}

#[tokio::test]
async fn an_expiration_is_kept_to_the_second_and_never_clamped() {
    let systems = Systems::open().await;
    let far = "cannot create token: invalid request: expiration exceeds the lifetime that is allowed";
    let past = "cannot create token: invalid request: expiration must be in the future";
    refused(&systems, &json!({ "expiration": START + 3601 }), far).await;
    refused(&systems, &json!({ "expiration": i64::MAX }), far).await;
    for expiration in [json!(START), json!(START - 1), json!(1), json!(-1)] {
        refused(&systems, &json!({ "expiration": expiration }), past).await;
    }
    let answer = ask(&systems, &json!({ "expiration": START + 3600 })).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["expires_in"]), (200, &json!(3600)));
    let short = issued(&systems, &json!({ "expiration": START + 30, "token_name": "short" })).await;
    let claims = systems.read(&short).await.claims;
    assert_eq!((&claims["exp"], &claims["name"]), (&json!(START + 30), &json!("short")));
    systems.clock.advance(Duration::from_secs(29));
    opens(&systems, &short).await;
    systems.clock.advance(Duration::from_secs(1));
    does_not_open(&systems, &short, "token_expired").await;
}

#[tokio::test]
async fn a_token_without_an_end_says_none_anywhere() {
    let systems = Systems::open().await;
    let unlimited = json!({ "client_id": "gateway", "client_secret": GATEWAY });
    let answer = ask(&systems, &unlimited).await;
    let token = text(&answer.json(), "access_token");
    assert_answer(&answer, 200, &json!({ "access_token": token, "token_type": "Bearer", "scope": "devices:read" }));
    let claims = systems.read(&token).await.claims;
    assert!(claims.get("exp").is_none());
    systems.clock.advance(Duration::from_secs(40 * 365 * 24 * 3600));
    opens(&systems, &token).await;
    // Also of such a client one with an end can be asked for.
    let end = systems.now() + 10;
    let answer = ask(&systems, &crate::support::forge::changed(unlimited, &json!({ "expiration": end }))).await;
    assert_eq!(answer.json()["expires_in"], json!(10));
    let camel = json!({ "clientId": "gateway", "clientSecret": GATEWAY, "grantType": "client_credentials" });
    let camel = systems.post_json(PLGD_TOKENS, &camel).await;
    assert!(camel.json().get("expiresIn").is_none(), "{}", camel.text());
}

#[tokio::test]
async fn an_assertion_client_gets_a_token_for_whom_the_authority_vouches() {
    let systems = Systems::open().await;
    let extra = json!({ "sub": "user-7", "owner": "owner-7", "device_id": "device-7", "groups": ["a", "b"] });
    let carried = systems.authority_claims(&extra);
    let assertion = systems.authority_key.token(&carried);
    let request = json!({
        "client_id": "app", "client_secret": null, "client_assertion_type": JWT_BEARER, "client_assertion": assertion,
        "token_name": "for user 7",
    });
    let token = issued(&systems, &request).await;
    let read = systems.read(&token).await;
    assert_eq!(
        read.claims,
        json!({
            "jti": read.claims["jti"], "iss": ISSUER, "aud": DEVICES, "sub": "user-7", "owner": "owner-7",
            "device_id": "device-7", "client_id": "app", "scope": "devices:read", "iat": START, "exp": START + 3600,
            "name": "for user 7", "originalTokenClaims": carried,
        })
    );
    opens(&systems, &token).await;
}

#[tokio::test]
async fn an_assertion_that_is_not_good_is_as_bad_as_none() {
    let systems = Systems::open().await;
    let stranger = SigningKey::es256("authority-1");
    let good = systems.authority_claims(&json!({}));
    // What the real one lets through: no assertion at all.
    refused(&systems, &json!({ "client_id": "app", "client_secret": null }), INVALID_CLIENT).await;
    refused(&systems, &json!({ "client_id": "app", "client_secret": "any" }), INVALID_CLIENT).await;
    let claimed = |changes: Value| systems.authority_token(&changes);
    for (what, assertion) in [
        ("another key", stranger.token(&good)),
        ("another audience", claimed(json!({ "aud": "https://elsewhere.test/" }))),
        ("no audience", claimed(json!({ "aud": null }))),
        ("another issuer", claimed(json!({ "iss": "https://elsewhere.test/" }))),
        ("expired", claimed(json!({ "iat": START - 60, "exp": START }))),
        ("no end", claimed(json!({ "exp": null }))),
        ("no subject", claimed(json!({ "sub": null }))),
        ("no owner", claimed(json!({ "owner": null }))),
        ("our own", issued(&systems, &json!({})).await),
        ("no token", "nonsense".to_owned()),
    ] {
        let request = json!({
            "client_id": "app", "client_secret": null, "client_assertion_type": JWT_BEARER, "client_assertion": assertion,
        });
        let answer = ask(&systems, &request).await;
        assert_eq!(answer.json(), unauthenticated(INVALID_CLIENT), "{what}");
        assert_eq!(answer.status, 401, "{what}");
        // The control, which also ends the count of failures before it locks out.
        let good = json!({
            "client_id": "app", "client_secret": null, "client_assertion_type": JWT_BEARER,
            "client_assertion": claimed(json!({})),
        });
        issued(&systems, &good).await;
    }
    let other_type = json!({
        "client_id": "app", "client_secret": null, "client_assertion": claimed(json!({})),
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer",
    });
    refused(&systems, &other_type, "cannot create token: invalid request: invalid client assertion type").await;
    // A client with a secret cannot use somebody's token instead.
    let stolen =
        json!({ "client_secret": null, "client_assertion_type": JWT_BEARER, "client_assertion": claimed(json!({})) });
    refused(&systems, &stolen, INVALID_CLIENT).await;
}

#[tokio::test]
async fn the_discovery_document_and_the_keys_are_below_the_base() {
    let systems = Systems::open().await;
    let answer = systems.send(Method::GET, "/m2m-oauth-server/.well-known/openid-configuration", &[], "").await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/json"));
    assert_eq!(
        answer.json(),
        json!({
            "issuer": ISSUER, "token_endpoint": "https://systems.test/m2m-oauth-server/oauth/token",
            "jwks_uri": "https://systems.test/m2m-oauth-server/.well-known/jwks.json",
            "plgd_tokens_endpoint": "https://systems.test/m2m-oauth-server/api/v1/tokens",
        })
    );
    let here = systems.key_ids("/m2m-oauth-server/.well-known/jwks.json").await;
    assert_eq!(here, systems.key_ids("/.well-known/jwks.json").await);
    let signed_by = systems.read(&issued(&systems, &json!({})).await).await.header["kid"].clone();
    assert!(here.iter().any(|id| signed_by == json!(id)));
}

#[tokio::test]
async fn the_switch_refuses_at_the_route_and_at_issuance_and_takes_it_back() {
    let systems = Systems::open().await;
    let token = issued(&systems, &json!({})).await;
    systems.switch(false).await;
    does_not_open(&systems, &token, "issuer_disabled").await;
    refused(&systems, &json!({}), "cannot create token: tokens are switched off").await;
    refused(&systems, &json!({ "client_secret": "wrong" }), INVALID_CLIENT).await;
    systems.switch(true).await;
    opens(&systems, &token).await;
    opens(&systems, &issued(&systems, &json!({})).await).await;
}
