//! Owns: tokens and keys for tests: real ones, signed by `jsonwebtoken`, and whatever else a test writes by hand.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, LazyLock, Mutex},
};

use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der},
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{EncodingKey, jwk::Jwk};
use serde_json::{Value, json};

use super::{Issuers, KeySource, TrustedKey, TrustedKeySet, UnknownKeyFetch, compile_issuers};
use crate::{
    clock::UnixTime,
    config::Config,
    diagnostic::Diagnostics,
    jose::{Algorithm, KeyDocument},
};

/// A private key under an id.
pub(crate) struct SigningKey {
    pub(crate) key_id: &'static str,
    algorithm: Algorithm,
    encoding: EncodingKey,
}

/// A key source whose keys a test sets.
#[derive(Debug)]
pub(crate) struct FixedKeys {
    pub(crate) keys: Mutex<TrustedKeySet>,
    /// What a fetch answers, and what the keys are after it.
    pub(crate) fetch: Mutex<(UnknownKeyFetch, Option<TrustedKeySet>)>,
    pub(crate) fetches: Mutex<usize>,
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
                let base64 = base64::engine::general_purpose::STANDARD.encode(pkcs8.as_ref());
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

impl FixedKeys {
    pub(crate) fn new(keys: Vec<Arc<TrustedKey>>) -> Arc<Self> {
        Arc::new(Self {
            keys: Mutex::new(TrustedKeySet::Usable(keys.into())),
            fetch: Mutex::new((UnknownKeyFetch::Current, None)),
            fetches: Mutex::new(0),
        })
    }

    pub(crate) fn of(keys: &[&SigningKey]) -> Arc<Self> {
        Self::new(trusted(&keys.iter().map(|key| key.jwk()).collect::<Vec<_>>()))
    }

    pub(crate) fn set(&self, keys: TrustedKeySet) {
        *self.keys.lock().unwrap() = keys;
    }
}

impl KeySource for FixedKeys {
    fn current(&self, _now: UnixTime) -> TrustedKeySet {
        self.keys.lock().unwrap().clone()
    }

    fn fetch_for_unknown_key(&self) -> Pin<Box<dyn Future<Output = UnknownKeyFetch> + Send + '_>> {
        *self.fetches.lock().unwrap() += 1;
        let (answer, keys) = self.fetch.lock().unwrap().clone();
        if let Some(keys) = keys {
            self.set(keys);
        }
        Box::pin(std::future::ready(answer))
    }
}

/// Keys of a document, as a key source holds them.
pub(crate) fn trusted(jwks: &[Value]) -> Vec<Arc<TrustedKey>> {
    let document = KeyDocument::parse(json!({ "keys": jwks }).to_string().as_bytes()).unwrap();
    document.keys.into_iter().map(|key| Arc::new(TrustedKey::new(key, UnixTime::default()))).collect()
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

/// Issuers out of `[issuers]` as JSON, each with the source of the same place.
pub(crate) fn issuers(config: Value, sources: &[&Arc<FixedKeys>], previous: Option<&Issuers>) -> Issuers {
    let config: Config = serde_json::from_value(json!({ "issuers": config })).unwrap();
    let mut diagnostics = Diagnostics::new();
    let mut sources = sources.iter();
    let mut next = |_: &str, _: &_, _: &mut Diagnostics| {
        let source: Arc<dyn KeySource> = Arc::<FixedKeys>::clone(sources.next().unwrap());
        Some(source)
    };
    compile_issuers(&config, previous, &mut next, &mut diagnostics).unwrap_or_else(|| panic!("{diagnostics:?}"))
}
