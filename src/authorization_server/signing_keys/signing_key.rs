//! Owns: one private key: making it, reading it, signing with it, and its public half.
//! Refuses: giving the private half to anyone but the record it is kept in.
//! Always holds: the key id is the RFC 7638 thumbprint of the public half, so it names this key and no other; what is
//! published is a key that our own verification accepts.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{SigningKeyError, key_pair::KeyPair};
use crate::{
    clock::UnixTime,
    config::SigningAlgorithmConfig,
    id::TokenId,
    jose::{Algorithm, SkipReason, TokenType, VerificationKey},
    secret::Secret,
};

/// A private key ready for signing, and its public half.
pub struct SigningKey {
    key_id: Box<str>,
    algorithm: SigningAlgorithmConfig,
    created_at: UnixTime,
    key_pair: KeyPair,
    public_jwk: Map<String, Value>,
    headers: EncodedHeaders,
}

/// A token that was signed just now.
#[derive(Debug)]
pub struct SignedToken {
    /// The token in its compact form (RFC 7515 section 3.1).
    pub compact: Secret,
}

impl SignedToken {
    /// What the token is called if its claims hold no `jti`.
    #[must_use]
    pub fn token_id_of_input(&self) -> TokenId {
        let compact = self.compact.expose();
        let signing_input = compact.rsplit_once('.').map_or(compact, |(signing_input, _signature)| signing_input);
        TokenId::of_signing_input(signing_input.as_bytes())
    }
}

/// Why a token was not signed.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The claims cannot be written down.
    #[error("the claims cannot be written as JSON")]
    Claims(#[source] serde_json::Error),
    /// The cryptography failed.
    #[error("the signing key {key_id} could not sign")]
    Signature {
        /// The key.
        key_id: Box<str>,
    },
}

/// Why a text is not the private key that it should be. It tells nothing of what the text holds.
#[derive(Debug, thiserror::Error)]
pub enum UnusableKey {
    /// It is not PKCS#8, or of another kind, or its numbers are unsound.
    #[error("it is no private key in PKCS#8 for this algorithm")]
    Rejected(#[source] aws_lc_rs::error::KeyRejected),
    /// It is a key, and its public half is not one that verification would accept.
    #[error("its public half cannot be used to verify")]
    Unverifiable(#[source] SkipReason),
}

/// The header for each [`TokenType`], ready to be put in front of the claims.
struct EncodedHeaders {
    access_token: Box<str>,
    jwt: Box<str>,
    unspecified: Box<str>,
}

impl SigningKey {
    /// Makes a key, and the PKCS#8 bytes under which it is kept.
    pub(super) fn generate(
        algorithm: SigningAlgorithmConfig,
        now: UnixTime,
    ) -> Result<(Self, Zeroizing<Vec<u8>>), SigningKeyError> {
        let pkcs8 = KeyPair::generate_pkcs8(algorithm).map_err(|_| SigningKeyError::Generate { algorithm })?;
        let key = Self::from_pkcs8(&pkcs8, algorithm, now)
            .map_err(|source| SigningKeyError::Unusable { algorithm, source })?;
        Ok((key, pkcs8))
    }

    /// Reads a private key in PKCS#8 (RFC 5958).
    pub(super) fn from_pkcs8(
        pkcs8: &[u8],
        algorithm: SigningAlgorithmConfig,
        created_at: UnixTime,
    ) -> Result<Self, UnusableKey> {
        let key_pair = KeyPair::from_pkcs8(pkcs8, algorithm).map_err(UnusableKey::Rejected)?;
        let mut public_jwk = key_pair.public_members();
        let alg = jose_algorithm(algorithm).name();
        public_jwk.insert("use".to_owned(), Value::from("sig"));
        public_jwk.insert("alg".to_owned(), Value::from(alg));
        let verifying = VerificationKey::parse(&public_jwk).map_err(UnusableKey::Unverifiable)?;
        let key_id: Box<str> = verifying.thumbprint().into();
        public_jwk.insert("kid".to_owned(), Value::from(&*key_id));
        let headers = EncodedHeaders::of(alg, &key_id);
        Ok(Self { key_id, algorithm, created_at, key_pair, public_jwk, headers })
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

    /// A JWT of `claims` whose header says that it is a `token_type`. RFC 9068 tokens are [`TokenType::AccessToken`].
    ///
    /// # Errors
    /// If the cryptography fails, or the claims are no JSON, which a map cannot be.
    pub fn sign(&self, token_type: TokenType, claims: &Map<String, Value>) -> Result<SignedToken, SigningError> {
        let claims = Zeroizing::new(serde_json::to_vec(claims).map_err(SigningError::Claims)?);
        let header = self.headers.of_type(token_type);
        let signature_length = encoded_length(self.key_pair.signature_bytes());
        // Sized for all of it, so that neither growing nor shrinking leaves a copy of the token behind in memory.
        let mut compact = String::with_capacity(header.len() + encoded_length(claims.len()) + signature_length + 2);
        compact.push_str(header);
        compact.push('.');
        URL_SAFE_NO_PAD.encode_string(&*claims, &mut compact);
        let signature = self.key_pair.sign(compact.as_bytes());
        let signature = signature.map_err(|_| SigningError::Signature { key_id: self.key_id.clone() })?;
        compact.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut compact);
        Ok(SignedToken { compact: Secret::new(compact) })
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

impl EncodedHeaders {
    /// Neither an algorithm's name nor a thumbprint holds anything that JSON would escape.
    fn of(alg: &str, key_id: &str) -> Self {
        let encoded = |typ: &str| {
            let header = format!(r#"{{{typ}"alg":"{alg}","kid":"{key_id}"}}"#);
            URL_SAFE_NO_PAD.encode(header).into_boxed_str()
        };
        let typed = |name: &str| encoded(&format!(r#""typ":"{name}","#));
        Self { access_token: typed("at+jwt"), jwt: typed("JWT"), unspecified: encoded("") }
    }

    const fn of_type(&self, token_type: TokenType) -> &str {
        match token_type {
            TokenType::AccessToken => &self.access_token,
            TokenType::Jwt => &self.jwt,
            TokenType::Unspecified => &self.unspecified,
        }
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

/// How long `bytes` bytes are in base64url without padding.
const fn encoded_length(bytes: usize) -> usize {
    (bytes * 4).div_ceil(3)
}
