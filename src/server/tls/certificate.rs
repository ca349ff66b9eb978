//! Owns: a server's certificate with its key, and what is to be known of it: its names and how long it is good.
//! Refuses: a key that is not the certificate's, a certificate that is over, a further certificate without a name.
//! Always holds: the names are those of the certificate itself (RFC 9525 section 6.3), in lower case.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use aws_lc_rs::digest::{SHA256, digest};
use rustls::{Error, InconsistentKeys, crypto::CryptoProvider, sign::CertifiedKey};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::{
    clock::UnixTime,
    config,
    diagnostic::{Diagnostics, KeyPath},
    pem,
};

/// How long before its end a certificate is warned of.
const NEAR_END: Duration = Duration::from_secs(14 * 86_400);

/// What is to be known of a certificate that a listener shows. Equal only if certificate and key are byte for byte the same.
#[derive(Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// The file it was read from.
    pub file: PathBuf,
    /// The file of its private key.
    pub key_file: PathBuf,
    /// The host names in it, in lower case; `*.example.com` for a wildcard.
    pub names: Vec<String>,
    /// The last second of its validity, counted from the Unix epoch.
    pub not_after: u64,
    digest: [Vec<u8>; 2],
}

/// A certificate ready to be shown.
#[derive(Debug)]
pub(super) struct Certificate {
    pub(super) facts: CertificateFacts,
    pub(super) key: Arc<CertifiedKey>,
}

impl Certificate {
    /// The default certificate first, then the further ones; those that are wrong are said and left out.
    pub(super) fn load_all(
        path: &KeyPath,
        raw: &config::ListenerTlsConfig,
        provider: &CryptoProvider,
        now: UnixTime,
        diagnostics: &mut Diagnostics,
    ) -> Vec<Self> {
        let mut load = |path: &KeyPath, certificate: &config::FilePath, key: &config::FilePath| {
            Self::load(path, (&certificate.0, &key.0), provider, now, diagnostics)
        };
        let mut loaded: Vec<_> = load(path, &raw.certificate, &raw.private_key).into_iter().collect();
        let mut nameless = Vec::new();
        for (index, further) in raw.certificates.iter().enumerate() {
            let path = path.key("certificates").index(index);
            let certificate = load(&path, &further.certificate, &further.private_key);
            if certificate.as_ref().is_some_and(|certificate| certificate.facts.names.is_empty()) {
                nameless.push((path, &further.certificate.0));
            }
            loaded.extend(certificate);
        }
        for (path, file) in nameless {
            let message = format!("{} names no host, so no client would ever be shown it", file.display());
            let remedy = "use a certificate with a DNS name among its subject alternative names, or remove it here";
            diagnostics.error(&path.key("certificate"), message, remedy);
        }
        loaded
    }

    fn load(
        path: &KeyPath,
        (file, key_file): (&Path, &Path),
        provider: &CryptoProvider,
        now: UnixTime,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let (path, key_path) = (path.key("certificate"), path.key("private_key"));
        let bytes = pem::read(file).inspect_err(|error| error.note(&path, file, diagnostics));
        let key_bytes = pem::read(key_file).inspect_err(|error| error.note(&key_path, key_file, diagnostics));
        let (bytes, key_bytes) = (bytes.ok()?, key_bytes.ok()?);
        let chain = pem::certificates(&bytes).inspect_err(|error| error.note(&path, file, diagnostics));
        let key = pem::private_key(&key_bytes).inspect_err(|error| error.note(&key_path, key_file, diagnostics));
        let (chain, key) = (chain.ok()?, key.ok()?);
        let leaf = chain.first()?;
        let (names, not_after) = judge(&path, file, leaf, now, diagnostics)?;
        let key = match provider.key_provider.load_private_key(key) {
            Ok(key) => key,
            Err(error) => {
                let message = format!("the private key in {} cannot be used: {error}", key_file.display());
                diagnostics.error(
                    &key_path,
                    message,
                    "use an RSA key of 2048 bits or more, a P-256 or P-384 key, or Ed25519",
                );
                return None;
            }
        };
        let digest = [digest(&SHA256, &bytes).as_ref().to_vec(), digest(&SHA256, &key_bytes).as_ref().to_vec()];
        let key = CertifiedKey::new(chain, key);
        match key.keys_match() {
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(_) => {
                let message = format!("{} is not the private key of {}", key_file.display(), file.display());
                diagnostics.error(&key_path, message, "name the key for which the certificate was issued");
                return None;
            }
        }
        let facts = CertificateFacts { file: file.to_owned(), key_file: key_file.to_owned(), names, not_after, digest };
        Some(Self { facts, key: Arc::new(key) })
    }
}

/// The names of a certificate and its end, if it is not over.
fn judge(
    path: &KeyPath,
    file: &Path,
    leaf: &[u8],
    now: UnixTime,
    diagnostics: &mut Diagnostics,
) -> Option<(Vec<String>, u64)> {
    let parsed = match X509Certificate::from_der(leaf) {
        Ok((_, parsed)) => parsed,
        Err(error) => {
            let message = format!("the first certificate in {} cannot be parsed: {error}", file.display());
            diagnostics.error(path, message, "name a file whose first certificate is the server's own");
            return None;
        }
    };
    let seconds = |timestamp: i64| UnixTime::from_seconds(u64::try_from(timestamp).unwrap_or(0));
    let not_before = seconds(parsed.validity().not_before.timestamp());
    let not_after = seconds(parsed.validity().not_after.timestamp());
    let until = parsed.validity().not_after;
    if not_after < now {
        let message = format!("the certificate in {} expired at {until}", file.display());
        diagnostics.error(path, message, "renew it; its file is watched, and the new one is used without a restart");
        return None;
    }
    if now < not_before {
        let from = parsed.validity().not_before;
        let message = format!("the certificate in {} is not valid before {from}", file.display());
        diagnostics.warning(path, message, "clients refuse it until then; look at this machine's clock");
    } else if not_after.since(now) < NEAR_END {
        let message = format!("the certificate in {} expires at {until}", file.display());
        diagnostics.warning(path, message, "renew it; its file is watched, and the new one is used without a restart");
    }
    let mut names = Vec::new();
    if let Ok(Some(alternatives)) = parsed.subject_alternative_name() {
        for name in &alternatives.value.general_names {
            if let GeneralName::DNSName(name) = name {
                names.push(name.trim_end_matches('.').to_ascii_lowercase());
            }
        }
    }
    Some((names, not_after.as_seconds()))
}

impl fmt::Debug for CertificateFacts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("CertificateFacts")
            .field("file", &self.file)
            .field("names", &self.names)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}
