//! Owns: one private key: making it, reading it, signing with it, and its public half.
//! Refuses: giving the private half to anyone but the file it is kept in.
//! Always holds: the key id is the RFC 7638 thumbprint of the public half, so it names this key and no other.

use std::fmt;

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::KeySize,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jsonwebtoken::{
    EncodingKey, Header,
    errors::{Error, ErrorKind},
    jwk::{Jwk, PublicKeyUse, ThumbprintHash},
};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::SigningKeyError;
use crate::{clock::UnixTime, config::SigningAlgorithmConfig, jose::Algorithm};

/// The width of a PEM line (RFC 7468 section 2).
const PEM_LINE: usize = 64;

/// A private key ready for signing, and its public half.
pub struct SigningKey {
    key_id: Box<str>,
    algorithm: SigningAlgorithmConfig,
    created_at: UnixTime,
    header: Header,
    encoding_key: EncodingKey,
    public_jwk: Map<String, Value>,
}

impl SigningKey {
    /// Makes a key, and the PEM text under which it is kept.
    pub(super) fn generate(
        algorithm: SigningAlgorithmConfig,
        now: UnixTime,
    ) -> Result<(Self, Zeroizing<String>), SigningKeyError> {
        let pem = generate_pem(algorithm).ok_or(SigningKeyError::Generate { algorithm })?;
        let key =
            Self::from_pem(&pem, algorithm, now).map_err(|source| SigningKeyError::Unusable { algorithm, source })?;
        Ok((key, pem))
    }

    /// Reads the PEM text of a PKCS#8 private key.
    pub(super) fn from_pem(pem: &str, algorithm: SigningAlgorithmConfig, created_at: UnixTime) -> Result<Self, Error> {
        let encoding_key = match algorithm {
            SigningAlgorithmConfig::ES256 => EncodingKey::from_ec_pem(pem.as_bytes()),
            SigningAlgorithmConfig::RS256 | SigningAlgorithmConfig::PS256 => EncodingKey::from_rsa_pem(pem.as_bytes()),
            SigningAlgorithmConfig::EdDSA => EncodingKey::from_ed_pem(pem.as_bytes()),
        }?;
        let wire_algorithm = jsonwebtoken::Algorithm::from(jose_algorithm(algorithm));
        let mut jwk = Jwk::from_encoding_key(&encoding_key, wire_algorithm)?;
        let key_id = jwk.thumbprint(ThumbprintHash::SHA256)?;
        jwk.common.key_id = Some(key_id.clone());
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        let Value::Object(public_jwk) = serde_json::to_value(&jwk)? else {
            return Err(ErrorKind::InvalidKeyFormat.into());
        };
        // RFC 9068 section 2.1.
        let header =
            Header { typ: Some("at+jwt".to_owned()), kid: Some(key_id.clone()), ..Header::new(wire_algorithm) };
        Ok(Self { key_id: key_id.into(), algorithm, created_at, header, encoding_key, public_jwk })
    }

    /// The RFC 7638 thumbprint of the public half.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The algorithm it signs with, as the configuration names it.
    #[must_use]
    pub const fn algorithm(&self) -> SigningAlgorithmConfig {
        self.algorithm
    }

    /// When it was made.
    #[must_use]
    pub const fn created_at(&self) -> UnixTime {
        self.created_at
    }

    /// Its public half as a JWK (RFC 7517 section 4), with `kid`, `use` and `alg`.
    #[must_use]
    pub const fn public_jwk(&self) -> &Map<String, Value> {
        &self.public_jwk
    }

    /// An access token (RFC 9068) of `claims`, in the compact form.
    pub(in crate::authorization_server) fn sign(&self, claims: &Map<String, Value>) -> Result<String, Error> {
        jsonwebtoken::encode(&self.header, claims, &self.encoding_key)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SigningKey")
            .field("key_id", &self.key_id)
            .field("algorithm", &self.algorithm)
            .field("created_at", &self.created_at)
            .finish_non_exhaustive()
    }
}

/// The name of `algorithm` in the vocabulary of JOSE.
pub(in crate::authorization_server) const fn jose_algorithm(algorithm: SigningAlgorithmConfig) -> Algorithm {
    match algorithm {
        SigningAlgorithmConfig::ES256 => Algorithm::Es256,
        SigningAlgorithmConfig::RS256 => Algorithm::Rs256,
        SigningAlgorithmConfig::PS256 => Algorithm::Ps256,
        SigningAlgorithmConfig::EdDSA => Algorithm::EdDsa,
    }
}

/// A new private key as PKCS#8 in PEM.
fn generate_pem(algorithm: SigningAlgorithmConfig) -> Option<Zeroizing<String>> {
    match algorithm {
        SigningAlgorithmConfig::ES256 => {
            let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).ok()?;
            Some(pem(pair.to_pkcs8v1().ok()?.as_ref()))
        }
        SigningAlgorithmConfig::RS256 | SigningAlgorithmConfig::PS256 => {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).ok()?;
            let der: Pkcs8V1Der<'static> = pair.as_der().ok()?;
            Some(pem(der.as_ref()))
        }
        SigningAlgorithmConfig::EdDSA => {
            let pair = Ed25519KeyPair::generate().ok()?;
            Some(pem(pair.to_pkcs8v1().ok()?.as_ref()))
        }
    }
}

/// `pkcs8` in the textual form of RFC 7468 section 10.
fn pem(pkcs8: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(STANDARD.encode(pkcs8));
    // Sized for all of it, so that growing leaves no copy of the key behind in memory.
    let mut text = Zeroizing::new(String::with_capacity(body.len() + body.len() / PEM_LINE + 64));
    text.push_str("-----BEGIN PRIVATE KEY-----\n");
    for (position, character) in body.chars().enumerate() {
        if position > 0 && position.is_multiple_of(PEM_LINE) {
            text.push('\n');
        }
        text.push(character);
    }
    text.push_str("\n-----END PRIVATE KEY-----\n");
    text
}
