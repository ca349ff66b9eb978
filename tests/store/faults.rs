//! A database that goes away, and one that is not ours to use.

use std::time::{Duration, Instant};

use postern::{
    config::StoreConfig,
    store::{Kind, Revision, Store, StoreError},
};
use sqlx::{AnyConnection, Connection};

use crate::{
    NOW, after, on_both,
    relay::{Manner, Relay},
    stores::on_postgres,
    token, until_ok,
};

on_both!(tables_of_a_newer_version_are_refused, two_may_open_a_new_store_at_once);

fn url(location: &StoreConfig) -> String {
    sqlx::any::install_default_drivers();
    match location {
        StoreConfig::Sqlite(file) => format!("sqlite://{}", file.display()),
        StoreConfig::Postgres(url) => url.expose().to_owned(),
    }
}

async fn tables_of_a_newer_version_are_refused(location: StoreConfig) {
    Store::open(&location).await.unwrap().close().await;
    let mut connection = AnyConnection::connect(&url(&location)).await.unwrap();
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 SELECT 4711, 'tomorrow', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1";
    sqlx::query(newer).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let refused = Store::open(&location).await.unwrap_err();
    assert!(matches!(refused, StoreError::Newer { version: 4711, known: 1 }), "{refused:?}");
    assert!(refused.to_string().contains("version 4711"), "{refused}");
    assert!(!refused.is_unavailable());
}

async fn two_may_open_a_new_store_at_once(location: StoreConfig) {
    let opening = (0..6).map(|number| {
        let location = location.clone();
        tokio::spawn(async move {
            Store::open(&location).await.unwrap().take_assertion("a", &number.to_string(), NOW).await
        })
    });
    for opened in opening.collect::<Vec<_>>() {
        assert!(opened.await.unwrap().unwrap());
    }
}

/// Everything that can be asked says that the database is away, and soon.
async fn all_say_it_is_away(store: &Store) {
    let asked = Instant::now();
    let soon = |what: &str, asked: Instant, error: Option<StoreError>| {
        let error = error.unwrap_or_else(|| panic!("{what} succeeded"));
        assert!(error.is_unavailable(), "{what}: {error:?}");
        assert!(asked.elapsed() < Duration::from_secs(3), "{what} took {:?}", asked.elapsed());
    };
    let tokens = [token()];
    tokio::join!(
        async { soon("load", asked, store.load().await.err()) },
        async { soon("changes", asked, store.changes_since(Revision::default()).await.err()) },
        async { soon("change", asked, store.change().await.err()) },
        async { soon("record", asked, store.record_issued(&tokens).await.err()) },
        async { soon("take", asked, store.take_assertion("a", "b", after(1)).await.err()) },
        async { soon("listen", asked, store.listen().await.err()) },
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_goes_away_is_an_error_soon_and_comes_back() {
    on_postgres(|location| async move {
        let relay = Relay::to(&location).await;
        let store = Store::open(&relay.location(&location)).await.unwrap();
        let mut heard = store.listen().await.unwrap().unwrap();
        store.record_issued(&[token()]).await.unwrap();
        let mut change = store.change().await.unwrap();
        change.put(Kind::Client, "lost", "{}").await.unwrap();

        relay.go_away().await;
        assert!(change.commit().await.unwrap_err().is_unavailable());
        let lost = tokio::time::timeout(Duration::from_secs(3), heard.next()).await.expect("it is noticed");
        assert!(lost.unwrap_err().is_unavailable());
        all_say_it_is_away(&store).await;

        relay.come_back(Manner::Passing).await;
        until_ok(|| store.load()).await;
        let mut heard = until_ok(|| store.listen()).await.unwrap();
        let mut change = until_ok(|| store.change()).await;
        assert_eq!(change.find(Kind::Client, "lost").await.unwrap(), None);
        change.put(Kind::Client, "kept", "{}").await.unwrap();
        change.commit().await.unwrap();
        tokio::time::timeout(Duration::from_secs(2), heard.next()).await.unwrap().unwrap();
        store.record_issued(&[token()]).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_falls_silent_is_an_error_soon_and_comes_back() {
    on_postgres(|location| async move {
        let relay = Relay::to(&location).await;
        let store = Store::open(&relay.location(&location)).await.unwrap();
        relay.go_away().await;
        relay.come_back(Manner::Silent).await;
        for _ in 0..3 {
            all_say_it_is_away(&store).await;
        }
        relay.go_away().await;
        relay.come_back(Manner::Passing).await;
        until_ok(|| store.change()).await.commit().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_died_within_a_change_holds_the_others_up_for_seconds_only() {
    on_postgres(|location| async move {
        let store = Store::open(&location).await.unwrap();
        let other = Store::open(&location).await.unwrap();
        let stuck = other.change().await.unwrap();
        let asked = Instant::now();
        let refused = store.change().await.unwrap_err();
        assert!(refused.is_unavailable() && asked.elapsed() < Duration::from_secs(3), "{refused:?}");
        // The server ends the transaction of whoever says nothing more.
        until_ok(|| store.change()).await.commit().await.unwrap();
        assert!(stuck.commit().await.is_err(), "what was taken back is not committed");
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said_to_be_away() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let location = StoreConfig::parse(&format!("postgres://someone:canary@{address}/nothing")).unwrap();
    let refused = Store::open(&location).await.unwrap_err();
    assert!(refused.is_unavailable(), "{refused:?}");
    assert!(!format!("{refused} {refused:?}").contains("canary"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_is_not_shown() {
    on_postgres(|location| async move {
        let url = url(&location).replacen("postern@", "postern:canary@", 1);
        let store = Store::open(&StoreConfig::parse(&url).unwrap()).await.unwrap();
        assert!(!store.shown().contains("canary") && store.shown().contains("postern:redacted@"), "{}", store.shown());
        assert!(!format!("{store:?} {:?}", store.change().await.unwrap()).contains("canary"));
    })
    .await;
}
