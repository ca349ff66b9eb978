//! The shortest way through everything: a token, a route, an upstream.

use serde_json::json;

use crate::support::{
    client::HttpClient,
    forge::{SigningKey, claims},
    gateway::GatewayBuilder,
    issuer::ScriptedIssuer,
    upstream::RecordedUpstream,
};

const CONFIG: &str = r#"
[issuers.corp]
issuer = "${ISSUER}"
audience = "https://api.test/orders"
[upstreams.orders]
endpoints = ["${UPSTREAM}"]
[routes.orders]
path = "/orders/{*rest}"
upstream = "orders"
[routes.orders.require]
scopes = ["orders:read"]
"#;

#[tokio::test]
async fn a_good_token_gets_through_and_no_token_does_not() {
    let key = SigningKey::es256("k1");
    let issuer = ScriptedIssuer::start(&[&key]).await;
    let upstream = RecordedUpstream::start().await;
    let gateway = GatewayBuilder::new(CONFIG).issuer(&issuer).upstream(&upstream).start().await;
    let client = HttpClient::http1();

    let refused = client.get(&gateway.url("/orders/1"), None).await;
    assert_eq!((refused.status.as_u16(), refused.reason().as_str()), (401, "no_token"));
    let mut poor = claims(&issuer.name());
    poor["scope"] = json!("other");
    let denied = client.get(&gateway.url("/orders/1"), Some(&key.token(&poor))).await;
    assert_eq!((denied.status.as_u16(), denied.reason().as_str()), (403, "scope_missing"));
    assert_eq!(upstream.count(), 0);

    let answer = client.get(&gateway.url("/orders/1?a=b"), Some(&key.token(&claims(&issuer.name())))).await;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, "upstream"));
    assert_eq!(upstream.last().target, "/orders/1?a=b");
}
