//! Its token endpoint, asked by way of the gateway.

use http::StatusCode;
use serde_json::json;

use super::house::{BILLING, House, REPORTS, asks, reports_asks};
use crate::support::{
    client::Answer,
    issuing::{claims_of, token_in},
    real_provider::{ARCHIVE, ORDERS, assertion},
};

/// The same provider behind endpoints that say each thing to it in another way.
const ENDPOINTS: &str = r#"
[token_endpoints.plain]
path = "/plain/token"
forward = "${PROVIDER}/token"
[token_endpoints.plain.lockout]
failures = 0
[token_endpoints.plain.provider]
revocation = "${PROVIDER}/token/revocation"
introspection = "${PROVIDER}/token/introspection"
[token_endpoints.as-basic]
path = "/as-basic/token"
forward = "${PROVIDER}/token"
provider = { authentication = "client_secret_basic" }
[token_endpoints.as-post]
path = "/as-post/token"
forward = "${PROVIDER}/token"
provider = { authentication = "client_secret_post" }
[token_endpoints.hosted]
path = "/oauth/token"
dialect = "auth0"
forward = "${PROVIDER}/token"
provider = { dialect = "oauth2", audience = "resource" }
[token_endpoints.mapped]
path = "/mapped/token"
forward = "${PROVIDER}/token"
unmapped_clients = "refuse"
[token_endpoints.mapped.clients.nightly]
secret = "canary-nightly-secret-of-its-own"
provider_client_id = "billing"
provider_secret = "canary bill+ing/s:e&c=r%41t?"
[token_endpoints.mapped.clients.stale]
secret = "canary-stale-secret-of-its-own"
provider_client_id = "billing"
provider_secret = "what it was last year"
"#;

/// The token in an answer that has one for `client_id`, good for the route.
async fn used(house: &House, answer: &Answer, client_id: &str) -> String {
    assert_eq!(answer.status, StatusCode::OK, "{client_id}: {}", answer.text());
    assert_eq!((answer.header("cache-control"), answer.json()["token_type"].as_str()), ("no-store", Some("Bearer")));
    assert!(answer.json()["expires_in"].as_u64().is_some_and(|seconds| (590..=600).contains(&seconds)));
    // The provider says these with every answer.
    for name in ["vary", "access-control-allow-origin", "access-control-expose-headers", "keep-alive"] {
        assert!(answer.headers.get(name).is_none(), "{name} is the provider's own");
    }
    let token = token_in(answer);
    assert_eq!((&claims_of(&token)["client_id"], &claims_of(&token)["aud"]), (&json!(client_id), &json!(ORDERS)));
    assert_eq!(house.get("/orders/1", &token).await.status, StatusCode::OK);
    assert_eq!(house.upstream.last().headers["x-client-id"], client_id);
    token
}

fn assert_invalid_client(answer: &Answer) {
    assert_eq!((answer.status.as_u16(), &answer.json()["error"]), (401, &json!("invalid_client")));
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test]
#[ignore = "needs npm's oidc-provider: run by the step `provider` of scripts/test"]
async fn a_secret_goes_on_where_the_client_put_it_or_where_the_provider_wants_it() {
    let house = House::open(ENDPOINTS).await;
    let (asked, in_body) = (asks(ORDERS, "orders:read"), reports_asks(ORDERS, "orders:read"));
    let billing = Some(("billing", BILLING));
    let billing_in_body = [&asked[..], &[("client_id", "billing"), ("client_secret", BILLING)]].concat();
    for (path, basic, form, client_id, told) in [
        ("/plain/token", billing, &asked[..], "billing", "header"),
        ("/plain/token", None, &in_body, "reports", "body"),
        // Where the client and the provider differ, it is told the other way.
        ("/as-basic/token", None, &billing_in_body, "billing", "header"),
        ("/as-post/token", Some(("reports", REPORTS)), &asked, "reports", "body"),
        ("/as-basic/token", billing, &asked, "billing", "header"),
        ("/as-post/token", None, &in_body, "reports", "body"),
    ] {
        used(&house, &house.post(path, basic, form).await, client_id).await;
        house.provider.granted(client_id, told).await;
    }
    for (id, secret) in [("billing", "wrong"), ("billing", REPORTS), ("nobody", BILLING)] {
        let refused = house.post("/plain/token", Some((id, secret)), &asked).await;
        assert_invalid_client(&refused);
        assert!(refused.header("www-authenticate").starts_with("Basic"), "RFC 6749 section 5.2");
    }
}

#[tokio::test]
#[ignore = "needs npm's oidc-provider: run by the step `provider` of scripts/test"]
async fn an_assertion_reaches_it_as_it_was_signed() {
    let house = House::open(ENDPOINTS).await;
    let asserting = |assertion: &str| {
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".to_owned();
        let said = [("client_assertion_type", kind), ("client_assertion", assertion.to_owned())];
        [&asks(ORDERS, "orders:read").map(|(name, value)| (name, value.to_owned()))[..], &said[..]].concat()
    };
    let post = |path: &'static str, assertion: String| {
        let (house, form) = (&house, asserting(&assertion));
        async move {
            let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
            house.post(path, None, &form).await
        }
    };
    let good = || assertion(&house.key, "signer", &house.provider.name());
    for path in ["/plain/token", "/as-basic/token", "/as-post/token"] {
        let once = good();
        used(&house, &post(path, once.clone()).await, "signer").await;
        house.provider.granted("signer", "assertion").await;
        assert_invalid_client(&post(path, once).await);
    }
    let stranger = crate::support::forge::SigningKey::es256("signer-1");
    assert_invalid_client(&post("/plain/token", assertion(&stranger, "signer", &house.provider.name())).await);
    assert_invalid_client(&post("/plain/token", assertion(&house.key, "billing", &house.provider.name())).await);
    assert_invalid_client(&post("/plain/token", assertion(&house.key, "signer", "https://other.test")).await);
}

#[tokio::test]
#[ignore = "needs npm's oidc-provider: run by the step `provider` of scripts/test"]
async fn another_dialect_is_another_way_to_say_the_same() {
    let house = House::open(ENDPOINTS).await;
    let mut body = json!({
        "grant_type": "client_credentials", "client_id": "reports", "client_secret": REPORTS, "audience": ORDERS,
        "scope": "orders:read",
    });
    used(&house, &house.post_json("/oauth/token", &body).await, "reports").await;
    body["audience"] = json!("https://api.test/unknown");
    let refused = house.post_json("/oauth/token", &body).await;
    assert!(refused.status.is_client_error() && refused.status != StatusCode::UNAUTHORIZED, "{}", refused.text());
    body["client_secret"] = json!("wrong");
    let refused = house.post_json("/oauth/token", &body).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["error"]), (401, &json!("access_denied")));
    // In its own dialect, what the provider says of a request goes to the client, too.
    let unknown = asks("https://api.test/unknown", "orders:read");
    let refused = house.post("/plain/token", Some(("billing", BILLING)), &unknown).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["error"]), (400, &json!("invalid_target")));
}

#[tokio::test]
#[ignore = "needs npm's oidc-provider: run by the step `provider` of scripts/test"]
async fn a_client_of_the_map_stands_for_another_and_is_judged_here() {
    let house = House::open(ENDPOINTS).await;
    let asked = asks(ORDERS, "orders:read");
    let post = |id: &'static str, secret: &'static str| house.post("/mapped/token", Some((id, secret)), &asked);
    used(&house, &post("nightly", "canary-nightly-secret-of-its-own").await, "billing").await;
    assert_invalid_client(&post("nightly", "wrong").await);
    assert_invalid_client(&post("billing", BILLING).await);
    // Its own proof is good; that the provider refuses the operator's is not its fault.
    let unavailable = post("stale", "canary-stale-secret-of-its-own").await;
    assert_eq!(unavailable.status, StatusCode::SERVICE_UNAVAILABLE, "{}", unavailable.text());
    assert!(unavailable.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0));
}

#[tokio::test]
#[ignore = "needs npm's oidc-provider: run by the step `provider` of scripts/test"]
async fn its_opaque_tokens_are_introspected_and_revoked_by_way_of_the_gateway() {
    let house = House::open(ENDPOINTS).await;
    let billing = Some(("billing", BILLING));
    let granted = house.post("/plain/token", billing, &asks(ARCHIVE, "orders:read")).await;
    let token = token_in(&granted);
    assert!(!token.contains('.'), "an opaque one");
    let about = [("token", token.as_str())];
    let said = house.post("/plain/introspect", billing, &about).await.json();
    assert_eq!((&said["active"], &said["client_id"], &said["aud"]), (&json!(true), &json!("billing"), &json!(ARCHIVE)));
    assert_invalid_client(&house.post("/plain/introspect", Some(("billing", "wrong")), &about).await);
    assert_eq!(house.post("/plain/revoke", billing, &about).await.status, StatusCode::OK);
    assert_eq!(house.post("/plain/introspect", billing, &about).await.json(), json!({ "active": false }));
}
