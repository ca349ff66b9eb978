//! Owns: what may be used once only: assertions and refresh tokens.
//! Refuses: to hold either; hashes are kept.
//! Always holds: of all who come with the same one, on all replicas, one is told yes.

use aws_lc_rs::digest::{SHA256, digest};

use super::{change::Change, error::StoreError, open::Store, row, statement::Statement};
use crate::clock::UnixTime;

impl Store {
    /// Takes a client's assertion by its `jti` (RFC 7523 section 3, item 7), and remembers it until it has expired; `false`: it
    /// was taken before.
    ///
    /// # Errors
    ///
    /// The database is away: then the assertion must be refused.
    pub async fn take_assertion(&self, client_id: &str, jti: &str, expires_at: UnixTime) -> Result<bool, StoreError> {
        let statement = Statement::new(
            "INSERT INTO taken_assertions (client_id, jti_hash, expires_at) VALUES ($1, $2, $3) \
             ON CONFLICT (client_id, jti_hash) DO NOTHING",
        );
        let hash = digest(&SHA256, jti.as_bytes());
        let statement = statement.bind(client_id).bind(hash.as_ref()).bind(expires_at);
        Ok(self.writer().await?.execute(statement).await? == 1)
    }

    /// Keeps a refresh token, by its hash, that belongs to an API token.
    ///
    /// # Errors
    ///
    /// The database is away: then the refresh token must not be answered.
    pub async fn put_refresh(
        &self,
        hash: &[u8; 32],
        api_token_id: &str,
        expires_at: UnixTime,
    ) -> Result<(), StoreError> {
        let statement =
            Statement::new("INSERT INTO refresh_tokens (hash, api_token_id, expires_at) VALUES ($1, $2, $3)");
        let statement = statement.bind(hash.as_slice()).bind(api_token_id).bind(expires_at);
        self.writer().await?.execute(statement).await.map(|_| ())
    }

    /// The API token that a refresh token belongs to, if it is there and has not expired. It stays there.
    ///
    /// # Errors
    ///
    /// The database is away.
    pub async fn find_refresh(&self, hash: &[u8; 32], now: UnixTime) -> Result<Option<String>, StoreError> {
        let statement = Statement::new("SELECT api_token_id FROM refresh_tokens WHERE hash = $1 AND expires_at > $2");
        let row = self.reader().await?.row(statement.bind(hash.as_slice()).bind(now)).await?;
        row.map(|row| row::text(&row, "api_token_id")).transpose()
    }

    /// Puts another refresh token in the place of one that is there and has not expired; whether it was. Of several who replace
    /// one, one does.
    ///
    /// # Errors
    ///
    /// The database is away: then the new one must not be answered.
    pub async fn replace_refresh(
        &self,
        hash: &[u8; 32],
        by: &[u8; 32],
        expires_at: UnixTime,
        now: UnixTime,
    ) -> Result<bool, StoreError> {
        let statement =
            Statement::new("UPDATE refresh_tokens SET hash = $1, expires_at = $2 WHERE hash = $3 AND expires_at > $4");
        let statement = statement.bind(by.as_slice()).bind(expires_at).bind(hash.as_slice()).bind(now);
        Ok(self.writer().await?.execute(statement).await? == 1)
    }
}

impl Change {
    /// Takes away all refresh tokens of an API token.
    ///
    /// # Errors
    ///
    /// The database is away.
    pub async fn drop_refresh_of(&mut self, api_token_id: &str) -> Result<(), StoreError> {
        let statement = Statement::new("DELETE FROM refresh_tokens WHERE api_token_id = $1").bind(api_token_id);
        self.session.execute(statement).await.map(|_| ())
    }
}
