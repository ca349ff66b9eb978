//! Verification is remembered; time, keys and the issuer's configuration are judged on every request all the same.

use std::sync::Arc;

use http::Method;
use postern::clock::{ManualClock, UnixTime};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{
    client::{HttpClient, request},
    forge::{SigningKey, base64url, changed, claims},
    gateway::{Gateway, GatewayBuilder},
    issuer::ScriptedIssuer,
    observe::{metric, reload},
    upstream::RecordedUpstream,
};

const CORP: &str = "https://id.corp.example/";
const NOW: u64 = 1_900_000_000;

const CONFIG: &str = r#"
[issuers.corp]
issuer = "https://id.corp.example/"
jwks_uri = "${KEYS}"
audience = "https://api.test/orders"
leeway = "60s"
[upstreams.orders]
endpoints = ["${UPSTREAM}"]
[routes.orders]
path = "/orders/{*rest}"
upstream = "orders"
[routes.orders.require]
scopes = ["orders:read"]
"#;

struct World {
    key: SigningKey,
    issuer: ScriptedIssuer,
    upstream: RecordedUpstream,
    clock: ManualClock,
    gateway: Gateway,
    client: HttpClient,
}

impl World {
    /// With one worker, so that every hit can be foretold.
    async fn new() -> Self {
        Self::with(GatewayBuilder::new(CONFIG).one_worker()).await
    }

    async fn with(builder: GatewayBuilder) -> Self {
        let key = SigningKey::es256("k1");
        let issuer = ScriptedIssuer::start(&[&key]).await;
        let upstream = RecordedUpstream::start().await;
        let clock = ManualClock::starting_at(UnixTime::from_seconds(NOW));
        let gateway =
            builder.variable("KEYS", &issuer.jwks_uri()).upstream(&upstream).clock(clock.clock()).start().await;
        Self { key, issuer, upstream, clock, gateway, client: HttpClient::http1() }
    }

    fn token(&self, changes: &Value) -> String {
        let times = json!({ "iat": NOW, "exp": NOW + 600 });
        self.key.token(&changed(changed(claims(CORP), &times), changes))
    }

    /// `200` or the reason; and the upstream saw the request exactly if it was 200.
    async fn outcome(&self, token: &str) -> String {
        let before = self.upstream.count();
        let answer = self.client.get(&self.gateway.url("/orders/1"), Some(token)).await;
        let passed = usize::from(answer.status == 200);
        assert_eq!(self.upstream.count(), before + passed);
        if passed == 1 { "200".to_owned() } else { answer.reason() }
    }

    async fn hits(&self) -> f64 {
        metric(&self.gateway, "postern_token_cache_hits_total", &[]).await
    }

    async fn misses(&self) -> f64 {
        metric(&self.gateway, "postern_token_cache_misses_total", &[]).await
    }

    fn at(&self, seconds: u64) {
        self.clock.set(UnixTime::from_seconds(seconds));
    }
}

#[tokio::test]
async fn a_second_look_costs_no_signature() {
    let world = World::new().await;
    let (one, other) = (world.token(&json!({ "jti": "1" })), world.token(&json!({ "jti": "2" })));
    assert_eq!((world.hits().await, world.misses().await), (0.0, 0.0));
    for seen in 0..10 {
        assert_eq!(world.outcome(&one).await, "200");
        assert_eq!((world.hits().await, world.misses().await), (f64::from(seen), 1.0));
    }
    assert_eq!(world.outcome(&other).await, "200");
    assert_eq!((world.hits().await, world.misses().await), (9.0, 2.0));
    // One byte of the signature off is another token, which nothing remembers.
    let (input, signature) = one.rsplit_once('.').expect("three parts");
    let flipped = if signature.starts_with('A') { 'B' } else { 'A' };
    let forged = format!("{input}.{flipped}{}", signature.get(1..).expect("ASCII"));
    assert_eq!(world.outcome(&forged).await, "bad_signature");
    assert_eq!(world.outcome(&forged).await, "bad_signature");
    assert_eq!((world.hits().await, world.misses().await), (9.0, 4.0), "failures are not remembered");
    assert_eq!(world.outcome(&one).await, "200");
}

#[tokio::test]
async fn a_remembered_token_is_judged_by_the_time_of_each_request() {
    let world = World::new().await;
    let token = world.token(&json!({ "nbf": NOW }));
    assert_eq!(world.outcome(&token).await, "200");
    for (at, expected) in [
        (NOW + 599, "200"),
        (NOW + 659, "200"),
        (NOW + 660, "token_expired"),
        (NOW + 10_000, "token_expired"),
        // The clock is set back.
        (NOW + 1, "200"),
        (NOW - 60, "200"),
        (NOW - 61, "token_not_yet_valid"),
        (NOW - 100_000, "token_not_yet_valid"),
        (NOW, "200"),
    ] {
        world.at(at);
        assert_eq!(world.outcome(&token).await, expected, "at {at}");
    }
    // All of it was decided on the remembered token.
    assert_eq!((world.hits().await, world.misses().await), (9.0, 1.0));

    let without_nbf = world.token(&json!({}));
    assert_eq!(world.outcome(&without_nbf).await, "200");
    world.at(NOW - 61);
    assert_eq!(world.outcome(&without_nbf).await, "token_from_future");
    world.at(NOW);
    assert_eq!(world.outcome(&without_nbf).await, "200");
}

#[tokio::test]
async fn a_key_that_is_withdrawn_takes_its_tokens_along() {
    let world = World::new().await;
    let next = SigningKey::es256("k2");
    let old = world.token(&json!({}));
    assert_eq!(world.outcome(&old).await, "200");
    assert_eq!(world.outcome(&old).await, "200");
    world.issuer.publish(&[&world.key, &next]);
    let refresh = request(Method::POST, &world.gateway.admin_url("/api/v1/issuers/corp/refresh"), None);
    assert_eq!(world.client.send(refresh.clone()).await.status, 200);
    assert_eq!(world.outcome(&old).await, "200", "a key that stays keeps its tokens");
    world.issuer.publish(&[&next]);
    assert_eq!(world.client.send(refresh.clone()).await.status, 200);
    assert_eq!(world.outcome(&old).await, "unknown_key");
    let times = json!({ "iat": NOW, "exp": NOW + 600 });
    assert_eq!(world.outcome(&next.token(&changed(claims(CORP), &times))).await, "200");
    // The same key id, another key: the old token is not taken for one of the new key's.
    world.issuer.publish(&[&SigningKey::es256("k1"), &next]);
    assert_eq!(world.client.send(refresh).await.status, 200);
    assert_eq!(world.outcome(&old).await, "bad_signature");
}

#[tokio::test]
async fn what_was_verified_under_another_configuration_does_not_count() {
    let world = World::new().await;
    let token = world.token(&json!({}));
    let rsa = "algorithms = [\"RS256\"]\nleeway = \"60s\"";
    for (from, to, expected) in [
        ("leeway = \"60s\"", rsa, "algorithm_not_accepted"),
        (rsa, "leeway = \"60s\"\nmax_lifetime = \"5m\"", "lifetime_too_long"),
        ("max_lifetime = \"5m\"", "required_claims = [\"department\"]", "claim_missing"),
        ("required_claims = [\"department\"]", "token_type = \"at+jwt\"", "200"),
        ("id.corp.example/", "id.corp.example", "unknown_issuer"),
        ("id.corp.example\"", "id.corp.example/\"", "200"),
        // The audience is the routes' business, and judged anew as every rule is.
        ("https://api.test/orders", "https://api.test/stock", "audience_mismatch"),
        ("https://api.test/stock", "https://api.test/orders", "200"),
    ] {
        // Remembered, if it was good.
        let remembered = world.outcome(&token).await;
        world.gateway.edit(from, to);
        let answer = reload(&world.gateway).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(world.outcome(&token).await, expected, "{from} became {to}; before it was {remembered}");
    }
}

#[tokio::test]
async fn a_flood_of_bogus_tokens_evicts_nothing() {
    const VALID: u32 = 20;
    const BOGUS: usize = 3000;
    let world = Arc::new(World::with(GatewayBuilder::new(CONFIG)).await);
    let valid: Vec<String> = (0..VALID).map(|number| world.token(&json!({ "jti": number.to_string() }))).collect();
    for token in &valid {
        assert_eq!(world.outcome(token).await, "200");
    }
    let (input, _) = valid[0].rsplit_once('.').expect("three parts");
    let mut senders = JoinSet::new();
    for sender in 0..8 {
        let (world, input) = (Arc::clone(&world), input.to_owned());
        senders.spawn(async move {
            for number in (sender..BOGUS).step_by(8) {
                // Well formed up to the signature; and every third not even that.
                let mut signature = [7; 64];
                signature[56..].copy_from_slice(&number.to_be_bytes());
                let bogus = format!("{input}.{}", base64url(signature));
                let bogus = if number % 3 == 0 { format!("x{bogus}") } else { bogus };
                let answer = world.client.get(&world.gateway.url("/orders/1"), Some(&bogus)).await;
                assert_eq!(answer.status, 401);
            }
        });
    }
    senders.join_all().await;
    let (hits, misses) = (world.hits().await, world.misses().await);
    for token in &valid {
        assert_eq!(world.outcome(token).await, "200");
    }
    assert_eq!((world.hits().await, world.misses().await), (hits + f64::from(VALID), misses));
    assert_eq!(world.upstream.count(), 2 * usize::try_from(VALID).expect("small"));
}
