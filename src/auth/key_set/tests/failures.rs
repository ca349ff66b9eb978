//! An issuer that fails or lies, and what that must not do.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::watch;

use super::super::{
    pace::Pace,
    remote::RefreshError,
    status::KeySetState,
    testing::{Reply, Script, ScriptedIssuer, Side, eventually, fetches, listed_key, quick_pace},
};

#[tokio::test]
async fn no_failure_and_no_lie_replaces_a_good_set() {
    let issuer = ScriptedIssuer::start().await;
    issuer.set("/jwks", Reply::keys(&[listed_key("good")]));
    let elsewhere = ScriptedIssuer::start().await;
    elsewhere.set("/jwks", Reply::keys(&[listed_key("evil")]));
    let side = Side::paced(Pace {
        first_pause: Duration::from_secs(60),
        longest_pause: Duration::from_secs(60),
        ..quick_pace()
    });
    let set = side.ready(&format!("jwks_uri = '{}'", issuer.url("/jwks"))).await;
    let good = side.keys(&set);
    let sent = Arc::new(Mutex::new(0));
    let endless = Script::Endless { bytes: 100 << 20, sent: Arc::clone(&sent) };
    let mut weak = listed_key("weak");
    weak["use"] = "enc".into();
    let script = |body| Reply { body, ..Reply::text(200, "") };
    let wrong = [
        (Reply::text(200, "<html>sign in</html>"), "not_a_key_set"),
        (Reply::text(200, ""), "not_a_key_set"),
        (Reply::text(200, "[]"), "not_a_key_set"),
        (Reply::text(200, r#"{"keys":{}}"#), "not_a_key_set"),
        (Reply::text(200, r#"{"keys":[]}"#), "no_usable_key"),
        (Reply::keys(&[weak]), "no_usable_key"),
        (Reply::text(302, "").header("location", elsewhere.url("/jwks")), "redirected"),
        (Reply::text(301, "").header("location", elsewhere.url("/jwks")), "redirected"),
        (Reply::text(304, ""), "refused_by_issuer"),
        (Reply::text(500, r#"{"keys":[]}"#), "refused_by_issuer"),
        (Reply::text(404, ""), "refused_by_issuer"),
        (Reply::text(204, ""), "refused_by_issuer"),
        (script(Script::Truncated(r#"{"keys":[]}"#.into())), "unreachable"),
        (script(endless), "too_large"),
        (Reply::text(200, vec![b' '; 512 * 1024 + 1]), "too_large"),
    ];
    for (reply, result) in wrong {
        let (status, before) = (reply.status, fetches(&set.status(), result));
        issuer.set("/jwks", reply);
        let refused = set.refresh().await;
        assert!(matches!(&refused, Err(RefreshError::Failed(text)) if !text.is_empty()), "{status}: {refused:?}");
        assert_eq!(fetches(&set.status(), result), before + 1, "{status} {result}: {:?}", set.status());
        let kept = side.keys(&set);
        assert!(kept.len() == 1 && Arc::ptr_eq(&kept[0].1, &good[0].1) && !kept[0].1.is_withdrawn());
    }
    assert_eq!(elsewhere.count("/jwks"), 0, "a redirect was followed");
    assert!(*sent.lock().unwrap() < 32 << 20, "100 MB were read: {}", sent.lock().unwrap());
    let status = set.status();
    assert_eq!((status.state, status.consecutive_failures), (KeySetState::Fresh, 15));
    assert!(status.last_error.unwrap().contains("longer than 524288 bytes"));

    // And the control: an honest answer is taken.
    issuer.set("/jwks", Reply::keys(&[listed_key("next")]));
    set.refresh().await.unwrap();
    assert_eq!(side.ids(&set), ["next"]);
    assert_eq!(set.status().consecutive_failures, 0);
}

#[tokio::test]
async fn a_document_of_exactly_the_bound_is_read() {
    let issuer = ScriptedIssuer::start().await;
    let mut document = serde_json::json!({ "keys": [listed_key("one")] }).to_string();
    document.push_str(&" ".repeat(512 * 1024 - document.len()));
    issuer.set("/jwks", Reply::text(200, document));
    let side = Side::new();
    side.ready(&format!("jwks_uri = '{}'", issuer.url("/jwks"))).await;
}

#[tokio::test]
async fn an_issuer_that_is_down_at_start_is_asked_until_it_is_back() {
    let issuer = ScriptedIssuer::start().await;
    issuer.set("/jwks", Reply::text(503, "later"));
    let side = Side::new();
    let set = side.start(&format!("jwks_uri = '{}'", issuer.url("/jwks")));
    eventually("five attempts", || issuer.count("/jwks") >= 5).await;
    assert!(!set.is_ready() && side.keys(&set).is_empty());
    let status = set.status();
    assert_eq!(status.state, KeySetState::Unavailable);
    assert_eq!(status.warnings, ["no keys have been fetched yet"]);
    assert!(status.last_error.unwrap().contains("503"));
    issuer.set("/jwks", Reply::keys(&[listed_key("one")]));
    assert!(set.wait_ready(Duration::from_secs(20)).await);
    assert_eq!(side.ids(&set), ["one"]);
}

#[tokio::test]
async fn nobody_there_at_all_is_a_failure_too() {
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let side = Side::new();
    let set = side.start(&format!("jwks_uri = 'http://{gone}/jwks'"));
    eventually("a failure", || fetches(&set.status(), "unreachable") >= 2).await;
    assert!(!set.wait_ready(Duration::from_millis(1)).await);
}

#[tokio::test]
async fn a_slow_issuer_is_given_up_in_time() {
    let issuer = ScriptedIssuer::start().await;
    let (never, _) = watch::channel(false);
    issuer.set("/jwks", Reply::keys(&[listed_key("one")]).gated(&never));
    let side = Side::paced(Pace { exchange: Duration::from_millis(30), ..quick_pace() });
    let set = side.start(&format!("jwks_uri = '{}'", issuer.url("/jwks")));
    eventually("a timeout", || fetches(&set.status(), "timed_out") >= 1).await;
    assert!(set.status().last_error.unwrap().contains("30 ms"));
}

#[tokio::test]
async fn stale_keys_serve_until_max_stale_and_not_longer() {
    let issuer = ScriptedIssuer::start().await;
    issuer.set("/jwks", Reply::keys(&[listed_key("one")]).header("cache-control", "max-age=600"));
    let side = Side::new();
    let set = side.ready(&format!("jwks_uri = '{}'\n[key_set]\nmax_stale = '1h'", issuer.url("/jwks"))).await;
    issuer.set("/jwks", Reply::text(500, ""));
    side.clock.advance(Duration::from_secs(3590));
    eventually("failed refreshes", || set.status().consecutive_failures >= 2).await;
    assert_eq!(side.ids(&set), ["one"]);
    let status = set.status();
    assert_eq!((status.state, status.age_seconds), (KeySetState::Stale, Some(3590)));
    assert_eq!(status.warnings, ["the keys are stale: they could not be refreshed in time"]);
    assert_eq!(set.measures().keys, 1);

    side.clock.advance(Duration::from_secs(11));
    assert!(side.ids(&set).is_empty() && !set.is_ready());
    assert_eq!((set.status().state, set.measures().keys), (KeySetState::Unavailable, 0));

    issuer.set("/jwks", Reply::keys(&[listed_key("two")]));
    assert!(set.wait_ready(Duration::from_secs(20)).await);
    assert_eq!(side.ids(&set), ["two"]);
}

#[tokio::test]
async fn a_clock_set_back_makes_nothing_fresh_and_one_set_forward_recovers() {
    let issuer = ScriptedIssuer::start().await;
    issuer.set("/jwks", Reply::keys(&[listed_key("one")]));
    let side = Side::new();
    let set =
        side.ready(&format!("jwks_uri = '{}'\n[key_set]\nmax_age='1s'\nmax_stale = '1s'", issuer.url("/jwks"))).await;
    issuer.set("/jwks", Reply::text(500, ""));
    side.clock.set(crate::clock::UnixTime::from_seconds(1000));
    // A real second passes, and the keys are given up, whatever the wall clock says.
    eventually("the keys are given up", || side.ids(&set).is_empty()).await;
    issuer.set("/jwks", Reply::keys(&[listed_key("two")]));
    assert!(set.wait_ready(Duration::from_secs(20)).await);
}
