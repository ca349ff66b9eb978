//! Owns: the identifiers that Postern makes or takes over: request ids and token ids.
//! Refuses: a request id from outside that could break a log line or a header.
//! Always holds: an id is 1 to 128 visible ASCII characters and a valid header value.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use http::HeaderValue;
use uuid::{Builder, Uuid};

/// The longest request id taken over from a caller, in bytes.
const LONGEST_REQUEST_ID_BYTES: usize = 128;

/// Names one request in the answer, the access log and the upstream's log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestId {
    /// As it is sent, twice for each request: it is made into a field's value once.
    value: HeaderValue,
}

impl RequestId {
    /// A new id, for what begins so many milliseconds after the Unix epoch: a UUID version 7 (RFC 9562 section 5.7), so that ids sort
    /// by time.
    #[must_use]
    pub fn generate(unix_milliseconds: u64) -> Self {
        // `Uuid::now_v7` counts under a lock that all workers would share; random bits tell ids of one millisecond apart.
        let [random @ .., _, _, _, _, _, _] = rand::random::<u128>().to_le_bytes();
        let uuid = Builder::from_unix_timestamp_millis(unix_milliseconds, &random).into_uuid();
        let mut buffer = Uuid::encode_buffer();
        let text: &str = uuid.as_hyphenated().encode_lower(&mut buffer);
        // Hexadecimal digits can stand in a field.
        Self { value: HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("-")) }
    }

    /// Takes over a caller's id if it is sane: 1 to 128 characters out of letters, digits and `-_.:+/=`.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.is_empty() || text.len() > LONGEST_REQUEST_ID_BYTES {
            return None;
        }
        if !text.iter().all(|byte| is_sane(*byte)) {
            return None;
        }
        HeaderValue::from_bytes(text).ok().map(|value| Self { value })
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.value.to_str().unwrap_or_default()
    }

    /// The id as a field's value. Cloning it copies no text.
    #[must_use]
    pub const fn header_value(&self) -> &HeaderValue {
        &self.value
    }
}

/// Whether it may stand in a request id.
const fn is_sane(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'_' | b'.' | b':' | b'+' | b'/' | b'=')
}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Names one token of the embedded issuer, in the store, in lists and in revocations: its `jti` (RFC 7519 section 4.1.7), a
/// UUID. A token without one, as some dialects have them, is named by what was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId {
    uuid: Uuid,
}

impl TokenId {
    /// A fresh one: random (UUID version 4).
    #[must_use]
    pub fn generate() -> Self {
        Self { uuid: Uuid::new_v4() }
    }

    /// Reads one in the form that [`fmt::Display`] writes; any other way to write a UUID is refused, so that one token has one
    /// name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let uuid = Uuid::try_parse(text).ok()?;
        let mut buffer = Uuid::encode_buffer();
        let canonical: &str = uuid.as_hyphenated().encode_lower(&mut buffer);
        (canonical == text).then_some(Self { uuid })
    }

    /// The name of a token without `jti`: the hash of its JWS signing input (RFC 7515 section 5.1), as a UUID of version 8. Not
    /// of its signature: an ECDSA signature can be rewritten into another one that is as good.
    #[must_use]
    pub fn of_signing_input(signing_input: &[u8]) -> Self {
        let hash = digest(&SHA256, signing_input);
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(hash.as_ref()).for_each(|(byte, hashed)| *byte = *hashed);
        Self { uuid: Builder::from_custom_bytes(bytes).into_uuid() }
    }

    /// Its 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.uuid.as_bytes()
    }

    /// The one of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self { uuid: Uuid::from_bytes(bytes) }
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uuid.as_hyphenated().fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_ids_are_sane_and_differ() {
        let (first, second) = (RequestId::generate(1), RequestId::generate(1));
        assert_ne!(first, second);
        assert_eq!(RequestId::parse(first.as_str().as_bytes()), Some(first));
    }

    #[test]
    fn generated_ids_say_when_they_were_made() {
        let begun = 1_700_000_000_123;
        for _ in 0..100 {
            let id = Uuid::try_parse(RequestId::generate(begun).as_str()).unwrap();
            assert_eq!((id.get_version_num(), id.get_variant()), (7, uuid::Variant::RFC4122));
            assert_eq!(id.get_timestamp().unwrap().to_unix(), (1_700_000_000, 123_000_000));
        }
        let (early, late) = (RequestId::generate(begun), RequestId::generate(begun + 1));
        assert!(early.as_str() < late.as_str());
    }

    #[test]
    fn one_token_has_one_name() {
        let id = TokenId::generate();
        assert_eq!(TokenId::parse(&id.to_string()), Some(id));
        assert_eq!(TokenId::from_bytes(*id.as_bytes()), id);
        for other in [id.to_string().to_uppercase(), format!("{{{id}}}"), format!("urn:uuid:{id}"), String::new()] {
            assert_eq!(TokenId::parse(&other), None, "{other}");
        }
        let (first, second) = (TokenId::of_signing_input(b"a.b"), TokenId::of_signing_input(b"a.c"));
        assert!(first != second && first == TokenId::of_signing_input(b"a.b"));
    }

    #[test]
    fn hostile_ids_are_not_taken_over() {
        for hostile in [&b""[..], b"a b", b"a\r\nx: y", b"a\"b", "\u{1b}[0m".as_bytes(), &[b'a'; 129]] {
            assert_eq!(RequestId::parse(hostile), None, "{hostile:?}");
        }
    }
}
