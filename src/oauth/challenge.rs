//! Owns: the `WWW-Authenticate` value of a resource that wants a bearer token (RFC 6750 section 3).
//! Refuses: characters that the grammar has no place for; they are left out.
//! Always holds: the value is one challenge, whatever texts it was made of.

use http::HeaderValue;

use super::ErrorCode;

/// As long as nearly all challenges are at most.
const CHALLENGE_BYTES: usize = 128;

/// A challenge under construction: `Bearer realm="...", error="...", error_description="...", scope="..."`.
#[derive(Clone, Debug)]
pub struct Challenge {
    text: String,
}

impl Challenge {
    /// A bare challenge, for a request that brought no token: it must not name an error (RFC 6750 section 3.1).
    #[must_use]
    pub fn bearer(realm: &str) -> Self {
        let mut challenge = Self { text: String::with_capacity(CHALLENGE_BYTES) };
        challenge.text.push_str("Bearer");
        challenge.attribute(" ", "realm", realm);
        challenge
    }

    /// Adds the error and a sentence about it.
    #[must_use]
    pub fn error(mut self, code: ErrorCode, description: &str) -> Self {
        self.attribute(", ", "error", code.as_str());
        self.attribute(", ", "error_description", description);
        self
    }

    /// Adds the scopes that would have been needed, separated by spaces.
    #[must_use]
    pub fn scope(mut self, needed: &str) -> Self {
        self.attribute(", ", "scope", needed);
        self
    }

    /// The header's value.
    #[must_use]
    pub fn header_value(&self) -> HeaderValue {
        // Every character was let in by `attribute`, so the second branch is never taken; it is the same challenge, bare.
        HeaderValue::from_str(&self.text).unwrap_or_else(|_| HeaderValue::from_static("Bearer"))
    }

    /// RFC 6750 section 3 leaves out `"` and `\` for `error_description` and `scope`, so no escape is ever needed.
    fn attribute(&mut self, separator: &str, name: &str, value: &str) {
        self.text.push_str(separator);
        self.text.push_str(name);
        self.text.push_str("=\"");
        let is_let_in = |byte: u8| matches!(byte, b' '..=b'~') & (byte != b'"') & (byte != b'\\');
        if value.bytes().all(is_let_in) {
            self.text.push_str(value);
        } else {
            self.text.extend(value.bytes().filter(|byte| is_let_in(*byte)).map(char::from));
        }
        self.text.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_reads_as_the_rfc_writes_it() {
        assert_eq!(Challenge::bearer("postern").header_value(), "Bearer realm=\"postern\"");
        let full = Challenge::bearer("postern").error(ErrorCode::InsufficientScope, "more is needed").scope("a b");
        assert_eq!(
            full.header_value(),
            "Bearer realm=\"postern\", error=\"insufficient_scope\", error_description=\"more is needed\", scope=\"a b\""
        );
    }

    #[test]
    fn no_text_breaks_out_of_its_quotes() {
        let hostile = "x\", error=\"none\\\r\nSet-Cookie: a\u{e9}";
        assert_eq!(Challenge::bearer(hostile).header_value(), "Bearer realm=\"x, error=noneSet-Cookie: a\"");
    }
}
