//! Owns: the form of a client assertion (RFC 7523 section 3), which may be keyed with a secret that both sides have.
//! Refuses: what [`super::CompactJws`] refuses; every MAC but HS256; keys shorter than its output (RFC 7518 section 3.2).
//! Always holds: it is a type apart: [`super::CompactJws`] and [`super::Algorithm`] know nothing symmetric, so no token for
//! access can be verified with a shared secret, nor with the text of a public key.

use std::{fmt, sync::Arc};

use aws_lc_rs::hmac;
use serde_json::{Map, Value};

use super::{Algorithm, BadSignature, JsonObject, JwsError, Member, compact_jws, header};

/// The shortest key, in bytes: the length of the hash.
const SHORTEST_KEY_BYTES: usize = 32;

/// A client assertion that has been taken apart and not been verified.
#[derive(Debug)]
pub struct ClientAssertion<'a> {
    algorithm: AssertionAlgorithm,
    key_id: Option<Arc<str>>,
    payload: Map<String, Value>,
    signing_input: &'a [u8],
    signature: Vec<u8>,
}

/// How an assertion is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssertionAlgorithm {
    /// By a signature.
    Signature(Algorithm),
    /// By HMAC with SHA-256 (`HS256`).
    HmacSha256,
}

/// A secret as the key of `HS256`.
pub struct MacKey {
    key: hmac::Key,
}

impl<'a> ClientAssertion<'a> {
    /// Takes `assertion` apart.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(assertion: &'a str) -> Result<Self, JwsError> {
        let parts = compact_jws::take_apart(assertion.as_bytes(), |encoded| {
            read_header(&compact_jws::header_members(encoded)?)
        })?;
        let (algorithm, key_id) = parts.header;
        Ok(Self {
            algorithm,
            key_id,
            payload: parts.payload.to_map(),
            signing_input: parts.signing_input,
            signature: parts.signature,
        })
    }

    /// Its `alg`.
    #[must_use]
    pub const fn algorithm(&self) -> AssertionAlgorithm {
        self.algorithm
    }

    /// Its `kid`: 1 to 256 bytes without control characters.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// The claims that nobody has verified yet.
    #[must_use]
    pub const fn unverified_payload(&self) -> &Map<String, Value> {
        &self.payload
    }

    /// What it is signed over (RFC 7515 section 5.1).
    #[must_use]
    pub const fn signing_input(&self) -> &[u8] {
        self.signing_input
    }

    /// The signature or MAC; never empty.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }
}

impl MacKey {
    /// A key of these bytes. None if they are too few.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (bytes.len() >= SHORTEST_KEY_BYTES).then(|| Self { key: hmac::Key::new(hmac::HMAC_SHA256, bytes) })
    }

    /// Verifies that `assertion` is keyed with it, in constant time.
    ///
    /// # Errors
    /// It is not, or it is signed instead.
    pub fn verify(&self, assertion: &ClientAssertion<'_>) -> Result<(), BadSignature> {
        if assertion.algorithm != AssertionAlgorithm::HmacSha256 {
            return Err(BadSignature);
        }
        hmac::verify(&self.key, assertion.signing_input(), assertion.signature()).map_err(|_| BadSignature)
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("MacKey([redacted])")
    }
}

fn read_header(members: &JsonObject) -> Result<(AssertionAlgorithm, Option<Arc<str>>), JwsError> {
    header::refuse_forbidden(members)?;
    let algorithm = if members.text("alg") == Some("HS256") {
        AssertionAlgorithm::HmacSha256
    } else {
        AssertionAlgorithm::Signature(header::algorithm(members.member("alg"))?)
    };
    let key_id = header::key_id(members.member("kid"))?;
    match members.member("typ") {
        None => {}
        Some(Member::Text(text)) => {
            let text = text.to_ascii_lowercase();
            let text = text.strip_prefix("application/").unwrap_or(&text);
            // `at+jwt` is a token for access, which its holder shows to others: they must not be able to use it here.
            if !matches!(text, "jwt" | "client-authentication+jwt") {
                return Err(JwsError::TypeUnknown);
            }
        }
        Some(_) => return Err(JwsError::TypeUnknown),
    }
    Ok((algorithm, key_id))
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    use super::*;

    const KEY: &[u8; 32] = b"an-assertion-key-of-thirty-two-b";

    fn keyed(header: &str, key: &[u8]) -> String {
        let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode("{}"));
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), input.as_bytes());
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(mac))
    }

    #[test]
    fn a_mac_is_verified_with_its_own_key_alone() {
        let text = keyed(r#"{"alg":"HS256","typ":"client-authentication+jwt"}"#, KEY);
        let assertion = ClientAssertion::parse(&text).unwrap();
        assert_eq!(assertion.algorithm(), AssertionAlgorithm::HmacSha256);
        assert!(MacKey::new(KEY).unwrap().verify(&assertion).is_ok());
        assert_eq!(MacKey::new(&[7; 32]).unwrap().verify(&assertion), Err(BadSignature));
        assert!(MacKey::new(&KEY[..31]).is_none());
        assert_eq!(format!("{:?}", MacKey::new(KEY)), "Some(MacKey([redacted]))");
        let claimed = keyed(r#"{"alg":"ES256"}"#, KEY);
        let assertion = ClientAssertion::parse(&claimed).unwrap();
        assert_eq!(MacKey::new(KEY).unwrap().verify(&assertion), Err(BadSignature), "its `alg` says otherwise");
    }

    #[test]
    fn a_mac_is_no_token_for_access() {
        let text = keyed(r#"{"alg":"HS256"}"#, KEY);
        assert_eq!(super::super::CompactJws::parse(&text).unwrap_err(), JwsError::AlgorithmSymmetric);
    }

    #[test]
    fn headers_that_could_change_the_rules_are_refused() {
        for (header, error) in [
            (r#"{"alg":"none"}"#, JwsError::AlgorithmNone),
            (r#"{"alg":"hs256"}"#, JwsError::AlgorithmSymmetric),
            (r#"{"alg":"HS384"}"#, JwsError::AlgorithmSymmetric),
            (r#"{"alg":["HS256"]}"#, JwsError::AlgorithmMissing),
            (r#"{"alg":"HS256","typ":"at+jwt"}"#, JwsError::TypeUnknown),
            (r#"{"alg":"HS256","typ":"application/at+JWT"}"#, JwsError::TypeUnknown),
            (r#"{"alg":"HS256","typ":7}"#, JwsError::TypeUnknown),
            (r#"{"alg":"HS256","kid":""}"#, JwsError::KeyIdUnusable),
            (r#"{"alg":"HS256","crit":["exp"]}"#, JwsError::ForbiddenMember { member: "crit" }),
            (r#"{"alg":"HS256","jwk":{}}"#, JwsError::ForbiddenMember { member: "jwk" }),
            (r#"{"alg":"HS256","jku":"https://a.example"}"#, JwsError::ForbiddenMember { member: "jku" }),
        ] {
            assert_eq!(ClientAssertion::parse(&keyed(header, KEY)).unwrap_err(), error, "{header}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,200}") {
            let _ = ClientAssertion::parse(&text);
        }
    }
}
