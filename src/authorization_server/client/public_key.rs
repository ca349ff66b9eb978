//! Owns: a public key as somebody registers it: PEM (RFC 7468 section 13) or JWK (RFC 7517 section 4).
//! Refuses: private and symmetric keys, certificates, more than one key in one text.
//! Always holds: both forms are held to the same rules, those of the keys that issuers publish.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rustls_pki_types::pem::{PemObject as _, SectionKind};
use serde_json::{Map, Value, json};
use thiserror::Error;
use x509_parser::{
    oid_registry::{
        OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_PKCS1_RSAENCRYPTION, OID_SIG_ED25519,
    },
    prelude::FromDer as _,
    public_key::PublicKey,
    x509::SubjectPublicKeyInfo,
};

use super::PublicKeyDefinition;
use crate::jose::{SkipReason, VerificationKey};

/// Why a text is no public key. Nothing of the text is repeated.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum PublicKeyError {
    #[error("it is neither PEM nor a JWK")]
    NeitherPemNorJwk,
    #[error("it is a private key, which nobody but the client may have")]
    Private,
    #[error("it is a certificate or something else, and no public key")]
    OtherSection,
    #[error("it holds several keys")]
    Several,
    #[error("it is a key of a kind that is not accepted")]
    UnsuitableKind,
    #[error("the key cannot be used: {0}")]
    Unusable(#[from] SkipReason),
}

impl PublicKeyError {
    pub(super) const fn remedy(&self) -> &'static str {
        match self {
            Self::Private | Self::Unusable(SkipReason::Private { .. }) => {
                "give its public half alone, as `openssl pkey -in FILE -pubout` writes it, and make a new pair if this file \
                 was anywhere but with the client"
            }
            Self::OtherSection => "write the public key of it, as `openssl x509 -in FILE -noout -pubkey` does",
            Self::Several => "write one key; the second one goes beside it, as one of its own",
            Self::NeitherPemNorJwk | Self::UnsuitableKind | Self::Unusable(_) => {
                "write a PEM file with a PUBLIC KEY section, or a JWK: RSA of 2048 bits or more, P-256, P-384 or Ed25519"
            }
        }
    }
}

/// The key as it is registered.
pub(super) fn parse(written: &PublicKeyDefinition) -> Result<VerificationKey, PublicKeyError> {
    match written {
        PublicKeyDefinition::Jwk(jwk) => parse_jwk(jwk),
        PublicKeyDefinition::Pem(text) => parse_pem(text.as_bytes()),
    }
}

/// What stands in a file: a JWK if it begins like one, else PEM.
pub(super) fn read(text: &str) -> PublicKeyDefinition {
    match serde_json::from_str(text) {
        Ok(Value::Object(jwk)) => PublicKeyDefinition::Jwk(jwk),
        _ => PublicKeyDefinition::Pem(text.to_owned()),
    }
}

fn parse_jwk(jwk: &Map<String, Value>) -> Result<VerificationKey, PublicKeyError> {
    if jwk.contains_key("keys") {
        return Err(PublicKeyError::Several);
    }
    Ok(VerificationKey::parse(jwk)?)
}

fn parse_pem(text: &[u8]) -> Result<VerificationKey, PublicKeyError> {
    let mut key: Option<Vec<u8>> = None;
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text) {
        let (kind, der) = section.map_err(|_| PublicKeyError::NeitherPemNorJwk)?;
        match kind {
            SectionKind::PublicKey if key.is_some() => return Err(PublicKeyError::Several),
            SectionKind::PublicKey => key = Some(der),
            SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey => {
                return Err(PublicKeyError::Private);
            }
            _ => return Err(PublicKeyError::OtherSection),
        }
    }
    let jwk = jwk_of(&key.ok_or(PublicKeyError::NeitherPemNorJwk)?)?;
    parse_jwk(&jwk)
}

/// A SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7) as a JWK, so that one set of rules judges both.
fn jwk_of(der: &[u8]) -> Result<Map<String, Value>, PublicKeyError> {
    let (rest, info) = SubjectPublicKeyInfo::from_der(der).map_err(|_| PublicKeyError::NeitherPemNorJwk)?;
    if !rest.is_empty() {
        return Err(PublicKeyError::NeitherPemNorJwk);
    }
    let kind = &info.algorithm.algorithm;
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let jwk = if *kind == OID_PKCS1_RSAENCRYPTION {
        let Ok(PublicKey::RSA(rsa)) = info.parsed() else { return Err(PublicKeyError::UnsuitableKind) };
        json!({ "kty": "RSA", "n": encode(without_sign(rsa.modulus)), "e": encode(without_sign(rsa.exponent)) })
    } else if *kind == OID_KEY_TYPE_EC_PUBLIC_KEY {
        let curve = info.algorithm.parameters.as_ref().and_then(|curve| curve.as_oid().ok());
        let (name, coordinate_bytes) = match curve {
            Some(curve) if curve == OID_EC_P256 => ("P-256", 32),
            Some(curve) if curve == OID_NIST_EC_P384 => ("P-384", 48),
            _ => return Err(PublicKeyError::UnsuitableKind),
        };
        // SEC 1 section 2.3.3: an uncompressed point.
        let point = info.subject_public_key.data.strip_prefix(&[4]).ok_or(PublicKeyError::UnsuitableKind)?;
        let (x, y) = point.split_at_checked(coordinate_bytes).ok_or(PublicKeyError::UnsuitableKind)?;
        json!({ "kty": "EC", "crv": name, "x": encode(x), "y": encode(y) })
    } else if *kind == OID_SIG_ED25519 {
        json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(&info.subject_public_key.data) })
    } else {
        return Err(PublicKeyError::UnsuitableKind);
    };
    match jwk {
        Value::Object(members) => Ok(members),
        _ => Err(PublicKeyError::UnsuitableKind),
    }
}

/// DER puts a zero before a number whose first bit is set (X.690 section 8.3.3); a JWK does not (RFC 7518 section 6.3.1.1).
fn without_sign(number: &[u8]) -> &[u8] {
    number.strip_prefix(&[0]).unwrap_or(number)
}
