//! Quotas before an outside provider: what it is not asked, and what costs nothing.

use std::time::Duration;

use http::Request;
use postern::clock::{ManualClock, UnixTime};
use serde_json::json;

use crate::support::{
    client::{Answer, HttpClient},
    gateway::{Gateway, GatewayBuilder},
    provider::{Conduct, ScriptedProvider, Shape},
    systems::START,
};

async fn gateway(provider: &ScriptedProvider, clock: &ManualClock, lines: &str) -> Gateway {
    let config = format!(
        "[token_endpoints.corp]\npath = \"/token\"\ndialect = \"auth0\"\nforward = \"${{PROVIDER}}\"\n\
         lockout = {{ failures = 0 }}\n{lines}\n"
    );
    let builder = GatewayBuilder::new(&config).variable("PROVIDER", &provider.url("/oauth/token"));
    builder.clock(clock.clock()).start().await
}

async fn asks(gateway: &Gateway, secret: &str) -> Answer {
    let body = json!({
        "grant_type": "client_credentials", "client_id": "billing", "client_secret": secret, "audience": "urn:api",
    });
    let request = Request::post(gateway.url("/token")).header("content-type", "application/json");
    HttpClient::http1().send(request.body(body.to_string().into()).unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_provider_is_not_asked_for_more_and_what_fails_costs_nothing() {
    let provider = ScriptedProvider::start(Shape::Auth0).await;
    provider.client("billing", "s&cret");
    let clock = ManualClock::starting_at(UnixTime::from_seconds(START));
    let gateway = gateway(&provider, &clock, "[token_endpoints.corp.quota]\nper_hour = 2").await;
    for _ in 0..3 {
        assert_eq!(asks(&gateway, "wrong").await.status, 401);
    }
    provider.once([Conduct::Closes, Conduct::Closes]);
    for _ in 0..2 {
        assert_eq!(asks(&gateway, "s&cret").await.status, 503);
    }
    let first = asks(&gateway, "s&cret").await;
    assert_eq!(first.status, 200, "{}", first.text());
    assert_eq!(first.header("auth0-client-quota-limit"), "b=per_hour;q=2;r=1;t=3600");
    assert_eq!(asks(&gateway, "s&cret").await.status, 200);
    let before = provider.count();
    let refused = asks(&gateway, "s&cret").await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (429, "3600"));
    assert_eq!(refused.json()["error_description"], "Client quota exceeded");
    assert_eq!(provider.count(), before, "the provider hears nothing of it");
    clock.advance(Duration::from_secs(3600));
    assert_eq!(asks(&gateway, "s&cret").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stands_for_another_is_counted_by_its_own_id() {
    let provider = ScriptedProvider::start(Shape::Auth0).await;
    provider.client("theirs", "provider-secret");
    let clock = ManualClock::starting_at(UnixTime::from_seconds(START));
    let lines = "[token_endpoints.corp.clients.billing]\nsecret = \"own\"\nprovider_client_id = \"theirs\"\n\
                 provider_secret = \"provider-secret\"\n\
                 [token_endpoints.corp.quota]\nclients = { billing = { per_hour = 1 } }";
    let gateway = gateway(&provider, &clock, lines).await;
    let first = asks(&gateway, "own").await;
    assert_eq!(first.status, 200, "{}", first.text());
    assert_eq!(first.header("auth0-client-quota-limit"), "b=per_hour;q=1;r=0;t=3600");
    assert_eq!(asks(&gateway, "wrong").await.status, 401, "who has not proven itself is told nothing");
    assert_eq!(asks(&gateway, "own").await.status, 429);
    assert_eq!(provider.count(), 1);
}
