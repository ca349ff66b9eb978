//! How long an answer is believed, by whom, and over what.

use std::time::Duration;

use serde_json::json;

use super::{START, World, active, known, says};
use crate::support::{
    asked::Reply,
    client::HttpClient,
    observe::{metric, reload},
};

#[tokio::test]
async fn two_hundred_requests_with_one_new_token_are_one_question() {
    let world = World::open().await;
    let good = active(&json!({}));
    world.endpoint.answers(move |_| Reply::Slowly(Duration::from_millis(100), Box::new(says(&good))));
    let url = world.gateway.url("/orders/1");
    let requests = (0..200).map(|_| {
        let url = url.clone();
        // Each over a connection of its own, so that all workers see it.
        tokio::spawn(async move { HttpClient::http1().get(&url, Some("good")).await.status.as_u16() })
    });
    for request in requests.collect::<Vec<_>>() {
        assert_eq!(request.await.expect("no panic"), 200);
    }
    assert_eq!((world.endpoint.count(), world.upstream.count()), (1, 200));
    world.endpoint.answers(known);
    let bogus: Vec<_> = (0..100)
        .map(|_| {
            let url = url.clone();
            tokio::spawn(async move { HttpClient::http1().get(&url, Some("bogus")).await.status.as_u16() })
        })
        .collect();
    for request in bogus {
        assert_eq!(request.await.expect("no panic"), 401);
    }
    assert_eq!((world.endpoint.count(), world.upstream.count()), (2, 200));
}

#[tokio::test]
async fn an_answer_is_believed_for_as_long_as_it_is_said_and_no_longer_than_the_token_lasts() {
    let world = World::open().await;
    for _ in 0..5 {
        world.opens("good").await;
    }
    world.pass(29);
    world.opens("good").await;
    assert_eq!(world.endpoint.count(), 1, "30 s is the default");
    world.pass(1);
    world.opens("good").await;
    assert_eq!(world.endpoint.count(), 2);

    // It is taken back: that is known once the answer is no longer believed.
    world.endpoint.says(says(&json!({ "active": false })));
    world.pass(29);
    world.opens("good").await;
    world.pass(1);
    world.refused("good", 401, "token_inactive").await;
    assert_eq!(world.endpoint.count(), 3);

    // One that ends sooner is asked about when it has ended, however long answers are believed.
    let ending = active(&json!({ "exp": START + 70 }));
    world.endpoint.answers(move |_| says(&ending));
    world.opens("good-but-short").await;
    world.pass(9);
    world.opens("good-but-short").await;
    assert_eq!(world.endpoint.count(), 4);
    world.endpoint.says(says(&json!({ "active": false })));
    world.pass(1);
    world.refused("good-but-short", 401, "token_inactive").await;
    assert_eq!(world.endpoint.count(), 5);
}

#[tokio::test]
async fn what_is_not_active_is_believed_briefly() {
    let world = World::open().await;
    for _ in 0..10 {
        world.refused("early", 401, "token_inactive").await;
    }
    world.pass(4);
    world.refused("early", 401, "token_inactive").await;
    assert_eq!(world.endpoint.count(), 1);
    let good = active(&json!({}));
    world.endpoint.answers(move |_| says(&good));
    world.pass(1);
    world.opens("early").await;
    assert_eq!(world.endpoint.count(), 2);
}

#[tokio::test]
async fn without_time_to_believe_it_every_request_asks() {
    let never = "timeout = \"2s\"\ncache_for = \"0s\"\ncache_inactive_for = \"0s\"";
    let world = World::furnished(|builder| builder.with("timeout = \"2s\"", never)).await;
    for _ in 0..3 {
        world.opens("good").await;
        world.refused("bogus", 401, "token_inactive").await;
    }
    assert_eq!(world.endpoint.count(), 6);
}

#[tokio::test]
async fn a_reload_keeps_what_was_said_and_a_new_secret_does_not() {
    let world = World::open().await;
    world.opens("good").await;
    world.refused("bogus", 401, "token_inactive").await;
    world.gateway.edit("scopes = [\"orders:read\"]", "scopes = []");
    assert_eq!(reload(&world.gateway).await.status, 200);
    world.opens("good").await;
    world.refused("bogus", 401, "token_inactive").await;
    assert_eq!(world.endpoint.count(), 2);

    // Another leeway is another way to judge the claims, but what the issuer said is the same.
    world.gateway.edit("leeway = \"0s\"", "leeway = \"1s\"");
    assert_eq!(reload(&world.gateway).await.status, 200);
    world.opens("good").await;
    assert_eq!(world.endpoint.count(), 2);

    world.gateway.edit("everything:77", "everything:78");
    let changes = reload(&world.gateway).await;
    assert!(changes.text().contains("issuer corp: introspection.client_secret has a new value"), "{}", changes.text());
    assert!(!changes.text().contains("canary"));
    world.opens("good").await;
    assert_eq!(world.endpoint.count(), 3, "asked with the new secret");
    let asked = world.endpoint.questions();
    assert_ne!(asked[0].header("authorization"), asked[2].header("authorization"));
}

#[tokio::test]
async fn a_remembered_token_is_a_hit_of_the_cache_and_the_rules_are_judged_all_the_same() {
    let world = World::furnished(|builder| {
        let strict = "[routes.strict]\npath = \"/strict\"\nupstream = \"orders\"\n[routes.strict.require]\n\
                      issuers = [\"corp\"]\nscopes = [\"admin\"]\n";
        builder.one_worker().also(strict)
    })
    .await;
    world.opens("good").await;
    world.opens("good").await;
    assert_eq!(metric(&world.gateway, "postern_token_cache_hits_total", &[]).await, 1.0);
    assert_eq!(world.get("/strict", "good").await.reason(), "scope_missing");
    world.opens("good").await;
    assert_eq!(world.endpoint.count(), 1);
}
