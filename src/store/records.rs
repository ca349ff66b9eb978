//! Owns: how what is in the store comes into a replica's memory.
//! Refuses: to leave out a removal because its tombstone was swept away: then everything is given.
//! Always holds: an answer shows one moment.

use sqlx::any::AnyRow;

use super::{
    error::StoreError,
    model::{Changes, Kind, Record, Revision, Revoked},
    open::Store,
    row,
    session::Session,
    statement::Statement,
};

/// How many rows are asked for at once: an answer of the driver is much larger than what is kept of it.
const PAGE: i64 = 5000;

impl Store {
    /// Every live record, every withdrawn token that has not been swept away, and the revision that they stand for.
    ///
    /// # Errors
    ///
    /// The database is away, or a row cannot be read.
    pub async fn load(&self) -> Result<Changes, StoreError> {
        let mut session = self.reader().await?;
        session.begin(self.database().begin_reading()).await?;
        let (revision, _) = bounds(&mut session).await?;
        let changes = everything(&mut session, revision).await?;
        session.commit().await?;
        Ok(changes)
    }

    /// What has changed after a revision; everything, if that can no longer be told, because it is too long ago or because the
    /// database was set back.
    ///
    /// # Errors
    ///
    /// The database is away, or a row cannot be read.
    pub async fn changes_since(&self, since: Revision) -> Result<Changes, StoreError> {
        let mut session = self.reader().await?;
        session.begin(self.database().begin_reading()).await?;
        let (revision, oldest) = bounds(&mut session).await?;
        let changes = if since < oldest || since > revision {
            everything(&mut session, revision).await?
        } else if since == revision {
            Changes { revision, ..Changes::default() }
        } else {
            let records = records(&mut session, since, "TRUE").await?;
            let revoked = revoked(&mut session, since).await?;
            Changes { revision, whole: false, records, revoked }
        };
        session.commit().await?;
        Ok(changes)
    }
}

/// The last revision, and the one from which on tombstones are still there.
async fn bounds(session: &mut Session) -> Result<(Revision, Revision), StoreError> {
    let row = session.row(Statement::new("SELECT value, oldest FROM revision")).await?;
    let row = row.ok_or(StoreError::Row { column: "value" })?;
    Ok((Revision::new(row::number(&row, "value")?), Revision::new(row::number(&row, "oldest")?)))
}

async fn everything(session: &mut Session, revision: Revision) -> Result<Changes, StoreError> {
    let records = records(session, Revision::default(), "document IS NOT NULL").await?;
    let revoked = revoked(session, Revision::default()).await?;
    Ok(Changes { revision, whole: true, records, revoked })
}

/// By pages; `rest` is a condition that the records have to meet besides.
async fn records(session: &mut Session, since: Revision, rest: &'static str) -> Result<Vec<Record>, StoreError> {
    let mut found = Vec::new();
    // Smaller than every record of the next revision, in whatever order the database has texts.
    let mut last = (since.number().saturating_add(1), String::new(), String::new());
    loop {
        let statement =
            Statement::new("SELECT revision, kind, id, document FROM records WHERE (revision, kind, id) > (")
                .value(last.0)
                .text(", ")
                .value(&last.1)
                .text(", ")
                .value(&last.2)
                .text(") AND ")
                .text(rest)
                .text(" ORDER BY revision, kind, id LIMIT ")
                .value(PAGE);
        let rows = session.rows(statement).await?;
        let Some(end) = rows.last() else { return Ok(found) };
        last = (row::number(end, "revision")?, row::text(end, "kind")?, row::text(end, "id")?);
        for row in &rows {
            found.push(record(row)?);
        }
    }
}

/// The record of a row.
pub(super) fn record(row: &AnyRow) -> Result<Record, StoreError> {
    let kind = Kind::parse(&row::text(row, "kind")?).ok_or(StoreError::Row { column: "kind" })?;
    Ok(Record { kind, id: row::text(row, "id")?, document: row::optional_text(row, "document")? })
}

async fn revoked(session: &mut Session, since: Revision) -> Result<Vec<Revoked>, StoreError> {
    let mut found = Vec::new();
    let mut last = (since.number().saturating_add(1), Vec::new());
    loop {
        let statement = Statement::new(
            "SELECT revision, token_id, expires_at FROM revocations WHERE (revision, token_id) > ($1, $2) \
             ORDER BY revision, token_id LIMIT $3",
        );
        let rows = session.rows(statement.bind(last.0).bind(last.1.as_slice()).bind(PAGE)).await?;
        let Some(end) = rows.last() else { return Ok(found) };
        last = (row::number(end, "revision")?, row::bytes(end, "token_id")?);
        for row in &rows {
            let token = row::token_id(row, "token_id")?;
            found.push(Revoked { token, expires_at: row::optional_moment(row, "expires_at")? });
        }
    }
}
