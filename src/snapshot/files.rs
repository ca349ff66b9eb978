//! Owns: which files a configuration names beside secrets, and what was in them.

use std::{collections::BTreeMap, path::PathBuf};

use crate::config::{Config, Contents, FilePath};

/// The contents of every certificate, key, client's key and authority that `config` names.
pub(super) fn named_files(config: &Config) -> BTreeMap<PathBuf, Contents> {
    let mut named: Vec<&FilePath> = Vec::new();
    for tls in config.listeners.values().filter_map(|listener| listener.tls.as_ref()) {
        named.extend([&tls.certificate, &tls.private_key]);
        named.extend(tls.certificates.iter().flat_map(|pair| [&pair.certificate, &pair.private_key]));
        named.extend(&tls.client_ca);
    }
    named.extend(config.issuers.values().filter_map(|issuer| issuer.key_set.ca.as_ref()));
    let introspection = config.issuers.values().filter_map(|issuer| issuer.introspection.as_ref());
    named.extend(introspection.filter_map(|introspection| introspection.ca.as_ref()));
    let revocation = config.issuers.values().filter_map(|issuer| issuer.revocation.as_ref());
    named.extend(revocation.filter_map(|revocation| revocation.ca.as_ref()));
    for tls in config.upstreams.values().filter_map(|upstream| upstream.tls.as_ref()) {
        named.extend([&tls.ca, &tls.certificate, &tls.private_key].into_iter().flatten());
    }
    let clients = config.authorization_server.iter().flat_map(|server| server.clients.values());
    named.extend(clients.flat_map(|client| &client.public_keys));
    named.into_iter().map(|file| (file.0.clone(), Contents::of(&file.0))).collect()
}
