//! Owns: a change: one transaction that takes the next revision.
//! Refuses: to be half made: dropping it, or a part of it that fails, takes all of it back.
//! Always holds: changes of all replicas follow one another, so a change sees every one before it, and revisions are in the order
//! of commits.

use tokio::{sync::OwnedSemaphorePermit, time::timeout};

use super::{
    error::StoreError,
    model::{Kind, Record, Revision},
    notifications::ANNOUNCE,
    open::{Database, Store},
    records::record,
    row,
    session::{LIMIT, Session},
    statement::Statement,
};

/// A change that is being made. Nothing of it can be seen by others before [`Change::commit`] has returned.
///
/// While one is open, all other changes wait, and with SQLite everything else that is written: whoever holds one writes through
/// it only, and does not wait for anything slow.
#[must_use = "a change that is not committed is not made"]
pub struct Change {
    pub(super) session: Session,
    pub(super) store: Store,
    revision: Revision,
    _turn: OwnedSemaphorePermit,
}

impl Store {
    /// Begins a change: waits for the changes before it, of this replica and of others.
    ///
    /// # Errors
    ///
    /// The database is away, or others did not come to an end in time.
    pub async fn change(&self) -> Result<Change, StoreError> {
        // All of it together: who has waited for changes that failed is not kept waiting for the same failure again.
        timeout(LIMIT, self.begin_change()).await.map_err(|_| StoreError::TimedOut)?
    }

    async fn begin_change(&self) -> Result<Change, StoreError> {
        let turn = self.turn().await?;
        let mut session = self.writer().await?;
        session.begin(self.database().begin_writing()).await?;
        let next = Statement::new("UPDATE revision SET value = value + 1 RETURNING value");
        let row = session.row(next).await?.ok_or(StoreError::Row { column: "value" })?;
        let revision = Revision::new(row::number(&row, "value")?);
        Ok(Change { session, store: self.clone(), revision, _turn: turn })
    }
}

impl Change {
    /// The document of a live record.
    ///
    /// # Errors
    ///
    /// The database is away.
    pub async fn find(&mut self, kind: Kind, id: &str) -> Result<Option<String>, StoreError> {
        let found = Statement::new("SELECT document FROM records WHERE kind = $1 AND id = $2 AND document IS NOT NULL");
        let row = self.session.row(found.bind(kind.as_str()).bind(id)).await?;
        row.map(|row| row::text(&row, "document")).transpose()
    }

    /// The live records of a kind, sorted by their ids.
    ///
    /// # Errors
    ///
    /// The database is away, or a row cannot be read.
    pub async fn list(&mut self, kind: Kind) -> Result<Vec<Record>, StoreError> {
        let all = Statement::new("SELECT kind, id, document FROM records WHERE kind = $1 AND document IS NOT NULL");
        let rows = self.session.rows(all.bind(kind.as_str())).await?;
        let mut records = rows.iter().map(record).collect::<Result<Vec<_>, _>>()?;
        // Here, since databases order texts each in their own way.
        records.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(records)
    }

    /// Keeps a document under a name, in place of one that is there.
    ///
    /// # Errors
    ///
    /// The database is away.
    pub async fn put(&mut self, kind: Kind, id: &str, document: &str) -> Result<(), StoreError> {
        let put = Statement::new(
            "INSERT INTO records (kind, id, revision, document) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (kind, id) DO UPDATE SET revision = excluded.revision, document = excluded.document",
        );
        let put = put.bind(kind.as_str()).bind(id).bind(self.revision).bind(document);
        self.session.execute(put).await.map(|_| ())
    }

    /// Removes a record; whether there was one.
    ///
    /// # Errors
    ///
    /// The database is away.
    pub async fn remove(&mut self, kind: Kind, id: &str) -> Result<bool, StoreError> {
        let remove = Statement::new(
            "UPDATE records SET document = NULL, revision = $1 WHERE kind = $2 AND id = $3 AND document IS NOT NULL",
        );
        Ok(self.session.execute(remove.bind(self.revision).bind(kind.as_str()).bind(id)).await? > 0)
    }

    /// The revision that this change will have.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// Makes the change durable, and announces it to the other replicas.
    ///
    /// # Errors
    ///
    /// A part of the change had failed, and nothing was made. Or the database went away meanwhile: then it is not known whether
    /// the change was made, and only [`Store::changes_since`] tells.
    pub async fn commit(mut self) -> Result<Revision, StoreError> {
        if matches!(self.store.database(), Database::Postgres(_)) {
            // It is sent when the transaction is committed, and not before.
            self.session.execute_words(ANNOUNCE).await?;
        }
        self.session.commit().await?;
        Ok(self.revision)
    }
}

impl std::fmt::Debug for Change {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Change").field("revision", &self.revision).finish_non_exhaustive()
    }
}
