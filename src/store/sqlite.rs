//! Owns: how a SQLite file is created and opened.
//! Refuses: a new file that others than its owner can read.
//! Always holds: a commit has reached the disk when it returns; one connection of a process writes, and others read meanwhile.

use std::{
    fs::{DirBuilder, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use sqlx::{
    Executor,
    any::{Any, AnyPoolOptions},
    pool::PoolOptions,
};

use super::{error::StoreError, session::LIMIT};

/// Reading is done by the management API and by `catch_up`; neither is done by many at once.
const READERS: u32 = 4;

/// What every connection is told. The write-ahead log is a property of the file, and set when its tables are made. Waiting for
/// other processes ends a little before [`LIMIT`] does, so that the answer is "busy" and the connection stays usable.
const WRITER: &str = "PRAGMA busy_timeout = 1900; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
                      PRAGMA secure_delete = ON; \
                      PRAGMA journal_size_limit = 67108864";
const READER: &str = "PRAGMA busy_timeout = 1900; PRAGMA query_only = ON";

/// Creates the file and the directories above it if they are not there. SQLite gives the files that it puts beside it the same
/// permissions.
pub(super) fn create(file: &Path) -> Result<(), StoreError> {
    if let Some(directory) = file.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|source| StoreError::File { path: directory.to_owned(), source })?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(source) => Err(StoreError::File { path: file.to_owned(), source }),
    }
}

/// The URL by which the driver opens it: every character of the path that could mean something is escaped.
pub(super) fn url(file: &Path) -> Result<String, StoreError> {
    let unusable = || StoreError::File {
        path: file.to_owned(),
        source: io::Error::new(io::ErrorKind::InvalidInput, "the path is not UTF-8"),
    };
    let path = file.to_str().ok_or_else(unusable)?;
    Ok(format!("sqlite://{}", percent_encode(path.as_bytes(), PATH)))
}

/// Slashes stay, so that the URL has no host and its path is the file's.
const PATH: &percent_encoding::AsciiSet = &NON_ALPHANUMERIC.remove(b'/');

/// The connection that writes.
pub(super) fn writer() -> PoolOptions<Any> {
    connections(1, WRITER)
}

/// The connections that read.
pub(super) fn reader() -> PoolOptions<Any> {
    connections(READERS, READER)
}

fn connections(most: u32, settings: &'static str) -> PoolOptions<Any> {
    AnyPoolOptions::new()
        .max_connections(most)
        .acquire_timeout(LIMIT)
        // A file does not go away by itself, and opening it again costs more than asking it.
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .after_connect(move |connection, _| {
            Box::pin(async move { connection.execute(sqlx::raw_sql(settings)).await.map(|_| ()) })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stands_in_its_url_letter_by_letter() {
        for (path, expected) in [
            ("/var/lib/postern/postern.db", "sqlite:///var/lib/postern/postern%2Edb"),
            ("/a b/50%?mode=ro#x", "sqlite:///a%20b/50%25%3Fmode%3Dro%23x"),
        ] {
            assert_eq!(url(Path::new(path)).unwrap(), expected);
        }
    }
}
