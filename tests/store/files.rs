//! What is particular to a SQLite file.

use std::{os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use postern::{
    config::StoreConfig,
    store::{Kind, Revision, Store},
};
use sqlx::{AnyConnection, Connection, Executor, Row};

use crate::{stores::on_sqlite, until_ok};

fn file(location: &StoreConfig) -> &Path {
    let StoreConfig::Sqlite(file) = location else { panic!("a file") };
    file
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_its_owner_can_read_it() {
    on_sqlite(|location| async move {
        let store = Store::open(&location).await.unwrap();
        store.take_assertion("a", "b", crate::NOW).await.unwrap();
        let file = file(&location);
        assert_eq!(mode(file.parent().unwrap()), 0o700);
        for ending in ["", "-wal", "-shm"] {
            let beside = format!("{}{ending}", file.display());
            assert_eq!(mode(Path::new(&beside)), 0o600, "{beside}");
        }
    })
    .await;
}

#[tokio::test]
async fn any_path_will_do() {
    let directory = tempfile::tempdir().unwrap();
    let odd = directory.path().join("a b?mode=memory#%41\u{fc}").join(":memory:");
    let store = Store::open(&StoreConfig::Sqlite(odd.clone())).await.unwrap();
    assert!(store.take_assertion("a", "b", crate::NOW).await.unwrap());
    assert!(odd.exists());
}

#[tokio::test]
async fn what_cannot_be_a_store_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let text = directory.path().join("text");
    std::fs::write(&text, "this is not a database, but it is long enough to be taken for one".repeat(99)).unwrap();
    for (path, said) in
        [(text.clone(), "Statement"), (text.join("below.db"), "File"), (directory.path().to_owned(), "Unavailable")]
    {
        let refused = Store::open(&StoreConfig::Sqlite(path)).await.unwrap_err();
        assert!(format!("{refused:?}").starts_with(said), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_commit_reaches_the_disk() {
    on_sqlite(|location| async move {
        Store::open(&location).await.unwrap().close().await;
        let mut connection = AnyConnection::connect(&format!("sqlite://{}", file(&location).display())).await.unwrap();
        let mode = connection.fetch_one("PRAGMA journal_mode").await.unwrap();
        assert_eq!(mode.get::<String, _>(0), "wal", "the file remembers it");
    })
    .await;
}

/// Another process that writes is waited for, and in the end said to be in the way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_process_that_writes_is_waited_for() {
    on_sqlite(|location| async move {
        let store = Store::open(&location).await.unwrap();
        let mut other = AnyConnection::connect(&format!("sqlite://{}", file(&location).display())).await.unwrap();
        other.execute("BEGIN IMMEDIATE").await.unwrap();
        let refused = store.change().await.unwrap_err();
        assert!(refused.is_unavailable(), "{refused:?}");
        let changing = {
            let store = store.clone();
            tokio::spawn(async move {
                let mut change = store.change().await.unwrap();
                change.put(Kind::Client, "mine", "{}").await.unwrap();
                change.commit().await.unwrap()
            })
        };
        tokio::time::sleep(Duration::from_millis(200)).await;
        let theirs = "INSERT INTO records (kind, id, revision, document) VALUES ('client', 'theirs', 1, '{}')";
        other.execute("UPDATE revision SET value = value + 1").await.unwrap();
        other.execute(theirs).await.unwrap();
        other.execute("COMMIT").await.unwrap();
        let revision = changing.await.unwrap();
        let all = until_ok(|| store.changes_since(Revision::default())).await;
        assert_eq!((all.revision, all.records.len()), (revision, 2));
    })
    .await;
}
