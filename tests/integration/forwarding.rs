//! Token endpoints before an outside provider: what it is asked, and what clients are answered, in any two dialects.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use postern::clock::{ManualClock, UnixTime};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::support::{
    certificates::{Authority, Identity},
    client::{Answer, HttpClient},
    gateway::{Gateway, GatewayBuilder},
    observe::{log_line, metric},
    provider::{Placed, Said, ScriptedProvider, Shape},
};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
/// `billing:s%26cret` in base64.
const BASIC: (&str, &str) = ("authorization", "Basic YmlsbGluZzpzJTI2Y3JldA==");

/// A gateway with an endpoint `corp` at `/token` before `provider`, with `lines` in its table.
async fn gateway(provider: &ScriptedProvider, lines: &str) -> Gateway {
    builder(provider, lines).start().await
}

fn builder(provider: &ScriptedProvider, lines: &str) -> GatewayBuilder {
    let config = format!("[token_endpoints.corp]\npath = \"/token\"\nforward = \"${{PROVIDER}}\"\n{lines}\n");
    GatewayBuilder::new(&config).variable("PROVIDER", &provider.url("/as/token"))
}

async fn provider(shape: Shape) -> ScriptedProvider {
    let provider = ScriptedProvider::start(shape).await;
    provider.client("billing", "s&cret");
    provider.header("set-cookie", "session=1");
    provider.header("x-internal", "backend-7");
    provider
}

async fn post(url: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let builder = headers
        .iter()
        .fold(Request::builder().method(Method::POST).uri(url), |builder, (name, value)| builder.header(*name, *value));
    let answer =
        HttpClient::http1().send(builder.body(Full::from(Bytes::copy_from_slice(body.as_bytes()))).unwrap()).await;
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!((answer.header("set-cookie"), answer.header("x-internal")), ("", ""), "they stay behind");
    answer
}

/// A request in a dialect, with this secret.
fn asked(dialect: &str, secret: &str) -> (String, String) {
    match dialect {
        "oauth2" => (
            FORM.to_owned(),
            format!("grant_type=client_credentials&client_id=billing&client_secret={}&scope=a+b", secret.replace('&', "%26")),
        ),
        "auth0" => (
            JSON.to_owned(),
            json!({
                "grant_type": "client_credentials", "client_id": "billing", "client_secret": secret, "audience": "urn:api",
            })
            .to_string(),
        ),
        "plgd" => (
            JSON.to_owned(),
            json!({ "grant_type": "client_credentials", "client_id": "billing", "client_secret": secret }).to_string(),
        ),
        _ => (JSON.to_owned(), json!({ "clientId": "billing", "secret": secret }).to_string()),
    }
}

/// What the members of an answer are called in a dialect, without their values.
fn members(answer: &Value) -> Vec<&str> {
    answer.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn any_two_dialects_go_together() {
    for shape in Shape::ALL {
        let provider = provider(shape).await;
        let behind = match shape {
            Shape::Oauth2 => "oauth2",
            Shape::Auth0 => "auth0",
            Shape::Plgd => "plgd",
            Shape::FronteggV1 | Shape::FronteggV2 => "frontegg",
        };
        for dialect in ["oauth2", "auth0", "plgd", "frontegg"] {
            let lines = format!("dialect = \"{dialect}\"\n[token_endpoints.corp.provider]\ndialect = \"{behind}\"");
            let gateway = gateway(&provider, &lines).await;
            let (content_type, body) = asked(dialect, "s&cret");
            let good = post(&gateway.url("/token"), &[("content-type", &content_type)], &body).await;
            let said = good.json();
            assert_eq!(good.status, 200, "{dialect} before {behind}: {said}");
            let token = said.get("access_token").or_else(|| said.get("accessToken")).unwrap().as_str().unwrap();
            assert_eq!(provider.owner_of(token).as_deref(), Some("billing"), "{dialect} before {behind}");
            let expected: &[&str] = match (dialect, behind) {
                ("frontegg", "frontegg") => &["accessToken", "refreshToken", "expiresIn", "expires"],
                ("frontegg", _) => &["accessToken", "expiresIn", "expires"],
                ("plgd", _) => &["access_token", "token_type", "scope", "expires_in"],
                ("oauth2", "frontegg") | ("auth0", _) => &["access_token", "token_type", "expires_in"],
                _ => &["access_token", "token_type", "expires_in", "scope"],
            };
            assert_eq!(members(&said), expected, "{dialect} before {behind}");

            let (content_type, body) = asked(dialect, "wrong");
            let refused = post(&gateway.url("/token"), &[("content-type", &content_type)], &body).await;
            let said = refused.json();
            assert_eq!(refused.status, 401, "{dialect} before {behind}: {said}");
            let code = match dialect {
                "oauth2" => said["error"] == "invalid_client",
                "auth0" => said == json!({ "error": "access_denied", "error_description": "Unauthorized" }),
                "plgd" => said["code"] == 16,
                _ => said["errors"].is_array(),
            };
            assert!(code, "{dialect} before {behind}: {said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_client_says_reaches_the_provider_as_it_wants_it() {
    let provider = provider(Shape::Oauth2).await;
    let plain = "grant_type=client_credentials&resource=urn%3Aapi&scope=a+b&tenant=acme&empty=";
    let in_body = format!("{plain}&client_id=billing&client_secret=s%26cret");
    let in_json = json!({
        "grant_type": "client_credentials", "client_id": "billing", "client_secret": "s&cret", "audience": "urn:api", "level": 3,
        "nested": { "a": 1 },
    })
    .to_string();
    for (lines, headers, body, placed, content_type, parameters) in [
        (
            "",
            vec![BASIC, ("content-type", FORM)],
            plain,
            Placed::Basic,
            FORM,
            vec![("resource", "urn:api"), ("scope", "a b"), ("tenant", "acme")],
        ),
        (
            "",
            vec![("content-type", FORM)],
            &in_body,
            Placed::Body,
            FORM,
            vec![("resource", "urn:api"), ("tenant", "acme")],
        ),
        (
            "authentication = \"client_secret_post\"\naudience = \"audience\"",
            vec![BASIC, ("content-type", FORM)],
            plain,
            Placed::Body,
            FORM,
            vec![("audience", "urn:api"), ("scope", "a b")],
        ),
        (
            "authentication = \"client_secret_basic\"\naudience = \"resource\"",
            vec![("content-type", JSON)],
            &in_json,
            Placed::Basic,
            FORM,
            vec![("resource", "urn:api"), ("level", "3")],
        ),
        ("body = \"json\"", vec![("content-type", FORM)], &in_body, Placed::Body, JSON, vec![("scope", "a b")]),
    ] {
        let gateway = gateway(&provider, &format!("[token_endpoints.corp.provider]\n{lines}")).await;
        let answer = post(&gateway.url("/token"), &headers, body).await;
        assert_eq!(answer.status, 200, "{lines}: {}", answer.text());
        let last = provider.last();
        assert_eq!((last.method.as_str(), last.path()), ("POST", "/as/token"));
        assert_eq!((last.placed(), last.secret().as_deref()), (Some(placed), Some("s&cret")), "{lines}");
        assert_eq!(last.headers["content-type"], content_type);
        assert_eq!(last.parameter("grant_type"), Some("client_credentials"));
        for (name, value) in parameters {
            assert_eq!(last.parameter(name), Some(value), "{lines}");
        }
        assert_eq!((last.parameter("nested"), last.parameter("empty")), (None, None));
        // Of the client's own fields nothing goes on but what is said above.
        assert!(!last.headers.contains_key("x-request-id") && !last.headers.contains_key("x-forwarded-for"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_of_possession_and_what_is_said_beside_a_token_are_passed_on() {
    let provider = provider(Shape::Oauth2).await;
    let gateway = gateway(&provider, "").await;
    let body = "grant_type=client_credentials";
    let headers = [BASIC, ("content-type", FORM), ("dpop", "proof.of.possession"), ("cookie", "a=b")];
    let wants = json!({ "error": "use_dpop_nonce", "error_description": "a nonce is needed" });
    provider.once([Said::json(400, &wants).with("dpop-nonce", "n-1").into()]);
    let refused = post(&gateway.url("/token"), &headers, body).await;
    assert_eq!((refused.status.as_u16(), refused.header("dpop-nonce"), refused.json()), (400, "n-1", wants));
    let bound =
        json!({ "access_token": "t", "token_type": "DPoP", "expires_in": 60, "instance_url": "https://eu.example" });
    provider.once([Said::json(200, &bound).into()]);
    let answer = post(&gateway.url("/token"), &headers, body).await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, bound));
    let last = provider.last();
    assert_eq!(last.headers["dpop"], "proof.of.possession");
    assert!(!last.headers.contains_key("cookie"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_provider_refuses_is_said_in_its_own_words() {
    let provider = provider(Shape::Oauth2).await;
    let gateway = gateway(&provider, "").await;
    let body = "grant_type=client_credentials";
    for (status, said, expected) in [
        (400, json!({ "error": "invalid_scope", "error_description": "no such scope: x" }), 400),
        (400, json!({ "error": "invalid_target" }), 400),
        (401, json!({ "error": "invalid_client" }), 401),
        (403, json!({ "error": "access_denied", "error_description": "not for you" }), 403),
        (400, json!({ "error": "consent_required", "error_description": "ask an administrator" }), 400),
    ] {
        provider.once([Said::json(status, &said).into()]);
        let answer = post(&gateway.url("/token"), &[BASIC, ("content-type", FORM)], body).await;
        assert_eq!(answer.status.as_u16(), expected, "{said}");
        assert_eq!(answer.json()["error"], said["error"]);
        if let Some(description) = said.get("error_description") {
            assert_eq!(answer.json()["error_description"], *description);
        }
    }
    provider.once([Said::text(429, "text/plain", "slow down").with("retry-after", "17").into()]);
    let answer = post(&gateway.url("/token"), &[BASIC, ("content-type", FORM)], body).await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (429, "17"));
    for reason in ["provider_refused_scope", "provider_limits_requests"] {
        log_line(&gateway, reason, |line| line["reason"] == reason).await;
    }
}

const MAP: &str = r#"
unmapped_clients = "refuse"
[token_endpoints.corp.clients.reports]
secret = "the-secret-of-reports"
other_secret = "the-next-secret-of-reports"
provider_client_id = "qJx8"
provider_secret = "canary-of-the-provider"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_mapped_client_never_holds_the_providers_secret() {
    let provider = provider(Shape::Oauth2).await;
    provider.client("qJx8", "canary-of-the-provider");
    let gateway = gateway(&provider, MAP).await;
    let ask = |id: &'static str, secret: &'static str| {
        let body = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
        let url = gateway.url("/token");
        async move { post(&url, &[("content-type", FORM)], &body).await }
    };
    for secret in ["the-secret-of-reports", "the-next-secret-of-reports"] {
        let answer = ask("reports", secret).await;
        assert_eq!(answer.status, 200);
        let token = answer.json()["access_token"].as_str().unwrap().to_owned();
        assert_eq!(provider.owner_of(&token).as_deref(), Some("qJx8"));
    }
    log_line(&gateway, "the client under the id that it has here", |line| line["issued_to"] == "reports").await;
    let count = provider.count();
    // Whom nobody knows here, and who proves nothing, does not reach the provider.
    for (id, secret) in [
        ("reports", "canary-of-the-provider"),
        ("reports", "wrong"),
        ("qJx8", "canary-of-the-provider"),
        ("billing", "s%26cret"),
    ] {
        let answer = ask(id, secret).await;
        assert_eq!((answer.status.as_u16(), answer.json()["error"].as_str()), (401, Some("invalid_client")), "{id}");
    }
    assert_eq!(provider.count(), count);
    // That the operator's credentials are refused is no fault of the client's.
    provider.forget("qJx8");
    let answer = ask("reports", "the-secret-of-reports").await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "5"));
    let labels = [("endpoint", "corp"), ("reason", "credentials_refused")];
    assert_eq!(metric(&gateway, "postern_token_endpoint_provider_failures_total", &labels).await, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_providers_stand_behind_paths_and_hosts() {
    let (one, two, three) =
        (provider(Shape::Oauth2).await, provider(Shape::Auth0).await, provider(Shape::Oauth2).await);
    let config = format!(
        "[token_endpoints.one]\npath = \"/one/token\"\nforward = \"{}\"\n\
         [token_endpoints.two]\npath = \"/token\"\nhost = \"two.example\"\ndialect = \"auth0\"\nforward = \"{}\"\n\
         [token_endpoints.three]\npath = \"/token\"\nhost = \"three.example\"\nforward = \"{}\"\n",
        one.url("/t"),
        two.url("/t"),
        three.url("/t"),
    );
    let gateway = GatewayBuilder::new(&config).start().await;
    for (host, path, asked) in
        [("any.example", "/one/token", &one), ("two.example", "/token", &two), ("three.example", "/token", &three)]
    {
        let body = "grant_type=client_credentials&client_id=billing&client_secret=s%26cret";
        let answer = post(&gateway.url(path), &[("host", host), ("content-type", FORM)], body).await;
        assert_eq!((answer.status.as_u16(), asked.count()), (200, 1), "{host}");
    }
    let answer = post_to_nobody(&gateway.url("/token")).await;
    assert_eq!(answer.status, 404);
    assert_eq!((one.count(), two.count(), three.count()), (1, 1, 1));
    for endpoint in ["one", "two", "three"] {
        let labels = [("endpoint", endpoint)];
        assert_eq!(metric(&gateway, "postern_token_endpoint_forwarded_total", &labels).await, 1.0);
    }
}

async fn post_to_nobody(url: &str) -> Answer {
    HttpClient::http1().send(Request::post(url).body(Full::default()).unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_revoked_and_introspected_at_the_provider() {
    let provider = provider(Shape::Oauth2).await;
    let lines = format!(
        "[token_endpoints.corp.provider]\nrevocation = \"{}\"\nintrospection = \"{}\"",
        provider.url("/as/revoke"),
        provider.url("/as/introspect")
    );
    let gateway = gateway(&provider, &lines).await;
    let headers = [BASIC, ("content-type", FORM)];
    let token = post(&gateway.url("/token"), &headers, "grant_type=client_credentials").await.json();
    let token = token["access_token"].as_str().unwrap();
    let about = format!("token={token}&token_type_hint=access_token");
    let active = post(&gateway.url("/introspect"), &headers, &about).await.json();
    assert_eq!((&active["active"], &active["client_id"]), (&json!(true), &json!("billing")));
    assert_eq!(post(&gateway.url("/revoke"), &headers, &about).await.status, 200);
    assert!(provider.is_revoked(token));
    let inactive = post(&gateway.url("/introspect"), &headers, &about).await.json();
    assert_eq!(inactive, json!({ "active": false }));
    let wrong = ("authorization", "Basic YmlsbGluZzp3cm9uZw==");
    for path in ["/introspect", "/revoke"] {
        assert_eq!(post(&gateway.url(path), &[wrong, ("content-type", FORM)], &about).await.status, 401, "{path}");
    }
    // Where the provider has no such endpoints, there are none here.
    let without = self::gateway(&provider, "").await;
    assert_eq!(post_to_nobody(&without.url("/revoke")).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_guesses_is_locked_out_before_the_provider_is_asked() {
    let provider = provider(Shape::Auth0).await;
    let lines = "dialect = \"auth0\"\n[token_endpoints.corp.lockout]\nfailures = 3\nwindow = \"1m\"\nlock_for = \"5m\"";
    let hand = ManualClock::starting_at(UnixTime::from_seconds(1_800_000_000));
    let gateway = builder(&provider, lines).clock(hand.clock()).start().await;
    let ask = async |secret: &str| {
        let (content_type, body) = asked("auth0", secret);
        post(&gateway.url("/token"), &[("content-type", &content_type)], &body).await
    };
    for _ in 0..3 {
        assert_eq!(ask("wrong").await.status, 401);
    }
    let locked = ask("s&cret").await;
    assert_eq!((locked.status.as_u16(), locked.json()["error"].as_str()), (429, Some("too_many_attempts")));
    assert_eq!(provider.count(), 3);
    // A provider that is away locks nobody out.
    hand.advance(std::time::Duration::from_secs(301));
    provider.go_down().await;
    for _ in 0..5 {
        assert_eq!(ask("s&cret").await.status, 503);
    }
    provider.come_back().await;
    assert_eq!(ask("s&cret").await.status, 200);
}

/// Speaks TLS under `identity` and passes on what is said to `provider`.
async fn over_tls(provider: &ScriptedProvider, identity: &Identity) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, behind) = (listener.local_addr().unwrap(), provider.address);
    let acceptor = TlsAcceptor::from(Authority::server(identity, &["http/1.1"], None));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let (Ok(mut stream), Ok(mut behind)) =
                    (acceptor.accept(stream).await, TcpStream::connect(behind).await)
                {
                    let _ = tokio::io::copy_bidirectional(&mut stream, &mut behind).await;
                }
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_provider_whose_certificate_is_believed_is_told_a_secret() {
    let provider = provider(Shape::Oauth2).await;
    let (trusted, other) = (Authority::new("trusted"), Authority::new("other"));
    let good = over_tls(&provider, &trusted.issue(&["127.0.0.1"])).await;
    let of_another_name = over_tls(&provider, &trusted.issue(&["id.corp.example"])).await;
    let of_another_authority = over_tls(&provider, &other.issue(&["127.0.0.1"])).await;
    for (address, status, told) in [(good, 200, 1), (of_another_name, 503, 1), (of_another_authority, 503, 1)] {
        let config = format!(
            "[token_endpoints.corp]\npath = \"/token\"\nforward = \"https://{address}/as/token\"\n\
             [token_endpoints.corp.provider]\nca = \"ca.pem\"\n"
        );
        let builder = GatewayBuilder::new(&config);
        trusted.write(builder.folder(), "ca");
        let gateway = builder.start().await;
        let answer =
            post(&gateway.url("/token"), &[BASIC, ("content-type", FORM)], "grant_type=client_credentials").await;
        assert_eq!((answer.status.as_u16(), provider.count()), (status, told), "{}", answer.text());
    }
}
