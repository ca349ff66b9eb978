//! Owns: finding each issuer's keeper: a remote key set and whoever asks the issuer about its tokens, or the embedded issuer with
//! its memory of what it took back.
//! Always holds: issuers with the same settings share one key set, also over a reload.

use std::{collections::BTreeMap, sync::Arc};

use super::{IssuerKeys, Surroundings};
use crate::{
    auth::{IntrospectionSettings, Keeper, KeySource, RevocationSettings, key_set::KeySetSettings},
    authorization_server::Memory,
    config::IssuerConfig,
    diagnostic::Diagnostics,
};

/// The keepers found so far for one configuration.
pub(super) struct KeySources<'a> {
    surroundings: &'a Surroundings,
    pub(super) remote: BTreeMap<Arc<str>, IssuerKeys>,
}

impl<'a> KeySources<'a> {
    pub(super) const fn new(surroundings: &'a Surroundings) -> Self {
        Self { surroundings, remote: BTreeMap::new() }
    }

    /// The keeper of the issuer that the configuration calls `name`.
    pub(super) fn find(&mut self, name: &str, raw: &IssuerConfig, diagnostics: &mut Diagnostics) -> Option<Keeper> {
        if raw.embedded {
            let keys = Arc::<Memory>::clone(&self.surroundings.issuer_memory);
            let standing = Some(Arc::<Memory>::clone(&keys) as _);
            return Some(Keeper { standing, keys, introspection: None, revocation: None });
        }
        let inquirers = &self.surroundings.inquirers;
        // What is there and does not compile is no reason to go on without it.
        let introspection = match &raw.introspection {
            None => Some(None),
            Some(raw) => {
                IntrospectionSettings::compile(name, raw, diagnostics).map(|it| Some(inquirers.introspector(it)))
            }
        };
        let revocation = match &raw.revocation {
            None => Some(None),
            Some(raw) => {
                RevocationSettings::compile(name, raw, diagnostics).map(|it| Some(inquirers.revocation_lookup(it)))
            }
        };
        let keys = self.keys(name, raw, diagnostics);
        let (keys, introspection, revocation) = (keys?, introspection?, revocation?);
        Some(Keeper { keys, standing: None, introspection, revocation })
    }

    fn keys(&mut self, name: &str, raw: &IssuerConfig, diagnostics: &mut Diagnostics) -> Option<Arc<dyn KeySource>> {
        // An issuer that signs no JWTs needs no keys, and nobody waits for any.
        if raw.algorithms.is_empty() && raw.introspection.is_some() {
            return Some(self.surroundings.inquirers.no_keys());
        }
        let settings = KeySetSettings::compile(name, raw, diagnostics)?;
        let set = self.surroundings.key_sets.obtain(settings);
        let keys = IssuerKeys { set: Arc::clone(&set), startup: raw.key_set.startup };
        self.remote.insert(Arc::from(name), keys);
        Some(set)
    }
}
