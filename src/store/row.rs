//! Owns: reading the columns of a row.
//! Refuses: what is not of the type that the column has; naming what was in it.
//! Always holds: a column is called by its name.

use sqlx::{Any, Decode, Row, Type, any::AnyRow};

use super::error::StoreError;
use crate::{clock::UnixTime, id::TokenId};

/// A text.
pub(super) fn text(row: &AnyRow, column: &'static str) -> Result<String, StoreError> {
    read(row, column)
}

/// A text, or NULL.
pub(super) fn optional_text(row: &AnyRow, column: &'static str) -> Result<Option<String>, StoreError> {
    read(row, column)
}

/// A number.
pub(super) fn number(row: &AnyRow, column: &'static str) -> Result<i64, StoreError> {
    read(row, column)
}

/// Bytes.
pub(super) fn bytes(row: &AnyRow, column: &'static str) -> Result<Vec<u8>, StoreError> {
    read(row, column)
}

/// A moment.
pub(super) fn moment(row: &AnyRow, column: &'static str) -> Result<UnixTime, StoreError> {
    optional_moment(row, column)?.ok_or(StoreError::Row { column })
}

/// A moment, or NULL.
pub(super) fn optional_moment(row: &AnyRow, column: &'static str) -> Result<Option<UnixTime>, StoreError> {
    let milliseconds: Option<i64> = read(row, column)?;
    let moment = |milliseconds| u64::try_from(milliseconds).map(UnixTime::from_milliseconds);
    milliseconds.map(moment).transpose().map_err(|_| StoreError::Row { column })
}

/// The name of a token.
pub(super) fn token_id(row: &AnyRow, column: &'static str) -> Result<TokenId, StoreError> {
    let bytes: &[u8] = read(row, column)?;
    bytes.try_into().map(TokenId::from_bytes).map_err(|_| StoreError::Row { column })
}

fn read<'r, T: Decode<'r, Any> + Type<Any>>(row: &'r AnyRow, column: &'static str) -> Result<T, StoreError> {
    row.try_get(column).map_err(|_| StoreError::Row { column })
}
