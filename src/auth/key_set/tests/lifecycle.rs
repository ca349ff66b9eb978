//! Starts, reloads and ends of key sets.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use super::super::{
    remote::RefreshError,
    startup::{AwaitedKeys, MissingKeys, await_first_keys},
    testing::{Reply, ScriptedIssuer, Side, eventually, listed_key},
};
use crate::config::StartupConfig;

#[tokio::test]
async fn the_same_settings_are_the_same_set_and_it_is_started_once() {
    let issuer = ScriptedIssuer::start().await;
    issuer.set("/jwks", Reply::keys(&[listed_key("one")]));
    let side = Side::new();
    let toml = format!("jwks_uri = '{}'", issuer.url("/jwks"));
    let set = side.ready(&toml).await;
    let again = side.ready(&format!("issuer = 'another'\n{toml}")).await;
    assert!(Arc::ptr_eq(&set, &again));
    assert_eq!(issuer.count("/jwks"), 1);
}

#[tokio::test]
async fn a_set_whose_timings_change_takes_its_keys_along() {
    let issuer = ScriptedIssuer::start().await;
    issuer.set("/jwks", Reply::keys(&[listed_key("one")]));
    let side = Side::new();
    let toml = format!("jwks_uri = '{}'", issuer.url("/jwks"));
    let set = side.ready(&toml).await;
    let (gate, _) = watch::channel(false);
    issuer.set("/jwks", Reply::keys(&[listed_key("two")]).gated(&gate));
    let slower = side.start(&format!("{toml}\n[key_set]\nmax_age = '1h'"));
    assert!(!Arc::ptr_eq(&set, &slower));
    assert!(Arc::ptr_eq(&side.keys(&set)[0].1, &side.keys(&slower)[0].1));
    // Another address is another issuer's business.
    let other = side.obtain(&format!("jwks_uri = '{}'", issuer.url("/other")));
    assert!(side.keys(&other).is_empty());
}

#[tokio::test]
async fn dropping_a_set_ends_its_task() {
    let issuer = ScriptedIssuer::start().await;
    issuer.set("/jwks", Reply::text(500, ""));
    let side = Side::new();
    let set = side.start(&format!("jwks_uri = '{}'", issuer.url("/jwks")));
    eventually("it is being retried", || issuer.count("/jwks") >= 3).await;
    let metrics = tokio::runtime::Handle::current().metrics();
    let before = metrics.num_alive_tasks();
    drop(set);
    eventually("the task is gone", || metrics.num_alive_tasks() < before).await;
    tokio::task::yield_now().await;
    let count = issuer.count("/jwks");
    tokio::time::timeout(Duration::from_millis(60), eventually("never", || issuer.count("/jwks") > count + 1))
        .await
        .unwrap_err();
}

#[tokio::test]
async fn a_start_waits_for_keys_and_names_those_that_are_missing() {
    let issuer = ScriptedIssuer::start().await;
    let (gate, _) = watch::channel(false);
    issuer.set("/late", Reply::keys(&[listed_key("one")]).gated(&gate));
    let side = Side::new();
    let awaited = |name: &str, path: &str, startup| AwaitedKeys {
        issuer: name.into(),
        startup,
        keys: side.start(&format!("jwks_uri = '{}'", issuer.url(path))),
    };
    let all = [
        awaited("late", "/late", StartupConfig::Require),
        awaited("down", "/down", StartupConfig::Wait),
        awaited("needed", "/needed", StartupConfig::Require),
        awaited("idle", "/idle", StartupConfig::Degraded),
    ];
    let waiting = await_first_keys(&all, Duration::from_millis(300));
    let open = async {
        eventually("it is asked for", || issuer.count("/late") == 1).await;
        gate.send_replace(true);
    };
    let (missing, ()) = tokio::join!(waiting, open);
    assert_eq!(missing, MissingKeys { required: vec!["needed".into()], tolerated: vec!["down".into(), "idle".into()] });
    // Nobody is waited for who is not asked to be.
    let idle = &all[3..];
    let begun = std::time::Instant::now();
    await_first_keys(idle, Duration::from_secs(60)).await;
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn a_forced_refresh_needs_a_set_that_was_started() {
    let set = Side::new().obtain("jwks_uri = 'http://127.0.0.1:1/jwks'");
    assert_eq!(set.refresh().await, Err(RefreshError::NotStarted));
}

#[tokio::test]
async fn the_status_is_json_that_an_operator_can_read() {
    let issuer = ScriptedIssuer::start().await;
    issuer.set("/jwks", Reply::keys(&[listed_key("one")]).header("cache-control", "max-age=900"));
    let side = Side::new();
    let set = side.ready(&format!("jwks_uri = '{}'", issuer.url("/jwks"))).await;
    let status = serde_json::to_value(set.status()).unwrap();
    assert_eq!(status["state"], "fresh");
    assert_eq!(status["confirmed_at"], "2027-01-15T08:00:00Z");
    assert_eq!(status["lifetime_seconds"], 900);
    assert_eq!(status["keys"][0]["key_id"], "one");
    assert_eq!(status["keys"][0]["algorithms"], serde_json::json!(["ES256"]));
    assert_eq!(status["fetches"][0], serde_json::json!({ "result": "fetched", "count": 1 }));
}
