//! Owns: a token as it stands in a request (RFC 6750 section 2.1), and why a request brings none.
//! Refuses: two in one field; other schemes.
//! Always holds: what comes out follows RFC 6750's `b64token` and is no longer than a token may be.

use std::fmt;

use thiserror::Error;

use crate::{jose::LONGEST_TOKEN_BYTES, oauth::ErrorCode};

/// How many dots a JWT has.
const JWT_DOTS: [usize; 2] = [2, 4];
/// How the base64url of a JSON object begins: `{"`.
const JWT_BEGINNING: &str = "eyJ";

/// A credential as it came in. Nobody has verified it.
#[derive(Clone, Copy)]
pub struct BearerToken<'a> {
    text: &'a str,
}

/// Why a request brings no single usable credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CredentialError {
    /// More than one field with a credential, or one with several credentials, or one beside a token in the query.
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

    /// Whether it says nothing itself: it is no JWT, which has two dots (RFC 7515 section 3.1) or, encrypted, four (RFC 7516
    /// section 3.1),
    /// nor a piece of one or more than one, which begins as the JSON of every header does and has a dot.
    #[must_use]
    pub fn is_opaque(&self) -> bool {
        let dots = self.text.bytes().filter(|byte| *byte == b'.').count();
        !JWT_DOTS.contains(&dots) && (dots == 0 || !self.text.starts_with(JWT_BEGINNING))
    }
}

impl fmt::Debug for BearerToken<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("BearerToken([redacted])")
    }
}

/// Whether all of it are characters of a `b64token`. There is no way out in the middle: the compiler then looks at 16 or 32 bytes
/// at a time, which took this from 5 % of a request's CPU to next to nothing.
fn is_b64token(text: &str) -> bool {
    text.bytes().fold(true, |all, byte| {
        let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
        // `-`, `.`, `/` and the digits stand side by side.
        let digit = byte.wrapping_sub(b'-') <= b'9' - b'-';
        let special = (byte == b'_') | (byte == b'~') | (byte == b'+');
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

/// The one token of an `Authorization` field.
pub fn from_authorization(authorization: &[u8]) -> Result<BearerToken<'_>, CredentialError> {
    from_list_of_one(after_scheme(authorization)?)
}

/// What stands in an `Authorization` field after the scheme `Bearer`.
pub(super) fn after_scheme(bytes: &[u8]) -> Result<&[u8], CredentialError> {
    let scheme_length = bytes.iter().position(|byte| *byte == b' ').unwrap_or(bytes.len());
    let (scheme, rest) = bytes.split_at_checked(scheme_length).ok_or(CredentialError::OtherScheme)?;
    // RFC 9110 section 11.1: schemes are compared without regard to case.
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        // `Bearer,Bearer x` and the like: a list, whose first element is not even a credential.
        let list = scheme.get(..7).is_some_and(|start| start.eq_ignore_ascii_case(b"bearer,"));
        return Err(if list { CredentialError::Several } else { CredentialError::OtherScheme });
    }
    let token = rest.iter().position(|byte| *byte != b' ').and_then(|start| rest.get(start..));
    Ok(token.unwrap_or_default())
}

/// The one token of a field's value. A comma is in no token: it begins another credential (RFC 9110 section 5.3 lets fields
/// be joined by commas).
pub(super) fn from_list_of_one(value: &[u8]) -> Result<BearerToken<'_>, CredentialError> {
    let text = std::str::from_utf8(value).map_err(|_| CredentialError::Malformed);
    // Looked for only in what is no token.
    text.and_then(BearerToken::parse)
        .map_err(|error| if value.contains(&b',') { CredentialError::Several } else { error })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: &[u8]) -> Result<String, CredentialError> {
        from_authorization(value).map(|token| token.as_str().to_owned())
    }

    #[test]
    fn a_bearer_token_is_found() {
        for value in [&b"Bearer a.b.c"[..], b"bearer a.b.c", b"BEARER   a.b.c"] {
            assert_eq!(of(value), Ok("a.b.c".to_owned()));
        }
    }

    #[test]
    fn what_may_be_a_jwt_or_a_piece_of_one_is_not_opaque() {
        for (text, opaque) in [
            ("a", true),
            ("a.b", true),
            ("a.b.c.d", true),
            ("eyJa", true),
            ("a.eyJb", true),
            ("a.b.c", false),
            ("..", false),
            ("a.b.c.d.e", false),
            ("eyJa.b", false),
            ("eyJa.", false),
            ("eyJa.b.c.d.e.f", false),
        ] {
            assert_eq!(BearerToken::parse(text).unwrap().is_opaque(), opaque, "{text}");
        }
    }

    #[test]
    fn a_list_of_them_is_refused() {
        for value in [&b"Bearer a, Bearer b"[..], b"Bearer a,Bearer b", b"Bearer ,b", b"Bearer, Bearer b", b"bearer,x"]
        {
            assert_eq!(of(value), Err(CredentialError::Several), "{value:?}");
        }
    }

    #[test]
    fn what_is_no_bearer_token_is_refused() {
        for value in [&b"Basic YTpi"[..], b"Bearera", b"", b"DPoP a", b"Bearer\ta"] {
            assert_eq!(of(value), Err(CredentialError::OtherScheme), "{value:?}");
        }
        for value in [
            &b"Bearer"[..],
            b"Bearer ",
            b"Bearer \ta",
            b"Bearer a b",
            b"Bearer a\"b",
            b"Bearer =a",
            b"Bearer a=b",
            b"Bearer \xff",
        ] {
            assert_eq!(of(value), Err(CredentialError::Malformed), "{value:?}");
        }
        let long = [&b"Bearer "[..], &vec![b'a'; LONGEST_TOKEN_BYTES + 1]].concat();
        assert_eq!(of(&long), Err(CredentialError::TooLarge { bytes: LONGEST_TOKEN_BYTES + 1 }));
    }

    #[test]
    fn every_error_says_what_to_answer() {
        assert_eq!(CredentialError::Several.error_code(), Some(ErrorCode::InvalidRequest));
        assert_eq!(CredentialError::OtherScheme.error_code(), None);
        assert_eq!(CredentialError::Malformed.error_code(), Some(ErrorCode::InvalidToken));
        assert_eq!(format!("{:?}", BearerToken::parse("canary").unwrap()), "BearerToken([redacted])");
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
