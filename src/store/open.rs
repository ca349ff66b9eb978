//! Owns: opening a store and closing it, and who may write when.
//! Refuses: more than one change at a time in one process, so that changes which wait for each other do not use up the
//! connections that issuing needs.
//! Always holds: whoever reads does not wait for whoever writes.

use std::{fmt, sync::Arc, time::Duration};

use sqlx::{AnyPool, ConnectOptions, Connection, any::AnyConnectOptions};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{
    error::StoreError,
    postgres, schema,
    session::{LIMIT, Session},
    sqlite,
};
use crate::{config::StoreConfig, secret::Secret};

/// How long closing waits for what is going on.
const FAREWELL: Duration = Duration::from_secs(5);

/// A place where things survive a restart. Clones are the same store.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    shown: String,
    database: Database,
    writer: AnyPool,
    reader: AnyPool,
    turn: Arc<Semaphore>,
}

/// In which words a transaction begins, and how others hear of a change.
pub(super) enum Database {
    /// One file; others who have it open look for changes by themselves.
    Sqlite,
    /// A server; its URL, for a connection that listens.
    Postgres(Secret),
}

impl Store {
    /// Opens a store, makes its tables or brings them up to date. A SQLite file that is not there is created, readable by its
    /// owner only, and so is its directory.
    ///
    /// # Errors
    ///
    /// The database cannot be reached, refuses us, or was used by a newer version.
    pub async fn open(location: &StoreConfig) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let (database, options, writer, reader) = match location {
            StoreConfig::Sqlite(file) => {
                sqlite::create(file)?;
                let options = connect_options(&sqlite::url(file)?)?;
                let writer = sqlite::writer().connect_lazy_with(options.clone());
                let reader = sqlite::reader().connect_lazy_with(options.clone());
                (Database::Sqlite, options, writer, reader)
            }
            StoreConfig::Postgres(url) => {
                let options = connect_options(url.expose())?;
                let pool = postgres::pool().connect_lazy_with(options.clone());
                (Database::Postgres(url.clone()), options, pool.clone(), pool)
            }
        };
        // Not from the pool, which would try again and again and then say only that time is up.
        let mut connection = timeout(LIMIT, options.connect()).await.map_err(|_| StoreError::TimedOut)??;
        schema::bring_up_to_date(&database, &mut connection).await?;
        connection.close().await?;
        let inner = Inner { shown: location.shown(), database, writer, reader, turn: Arc::new(Semaphore::new(1)) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Closes every connection, and waits some seconds for what is going on. Every later call fails.
    pub async fn close(&self) {
        self.inner.turn.close();
        let closed = async {
            self.inner.reader.close().await;
            self.inner.writer.close().await;
        };
        // What does not end by itself ends with the process; what is durable is so already.
        let _ = timeout(FAREWELL, closed).await;
    }

    /// Where it is, without a password: for logs.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.inner.shown
    }

    /// Which database it is.
    pub(super) fn database(&self) -> &Database {
        &self.inner.database
    }

    /// A connection for reading.
    pub(super) async fn reader(&self) -> Result<Session, StoreError> {
        Session::of(&self.inner.reader).await
    }

    /// A connection for writing; SQLite has one only.
    pub(super) async fn writer(&self) -> Result<Session, StoreError> {
        Session::of(&self.inner.writer).await
    }

    /// The right to make a change.
    pub(super) async fn turn(&self) -> Result<OwnedSemaphorePermit, StoreError> {
        let turn = timeout(LIMIT, Arc::clone(&self.inner.turn).acquire_owned()).await;
        turn.map_err(|_| StoreError::TimedOut)?.map_err(|_| StoreError::Unavailable(sqlx::Error::PoolClosed))
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Store").field("location", &self.inner.shown).finish_non_exhaustive()
    }
}

impl Database {
    /// The beginning of a transaction that writes. SQLite: of one that waits for other writers at once, and not in its middle,
    /// where it would have to fail. PostgreSQL: of one in which each statement sees what was committed before it.
    pub(super) const fn begin_writing(&self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN IMMEDIATE",
            Self::Postgres(_) => "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
        }
    }

    /// The beginning of a transaction that sees one moment.
    pub(super) const fn begin_reading(&self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN DEFERRED",
            Self::Postgres(_) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        }
    }
}

/// The driver's own log of statements stays off: it would be written on the way of every token.
fn connect_options(url: &str) -> Result<AnyConnectOptions, StoreError> {
    url.parse().map(AnyConnectOptions::disable_statement_logging).map_err(StoreError::Url)
}
