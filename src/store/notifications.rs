//! Owns: hearing of changes that were made elsewhere, where the database can tell.
//! Refuses: to connect again in silence: what was announced meanwhile would be missed.
//! Always holds: a connection that is dead is noticed, even if nobody says so.

use std::{fmt, time::Duration};

use sqlx::{Executor, postgres::PgListener};
use tokio::time::{Instant, timeout};

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

/// How long the answer to that may take: less than whoever listens stays at it, who looks at the store now and then.
const ANSWER: Duration = Duration::from_millis(900);

/// Announcements of changes.
pub struct Notifications {
    listener: PgListener,
    /// When there was a sign of life last.
    alive_at: Instant,
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
        Ok(Some(Notifications { listener, alive_at: Instant::now() }))
    }
}

impl Notifications {
    /// Waits for a change, made anywhere; several that were made quickly may be one. May be given up and begun again at any time.
    ///
    /// # Errors
    ///
    /// The connection was lost, and changes may have been missed: listen and load anew.
    pub async fn next(&mut self) -> Result<(), StoreError> {
        loop {
            match timeout(SILENCE.saturating_sub(self.alive_at.elapsed()), self.listener.try_recv()).await {
                Ok(Ok(Some(_))) => {
                    self.alive_at = Instant::now();
                    while self.listener.next_buffered().is_some() {}
                    return Ok(());
                }
                Ok(Ok(None)) => return Err(StoreError::ListeningEnded),
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => {
                    let alive = timeout(ANSWER, (&mut self.listener).execute("SELECT 1")).await;
                    alive.map_err(|_| StoreError::ListeningEnded)??;
                    self.alive_at = Instant::now();
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
