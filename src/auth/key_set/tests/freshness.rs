//! When a set is fetched again, and how little is asked for.

use std::{sync::Arc, time::Duration};

use super::super::testing::{Reply, ScriptedIssuer, Side, eventually, fetches, listed_key};

#[tokio::test]
async fn a_set_is_refreshed_ahead_of_its_end_while_the_old_one_serves() {
    let issuer = ScriptedIssuer::start().await;
    issuer.set("/jwks", Reply::keys(&[listed_key("one")]).header("cache-control", "max-age=1000"));
    let side = Side::new();
    let set = side.ready(&format!("jwks_uri = '{}'", issuer.url("/jwks"))).await;
    let next = set.status().next_refresh_in_seconds.unwrap();
    assert!((740..=850).contains(&next), "{next}");
    side.clock.advance(Duration::from_secs(740));
    // Many looks at the clock later nothing was asked.
    tokio::time::timeout(Duration::from_millis(50), eventually("never", || issuer.count("/jwks") > 1))
        .await
        .unwrap_err();
    let (gate, _) = tokio::sync::watch::channel(false);
    issuer.set("/jwks", Reply::keys(&[listed_key("two")]).gated(&gate));
    side.clock.advance(Duration::from_secs(111));
    eventually("a refresh begins", || issuer.count("/jwks") == 2).await;
    assert_eq!(side.ids(&set), ["one"]);
    gate.send_replace(true);
    eventually("it ends", || side.ids(&set) == ["two"]).await;
}

#[tokio::test]
async fn what_the_answer_says_is_held_between_a_minute_and_a_day_else_max_age_counts() {
    for (header, lifetime) in [
        (("cache-control", "max-age=1"), 60),
        (("cache-control", "max-age=99999999"), 86_400),
        (("cache-control", "max-age=700"), 700),
        (("x-nothing", "said"), 1200),
    ] {
        let issuer = ScriptedIssuer::start().await;
        issuer.set("/jwks", Reply::keys(&[listed_key("one")]).header(header.0, header.1));
        let side = Side::new();
        let set = side.ready(&format!("jwks_uri = '{}'\n[key_set]\nmax_age = '20m'", issuer.url("/jwks"))).await;
        assert_eq!(set.status().lifetime_seconds, Some(lifetime), "{header:?}");
    }
}

#[tokio::test]
async fn a_set_is_refreshed_before_max_stale_even_if_its_issuer_says_a_day() {
    let issuer = ScriptedIssuer::start().await;
    issuer.set("/jwks", Reply::keys(&[listed_key("one")]).header("cache-control", "max-age=86400"));
    let side = Side::new();
    let set = side
        .ready(&format!("jwks_uri = '{}'\n[key_set]\nmax_age = '10m'\nmax_stale = '20m'", issuer.url("/jwks")))
        .await;
    let next = set.status().next_refresh_in_seconds.unwrap();
    assert!(next <= 1020, "{next}");
}

#[tokio::test]
async fn an_unchanged_set_is_recognised_and_its_age_renewed() {
    let issuer = ScriptedIssuer::start().await;
    let keys = [listed_key("one")];
    issuer.set("/jwks", Reply::keys(&keys).header("etag", "\"v1\"").header("cache-control", "max-age=600"));
    let side = Side::new();
    let set = side.ready(&format!("jwks_uri = '{}'", issuer.url("/jwks"))).await;
    let before = side.keys(&set);
    side.clock.advance(Duration::from_secs(550));
    assert_eq!(set.status().age_seconds, Some(550));
    eventually("a 304", || fetches(&set.status(), "not_modified") == 1).await;
    let requests = issuer.requests("/jwks");
    assert!(requests[0].headers.get("if-none-match").is_none());
    assert_eq!(requests[1].headers["if-none-match"], "\"v1\"");
    assert_eq!(requests[1].headers["accept"], "application/json, application/jwk-set+json");
    assert_eq!(set.status().age_seconds, Some(0));
    assert_eq!(set.status().lifetime_seconds, Some(600));
    assert!(Arc::ptr_eq(&before[0].1, &side.keys(&set)[0].1));

    // An operator's refresh asks for the whole.
    set.refresh().await.unwrap();
    assert!(issuer.requests("/jwks")[2].headers.get("if-none-match").is_none());
    assert_eq!(fetches(&set.status(), "fetched"), 2);
    assert!(Arc::ptr_eq(&before[0].1, &side.keys(&set)[0].1));
}
