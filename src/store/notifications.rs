//! Owns: hearing of changes that were made elsewhere, where the database can tell.
//! Refuses: to connect again in silence: what was announced meanwhile would be missed.
//! Always holds: a connection that is dead is noticed, even if nobody says so.

use std::{fmt, time::Duration};

use sqlx::{Executor, postgres::PgListener};
use tokio::time::timeout;

use super::{
    error::StoreError,
    open::{Database, Store},
    postgres,
    session::LIMIT,
};

const CHANNEL: &str = "postern_changes";

/// What a change says of itself to all who listen.
pub(super) const ANNOUNCE: &str = "NOTIFY postern_changes";

/// After how long a silence it is asked whether the connection is still there.
const SILENCE: Duration = Duration::from_secs(10);

/// Announcements of changes.
pub struct Notifications {
    listener: PgListener,
}

impl Store {
    /// Begins to listen for changes, those of this replica among them; `None`: this database (SQLite) announces nothing, and has
    /// to be asked from time to time. What is announced after this has returned is heard, so whoever loads after it misses
    /// nothing.
    ///
    /// # Errors
    ///
    /// The database is away.
    pub async fn listen(&self) -> Result<Option<Notifications>, StoreError> {
        let Database::Postgres(url) = self.database() else { return Ok(None) };
        let pool = postgres::listening_pool(url.expose())?;
        let listening = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.eager_reconnect(false);
            listener.listen(CHANNEL).await?;
            Ok::<_, sqlx::Error>(listener)
        };
        let listener = timeout(LIMIT, listening).await.map_err(|_| StoreError::TimedOut)??;
        Ok(Some(Notifications { listener }))
    }
}

impl Notifications {
    /// Waits for a change, made anywhere; several that were made quickly may be one.
    ///
    /// # Errors
    ///
    /// The connection was lost, and changes may have been missed: listen and load anew.
    pub async fn next(&mut self) -> Result<(), StoreError> {
        loop {
            match timeout(SILENCE, self.listener.try_recv()).await {
                Ok(Ok(Some(_))) => {
                    while self.listener.next_buffered().is_some() {}
                    return Ok(());
                }
                Ok(Ok(None)) => return Err(StoreError::ListeningEnded),
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => {
                    let alive = timeout(LIMIT, (&mut self.listener).execute("SELECT 1")).await;
                    alive.map_err(|_| StoreError::ListeningEnded)??;
                }
            }
        }
    }
}

impl fmt::Debug for Notifications {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Notifications").finish_non_exhaustive()
    }
}
