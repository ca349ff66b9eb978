//! Keys that come, go and are unknown, as requests see it.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use http::{Method, StatusCode};
use serde_json::json;

use crate::support::{
    client::{Answer, HttpClient, request},
    forge::{SigningKey, claims},
    gateway::{Gateway, GatewayBuilder},
    issuer::{Conduct, ScriptedIssuer},
    openmetrics::scrape,
    upstream::RecordedUpstream,
    wait::until,
};

const CONFIG: &str = r#"
[issuers.corp]
issuer = "${ISSUER}"
jwks_uri = "${ISSUER}/jwks"
audience = "https://api.test/orders"
[issuers.corp.key_set]
unknown_key_cooldown = "${COOLDOWN}"
[upstreams.orders]
endpoints = ["${UPSTREAM}"]
[routes.orders]
path = "/orders/{*rest}"
upstream = "orders"
[routes.orders.require]
scopes = ["orders:read"]
"#;

/// No cooldown ends before the test does.
const NEVER: &str = "1h";

struct House {
    issuer: ScriptedIssuer,
    upstream: RecordedUpstream,
    gateway: Gateway,
    client: HttpClient,
}

impl House {
    async fn with_keys(keys: &[&SigningKey], cooldown: &str) -> Self {
        let issuer = ScriptedIssuer::start(keys).await;
        let upstream = RecordedUpstream::start().await;
        let builder = GatewayBuilder::new(CONFIG).issuer(&issuer).upstream(&upstream);
        let gateway = builder.variable("COOLDOWN", cooldown).start().await;
        assert_eq!(issuer.key_fetches(), 1, "a start fetches once");
        Self { issuer, upstream, gateway, client: HttpClient::http1() }
    }

    fn token(&self, key: &SigningKey) -> String {
        key.token(&claims(&self.issuer.name()))
    }

    async fn ask(&self, token: &str) -> Answer {
        self.client.get(&self.gateway.url("/orders/1"), Some(token)).await
    }

    /// Asks on connections of its own, so that every worker is asked.
    async fn ask_everywhere(&self, token: &str) -> Vec<Answer> {
        let url = self.gateway.url("/orders/1");
        join_all((0..12).map(|_| async { HttpClient::http1().get(&url, Some(token)).await })).await
    }

    async fn refresh(&self) -> Answer {
        let url = self.gateway.admin_url("/api/v1/issuers/corp/refresh");
        self.client.send(request(Method::POST, &url, None)).await
    }
}

fn assert_refused(answer: &Answer, status: u16, reason: &str) {
    assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (status, reason));
}

fn assert_all_good(answers: &[Answer]) {
    assert!(answers.iter().all(|answer| answer.status == StatusCode::OK), "{answers:?}");
}

/// A token that names the key `key_id`, whoever signed it.
fn naming(key_id: &str, key: &SigningKey, issuer: &str) -> String {
    let header = json!({ "alg": key.algorithm(), "kid": key_id, "typ": "at+jwt" });
    key.token_of(key.algorithm(), &header.to_string(), &claims(issuer).to_string())
}

#[tokio::test]
async fn rotation_with_overlap_under_load_gives_no_wrong_401() {
    let first = Arc::new(SigningKey::es256("k0"));
    let house = House::with_keys(&[&first], "5s").await;
    let (url, name) = (house.gateway.url("/orders/1"), house.issuer.name());
    let signing = Arc::new(Mutex::new(Arc::clone(&first)));
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let load = (0..6).map(|_| {
        let (url, name, signing) = (url.clone(), name.clone(), Arc::clone(&signing));
        let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
        tokio::spawn(async move {
            let client = HttpClient::http1();
            while !stop.load(Ordering::SeqCst) {
                let key = Arc::clone(&signing.lock().expect("not poisoned"));
                let answer = client.get(&url, Some(&key.token(&claims(&name)))).await;
                assert_eq!(answer.status, StatusCode::OK, "{} with the key {}", answer.text(), key.key_id);
                answered.fetch_add(1, Ordering::SeqCst);
            }
        })
    });
    let load: Vec<_> = load.collect();
    let mut old = Arc::clone(&first);
    for generation in 1..6 {
        let new = Arc::new(SigningKey::es256(&format!("k{generation}")));
        house.issuer.publish(&[&old, &new]);
        *signing.lock().expect("not poisoned") = Arc::clone(&new);
        old = new;
        let before = answered.load(Ordering::SeqCst);
        until("requests under the new key", || async {
            // A load that failed answers nothing any more; its own words come out below.
            let enough = answered.load(Ordering::SeqCst) > before + 40 || load.iter().any(|task| task.is_finished());
            enough.then_some(())
        })
        .await;
        // Not to wait for anything: this is how often this issuer rotates, which is more often than any should.
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
    stop.store(true, Ordering::SeqCst);
    for task in load {
        task.await.expect("every request is answered 200");
    }
    assert_eq!(house.upstream.count(), answered.load(Ordering::SeqCst));
    assert_refused(&house.ask(&house.token(&first)).await, 401, "unknown_key");
}

#[tokio::test]
async fn rotation_without_overlap_costs_one_fetch_and_refuses_nobody() {
    let (old, new) = (SigningKey::es256("old"), SigningKey::rsa("new"));
    let house = House::with_keys(&[&old], NEVER).await;
    assert_all_good(&house.ask_everywhere(&house.token(&old)).await);
    house.issuer.publish(&[&new]);
    assert_all_good(&house.ask_everywhere(&house.token(&new)).await);
    assert_eq!(house.issuer.key_fetches(), 2);
    let before = house.upstream.count();
    for answer in house.ask_everywhere(&house.token(&old)).await {
        assert_refused(&answer, 401, "unknown_key");
        assert!(answer.header("www-authenticate").contains("error=\"invalid_token\""));
    }
    assert_eq!((house.upstream.count(), house.issuer.key_fetches()), (before, 2));
}

#[tokio::test]
async fn a_key_that_is_no_longer_listed_is_refused_at_once_after_a_refresh() {
    let (stays, goes) = (SigningKey::es256("stays"), SigningKey::es256("goes"));
    let house = House::with_keys(&[&stays, &goes], NEVER).await;
    let (good, bad) = (house.token(&stays), house.token(&goes));
    assert_all_good(&house.ask_everywhere(&good).await);
    assert_all_good(&house.ask_everywhere(&bad).await);
    house.issuer.publish(&[&stays]);
    // The control: as long as nobody has asked the issuer, the key counts.
    assert_all_good(&house.ask_everywhere(&bad).await);
    let refreshed = house.refresh().await;
    assert_eq!((refreshed.status, house.issuer.key_fetches()), (StatusCode::OK, 2));
    assert_eq!(refreshed.json()["key_set"]["removed"][0]["key_id"], "goes");
    let before = house.upstream.count();
    for answer in house.ask_everywhere(&bad).await {
        assert_refused(&answer, 401, "unknown_key");
    }
    assert_eq!(house.upstream.count(), before);
    assert_all_good(&house.ask_everywhere(&good).await);
    let issuers = house.client.get(&house.gateway.admin_url("/api/v1/issuers"), None).await.json();
    let warnings = issuers[0]["key_set"]["warnings"].to_string();
    assert!(warnings.contains("a removed key is still being presented") && warnings.contains("goes"), "{warnings}");
}

#[tokio::test]
async fn the_same_id_with_another_key_is_another_key() {
    let (first, second) = (SigningKey::es256("k"), SigningKey::es256("k"));
    let house = House::with_keys(&[&first], NEVER).await;
    let (old, new) = (house.token(&first), house.token(&second));
    assert_all_good(&house.ask_everywhere(&old).await);
    assert_refused(&house.ask(&new).await, 401, "bad_signature");
    house.issuer.publish(&[&second]);
    assert_eq!(house.refresh().await.status, StatusCode::OK);
    let before = house.upstream.count();
    for answer in house.ask_everywhere(&old).await {
        assert_refused(&answer, 401, "bad_signature");
    }
    assert_eq!(house.upstream.count(), before);
    assert_all_good(&house.ask_everywhere(&new).await);
}

#[tokio::test]
async fn a_thousand_unknown_key_ids_cause_one_fetch_and_known_keys_never_notice() {
    let key = SigningKey::es256("known");
    let house = House::with_keys(&[&key], NEVER).await;
    house.issuer.conduct(Conduct::Slow(Duration::from_millis(100)));
    let (url, name) = (house.gateway.url("/orders/1"), house.issuer.name());
    let strangers = (0..25).map(|connection| {
        let (key, url, name) = (&key, &url, &name);
        async move {
            let client = HttpClient::http1();
            for number in 0..40 {
                let token = naming(&format!("stranger-{connection}-{number}"), key, name);
                assert_refused(&client.get(url, Some(&token)).await, 401, "unknown_key");
            }
        }
    });
    let friends = (0..4).map(|_| {
        let (url, token) = (&url, house.token(&key));
        async move {
            let client = HttpClient::http1();
            for _ in 0..50 {
                assert_eq!(client.get(url, Some(&token)).await.status, StatusCode::OK);
            }
        }
    });
    tokio::join!(join_all(strangers), join_all(friends));
    assert_eq!((house.issuer.key_fetches(), house.upstream.count()), (2, 200));
    let metrics = scrape(&house.client, &house.gateway).await;
    assert_eq!(metrics.value("postern_unknown_key_total", &[("issuer", "corp")]), Some(1000.0));
}

#[tokio::test]
async fn known_keys_do_not_wait_for_a_fetch_that_hangs() {
    let key = SigningKey::es256("known");
    let house = House::with_keys(&[&key], NEVER).await;
    assert_eq!(house.ask(&house.token(&key)).await.status, StatusCode::OK);
    house.issuer.conduct(Conduct::Slow(Duration::from_secs(60)));
    let stranger = naming("stranger", &key, &house.issuer.name());
    let url = house.gateway.url("/orders/1");
    let waiting = tokio::spawn(async move { HttpClient::http1().get(&url, Some(&stranger)).await });
    until("a fetch under way", || async { (house.issuer.key_fetches() == 2).then_some(()) }).await;
    // Neither those whose token is remembered nor those whose token is new.
    assert_all_good(&house.ask_everywhere(&house.token(&key)).await);
    let mut fresh = claims(&house.issuer.name());
    fresh["jti"] = json!("another");
    assert_all_good(&house.ask_everywhere(&key.token(&fresh)).await);
    let answer = waiting.await.expect("answered");
    assert_refused(&answer, 503, "keys_unavailable");
    assert_eq!(house.issuer.key_fetches(), 2);
}

#[tokio::test]
async fn an_absent_key_is_refused_after_one_fetch_and_within_the_cooldown_without_one() {
    let (known, new) = (SigningKey::es256("known"), SigningKey::es256("new"));
    let house = House::with_keys(&[&known], NEVER).await;
    let stranger = naming("stranger", &known, &house.issuer.name());
    assert_refused(&house.ask(&stranger).await, 401, "unknown_key");
    assert_eq!(house.issuer.key_fetches(), 2);
    house.issuer.publish(&[&known, &new]);
    assert_refused(&house.ask(&house.token(&new)).await, 401, "unknown_key");
    assert_eq!((house.issuer.key_fetches(), house.upstream.count()), (2, 0));
    // An operator keeps to no cooldown.
    assert_eq!(house.refresh().await.status, StatusCode::OK);
    assert_eq!(house.ask(&house.token(&new)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn after_the_cooldown_the_issuer_is_asked_again() {
    let (known, new) = (SigningKey::es256("known"), SigningKey::es256("new"));
    let house = House::with_keys(&[&known], "200ms").await;
    let stranger = naming("stranger", &known, &house.issuer.name());
    assert_refused(&house.ask(&stranger).await, 401, "unknown_key");
    house.issuer.publish(&[&known, &new]);
    until("the new key is fetched", || async {
        (house.ask(&house.token(&new)).await.status == StatusCode::OK).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_key_that_cannot_be_looked_for_is_the_issuers_fault_and_not_the_callers() {
    let key = SigningKey::es256("known");
    let house = House::with_keys(&[&key], NEVER).await;
    house.issuer.conduct(Conduct::Fails(StatusCode::INTERNAL_SERVER_ERROR));
    let stranger = naming("stranger", &key, &house.issuer.name());
    let answer = house.ask(&stranger).await;
    assert_refused(&answer, 503, "keys_unavailable");
    assert!(answer.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0));
    assert!(answer.headers.get("www-authenticate").is_none(), "a 503 challenges nobody");
    // Failures begin the cooldown too, and while it lasts a stranger is a stranger.
    assert_refused(&house.ask(&stranger).await, 401, "unknown_key");
    assert_eq!(house.upstream.count(), 0);
    assert_eq!(house.ask(&house.token(&key)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn without_a_key_id_only_a_key_that_stands_alone_can_be_meant() {
    let (elliptic, rsa) = (SigningKey::es256("e"), SigningKey::rsa("r"));
    let house = House::with_keys(&[&elliptic, &rsa], NEVER).await;
    let nameless = |key: &SigningKey, jti: &str| {
        let header = json!({ "alg": key.algorithm(), "typ": "at+jwt" });
        let mut claims = claims(&house.issuer.name());
        claims["jti"] = json!(jti);
        key.token_of(key.algorithm(), &header.to_string(), &claims.to_string())
    };
    assert_eq!(house.ask(&nameless(&elliptic, "1")).await.status, StatusCode::OK);
    assert_eq!(house.ask(&nameless(&rsa, "2")).await.status, StatusCode::OK);
    assert_refused(&house.ask(&nameless(&SigningKey::es256("x"), "3")).await, 401, "bad_signature");
    let twin = SigningKey::es256("f");
    house.issuer.publish(&[&elliptic, &twin, &rsa]);
    assert_eq!(house.refresh().await.status, StatusCode::OK);
    for key in [&elliptic, &twin] {
        assert_refused(&house.ask(&nameless(key, "4")).await, 401, "key_id_missing");
    }
    assert_eq!(house.ask(&nameless(&rsa, "5")).await.status, StatusCode::OK);
    assert_eq!((house.upstream.count(), house.issuer.key_fetches()), (3, 2));
}

const TWO_ISSUERS: &str = r#"
[issuers.one]
issuer = "${ONE}"
audience = "https://api.test/orders"
[issuers.two]
issuer = "${TWO}"
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
async fn a_key_counts_for_its_own_issuer_only_whatever_its_id() {
    let (of_one, of_two, only_two) = (SigningKey::es256("k"), SigningKey::es256("k"), SigningKey::es256("only-two"));
    let (one, two) = (ScriptedIssuer::start(&[&of_one]).await, ScriptedIssuer::start(&[&of_two, &only_two]).await);
    let upstream = RecordedUpstream::start().await;
    let builder = GatewayBuilder::new(TWO_ISSUERS).variable("ONE", &one.name()).variable("TWO", &two.name());
    let gateway = builder.upstream(&upstream).start().await;
    let client = HttpClient::http1();
    let ask = |token: String| {
        let (client, url) = (&client, gateway.url("/orders/1"));
        async move { client.get(&url, Some(&token)).await }
    };
    assert_refused(&ask(of_two.token(&claims(&one.name()))).await, 401, "bad_signature");
    assert_refused(&ask(of_one.token(&claims(&two.name()))).await, 401, "bad_signature");
    assert_refused(&ask(only_two.token(&claims(&one.name()))).await, 401, "unknown_key");
    assert_eq!(upstream.count(), 0);
    assert_eq!((one.key_fetches(), two.key_fetches()), (2, 1), "only the issuer in `iss` is asked");
    for (key, issuer) in [(&of_one, &one), (&of_two, &two), (&only_two, &two)] {
        assert_eq!(ask(key.token(&claims(&issuer.name()))).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_reload_asks_no_issuer_that_stays_and_stops_asking_one_that_goes() {
    let key = SigningKey::es256("k");
    let (one, two) = (ScriptedIssuer::start(&[&key]).await, ScriptedIssuer::start(&[&key]).await);
    let upstream = RecordedUpstream::start().await;
    // The second is asked anew all the time, as nobody should configure it.
    let config = format!("{TWO_ISSUERS}\n[issuers.two.key_set]\nmax_age = \"1s\"\n");
    let builder = GatewayBuilder::new(&config).variable("ONE", &one.name()).variable("TWO", &two.name());
    let gateway = builder.upstream(&upstream).start().await;
    let client = HttpClient::http1();
    for issuer in [&one, &two] {
        let url = gateway.url("/orders/1");
        let token = key.token(&claims(&issuer.name()));
        let everywhere = join_all((0..12).map(|_| async { HttpClient::http1().get(&url, Some(&token)).await }));
        assert_all_good(&everywhere.await);
    }
    until("the second issuer is asked again", || async { (two.key_fetches() > 2).then_some(()) }).await;
    gateway.edit("[issuers.two]\nissuer = \"${TWO}\"\naudience = \"https://api.test/orders\"\n", "");
    gateway.edit("[issuers.two.key_set]\nmax_age = \"1s\"\n", "");
    let reloaded = client.send(request(Method::POST, &gateway.admin_url("/api/v1/reload"), None)).await;
    assert_eq!(reloaded.status, StatusCode::OK);
    // No worker is sent a request, and yet nobody goes on asking.
    until("the issuer that went is left alone", || async {
        let before = two.key_fetches();
        tokio::time::sleep(Duration::from_secs(3)).await;
        (two.key_fetches() == before).then_some(())
    })
    .await;
    assert_eq!(one.key_fetches(), 1);
    let gone = client.get(&gateway.url("/orders/1"), Some(&key.token(&claims(&two.name())))).await;
    assert_refused(&gone, 401, "unknown_issuer");
    let stays = client.get(&gateway.url("/orders/1"), Some(&key.token(&claims(&one.name())))).await;
    assert_eq!(stays.status, StatusCode::OK);
}
