//! Two rule sets that take turns ten times a second while requests run: each request is decided by one of them.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::Method;
use serde_json::json;

use crate::support::{
    client::{HttpClient, request},
    lone_connection::Connection,
    forge::claims,
    gateway::GatewayBuilder,
    scoped::{Scoped, metric},
    wait::until,
};

const SWAPS: usize = 40;
const HTTP1_CONNECTIONS: usize = 4;

/// Set A asks for scope a and tells the upstream so; set B the same with b. A mix of the two would show.
fn set(name: &str) -> String {
    format!("[routes.x.require]\nscopes = [\"{name}\"]\n[routes.x.identity]\nheaders = {{ \"x-set-{name}\" = \"client_id\" }}\n")
}

fn config() -> String {
    let base = r#"
[issuers.corp]
issuer = "${ISSUER}"
audience = "https://api.test/orders"
[upstreams.orders]
endpoints = ["${UPSTREAM}"]
[routes.x]
path = "/x"
upstream = "orders"
"#;
    format!("{base}{}", set("a"))
}

/// A token whose client and whose scope are called `name`.
fn token(scoped: &Scoped, name: &str) -> String {
    let mut claims = claims(&scoped.issuer.name());
    claims["scope"] = json!(name);
    claims["client_id"] = json!(name);
    scoped.key.token(&claims)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_is_decided_by_one_of_two_alternating_sets_and_none_is_lost() {
    let scoped = Scoped::start().await;
    let gateway = GatewayBuilder::new(&config()).issuer(&scoped.issuer).upstream(&scoped.upstream).start().await;
    let tokens: Arc<Vec<(&str, String)>> =
        Arc::new(["a", "b", "c"].into_iter().map(|name| (name, token(&scoped, name))).collect());
    let over = Arc::new(AtomicBool::new(false));
    let mut loads = Vec::new();
    for index in 0..=HTTP1_CONNECTIONS {
        let mut connection = match index {
            0 => Connection::http2(gateway.address()).await.unwrap(),
            _ => Connection::http1(gateway.address()).await.unwrap(),
        };
        let (tokens, over) = (Arc::clone(&tokens), Arc::clone(&over));
        loads.push(tokio::spawn(async move {
            let mut answers: HashMap<(&str, u16), usize> = HashMap::new();
            while !over.load(Ordering::Relaxed) {
                for (name, token) in tokens.iter() {
                    let target = format!("/x?who={name}");
                    let answer = connection.get(&target, Some(token)).await.expect("no request fails, no connection breaks");
                    *answers.entry((name, answer.status.as_u16())).or_default() += 1;
                }
            }
            assert!(connection.is_open());
            answers
        }));
    }

    let mut tick = tokio::time::interval(Duration::from_millis(100));
    let admin = HttpClient::http1();
    for turn in 0..SWAPS {
        tick.tick().await;
        let (from, to) = if turn % 2 == 0 { ("a", "b") } else { ("b", "a") };
        gateway.edit(&set(from), &set(to));
        let answer = admin.send(request(Method::POST, &gateway.admin_url("/api/v1/reload"), None)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    over.store(true, Ordering::Relaxed);
    let mut answers: HashMap<(&str, u16), usize> = HashMap::new();
    for load in loads {
        for (answer, count) in load.await.expect("no load failed") {
            *answers.entry(answer).or_default() += count;
        }
    }

    // Both sets were seen at work, and who fits neither was always refused.
    for seen in [("a", 200), ("a", 403), ("b", 200), ("b", 403), ("c", 403)] {
        assert!(answers.get(&seen).is_some_and(|count| *count > 0), "{seen:?} is missing in {answers:?}");
    }
    assert_eq!(answers.len(), 5, "{answers:?}");
    assert!(metric(&gateway, "postern_config_generation").await > SWAPS as f64);
    assert_eq!(metric(&gateway, "postern_config_reloads_total{result=\"rejected\"}").await, 0.0);
    let connections = metric(&gateway, "postern_listener_connections_total{listener=\"public\"}").await;
    assert_eq!(connections, HTTP1_CONNECTIONS as f64 + 1.0, "nobody connected twice");

    // Upstream: only who was let through, told by the set that let it through.
    let reached = scoped.upstream.requests();
    assert_eq!(reached.len(), answers[&("a", 200)] + answers[&("b", 200)]);
    for request in reached {
        let who = request.target.strip_prefix("/x?who=").unwrap().to_owned();
        let told = |name: &str| request.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        let expected = match who.as_str() {
            "a" => (Some(who), None),
            "b" => (None, Some(who)),
            other => panic!("{other} reached the upstream"),
        };
        assert_eq!((told("x-set-a"), told("x-set-b")), expected);
    }

    // The log: within one generation everything was decided by one set.
    let total: usize = answers.values().sum();
    let lines = until("all lines of the access log", async || {
        let lines = gateway.access_log();
        (lines.len() >= total).then_some(lines)
    })
    .await;
    let mut passed_by_generation: HashMap<u64, String> = HashMap::new();
    for line in lines.iter().filter(|line| line["status"] == 200) {
        let generation = line["config_generation"].as_u64().unwrap();
        let who = line["jwt"]["client_id"].as_str().unwrap().to_owned();
        let before = passed_by_generation.entry(generation).or_insert_with(|| who.clone());
        assert_eq!(*before, who, "generation {generation} let both through");
    }
}
