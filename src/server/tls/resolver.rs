//! Owns: which certificate a client is shown, by the name that it asks for (RFC 6066 section 3).
//! Refuses: a wildcard that would stand for more than one label (RFC 9525 section 6.3).
//! Always holds: there is always an answer: the default certificate, if no other one fits.

use std::{collections::HashMap, sync::Arc};

use rustls::{
    SignatureScheme,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::certificate::Certificate;

/// The certificates of one listener by name. Several may bear one name, with keys of different kinds.
#[derive(Debug, Default)]
pub(super) struct CertificateResolver {
    default: Option<Arc<CertifiedKey>>,
    exact: HashMap<String, Vec<Arc<CertifiedKey>>>,
    /// By what stands behind `*.`.
    wildcard: HashMap<String, Vec<Arc<CertifiedKey>>>,
}

impl CertificateResolver {
    /// Of `certificates` the first one is the default.
    pub(super) fn new(certificates: Vec<Certificate>) -> Self {
        let mut resolver = Self::default();
        for Certificate { facts, key } in certificates {
            for name in facts.names {
                let (map, name) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut resolver.wildcard, parent.to_owned()),
                    None => (&mut resolver.exact, name),
                };
                map.entry(name).or_default().push(Arc::clone(&key));
            }
            resolver.default.get_or_insert(key);
        }
        resolver
    }

    fn choose(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let named = name.and_then(|name| {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            let parent = || name.split_once('.').map(|(_, parent)| parent);
            self.exact.get(&name).or_else(|| self.wildcard.get(parent()?))
        });
        // A client that can verify none of them is still shown the right name, and its error will say why.
        let fitting = |keys: &Vec<Arc<CertifiedKey>>| {
            keys.iter().find(|key| key.key.choose_scheme(schemes).is_some()).or_else(|| keys.first()).cloned()
        };
        named.and_then(fitting).or_else(|| self.default.clone())
    }
}

impl ResolvesServerCert for CertificateResolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name(), hello.signature_schemes())
    }
}
