//! A client of a hosted identity product in the style of Auth0, which has changed its domain and nothing else.

use std::{fs, time::Duration};

use http::Method;
use serde_json::{Value, json};

use crate::support::{
    client::Answer,
    forge::SigningKey,
    gateway::GatewayBuilder,
    systems::{
        ARCHIVE, AUTH0, BILLING, BILLING_NEXT, DAY, ISSUER, ORDERS, START, Systems, UNGRANTED, assert_answer,
        assert_uncached_json, bearer, text,
    },
};

const THIRTY_DAYS: u64 = 30 * 24 * 3600;

/// What the product's own documents say that a client sends.
fn request_of(client_id: &str, client_secret: &str, audience: &str) -> Value {
    json!({
        "client_id": client_id, "client_secret": client_secret, "audience": audience, "grant_type": "client_credentials"
    })
}

async fn ask(systems: &Systems, client_id: &str, client_secret: &str, audience: &str) -> Answer {
    systems.post_json(AUTH0, &request_of(client_id, client_secret, audience)).await
}

/// A token for `billing` and the orders.
async fn token(systems: &Systems) -> String {
    token_in(&ask(systems, "billing", BILLING, ORDERS).await)
}

/// The token in an answer that is exactly the product's.
fn token_in(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_uncached_json(answer);
    let token = text(&answer.json(), "access_token");
    assert_eq!(
        answer.json(),
        json!({ "access_token": token, "token_type": "Bearer", "expires_in": 86400, "scope": "orders:read" })
    );
    token
}

async fn opens(systems: &Systems, token: &str) {
    systems.opens("/orders/1", "authorization", &bearer(token)).await;
}

async fn does_not_open(systems: &Systems, token: &str, reason: &str) {
    systems.does_not_open("/orders/1", "authorization", &bearer(token), 401, reason).await;
}

fn error(code: &str, description: &str) -> Value {
    json!({ "error": code, "error_description": description })
}

#[tokio::test]
async fn a_token_comes_by_json_and_by_form_and_opens_the_route() {
    let systems = Systems::open().await;
    let request = request_of("billing", BILLING, ORDERS);
    let pairs = ["grant_type", "client_id", "client_secret", "audience"].map(|name| (name, text(&request, name)));
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
    for answer in [systems.post_json(AUTH0, &request).await, systems.post_form(AUTH0, &pairs).await] {
        let token = token_in(&answer);
        let read = systems.read(&token).await;
        assert_eq!(read.header, json!({ "alg": "ES256", "typ": "JWT", "kid": read.header["kid"] }));
        assert_eq!(
            read.claims,
            json!({
                "iss": ISSUER, "sub": "billing@clients", "aud": ORDERS, "azp": "billing", "iat": START,
                "exp": START + 86400, "scope": "orders:read", "gty": "client-credentials",
                // The client's own.
                "https://corp.test/plan": { "name": "gold", "seats": 5 }, "regions": ["eu", "us"],
            })
        );
        opens(&systems, &token).await;
        assert_eq!(systems.upstream.last().headers["x-client-id"], "billing");
    }
}

#[tokio::test]
async fn refusals_have_the_products_status_and_words() {
    let systems = Systems::open().await;
    let unauthorized = error("access_denied", "Unauthorized");
    let not_authorized = format!(
        "Client is not authorized to access \"{UNGRANTED}\". You need to create a \"client-grant\" associated to this API."
    );
    let unknown = "https://api.test/nobody";
    let not_enabled = format!("Service not enabled within domain: {unknown}");
    for (client_id, secret, audience, status, body) in [
        ("billing", "wrong", ORDERS, 401, &unauthorized),
        ("billing", "", ORDERS, 401, &unauthorized),
        ("nobody", BILLING, ORDERS, 401, &unauthorized),
        // Who has not proved who it is learns nothing of APIs.
        ("billing", "wrong", unknown, 401, &unauthorized),
        ("billing", BILLING, UNGRANTED, 403, &error("access_denied", &not_authorized)),
        ("billing", BILLING, unknown, 403, &error("access_denied", &not_enabled)),
        ("idle", "canary-idle-secret-0123456789-abcdefghijk", UNGRANTED, 403, &error("access_denied", &not_authorized)),
        ("idle", "canary-idle-secret-0123456789-abcdefghijk", unknown, 403, &error("access_denied", &not_enabled)),
    ] {
        let answer = ask(&systems, client_id, secret, audience).await;
        assert_answer(&answer, status, body);
        assert!(!answer.text().contains("canary"));
    }
    // What is repeated stays JSON.
    let strange = "https://api.test/\"}\u{e9}";
    let answer = ask(&systems, "billing", BILLING, strange).await;
    let repeated = format!("Service not enabled within domain: {strange}");
    assert_answer(&answer, 403, &error("access_denied", &repeated));
}

#[tokio::test]
async fn other_grants_are_not_allowed_for_the_client() {
    let systems = Systems::open().await;
    for grant in
        ["password", "authorization_code", "refresh_token", "http://auth0.com/oauth/grant-type/passwordless/otp"]
    {
        let mut request = request_of("billing", BILLING, ORDERS);
        request["grant_type"] = json!(grant);
        let answer = systems.post_json(AUTH0, &request).await;
        let description = format!("Grant type '{grant}' not allowed for the client.");
        assert_answer(&answer, 403, &error("unauthorized_client", &description));
    }
}

#[tokio::test]
async fn a_client_with_a_private_key_sends_an_assertion_instead_of_its_secret() {
    let key = SigningKey::es256("its-key");
    let more = "[authorization_server.clients.signer]\npublic_keys = [\"its-key.jwk\"]\n\
                grants = { \"https://api.test/orders\" = [\"orders:read\"] }\n";
    let furnish = |builder: GatewayBuilder| {
        fs::write(builder.folder().join("its-key.jwk"), key.jwk().to_string()).expect("written");
        builder.also(more)
    };
    let systems = Systems::furnished(furnish).await;
    // As the product's own libraries make it: the domain with its slash, a lifetime of some minutes.
    let assertion = |audience: &str, jti: &str| {
        let header = json!({ "alg": "ES256", "kid": "its-key" });
        let claims = json!({
            "iss": "signer", "sub": "signer", "aud": audience, "iat": START, "exp": START + 180, "jti": jti
        });
        json!({
            "client_id": "signer", "audience": ORDERS, "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": key.token_of("ES256", &header.to_string(), &claims.to_string()),
        })
    };
    let first = assertion(ISSUER, "1");
    let token = token_in(&systems.post_json(AUTH0, &first).await);
    assert_eq!(systems.read(&token).await.claims["sub"], json!("signer@clients"));
    opens(&systems, &token).await;
    let unauthorized = error("access_denied", "Unauthorized");
    for refused in
        [first, assertion("https://systems.test/oauth/token", "2"), assertion("https://elsewhere.test/", "3")]
    {
        assert_answer(&systems.post_json(AUTH0, &refused).await, 401, &unauthorized);
    }
    assert_answer(&ask(&systems, "signer", "guess", ORDERS).await, 401, &unauthorized);
}

#[tokio::test]
async fn an_organization_stands_in_its_tokens_alone() {
    let systems = Systems::open().await;
    let mut request = request_of("billing", BILLING, ORDERS);
    request["organization"] = json!("org_acme");
    let with = systems.read(&token_in(&systems.post_json(AUTH0, &request).await)).await;
    assert_eq!(with.claims["org_id"], json!("org_acme"));
    let without = systems.read(&token(&systems).await).await;
    assert!(without.claims.get("org_id").is_none());
    request["organization"] = json!("org_other");
    let refused = systems.post_json(AUTH0, &request).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["error"]), (403, &json!("access_denied")));
    assert_uncached_json(&refused);
}

#[tokio::test]
async fn a_token_lasts_a_day_unless_its_api_says_otherwise_and_thirty_days_at_most() {
    let systems = Systems::open().await;
    let (day, month) = (token(&systems).await, ask(&systems, "billing", BILLING, ARCHIVE).await);
    assert_eq!(
        month.json(),
        json!({
            "access_token": text(&month.json(), "access_token"), "token_type": "Bearer", "expires_in": THIRTY_DAYS,
            "scope": "archive:read",
        })
    );
    let month = systems.read(&text(&month.json(), "access_token")).await;
    assert_eq!(month.claims["exp"], json!(START + THIRTY_DAYS));
    opens(&systems, &day).await;
    systems.clock.advance(DAY - Duration::from_secs(1));
    opens(&systems, &day).await;
    systems.clock.advance(Duration::from_secs(1));
    does_not_open(&systems, &day, "token_expired").await;

    let config = "[issuers.own]\nembedded = true\n[authorization_server]\nissuer = \"https://systems.test/\"\n\
                  [authorization_server.apis.\"https://api.test/orders\"]\ntoken_lifetime = \"31d\"\n";
    assert!(GatewayBuilder::new(config).try_start().await.is_err(), "a day too long");
    let config = config.replace("31d", "30d");
    assert!(GatewayBuilder::new(&config).try_start().await.is_ok(), "the control");
}

#[tokio::test]
async fn a_token_is_listed_and_revoked_for_good() {
    let systems = Systems::open().await;
    let revoked = token(&systems).await;
    systems.clock.advance(Duration::from_secs(1));
    let kept = token(&systems).await;
    for token in [&revoked, &kept] {
        opens(&systems, token).await;
    }
    let listed = systems.listed("client_id=billing").await;
    assert_eq!(listed.len(), 2);
    for item in &listed {
        assert_eq!((&item["dialect"], &item["subject"]), (&json!("auth0"), &json!("billing@clients")));
        assert_eq!((&item["audience"], &item["scope"]), (&json!(ORDERS), &json!("orders:read")));
        assert_eq!(item["state"], json!("live"));
    }
    // They have no `jti`, so which is which shows when one is gone.
    let id = text(&listed[0], "id");
    let answer = systems.managed(Method::POST, "/api/v1/revocations", Some(&json!({ "token_id": id }))).await;
    assert_eq!(answer["revoked"], json!(1));
    let mut open = 0;
    for token in [&revoked, &kept] {
        let answer = systems.send(Method::GET, "/orders/1", &[("authorization", &bearer(token))], "").await;
        match answer.status.as_u16() {
            200 => open += 1,
            status => assert_eq!((status, answer.reason().as_str()), (401, "token_revoked")),
        }
    }
    assert_eq!(open, 1);
    assert_eq!(systems.listed("client_id=billing").await.len(), 1);
    let all = systems.listed("client_id=billing&include_revoked=true").await;
    assert_eq!(all.iter().filter(|item| item["state"] == "revoked" && item["id"] == json!(id)).count(), 1);

    let answer = systems.managed(Method::POST, "/api/v1/revocations", Some(&json!({ "client_id": "billing" }))).await;
    assert_eq!(answer["revoked"], json!(1));
    for token in [&revoked, &kept] {
        does_not_open(&systems, token, "token_revoked").await;
    }
    systems.clock.advance(Duration::from_secs(1));
    opens(&systems, &token(&systems).await).await;
}

/// They have no `jti`, so those of one client and one second are one token; what is asked for after its revocation is another.
#[tokio::test]
async fn tokens_of_one_second_are_one_until_it_is_revoked() {
    let systems = Systems::open().await;
    let (first, second) = (token(&systems).await, token(&systems).await);
    assert_eq!(systems.listed("client_id=billing").await.len(), 1);
    let revoke = async || {
        let listed = systems.listed("client_id=billing").await;
        let revocation = json!({ "token_id": listed[0]["id"] });
        systems.managed(Method::POST, "/api/v1/revocations", Some(&revocation)).await;
    };
    for lifetime in (86395..86400).rev() {
        revoke().await;
        for token in [&first, &second] {
            does_not_open(&systems, token, "token_revoked").await;
        }
        let answer = ask(&systems, "billing", BILLING, ORDERS).await;
        assert_eq!(answer.json()["expires_in"], json!(lifetime));
        let third = text(&answer.json(), "access_token");
        let claims = systems.read(&third).await.claims;
        assert_eq!((&claims["iat"], &claims["exp"]), (&json!(START), &json!(START + lifetime)));
        opens(&systems, &third).await;
    }
    // Sooner or later it is enough for one second.
    revoke().await;
    let answer = ask(&systems, "billing", BILLING, ORDERS).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["error"]), (503, &json!("temporarily_unavailable")));
    assert!(!answer.header("retry-after").is_empty());
    systems.clock.advance(Duration::from_secs(1));
    opens(&systems, &token(&systems).await).await;
}

#[tokio::test]
async fn the_switch_refuses_at_the_route_and_at_issuance_and_takes_it_back() {
    let systems = Systems::open().await;
    let token = token(&systems).await;
    opens(&systems, &token).await;
    systems.switch(false).await;
    does_not_open(&systems, &token, "issuer_disabled").await;
    let refused = ask(&systems, "billing", BILLING, ORDERS).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["error"]), (403, &json!("access_denied")));
    assert_uncached_json(&refused);
    // Who does not know the secret does not learn that it is off.
    let wrong = ask(&systems, "billing", "wrong", ORDERS).await;
    assert_answer(&wrong, 401, &error("access_denied", "Unauthorized"));
    systems.switch(true).await;
    opens(&systems, &token).await;
    token_in(&ask(&systems, "billing", BILLING, ORDERS).await);
}

#[tokio::test]
async fn a_client_that_is_switched_off_has_nothing_until_it_is_on_again() {
    let systems = Systems::open().await;
    let token = token(&systems).await;
    systems.managed(Method::POST, "/api/v1/clients/billing/disable", None).await;
    does_not_open(&systems, &token, "client_disabled").await;
    let refused = ask(&systems, "billing", BILLING, ORDERS).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["error"]), (403, &json!("access_denied")));
    systems.managed(Method::POST, "/api/v1/clients/billing/enable", None).await;
    opens(&systems, &token).await;
}

#[tokio::test]
async fn a_new_secret_is_good_at_once_and_the_old_one_for_a_grace_period() {
    let systems = Systems::open().await;
    // Of the configuration: two secrets at the same time.
    token_in(&ask(&systems, "billing", BILLING_NEXT, ORDERS).await);

    let client = json!({ "id": "reports", "grants": { ORDERS: ["orders:read"] } });
    let old = text(&systems.managed(Method::POST, "/api/v1/clients", Some(&client)).await, "secret");
    token_in(&ask(&systems, "reports", &old, ORDERS).await);
    let rotate = json!({ "grace": "24h" });
    let rotated = systems.managed(Method::POST, "/api/v1/clients/reports/rotate", Some(&rotate)).await;
    let new = text(&rotated, "secret");
    assert_ne!(old, new);
    for secret in [&old, &new] {
        token_in(&ask(&systems, "reports", secret, ORDERS).await);
    }
    systems.clock.advance(DAY);
    token_in(&ask(&systems, "reports", &new, ORDERS).await);
    let refused = ask(&systems, "reports", &old, ORDERS).await;
    assert_answer(&refused, 401, &error("access_denied", "Unauthorized"));
}

#[tokio::test]
async fn the_key_document_has_the_current_key_and_the_next_and_the_previous_until_it_is_revoked() {
    const DOCUMENT: &str = "/.well-known/jwks.json";
    let systems = Systems::open().await;
    let old = token(&systems).await;
    let first = systems.key_ids(DOCUMENT).await;
    assert_eq!(first.len(), 2, "the current key and the next");
    let signed_by = systems.read(&old).await.header["kid"].clone();
    assert!(first.iter().any(|id| signed_by == json!(id)));

    systems.managed(Method::POST, "/api/v1/keys/rotate", Some(&json!({ "haste": true }))).await;
    let second = systems.key_ids(DOCUMENT).await;
    assert_eq!(second.len(), 3, "the previous key too");
    assert!(first.iter().all(|id| second.contains(id)));
    let new = token(&systems).await;
    let signs = systems.read(&new).await.header["kid"].clone();
    assert!(signs != signed_by && first.iter().any(|id| signs == json!(id)), "the next key, known beforehand");
    opens(&systems, &old).await;
    opens(&systems, &new).await;

    let previous = signed_by.as_str().expect("a key id");
    systems.managed(Method::POST, &format!("/api/v1/keys/{previous}/revoke"), None).await;
    assert!(!systems.key_ids(DOCUMENT).await.iter().any(|id| id == previous));
    let refused = systems.send(Method::GET, "/orders/1", &[("authorization", &bearer(&old))], "").await;
    assert_eq!(refused.status, 401, "{}", refused.text());
    opens(&systems, &new).await;
}
