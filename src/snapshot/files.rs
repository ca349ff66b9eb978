//! Owns: which files a configuration names, and what was in them.
//! Always holds: a file that cannot be read has contents of its own kind, so that its coming back is a change.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::{SHA256, digest};

use crate::config::{Config, FilePath};

/// What was in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    /// The SHA-256 of it.
    Digest([u8; 32]),
    /// It could not be read.
    Unreadable,
}

/// The contents of every certificate, key and authority that `config` names.
pub(super) fn named_files(config: &Config) -> BTreeMap<PathBuf, Contents> {
    let mut named: Vec<&FilePath> = Vec::new();
    for tls in config.listeners.values().filter_map(|listener| listener.tls.as_ref()) {
        named.extend([&tls.certificate, &tls.private_key]);
        named.extend(tls.certificates.iter().flat_map(|pair| [&pair.certificate, &pair.private_key]));
        named.extend(&tls.client_ca);
    }
    named.extend(config.issuers.values().filter_map(|issuer| issuer.key_set.ca.as_ref()));
    for tls in config.upstreams.values().filter_map(|upstream| upstream.tls.as_ref()) {
        named.extend([&tls.ca, &tls.certificate, &tls.private_key].into_iter().flatten());
    }
    named.into_iter().map(|file| (file.0.clone(), contents(&file.0))).collect()
}

fn contents(file: &Path) -> Contents {
    let Ok(bytes) = fs::read(file) else { return Contents::Unreadable };
    digest(&SHA256, &bytes).as_ref().try_into().map_or(Contents::Unreadable, Contents::Digest)
}
