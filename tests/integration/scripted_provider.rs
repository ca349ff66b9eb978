//! The provider that other tests script, asked directly: a ledger that is to convict a gateway must itself be right.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::support::{
    client::{Answer, HttpClient},
    forge::SigningKey,
    provider::{Conduct, Placed, Said, ScriptedProvider, Shape},
    wait::until,
};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

async fn try_post(url: &str, headers: &[(&str, &str)], body: &str) -> Result<Answer, String> {
    let builder = headers
        .iter()
        .fold(Request::builder().method(Method::POST).uri(url), |builder, (name, value)| builder.header(*name, *value));
    HttpClient::http1().try_send(builder.body(Full::from(Bytes::copy_from_slice(body.as_bytes()))).unwrap()).await
}

async fn post(url: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    try_post(url, headers, body).await.expect("an answer")
}

/// Asks for a token with a secret in a form.
async fn ask(provider: &ScriptedProvider, secret: &str) -> Answer {
    let body = format!("grant_type=client_credentials&client_id=billing&client_secret={secret}&scope=orders%3Aread");
    post(&provider.url("/token"), &[("content-type", FORM)], &body).await
}

#[tokio::test]
async fn it_knows_its_clients_wherever_they_put_their_secrets() {
    let provider = ScriptedProvider::start(Shape::Oauth2).await;
    provider.client("a client", "s:e&c+r%t");
    provider.believe_assertions_of("asserting");
    let url = provider.url("/some/where?x=1");
    // `a+client:s%3Ae%26c%2Br%25t` in base64.
    let basic = ("authorization", "Basic YStjbGllbnQ6cyUzQWUlMjZjJTJCciUyNXQ=");
    let assertion = SigningKey::es256("k").token(&json!({ "sub": "asserting" }));
    let asserted = format!("grant_type=client_credentials&client_assertion={assertion}&resource=urn%3Aapi");
    let in_form = "client_id=a+client&client_secret=s%3Ae%26c%2Br%25t".to_owned();
    let in_json = json!({ "client_id": "a client", "client_secret": "s:e&c+r%t", "n": 1 }).to_string();
    let cases = [
        (vec![basic, ("content-type", FORM)], "grant_type=client_credentials".to_owned(), Placed::Basic, "a client"),
        (vec![("content-type", FORM)], in_form, Placed::Body, "a client"),
        (vec![("content-type", JSON)], in_json, Placed::Body, "a client"),
        (vec![("content-type", FORM)], asserted, Placed::Assertion, "asserting"),
    ];
    for (number, (headers, body, placed, client_id)) in (1..).zip(cases) {
        let answer = post(&url, &headers, &body).await;
        assert_eq!(answer.status, 200, "{body}: {}", answer.text());
        let token = answer.json()["access_token"].as_str().unwrap().to_owned();
        assert_eq!(provider.owner_of(&token).as_deref(), Some(client_id));
        let last = provider.last();
        assert_eq!((last.placed(), last.client_id().as_deref()), (Some(placed), Some(client_id)));
        assert!(last.complete && last.method == Method::POST && last.target == "/some/where?x=1");
        assert_eq!((last.body, last.headers.len()), (Bytes::from(body), headers.len() + 2));
        let issued = provider.issued();
        assert_eq!((issued.len(), issued[number - 1].number, &issued[number - 1].token), (number, number, &token));
    }
    assert_eq!(provider.last().parameter("resource"), Some("urn:api"));
    assert_eq!(provider.issued()[3].audience.as_deref(), Some("urn:api"));
    assert_eq!(provider.asked()[2].parameter("n"), Some("1"));
    assert!(provider.asked().is_sorted_by_key(|asked| asked.at));

    provider.forget("a client");
    let answer = post(&url, &[basic, ("content-type", FORM)], "grant_type=client_credentials").await;
    assert_eq!((answer.status.as_u16(), answer.header("www-authenticate")), (401, "Basic realm=\"provider\""));
    assert_eq!((provider.count(), provider.count_of("a client"), provider.issued().len()), (5, 4, 4));
    assert_eq!(provider.last().secret().as_deref(), Some("s:e&c+r%t"));
}

#[tokio::test]
async fn it_speaks_every_shape() {
    let provider = ScriptedProvider::start(Shape::Oauth2).await;
    provider.client("billing", "right");
    let wanted: [(&[&str], Value); 5] = [
        (&["access_token", "expires_in", "token_type", "scope"], json!("invalid_client")),
        (&["access_token", "expires_in", "token_type", "scope"], json!("access_denied")),
        (&["access_token", "expires_in", "token_type", "scope"], Value::Null),
        (&["accessToken", "expiresIn", "refreshToken", "expires"], Value::Null),
        (&["access_token", "expires_in", "refresh_token", "expires"], Value::Null),
    ];
    for (shape, (members, error)) in Shape::ALL.into_iter().zip(wanted) {
        provider.speak(shape);
        let granted = ask(&provider, "right").await;
        let names: Vec<String> = granted.json().as_object().unwrap().keys().cloned().collect();
        assert_eq!((granted.status.as_u16(), names), (200, members.iter().map(ToString::to_string).collect()));
        let refused = ask(&provider, "wrong").await;
        assert_eq!((refused.status.as_u16(), refused.json()["error"].clone()), (401, error), "{shape:?}");
    }
    provider.speak(Shape::Auth0);
    for expires_in in [json!(60), json!("60"), json!(-1), json!(1e300), json!(null)] {
        provider.lifetime(Some(expires_in.clone()));
        assert_eq!(ask(&provider, "right").await.json()["expires_in"], expires_in);
    }
    provider.lifetime(None);
    provider.mint(|issued| format!("mine-{}", issued.scope.clone().unwrap_or_default()));
    assert_eq!(
        ask(&provider, "right").await.json(),
        json!({ "access_token": "mine-orders:read", "token_type": "Bearer", "scope": "orders:read" })
    );
}

#[tokio::test]
async fn it_fails_as_it_is_told() {
    let provider = ScriptedProvider::start(Shape::Oauth2).await;
    provider.client("billing", "right");
    provider.header("set-cookie", "session=1");
    provider.once([Said::html(200).into(), Said::html(302).with("location", "/elsewhere").into(), Conduct::Closes]);
    let page = ask(&provider, "right").await;
    assert_eq!(
        (page.status.as_u16(), page.header("content-type"), page.header("set-cookie")),
        (200, "text/html", "session=1")
    );
    let redirect = ask(&provider, "right").await;
    assert_eq!((redirect.status.as_u16(), redirect.header("location")), (302, "/elsewhere"));
    let body = "client_id=billing&client_secret=right";
    let try_ask = || async { try_post(&provider.url("/token"), &[("content-type", FORM)], body).await };
    assert!(try_ask().await.is_err(), "closed");
    assert_eq!((ask(&provider, "right").await.status.as_u16(), provider.count()), (200, 4));

    provider.conduct(Conduct::Truncated);
    assert!(try_ask().await.is_err(), "cut");
    provider.conduct(Conduct::Oversized(3 << 20));
    let oversized = ask(&provider, "right").await;
    assert!(oversized.body.len() > 3 << 20 && oversized.json()["token_type"] == "Bearer");
    provider.conduct(Conduct::Slow(Duration::from_millis(30)));
    let since = std::time::Instant::now();
    assert_eq!(ask(&provider, "right").await.status, 200);
    assert!(since.elapsed() >= Duration::from_millis(30));
    provider.conduct_at("/token", Said::text(503, "text/plain", "busy").into());
    assert_eq!(ask(&provider, "right").await.status, 503);
    provider.conduct_at("/token", Conduct::Silent);
    assert!(tokio::time::timeout(Duration::from_millis(30), try_ask()).await.is_err(), "no answer");
    provider.conduct_at("/token", Conduct::Honest);

    provider.hold();
    let (count, opened) = (provider.count(), provider.connections());
    let both = async { tokio::join!(try_ask(), try_ask()) };
    let release = async {
        until("both arrive", || async { (provider.count() == count + 2).then_some(()) }).await;
        provider.release();
    };
    let ((one, other), ()) = tokio::join!(both, release);
    assert!(one.is_ok() && other.is_ok());
    assert_eq!((provider.most_at_once(), provider.connections()), (2, opened + 2));
}

#[tokio::test]
async fn it_goes_away_and_comes_back_and_introspects_and_revokes() {
    let provider = ScriptedProvider::start(Shape::Oauth2).await;
    provider.client("billing", "right");
    let client = HttpClient::http1();
    let post = |path: &str, body: &str| {
        let request = Request::builder().method(Method::POST).uri(provider.url(path)).header("content-type", FORM);
        client.try_send(request.body(Full::from(Bytes::copy_from_slice(body.as_bytes()))).unwrap())
    };
    let credentials = "client_id=billing&client_secret=right";
    let token = post("/token", credentials).await.unwrap().json()["access_token"].as_str().unwrap().to_owned();
    let about = format!("{credentials}&token={token}");
    assert_eq!(post("/introspect", &about).await.unwrap().json()["client_id"], "billing");
    assert_eq!(post("/introspect", "client_id=billing&client_secret=x").await.unwrap().status, 401);
    assert_eq!((post("/revoke", &about).await.unwrap().status.as_u16(), provider.is_revoked(&token)), (200, true));
    assert_eq!(post("/introspect", &about).await.unwrap().json(), json!({ "active": false }));
    assert_eq!(provider.connections(), 1);

    provider.close_connections();
    until("a new connection", || async {
        (post("/token", credentials).await.is_ok() && provider.connections() == 2).then_some(())
    })
    .await;
    provider.go_down().await;
    let count = provider.count();
    assert!(post("/token", credentials).await.is_err() && post("/token", credentials).await.is_err());
    provider.come_back().await;
    assert_eq!((post("/token", credentials).await.unwrap().status.as_u16(), provider.count()), (200, count + 1));
}
