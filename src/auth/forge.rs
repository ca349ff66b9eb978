//! Owns: issuers, key sources and tokens that are remembered, for tests, beside the keys of `jose::forge`.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use serde_json::{Map, Value, json};

use super::{
    Claims, Issuers, Keeper, KeySource, OpaqueToken, TokenStanding, TrustedKey, TrustedKeySet, UnknownKeyFetch,
    VerifiedToken, Withdrawal, compile_issuers,
    token_cache::{CachedToken, Finding},
    verified_token::TokenProof,
};
pub(crate) use crate::jose::forge::{EC, ED, RSA, SigningKey, changed};
use crate::{
    clock::UnixTime,
    config::Config,
    diagnostic::Diagnostics,
    id::TokenId,
    jose::{KeyDocument, TokenType},
};

/// A key source whose keys a test sets.
#[derive(Debug)]
pub(crate) struct FixedKeys {
    pub(crate) keys: Mutex<TrustedKeySet>,
    /// What a fetch answers, and what the keys are after it.
    pub(crate) fetch: Mutex<(UnknownKeyFetch, Option<TrustedKeySet>)>,
    pub(crate) fetches: Mutex<usize>,
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

/// A standing that a test sets.
#[derive(Debug, Default)]
pub(crate) struct FixedStanding {
    pub(crate) is_off: AtomicBool,
    pub(crate) withdrawn: Mutex<HashMap<TokenId, Withdrawal>>,
    pub(crate) opaque: Mutex<HashMap<String, OpaqueToken>>,
    /// The names of the tokens that were judged, in their order.
    pub(crate) judged: Mutex<Vec<TokenId>>,
}

impl TokenStanding for FixedStanding {
    fn is_current(&self) -> bool {
        true
    }

    fn is_enabled(&self) -> bool {
        !self.is_off.load(Ordering::SeqCst)
    }

    fn judge(&self, token: &VerifiedToken) -> Result<(), Withdrawal> {
        let name = token.token_name().unwrap();
        self.judged.lock().unwrap().push(name);
        self.withdrawn.lock().unwrap().get(&name).map_or(Ok(()), |withdrawal| Err(*withdrawal))
    }

    fn is_own_kind(&self, text: &str) -> bool {
        text.starts_with("own_")
    }

    fn resolve(&self, text: &str, _now: UnixTime) -> Option<OpaqueToken> {
        assert!(!text.contains('.'), "only what cannot be a JWT is looked up");
        self.opaque.lock().unwrap().get(text).cloned()
    }
}

/// Keys of a document, as a key source holds them.
pub(crate) fn trusted(jwks: &[Value]) -> Vec<Arc<TrustedKey>> {
    let document = KeyDocument::parse(json!({ "keys": jwks }).to_string().as_bytes()).unwrap();
    document.keys.into_iter().map(|key| Arc::new(TrustedKey::new(key, UnixTime::default()))).collect()
}

/// Issuers out of `[issuers]` as JSON, each with the source of the same place.
pub(crate) fn issuers(config: Value, sources: &[&Arc<FixedKeys>], previous: Option<&Issuers>) -> Issuers {
    let config: Config = serde_json::from_value(json!({ "issuers": config })).unwrap();
    issuers_with_standing(&config, sources, None, previous)
}

/// Issuers out of a whole configuration, each with the source of the same place; all are given the same standing.
pub(crate) fn issuers_with_standing(
    config: &Config,
    sources: &[&Arc<FixedKeys>],
    standing: Option<&Arc<FixedStanding>>,
    previous: Option<&Issuers>,
) -> Issuers {
    let mut diagnostics = Diagnostics::new();
    let mut sources = sources.iter();
    let next = |_: &str, _: &_, _: &mut Diagnostics| {
        let standing = standing.map(|standing| -> Arc<dyn TokenStanding> { Arc::<FixedStanding>::clone(standing) });
        Some(Keeper {
            keys: Arc::<FixedKeys>::clone(sources.next().unwrap()),
            standing,
            introspection: None,
            revocation: None,
        })
    };
    compile_issuers(config, previous, next, &mut diagnostics).unwrap_or_else(|| panic!("{diagnostics:?}"))
}

/// A token with this text as it is remembered, its claims of `payload_bytes` and some.
pub(super) fn remembered(text: &str, payload_bytes: usize) -> CachedToken {
    CachedToken::new(text.as_bytes(), found(payload_bytes))
}

/// What was found out about a token with claims of `payload_bytes` and some.
pub(super) fn found(payload_bytes: usize) -> Finding {
    let corp = issuers(json!({ "corp": { "issuer": "https://id/" } }), &[&FixedKeys::of(&[&EC])], None);
    let verification = Arc::clone(corp.by_name("corp").unwrap().verification());
    let payload = json!({ "exp": 9, "big": "x".repeat(payload_bytes) });
    let members: Map<_, _> = payload.as_object().unwrap().clone();
    let claims = Claims::read(members, TokenType::Jwt, &verification).unwrap();
    let key = trusted(&[EC.jwk()]).remove(0);
    Finding::new(&verification, Arc::new(VerifiedToken::new("corp".into(), TokenProof::Signature(key), claims)))
}
