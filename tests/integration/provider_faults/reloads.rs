//! A gateway whose configuration changes while its provider is asked.

use bytes::Bytes;
use futures_util::future::join_all;
use http::Request;
use http_body_util::Full;

use crate::support::{
    client::{Answer, HttpClient},
    gateway::{Gateway, GatewayBuilder},
    observe::reload,
    provider::{ScriptedProvider, Shape},
    wait::until,
};

async fn provider() -> ScriptedProvider {
    let provider = ScriptedProvider::start(Shape::Oauth2).await;
    provider.client("billing", "right");
    provider
}

async fn ask(gateway: &Gateway, secret: &str) -> Answer {
    let body = format!("grant_type=client_credentials&client_id=billing&client_secret={secret}");
    let request = Request::post(gateway.url("/token")).header("content-type", "application/x-www-form-urlencoded");
    HttpClient::http1().send(request.body(Full::from(Bytes::from(body))).unwrap()).await
}

/// One request is decided by one configuration: what is under way ends where it was begun, what comes then goes elsewhere.
#[tokio::test]
async fn a_request_ends_at_the_provider_where_it_was_begun() {
    let (old, new) = (provider().await, provider().await);
    let config = format!("[token_endpoints.corp]\npath = \"/token\"\nforward = \"{}\"\n", old.url("/token"));
    let gateway = GatewayBuilder::new(&config).start().await;
    old.hold();
    let under_way = join_all((0..4).map(|_| ask(&gateway, "right")));
    let change = async {
        until("all are under way", || async { (old.count() == 4).then_some(()) }).await;
        gateway.edit(&old.url("/token"), &new.url("/token"));
        assert_eq!(reload(&gateway).await.status, 200);
        assert_eq!((ask(&gateway, "right").await.status.as_u16(), new.count(), old.count()), (200, 1, 4));
        old.release();
    };
    let (ended, ()) = tokio::join!(under_way, change);
    for answer in ended {
        let token = answer.json()["access_token"].as_str().unwrap().to_owned();
        assert_eq!(old.owner_of(&token).as_deref(), Some("billing"), "{}", answer.text());
    }
    assert_eq!((old.count(), new.count()), (4, 1));
}

/// Who was locked out for guessing stays so, and the connections that there are go on being used.
#[tokio::test]
async fn a_reload_that_changes_something_else_changes_nothing_here() {
    let provider = provider().await;
    let config = format!(
        "[token_endpoints.corp]\npath = \"/token\"\nforward = \"{}\"\nlockout = {{ failures = 3 }}\n",
        provider.url("/token")
    );
    let gateway = GatewayBuilder::new(&config).start().await;
    assert_eq!(ask(&gateway, "right").await.status, 200);
    for _ in 0..3 {
        assert_eq!(ask(&gateway, "wrong").await.status, 401);
    }
    let opened = provider.connections();
    gateway.edit("grace_period = \"5s\"", "grace_period = \"6s\"");
    assert_eq!(reload(&gateway).await.status, 200);
    let locked = ask(&gateway, "right").await;
    assert_eq!(
        (locked.status.as_u16(), provider.count()),
        (429, 4),
        "the provider is not asked for somebody locked out"
    );
    let form = "grant_type=client_credentials&client_id=other&client_secret=x";
    let request = Request::post(gateway.url("/token")).header("content-type", "application/x-www-form-urlencoded");
    let other = HttpClient::http1().send(request.body(Full::from(form)).unwrap()).await;
    assert_eq!((other.status.as_u16(), provider.count(), provider.connections()), (401, 5, opened));
}
