//! Records, revisions, the audit log, and what other replicas see of them.

use std::time::Duration;

use postern::{
    config::StoreConfig,
    store::{AuditEntry, Changes, Kind, Record, Revision, Store},
};
use serde_json::json;
use tokio::time::timeout;

use crate::{NOW, after, on_both, two};

on_both!(
    a_change_is_seen_whole_by_everyone_after_its_commit,
    a_dropped_change_was_never_made,
    a_change_that_failed_in_part_is_not_committed,
    removed_records_are_gone_and_announced_as_gone,
    revisions_are_in_the_order_of_commits,
    a_reader_waits_for_no_writer,
    changes_are_announced_where_the_database_can,
    audit_entries_come_newest_first_by_pages,
    the_installation_has_one_of_each,
    a_store_that_was_set_back_is_loaded_whole,
    a_closed_store_says_so,
);

async fn put(store: &Store, kind: Kind, id: &str, document: &str) -> Revision {
    let mut change = store.change().await.unwrap();
    change.put(kind, id, document).await.unwrap();
    change.commit().await.unwrap()
}

fn record(kind: Kind, id: &str, document: Option<&str>) -> Record {
    Record { kind, id: id.to_owned(), document: document.map(str::to_owned) }
}

async fn a_change_is_seen_whole_by_everyone_after_its_commit(location: StoreConfig) {
    let (one, other) = two(&location).await;
    let empty = other.load().await.unwrap();
    assert_eq!(empty, Changes { whole: true, ..Changes::default() });

    let mut change = one.change().await.unwrap();
    for (place, kind) in Kind::ALL.into_iter().enumerate() {
        change.put(kind, "a", &format!("{{\"place\":{place}}}")).await.unwrap();
    }
    change.put(Kind::Client, "a", "{\"place\":\"\u{e4}\u{1f511}\"}").await.unwrap();
    assert_eq!(change.find(Kind::Client, "a").await.unwrap().as_deref(), Some("{\"place\":\"\u{e4}\u{1f511}\"}"));
    assert_eq!(other.load().await.unwrap(), empty, "nothing is seen before the commit");
    let revision = change.revision();
    assert_eq!(change.commit().await.unwrap(), revision);

    let seen = other.changes_since(empty.revision).await.unwrap();
    assert_eq!((seen.revision, seen.whole, seen.records.len()), (revision, false, Kind::ALL.len()));
    assert!(seen.records.contains(&record(Kind::Client, "a", Some("{\"place\":\"\u{e4}\u{1f511}\"}"))));
    assert!(seen.records.contains(&record(Kind::Suspension, "a", Some("{\"place\":4}"))));
    assert_eq!(other.load().await.unwrap().records.len(), Kind::ALL.len());
    assert_eq!(other.changes_since(revision).await.unwrap(), Changes { revision, ..Changes::default() });
}

async fn a_dropped_change_was_never_made(location: StoreConfig) {
    let store = Store::open(&location).await.unwrap();
    let mut change = store.change().await.unwrap();
    change.put(Kind::Client, "a", "{}").await.unwrap();
    drop(change);
    // Nothing stands in the way of the next.
    let revision = put(&store, Kind::Client, "b", "{}").await;
    let all = store.load().await.unwrap();
    assert_eq!((all.revision, all.records), (revision, vec![record(Kind::Client, "b", Some("{}"))]));
}

async fn a_change_that_failed_in_part_is_not_committed(location: StoreConfig) {
    let store = Store::open(&location).await.unwrap();
    let mut change = store.change().await.unwrap();
    change.put(Kind::Client, "a", "{}").await.unwrap();
    let refused = change.put(Kind::Client, "b\0", "{}").await.unwrap_err();
    assert!(!refused.is_unavailable(), "{refused:?}");
    let refused = change.commit().await.unwrap_err();
    assert!(!refused.is_unavailable(), "{refused:?}");
    assert!(store.load().await.unwrap().records.is_empty());
}

async fn removed_records_are_gone_and_announced_as_gone(location: StoreConfig) {
    let (one, other) = two(&location).await;
    for id in ["b", "a", "C"] {
        put(&one, Kind::Client, id, "{}").await;
    }
    let before = put(&one, Kind::Switch, "a", "{}").await;
    let mut change = other.change().await.unwrap();
    assert!(change.remove(Kind::Client, "a").await.unwrap());
    assert!(!change.remove(Kind::Client, "a").await.unwrap(), "it is gone already");
    assert!(!change.remove(Kind::Client, "never").await.unwrap());
    assert_eq!(change.find(Kind::Client, "a").await.unwrap(), None);
    let left = change.list(Kind::Client).await.unwrap();
    assert_eq!(left, [record(Kind::Client, "C", Some("{}")), record(Kind::Client, "b", Some("{}"))]);
    change.commit().await.unwrap();

    assert_eq!(one.changes_since(before).await.unwrap().records, [record(Kind::Client, "a", None)]);
    assert_eq!(one.load().await.unwrap().records.len(), 3);
    // It can come back.
    put(&one, Kind::Client, "a", "{\"again\":true}").await;
    let again = other.changes_since(before).await.unwrap().records;
    assert_eq!(again, [record(Kind::Client, "a", Some("{\"again\":true}"))]);
}

async fn revisions_are_in_the_order_of_commits(location: StoreConfig) {
    const CHANGERS: usize = 8;
    const EACH: usize = 12;
    let (one, other) = two(&location).await;
    let watch = {
        let store = Store::open(&location).await.unwrap();
        tokio::spawn(async move {
            let (mut seen, mut known) = (0, Revision::default());
            while seen < CHANGERS * EACH {
                let changes = store.changes_since(known).await.unwrap();
                assert!(changes.revision >= known && !changes.whole, "{changes:?}");
                seen += changes.records.len();
                known = changes.revision;
            }
            known
        })
    };
    let changers = (0..CHANGERS).map(|changer| {
        let store = if changer % 2 == 0 { one.clone() } else { other.clone() };
        tokio::spawn(async move {
            let mut last = Revision::default();
            for number in 0..EACH {
                let revision = put(&store, Kind::Client, &format!("{changer}-{number}"), "{}").await;
                assert!(revision > last);
                last = revision;
            }
        })
    });
    for changer in changers.collect::<Vec<_>>() {
        changer.await.unwrap();
    }
    // Whoever asks for what came after what is known misses nothing, although all are changing.
    let known = timeout(Duration::from_secs(20), watch).await.expect("every record is seen").unwrap();
    assert_eq!(known, one.load().await.unwrap().revision);
    assert_eq!(known.number(), i64::try_from(CHANGERS * EACH).unwrap());
}

async fn a_reader_waits_for_no_writer(location: StoreConfig) {
    let store = Store::open(&location).await.unwrap();
    let mut change = store.change().await.unwrap();
    change.put(Kind::Client, "a", "{}").await.unwrap();
    let read = async {
        store.load().await.unwrap();
        store.changes_since(Revision::default()).await.unwrap();
        store.audit(10, None).await.unwrap();
        store.key_is_needed("k1", NOW).await.unwrap();
    };
    timeout(Duration::from_secs(1), read).await.expect("it does not wait");
    change.commit().await.unwrap();
}

async fn changes_are_announced_where_the_database_can(location: StoreConfig) {
    let (one, other) = two(&location).await;
    let heard = other.listen().await.unwrap();
    let Some(mut notifications) = heard else {
        assert!(matches!(location, StoreConfig::Sqlite(_)));
        return;
    };
    assert!(matches!(location, StoreConfig::Postgres(_)));
    let silence = timeout(Duration::from_millis(200), notifications.next()).await;
    assert!(silence.is_err(), "nothing was changed: {silence:?}");
    drop(one.change().await.unwrap());
    for number in 0..3 {
        let revision = put(&one, Kind::Switch, "m2m_enabled", &number.to_string()).await;
        timeout(Duration::from_secs(2), notifications.next()).await.expect("in time").unwrap();
        assert_eq!(other.load().await.unwrap().revision, revision);
    }
}

async fn audit_entries_come_newest_first_by_pages(location: StoreConfig) {
    let store = Store::open(&location).await.unwrap();
    let entry = |number: u64| AuditEntry {
        at: after(number),
        actor: "admin".to_owned(),
        action: "client.put".to_owned(),
        subject: format!("client-{number}"),
        detail: json!({ "number": number, "list": ["a", null] }),
    };
    for number in 0..7 {
        let mut change = store.change().await.unwrap();
        change.audit(&entry(number)).await.unwrap();
        change.commit().await.unwrap();
    }
    let mut change = store.change().await.unwrap();
    change.audit(&entry(99)).await.unwrap();
    drop(change);

    let (mut read, mut before) = (Vec::new(), None);
    loop {
        let page = store.audit(3, before).await.unwrap();
        let Some((last, _)) = page.last() else { break };
        before = Some(*last);
        read.extend(page.into_iter().map(|(_, entry)| entry));
    }
    assert_eq!(read, (0..7).rev().map(entry).collect::<Vec<_>>());
}

async fn the_installation_has_one_of_each(location: StoreConfig) {
    let (one, other) = two(&location).await;
    let offers = (0u8..20).map(|offer| {
        let store = if offer % 2 == 0 { one.clone() } else { other.clone() };
        tokio::spawn(async move { store.installation("key", &[offer; 32]).await.unwrap() })
    });
    let mut given = Vec::new();
    for offer in offers.collect::<Vec<_>>() {
        given.push(offer.await.unwrap());
    }
    given.dedup();
    let [key] = &given[..] else { panic!("different ones were given: {given:?}") };
    assert_eq!(other.installation("another", &[7]).await.unwrap(), [7]);

    assert!(!one.replace_installation("key", b"something else", b"new").await.unwrap());
    assert!(!one.replace_installation("nothing", key, b"new").await.unwrap());
    assert!(one.replace_installation("key", key, b"new").await.unwrap());
    assert!(!other.replace_installation("key", key, b"newer").await.unwrap(), "it is not what it was");
    assert_eq!(other.installation("key", &[0]).await.unwrap(), b"new");
}

async fn a_store_that_was_set_back_is_loaded_whole(location: StoreConfig) {
    let store = Store::open(&location).await.unwrap();
    put(&store, Kind::Client, "a", "{}").await;
    let mut future = Revision::default();
    for _ in 0..3 {
        // A change that was rolled back has a revision that nobody else has.
        let change = store.change().await.unwrap();
        future = future.max(change.revision());
    }
    let changes = store.changes_since(future).await.unwrap();
    assert!(changes.whole && changes.revision < future, "{changes:?}");
    assert_eq!(changes.records, [record(Kind::Client, "a", Some("{}"))]);
}

async fn a_closed_store_says_so(location: StoreConfig) {
    let store = Store::open(&location).await.unwrap();
    store.close().await;
    assert!(store.load().await.unwrap_err().is_unavailable());
    assert!(store.change().await.unwrap_err().is_unavailable());
    let again = Store::open(&location).await.unwrap();
    assert_eq!(again.shown(), location.shown());
    assert!(format!("{again:?}").contains(again.shown()));
}
