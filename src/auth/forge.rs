//! Owns: issuers and key sources for tests, beside the keys of `jose::forge`.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

use super::{Issuers, KeySource, TrustedKey, TrustedKeySet, UnknownKeyFetch, compile_issuers};
pub(crate) use crate::jose::forge::{EC, ED, RSA, SigningKey, changed};
use crate::{clock::UnixTime, config::Config, diagnostic::Diagnostics, jose::KeyDocument};

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

/// Keys of a document, as a key source holds them.
pub(crate) fn trusted(jwks: &[Value]) -> Vec<Arc<TrustedKey>> {
    let document = KeyDocument::parse(json!({ "keys": jwks }).to_string().as_bytes()).unwrap();
    document.keys.into_iter().map(|key| Arc::new(TrustedKey::new(key, UnixTime::default()))).collect()
}

/// Issuers out of `[issuers]` as JSON, each with the source of the same place.
pub(crate) fn issuers(config: Value, sources: &[&Arc<FixedKeys>], previous: Option<&Issuers>) -> Issuers {
    let config: Config = serde_json::from_value(json!({ "issuers": config })).unwrap();
    let mut diagnostics = Diagnostics::new();
    let mut sources = sources.iter();
    let next = |_: &str, _: &_, _: &mut Diagnostics| {
        let source: Arc<dyn KeySource> = Arc::<FixedKeys>::clone(sources.next().unwrap());
        Some(source)
    };
    compile_issuers(&config, previous, next, &mut diagnostics).unwrap_or_else(|| panic!("{diagnostics:?}"))
}
