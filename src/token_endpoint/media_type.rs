//! Owns: in which of two forms the parameters of a request come.
//! Refuses: two `Content-Type` fields, since two readers could each believe another.

use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

/// The two media types in which parameters come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MediaType {
    Form,
    Json,
}

impl MediaType {
    /// The media type that the request says, its parameters aside; none if it says none, another or two.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let text = only(headers.get_all(CONTENT_TYPE).iter())?.to_str().ok()?;
        let essence = text.split(';').next()?.trim();
        if essence.eq_ignore_ascii_case(FORM) {
            Some(Self::Form)
        } else if essence.eq_ignore_ascii_case(JSON) {
            Some(Self::Json)
        } else {
            None
        }
    }

    /// A form if the request says so, JSON whatever else it says; none if it says two things.
    pub(super) fn form_or_json(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(CONTENT_TYPE).iter();
        match (values.next(), values.next()) {
            (_, Some(_)) => None,
            (None, None) => Some(Self::Json),
            (Some(_), None) => Some(Self::of(headers).unwrap_or(Self::Json)),
        }
    }
}

/// The one value; none if there are more or fewer.
pub(super) fn only<'a>(mut values: impl Iterator<Item = &'a HeaderValue>) -> Option<&'a HeaderValue> {
    let value = values.next()?;
    values.next().is_none().then_some(value)
}
