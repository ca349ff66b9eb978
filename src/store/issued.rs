//! Owns: the record of every token that was issued.
//! Refuses: to hold the token itself; only what it says of itself is kept, and its name.
//! Always holds: many tokens are recorded in one commit.

use std::{fmt::Write as _, sync::LazyLock};

use super::{error::StoreError, open::Store, statement::Statement};
use crate::{clock::UnixTime, id::TokenId};

/// A token, as it is recorded before it is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedToken {
    /// Its name.
    pub id: TokenId,
    /// The client that it was issued to.
    pub client_id: String,
    /// Its `sub`.
    pub subject: String,
    /// In which dialect it was asked for.
    pub dialect: String,
    /// For which API it is.
    pub audience: String,
    /// Its scopes, separated by spaces.
    pub scope: Option<String>,
    /// The key that signed it.
    pub key_id: String,
    /// What whoever made it calls it.
    pub name: Option<String>,
    /// Whose it is.
    pub owner: Option<String>,
    /// The tenant that it belongs to.
    pub tenant: Option<String>,
    /// Since when it is.
    pub issued_at: UnixTime,
    /// When it ends; `None`: never.
    pub expires_at: Option<UnixTime>,
    /// Claims that it was made from, as JSON.
    pub original_claims: Option<String>,
}

const INTO: &str = "INSERT INTO issued_tokens (id, client_id, subject, dialect, audience, scope, key_id, name, owner, tenant, \
                    issued_at, expires_at, original_claims) VALUES ";
const COLUMNS: usize = 13;

/// Numbers of rows for which there is a statement, largest first: few, so that each is prepared once and then found again.
const ROWS: [usize; 5] = [256, 64, 16, 4, 1];

static STATEMENTS: LazyLock<[String; ROWS.len()]> = LazyLock::new(|| ROWS.map(insertion));

impl Store {
    /// Records tokens, all of them or none; one whose name is recorded already stays as it is. Fit for some thousand tokens a
    /// second, if they come by the hundred.
    ///
    /// # Errors
    ///
    /// The database is away: then none of the tokens may be answered.
    pub async fn record_issued(&self, tokens: &[IssuedToken]) -> Result<(), StoreError> {
        if tokens.is_empty() {
            return Ok(());
        }
        let mut session = self.writer().await?;
        session.begin(self.database().begin_writing()).await?;
        let mut rest = tokens;
        for (rows, text) in ROWS.into_iter().zip(STATEMENTS.iter()) {
            while let Some((part, others)) = rest.split_at_checked(rows) {
                session.execute(part.iter().fold(Statement::new(text), bind)).await?;
                rest = others;
            }
        }
        session.commit().await
    }

    /// Whether a token is recorded that a key signed and that has not expired at `at`.
    ///
    /// # Errors
    ///
    /// The database is away.
    pub async fn key_is_needed(&self, key_id: &str, at: UnixTime) -> Result<bool, StoreError> {
        let statement = Statement::new(
            "SELECT key_id FROM issued_tokens WHERE key_id = $1 AND (expires_at IS NULL OR expires_at > $2) LIMIT 1",
        );
        Ok(self.reader().await?.row(statement.bind(key_id).bind(at)).await?.is_some())
    }
}

fn insertion(rows: usize) -> String {
    let mut text = INTO.to_owned();
    for placeholder in 1..=rows * COLUMNS {
        text.push_str(match placeholder % COLUMNS {
            1 if placeholder == 1 => "(",
            1 => "), (",
            _ => ", ",
        });
        // Writing to a `String` does not fail.
        let _ = write!(text, "${placeholder}");
    }
    text.push_str(") ON CONFLICT (id) DO NOTHING");
    text
}

fn bind(statement: Statement, token: &IssuedToken) -> Statement {
    statement
        .bind(token.id)
        .bind(&token.client_id)
        .bind(&token.subject)
        .bind(&token.dialect)
        .bind(&token.audience)
        .bind(token.scope.as_deref())
        .bind(&token.key_id)
        .bind(token.name.as_deref())
        .bind(token.owner.as_deref())
        .bind(token.tenant.as_deref())
        .bind(token.issued_at)
        .bind(token.expires_at)
        .bind(token.original_claims.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_its_placeholders() {
        let text = insertion(2);
        assert!(text.contains("VALUES ($1, $2, $3"), "{text}");
        assert!(text.contains("$13), ($14, "), "{text}");
        assert!(text.ends_with("$26) ON CONFLICT (id) DO NOTHING"), "{text}");
    }

    #[test]
    fn the_largest_statement_stays_below_the_limits_of_both_databases() {
        // SQLite's SQLITE_MAX_VARIABLE_NUMBER; PostgreSQL's is 65535.
        assert!(ROWS.iter().all(|rows| rows * COLUMNS <= 32766));
        assert_eq!(ROWS.last(), Some(&1), "any number can be made up");
    }
}
