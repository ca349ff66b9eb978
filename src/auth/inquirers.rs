//! Owns: who asks the issuers of a configuration about tokens: one for each settings, whoever needs it.
//! Refuses: keeping one alive that no configuration needs.
//! Always holds: a reload that asks with the settings of a live one gets that very one, with all that it was told.

use std::{
    fmt,
    future::{Future, ready},
    pin::Pin,
    sync::Arc,
};

use super::{
    IntrospectionSettings, Introspector, KeySource, RevocationLookup, RevocationSettings, TrustedKeySet,
    UnknownKeyFetch,
};
use crate::{clock::UnixTime, living::Living, outbound::Outbound};

/// All who ask issuers about tokens. Made once, and kept over reloads.
pub struct Inquirers {
    outbound: Arc<Outbound>,
    introspectors: Living<IntrospectionSettings, Introspector>,
    lookups: Living<RevocationSettings, RevocationLookup>,
    no_keys: Arc<NoKeys>,
}

/// The keys of an issuer that signs no JWTs.
#[derive(Debug)]
struct NoKeys;

impl Inquirers {
    /// None yet; they will ask by way of `outbound`.
    #[must_use]
    pub fn new(outbound: Arc<Outbound>) -> Self {
        Self { outbound, introspectors: Living::default(), lookups: Living::default(), no_keys: Arc::new(NoKeys) }
    }

    /// Whoever asks with these settings what opaque tokens mean.
    pub fn introspector(&self, settings: IntrospectionSettings) -> Arc<Introspector> {
        self.introspectors.obtain(settings, |settings| Introspector::new(settings.clone(), &self.outbound))
    }

    /// Whoever asks with these settings which tokens have been revoked.
    pub fn revocation_lookup(&self, settings: RevocationSettings) -> Arc<RevocationLookup> {
        self.lookups.obtain(settings, |settings| RevocationLookup::new(settings.clone(), &self.outbound))
    }

    /// What stands for the keys of an issuer that signs no JWTs.
    #[must_use]
    pub fn no_keys(&self) -> Arc<dyn KeySource> {
        Arc::<NoKeys>::clone(&self.no_keys)
    }
}

impl KeySource for NoKeys {
    fn current(&self, _now: UnixTime) -> TrustedKeySet {
        TrustedKeySet::Usable(Arc::default())
    }

    fn fetch_for_unknown_key(&self) -> Pin<Box<dyn Future<Output = UnknownKeyFetch> + Send + '_>> {
        Box::pin(ready(UnknownKeyFetch::Current))
    }
}

impl fmt::Debug for Inquirers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Inquirers").finish_non_exhaustive()
    }
}
