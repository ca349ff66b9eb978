//! Owns: how connections to PostgreSQL are kept.
//! Refuses: a server that goes on with what nobody waits for any more; a transaction that stands open because its replica went
//! away.
//! Always holds: a connection that was lost is noticed before it is lent, and replaced.

use std::time::Duration;

use sqlx::{
    Executor, PgPool,
    any::{Any, AnyPoolOptions},
    pool::PoolOptions,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::{error::StoreError, session::LIMIT};

/// One change, one batch of issued tokens, and some that read or take something once.
const CONNECTIONS: u32 = 8;

/// How long an unused connection is kept, in case of a firewall that forgets it.
const IDLE: Duration = Duration::from_secs(300);

/// Settings of a session, in milliseconds: each a little before we would lose patience, so that the server says why.
const SETTINGS: &str = "SET statement_timeout = 1900; SET lock_timeout = 1800; \
                        SET idle_in_transaction_session_timeout = 5000";

/// The connections that ask and answer.
pub(super) fn pool() -> PoolOptions<Any> {
    AnyPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(LIMIT).idle_timeout(IDLE).after_connect(
        |connection, _| Box::pin(async move { connection.execute(sqlx::raw_sql(SETTINGS)).await.map(|_| ()) }),
    )
}

/// The one connection that listens.
pub(super) fn listening_pool(url: &str) -> Result<PgPool, StoreError> {
    let options: PgConnectOptions = url.parse().map_err(StoreError::Url)?;
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(LIMIT).idle_timeout(None).max_lifetime(None);
    Ok(pool.connect_lazy_with(options))
}
