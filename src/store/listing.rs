//! Owns: looking at the tokens that were issued, by pages.
//! Refuses: a cursor that it did not write.
//! Always holds: newest first; a page begins where the one before it ended, whatever was issued meanwhile.

use std::fmt;

use sqlx::any::AnyRow;

use super::{error::StoreError, issued::IssuedToken, open::Store, row, statement::Statement};
use crate::{clock::UnixTime, id::TokenId};

/// Which of the recorded tokens are wanted; all of what is said must be true of one. The default is: every one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedFilter {
    /// It is one of these; empty: whichever it is.
    pub ids: Vec<TokenId>,
    /// It was issued to this client.
    pub client_id: Option<String>,
    /// It is this owner's.
    pub owner: Option<String>,
    /// It is this tenant's.
    pub tenant: Option<String>,
    /// It is for this API.
    pub audience: Option<String>,
    /// This key signed it.
    pub key_id: Option<String>,
    /// It may have been revoked.
    pub include_revoked: bool,
    /// It has not expired at this moment.
    pub live_at: Option<UnixTime>,
}

impl Default for IssuedFilter {
    fn default() -> Self {
        Self {
            ids: Vec::new(),
            client_id: None,
            owner: None,
            tenant: None,
            audience: None,
            key_id: None,
            include_revoked: true,
            live_at: None,
        }
    }
}

/// Where a page ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IssuedCursor {
    issued_at: UnixTime,
    id: TokenId,
}

impl IssuedCursor {
    /// Reads one in the form that [`fmt::Display`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (moment, id) = text.split_once('.')?;
        let milliseconds = u64::from_str_radix(moment, 16).ok()?;
        let cursor = Self { issued_at: UnixTime::from_milliseconds(milliseconds), id: TokenId::parse(id)? };
        (cursor.to_string() == text).then_some(cursor)
    }
}

impl fmt::Display for IssuedCursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:x}.{}", self.issued_at.as_milliseconds(), self.id)
    }
}

/// A recorded token, and what has become of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedToken {
    /// What was recorded.
    pub token: IssuedToken,
    /// Since when it is revoked; `None`: it is not.
    pub revoked_at: Option<UnixTime>,
}

impl ListedToken {
    const fn place(&self) -> IssuedCursor {
        IssuedCursor { issued_at: self.token.issued_at, id: self.token.id }
    }
}

/// A part of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IssuedPage {
    /// The tokens, newest first.
    pub tokens: Vec<ListedToken>,
    /// After which place to go on; `None`: this was the end.
    pub next: Option<IssuedCursor>,
}

/// How many tokens are named in one statement.
const NAMED_AT_ONCE: usize = 1000;

const SELECT: &str = "SELECT t.id, t.client_id, t.subject, t.dialect, t.audience, t.scope, t.key_id, t.name, t.owner, \
                      t.tenant, t.issued_at, t.expires_at, t.original_claims, r.revoked_at \
                      FROM issued_tokens t LEFT JOIN revocations r ON r.token_id = t.id WHERE ";

impl Store {
    /// At most `limit` recorded tokens, newest first, after a place if one is given.
    ///
    /// # Errors
    ///
    /// The database is away, or a row cannot be read.
    pub async fn issued(
        &self,
        filter: &IssuedFilter,
        limit: u32,
        after: Option<&IssuedCursor>,
    ) -> Result<IssuedPage, StoreError> {
        let mut session = self.reader().await?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        // One more, to see whether this is the end.
        let enough = limit.saturating_add(1);
        let mut tokens = Vec::new();
        let named: Vec<&[TokenId]> =
            if filter.ids.is_empty() { vec![&[]] } else { filter.ids.chunks(NAMED_AT_ONCE).collect() };
        for ids in &named {
            let rows = session.rows(filter.statement(ids, enough, after)).await?;
            for row in &rows {
                tokens.push(listed(row)?);
            }
        }
        if named.len() > 1 {
            tokens.sort_by_key(|token| std::cmp::Reverse(token.place()));
            // An id that was named twice.
            tokens.dedup_by_key(|token| token.token.id);
        }
        let more = tokens.len() > limit;
        tokens.truncate(limit);
        let next = if more { tokens.last().map(ListedToken::place) } else { None };
        Ok(IssuedPage { tokens, next })
    }

    /// One recorded token.
    ///
    /// # Errors
    ///
    /// The database is away, or the row cannot be read.
    pub async fn find_issued(&self, id: TokenId) -> Result<Option<ListedToken>, StoreError> {
        let statement = Statement::new(SELECT).text("t.id = ").value(id);
        let row = self.reader().await?.row(statement).await?;
        row.as_ref().map(listed).transpose()
    }
}

impl IssuedFilter {
    fn statement(&self, ids: &[TokenId], limit: usize, after: Option<&IssuedCursor>) -> Statement {
        let mut statement = Statement::new(SELECT).text("TRUE");
        if let Some(place) = after {
            statement = statement.text(" AND (t.issued_at, t.id) < (").value(place.issued_at);
            statement = statement.text(", ").value(place.id).text(")");
        }
        if !ids.is_empty() {
            statement = statement.text(" AND t.id IN ").list(ids.iter().copied());
        }
        if let Some(at) = self.live_at {
            statement = statement.text(" AND (t.expires_at IS NULL OR t.expires_at > ").value(at).text(")");
        }
        if !self.include_revoked {
            statement = statement.text(" AND r.token_id IS NULL");
        }
        statement
            .and("t.client_id =", self.client_id.as_deref())
            .and("t.owner =", self.owner.as_deref())
            .and("t.tenant =", self.tenant.as_deref())
            .and("t.audience =", self.audience.as_deref())
            .and("t.key_id =", self.key_id.as_deref())
            .text(" ORDER BY t.issued_at DESC, t.id DESC LIMIT ")
            .value(i64::try_from(limit).unwrap_or(i64::MAX))
    }
}

fn listed(row: &AnyRow) -> Result<ListedToken, StoreError> {
    let token = IssuedToken {
        id: row::token_id(row, "id")?,
        client_id: row::text(row, "client_id")?,
        subject: row::text(row, "subject")?,
        dialect: row::text(row, "dialect")?,
        audience: row::text(row, "audience")?,
        scope: row::optional_text(row, "scope")?,
        key_id: row::text(row, "key_id")?,
        name: row::optional_text(row, "name")?,
        owner: row::optional_text(row, "owner")?,
        tenant: row::optional_text(row, "tenant")?,
        issued_at: row::moment(row, "issued_at")?,
        expires_at: row::optional_moment(row, "expires_at")?,
        original_claims: row::optional_text(row, "original_claims")?,
    };
    Ok(ListedToken { token, revoked_at: row::optional_moment(row, "revoked_at")? })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_is_read_as_it_was_written(milliseconds: u64, id: [u8; 16]) {
            let issued_at = UnixTime::from_milliseconds(milliseconds);
            let cursor = IssuedCursor { issued_at, id: TokenId::from_bytes(id) };
            prop_assert_eq!(IssuedCursor::parse(&cursor.to_string()), Some(cursor));
        }

        #[test]
        fn what_is_no_cursor_is_refused(text in "[0-9a-fA-F+.-]{0,60}") {
            prop_assert!(IssuedCursor::parse(&text).is_none_or(|cursor| cursor.to_string() == text));
        }
    }
}
