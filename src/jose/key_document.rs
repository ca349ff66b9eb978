//! Owns: a key set document (RFC 7517 section 5), read key by key.
//! Refuses: a document without one usable key, or with more than 100.
//! Always holds: no two usable keys have one id; whatever was left out is listed with its reason.

use serde_json::{Map, Value};
use thiserror::Error;

use super::{SkipReason, VerificationKey, key_id};

/// The most keys that a document may hold.
const MOST_KEYS: usize = 100;

/// The keys of an issuer as its document lists them.
#[derive(Debug)]
pub struct KeyDocument {
    /// The usable ones, at least one, in the document's order.
    pub keys: Vec<VerificationKey>,
    /// The others.
    pub skipped: Vec<SkippedKey>,
}

/// A key that is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedKey {
    /// Its `kid`, if it has one that can be shown.
    pub key_id: Option<String>,
    /// The reason.
    pub why: SkipReason,
}

/// Why a document is no key set.
#[derive(Debug, Error)]
pub enum KeyDocumentError {
    /// It is not JSON.
    #[error("the key document is not JSON")]
    NotJson(#[source] serde_json::Error),
    /// It has no list of keys.
    #[error("the key document has no list `keys`")]
    NoKeyList,
    /// It lists more than 100 keys.
    #[error("the key document lists {count} keys; at most 100 are accepted")]
    TooManyKeys {
        /// How many.
        count: usize,
    },
    /// None of its keys can be used.
    #[error("the key document has no usable key; it lists {}", .skipped.len())]
    NoUsableKey {
        /// What became of those that it lists.
        skipped: Vec<SkippedKey>,
    },
}

impl KeyDocument {
    /// Reads a document. A key that cannot be used is left out and said, and spoils none of the others. Of members
    /// repeated inside a key the last one counts, as RFC 7517 section 4 allows.
    ///
    /// # Errors
    /// The document is none, or has no usable key.
    pub fn parse(document: &[u8]) -> Result<Self, KeyDocumentError> {
        let document: Map<String, Value> = serde_json::from_slice(document).map_err(KeyDocumentError::NotJson)?;
        let Some(Value::Array(listed)) = document.get("keys") else { return Err(KeyDocumentError::NoKeyList) };
        if listed.len() > MOST_KEYS {
            return Err(KeyDocumentError::TooManyKeys { count: listed.len() });
        }
        let mut keys: Vec<VerificationKey> = Vec::with_capacity(listed.len());
        let mut skipped = Vec::new();
        for value in listed {
            let parsed = match value {
                Value::Object(jwk) => VerificationKey::parse(jwk),
                _ => Err(SkipReason::Malformed { member: "key" }),
            };
            match parsed {
                Ok(key) => keys.push(key),
                Err(why) => skipped.push(SkippedKey { key_id: shown_key_id(value), why }),
            }
        }
        skip_repeated(&mut keys, &mut skipped);
        if keys.is_empty() { Err(KeyDocumentError::NoUsableKey { skipped }) } else { Ok(Self { keys, skipped }) }
    }
}

/// Two usable keys of one id cannot be told apart by a token, so none of them is used.
fn skip_repeated(keys: &mut Vec<VerificationKey>, skipped: &mut Vec<SkippedKey>) {
    let ids: Vec<Option<String>> = keys.iter().map(|key| key.key_id().map(str::to_owned)).collect();
    keys.retain(|key| {
        let Some(key_id) = key.key_id() else { return true };
        let unique = ids.iter().filter(|id| id.as_deref() == Some(key_id)).count() == 1;
        if !unique {
            skipped.push(SkippedKey { key_id: Some(key_id.to_owned()), why: SkipReason::RepeatedKeyId });
        }
        unique
    });
}

fn shown_key_id(value: &Value) -> Option<String> {
    let text = value.get("kid")?.as_str()?;
    key_id::is_acceptable(text).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::jose::{
        Algorithm,
        forge::{EC, ED, RSA, SigningKey, changed},
    };

    fn parse(keys: &[Value]) -> Result<KeyDocument, KeyDocumentError> {
        KeyDocument::parse(json!({ "keys": keys }).to_string().as_bytes())
    }

    fn why(jwk: Value) -> SkipReason {
        // A sound key beside it, which an odd one must not spoil.
        let mut document = parse(&[changed(ED.jwk(), json!({ "kid": "control" })), jwk]).unwrap();
        assert_eq!(document.keys.len(), 1);
        document.skipped.remove(0).why
    }

    #[test]
    fn keys_are_read_in_order_and_do_what_their_kind_can() {
        let limited = changed(RSA.jwk(), json!({ "kid": "ps", "alg": "PS256", "use": "sig", "key_ops": ["verify"] }));
        let nameless = changed(EC.jwk(), json!({ "kid": null, "x5t": "abc", "unknown": {} }));
        let document = parse(&[RSA.jwk(), limited, nameless, ED.jwk()]).unwrap();
        assert_eq!(document.skipped, []);
        let found: Vec<_> = document.keys.iter().map(|key| (key.key_id(), key.algorithms().count())).collect();
        assert_eq!(found, [(Some("rsa"), 6), (Some("ps"), 1), (None, 1), (Some("ed"), 1)]);
        assert!(document.keys[1].fits(Algorithm::Ps256) && !document.keys[1].fits(Algorithm::Rs256));
        assert_eq!(document.keys[0].thumbprint(), document.keys[1].thumbprint());
        assert_ne!(document.keys[0], document.keys[1]);
        assert_eq!(document.keys[3], parse(&[ED.jwk()]).unwrap().keys[0]);
    }

    #[test]
    fn the_thumbprint_is_that_of_the_rfc() {
        // RFC 7638 section 3.1.
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3okn\
                 jhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qM\
                 QvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJz\
                 KnqDKgw";
        let document =
            parse(&[json!({ "kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29" })]).unwrap();
        assert_eq!(document.keys[0].thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn each_unusable_key_is_left_out_with_its_reason() {
        let short = changed(RSA.jwk(), json!({ "n": format!("{}w", "u".repeat(170)) }));
        let off_curve = changed(EC.jwk(), json!({ "x": ED.jwk()["x"] }));
        let ec = |changes: Value| changed(EC.jwk(), changes);
        let rsa = |changes: Value| changed(RSA.jwk(), changes);
        for (jwk, reason) in [
            (json!("key"), SkipReason::Malformed { member: "key" }),
            (ec(json!({ "kty": 1 })), SkipReason::Malformed { member: "kty" }),
            (ec(json!({ "kty": null })), SkipReason::Malformed { member: "kty" }),
            (ec(json!({ "kty": "AKP" })), SkipReason::UnknownKeyType),
            (ec(json!({ "kid": 1 })), SkipReason::Malformed { member: "kid" }),
            (ec(json!({ "kid": "a\nb" })), SkipReason::UnusableKeyId),
            (ec(json!({ "use": "enc" })), SkipReason::NotForSignatures),
            (ec(json!({ "use": ["sig"] })), SkipReason::Malformed { member: "use" }),
            (ec(json!({ "key_ops": ["sign"] })), SkipReason::NotForVerification),
            (ec(json!({ "key_ops": "verify" })), SkipReason::Malformed { member: "key_ops" }),
            (json!({ "kty": "oct", "k": "c2VjcmV0" }), SkipReason::Symmetric),
            (ec(json!({ "d": "AA" })), SkipReason::Private { member: "d" }),
            (rsa(json!({ "p": "AA" })), SkipReason::Private { member: "p" }),
            (ec(json!({ "k": "AA" })), SkipReason::Private { member: "k" }),
            (short, SkipReason::ModulusSize { bits: 1024 }),
            (rsa(json!({ "n": format!("_{}", "u".repeat(1366)) })), SkipReason::Malformed { member: "n" }),
            (rsa(json!({ "n": format!("_{}A", "u".repeat(1366)) })), SkipReason::ModulusSize { bits: 8208 }),
            (rsa(json!({ "n": "AAAA" })), SkipReason::Malformed { member: "n" }),
            (rsa(json!({ "n": 5 })), SkipReason::Malformed { member: "n" }),
            (rsa(json!({ "e": "AQ" })), SkipReason::Exponent),
            (rsa(json!({ "e": "Ag" })), SkipReason::Exponent),
            (rsa(json!({ "e": "" })), SkipReason::Exponent),
            (rsa(json!({ "e": "AQAB=" })), SkipReason::Malformed { member: "e" }),
            (ec(json!({ "crv": "P-521" })), SkipReason::UnsuitableCurve),
            (ec(json!({ "crv": "secp256k1" })), SkipReason::UnsuitableCurve),
            (ec(json!({ "crv": "Ed25519" })), SkipReason::UnsuitableCurve),
            (ec(json!({ "y": null })), SkipReason::Malformed { member: "x" }),
            (ec(json!({ "x": "AA" })), SkipReason::Malformed { member: "x" }),
            (off_curve, SkipReason::Invalid),
            (changed(ED.jwk(), json!({ "crv": "X25519" })), SkipReason::UnsuitableCurve),
            (changed(ED.jwk(), json!({ "x": "AA" })), SkipReason::Malformed { member: "x" }),
            (ec(json!({ "alg": "HS256" })), SkipReason::UnknownAlgorithm),
            (ec(json!({ "alg": "ECDH-ES" })), SkipReason::UnknownAlgorithm),
            (ec(json!({ "alg": "RS256" })), SkipReason::UnsuitableAlgorithm { algorithm: Algorithm::Rs256 }),
            (ec(json!({ "alg": "ES384" })), SkipReason::UnsuitableAlgorithm { algorithm: Algorithm::Es384 }),
        ] {
            assert_eq!(why(jwk.clone()), reason, "{jwk}");
        }
    }

    #[test]
    fn two_keys_of_one_id_are_both_left_out() {
        let other = SigningKey::generate("ec", Algorithm::Es256);
        let document = parse(&[EC.jwk(), RSA.jwk(), other.jwk()]).unwrap();
        assert_eq!(document.keys.len(), 1);
        let repeated = SkippedKey { key_id: Some("ec".to_owned()), why: SkipReason::RepeatedKeyId };
        assert_eq!(document.skipped, [repeated.clone(), repeated]);
    }

    #[test]
    fn a_document_without_usable_keys_is_none() {
        let many: Vec<Value> = (0..101).map(|number| changed(ED.jwk(), json!({ "kid": number.to_string() }))).collect();
        assert!(matches!(parse(&many), Err(KeyDocumentError::TooManyKeys { count: 101 })));
        assert_eq!(parse(&many[..100]).unwrap().keys.len(), 100);
        assert!(matches!(parse(&[]), Err(KeyDocumentError::NoUsableKey { .. })));
        assert!(
            matches!(parse(&[json!({ "kty": "oct" })]), Err(KeyDocumentError::NoUsableKey { skipped }) if skipped.len() == 1)
        );
        for (text, expected) in [
            ("", "not JSON"),
            ("<html>", "not JSON"),
            ("[]", "not JSON"),
            ("{}", "list `keys`"),
            ("{\"keys\":{}}", "list `keys`"),
        ] {
            let error = KeyDocument::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
