//! A forge for tokens: real keys, and full control over every byte of what is signed.

use std::sync::OnceLock;

use aws_lc_rs::{
    encoding::{AsDer as _, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::{KeySize, PublicKeyComponents},
    signature::{
        self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
        KeyPair as _, RsaKeyPair,
    },
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// Encodes as RFC 7515 section 2 has it.
pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// A key pair with a key id.
pub(crate) struct SigningKey {
    pub(crate) key_id: String,
    pair: Pair,
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    /// A fresh P-256 key: the cheapest to make.
    pub(crate) fn es256(key_id: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
        Self { key_id: key_id.to_owned(), pair: Pair::P256(pair) }
    }

    pub(crate) fn es384(key_id: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).expect("a key");
        Self { key_id: key_id.to_owned(), pair: Pair::P384(pair) }
    }

    pub(crate) fn ed25519(key_id: &str) -> Self {
        Self { key_id: key_id.to_owned(), pair: Pair::Ed25519(Ed25519KeyPair::generate().expect("a key")) }
    }

    /// An RSA key of 2048 bits. The pair is made once for the whole test run, because that takes long.
    pub(crate) fn rsa(key_id: &str) -> Self {
        static DER: OnceLock<Vec<u8>> = OnceLock::new();
        let der = DER.get_or_init(|| {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
            pair.as_der().expect("DER").as_ref().to_vec()
        });
        let pair = RsaKeyPair::from_pkcs8(der).expect("the key just made");
        Self { key_id: key_id.to_owned(), pair: Pair::Rsa(Box::new(pair)) }
    }

    /// The algorithm it signs with unless told otherwise.
    pub(crate) fn algorithm(&self) -> &'static str {
        match &self.pair {
            Pair::Rsa(_) => "RS256",
            Pair::P256(_) => "ES256",
            Pair::P384(_) => "ES384",
            Pair::Ed25519(_) => "EdDSA",
        }
    }

    /// Its public half as a JWK (RFC 7517).
    pub(crate) fn jwk(&self) -> Value {
        let mut jwk = match &self.pair {
            Pair::Rsa(pair) => {
                let parts = PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({ "kty": "RSA", "n": base64url(parts.n), "e": base64url(parts.e) })
            }
            Pair::P256(pair) => elliptic("P-256", pair.public_key().as_ref()),
            Pair::P384(pair) => elliptic("P-384", pair.public_key().as_ref()),
            Pair::Ed25519(pair) => json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url(pair.public_key()) }),
        };
        jwk["kid"] = json!(self.key_id);
        jwk["use"] = json!("sig");
        jwk
    }

    /// Its public half as a SubjectPublicKeyInfo in DER (RFC 5280 section 4.1.2.7); of an RSA key only.
    pub(crate) fn public_der(&self) -> Vec<u8> {
        let Pair::Rsa(pair) = &self.pair else { panic!("only needed of RSA keys") };
        let der: PublicKeyX509Der<'_> = pair.public_key().as_der().expect("DER");
        der.as_ref().to_vec()
    }

    /// The raw signature of `message` under `algorithm`, which must be one this key can do.
    pub(crate) fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let padding: &dyn signature::RsaEncoding = match algorithm {
                    "RS256" => &signature::RSA_PKCS1_SHA256,
                    "RS384" => &signature::RSA_PKCS1_SHA384,
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    "PS256" => &signature::RSA_PSS_SHA256,
                    "PS384" => &signature::RSA_PSS_SHA384,
                    "PS512" => &signature::RSA_PSS_SHA512,
                    other => panic!("an RSA key does not do {other}"),
                };
                let mut bytes = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, message, &mut bytes).expect("a signature");
                bytes
            }
            Pair::P256(pair) | Pair::P384(pair) => pair.sign(&random, message).expect("a signature").as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// A token with exactly this header and payload, byte for byte.
    pub(crate) fn token_of(&self, algorithm: &str, header: &str, payload: &str) -> String {
        let signed = format!("{}.{}", base64url(header), base64url(payload));
        let signature = self.sign(algorithm, signed.as_bytes());
        format!("{signed}.{}", base64url(signature))
    }

    /// A token with these claims and an ordinary header.
    pub(crate) fn token(&self, claims: &Value) -> String {
        self.token_with(self.algorithm(), claims)
    }

    /// A token with these claims, signed under a chosen algorithm.
    pub(crate) fn token_with(&self, algorithm: &str, claims: &Value) -> String {
        let header = json!({ "alg": algorithm, "kid": self.key_id, "typ": "at+jwt" });
        self.token_of(algorithm, &header.to_string(), &claims.to_string())
    }
}

fn elliptic(curve: &str, point: &[u8]) -> Value {
    let (x, y) = point[1..].split_at((point.len() - 1) / 2);
    json!({ "kty": "EC", "crv": curve, "x": base64url(x), "y": base64url(y) })
}

/// A key document with the public halves of `keys`.
pub(crate) fn key_document(keys: &[&SigningKey]) -> Value {
    json!({ "keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>() })
}

/// Seconds since the epoch by the system's clock.
pub(crate) fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs()
}

/// `base` with the members of `changes` in it; null takes one out.
pub(crate) fn changed(mut base: Value, changes: &Value) -> Value {
    let members = base.as_object_mut().expect("an object");
    for (name, value) in changes.as_object().expect("an object") {
        match value {
            Value::Null => drop(members.remove(name)),
            value => drop(members.insert(name.clone(), value.clone())),
        }
    }
    base
}

/// Claims that the routes of the tests accept: `orders:read` for the audience `https://api.test/orders`.
pub(crate) fn claims(issuer: &str) -> Value {
    json!({
        "iss": issuer,
        "sub": "billing",
        "aud": "https://api.test/orders",
        "exp": now() + 600,
        "iat": now(),
        "jti": "token-1",
        "client_id": "billing",
        "scope": "orders:read",
        "tenant_id": "acme",
    })
}
