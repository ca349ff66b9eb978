//! Owns: the error answer of RFC 6749 section 5.2, whose shape two dialects share.
//! Always holds: two members, `error` and `error_description`.

use std::borrow::Cow;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;

use super::{ProviderRefusal, answer};

/// What is said about a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wording {
    pub(super) status: StatusCode,
    /// The `error` code.
    pub(super) code: Cow<'static, str>,
    /// The `error_description`.
    pub(super) description: Cow<'static, str>,
}

#[derive(Serialize)]
struct Failure<'a> {
    error: &'a str,
    error_description: &'a str,
}

impl Wording {
    pub(super) fn new(
        status: StatusCode,
        code: impl Into<Cow<'static, str>>,
        description: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { status, code: code.into(), description: description.into() }
    }

    /// What an outside provider says, in its own words where it has some: `code` and `description` are said where not.
    pub(super) fn of_provider(
        refusal: &ProviderRefusal,
        status: StatusCode,
        code: &'static str,
        description: &'static str,
    ) -> Self {
        let own_code = refusal.code.as_deref().map(|code| Cow::Owned(code.to_owned()));
        let own_description = refusal.description.as_ref().map(|description| Cow::Owned(description.to_string()));
        Self::new(
            status,
            own_code.unwrap_or(Cow::Borrowed(code)),
            own_description.unwrap_or(Cow::Borrowed(description)),
        )
    }

    /// The answer that says so.
    pub(super) fn response(&self) -> Response<Full<Bytes>> {
        answer::json(self.status, &Failure { error: &self.code, error_description: &self.description })
    }
}
