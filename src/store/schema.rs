//! Owns: the tables, and how they come from one version to the next.
//! Refuses: tables of a newer version than it knows.
//! Always holds: processes that start at the same time wait for each other; a version is applied whole or not at all.

use std::{borrow::Cow, time::Duration};

use sqlx::{
    AnyConnection, Connection, Executor, SqlSafeStr,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
};
use tokio::time::{Instant, sleep, timeout};

use super::{error::StoreError, open::Database};

/// How long bringing the tables up to date may take, and how long it is waited for others who are doing it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A version of the tables: its number, its name, and its text for SQLite and for PostgreSQL.
struct Version {
    number: i64,
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

const VERSIONS: &[Version] = &[Version {
    number: 1,
    name: "tables",
    sqlite: include_str!("migrations/sqlite/0001_tables.sql"),
    postgres: include_str!("migrations/postgres/0001_tables.sql"),
}];

/// Makes the tables, or brings them to the newest version.
pub(super) async fn bring_up_to_date(database: &Database, connection: &mut AnyConnection) -> Result<(), StoreError> {
    let migrator = migrator(database);
    let known = VERSIONS.iter().map(|version| version.number).max().unwrap_or_default();
    let done = match database {
        Database::Sqlite => timeout(PATIENCE, migrate_file(&migrator, connection)).await,
        Database::Postgres(_) => timeout(PATIENCE, migrator.run_direct(None, connection, false)).await,
    };
    done.map_err(|_| StoreError::TimedOut)?.map_err(|error| match error {
        MigrateError::VersionMissing(version) => StoreError::Newer { version, known },
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => StoreError::from(error),
        other => StoreError::Migration(Box::new(other)),
    })
}

fn migrator(database: &Database) -> Migrator {
    let migration = |version: &Version| {
        let text = match database {
            Database::Sqlite => version.sqlite,
            Database::Postgres(_) => version.postgres,
        };
        Migration::new(version.number, Cow::Borrowed(version.name), MigrationType::Simple, text.into_sql_str(), false)
    };
    Migrator::with_migrations(VERSIONS.iter().map(migration).collect())
}

/// For PostgreSQL the driver takes a lock; for a file the whole is one transaction that waits for other writers.
async fn migrate_file(migrator: &Migrator, connection: &mut AnyConnection) -> Result<(), MigrateError> {
    write_ahead(connection).await?;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    migrator.run_direct(None, &mut *transaction, false).await?;
    transaction.commit().await?;
    Ok(())
}

/// Lets readers go on while somebody writes. The file remembers it; changing to it needs the file for oneself, and SQLite does
/// not wait for that.
async fn write_ahead(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    const WORDS: &str = "PRAGMA busy_timeout = 1900; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL";
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        match connection.execute(sqlx::raw_sql(WORDS)).await {
            Ok(_) => return Ok(()),
            Err(error) if is_busy(&error) && Instant::now() < deadline => {
                sleep(Duration::from_millis(20)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|refusal| refusal.code());
    // SQLITE_BUSY, with or without what it is more exactly in the higher bits.
    code.and_then(|code| code.parse::<u32>().ok()).is_some_and(|code| code & 0xff == 5)
}
