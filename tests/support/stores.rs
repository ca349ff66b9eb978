//! Fresh stores: a SQLite file in a directory of its own, and a PostgreSQL database of its own. Both are gone afterwards.

use std::{env, future::Future};

use postern::{config::StoreConfig, id::TokenId};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

/// Where the PostgreSQL of the tests is: a URL with the right to create databases.
pub(crate) const POSTGRES: &str = "POSTERN_TEST_POSTGRES";

/// Runs a test on a fresh store of each sort.
pub(crate) async fn each_store<F: Future<Output = ()> + Send + 'static>(test: impl Fn(StoreConfig) -> F) {
    on_sqlite(&test).await;
    on_postgres(&test).await;
}

/// Runs a test on a SQLite file that is not there yet.
pub(crate) async fn on_sqlite<F: Future<Output = ()> + Send + 'static>(test: impl Fn(StoreConfig) -> F) {
    let directory = tempfile::tempdir().unwrap();
    test(StoreConfig::Sqlite(directory.path().join("data").join("postern.db"))).await;
}

/// Runs a test on an empty PostgreSQL database.
pub(crate) async fn on_postgres<F: Future<Output = ()> + Send + 'static>(test: impl Fn(StoreConfig) -> F) {
    let server = env::var(POSTGRES).unwrap_or_else(|_| {
        panic!(
            "{POSTGRES} is not set: run `scripts/with-postgres cargo test ...`, which starts a PostgreSQL for the tests"
        )
    });
    let name = format!("test_{}", TokenId::generate().to_string().replace('-', ""));
    let mut keeper = PgConnection::connect(&server).await.unwrap();
    keeper.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
    let mut url = url::Url::parse(&server).unwrap();
    url.set_path(&name);
    // As a task, so that the database is dropped also when the test panics.
    let outcome = tokio::spawn(test(StoreConfig::parse(url.as_str()).unwrap())).await;
    keeper.execute(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))).await.unwrap();
    if let Err(failure) = outcome {
        std::panic::resume_unwind(failure.into_panic());
    }
}
