//! Owns: the ways in which the store can fail, and which of them are the database's absence rather than a fault of ours.
//! Refuses: to show what was in a statement; an error names tables, columns and files.
//! Always holds: an error of the driver is sorted once, here.

use std::{io, path::PathBuf};

use sqlx::migrate::MigrateError;

/// Why the store did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is away, full, locked by others, or shutting down.
    #[error("the database cannot be used at the moment")]
    Unavailable(#[source] sqlx::Error),
    /// It did not answer in time. What was asked for may have been done all the same.
    #[error("the database did not answer in time")]
    TimedOut,
    /// Announcements of changes no longer arrive.
    #[error("the connection on which changes are announced was lost")]
    ListeningEnded,
    /// The location is no URL that the driver understands.
    #[error("the URL of the database cannot be used")]
    Url(#[source] sqlx::Error),
    /// The file of the database, or its directory, cannot be created.
    #[error("cannot create {}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The tables were made by a newer version of this program.
    #[error(
        "its tables have version {version}, and this program knows them up to version {known}: a newer one has used it"
    )]
    Newer {
        /// The version of the tables.
        version: i64,
        /// The newest that is known here.
        known: i64,
    },
    /// The tables cannot be made, or are not as an earlier version left them.
    #[error("its tables cannot be brought up to date")]
    Migration(#[source] Box<MigrateError>),
    /// A row holds what cannot be read.
    #[error("a row holds what cannot be read in `{column}`")]
    Row {
        /// The column.
        column: &'static str,
    },
    /// PostgreSQL keeps no text with a NUL character, so neither database is given one.
    #[error("a text with a NUL character cannot be kept")]
    NulCharacter,
    /// A statement of the transaction has failed before, so it must not be committed.
    #[error("a part of the change failed, so nothing of it was made")]
    Spoiled,
    /// The database refuses a statement.
    #[error("the database refuses a statement")]
    Statement(#[source] sqlx::Error),
}

impl StoreError {
    /// Whether the database was lost (connection, time, space, locks), so that the same call may succeed later, and not a fault
    /// of this program or of what is in the tables.
    #[must_use]
    pub const fn is_unavailable(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::TimedOut | Self::ListeningEnded => true,
            Self::Url(_)
            | Self::File { .. }
            | Self::Newer { .. }
            | Self::Migration(_)
            | Self::Row { .. }
            | Self::NulCharacter
            | Self::Spoiled
            | Self::Statement(_) => false,
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if is_absence(&error) { Self::Unavailable(error) } else { Self::Statement(error) }
    }
}

fn is_absence(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed
        // What is left of a conversation that broke off.
        | sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(refusal) => refusal.code().is_some_and(|code| is_code_of_absence(&code)),
        _ => false,
    }
}

/// PostgreSQL's codes have five characters (its documentation, appendix A); SQLite's are numbers of at most four digits, the
/// kind of the failure in the lower eight bits.
fn is_code_of_absence(code: &str) -> bool {
    if let (Ok(number), true) = (code.parse::<u32>(), code.len() < 5) {
        // BUSY, LOCKED, NOMEM, READONLY, IOERR, FULL, CANTOPEN, PROTOCOL
        return matches!(number & 0xff, 5 | 6 | 7 | 8 | 10 | 13 | 14 | 15);
    }
    // Connection; authorization; no such database; rolled back for others' sake; resources; operator; system.
    const CLASSES: &[&str] = &["08", "28", "3D", "40", "53", "57", "58"];
    // Lock not available; the transaction was idle for too long; a standby, on which nothing can be written.
    const CODES: &[&str] = &["55P03", "25P03", "25006"];
    CLASSES.iter().any(|class| code.starts_with(class)) || CODES.contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absence_is_told_from_faults_by_the_code() {
        for away in ["5", "261", "13", "10", "778", "08006", "57P01", "57014", "53300", "55P03", "40001", "25006"] {
            assert!(is_code_of_absence(away), "{away}");
        }
        for fault in ["1", "11", "19", "1555", "26", "23505", "42P01", "22021", "25P02"] {
            assert!(!is_code_of_absence(fault), "{fault}");
        }
    }
}
