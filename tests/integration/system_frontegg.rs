//! Tenants and users of a product that has its API tokens from Frontegg: they make them, exchange them, use them, delete them;
//! and the vendor, who has the switch.

use std::time::{Duration, UNIX_EPOCH};

use http::Method;
use serde_json::{Value, json};

use crate::support::{
    client::Answer,
    forge::changed,
    gateway::GatewayBuilder,
    systems::{ISSUER, START, Systems, assert_answer, assert_uncached_json, bearer, text},
};

/// The API of what users and tenants make for themselves.
const APP: &str = "https://api.test/app";
const EXCHANGE_V1: &str = "/identity/resources/auth/v1/api-token";
const EXCHANGE_V2: &str = "/identity/resources/auth/v2/api-token";
const TENANTS: &str = "/identity/resources/tenants/api-tokens/v2";
const TENANTS_V1: &str = "/identity/resources/tenants/api-tokens/v1";
const USERS: &str = "/identity/resources/users/api-tokens/v1";
const TENANTS_ACCESS: &str = "/identity/resources/tenants/access-tokens/v1";
const USERS_ACCESS: &str = "/identity/resources/users/access-tokens/v1";
const SWITCH: &str = "/identity/resources/configurations/v1";

const EVERYTHING: [&str; 6] = [
    "fe.secure.read.tenantApiTokens",
    "fe.secure.write.tenantApiTokens",
    "fe.secure.delete.tenantApiTokens",
    "fe.secure.read.userApiTokens",
    "fe.secure.write.userApiTokens",
    "fe.secure.delete.userApiTokens",
];

/// An administrator of a tenant, with a role that permits writing.
fn administrator(systems: &Systems, tenant: &str, changes: &Value) -> String {
    let claims = json!({
        "sub": "user-1", "tenantId": tenant, "email": "ann@acme.test", "roles": ["writer"], "permissions": EVERYTHING,
    });
    systems.authority_token(&changed(claims, changes))
}

/// The vendor's own backend.
fn vendor(systems: &Systems) -> String {
    systems.authority_token(&json!({ "sub": "backend", "permissions": ["fe.secure.*"] }))
}

/// A request with a bearer token and the headers that the product's requests have.
async fn manage(systems: &Systems, method: Method, path: &str, token: &str, body: Option<&Value>) -> Answer {
    manage_as(systems, method, path, &[("authorization", &bearer(token)), ("frontegg-tenant-id", "tenant-1")], body)
        .await
}

async fn manage_as(
    systems: &Systems,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> Answer {
    let mut headers = headers.to_vec();
    if body.is_some() {
        headers.push(("content-type", "application/json"));
    }
    systems.send(method, path, &headers, &body.map(ToString::to_string).unwrap_or_default()).await
}

/// Makes something for the tenant `tenant-1`; it is made, or the test ends.
async fn made(systems: &Systems, path: &str, body: &Value) -> Value {
    let token = administrator(systems, "tenant-1", &json!({}));
    let headers = [
        ("authorization", bearer(&token)),
        ("frontegg-tenant-id", "tenant-1".to_owned()),
        ("frontegg-user-id", "user-1".to_owned()),
    ];
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let answer = manage_as(systems, Method::POST, path, &headers, Some(body)).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_uncached_json(&answer);
    answer.json()
}

/// Client credentials of the tenant with the role `reader`.
async fn credentials(systems: &Systems) -> (String, String) {
    let created = made(systems, TENANTS, &json!({ "description": "the nightly run", "roleIds": ["reader"] })).await;
    (text(&created, "clientId"), text(&created, "secret"))
}

async fn exchange(systems: &Systems, client_id: &str, secret: &str) -> Answer {
    systems.post_json(EXCHANGE_V1, &json!({ "clientId": client_id, "secret": secret })).await
}

async fn exchanged(systems: &Systems, client_id: &str, secret: &str) -> Value {
    let answer = exchange(systems, client_id, secret).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

async fn opens(systems: &Systems, token: &str) {
    systems.opens("/app/1", "authorization", &bearer(token)).await;
}

async fn does_not_open(systems: &Systems, token: &str, reason: &str) {
    systems.does_not_open("/app/1", "authorization", &bearer(token), 401, reason).await;
}

/// Turns the vendor's switch.
async fn turn(systems: &Systems, body: &Value) {
    let answer = manage(systems, Method::POST, SWITCH, &vendor(systems), Some(body)).await;
    assert!(answer.status.is_success(), "{} {}", answer.status, answer.text());
}

fn errors(what: &str) -> Value {
    json!({ "errors": [what] })
}

/// A refusal in the product's shape, whatever its words.
fn assert_refused(answer: &Answer, status: u16) {
    let told = answer.json();
    assert_eq!(answer.status.as_u16(), status, "{told}");
    assert!(told["errors"].as_array().is_some_and(|errors| !errors.is_empty()), "{told}");
    assert_eq!(told.as_object().map(serde_json::Map::len), Some(1), "{told}");
}

/// A date as the product writes it.
fn date(seconds: u64) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds))
}

#[tokio::test]
async fn tenant_credentials_are_made_exchanged_and_used() {
    let systems = Systems::open().await;
    let body = json!({
        "description": "the nightly run", "metadata": { "team": "billing", "tags": ["a"] }, "roleIds": ["reader"],
        "expiresInMinutes": 120,
    });
    let created = made(&systems, TENANTS, &body).await;
    let (client_id, secret) = (text(&created, "clientId"), text(&created, "secret"));
    for (member, value) in [
        ("tenantId", json!("tenant-1")),
        ("createdByUserId", json!("user-1")),
        ("description", json!("the nightly run")),
        ("metadata", json!({ "team": "billing", "tags": ["a"] })),
    ] {
        assert_eq!(created[member], value, "{member} in {created}");
    }
    assert!(created["expires"].is_string(), "{created}");
    assert!(secret.starts_with("pst_"), "it can be recognised where it leaks");

    for (path, access, refresh, expires_in) in [
        (EXCHANGE_V1, "accessToken", "refreshToken", "expiresIn"),
        (EXCHANGE_V2, "access_token", "refresh_token", "expires_in"),
    ] {
        let answer = systems.post_json(path, &json!({ "clientId": client_id, "secret": secret })).await;
        let token = text(&answer.json(), access);
        let expected = json!({
            access: token, refresh: text(&answer.json(), refresh), expires_in: 3600, "expires": date(START + 3600),
        });
        assert_answer(&answer, 200, &expected);
        let read = systems.read(&token).await;
        assert_eq!(read.header, json!({ "alg": "ES256", "typ": "JWT", "kid": read.header["kid"] }));
        assert_eq!(
            read.claims,
            json!({
                "iss": ISSUER, "aud": APP, "sub": client_id, "type": "tenantApiToken", "tenantId": "tenant-1",
                "roles": ["reader"], "permissions": ["orders.read"], "createdByUserId": "user-1",
                "metadata": { "team": "billing", "tags": ["a"] }, "iat": START, "exp": START + 3600,
            })
        );
        opens(&systems, &token).await;
    }
}

#[tokio::test]
async fn user_credentials_follow_the_user() {
    let systems = Systems::open().await;
    let created = made(&systems, USERS, &json!({ "description": "mine" })).await;
    let exchanged = exchanged(&systems, &text(&created, "clientId"), &text(&created, "secret")).await;
    let claims = systems.read(&text(&exchanged, "accessToken")).await.claims;
    for (claim, value) in [
        ("type", json!("userApiToken")),
        ("userId", json!("user-1")),
        ("email", json!("ann@acme.test")),
        ("tenantId", json!("tenant-1")),
    ] {
        assert_eq!(claims[claim], value, "{claim} in {claims}");
    }
}

#[tokio::test]
async fn a_bad_pair_is_refused_alike_whatever_is_wrong_with_it() {
    let systems = Systems::open().await;
    let (client_id, secret) = credentials(&systems).await;
    let bad = errors("Invalid authentication");
    for (client_id, secret) in [
        (client_id.as_str(), "wrong"),
        ("00000000-0000-4000-8000-000000000000", secret.as_str()),
        ("nobody", "wrong"),
        // A client of the other dialects has nothing to exchange.
        ("billing", crate::support::systems::BILLING),
    ] {
        for path in [EXCHANGE_V1, EXCHANGE_V2] {
            let answer = systems.post_json(path, &json!({ "clientId": client_id, "secret": secret })).await;
            assert_answer(&answer, 401, &bad);
        }
    }
    for (body, what) in [
        (json!({ "secret": secret }), "clientId should not be empty"),
        (json!({ "clientId": client_id }), "secret should not be empty"),
    ] {
        assert_answer(&systems.post_json(EXCHANGE_V1, &body).await, 400, &errors(what));
    }
    for body in ["{", "[]", r#"{"clientId":"a","clientId":"b","secret":"c"}"#, r#"{"clientId":1,"secret":"c"}"#] {
        let headers = [("content-type", "application/json")];
        assert_refused(&systems.send(Method::POST, EXCHANGE_V1, &headers, body).await, 400);
    }
    exchanged(&systems, &client_id, &secret).await;
}

#[tokio::test]
async fn a_refresh_token_is_good_once() {
    let systems = Systems::open().await;
    let (client_id, secret) = credentials(&systems).await;
    let first = exchanged(&systems, &client_id, &secret).await;
    let body = json!({ "refreshToken": text(&first, "refreshToken") });
    let answer = systems.post_json(&format!("{EXCHANGE_V1}/token/refresh"), &body).await;
    let second = answer.json();
    assert_answer(
        &answer,
        200,
        &json!({
            "accessToken": text(&second, "accessToken"), "refreshToken": text(&second, "refreshToken"), "expiresIn": 3600,
            "expires": date(START + 3600),
        }),
    );
    opens(&systems, &text(&second, "accessToken")).await;
    assert_refused(&systems.post_json(&format!("{EXCHANGE_V1}/token/refresh"), &body).await, 401);
    let body = json!({ "refresh_token": text(&second, "refreshToken") });
    let third = systems.post_json(&format!("{EXCHANGE_V2}/token/refresh"), &body).await;
    assert_eq!(third.status, 200, "{}", third.text());
    opens(&systems, &text(&third.json(), "access_token")).await;
    assert_refused(&systems.post_json(&format!("{EXCHANGE_V2}/token/refresh"), &body).await, 401);
    assert_refused(&systems.post_json(&format!("{EXCHANGE_V1}/token/refresh"), &json!({})).await, 400);
}

#[tokio::test]
async fn what_was_exchanged_expires_and_so_does_what_it_was_exchanged_for() {
    let systems = Systems::open().await;
    let body = json!({ "description": "short", "roleIds": ["reader"], "expiresInMinutes": 30 });
    let created = made(&systems, TENANTS, &body).await;
    let (client_id, secret) = (text(&created, "clientId"), text(&created, "secret"));
    systems.clock.advance(Duration::from_secs(600));
    let pair = exchanged(&systems, &client_id, &secret).await;
    assert_eq!((&pair["expiresIn"], &pair["expires"]), (&json!(1200), &json!(date(START + 1800))));
    let token = text(&pair, "accessToken");
    systems.clock.advance(Duration::from_secs(1199));
    opens(&systems, &token).await;
    systems.clock.advance(Duration::from_secs(1));
    does_not_open(&systems, &token, "token_expired").await;
    assert_answer(&exchange(&systems, &client_id, &secret).await, 401, &errors("Invalid authentication"));
    let refresh = json!({ "refreshToken": text(&pair, "refreshToken") });
    assert_refused(&systems.post_json(&format!("{EXCHANGE_V1}/token/refresh"), &refresh).await, 401);
}

#[tokio::test]
async fn credentials_are_listed_without_their_secret_changed_and_deleted() {
    let systems = Systems::open().await;
    let (client_id, secret) = credentials(&systems).await;
    let pair = exchanged(&systems, &client_id, &secret).await;
    let token = text(&pair, "accessToken");
    opens(&systems, &token).await;
    let ann = administrator(&systems, "tenant-1", &json!({}));
    for path in [TENANTS_V1, TENANTS] {
        let answer = manage(&systems, Method::GET, path, &ann, None).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(!answer.text().contains(&secret));
        let listed = answer.json();
        let listed = listed.as_array().expect("a list");
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0]["clientId"], json!(client_id));
        assert!(listed[0].get("secret").is_none());
    }
    let one = format!("{TENANTS_V1}/{client_id}");
    let changes = json!({ "description": "the weekly run" });
    let answer = manage(&systems, Method::PATCH, &one, &ann, Some(&changes)).await;
    assert!(answer.status.is_success(), "{}", answer.text());
    let listed = manage(&systems, Method::GET, TENANTS_V1, &ann, None).await.json();
    assert_eq!(listed[0]["description"], json!("the weekly run"));

    let answer = manage(&systems, Method::DELETE, &one, &ann, None).await;
    assert!(answer.status.is_success(), "{}", answer.text());
    does_not_open(&systems, &token, "token_revoked").await;
    assert_answer(&exchange(&systems, &client_id, &secret).await, 401, &errors("Invalid authentication"));
    let refresh = json!({ "refreshToken": text(&pair, "refreshToken") });
    assert_refused(&systems.post_json(&format!("{EXCHANGE_V1}/token/refresh"), &refresh).await, 401);
    assert_eq!(manage(&systems, Method::GET, TENANTS_V1, &ann, None).await.json(), json!([]));
    assert_refused(&manage(&systems, Method::DELETE, &one, &ann, None).await, 404);
}

#[tokio::test]
async fn nobody_grants_more_than_they_have() {
    let systems = Systems::open().await;
    let reader = administrator(&systems, "tenant-1", &json!({ "roles": ["reader"] }));
    for (roles, permissions, status) in [
        (json!(["reader"]), json!(null), 201),
        (json!(["writer"]), json!(null), 403),
        (json!(["reader", "writer"]), json!(null), 403),
        (json!(null), json!(["orders.read"]), 201),
        (json!(null), json!(["orders.write"]), 403),
        (json!(null), json!(["fe.secure.*"]), 403),
    ] {
        let body = changed(json!({ "description": "x" }), &json!({ "roleIds": roles, "permissionIds": permissions }));
        let answer = manage(&systems, Method::POST, TENANTS, &reader, Some(&body)).await;
        assert_eq!(answer.status.as_u16(), status, "{body} {}", answer.text());
        if status != 201 {
            assert_refused(&answer, status);
        }
    }
}

#[tokio::test]
async fn who_may_not_reads_writes_and_deletes_nothing() {
    let systems = Systems::open().await;
    let (client_id, _) = credentials(&systems).await;
    let one = format!("{TENANTS_V1}/{client_id}");
    let body = json!({ "description": "x", "roleIds": ["reader"] });
    let without = |permission: &str| {
        let permissions: Vec<&str> = EVERYTHING.into_iter().filter(|own| *own != permission).collect();
        administrator(&systems, "tenant-1", &json!({ "permissions": permissions }))
    };
    let requests = [
        (Method::GET, TENANTS_V1, None, "fe.secure.read.tenantApiTokens"),
        (Method::POST, TENANTS, Some(&body), "fe.secure.write.tenantApiTokens"),
        (Method::DELETE, one.as_str(), None, "fe.secure.delete.tenantApiTokens"),
    ];
    let elsewhere = administrator(&systems, "tenant-2", &json!({}));
    for (method, path, body, permission) in &requests {
        let answer = manage(&systems, method.clone(), path, &without(permission), *body).await;
        assert_refused(&answer, 403);
        // Another tenant's administrator, who names this one.
        assert_refused(&manage(&systems, method.clone(), path, &elsewhere, *body).await, 403);
        for headers in [&[][..], &[("authorization", "Bearer nonsense")]] {
            let answer = manage_as(&systems, method.clone(), path, headers, *body).await;
            assert_refused(&answer, 401);
            assert!(answer.header("www-authenticate").starts_with("Bearer"));
        }
    }
    let ann = administrator(&systems, "tenant-1", &json!({}));
    let listed = manage(&systems, Method::GET, TENANTS_V1, &ann, None).await.json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    // And another tenant that names itself sees nothing of it.
    let headers = [("authorization", bearer(&elsewhere)), ("frontegg-tenant-id", "tenant-2".to_owned())];
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(manage_as(&systems, Method::GET, TENANTS_V1, &headers, None).await.json(), json!([]));
    assert_refused(&manage_as(&systems, Method::DELETE, &one, &headers, None).await, 404);
}

#[tokio::test]
async fn the_vendors_switch_refuses_everything_and_on_again_it_is_good() {
    let systems = Systems::open().await;
    let (client_id, secret) = credentials(&systems).await;
    let pair = exchanged(&systems, &client_id, &secret).await;
    let token = text(&pair, "accessToken");
    let refresh = json!({ "refreshToken": text(&pair, "refreshToken") });
    let ann = administrator(&systems, "tenant-1", &json!({}));
    let shown = manage(&systems, Method::GET, SWITCH, &vendor(&systems), None).await.json();
    assert_eq!(shown["apiTokensEnabled"], json!(true));
    assert_eq!(shown["machineToMachineAuthStrategy"], json!("ClientCredentials"));
    // A tenant's own people cannot turn it, nor see it.
    assert_refused(&manage(&systems, Method::GET, SWITCH, &ann, None).await, 403);
    let off = json!({ "apiTokensEnabled": false });
    assert_refused(&manage(&systems, Method::POST, SWITCH, &ann, Some(&off)).await, 403);
    opens(&systems, &token).await;

    turn(&systems, &off).await;
    does_not_open(&systems, &token, "api_tokens_disabled").await;
    let disabled = errors("Api tokens are disabled");
    assert_answer(&exchange(&systems, &client_id, &secret).await, 403, &disabled);
    let v2 = systems.post_json(EXCHANGE_V2, &json!({ "clientId": client_id, "secret": secret })).await;
    assert_answer(&v2, 403, &disabled);
    assert_answer(&systems.post_json(&format!("{EXCHANGE_V1}/token/refresh"), &refresh).await, 403, &disabled);
    let body = json!({ "description": "x", "roleIds": ["reader"] });
    assert_answer(&manage(&systems, Method::POST, TENANTS, &ann, Some(&body)).await, 403, &disabled);
    // Who has a wrong pair does not learn of the switch.
    assert_answer(&exchange(&systems, &client_id, "wrong").await, 401, &errors("Invalid authentication"));
    // Other tokens are none of the vendor's business.
    let billing = crate::support::systems::BILLING;
    let pairs = [
        ("grant_type", "client_credentials"),
        ("client_id", "billing"),
        ("client_secret", billing),
        ("audience", crate::support::systems::ORDERS),
    ];
    let other = systems.post_form(crate::support::systems::OAUTH2, &pairs).await;
    systems.opens("/orders/1", "authorization", &bearer(&text(&other.json(), "access_token"))).await;

    turn(&systems, &json!({ "apiTokensEnabled": true })).await;
    opens(&systems, &token).await;
    opens(&systems, &text(&exchanged(&systems, &client_id, &secret).await, "accessToken")).await;
    let refreshed = systems.post_json(&format!("{EXCHANGE_V1}/token/refresh"), &refresh).await;
    assert_eq!(refreshed.status, 200, "it was not used up: {}", refreshed.text());
}

#[tokio::test]
async fn the_switch_for_everything_refuses_api_tokens_too() {
    let systems = Systems::open().await;
    let (client_id, secret) = credentials(&systems).await;
    let token = text(&exchanged(&systems, &client_id, &secret).await, "accessToken");
    systems.switch(false).await;
    does_not_open(&systems, &token, "issuer_disabled").await;
    assert_answer(&exchange(&systems, &client_id, &secret).await, 403, &errors("Api tokens are disabled"));
    systems.switch(true).await;
    opens(&systems, &token).await;
    exchanged(&systems, &client_id, &secret).await;
}

#[tokio::test]
async fn access_tokens_are_used_as_they_are_and_in_their_own_header() {
    let systems = Systems::open().await;
    let (client_id, secret) = credentials(&systems).await;
    let exchanged = text(&exchanged(&systems, &client_id, &secret).await, "accessToken");
    let ann = administrator(&systems, "tenant-1", &json!({}));
    let body = json!({ "description": "in one piece", "roleIds": ["reader"], "expiresInMinutes": 60 });
    // Not while client credentials are the strategy.
    let answer = manage(&systems, Method::POST, TENANTS_ACCESS, &ann, Some(&body)).await;
    assert!(answer.status.is_client_error(), "{}", answer.text());
    turn(&systems, &json!({ "apiTokensEnabled": true, "machineToMachineAuthStrategy": "AccessToken" })).await;
    for (path, kind) in [(TENANTS_ACCESS, "tenantAccessToken"), (USERS_ACCESS, "userAccessToken")] {
        let created = made(&systems, path, &body).await;
        let (id, secret) = (text(&created, "id"), text(&created, "secret"));
        assert!(created["expires"].is_string(), "{created}");
        systems.opens("/app/1", "x-api-key", &secret).await;
        // The wrong way round, both of them.
        systems.does_not_open("/app/1", "authorization", &bearer(&secret), 400, "wrong_credential_header").await;
        systems.does_not_open("/app/1", "x-api-key", &exchanged, 400, "wrong_credential_header").await;
        systems.does_not_open("/app/1", "x-api-key", &format!("{secret}x"), 401, "unknown_token").await;

        let headers = [
            ("authorization", bearer(&ann)),
            ("frontegg-tenant-id", "tenant-1".to_owned()),
            ("frontegg-user-id", "user-1".to_owned()),
        ];
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = manage_as(&systems, Method::GET, path, &headers, None).await;
        let listed = answer.json();
        assert_eq!(listed["accessTokens"].as_array().map(Vec::len), Some(1), "{kind} {listed}");
        assert_eq!(listed["accessTokens"][0]["id"], json!(id));
        assert!(!answer.text().contains(&secret));

        turn(&systems, &json!({ "apiTokensEnabled": false })).await;
        systems.does_not_open("/app/1", "x-api-key", &secret, 401, "api_tokens_disabled").await;
        turn(&systems, &json!({ "apiTokensEnabled": true })).await;
        systems.opens("/app/1", "x-api-key", &secret).await;

        let answer = manage_as(&systems, Method::DELETE, &format!("{path}/{id}"), &headers, None).await;
        assert!(answer.status.is_success(), "{}", answer.text());
        let gone = systems.send(Method::GET, "/app/1", &[("x-api-key", &secret)], "").await;
        assert_eq!(gone.status, 401, "{}", gone.text());
    }
    // What was exchanged before stays good.
    opens(&systems, &exchanged).await;
}

#[tokio::test]
async fn an_access_token_expires() {
    let systems = Systems::open().await;
    turn(&systems, &json!({ "machineToMachineAuthStrategy": "AccessToken" })).await;
    let body = json!({ "description": "short", "roleIds": ["reader"], "expiresInMinutes": 1 });
    let created = made(&systems, TENANTS_ACCESS, &body).await;
    let secret = text(&created, "secret");
    systems.clock.advance(Duration::from_secs(59));
    systems.opens("/app/1", "x-api-key", &secret).await;
    systems.clock.advance(Duration::from_secs(1));
    systems.does_not_open("/app/1", "x-api-key", &secret, 401, "token_expired").await;
}

#[tokio::test]
async fn access_tokens_can_be_jwts_and_are_withdrawn_all_the_same() {
    let jwts = |builder: GatewayBuilder| {
        let strategy = "api_tokens = \"client_credentials\"";
        builder.with(strategy, "api_tokens = \"access_token\"\napi_token_format = \"jwt\"")
    };
    let systems = Systems::furnished(jwts).await;
    let body = json!({ "description": "signed", "roleIds": ["reader"], "expiresInMinutes": 60 });
    let created = made(&systems, TENANTS_ACCESS, &body).await;
    let (id, secret) = (text(&created, "id"), text(&created, "secret"));
    assert_eq!(
        systems.read(&secret).await.claims,
        json!({
            "iss": ISSUER, "aud": APP, "sub": id, "jti": id, "type": "tenantAccessToken", "tenantId": "tenant-1",
            "roles": ["reader"], "permissions": ["orders.read"], "createdByUserId": "user-1", "metadata": {},
            "iat": START, "exp": START + 3600,
        })
    );
    systems.opens("/app/1", "x-api-key", &secret).await;
    systems.does_not_open("/app/1", "authorization", &bearer(&secret), 400, "wrong_credential_header").await;
    turn(&systems, &json!({ "apiTokensEnabled": false })).await;
    systems.does_not_open("/app/1", "x-api-key", &secret, 401, "api_tokens_disabled").await;
    turn(&systems, &json!({ "apiTokensEnabled": true })).await;
    systems.opens("/app/1", "x-api-key", &secret).await;
    let ann = administrator(&systems, "tenant-1", &json!({}));
    let answer = manage(&systems, Method::DELETE, &format!("{TENANTS_ACCESS}/{id}"), &ann, None).await;
    assert!(answer.status.is_success(), "{}", answer.text());
    systems.does_not_open("/app/1", "x-api-key", &secret, 401, "token_revoked").await;
}
