//! What is swept away, and what is not.

use std::time::Duration;

use postern::{
    config::StoreConfig,
    store::{IssuedFilter, IssuedToken, Kind, Pruned, Revision, Selection, Store},
};

use crate::{NOW, after, on_both, token, two};

on_both!(what_has_ended_goes_after_some_minutes, a_replica_that_slept_misses_no_removal);

const LEEWAY: u64 = 600;

async fn what_has_ended_goes_after_some_minutes(location: StoreConfig) {
    let (one, other) = two(&location).await;
    let (short, long) = (IssuedToken { expires_at: Some(after(1)), ..token() }, token());
    let unlimited = IssuedToken { expires_at: None, ..token() };
    one.record_issued(&[short.clone(), long.clone(), unlimited.clone()]).await.unwrap();
    let mut change = one.change().await.unwrap();
    change.revoke(&Selection::Client("reports".to_owned()), NOW).await.unwrap();
    change.commit().await.unwrap();
    for (store, end) in [(&one, 1), (&other, 3600)] {
        assert!(store.take_assertion("reports", &end.to_string(), after(end)).await.unwrap());
        store.put_refresh(&[u8::try_from(end % 251).unwrap(); 32], "a", after(end)).await.unwrap();
    }

    assert_eq!(one.prune(after(LEEWAY)).await.unwrap(), Pruned::default(), "clocks may be behind");
    // Both at the same time: each row is swept by one of them.
    let (by_one, by_other) = tokio::join!(one.prune(after(LEEWAY + 1)), other.prune(after(LEEWAY + 1)));
    let (by_one, by_other) = (by_one.unwrap(), by_other.unwrap());
    let sum = Pruned {
        issued: by_one.issued + by_other.issued,
        revocations: by_one.revocations + by_other.revocations,
        assertions: by_one.assertions + by_other.assertions,
        refresh_tokens: by_one.refresh_tokens + by_other.refresh_tokens,
        tombstones: by_one.tombstones + by_other.tombstones,
    };
    assert_eq!(sum, Pruned { issued: 1, revocations: 1, assertions: 1, refresh_tokens: 1, tombstones: 0 });

    let left = one.issued(&IssuedFilter::default(), 10, None).await.unwrap().tokens;
    assert!(left.len() == 2 && left.iter().all(|left| left.token.id != short.id && left.revoked_at == Some(NOW)));
    assert_eq!(one.load().await.unwrap().revoked.len(), 2);
    assert!(!one.take_assertion("reports", "3600", after(3600)).await.unwrap(), "it is still remembered");
    let far = one.prune(after(1 << 40)).await.unwrap();
    assert_eq!((far.issued, far.revocations), (1, 1), "what never ends stays");
}

async fn a_replica_that_slept_misses_no_removal(location: StoreConfig) {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let store = Store::open(&location).await.unwrap();
    let mut change = store.change().await.unwrap();
    for id in ["a", "b"] {
        change.put(Kind::Client, id, "{}").await.unwrap();
    }
    let asleep = change.commit().await.unwrap();
    let mut change = store.change().await.unwrap();
    change.remove(Kind::Client, "a").await.unwrap();
    let awake = change.commit().await.unwrap();

    let swept = |pruned: Pruned| pruned.tombstones;
    assert_eq!(swept(store.prune(NOW).await.unwrap()), 0, "the tombstone is young");
    assert_eq!(swept(store.prune(after(3600)).await.unwrap()), 0);
    assert!(!store.changes_since(asleep).await.unwrap().whole);
    assert_eq!(swept(store.prune(NOW.plus(DAY)).await.unwrap()), 1);

    let all = store.changes_since(asleep).await.unwrap();
    assert!(all.whole, "{all:?}");
    assert_eq!(all.records.iter().map(|record| record.id.as_str()).collect::<Vec<_>>(), ["b"]);
    assert_eq!(all, store.changes_since(Revision::default()).await.unwrap());
    assert!(!store.changes_since(awake).await.unwrap().whole, "who has seen the removal needs nothing");
    // What is removed from now on is a tombstone again.
    let mut change = store.change().await.unwrap();
    change.remove(Kind::Client, "b").await.unwrap();
    change.commit().await.unwrap();
    let changes = store.changes_since(awake).await.unwrap();
    assert!(!changes.whole && changes.records.len() == 1 && changes.records[0].document.is_none(), "{changes:?}");
}
