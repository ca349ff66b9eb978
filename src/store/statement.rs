//! Owns: SQL text with its arguments, in the words that both databases understand: placeholders are `$1`, `$2`, ...
//! Refuses: a text that only one of the databases would keep.
//! Always holds: what comes from outside is an argument and never part of the text.

use std::{borrow::Cow, fmt::Write as _};

use sqlx::{Any, Arguments, AssertSqlSafe, Encode, Type, any::AnyArguments, query::Query};

use super::{error::StoreError, model::Revision};
use crate::{clock::UnixTime, id::TokenId};

/// A statement to be run once.
pub(super) struct Statement {
    text: Cow<'static, str>,
    arguments: AnyArguments,
    fault: Option<StoreError>,
}

impl Statement {
    /// One whose text is known, or its beginning.
    pub(super) fn new(text: &'static str) -> Self {
        Self { text: Cow::Borrowed(text), arguments: AnyArguments::default(), fault: None }
    }

    /// Gives the next argument for a placeholder that stands in the text.
    pub(super) fn bind(mut self, value: impl Argument) -> Self {
        self.add(value);
        self
    }

    /// Continues the text.
    pub(super) fn text(mut self, more: &'static str) -> Self {
        self.text.to_mut().push_str(more);
        self
    }

    /// Continues the text with a placeholder, and gives its argument.
    pub(super) fn value(mut self, value: impl Argument) -> Self {
        self.add(value);
        let number = self.arguments.len();
        // Writing to a `String` does not fail.
        let _ = write!(self.text.to_mut(), "${number}");
        self
    }

    /// Continues the text with a condition on a column, if there is a value to compare it with.
    pub(super) fn and(self, condition: &'static str, value: Option<impl Argument>) -> Self {
        match value {
            Some(value) => self.text(" AND ").text(condition).text(" ").value(value),
            None => self,
        }
    }

    /// Continues the text with a list of placeholders in parentheses, and gives their arguments.
    pub(super) fn list<T: Argument>(mut self, values: impl IntoIterator<Item = T>) -> Self {
        for (place, value) in values.into_iter().enumerate() {
            self = self.text(if place == 0 { "(" } else { ", " }).value(value);
        }
        self.text(")")
    }

    /// The statement as the driver runs it.
    pub(super) fn into_query(self) -> Result<Query<'static, Any, AnyArguments>, StoreError> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        Ok(sqlx::query_with(AssertSqlSafe(self.text), self.arguments))
    }

    fn add(&mut self, value: impl Argument) {
        if let Err(fault) = value.add_to(&mut self.arguments) {
            self.fault = Some(fault);
        }
    }
}

/// What can be an argument.
pub(super) trait Argument {
    /// Adds it.
    fn add_to(self, arguments: &mut AnyArguments) -> Result<(), StoreError>;
}

impl Argument for &str {
    fn add_to(self, arguments: &mut AnyArguments) -> Result<(), StoreError> {
        if self.contains('\0') {
            return Err(StoreError::NulCharacter);
        }
        add(arguments, self)
    }
}

impl Argument for &String {
    fn add_to(self, arguments: &mut AnyArguments) -> Result<(), StoreError> {
        self.as_str().add_to(arguments)
    }
}

impl Argument for Option<&str> {
    fn add_to(self, arguments: &mut AnyArguments) -> Result<(), StoreError> {
        match self {
            Some(text) => text.add_to(arguments),
            None => add(arguments, None::<String>),
        }
    }
}

impl Argument for &[u8] {
    fn add_to(self, arguments: &mut AnyArguments) -> Result<(), StoreError> {
        add(arguments, self)
    }
}

impl Argument for i64 {
    fn add_to(self, arguments: &mut AnyArguments) -> Result<(), StoreError> {
        add(arguments, self)
    }
}

impl Argument for Revision {
    fn add_to(self, arguments: &mut AnyArguments) -> Result<(), StoreError> {
        add(arguments, self.number())
    }
}

impl Argument for TokenId {
    fn add_to(self, arguments: &mut AnyArguments) -> Result<(), StoreError> {
        add(arguments, self.as_bytes().as_slice())
    }
}

impl Argument for UnixTime {
    fn add_to(self, arguments: &mut AnyArguments) -> Result<(), StoreError> {
        add(arguments, milliseconds(self))
    }
}

impl Argument for Option<UnixTime> {
    fn add_to(self, arguments: &mut AnyArguments) -> Result<(), StoreError> {
        add(arguments, self.map(milliseconds))
    }
}

/// The last moment that a column can hold stands for all later ones.
fn milliseconds(moment: UnixTime) -> i64 {
    i64::try_from(moment.as_milliseconds()).unwrap_or(i64::MAX)
}

fn add<'a>(arguments: &mut AnyArguments, value: impl Encode<'a, Any> + Type<Any>) -> Result<(), StoreError> {
    arguments.add(value).map_err(|cause| StoreError::Statement(sqlx::Error::Encode(cause)))
}
