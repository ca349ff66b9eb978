//! Owns: the answer of the `frontegg` dialect that carries tokens, in the spellings of its two versions.
//! Always holds: the expiry is told twice, in seconds and as a date; not at all for a token that never expires.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use httpdate::fmt_http_date;
use serde::Serialize;

use super::super::{Naming, answer};
use crate::{clock::UnixTime, oauth::ExchangedToken, secret::Secret};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CamelCase<'a> {
    access_token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
}

#[derive(Serialize)]
struct SnakeCase<'a> {
    access_token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
}

/// The answer that carries `token`.
pub(super) fn tokens(token: &ExchangedToken, naming: Naming) -> Response<Full<Bytes>> {
    let (access_token, refresh_token) = (token.access_token.expose(), token.refresh_token.as_ref().map(Secret::expose));
    let (expires_in, expires) = (token.lifetime.map(|lifetime| lifetime.as_secs()), token.expires_at.and_then(date));
    match naming {
        Naming::CamelCase => {
            answer::json(StatusCode::OK, &CamelCase { access_token, refresh_token, expires_in, expires })
        }
        Naming::SnakeCase => {
            answer::json(StatusCode::OK, &SnakeCase { access_token, refresh_token, expires_in, expires })
        }
    }
}

/// The last second that a date of HTTP can be written for: the end of the year 9999.
const LAST_DATE_SECONDS: u64 = 253_402_300_799;

/// A date as the product writes it, like `Sun, 06 Nov 1994 08:49:37 GMT`.
fn date(moment: UnixTime) -> Option<String> {
    let seconds = Some(moment.as_seconds()).filter(|seconds| *seconds <= LAST_DATE_SECONDS)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).map(fmt_http_date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_end_with_the_year_9999() {
        let of = |seconds| date(UnixTime::from_seconds(seconds));
        assert_eq!(of(784_111_777).as_deref(), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
        assert_eq!(of(LAST_DATE_SECONDS).as_deref(), Some("Fri, 31 Dec 9999 23:59:59 GMT"));
        assert_eq!((of(LAST_DATE_SECONDS + 1), of(u64::MAX)), (None, None));
    }
}
