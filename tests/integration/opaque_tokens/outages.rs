//! The introspection endpoint away, overrun and back; and nothing of tokens or secrets in any log.

use std::time::{Duration, Instant};

use http::Method;
use postern::clock::UnixTime;
use serde_json::json;

use super::{CONFIG, SECRET, START, World, active, known, says};
use crate::support::{
    asked::{AskedServer, Reply},
    client::{HttpClient, request},
    process::PosternProcess,
    upstream::RecordedUpstream,
    wait::until,
};

#[tokio::test]
async fn while_the_issuer_is_away_nothing_is_known_and_nothing_stale_is_used() {
    let world = World::open().await;
    world.opens("good").await;
    world.endpoint.go_down().await;
    world.pass(29);
    world.opens("good").await;
    world.refused("good-too", 503, "introspection_unavailable").await;
    world.pass(1);
    world.refused("good", 503, "introspection_unavailable").await;
    assert!(world.asked("unreachable").await >= 1.0);
    world.endpoint.come_back().await;
    world.opens_again("good").await;
    world.opens("good-too").await;
}

#[tokio::test]
async fn one_that_does_not_answer_is_waited_for_by_one_request_at_a_time() {
    let world = World::open().await;
    world.endpoint.says(Reply::Slowly(Duration::from_secs(600), Box::new(Reply::Fails(200))));
    let ask = |token: String| {
        let url = world.gateway.url("/orders/1");
        tokio::spawn(async move {
            let began = Instant::now();
            let answer = HttpClient::http1().get(&url, Some(&token)).await;
            assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (503, "introspection_unavailable"));
            began.elapsed()
        })
    };
    assert!(ask("good-1".to_owned()).await.expect("no panic") >= Duration::from_secs(2));
    // From now on nobody waits but the one that tries it.
    until("one tries it", || async {
        let before = world.endpoint.count();
        let trying = ask("good-2".to_owned());
        tokio::time::sleep(Duration::from_millis(300)).await;
        let others: Vec<_> = (0..20).map(|number| ask(format!("good-other-{number}"))).collect();
        let mut waited = 0;
        for request in others.into_iter().chain([trying]) {
            waited += usize::from(request.await.expect("no panic") >= Duration::from_millis(1900));
        }
        assert!(waited <= 1, "{waited} wait although nobody answers");
        assert!(world.endpoint.count() - before <= 1, "one question at a time");
        (world.endpoint.count() > before).then_some(())
    })
    .await;
    assert!(world.asked("paused").await >= 20.0);
    world.endpoint.answers(known);
    world.opens_again("good-1").await;
    world.opens("good-2").await;
}

#[tokio::test]
async fn one_that_says_when_to_come_back_is_asked_then() {
    let world = World::open().await;
    world.endpoint.says(Reply::FailsUntil(429, "3"));
    let began = Instant::now();
    world.refused("good-1", 503, "introspection_unavailable").await;
    world.endpoint.answers(known);
    world.refused("good-2", 503, "introspection_unavailable").await;
    world.opens_again("good-2").await;
    assert!(began.elapsed() >= Duration::from_secs(3));
    assert_eq!(world.endpoint.count(), 2, "nobody asked in between");
    // What may be due to one token keeps nobody else from asking.
    world.endpoint.says(Reply::Fails(500));
    world.refused("good-3", 503, "introspection_unavailable").await;
    world.endpoint.answers(known);
    world.opens("good-4").await;
}

#[tokio::test]
async fn a_clock_set_back_makes_no_answer_young_again() {
    let briefly = "timeout = \"2s\"\ncache_for = \"2s\"";
    let world = World::furnished(|builder| builder.with("timeout = \"2s\"", briefly)).await;
    world.endpoint.says(says(&active(&json!({ "iat": null }))));
    world.opens("good").await;
    // It is taken back, and the clock is an hour late from now on.
    world.endpoint.says(says(&json!({ "active": false })));
    world.clock.set(UnixTime::from_seconds(START - 3600));
    tokio::time::sleep(Duration::from_millis(2100)).await;
    world.refused("good", 401, "token_inactive").await;
    assert_eq!(world.endpoint.count(), 2);
}

#[tokio::test]
async fn readiness_tells_of_an_endpoint_that_has_been_silent_for_a_while() {
    let world = World::open().await;
    let ready = || async {
        let answer = world.client.get(&world.gateway.admin_url("/readyz"), None).await;
        let issuers = world.client.get(&world.gateway.admin_url("/api/v1/issuers"), None).await.json();
        (answer.status.as_u16(), issuers[0]["state"].as_str().unwrap_or_default().to_owned(), answer.text())
    };
    world.endpoint.go_down().await;
    for number in 0..3 {
        let (status, state, text) = ready().await;
        assert_eq!((status, state.as_str()), (200, "usable"), "after {number} failures: {text}");
        let before = world.asked("unreachable").await;
        until("it is asked", || async {
            world.refused("good", 503, "introspection_unavailable").await;
            (world.asked("unreachable").await > before).then_some(())
        })
        .await;
        world.pass(5);
    }
    let (status, state, text) = ready().await;
    assert_eq!((status, state.as_str()), (503, "unavailable"), "{text}");
    assert!(text.contains("its introspection endpoint gives no answers"), "{text}");
    // Nobody may be asking because of it, so it is tried again.
    world.pass(26);
    assert_eq!(ready().await.0, 200);
    world.endpoint.come_back().await;
    world.opens_again("good").await;
    let (status, state, text) = ready().await;
    assert_eq!((status, state.as_str()), (200, "usable"), "{text}");
}

#[tokio::test]
async fn nobody_waits_longer_than_the_route_allows() {
    let world =
        World::furnished(|builder| builder.with("upstream = \"orders\"", "upstream = \"orders\"\ntimeout = \"500ms\""))
            .await;
    world.opens("good").await;
    world.endpoint.says(Reply::Slowly(Duration::from_secs(600), Box::new(Reply::Fails(200))));
    let began = Instant::now();
    world.refused("good-too", 503, "issuer_too_slow").await;
    assert!(began.elapsed() < Duration::from_millis(1900), "{:?}", began.elapsed());
}

#[tokio::test]
async fn where_rules_are_only_reported_an_outage_puts_nobody_among_those_without_token() {
    let report = "mode = \"report\"\nupstream = \"orders\"\nlimit = { requests = 2, per = \"1h\", by = \"client_id\" }";
    let world = World::furnished(|builder| builder.with("upstream = \"orders\"", report)).await;
    for _ in 0..2 {
        let request = request(Method::GET, &world.gateway.url("/orders/1"), None);
        assert_eq!(world.client.send(request).await.status, 200);
    }
    let anonymous = request(Method::GET, &world.gateway.url("/orders/1"), None);
    assert_eq!(world.client.send(anonymous).await.reason(), "rate_limited", "the control");
    world.endpoint.go_down().await;
    for _ in 0..4 {
        assert_eq!(world.get("/orders/1", "good").await.status, 200);
    }
}

#[tokio::test]
async fn more_questions_than_may_be_asked_at_once_are_not_asked() {
    let world = World::furnished(|builder| builder.with("timeout = \"2s\"", "timeout = \"30s\"")).await;
    let good = active(&json!({}));
    world.endpoint.answers(move |_| Reply::Slowly(Duration::from_secs(10), Box::new(says(&good))));
    let url = world.gateway.url("/orders/1");
    let requests: Vec<_> = (0..560)
        .map(|number| {
            let url = url.clone();
            tokio::spawn(async move {
                let answer = HttpClient::http1().get(&url, Some(&format!("good-{number}"))).await;
                let reason = if answer.status == 200 { String::new() } else { answer.reason() };
                (answer.status.as_u16(), reason)
            })
        })
        .collect();
    let (mut passed, mut turned_away) = (0_usize, 0_usize);
    for request in requests {
        match request.await.expect("no panic") {
            (200, _) => passed += 1,
            (503, reason) if reason == "introspection_unavailable" => turned_away += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(passed + turned_away, 560);
    assert_eq!(world.endpoint.count(), passed, "one question each, for those that were let in");
    // A quarter of the 512 places is left for tokens that were good before.
    assert_eq!(passed, 384);
    assert_eq!(world.asked("too_many").await, f64::from(u32::try_from(turned_away).expect("few")));
    world.endpoint.answers(known);
    world.opens("good-afterwards").await;
}

#[tokio::test]
async fn neither_token_nor_secret_comes_out_anywhere() {
    const TOKEN: &str = "canary-opaque-8d11";
    let endpoint = AskedServer::start(|question| {
        let token = question.field("token").unwrap_or_default();
        if token == TOKEN { says(&active(&json!({ "exp": null, "iat": null }))) } else { Reply::Fails(401) }
    })
    .await;
    let upstream = RecordedUpstream::start().await;
    let config = format!(
        "[process]\nworkers = 2\n[telemetry]\nlog_level = \"trace\"\n[listeners.public]\naddress = \"127.0.0.1:0\"\n\
         [admin]\naddress = \"127.0.0.1:0\"\n{}",
        CONFIG.replace("${ENDPOINT}", &endpoint.url("/introspect")).replace("${UPSTREAM}", &upstream.url())
    );
    let mut process = PosternProcess::start(&config, &[]).await;
    let client = HttpClient::http1();
    let mut places = Vec::new();
    for (token, status) in [(TOKEN, 200), ("canary-refused-3310", 503), (TOKEN, 200)] {
        let answer = client.get(&format!("http://{}/orders/1", process.public), Some(token)).await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text());
        places.push(format!("{:?} {}", answer.headers, answer.text()));
    }
    for path in ["/metrics", "/api/v1/issuers", "/api/v1/config"] {
        places.push(client.get(&format!("http://{}{path}", process.admin), None).await.text());
    }
    drop(client);
    process.terminate().await;
    let (access_log, log) = process.written();
    assert!(log.contains("its introspection endpoint refuses to answer"), "{log:.4000}");
    places.extend([access_log, log]);
    let encoded = endpoint.questions()[0].header("authorization").expect("credentials").replace("Basic ", "");
    for canary in [TOKEN, "canary-refused-3310", SECRET, encoded.as_str(), "canary"] {
        for place in &places {
            assert!(!place.contains(canary), "{canary} is in {place:.2000}");
        }
    }
}
