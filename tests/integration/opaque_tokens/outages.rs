//! The introspection endpoint away, overrun and back; and nothing of tokens or secrets in any log.

use std::time::Duration;

use serde_json::json;

use super::{CONFIG, SECRET, World, active, known, says};
use crate::support::{
    asked::{AskedServer, Reply},
    client::HttpClient,
    process::PosternProcess,
    upstream::RecordedUpstream,
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
    world.opens("good").await;
    world.opens("good-too").await;
}

#[tokio::test]
async fn more_questions_than_may_be_asked_at_once_are_not_asked() {
    let world = World::furnished(|builder| builder.with("timeout = \"2s\"", "timeout = \"30s\"")).await;
    let good = active(&json!({}));
    world.endpoint.answers(move |_| Reply::Slowly(Duration::from_secs(5), Box::new(says(&good))));
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
    let (mut passed, mut turned_away) = (0, 0);
    for request in requests {
        match request.await.expect("no panic") {
            (200, _) => passed += 1,
            (503, reason) if reason == "introspection_unavailable" => turned_away += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(passed + turned_away, 560);
    assert_eq!(world.endpoint.count(), passed, "one question each, for those that were let in");
    assert!(turned_away > 0);
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
