//! What becomes of keys when an issuer changes its list.

use std::sync::Arc;

use super::super::testing::{Reply, ScriptedIssuer, Side, listed_key};
use crate::{auth::KeySource as _, clock::UnixTime};

#[tokio::test]
async fn a_key_that_stays_is_the_same_key_and_one_that_goes_is_withdrawn_at_once() {
    let issuer = ScriptedIssuer::start().await;
    let (old, kept, new) = (listed_key("old"), listed_key("kept"), listed_key("new"));
    issuer.set("/jwks", Reply::keys(&[old.clone(), kept.clone()]));
    let side = Side::new();
    let set = side.ready(&format!("jwks_uri = '{}'", issuer.url("/jwks"))).await;
    let before = side.keys(&set);
    side.clock.advance(std::time::Duration::from_secs(5));
    issuer.set("/jwks", Reply::keys(&[new, kept]));
    set.refresh().await.unwrap();
    let after = side.keys(&set);
    assert_eq!(side.ids(&set), ["new", "kept"]);
    assert!(Arc::ptr_eq(&before[1].1, &after[1].1));
    assert!(before[0].1.is_withdrawn());
    assert!(!after[0].1.is_withdrawn() && !after[1].1.is_withdrawn());
    assert_eq!(after[0].1.first_seen().since(after[1].1.first_seen()).as_secs(), 5);

    // Listed again, it is another key to us: what it signed before stays withdrawn with the old one.
    issuer.set("/jwks", Reply::keys(&[old]));
    set.refresh().await.unwrap();
    let again = side.keys(&set);
    assert!(before[0].1.is_withdrawn() && !again[0].1.is_withdrawn());
    assert!(after[1].1.is_withdrawn());
}

#[tokio::test]
async fn the_same_id_with_another_key_or_algorithm_is_another_key() {
    let issuer = ScriptedIssuer::start().await;
    let mut key = listed_key("one");
    issuer.set("/jwks", Reply::keys(&[key.clone(), listed_key("two")]));
    let side = Side::new();
    let set = side.ready(&format!("jwks_uri = '{}'", issuer.url("/jwks"))).await;
    let before = side.keys(&set);
    key["kid"] = "other".into();
    issuer.set("/jwks", Reply::keys(&[key, listed_key("two")]));
    set.refresh().await.unwrap();
    assert!(before.iter().all(|(_, key)| key.is_withdrawn()));
    assert!(side.keys(&set).iter().all(|(_, key)| !key.is_withdrawn()));
}

#[tokio::test]
async fn an_operator_sees_that_a_removed_key_is_still_presented() {
    let issuer = ScriptedIssuer::start().await;
    issuer.set("/jwks", Reply::keys(&[listed_key("old"), listed_key("odd\u{7f}")]));
    let side = Side::new();
    let set = side.ready(&format!("jwks_uri = '{}'", issuer.url("/jwks"))).await;
    side.keys(&set)[0].1.note_use(UnixTime::from_seconds(1_800_000_001));
    let status = set.status();
    assert_eq!(status.keys[0].last_used.as_deref(), Some("2027-01-15T08:00:01Z"));
    assert_eq!((status.skipped.len(), status.warnings.len()), (1, 1));

    issuer.set("/jwks", Reply::keys(&[listed_key("new")]));
    set.refresh().await.unwrap();
    set.note_unknown_key_id("never-there");
    assert_eq!((set.status().removed[0].presented, set.status().warnings.len()), (0, 0));
    set.note_unknown_key_id("old");
    set.note_unknown_key_id("old");
    let status = set.status();
    assert_eq!(status.warnings, ["a removed key is still being presented: \"old\", 2 times since it was removed"]);
    assert_eq!(status.removed[0].last_used.as_deref(), Some("2027-01-15T08:00:01Z"));

    // Listed again, there is nothing to warn of.
    issuer.set("/jwks", Reply::keys(&[listed_key("old")]));
    set.refresh().await.unwrap();
    assert_eq!(set.status().removed.iter().map(|key| key.key_id.as_str()).collect::<Vec<_>>(), ["new"]);
    assert!(set.status().warnings.is_empty());
}

#[tokio::test]
async fn no_more_than_32_removed_keys_are_remembered() {
    let issuer = ScriptedIssuer::start().await;
    let many: Vec<_> = (0..40).map(|number| listed_key(&format!("key-{number}"))).collect();
    issuer.set("/jwks", Reply::keys(&many));
    let side = Side::new();
    let set = side.ready(&format!("jwks_uri = '{}'", issuer.url("/jwks"))).await;
    issuer.set("/jwks", Reply::keys(&[listed_key("new")]));
    set.refresh().await.unwrap();
    assert_eq!(set.status().removed.len(), 32);
}
