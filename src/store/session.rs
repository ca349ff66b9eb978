//! Owns: one connection for the length of one conversation, and how long each answer may take.
//! Refuses: to give a connection back on which an answer is still owed; to commit what failed in part.
//! Always holds: no call waits longer than [`LIMIT`], unless the session was told to be patient; a session that is dropped inside
//! a transaction takes it back.

use std::{future::Future, time::Duration};

use sqlx::{Any, AnyPool, Executor, any::AnyRow, pool::PoolConnection};
use tokio::time::timeout;

use super::{error::StoreError, open::Database, statement::Statement};

/// How long one answer of the database may take, and how long a connection may be waited for.
pub const LIMIT: Duration = Duration::from_secs(2);

/// How long one answer may take of a session that was told to be patient.
const PATIENCE: Duration = Duration::from_secs(30);

/// One connection, lent by a pool.
pub(super) struct Session {
    connection: PoolConnection<Any>,
    limit: Duration,
    /// An answer is owed: the caller went away, or lost patience.
    unanswered: bool,
    in_transaction: bool,
    spoiled: bool,
}

impl Session {
    /// Waits for a connection.
    pub(super) async fn of(pool: &AnyPool) -> Result<Self, StoreError> {
        let connection = pool.acquire().await?;
        Ok(Self { connection, limit: LIMIT, unanswered: false, in_transaction: false, spoiled: false })
    }

    /// Begins a transaction in the words of its database.
    pub(super) async fn begin(&mut self, words: &'static str) -> Result<(), StoreError> {
        // Already: whether it has begun is not known if the answer does not come.
        self.in_transaction = true;
        self.execute_words(words).await
    }

    /// From now on each answer may take long: a statement follows that touches every row of a kind. To be called in a
    /// transaction.
    pub(super) async fn be_patient(&mut self, database: &Database) -> Result<(), StoreError> {
        if matches!(database, Database::Postgres(_)) {
            self.execute_words("SET LOCAL statement_timeout = 29000").await?;
        }
        self.limit = PATIENCE;
        Ok(())
    }

    /// Makes the transaction durable, unless a part of it failed: PostgreSQL would answer such a COMMIT with a rollback and no
    /// error.
    pub(super) async fn commit(mut self) -> Result<(), StoreError> {
        if self.spoiled {
            return Err(StoreError::Spoiled);
        }
        self.execute_words("COMMIT").await?;
        self.in_transaction = false;
        Ok(())
    }

    /// The number of rows that a statement touched.
    pub(super) async fn execute(&mut self, statement: Statement) -> Result<u64, StoreError> {
        let done = match statement.into_query() {
            Ok(query) => answer(self.limit, &mut self.unanswered, query.execute(&mut *self.connection)).await,
            Err(fault) => Err(fault),
        };
        self.spoiled |= done.is_err();
        Ok(done?.rows_affected())
    }

    /// Runs text without arguments, which may be several statements.
    pub(super) async fn execute_words(&mut self, words: &'static str) -> Result<(), StoreError> {
        let done = answer(self.limit, &mut self.unanswered, self.connection.execute(sqlx::raw_sql(words))).await;
        self.spoiled |= done.is_err();
        done.map(|_| ())
    }

    /// All rows of an answer: at most some thousands, bounded by the statement.
    pub(super) async fn rows(&mut self, statement: Statement) -> Result<Vec<AnyRow>, StoreError> {
        let rows = match statement.into_query() {
            Ok(query) => answer(self.limit, &mut self.unanswered, query.fetch_all(&mut *self.connection)).await,
            Err(fault) => Err(fault),
        };
        self.spoiled |= rows.is_err();
        rows
    }

    /// The first row of an answer. The rest is read, too: a statement that is left in the middle would not say that its commit
    /// failed.
    pub(super) async fn row(&mut self, statement: Statement) -> Result<Option<AnyRow>, StoreError> {
        Ok(self.rows(statement).await?.into_iter().next())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // The pool would wait for the answer before it lent the connection out again: for ever, if the network is gone. And
        // closing is the one way to take a transaction back that needs no answer. It is rare, and opening one is cheap.
        if self.unanswered || self.in_transaction {
            self.connection.close_on_drop();
        }
    }
}

async fn answer<T>(
    limit: Duration,
    unanswered: &mut bool,
    asked: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    *unanswered = true;
    let answer = timeout(limit, asked).await.map_err(|_| StoreError::TimedOut)?;
    *unanswered = false;
    Ok(answer?)
}
