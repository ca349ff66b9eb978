//! Owns: the cryptography of a private key, parsed once: each kind behind one face.
//! Refuses: RSA below 2048 bits, and keys of another kind than the algorithm asks for.
//! Always holds: a signature has the form of RFC 7518 section 3 (ECDSA as two numbers of fixed length) and the length that
//! [`KeyPair::signature_bytes`] says.

use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der},
    error::{KeyRejected, Unspecified},
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
        RsaEncoding, RsaKeyPair,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::config::SigningAlgorithmConfig;

/// The length of an ES256 signature (RFC 7518 section 3.4) and of an Ed25519 one (RFC 8032 section 5.1.6), in bytes.
const CURVE_SIGNATURE_BYTES: usize = 64;

/// The length of a coordinate on P-256 (RFC 7518 section 6.2.1.2), in bytes.
const COORDINATE_BYTES: usize = 32;

/// A private key, parsed.
pub(super) enum KeyPair {
    Ecdsa(EcdsaKeyPair),
    Rsa { pair: RsaKeyPair, encoding: &'static dyn RsaEncoding },
    Ed25519(Ed25519KeyPair),
}

impl KeyPair {
    /// A new private key in PKCS#8. RSA takes a good part of a second.
    pub(super) fn generate_pkcs8(algorithm: SigningAlgorithmConfig) -> Result<Zeroizing<Vec<u8>>, Unspecified> {
        let pkcs8 = match algorithm {
            SigningAlgorithmConfig::ES256 => {
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?.to_pkcs8v1()?.as_ref().to_vec()
            }
            SigningAlgorithmConfig::RS256 | SigningAlgorithmConfig::PS256 => {
                let der: Pkcs8V1Der<'static> = RsaKeyPair::generate(KeySize::Rsa2048)?.as_der()?;
                der.as_ref().to_vec()
            }
            SigningAlgorithmConfig::EdDSA => Ed25519KeyPair::generate()?.to_pkcs8v1()?.as_ref().to_vec(),
        };
        Ok(Zeroizing::new(pkcs8))
    }

    pub(super) fn from_pkcs8(pkcs8: &[u8], algorithm: SigningAlgorithmConfig) -> Result<Self, KeyRejected> {
        let rsa = |encoding| Ok(Self::Rsa { pair: RsaKeyPair::from_pkcs8(pkcs8)?, encoding });
        match algorithm {
            SigningAlgorithmConfig::ES256 => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map(Self::Ecdsa)
            }
            SigningAlgorithmConfig::RS256 => rsa(&RSA_PKCS1_SHA256),
            SigningAlgorithmConfig::PS256 => rsa(&RSA_PSS_SHA256),
            SigningAlgorithmConfig::EdDSA => Ed25519KeyPair::from_pkcs8(pkcs8).map(Self::Ed25519),
        }
    }

    /// The members of a JWK that are the public half (RFC 7518 sections 6.2.1 and 6.3.1, RFC 8037 section 2).
    pub(super) fn public_members(&self) -> Map<String, Value> {
        let text = |text: &str| Value::from(text);
        let number = |bytes: &[u8]| Value::from(URL_SAFE_NO_PAD.encode(bytes));
        let members = match self {
            Self::Ecdsa(pair) => {
                // SEC 1 section 2.3.3: a byte that says "uncompressed", then the coordinates.
                let coordinates = pair.public_key().as_ref().get(1..).unwrap_or_default();
                let (x, y) = coordinates.split_at_checked(COORDINATE_BYTES).unwrap_or_default();
                vec![("kty", text("EC")), ("crv", text("P-256")), ("x", number(x)), ("y", number(y))]
            }
            Self::Rsa { pair, .. } => {
                let public = pair.public_key();
                let (n, e) = (public.modulus(), public.exponent());
                vec![
                    ("kty", text("RSA")),
                    ("n", number(n.big_endian_without_leading_zero())),
                    ("e", number(e.big_endian_without_leading_zero())),
                ]
            }
            Self::Ed25519(pair) => {
                vec![("kty", text("OKP")), ("crv", text("Ed25519")), ("x", number(pair.public_key().as_ref()))]
            }
        };
        members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// The length of its signatures.
    pub(super) fn signature_bytes(&self) -> usize {
        match self {
            Self::Ecdsa(_) | Self::Ed25519(_) => CURVE_SIGNATURE_BYTES,
            Self::Rsa { pair, .. } => pair.public_modulus_len(),
        }
    }

    pub(super) fn sign(&self, signing_input: &[u8]) -> Result<Vec<u8>, Unspecified> {
        match self {
            Self::Ecdsa(pair) => Ok(pair.sign(&SystemRandom::new(), signing_input)?.as_ref().to_vec()),
            Self::Ed25519(pair) => Ok(pair.try_sign(signing_input)?.as_ref().to_vec()),
            Self::Rsa { pair, encoding } => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &SystemRandom::new(), signing_input, &mut signature)?;
                Ok(signature)
            }
        }
    }
}
