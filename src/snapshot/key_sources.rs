//! Owns: finding each issuer's keeper: a remote key set, or the embedded issuer with its memory of what it took back.
//! Always holds: issuers with the same settings share one key set, also over a reload.

use std::{collections::BTreeMap, sync::Arc};

use super::{IssuerKeys, Surroundings};
use crate::{
    auth::{Keeper, key_set::KeySetSettings},
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
            return Some(Keeper { standing: Some(Arc::<Memory>::clone(&keys)), keys });
        }
        let settings = KeySetSettings::compile(name, raw, diagnostics)?;
        let set = self.surroundings.key_sets.obtain(settings);
        let keys = IssuerKeys { set: Arc::clone(&set), startup: raw.key_set.startup };
        self.remote.insert(Arc::from(name), keys);
        Some(Keeper { keys: set, standing: None })
    }
}
