//! Owns: the log of who changed what, and when.
//! Refuses: an entry without the change that it is about: both are committed together.
//! Always holds: entries are numbered in the order of their changes.

use serde_json::Value;

use super::{change::Change, error::StoreError, open::Store, row, statement::Statement};
use crate::clock::UnixTime;

/// One line of it.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEntry {
    /// When.
    pub at: UnixTime,
    /// Who.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// To what.
    pub subject: String,
    /// What else there is to say; no secrets.
    pub detail: Value,
}

impl Change {
    /// Enters what this change is about.
    ///
    /// # Errors
    ///
    /// The database is away.
    pub async fn audit(&mut self, entry: &AuditEntry) -> Result<(), StoreError> {
        let statement =
            Statement::new("INSERT INTO audit (at, actor, action, subject, detail) VALUES ($1, $2, $3, $4, $5)");
        let statement = statement.bind(entry.at).bind(&entry.actor).bind(&entry.action).bind(&entry.subject);
        self.session.execute(statement.bind(&entry.detail.to_string())).await.map(|_| ())
    }
}

impl Store {
    /// At most `limit` entries with their numbers, newest first, all before the number `before` if one is given.
    ///
    /// # Errors
    ///
    /// The database is away, or a row cannot be read.
    pub async fn audit(&self, limit: u32, before: Option<i64>) -> Result<Vec<(i64, AuditEntry)>, StoreError> {
        let statement = Statement::new("SELECT id, at, actor, action, subject, detail FROM audit WHERE TRUE")
            .and("id <", before)
            .text(" ORDER BY id DESC LIMIT ")
            .value(i64::from(limit));
        let rows = self.reader().await?.rows(statement).await?;
        let entry = |row| {
            let detail = serde_json::from_str(&row::text(row, "detail")?);
            let entry = AuditEntry {
                at: row::moment(row, "at")?,
                actor: row::text(row, "actor")?,
                action: row::text(row, "action")?,
                subject: row::text(row, "subject")?,
                detail: detail.map_err(|_| StoreError::Row { column: "detail" })?,
            };
            Ok((row::number(row, "id")?, entry))
        };
        rows.iter().map(entry).collect()
    }
}
