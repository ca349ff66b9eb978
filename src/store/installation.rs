//! Owns: what the installation as a whole has one of, such as its key.
//! Refuses: to overwrite what is not known.
//! Always holds: all replicas are given the same.

use super::{error::StoreError, open::Store, row, statement::Statement};

impl Store {
    /// What is kept under a name; if there is nothing, `if_absent` is kept there from now on. Of replicas that start at the same
    /// time all are given what the first one brought.
    ///
    /// # Errors
    ///
    /// The database is away.
    pub async fn installation(&self, name: &str, if_absent: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut session = self.writer().await?;
        let keep =
            Statement::new("INSERT INTO installation (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING");
        session.execute(keep.bind(name).bind(if_absent)).await?;
        let kept = Statement::new("SELECT value FROM installation WHERE name = $1").bind(name);
        let row = session.row(kept).await?.ok_or(StoreError::Row { column: "value" })?;
        row::bytes(&row, "value")
    }

    /// Replaces what is kept under a name if it is `expected`; whether it was.
    ///
    /// # Errors
    ///
    /// The database is away.
    pub async fn replace_installation(&self, name: &str, expected: &[u8], value: &[u8]) -> Result<bool, StoreError> {
        let replace = Statement::new("UPDATE installation SET value = $1 WHERE name = $2 AND value = $3");
        let replace = replace.bind(value).bind(name).bind(expected);
        Ok(self.writer().await?.execute(replace).await? == 1)
    }
}
