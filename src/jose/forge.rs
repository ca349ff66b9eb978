//! Owns: tokens and keys for tests: real ones, signed by `jsonwebtoken`, and whatever else a test writes by hand.

use std::sync::LazyLock;

use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der},
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair,
    },
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jsonwebtoken::{EncodingKey, jwk::Jwk};
use serde_json::{Value, json};

use super::Algorithm;

/// A private key under an id.
pub(crate) struct SigningKey {
    pub(crate) key_id: &'static str,
    algorithm: Algorithm,
    encoding: EncodingKey,
}

pub(crate) static RSA: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate("rsa", Algorithm::Rs256));
pub(crate) static EC: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate("ec", Algorithm::Es256));
pub(crate) static ED: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate("ed", Algorithm::EdDsa));

impl SigningKey {
    pub(crate) fn generate(key_id: &'static str, algorithm: Algorithm) -> Self {
        let encoding = match algorithm {
            Algorithm::Es256 | Algorithm::Es384 => {
                let signing = if algorithm == Algorithm::Es256 {
                    &ECDSA_P256_SHA256_FIXED_SIGNING
                } else {
                    &ECDSA_P384_SHA384_FIXED_SIGNING
                };
                EncodingKey::from_ec_der(EcdsaKeyPair::generate(signing).unwrap().to_pkcs8v1().unwrap().as_ref())
            }
            Algorithm::EdDsa => {
                EncodingKey::from_ed_der(Ed25519KeyPair::generate().unwrap().to_pkcs8v1().unwrap().as_ref())
            }
            _ => {
                let pkcs8: Pkcs8V1Der<'_> = RsaKeyPair::generate(KeySize::Rsa2048).unwrap().as_der().unwrap();
                let base64 = STANDARD.encode(pkcs8.as_ref());
                let pem = format!("-----BEGIN PRIVATE KEY-----\n{base64}\n-----END PRIVATE KEY-----\n");
                EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap()
            }
        };
        Self { key_id, algorithm, encoding }
    }

    /// The same key, asked to sign with another algorithm of its kind.
    pub(crate) fn with(&self, algorithm: Algorithm) -> Self {
        Self { key_id: self.key_id, algorithm, encoding: self.encoding.clone() }
    }

    /// Its public half as a document lists it, without `alg`.
    pub(crate) fn jwk(&self) -> Value {
        let mut jwk =
            serde_json::to_value(Jwk::from_encoding_key(&self.encoding, self.algorithm.into()).unwrap()).unwrap();
        let members = jwk.as_object_mut().unwrap();
        members.remove("alg");
        members.insert("kid".to_owned(), json!(self.key_id));
        jwk
    }

    /// A token with its own header.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.sign_with_header(&self.header(json!({})), claims)
    }

    /// Its header, `changes` laid over it (`null` removes).
    pub(crate) fn header(&self, changes: Value) -> Value {
        let header = json!({ "alg": self.algorithm.name(), "kid": self.key_id, "typ": "JWT" });
        changed(header, changes)
    }

    pub(crate) fn sign_with_header(&self, header: &Value, claims: &Value) -> String {
        self.sign_text(&header.to_string(), &claims.to_string())
    }

    /// A token of exactly these texts.
    pub(crate) fn sign_text(&self, header: &str, payload: &str) -> String {
        let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = jsonwebtoken::crypto::sign(input.as_bytes(), &self.encoding, self.algorithm.into()).unwrap();
        format!("{input}.{signature}")
    }
}

/// `value` with `changes` laid over it; `null` removes.
pub(crate) fn changed(mut value: Value, changes: Value) -> Value {
    let members = value.as_object_mut().unwrap();
    for (name, change) in changes.as_object().unwrap().clone() {
        if change.is_null() {
            members.remove(&name)
        } else {
            members.insert(name, change)
        };
    }
    value
}
