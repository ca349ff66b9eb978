//! Owns: sweeping away what nobody asks for any more.
//! Refuses: to keep others waiting: what is a lot is swept in many short transactions.
//! Always holds: a replica that slept misses no removal: it is told to load everything.

use std::time::Duration;

use super::{
    error::StoreError,
    open::{Database, Store},
    row,
    statement::Statement,
};
use crate::clock::UnixTime;

/// How long something is kept after its end, for clocks that are behind and for leeway.
pub(super) const LEEWAY: Duration = Duration::from_secs(10 * 60);

/// How long a tombstone is kept at least. A replica that was not there for longer loads everything.
const MOURNING: Duration = Duration::from_secs(24 * 60 * 60);

/// How many rows are deleted in one transaction.
const AT_ONCE: u64 = 1000;

/// How much was swept away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Records of tokens.
    pub issued: u64,
    /// Revocations.
    pub revocations: u64,
    /// Assertions that had been taken.
    pub assertions: u64,
    /// Refresh tokens that nobody took.
    pub refresh_tokens: u64,
    /// Tombstones of removed records.
    pub tombstones: u64,
}

impl Store {
    /// Sweeps away what has expired some minutes before `now`, and tombstones of at least a day. Replicas may do it at the same
    /// time.
    ///
    /// # Errors
    ///
    /// The database is away; the rest is left for the next time.
    pub async fn prune(&self, now: UnixTime) -> Result<Pruned, StoreError> {
        let end = now.minus(LEEWAY);
        Ok(Pruned {
            issued: self.sweep(&ISSUED, end).await?,
            revocations: self.sweep(&REVOCATIONS, end).await?,
            assertions: self.sweep(&ASSERTIONS, end).await?,
            refresh_tokens: self.sweep(&REFRESH_TOKENS, end).await?,
            tombstones: self.sweep_tombstones(now).await?,
        })
    }

    async fn sweep(&self, table: &Table, end: UnixTime) -> Result<u64, StoreError> {
        let mut swept = 0;
        loop {
            let statement = Statement::new(table.delete)
                .text(" (SELECT ")
                .text(table.key)
                .text(" FROM ")
                .text(table.name)
                .text(" WHERE expires_at <= ")
                .value(end)
                .text(" LIMIT 1000")
                .text(self.database().skip_locked())
                .text(")");
            // Each time a connection of its own, so that whoever waits for SQLite's only one gets it in between.
            let some = self.writer().await?.execute(statement).await?;
            swept += some;
            if some < AT_ONCE {
                return Ok(swept);
            }
        }
    }

    /// Two generations: tombstones go that were there already when the mark was set, and the mark is set anew, not more often
    /// than once a day. Setting it takes the lock that every change takes.
    async fn sweep_tombstones(&self, now: UnixTime) -> Result<u64, StoreError> {
        let mut session = self.writer().await?;
        session.begin(self.database().begin_writing()).await?;
        let mark = Statement::new(
            "UPDATE revision SET oldest = mark, mark = value, marked_at = $1 WHERE marked_at <= $2 RETURNING oldest",
        );
        let mut swept = 0;
        if let Some(row) = session.row(mark.bind(now).bind(now.minus(MOURNING))).await? {
            let oldest = row::number(&row, "oldest")?;
            let delete = Statement::new("DELETE FROM records WHERE document IS NULL AND revision <= $1").bind(oldest);
            swept = session.execute(delete).await?;
        }
        session.commit().await?;
        Ok(swept)
    }
}

/// A table whose rows expire.
struct Table {
    name: &'static str,
    key: &'static str,
    delete: &'static str,
}

const ISSUED: Table = Table { name: "issued_tokens", key: "id", delete: "DELETE FROM issued_tokens WHERE id IN" };
const REVOCATIONS: Table =
    Table { name: "revocations", key: "token_id", delete: "DELETE FROM revocations WHERE token_id IN" };
const ASSERTIONS: Table = Table {
    name: "taken_assertions",
    key: "client_id, jti_hash",
    delete: "DELETE FROM taken_assertions WHERE (client_id, jti_hash) IN",
};
const REFRESH_TOKENS: Table =
    Table { name: "refresh_tokens", key: "hash", delete: "DELETE FROM refresh_tokens WHERE hash IN" };

impl Database {
    /// Replicas that sweep at the same time do not wait for each other's rows, so they cannot wait in a circle either.
    const fn skip_locked(&self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres(_) => " FOR UPDATE SKIP LOCKED",
        }
    }
}
