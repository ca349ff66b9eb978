//! Owns: the error answer of RFC 6749 section 5.2, whose shape two dialects share.
//! Always holds: two members, `error` and `error_description`.

use std::borrow::Cow;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;

use super::answer;

/// What is said about a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wording {
    pub(super) status: StatusCode,
    /// The `error` code.
    pub(super) code: &'static str,
    /// The `error_description`.
    pub(super) description: Cow<'static, str>,
}

#[derive(Serialize)]
struct Failure<'a> {
    error: &'static str,
    error_description: &'a str,
}

impl Wording {
    pub(super) fn new(status: StatusCode, code: &'static str, description: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, description: description.into() }
    }

    /// The answer that says so.
    pub(super) fn response(&self) -> Response<Full<Bytes>> {
        answer::json(self.status, &Failure { error: self.code, error_description: &self.description })
    }
}
