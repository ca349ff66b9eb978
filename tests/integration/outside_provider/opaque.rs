//! Its opaque tokens on a route of the gateway.

use http::StatusCode;

use super::house::{House, post_form};
use crate::support::{real_provider::ARCHIVE, wait::until};

/// A route for opaque tokens, about which the provider is asked.
pub(super) const CONFIG: &str = r#"
[issuers.corp.introspection]
endpoint = "${PROVIDER}/token/introspection"
client_id = "gateway"
client_secret = "canary-gateway-secret-0123456789"
cache_for = "1s"
[routes.archive]
path = "/archive/{*rest}"
upstream = "orders"
[routes.archive.require]
issuers = ["corp"]
audience = "https://api.test/archive"
scopes = ["orders:read"]
[routes.archive.identity]
headers = { "x-client-id" = "client_id" }
"#;

#[tokio::test]
#[ignore = "needs npm's oidc-provider: run by the step `provider` of scripts/test"]
async fn an_opaque_token_is_good_for_what_the_provider_says_and_as_long() {
    let mut house = House::open(CONFIG).await;
    let token = house.ask_provider(ARCHIVE, "orders:read").await;
    let answer = house.get("/archive/1", &token).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(house.upstream.last().headers["x-client-id"], "reports");

    // The same rules as for a JWT.
    let refused = house.get("/orders/1", &token).await;
    assert_eq!((refused.status.as_u16(), refused.reason().as_str()), (403, "audience_mismatch"));
    let poor = house.ask_provider(ARCHIVE, "orders:write").await;
    let refused = house.get("/archive/1", &poor).await;
    assert_eq!((refused.status.as_u16(), refused.reason().as_str()), (403, "scope_missing"));
    // While it is stopped nobody is told that a token is bad.
    house.provider.go_down();
    let unavailable = until("what it said is no longer believed", || async {
        let answer = house.get("/archive/1", &token).await;
        (answer.status != StatusCode::OK).then_some(answer)
    })
    .await;
    assert_eq!((unavailable.status.as_u16(), unavailable.reason().as_str()), (503, "introspection_unavailable"));
    assert!(!unavailable.header("retry-after").is_empty());
    house.provider.come_back().await;
    until("it is asked again", || async {
        let answer = house.get("/archive/1", &token).await;
        assert!(
            answer.status == StatusCode::OK || answer.status == StatusCode::SERVICE_UNAVAILABLE,
            "{}",
            answer.text()
        );
        (answer.status == StatusCode::OK).then_some(())
    })
    .await;

    let before = house.upstream.count();
    let changed: String = token.chars().rev().collect();
    let refused = house.get("/archive/1", &changed).await;
    assert_eq!((refused.status.as_u16(), refused.reason().as_str()), (401, "token_inactive"));
    assert_eq!(house.upstream.count(), before);

    let revocation = format!("{}/token/revocation", house.provider.name());
    let form = [("token", token.as_str()), ("client_id", "reports"), ("client_secret", super::house::REPORTS)];
    assert_eq!(post_form(&house.client, &revocation, None, &form).await.status, StatusCode::OK);
    let refused = until("the revocation is known", || async {
        let answer = house.get("/archive/1", &token).await;
        (answer.status != StatusCode::OK).then_some(answer)
    })
    .await;
    assert_eq!((refused.status.as_u16(), refused.reason().as_str()), (401, "token_inactive"));
}
