//! Owns: a token's text taken apart (RFC 7515 section 3.1): header, payload, signature.
//! Refuses: everything that is not exactly one spelling of exactly one JWS with a JSON object in it.
//! Always holds: nothing in it is verified; a text beyond the size bound is refused before it is looked at.

use std::{ops::Range, rc::Rc};

use super::{JoseHeader, JsonObject, JwsError, KnownHeaders, Part, base64url, shape::Shape};

/// The longest token that is read, in bytes.
pub const LONGEST_TOKEN_BYTES: usize = 16 * 1024;

/// A token that has been taken apart and not been verified.
#[derive(Debug)]
pub struct CompactJws<'a> {
    header: JoseHeader,
    encoded_header: &'a [u8],
    payload: JsonObject,
    has_known_shape: bool,
    signing_input: &'a [u8],
    signature: Vec<u8>,
}

impl<'a> CompactJws<'a> {
    /// Takes `token` apart.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(token: &'a str) -> Result<Self, JwsError> {
        take_apart(token.as_bytes(), read_header).map(Self::of)
    }

    /// The same, without reading a header that is among those `known`. Nobody needs to have looked at the bytes: what comes out is made of
    /// letters of base64url and two dots.
    ///
    /// # Errors
    /// As of [`Self::parse`].
    pub fn parse_recalling(token: &'a [u8], known: &KnownHeaders) -> Result<Self, JwsError> {
        let read = |encoded: &[u8]| known.recall(encoded).map_or_else(|| Ok((read_header(encoded)?, None)), Ok);
        take_apart_recalling(token, read).map(Self::of)
    }

    /// The header.
    #[must_use]
    pub const fn header(&self) -> &JoseHeader {
        &self.header
    }

    /// The claims that nobody has verified yet.
    #[must_use]
    pub const fn unverified_payload(&self) -> &JsonObject {
        &self.payload
    }

    /// Gives up the claims.
    #[must_use]
    pub fn into_payload(self) -> JsonObject {
        self.payload
    }

    /// What the signature is made over (RFC 7515 section 5.1).
    #[must_use]
    pub const fn signing_input(&self) -> &[u8] {
        self.signing_input
    }

    /// The signature; never empty.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// The header as it was written.
    pub(super) const fn encoded_header(&self) -> &'a [u8] {
        self.encoded_header
    }

    /// Whether its payload has the shape that was known of another one's.
    pub(super) const fn has_known_shape(&self) -> bool {
        self.has_known_shape
    }

    fn of(parts: Parts<'a, JoseHeader>) -> Self {
        let Parts { header, encoded_header, payload, has_known_shape, signing_input, signature } = parts;
        Self { header, encoded_header, payload, has_known_shape, signing_input, signature }
    }
}

/// A JWS taken apart, its header read in one way or another.
pub(super) struct Parts<'a, H> {
    pub(super) header: H,
    pub(super) encoded_header: &'a [u8],
    pub(super) payload: JsonObject,
    pub(super) has_known_shape: bool,
    pub(super) signing_input: &'a [u8],
    pub(super) signature: Vec<u8>,
}

/// Takes `token` apart; what its header may say is for `read_header` to tell, which is given the header as it is written.
pub(super) fn take_apart<H>(
    token: &[u8],
    read_header: impl FnOnce(&[u8]) -> Result<H, JwsError>,
) -> Result<Parts<'_, H>, JwsError> {
    take_apart_recalling(token, |encoded| read_header(encoded).map(|header| (header, None)))
}

/// The same, where what tells the header may know what shape the payload behind it has.
fn take_apart_recalling<H>(
    token: &[u8],
    read_header: impl FnOnce(&[u8]) -> Result<(H, Option<Rc<Shape>>), JwsError>,
) -> Result<Parts<'_, H>, JwsError> {
    if token.len() > LONGEST_TOKEN_BYTES {
        return Err(JwsError::TooLarge { bytes: token.len() });
    }
    let mut dots = memchr::memchr_iter(b'.', token);
    let (first, second) = match (dots.next(), dots.next(), dots.next()) {
        (Some(first), Some(second), None) => (first, second),
        (.., Some(_)) if dots.by_ref().count() == 1 => return Err(JwsError::Encrypted),
        _ => return Err(JwsError::NotThreeParts),
    };
    let part = |range: Range<usize>| token.get(range).ok_or(JwsError::NotThreeParts);
    let (encoded_header, payload, signature) =
        (part(0..first)?, part(first + 1..second)?, part(second + 1..token.len())?);
    let signing_input = part(0..second)?;
    let (header, shape) = read_header(encoded_header)?;
    if signature.is_empty() {
        return Err(JwsError::EmptySignature);
    }
    let signature = base64url::decode(signature).ok_or(JwsError::NotBase64Url { part: Part::Signature })?;
    let (payload, has_known_shape) = object(payload, Part::Payload, shape.as_deref())?;
    Ok(Parts { header, encoded_header, payload, has_known_shape, signing_input, signature })
}

/// The members of a header as it is written.
pub(super) fn header_members(encoded: &[u8]) -> Result<JsonObject, JwsError> {
    object(encoded, Part::Header, None).map(|(members, _)| members)
}

fn read_header(encoded: &[u8]) -> Result<JoseHeader, JwsError> {
    JoseHeader::parse(&header_members(encoded)?)
}

fn object(encoded: &[u8], part: Part, shape: Option<&Shape>) -> Result<(JsonObject, bool), JwsError> {
    let text = base64url::decode(encoded).ok_or(JwsError::NotBase64Url { part })?;
    JsonObject::parse_like(text, shape).map_err(|fault| JwsError::of_json(fault, part))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    use super::*;
    use crate::jose::{Algorithm, TokenType};

    fn token(header: &str, payload: &str) -> String {
        format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload))
    }

    fn header_error(header: &str) -> JwsError {
        CompactJws::parse(&token(header, "{}")).map(|jws| jws.header).unwrap_err()
    }

    #[test]
    fn a_sound_token_is_taken_apart() {
        let text = token(r#"{"alg":"ES256","kid":"k1","typ":"application/AT+JWT","x5t":"abc"}"#, r#"{"iss":"a"}"#);
        let jws = CompactJws::parse(&text).unwrap();
        assert_eq!(jws.header().algorithm(), Algorithm::Es256);
        assert_eq!((jws.header().key_id(), jws.header().token_type()), (Some("k1"), TokenType::AccessToken));
        assert_eq!((jws.signature(), jws.unverified_payload().len()), (&b"sig"[..], 1));
        assert!(text.as_bytes().starts_with(jws.signing_input()));
    }

    #[test]
    fn headers_that_could_change_the_rules_are_refused() {
        for (members, error) in [
            (r#""alg":"none""#, JwsError::AlgorithmNone),
            (r#""alg":"nOnE""#, JwsError::AlgorithmNone),
            (r#""alg":"HS256""#, JwsError::AlgorithmSymmetric),
            (r#""alg":"es256""#, JwsError::AlgorithmUnknown),
            (r#""alg":"ES256K""#, JwsError::AlgorithmUnknown),
            (r#""alg":""#, JwsError::NotJson { part: Part::Header }),
            (r#""alg":["ES256"]"#, JwsError::AlgorithmMissing),
            (r#""kid":"a""#, JwsError::AlgorithmMissing),
            (r#""alg":"ES256","kid":7"#, JwsError::KeyIdUnusable),
            (r#""alg":"ES256","kid":null"#, JwsError::KeyIdUnusable),
            (r#""alg":"ES256","kid":"""#, JwsError::KeyIdUnusable),
            (r#""alg":"ES256","kid":"a\r\nb""#, JwsError::KeyIdUnusable),
            (r#""alg":"ES256","typ":"dpop+jwt""#, JwsError::TypeUnknown),
            (r#""alg":"ES256","typ":"logout+jwt""#, JwsError::TypeUnknown),
            (r#""alg":"ES256","typ":1"#, JwsError::TypeUnknown),
            (r#""alg":"ES256","alg":"none""#, JwsError::RepeatedMember { part: Part::Header }),
            (r#""alg":"ES256","\u0061lg":"ES256""#, JwsError::RepeatedMember { part: Part::Header }),
        ] {
            assert_eq!(header_error(&format!("{{{members}}}")), error, "{members}");
        }
        for member in ["crit", "b64", "jwk", "jku", "x5u", "x5c", "enc", "zip"] {
            for value in ["null", "[]", "[\"exp\"]", "\"https://evil.example/\"", "false", "{}"] {
                let header = format!(r#"{{"alg":"ES256","{member}":{value}}}"#);
                assert_eq!(header_error(&header), JwsError::ForbiddenMember { member }, "{header}");
            }
        }
        let long = format!(r#"{{"alg":"ES256","kid":"{}"}}"#, "k".repeat(257));
        assert_eq!(header_error(&long), JwsError::KeyIdUnusable);
    }

    #[test]
    fn the_form_is_exact() {
        let sound = token(r#"{"alg":"ES256"}"#, "{}");
        assert!(CompactJws::parse(&sound).is_ok());
        let (header, rest) = sound.split_once('.').unwrap();
        for (text, error) in [
            (String::new(), JwsError::NotThreeParts),
            ("a.b".to_owned(), JwsError::NotThreeParts),
            (format!("{sound}.x"), JwsError::NotThreeParts),
            ("a.b.c.d.e".to_owned(), JwsError::Encrypted),
            (format!("{header}=.{rest}"), JwsError::NotBase64Url { part: Part::Header }),
            (format!(" {sound}"), JwsError::NotBase64Url { part: Part::Header }),
            (format!("{sound}\n"), JwsError::NotBase64Url { part: Part::Signature }),
            (format!("{sound}="), JwsError::NotBase64Url { part: Part::Signature }),
            (format!("{header}.e31.c2lo="), JwsError::NotBase64Url { part: Part::Signature }),
            (format!("{header}.e31.c2l"), JwsError::NotBase64Url { part: Part::Signature }),
            (format!("{header}.e31."), JwsError::EmptySignature),
            (token(r#"{"alg":"ES256"}"#, "[]"), JwsError::NotAnObject { part: Part::Payload }),
            (token(r#"{"alg":"ES256"}"#, r#"{"a":1,"a":2}"#), JwsError::RepeatedMember { part: Part::Payload }),
            (token(r#"{"alg":"ES256"}"#, r#"{"exp":1e400}"#), JwsError::NotJson { part: Part::Payload }),
        ] {
            assert_eq!(CompactJws::parse(&text).map(|jws| jws.header), Err(error), "{text}");
        }
    }

    #[test]
    fn huge_tokens_are_refused_cheaply() {
        let nested = token(r#"{"alg":"ES256"}"#, &"{\"a\":".repeat(2000));
        let hostile = ["a".repeat(1 << 20), ".".repeat(1_000_000), ".".repeat(LONGEST_TOKEN_BYTES), nested];
        for text in &hostile {
            // The best of a few, since another process may take the processor away.
            let best = (0..5).map(|_| {
                let start = Instant::now();
                assert!(CompactJws::parse(text).is_err());
                start.elapsed()
            });
            assert!(best.min().unwrap() < Duration::from_millis(10));
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,200}") {
            let _ = CompactJws::parse(&text);
        }

        #[test]
        fn no_header_or_payload_panics(header in "\\PC{0,80}", payload in any::<Vec<u8>>()) {
            let text = format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(&header), URL_SAFE_NO_PAD.encode(&payload));
            prop_assert!(CompactJws::parse(&text).is_err() || header.contains("alg"));
        }

        #[test]
        fn what_parses_reads_as_serde_json_reads_it(name in "[a-z]{1,4}", number in any::<i64>(), text in "\\PC{0,20}") {
            let payload = serde_json::json!({ name: [number, text] });
            let token = token(r#"{"alg":"ES256"}"#, &payload.to_string());
            let jws = CompactJws::parse(&token).unwrap();
            prop_assert_eq!(serde_json::Value::Object(jws.into_payload().to_map()), payload);
        }
    }
}
