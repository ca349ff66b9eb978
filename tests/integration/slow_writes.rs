//! A configuration that is written byte by byte, as a slow copy does: at every moment the last good one is in force, or the new one.

use std::{fs, time::Duration};

use crate::support::{
    client::HttpClient,
    gateway::GatewayBuilder,
    scoped::{Scoped, metric},
    wait::until,
};

const REJECTED: &str = "postern_config_reloads_total{result=\"rejected\"}";

/// Two rule sets of which no beginning is a configuration: the listener, without which there is none, comes last.
fn config(scope: &str) -> String {
    format!(
        r#"
[routes.x.require]
scopes = ["{scope}"]
[routes.x]
path = "/x"
upstream = "orders"
[issuers.corp]
issuer = "${{ISSUER}}"
audience = "https://api.test/orders"
[upstreams.orders]
endpoints = ["${{UPSTREAM}}"]
[telemetry]
access_log = "off"
[admin]
address = "127.0.0.1:0"
[listeners.public]
address = "127.0.0.1:0"
"#
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_beginning_of_a_file_leaves_the_last_good_rules_or_brings_the_new_ones() {
    let scoped = Scoped::start().await;
    let gateway = GatewayBuilder::whole(&config("a")).issuer(&scoped.issuer).upstream(&scoped.upstream).start().await;
    let (url, client) = (gateway.url("/x"), HttpClient::http1());
    scoped.asks_for(&url, "a", "b").await;
    let (a, b, c) = (scoped.token("a"), scoped.token("b"), scoped.token("c"));
    let status = async |token: &str| client.get(&url, Some(token)).await.status.as_u16();
    let mut rejected = 0.0;
    for scope in ["b", "a"] {
        let text = config(scope);
        let reached = scoped.upstream.count();
        let mut passed = 0;
        for bytes in 0..=text.len() {
            fs::write(gateway.file(), &text.as_bytes()[..bytes]).unwrap();
            // Now and then the writer rests, until what is there so far was read.
            if bytes % 128 == 64 {
                rejected = until("a beginning to be refused", async || {
                    let total = metric(&gateway, REJECTED).await;
                    (total > rejected).then_some(total)
                })
                .await;
            }
            if bytes % 8 == 0 {
                let seen = [status(&a).await, status(&b).await, status(&c).await];
                assert!(matches!(seen, [200 | 403, 200 | 403, 403]), "after {bytes} bytes: {seen:?}");
                passed += seen.iter().filter(|status| **status == 200).count();
            }
        }
        scoped.asks_for(&url, scope, if scope == "a" { "b" } else { "a" }).await;
        assert!(scoped.upstream.count() > reached + passed, "who was let through reached the upstream");
        until("what is right is told", async || {
            (metric(&gateway, "postern_config_last_reload_successful").await == 1.0).then_some(())
        })
        .await;
    }
    assert_eq!(metric(&gateway, "postern_config_generation").await, 3.0, "no beginning was applied");

    // A beginning that stays is told of.
    fs::write(gateway.file(), &config("b").as_bytes()[..200]).unwrap();
    until("what is wrong is told", async || {
        (metric(&gateway, "postern_config_last_reload_successful").await == 0.0).then_some(())
    })
    .await;
    tokio::time::timeout(Duration::from_secs(5), scoped.asks_for(&url, "a", "b")).await.expect("the last good rules");
}
