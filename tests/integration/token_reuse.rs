//! Tokens of an outside provider that are handed out again: to whom, for how long, and what ends it. Each thing that ends it stands
//! beside a client whose token goes on.

mod ends;
mod never;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use postern::clock::{ManualClock, UnixTime};
use serde_json::{Value, json};

use crate::support::{
    client::{Answer, HttpClient, request},
    forge::{SigningKey, changed, claims, now},
    gateway::{Gateway, GatewayBuilder},
    issuer::ScriptedIssuer,
    observe::metric,
    provider::{ScriptedProvider, Shape},
    upstream::RecordedUpstream,
    wait::until,
};

const FORM: &str = "application/x-www-form-urlencoded";

const CONFIG: &str = r#"
[token_endpoints.corp]
path = "/corp/token"
forward = "${PROVIDER}"
[token_endpoints.corp.provider]
revocation = "${REVOCATION}"
[token_endpoints.corp.reuse]
min_remaining = "5m"
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

/// A provider, a gateway before it and before an upstream, and the time.
struct World {
    provider: ScriptedProvider,
    upstream: RecordedUpstream,
    upstream_refuses: Arc<AtomicBool>,
    gateway: Gateway,
    clock: ManualClock,
    client: HttpClient,
    issuer: ScriptedIssuer,
}

impl World {
    async fn open() -> Self {
        Self::furnished(|builder| builder).await
    }

    async fn furnished(furnish: impl FnOnce(GatewayBuilder) -> GatewayBuilder) -> Self {
        let key = SigningKey::es256("k1");
        let issuer = ScriptedIssuer::start(&[&key]).await;
        let provider = ScriptedProvider::start(Shape::Oauth2).await;
        for client in ["billing", "shipping"] {
            provider.client(client, "s");
        }
        let (name, start) = (issuer.name(), now());
        provider.mint(move |issued| {
            let own =
                json!({ "jti": format!("t{}", issued.number), "client_id": issued.client_id, "exp": start + 86_400 });
            key.token(&changed(claims(&name), &own))
        });
        let upstream_refuses = Arc::new(AtomicBool::new(false));
        let refuses = Arc::clone(&upstream_refuses);
        let upstream = RecordedUpstream::answering(move |_| {
            let mut answer = Response::new(Full::from("upstream"));
            if refuses.load(Ordering::SeqCst) {
                *answer.status_mut() = StatusCode::UNAUTHORIZED;
            }
            answer
        })
        .await;
        let clock = ManualClock::starting_at(UnixTime::from_seconds(start));
        let builder = furnish(GatewayBuilder::new(CONFIG)).issuer(&issuer).upstream(&upstream).clock(clock.clock());
        let builder = builder.variable("PROVIDER", &provider.url("/as/token"));
        let gateway = builder.variable("REVOCATION", &provider.url("/as/revoke")).start().await;
        let client = HttpClient::http1();
        Self { provider, upstream, upstream_refuses, gateway, clock, client, issuer }
    }

    async fn post(&self, path: &str, headers: &[(&str, &str)], parameters: &[(&str, &str)]) -> Answer {
        let body: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        let asked = Request::builder().method(Method::POST).uri(self.gateway.url(path)).header("content-type", FORM);
        let asked = headers.iter().fold(asked, |asked, (name, value)| asked.header(*name, *value));
        self.client.send(asked.body(Full::from(Bytes::from(body))).expect("a request")).await
    }

    async fn ask_with(&self, client_id: &str, secret: &str, more: &[(&str, &str)]) -> Answer {
        let mut parameters =
            vec![("grant_type", "client_credentials"), ("client_id", client_id), ("client_secret", secret)];
        parameters.extend(more);
        self.post("/corp/token", &[], &parameters).await
    }

    /// The token that a client gets, and how long it is said to last.
    async fn ask(&self, client_id: &str) -> (String, u64) {
        token_of(&self.ask_with(client_id, "s", &[]).await)
    }

    async fn token(&self, client_id: &str) -> String {
        self.ask(client_id).await.0
    }

    /// What a route answers to a token.
    async fn present(&self, token: &str) -> Answer {
        self.client.get(&self.gateway.url("/orders/1"), Some(token)).await
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    async fn reused(&self) -> f64 {
        metric(&self.gateway, "postern_token_endpoint_reused_total", &[("endpoint", "corp")]).await
    }

    async fn forwarded(&self) -> f64 {
        metric(&self.gateway, "postern_token_endpoint_forwarded_total", &[("endpoint", "corp")]).await
    }

    async fn dropped(&self, reason: &str) -> f64 {
        let labels = [("endpoint", "corp"), ("reason", reason)];
        metric(&self.gateway, "postern_token_endpoint_reuse_dropped_total", &labels).await
    }

    async fn admin(&self, method: Method, path: &str) -> Value {
        let answer = self.client.send(request(method, &self.gateway.admin_url(path), None)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }
}

fn token_of(answer: &Answer) -> (String, u64) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("cache-control"), "no-store", "what Postern keeps, nobody else does");
    let said = answer.json();
    (said["access_token"].as_str().expect("a token").to_owned(), said["expires_in"].as_u64().expect("seconds"))
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_requests_of_fifty_clients_are_fifty_at_the_provider() {
    let world = Arc::new(World::open().await);
    let names: Vec<String> = (0..50).map(|number| format!("client-{number}")).collect();
    for name in &names {
        world.provider.client(name, "s");
    }
    // All callers meet at each of the first clients while the provider does not answer: 50 requests, one question.
    for (asked, name) in (1..).zip(names.iter().take(5)) {
        world.provider.hold();
        let meeting: Vec<_> = (0..50)
            .map(|_| {
                let (world, name) = (Arc::clone(&world), name.clone());
                tokio::spawn(async move { world.token(&name).await })
            })
            .collect();
        until("the provider is asked", || async { (world.provider.count() == asked).then_some(()) }).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(world.provider.count(), asked, "whoever comes joins");
        world.provider.release();
        let mut tokens = std::collections::BTreeSet::new();
        for token in meeting {
            tokens.insert(token.await.expect("a token"));
        }
        assert_eq!(tokens.len(), 1);
    }
    let callers: Vec<_> = (0..50)
        .map(|caller: usize| {
            let (world, names) = (Arc::clone(&world), names.clone());
            tokio::spawn(async move {
                for turn in 0..200 {
                    let name = &names[(caller * 7 + turn) % 50];
                    let (token, lifetime) = world.ask(name).await;
                    assert_eq!(world.provider.owner_of(&token).as_ref(), Some(name));
                    assert!((3500..=3600).contains(&lifetime), "{lifetime}");
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.expect("all of them were answered");
    }
    assert_eq!(world.provider.count(), 50);
    assert_eq!((world.forwarded().await, world.reused().await), (50.0, 10_200.0));
    let shown = world.admin(Method::GET, "/api/v1/reused-tokens").await;
    assert_eq!((&shown[0]["tokens"], &shown[0]["reused"]), (&json!(50), &json!(10_200)));
    let bytes = metric(&world.gateway, "postern_token_endpoint_reuse_bytes", &[("endpoint", "corp")]).await;
    assert!((50_000.0..200_000.0).contains(&bytes), "{bytes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_never_gets_a_token_that_is_kept() {
    let world = World::open().await;
    let kept = world.token("billing").await;
    for wrong in ["", "S", "s ", "ss", "shipping"] {
        let answer = world.ask_with("billing", wrong, &[]).await;
        assert!(answer.status.is_client_error() && !answer.text().contains(&kept), "{wrong}: {}", answer.text());
    }
    let answer = world.ask_with("shipping", "wrong", &[]).await;
    assert_eq!((answer.status.as_u16(), answer.json()["error"].as_str()), (401, Some("invalid_client")));
    let asked = world.provider.count();
    assert_eq!(world.token("billing").await, kept, "whoever guesses takes nothing from the client");
    assert_eq!(world.provider.count(), asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_falls_truthfully_until_there_is_another() {
    let world = World::open().await;
    let (first, lifetime) = world.ask("billing").await;
    assert_eq!(lifetime, 3600);
    let mut passed = 0;
    // By more than this test takes, so that the clock in hand decides.
    for step in [120, 480, 1800] {
        world.pass(step);
        passed += step;
        assert_eq!(world.ask("billing").await, (first.clone(), 3600 - passed));
    }
    assert_eq!(world.provider.count(), 1);
    // 300 s must be left; 299 are.
    world.pass(3301 - passed);
    let (next, lifetime) = world.ask("billing").await;
    assert!(next != first && lifetime == 3600, "{lifetime}");
    assert_eq!(world.provider.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_in_use_is_had_anew_in_the_background() {
    let world = World::open().await;
    let first = world.token("billing").await;
    world.token("shipping").await;
    world.pass(3290);
    world.provider.hold();
    assert_eq!(world.ask("billing").await, (first.clone(), 310), "nobody waits for the next one");
    until("the provider is asked", || async { (world.provider.count() == 3).then_some(()) }).await;
    assert_eq!(world.ask("billing").await.0, first);
    world.provider.release();
    until("the next one is there", || async { (world.token("billing").await != first).then_some(()) }).await;
    assert_eq!(world.provider.count(), 3);
    assert_eq!(world.provider.count_of("shipping"), 1, "nobody asks for it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_away_is_not_missed_while_tokens_last() {
    let world = World::open().await;
    let first = world.token("billing").await;
    world.provider.go_down().await;
    for (pass, left) in [(3290, 310), (5, 305), (5, 300)] {
        world.pass(pass);
        assert_eq!(world.ask("billing").await, (first.clone(), left));
    }
    world.pass(1);
    let answer = world.ask_with("billing", "s", &[]).await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(!answer.header("retry-after").is_empty());
    world.provider.come_back().await;
    assert_ne!(world.token("billing").await, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_credential_does_not_fail_a_good_one_beside_it() {
    let lockout = "[token_endpoints.corp.lockout]\nfailures = 0\n";
    let world = Arc::new(World::furnished(|builder| builder.also(lockout)).await);
    world.provider.hold();
    let asked = |secret: &'static str| {
        let world = Arc::clone(&world);
        tokio::spawn(async move { world.ask_with("billing", secret, &[]).await })
    };
    let (good, bad): (Vec<_>, Vec<_>) = (0..20).map(|_| (asked("s"), asked("wrong"))).unzip();
    until("both are under way", || async { (world.provider.count() == 2).then_some(()) }).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    world.provider.release();
    let mut tokens = std::collections::BTreeSet::new();
    for answer in good {
        tokens.insert(token_of(&answer.await.expect("an answer")).0);
    }
    assert_eq!(tokens.len(), 1);
    for answer in bad {
        assert_eq!(answer.await.expect("an answer").status, 401);
    }
    assert_eq!(world.provider.issued().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_forgets_nothing() {
    let world = World::open().await;
    let first = world.token("billing").await;
    world.gateway.edit("min_remaining = \"5m\"", "min_remaining = \"10m\"");
    assert_eq!(crate::support::observe::reload(&world.gateway).await.status, 200);
    world.pass(1800);
    assert_eq!(world.ask("billing").await, (first.clone(), 1800));
    world.pass(1201);
    assert_ne!(world.token("billing").await, first, "the new setting is in force");
}
