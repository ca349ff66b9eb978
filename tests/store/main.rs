//! The store on SQLite and on PostgreSQL: the same functions for both.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[path = "../support/relay.rs"]
mod relay;
#[path = "../support/stores.rs"]
mod stores;

mod changes;
mod faults;
mod files;
mod issued;
mod many;
mod revocation;
mod single_use;
mod sweeping;

use std::{future::Future, time::Duration};

use postern::{
    clock::UnixTime,
    id::TokenId,
    store::{IssuedToken, Store},
};
use tokio::time::{Instant, sleep};

/// Makes a test for each database of every function named.
macro_rules! on_both {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                crate::stores::on_sqlite(super::$test).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                crate::stores::on_postgres(super::$test).await;
            })+
        }
    };
}
use on_both;

/// The moment at which the tests take place.
const NOW: UnixTime = UnixTime::from_seconds(1_800_000_000);

/// `NOW` and some seconds.
fn after(seconds: u64) -> UnixTime {
    NOW.plus(Duration::from_secs(seconds))
}

/// A token of client `reports`, signed by key `k1`, good for an hour.
fn token() -> IssuedToken {
    IssuedToken {
        id: TokenId::generate(),
        client_id: "reports".to_owned(),
        subject: "reports".to_owned(),
        dialect: "oauth2".to_owned(),
        audience: "https://orders.example".to_owned(),
        scope: None,
        key_id: "k1".to_owned(),
        name: None,
        owner: None,
        tenant: None,
        issued_at: NOW,
        expires_at: Some(after(3600)),
        original_claims: None,
    }
}

/// Waits until a store does again what it is asked to.
async fn until_ok<T, E, F: Future<Output = Result<T, E>>>(mut ask: impl FnMut() -> F) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match ask().await {
            Ok(value) => return value,
            Err(_) => assert!(Instant::now() < deadline, "it does not recover"),
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Two replicas.
async fn two(location: &postern::config::StoreConfig) -> (Store, Store) {
    (Store::open(location).await.unwrap(), Store::open(location).await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_store_of_a_test_is_fresh() {
    for _ in 0..2 {
        stores::each_store(|location| async move {
            let store = Store::open(&location).await.unwrap();
            assert!(store.take_assertion("reports", "jti-1", NOW).await.unwrap(), "{store:?} was used before");
        })
        .await;
    }
}
