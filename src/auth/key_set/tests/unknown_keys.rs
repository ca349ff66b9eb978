//! Requests with an unknown key: one fetch for all of them, and a pause after it.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use tokio::sync::watch;

use super::super::{
    pace::Pace,
    testing::{Reply, ScriptedIssuer, Side, eventually, listed_key, quick_pace},
};
use crate::auth::{KeySource as _, UnknownKeyFetch};

async fn issuer_with_key(key_id: &str) -> ScriptedIssuer {
    let issuer = ScriptedIssuer::start().await;
    issuer.set("/jwks", Reply::keys(&[listed_key(key_id)]));
    issuer
}

#[tokio::test]
async fn a_thousand_unknown_keys_cause_one_fetch_and_known_keys_never_wait() {
    let issuer = issuer_with_key("one").await;
    let side = Side::new();
    let set = side.ready(&format!("jwks_uri = '{}'", issuer.url("/jwks"))).await;
    assert_eq!(issuer.count("/jwks"), 1);
    let (gate, _) = watch::channel(false);
    issuer.set("/jwks", Reply::keys(&[listed_key("two")]).gated(&gate));
    let requests: Vec<_> = (0..1000)
        .map(|_| {
            let set = Arc::clone(&set);
            tokio::spawn(async move { set.fetch_for_unknown_key().await })
        })
        .collect();
    eventually("all of them wait", || set.measures().unknown_keys == 1000 && issuer.count("/jwks") == 2).await;
    // While they do, known keys are there without waiting.
    assert_eq!(side.ids(&set), ["one"]);
    gate.send_replace(true);
    for outcome in join_all(requests).await {
        assert_eq!(outcome.unwrap(), UnknownKeyFetch::Current);
    }
    assert_eq!(side.ids(&set), ["two"]);
    // Those that come later are held back by the cooldown and cause no fetch at all.
    for _ in 0..1000 {
        assert_eq!(set.fetch_for_unknown_key().await, UnknownKeyFetch::CoolingDown);
    }
    assert_eq!((issuer.count("/jwks"), set.measures().unknown_keys), (2, 2000));
}

#[tokio::test]
async fn a_failed_fetch_is_said_and_begins_the_cooldown_too() {
    let issuer = issuer_with_key("one").await;
    let side = Side::new();
    let set = side.ready(&format!("jwks_uri = '{}'", issuer.url("/jwks"))).await;
    issuer.set("/jwks", Reply::text(500, ""));
    assert_eq!(set.fetch_for_unknown_key().await, UnknownKeyFetch::Failed);
    assert_eq!(set.fetch_for_unknown_key().await, UnknownKeyFetch::CoolingDown);
    assert_eq!(issuer.count("/jwks"), 2);
    assert_eq!(side.ids(&set), ["one"]);
}

#[tokio::test]
async fn an_empty_answer_begins_the_cooldown_too_and_after_it_a_fetch_is_made_again() {
    let issuer = issuer_with_key("one").await;
    let side = Side::new();
    let toml = format!("jwks_uri = '{}'\n[key_set]\nunknown_key_cooldown = '300ms'", issuer.url("/jwks"));
    let set = side.ready(&toml).await;
    issuer.set("/jwks", Reply::keys(&[]));
    assert_eq!(set.fetch_for_unknown_key().await, UnknownKeyFetch::Failed);
    assert_eq!(set.fetch_for_unknown_key().await, UnknownKeyFetch::CoolingDown);
    issuer.set("/jwks", Reply::keys(&[listed_key("two")]));
    let mut outcome = UnknownKeyFetch::CoolingDown;
    while outcome == UnknownKeyFetch::CoolingDown {
        outcome = set.fetch_for_unknown_key().await;
        tokio::task::yield_now().await;
    }
    assert_eq!((outcome, issuer.count("/jwks")), (UnknownKeyFetch::Current, 3));
    assert_eq!(side.ids(&set), ["two"]);
}

#[tokio::test]
async fn a_request_joins_the_fetch_that_is_under_way_and_leaves_the_cooldown_alone() {
    let issuer = issuer_with_key("one").await;
    let side = Side::new();
    let set = side.ready(&format!("jwks_uri = '{}'", issuer.url("/jwks"))).await;
    let (gate, _) = watch::channel(false);
    issuer.set("/jwks", Reply::keys(&[listed_key("two")]).gated(&gate));
    side.clock.advance(Duration::from_secs(600));
    eventually("the scheduled refresh", || issuer.count("/jwks") == 2).await;
    let waiting = tokio::spawn({
        let set = Arc::clone(&set);
        async move { set.fetch_for_unknown_key().await }
    });
    eventually("it waits", || set.measures().unknown_keys == 1).await;
    gate.send_replace(true);
    assert_eq!(waiting.await.unwrap(), UnknownKeyFetch::Current);
    assert_eq!(issuer.count("/jwks"), 2);
    // The fetch was not made for it, so a key that is rotated in now is found at once.
    issuer.set("/jwks", Reply::keys(&[listed_key("three")]));
    assert_eq!(set.fetch_for_unknown_key().await, UnknownKeyFetch::Current);
    assert_eq!(side.ids(&set), ["three"]);
}

#[tokio::test]
async fn no_more_than_the_bound_wait_and_none_of_them_for_long() {
    let issuer = issuer_with_key("one").await;
    let pace = Pace { waiting_requests: 3, unknown_key_wait: Duration::from_millis(200), ..quick_pace() };
    let side = Side::paced(pace);
    let set = side.ready(&format!("jwks_uri = '{}'", issuer.url("/jwks"))).await;
    let (gate, _) = watch::channel(false);
    issuer.set("/jwks", Reply::keys(&[listed_key("two")]).gated(&gate));
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let set = Arc::clone(&set);
            tokio::spawn(async move { set.fetch_for_unknown_key().await })
        })
        .collect();
    eventually("three wait", || set.measures().unknown_keys == 3 && issuer.count("/jwks") == 2).await;
    assert_eq!(set.fetch_for_unknown_key().await, UnknownKeyFetch::Failed);
    for outcome in join_all(waiting).await {
        assert_eq!(outcome.unwrap(), UnknownKeyFetch::Failed);
    }
    // Their places are free again, also that of a request whose sender went away.
    let gone = tokio::time::timeout(Duration::from_millis(1), set.fetch_for_unknown_key()).await;
    assert!(gone.is_err());
    gate.send_replace(true);
    let outcomes = join_all((0..3).map(|_| set.fetch_for_unknown_key())).await;
    assert!(!outcomes.contains(&UnknownKeyFetch::Failed), "{outcomes:?}");
}

#[tokio::test]
async fn a_set_that_was_not_started_decides_nothing() {
    let issuer = issuer_with_key("one").await;
    let set = Side::new().obtain(&format!("jwks_uri = '{}'", issuer.url("/jwks")));
    assert_eq!(set.fetch_for_unknown_key().await, UnknownKeyFetch::Failed);
    assert_eq!(issuer.count("/jwks"), 0);
}

#[tokio::test]
async fn a_worker_with_a_runtime_of_its_own_waits_for_the_control_plane() {
    let issuer = issuer_with_key("one").await;
    let side = Side::new();
    let set = side.ready(&format!("jwks_uri = '{}'", issuer.url("/jwks"))).await;
    issuer.set("/jwks", Reply::keys(&[listed_key("two")]));
    let outcome = tokio::task::spawn_blocking({
        let set = Arc::clone(&set);
        move || {
            let worker = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            worker.block_on(set.fetch_for_unknown_key())
        }
    });
    assert_eq!(outcome.await.unwrap(), UnknownKeyFetch::Current);
    assert_eq!(side.ids(&set), ["two"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_at_once_on_many_threads_cause_one_fetch_too() {
    let issuer = issuer_with_key("one").await;
    let side = Side::new();
    let set = side.ready(&format!("jwks_uri = '{}'", issuer.url("/jwks"))).await;
    let requests = (0..1000).map(|_| {
        let set = Arc::clone(&set);
        tokio::spawn(async move { set.fetch_for_unknown_key().await })
    });
    for outcome in join_all(requests).await {
        assert!(matches!(outcome.unwrap(), UnknownKeyFetch::Current | UnknownKeyFetch::CoolingDown));
    }
    assert_eq!(issuer.count("/jwks"), 2);
}

#[tokio::test]
async fn an_issuer_that_rotates_often_is_followed_without_waiting_for_the_whole_cooldown() {
    let issuer = issuer_with_key("0").await;
    let side = Side::new();
    let toml = format!("jwks_uri = '{}'\n[key_set]\nunknown_key_cooldown = '1h'", issuer.url("/jwks"));
    let short = toml.replace("1h", "3s");
    let set = side.ready(&short).await;
    for rotation in ["1", "2", "3"] {
        issuer.set("/jwks", Reply::keys(&[listed_key(rotation)]));
        let begun = std::time::Instant::now();
        while set.fetch_for_unknown_key().await != UnknownKeyFetch::Current {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(begun.elapsed() < Duration::from_millis(2500), "{:?}", begun.elapsed());
        assert_eq!(side.ids(&set), [rotation]);
    }
    // A fetch that brought nothing new is followed by the whole of it.
    let set = side.ready(&toml).await;
    assert_eq!(set.fetch_for_unknown_key().await, UnknownKeyFetch::Current);
    tokio::time::timeout(Duration::from_millis(100), async {
        while set.fetch_for_unknown_key().await == UnknownKeyFetch::CoolingDown {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap_err();
}
