//! Owns: whom Postern believes to be the server that it asks: the authorities of one file, or the system's.
//! Refuses: a file that holds no certificate, or one that cannot be an authority.
//! Always holds: two [`TrustAnchors`] are equal if they trust the same certificates, wherever those were read from.

use std::{
    fmt,
    hash::{Hash, Hasher},
    path::Path,
    sync::{Arc, OnceLock},
};

use aws_lc_rs::digest::{Context, SHA256};
use rustls::RootCertStore;
use thiserror::Error;
use tracing::warn;

use crate::{
    config::FilePath,
    diagnostic::{Diagnostics, KeyPath},
    pem::{self, PemError},
};

/// The certificate authorities that are accepted.
#[derive(Clone)]
pub enum TrustAnchors {
    /// The system's.
    System,
    /// Those of a file, and no others.
    File {
        /// SHA-256 over the certificates: who is trusted.
        digest: [u8; 32],
        /// Ready for use.
        roots: Arc<RootCertStore>,
    },
}

/// Why a file of authorities cannot be used.
#[derive(Debug, Error)]
pub enum TrustError {
    /// It holds no certificates.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// One of its certificates cannot be an authority.
    #[error("holds a certificate that cannot be an authority")]
    Unsuitable(#[source] rustls::Error),
}

/// The system's authorities, read when they are first needed and then kept: reading them is slow.
#[derive(Debug, Default)]
pub struct SystemRoots {
    roots: OnceLock<Arc<RootCertStore>>,
}

impl TrustAnchors {
    /// Reads a file of authorities.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn read(file: &Path) -> Result<Self, TrustError> {
        let certificates = pem::certificates(&pem::read(file)?)?;
        let mut roots = RootCertStore::empty();
        let mut digest = Context::new(&SHA256);
        for certificate in certificates {
            digest.update(&certificate);
            roots.add(certificate).map_err(TrustError::Unsuitable)?;
        }
        let mut sum = [0; 32];
        sum.iter_mut().zip(digest.finish().as_ref()).for_each(|(to, from)| *to = *from);
        Ok(Self::File { digest: sum, roots: Arc::new(roots) })
    }

    /// Reads the authorities that `ca` names at `path`; without it they are the system's. `None` if `diagnostics` now says why they
    /// cannot be used. What is not `encrypted` needs none, which is worth a warning.
    pub fn compile(
        ca: Option<&FilePath>,
        path: &KeyPath,
        encrypted: bool,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let Some(file) = ca else { return Some(Self::System) };
        if !encrypted {
            diagnostics.warning(path, "it has no effect: what is asked there is asked in clear", "leave it out");
        }
        match Self::read(&file.0) {
            Ok(trust) => Some(trust),
            Err(error) => {
                let cause = std::error::Error::source(&error).map_or_else(String::new, |cause| format!(" ({cause})"));
                diagnostics.error(
                    path,
                    format!("{} {error}{cause}", file.0.display()),
                    "name a readable PEM file with the certificates of the authorities to trust",
                );
                None
            }
        }
    }

    /// The authorities, the system's being read now if they were not yet.
    pub fn roots(&self, system: &SystemRoots) -> Arc<RootCertStore> {
        match self {
            Self::System => system.roots(),
            Self::File { roots, .. } => Arc::clone(roots),
        }
    }

    /// What tells one choice of authorities from another; none for the system's.
    pub const fn digest(&self) -> Option<&[u8; 32]> {
        match self {
            Self::System => None,
            Self::File { digest, .. } => Some(digest),
        }
    }
}

impl fmt::Debug for TrustAnchors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::System => "System",
            Self::File { .. } => "File",
        })
    }
}

impl PartialEq for TrustAnchors {
    fn eq(&self, other: &Self) -> bool {
        self.digest() == other.digest()
    }
}

impl Eq for TrustAnchors {}

impl Hash for TrustAnchors {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digest().hash(state);
    }
}

impl SystemRoots {
    fn roots(&self) -> Arc<RootCertStore> {
        Arc::clone(self.roots.get_or_init(|| {
            let found = rustls_native_certs::load_native_certs();
            for error in &found.errors {
                warn!(error = %error, "some of the system's certificate authorities could not be read");
            }
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                warn!(
                    "the system has no certificate authorities: nothing can be asked over TLS without a `ca` of its own"
                );
            }
            Arc::new(roots)
        }))
    }
}
