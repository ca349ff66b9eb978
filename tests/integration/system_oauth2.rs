//! The embedded issuer as RFC 6749, 7009, 7521, 7523, 7662 and 8707 have it, for what `tests/interop` does not ask.

use std::{fs, time::Duration};

use aws_lc_rs::hmac;
use http::Method;
use serde_json::{Value, json};

use crate::support::{
    client::Answer,
    forge::{SigningKey, base64url, changed},
    gateway::GatewayBuilder,
    systems::{
        ARCHIVE, BILLING, BILLING_NEXT, DEVICES, HUB, ISSUER, OAUTH2, ORDERS, START, Systems, UNGRANTED, assert_answer,
        assert_uncached_json, basic, bearer, form, text,
    },
};

const REVOKE: &str = "/oauth2/revoke";
const INTROSPECT: &str = "/oauth2/introspect";
const TOKEN_URL: &str = "https://systems.test/oauth2/token";
const GRANT: (&str, &str) = ("grant_type", "client_credentials");
const JWT_BEARER: (&str, &str) = ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
const KEYED: &str = "canary-keyed-secret-0123456789-abcdefghijk";
const CHALLENGE: &str = r#"Basic realm="postern", charset="UTF-8""#;

const CLIENTS: &str = r#"
[authorization_server.clients.signer]
public_keys = ["first.jwk", "second.jwk"]
grants = { "https://api.test/orders" = ["orders:read"] }
[authorization_server.clients.legacy]
public_keys = ["legacy.jwk"]
assertion_audience = "token_endpoint"
grants = { "https://api.test/orders" = ["orders:read"] }
[authorization_server.clients.publisher]
jwks_uri = "${ISSUER}/jwks"
grants = { "https://api.test/orders" = ["orders:read"] }
[authorization_server.clients.keyed]
secret = "canary-keyed-secret-0123456789-abcdefghijk"
authentication_methods = ["client_secret_jwt"]
grants = { "https://api.test/orders" = ["orders:read"] }
[authorization_server.clients.strict]
secret = "canary-strict-secret-0123456789-abcdefghij"
authentication_methods = ["client_secret_basic"]
grants = { "https://api.test/orders" = ["orders:read"] }
"#;

/// The gateway, and the private halves of what its clients registered.
struct House {
    systems: Systems,
    first: SigningKey,
    second: SigningKey,
    legacy: SigningKey,
}

impl House {
    async fn open() -> Self {
        let (first, second) = (SigningKey::es256("first"), SigningKey::ed25519("second"));
        let legacy = SigningKey::es256("legacy");
        let furnish = |builder: GatewayBuilder| {
            for key in [&first, &second, &legacy] {
                let file = builder.folder().join(format!("{}.jwk", key.key_id));
                fs::write(file, key.jwk().to_string()).expect("written");
            }
            builder.also(CLIENTS)
        };
        let systems = Systems::furnished(furnish).await;
        Self { systems, first, second, legacy }
    }

    /// The claims of a good assertion of `client`, each time with another `jti`, and with changes.
    fn claims(&self, client: &str, changes: &Value) -> Value {
        let now = self.systems.now();
        let jti = postern::id::TokenId::generate().to_string();
        changed(
            json!({ "iss": client, "sub": client, "aud": ISSUER, "iat": now, "exp": now + 60, "jti": jti }),
            changes,
        )
    }

    async fn assert_by(&self, assertion: &str) -> Answer {
        self.systems.post_form(OAUTH2, &[GRANT, JWT_BEARER, ("client_assertion", assertion)]).await
    }
}

fn signed(key: &SigningKey, claims: &Value) -> String {
    let header = json!({ "alg": key.algorithm(), "kid": key.key_id, "typ": "JWT" });
    key.token_of(key.algorithm(), &header.to_string(), &claims.to_string())
}

fn keyed(secret: &str, claims: &Value) -> String {
    let input = format!("{}.{}", base64url(r#"{"alg":"HS256","typ":"JWT"}"#), base64url(claims.to_string()));
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), input.as_bytes());
    format!("{input}.{}", base64url(mac))
}

/// RFC 6749 section 5.1.
fn token_in(answer: &Answer, scope: &str, lifetime: u64) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let token = text(&answer.json(), "access_token");
    let expected = json!({ "access_token": token, "token_type": "Bearer", "expires_in": lifetime, "scope": scope });
    assert_answer(answer, 200, &expected);
    token
}

/// RFC 6749 section 5.2.
fn assert_error(answer: &Answer, status: u16, code: &str) {
    let told = answer.json();
    assert_eq!((answer.status.as_u16(), told["error"].as_str()), (status, Some(code)), "{told}");
    assert!(told["error_description"].is_string() && told.as_object().map(serde_json::Map::len) == Some(2), "{told}");
    assert_uncached_json(answer);
    assert_eq!(answer.header("www-authenticate"), if status == 401 { CHALLENGE } else { "" });
    assert!(!answer.text().contains("canary"), "{told}");
}

/// A form of billing's that is good as it is, and `more`.
fn good_with<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let good = [GRANT, ("client_id", "billing"), ("client_secret", BILLING), ("audience", ORDERS)];
    let replaced = |name: &str| more.iter().any(|(other, _)| *other == name);
    good.into_iter().filter(|(name, _)| !replaced(name)).chain(more.iter().copied()).collect()
}

async fn token(systems: &Systems) -> String {
    token_in(&systems.post_form(OAUTH2, &good_with(&[])).await, "orders:read", 86400)
}

#[tokio::test]
async fn the_token_is_as_rfc_9068_has_it() {
    let systems = Systems::open().await;
    let token = token(&systems).await;
    let read = systems.read(&token).await;
    assert_eq!(read.header, json!({ "alg": "ES256", "typ": "at+jwt", "kid": read.header["kid"] }));
    assert_eq!(
        read.claims,
        json!({
            "iss": ISSUER, "sub": "billing", "client_id": "billing", "aud": ORDERS, "iat": START, "exp": START + 86400,
            "jti": read.claims["jti"], "scope": "orders:read",
            "https://corp.test/plan": { "name": "gold", "seats": 5 }, "regions": ["eu", "us"],
        })
    );
    systems.opens("/orders/1", "authorization", &bearer(&token)).await;
}

#[tokio::test]
async fn either_registered_key_signs_and_no_assertion_is_good_twice() {
    let house = House::open().await;
    for key in [&house.first, &house.second] {
        let assertion = signed(key, &house.claims("signer", &json!({})));
        let token = token_in(&house.assert_by(&assertion).await, "orders:read", 86400);
        house.systems.opens("/orders/1", "authorization", &bearer(&token)).await;
        assert_eq!(house.systems.upstream.last().headers["x-client-id"], "signer");
        for _ in 0..2 {
            assert_error(&house.assert_by(&assertion).await, 401, "invalid_client");
        }
    }
    // The id beside it may be said, and must be the same.
    for (client_id, good) in [("signer", true), ("billing", false), ("nobody", false)] {
        let assertion = signed(&house.first, &house.claims("signer", &json!({})));
        let parameters = [GRANT, JWT_BEARER, ("client_assertion", assertion.as_str()), ("client_id", client_id)];
        let answer = house.systems.post_form(OAUTH2, &parameters).await;
        if good {
            token_in(&answer, "orders:read", 86400);
        } else {
            assert_error(&answer, 401, "invalid_client");
        }
    }
    // An id of an assertion that was refused is not used up.
    let claims = house.claims("signer", &json!({}));
    let forged = signed(&SigningKey::es256("first"), &claims);
    assert_error(&house.assert_by(&forged).await, 401, "invalid_client");
    token_in(&house.assert_by(&signed(&house.first, &claims)).await, "orders:read", 86400);
}

#[tokio::test]
async fn an_assertion_that_could_be_meant_for_somebody_else_is_refused() {
    let house = House::open().await;
    let with = |changes: Value| signed(&house.first, &house.claims("signer", &changes));
    let claims = house.claims("signer", &json!({}));
    let as_token = json!({ "alg": "ES256", "kid": "first", "typ": "at+jwt" }).to_string();
    let unsigned = format!("{}.{}.", base64url(r#"{"alg":"none"}"#), base64url(claims.to_string()));
    for (what, assertion) in [
        ("a list", with(json!({ "aud": [ISSUER] }))),
        ("the endpoint", with(json!({ "aud": TOKEN_URL }))),
        ("somebody else", with(json!({ "aud": "https://elsewhere.test/" }))),
        ("no slash", with(json!({ "aud": "https://systems.test" }))),
        ("nobody", with(json!({ "aud": null }))),
        ("another iss", with(json!({ "iss": "billing" }))),
        ("another sub", with(json!({ "sub": "billing" }))),
        ("no jti", with(json!({ "jti": null }))),
        ("an empty jti", with(json!({ "jti": "" }))),
        ("no exp", with(json!({ "exp": null }))),
        ("expired", with(json!({ "exp": START - 10 }))),
        ("too long", with(json!({ "exp": START + 311 }))),
        ("not yet", with(json!({ "nbf": START + 11 }))),
        ("from the future", with(json!({ "iat": START + 11 }))),
        ("an access token", house.first.token_of("ES256", &as_token, &claims.to_string())),
        ("unsigned", unsigned),
        ("keyed with the public key", keyed(&house.first.jwk().to_string(), &claims)),
        ("not registered", signed(&house.legacy, &claims)),
        ("cut", with(json!({})).rsplit_once('.').expect("three parts").0.to_owned()),
    ] {
        let answer = house.assert_by(&assertion).await;
        assert_eq!(answer.status, 401, "{what}: {}", answer.text());
        assert_error(&answer, 401, "invalid_client");
        // The control, which also ends the count of failures before it locks out.
        token_in(&house.assert_by(&with(json!({}))).await, "orders:read", 86400);
    }
    // As far as it may go, the skew included.
    for changes in [json!({ "exp": START + 310 }), json!({ "exp": START - 9 }), json!({ "iat": START + 10 })] {
        token_in(&house.assert_by(&with(changes)).await, "orders:read", 86400);
    }
}

#[tokio::test]
async fn a_client_that_is_marked_so_may_name_the_endpoint() {
    let house = House::open().await;
    for (aud, good) in [
        (json!(TOKEN_URL), true),
        (json!([TOKEN_URL]), true),
        (json!([ISSUER, TOKEN_URL]), true),
        (json!(ISSUER), true),
        (json!([TOKEN_URL, "https://elsewhere.test/"]), false),
        (json!("https://systems.test/oauth2/revoke"), false),
    ] {
        let answer = house.assert_by(&signed(&house.legacy, &house.claims("legacy", &json!({ "aud": aud })))).await;
        if good {
            token_in(&answer, "orders:read", 86400);
        } else {
            assert_error(&answer, 401, "invalid_client");
        }
    }
}

#[tokio::test]
async fn a_client_that_publishes_its_keys_is_known_by_them() {
    let house = House::open().await;
    let claims = house.claims("publisher", &json!({}));
    token_in(&house.assert_by(&signed(&house.systems.authority_key, &claims)).await, "orders:read", 86400);
    let claims = house.claims("publisher", &json!({}));
    assert_error(&house.assert_by(&signed(&house.first, &claims)).await, 401, "invalid_client");
}

#[tokio::test]
async fn a_secret_that_keys_assertions_is_never_sent_itself() {
    let house = House::open().await;
    let assertion = keyed(KEYED, &house.claims("keyed", &json!({})));
    token_in(&house.assert_by(&assertion).await, "orders:read", 86400);
    assert_error(&house.assert_by(&assertion).await, 401, "invalid_client");
    let wrong = keyed("canary-another-secret-0123456789-abcdefghijk", &house.claims("keyed", &json!({})));
    assert_error(&house.assert_by(&wrong).await, 401, "invalid_client");
    let sent = [GRANT, ("client_id", "keyed"), ("client_secret", KEYED)];
    assert_error(&house.systems.post_form(OAUTH2, &sent).await, 401, "invalid_client");
    assert_error(
        &house.systems.post_form_as(OAUTH2, &basic(&format!("keyed:{KEYED}")), &[GRANT]).await,
        401,
        "invalid_client",
    );
    // To guess by assertions is to guess: four were wrong by now, and ten lock out.
    for _ in 4..10 {
        let wrong = keyed("canary-another-secret-0123456789-abcdefghijk", &house.claims("keyed", &json!({})));
        assert_error(&house.assert_by(&wrong).await, 401, "invalid_client");
    }
    let good = keyed(KEYED, &house.claims("keyed", &json!({})));
    assert_error(&house.assert_by(&good).await, 429, "temporarily_unavailable");
    // Nor does a secret for sending key assertions.
    let billing = keyed(BILLING, &house.claims("billing", &json!({})));
    assert_error(&house.assert_by(&billing).await, 401, "invalid_client");
}

#[tokio::test]
async fn both_secrets_of_a_client_are_good_in_either_place_that_it_may_use() {
    let house = House::open().await;
    let audience = ("audience", ORDERS);
    for secret in [BILLING, BILLING_NEXT] {
        let body = good_with(&[("client_secret", secret)]);
        token_in(&house.systems.post_form(OAUTH2, &body).await, "orders:read", 86400);
        let authorization = basic(&format!("billing:{secret}"));
        let answer = house.systems.post_form_as(OAUTH2, &authorization, &[GRANT, audience]).await;
        token_in(&answer, "orders:read", 86400);
    }
    // RFC 6749 section 2.3.1: id and secret are form-encoded before they are joined.
    let encoded = form(&[("hub", HUB)]).replace('=', ":");
    let answer = house.systems.post_form_as(OAUTH2, &basic(&encoded), &[GRANT]).await;
    token_in(&answer, "devices:read devices:write", 3600);
    let strict = "canary-strict-secret-0123456789-abcdefghij";
    let answer = house.systems.post_form_as(OAUTH2, &basic(&format!("strict:{strict}")), &[GRANT]).await;
    token_in(&answer, "orders:read", 86400);
    let sent = [GRANT, ("client_id", "strict"), ("client_secret", strict)];
    assert_error(&house.systems.post_form(OAUTH2, &sent).await, 401, "invalid_client");
}

#[tokio::test]
async fn whoever_does_not_prove_who_it_is_gets_nothing() {
    let systems = Systems::open().await;
    let audience = ("audience", ORDERS);
    for parameters in [
        &[GRANT, audience][..],
        // RFC 7591's `none`.
        &[GRANT, audience, ("client_id", "billing")],
        &[GRANT, audience, ("client_id", "billing"), ("client_secret", "")],
        &[GRANT, audience, ("client_id", "billing"), ("client_secret", "wrong")],
        &[GRANT, audience, ("client_id", "nobody"), ("client_secret", BILLING)],
        &[GRANT, audience, ("client_secret", BILLING)],
    ] {
        assert_error(&systems.post_form(OAUTH2, parameters).await, 401, "invalid_client");
    }
    for authorization in
        [&basic("billing:wrong"), &basic("nobody:wrong"), &basic("billing"), "Basic !", "Bearer x", &basic("%zz:%")]
    {
        let answer = systems.post_form_as(OAUTH2, authorization, &[GRANT, audience]).await;
        assert_error(&answer, 401, "invalid_client");
    }
    assert_eq!(systems.upstream.count(), 0);
}

#[tokio::test]
async fn a_repeated_parameter_and_a_second_authentication_are_invalid() {
    let house = House::open().await;
    let systems = &house.systems;
    for name in ["grant_type", "client_id", "client_secret", "audience", "scope", "unknown"] {
        let body = form(&good_with(&[("scope", "orders:read"), ("unknown", "x")]));
        let again = body.split('&').find(|pair| pair.starts_with(&format!("{name}="))).expect("it is there");
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let answer = systems.send(Method::POST, OAUTH2, &headers, &format!("{body}&{again}")).await;
        assert_error(&answer, 400, "invalid_request");
        token_in(&systems.send(Method::POST, OAUTH2, &headers, &body).await, "orders:read", 86400);
    }
    let object =
        r#"{"grant_type":"client_credentials","client_id":"billing","client_id":"billing","client_secret":"x"}"#;
    let answer = systems.send(Method::POST, OAUTH2, &[("content-type", "application/json")], object).await;
    assert_error(&answer, 400, "invalid_request");

    let authorization = basic(&format!("billing:{BILLING}"));
    let assertion = signed(&house.first, &house.claims("signer", &json!({})));
    let secret = ("client_secret", BILLING);
    let by_assertion = ("client_assertion", assertion.as_str());
    for (authorization, parameters) in [
        (Some(&authorization), vec![GRANT, ("client_id", "billing"), secret]),
        (Some(&authorization), vec![GRANT, secret]),
        (Some(&authorization), vec![GRANT, ("client_id", "reports")]),
        (Some(&authorization), vec![GRANT, JWT_BEARER, by_assertion]),
        (None, vec![GRANT, ("client_id", "signer"), secret, JWT_BEARER, by_assertion]),
        (None, vec![GRANT, by_assertion]),
        (None, vec![GRANT, JWT_BEARER]),
    ] {
        let answer = match authorization {
            Some(authorization) => systems.post_form_as(OAUTH2, authorization, &parameters).await,
            None => systems.post_form(OAUTH2, &parameters).await,
        };
        assert_error(&answer, 400, "invalid_request");
    }
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("authorization", authorization.as_str()),
        ("authorization", authorization.as_str()),
    ];
    let answer = systems.send(Method::POST, OAUTH2, &headers, &form(&[GRANT, ("audience", ORDERS)])).await;
    assert_error(&answer, 400, "invalid_request");
    // None of these has used the assertion up.
    token_in(&house.assert_by(&assertion).await, "orders:read", 86400);
}

#[tokio::test]
async fn targets_scopes_and_grants_are_refused_each_by_its_own_code() {
    let systems = Systems::open().await;
    let idle = [("client_id", "idle"), ("client_secret", "canary-idle-secret-0123456789-abcdefghijk")];
    for (more, status, code) in [
        (&[("audience", "https://api.test/nobody")][..], 400, "invalid_target"),
        (&[("audience", UNGRANTED)], 400, "invalid_target"),
        (&[("audience", "")], 400, "invalid_target"),
        (&[("resource", ARCHIVE)], 400, "invalid_target"),
        (&[("scope", "orders:write")], 400, "invalid_scope"),
        (&[("scope", "orders:read orders:write")], 400, "invalid_scope"),
        (&[("scope", "orders:read  ")], 400, "invalid_scope"),
        (&[("scope", "\u{e9}")], 400, "invalid_scope"),
        (&[idle[0], idle[1]], 400, "unauthorized_client"),
        (&[("grant_type", "password")], 400, "unsupported_grant_type"),
        (&[("grant_type", "")], 400, "invalid_request"),
    ] {
        let answer = systems.post_form(OAUTH2, &good_with(more)).await;
        assert_error(&answer, status, code);
    }
    // Two names for one thing (RFC 8707).
    for more in [&[("resource", ORDERS)][..], &[("audience", ""), ("resource", ORDERS)]] {
        token_in(&systems.post_form(OAUTH2, &good_with(more)).await, "orders:read", 86400);
    }
    systems.managed(Method::POST, "/api/v1/clients/billing/disable", None).await;
    assert_error(&systems.post_form(OAUTH2, &good_with(&[])).await, 400, "unauthorized_client");
    assert_error(&systems.post_form(OAUTH2, &good_with(&[("client_secret", "wrong")])).await, 401, "invalid_client");
}

/// Says what there is to say about `token` to whoever authenticates by `authorization`.
async fn introspected(systems: &Systems, authorization: &str, token: &str) -> Value {
    let parameters = [("token", token), ("token_type_hint", "access_token")];
    let answer = systems.post_form_as(INTROSPECT, authorization, &parameters).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_uncached_json(&answer);
    answer.json()
}

#[tokio::test]
async fn a_client_revokes_its_own_tokens_and_nobody_elses() {
    let systems = Systems::open().await;
    let (own, other) = (token(&systems).await, token(&systems).await);
    let (billing, hub) = (basic(&format!("billing:{BILLING}")), basic(&form(&[("hub", HUB)]).replace('=', ":")));
    // Another client's, an unknown one, one that is none: all the same (RFC 7009 section 2.2).
    for (authorization, token) in [(&hub, own.as_str()), (&billing, "nonsense"), (&billing, "a.b.c")] {
        let answer = systems.post_form_as(REVOKE, authorization, &[("token", token)]).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0));
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    systems.opens("/orders/1", "authorization", &bearer(&own)).await;
    for hint in ["access_token", "refresh_token", "anything"] {
        let answer = systems.post_form_as(REVOKE, &billing, &[("token", &own), ("token_type_hint", hint)]).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0));
        systems.does_not_open("/orders/1", "authorization", &bearer(&own), 401, "token_revoked").await;
    }
    systems.opens("/orders/1", "authorization", &bearer(&other)).await;
    assert_error(&systems.post_form_as(REVOKE, &billing, &[]).await, 400, "invalid_request");
    assert_error(&systems.post_form(REVOKE, &[("token", &other)]).await, 401, "invalid_client");
    assert_error(
        &systems.post_form_as(REVOKE, &basic("billing:wrong"), &[("token", &other)]).await,
        401,
        "invalid_client",
    );
    systems.opens("/orders/1", "authorization", &bearer(&other)).await;
}

#[tokio::test]
async fn introspection_says_what_the_token_says_to_whom_it_concerns() {
    let systems = Systems::open().await;
    let (billing, hub) = (basic(&format!("billing:{BILLING}")), basic(&form(&[("hub", HUB)]).replace('=', ":")));
    let inactive = json!({ "active": false });
    let orders = token(&systems).await;
    let devices = systems.post_form_as(OAUTH2, &hub, &[GRANT]).await;
    let devices = token_in(&devices, "devices:read devices:write", 3600);
    let active = |claims: Value| changed(claims, &json!({ "active": true, "token_type": "Bearer" }));
    let claims = systems.read(&orders).await.claims;
    assert_eq!(introspected(&systems, &billing, &orders).await, active(claims));
    // Billing is marked as one that introspects the tokens of that API; hub of no other's.
    let claims = systems.read(&devices).await.claims;
    assert_eq!(introspected(&systems, &billing, &devices).await, active(claims));
    assert_eq!(introspected(&systems, &hub, &orders).await, inactive);
    assert_eq!(introspected(&systems, &billing, "nonsense").await, inactive);
    let (signed, _) = orders.rsplit_once('.').expect("a JWT");
    let forged = format!("{signed}.{}", base64url([7; 64]));
    assert_eq!(introspected(&systems, &billing, &forged).await, inactive);
    assert_error(&systems.post_form(INTROSPECT, &[("token", &orders)]).await, 401, "invalid_client");
    assert_error(&systems.post_form_as(INTROSPECT, &billing, &[]).await, 400, "invalid_request");

    systems.post_form_as(REVOKE, &billing, &[("token", &orders)]).await;
    assert_eq!(introspected(&systems, &billing, &orders).await, inactive);
    systems.switch(false).await;
    assert_eq!(introspected(&systems, &billing, &devices).await, inactive);
    systems.switch(true).await;
    assert_eq!(introspected(&systems, &billing, &devices).await["active"], json!(true));
    systems.clock.advance(Duration::from_secs(3600));
    assert_eq!(introspected(&systems, &billing, &devices).await, inactive);
}

#[tokio::test]
async fn tokens_of_every_dialect_are_on_one_registry() {
    let systems = Systems::open().await;
    let request =
        json!({ "grant_type": "client_credentials", "client_id": "hub", "client_secret": HUB, "audience": DEVICES });
    let mut tokens = Vec::new();
    for path in [OAUTH2, crate::support::systems::AUTH0, crate::support::systems::PLGD] {
        let answer = systems.post_json(path, &request).await;
        assert_eq!(answer.status, 200, "{path} {}", answer.text());
        tokens.push(text(&answer.json(), "access_token"));
    }
    let kinds: Vec<Value> = systems.listed("client_id=hub").await.iter().map(|item| item["dialect"].clone()).collect();
    for kind in ["oauth2", "auth0", "plgd"] {
        assert!(kinds.contains(&json!(kind)), "{kinds:?}");
    }
    for token in &tokens {
        systems.opens("/devices/1", "authorization", &bearer(token)).await;
    }
    let revoked = systems.managed(Method::POST, "/api/v1/revocations", Some(&json!({ "client_id": "hub" }))).await;
    assert_eq!(revoked["revoked"], json!(3));
    for token in &tokens {
        systems.does_not_open("/devices/1", "authorization", &bearer(token), 401, "token_revoked").await;
    }
}
