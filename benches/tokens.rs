//! What verifying a token costs, remembered and anew for each kind of signature, and what signing one costs.
#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up has to stop")]

#[path = "bare/signatures.rs"]
mod signatures;

use std::{cell::RefCell, future::Future, hint::black_box, pin::Pin, sync::Arc};

use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der},
    rsa::KeySize,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::header::AUTHORIZATION;
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use postern::{
    auth::{
        BearerToken, Issuers, Keeper, KeySource, SharedTokenCache, TrustedKey, TrustedKeySet, UnknownKeyFetch,
        WorkerTokenCache, compile_issuers, credential_field, recall, verify, verify_at_once,
    },
    authorization_server::{KeyRing, Sealing},
    clock::UnixTime,
    config::SigningAlgorithmConfig,
    diagnostic::Diagnostics,
    http::Fields,
    jose::{KeyDocument, TokenType},
};
use serde_json::json;

use self::signatures::key_and_signatures;

const NOW: u64 = 1_700_000_000;

#[derive(Debug)]
struct Keys(TrustedKeySet);

impl KeySource for Keys {
    fn current(&self, _now: UnixTime) -> TrustedKeySet {
        self.0.clone()
    }

    fn fetch_for_unknown_key(&self) -> Pin<Box<dyn Future<Output = UnknownKeyFetch> + Send + '_>> {
        Box::pin(std::future::ready(UnknownKeyFetch::Current))
    }
}

fn signing_key(algorithm: Algorithm) -> EncodingKey {
    match algorithm {
        Algorithm::ES256 => {
            let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("key");
            EncodingKey::from_ec_der(pair.to_pkcs8v1().expect("key").as_ref())
        }
        Algorithm::EdDSA => {
            EncodingKey::from_ed_der(Ed25519KeyPair::generate().expect("key").to_pkcs8v1().expect("key").as_ref())
        }
        _ => {
            let der: Pkcs8V1Der<'_> = RsaKeyPair::generate(KeySize::Rsa2048).expect("key").as_der().expect("key");
            let body = STANDARD.encode(der.as_ref());
            let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
            EncodingKey::from_rsa_pem(pem.as_bytes()).expect("key")
        }
    }
}

/// One issuer with one key, and what gives a token that it signed, another one each time.
fn issuer_and_tokens(algorithm: Algorithm) -> (Issuers, impl FnMut() -> String) {
    let key = signing_key(algorithm);
    let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&key, algorithm).expect("jwk")).expect("jwk");
    jwk.as_object_mut().expect("jwk").insert("kid".to_owned(), json!("k1"));
    let document = KeyDocument::parse(json!({ "keys": [jwk] }).to_string().as_bytes()).expect("document");
    let keys = document.keys.into_iter().map(|key| Arc::new(TrustedKey::new(key, UnixTime::default()))).collect();
    let source: Arc<dyn KeySource> = Arc::new(Keys(TrustedKeySet::Usable(keys)));
    let config = serde_json::from_value(json!({ "issuers": { "corp": { "issuer": "https://id.corp.example/" } } }));
    let supply = |_: &str, _: &_, _: &mut Diagnostics| {
        Some(Keeper { keys: Arc::clone(&source), standing: None, introspection: None, revocation: None })
    };
    let issuers = compile_issuers(&config.expect("config"), None, supply, &mut Diagnostics::new()).expect("issuers");
    let header = Header { kid: Some("k1".to_owned()), ..Header::new(algorithm) };
    let mut numbers = 0_u64..;
    let sign = move || {
        let claims = json!({
            "iss": "https://id.corp.example/", "aud": "https://api.corp.example/orders", "sub": "billing", "client_id": "billing",
            "scope": "orders:read orders:write", "jti": format!("6f1a5e1e-7c1f-4c55-9d0b-{:012x}", numbers.next().unwrap_or_default()),
            "iat": NOW, "exp": NOW + 3600, "tenant_id": "acme",
        });
        jsonwebtoken::encode(&header, &claims, &key).expect("token")
    };
    (issuers, sign)
}

fn tokens(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
    let now = UnixTime::from_seconds(NOW);

    let (issuers, mut sign) = issuer_and_tokens(Algorithm::RS256);
    let token = sign();
    let token = BearerToken::parse(&token).expect("token");
    let cache = WorkerTokenCache::new(Arc::new(SharedTokenCache::new()));
    // The second time it is found among the newcomers, and kept by the worker from then on.
    for _ in 0..2 {
        runtime.block_on(verify(token, &issuers, None, &cache, now)).expect("verified");
    }
    let fields = fields_with(token.as_str());
    let field = credential_field(&fields, None, false).expect("one field").expect("a field");
    criterion.bench_function("token/cache_hit", |bencher| {
        bencher.iter(|| recall(black_box(field), &issuers, &cache, now).expect("kept").expect("verified"));
    });

    for (name, algorithm) in [("RS256", Algorithm::RS256), ("ES256", Algorithm::ES256), ("EdDSA", Algorithm::EdDSA)] {
        let (issuers, sign) = issuer_and_tokens(algorithm);
        let (sign, cache) = (RefCell::new(sign), WorkerTokenCache::new(Arc::new(SharedTokenCache::new())));
        criterion.bench_function(&format!("token/cache_miss/{name}"), |bencher| {
            bencher.iter_batched_ref(
                || fields_with(&sign.borrow_mut()()),
                |fields| {
                    let field = credential_field(black_box(fields), None, false).expect("one field").expect("a field");
                    verify_at_once(field, &issuers, &cache, now).expect("nobody is asked").expect("verified")
                },
                BatchSize::NumIterations(32),
            );
        });
    }
}

fn fields_with(token: &str) -> Fields {
    let mut fields = Fields::default();
    fields.insert(AUTHORIZATION, format!("Bearer {token}").try_into().expect("a value"));
    fields
}

/// The signature alone, by the library that does it and nothing of ours.
fn verify_bare(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("verify_bare");
    for (name, algorithm) in [("RS256", Algorithm::RS256), ("ES256", Algorithm::ES256), ("EdDSA", Algorithm::EdDSA)] {
        let (key, signed) = key_and_signatures(algorithm);
        let mut turns = signed.iter().cycle();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let signed = black_box(turns.next()).expect("another");
                key.verify_sig(&signed.message, &signed.signature).expect("its signature");
            });
        });
    }
    group.finish();
}

/// Signing alone: what the embedded issuer does for a token beside authenticating the client and recording the token.
fn signing(criterion: &mut Criterion) {
    let now = UnixTime::from_seconds(NOW);
    let sealing = Sealing::of(None).expect("sealing");
    let claims = json!({
        "iss": "https://id.corp.example/", "aud": "https://api.corp.example/orders", "sub": "billing", "client_id": "billing",
        "scope": "orders:read orders:write", "jti": "6f1a5e1e-7c1f-4c55-9d0b-0f8f8b1c2d3e", "iat": NOW, "exp": NOW + 3600,
    });
    let claims = claims.as_object().expect("claims");
    for algorithm in [
        SigningAlgorithmConfig::ES256,
        SigningAlgorithmConfig::EdDSA,
        SigningAlgorithmConfig::RS256,
        SigningAlgorithmConfig::PS256,
    ] {
        let made = KeyRing::default().ensure(algorithm, now, &sealing).expect("keys");
        let ring = KeyRing::of(made.put, &sealing).expect("keys");
        let key = ring.current().expect("a key that signs");
        criterion.bench_function(&format!("token/sign/{algorithm:?}"), |bencher| {
            bencher.iter(|| key.sign(TokenType::AccessToken, black_box(claims)).expect("token"));
        });
    }
}

criterion_group!(benches, tokens, verify_bare, signing);
criterion_main!(benches);
