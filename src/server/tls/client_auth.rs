//! Owns: who may connect with which certificate.
//! Refuses: a client whose certificate no configured CA has issued; where it is required, a client without one.
//! Always holds: two of them are equal only if the CA file says byte for byte the same and the demand is the same.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use aws_lc_rs::digest::{SHA256, digest};
use rustls::server::VerifierBuilderError;
use rustls::{
    RootCertStore,
    crypto::CryptoProvider,
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};

use crate::{
    config::{ClientCertificateConfig, ListenerTlsConfig},
    diagnostic::{Diagnostics, KeyPath},
    pem::{self, PemError},
};

/// What is asked of clients.
#[derive(Clone, Debug)]
pub(super) struct ClientAuth {
    file: PathBuf,
    digest: Vec<u8>,
    required: bool,
    roots: Arc<RootCertStore>,
}

impl ClientAuth {
    /// `None` without `client_ca`, or if something is wrong, which is then said.
    pub(super) fn compile(path: &KeyPath, raw: &ListenerTlsConfig, diagnostics: &mut Diagnostics) -> Option<Self> {
        let Some(file) = raw.client_ca.as_ref().map(|file| &file.0) else {
            if raw.client_certificate.is_some() {
                let message = "client certificates cannot be verified without `client_ca`";
                let remedy = "write client_ca = \"clients.pem\" beside it, or remove client_certificate";
                diagnostics.error(&path.key("client_certificate"), message, remedy);
            }
            return None;
        };
        let path = path.key("client_ca");
        let mut note = |error: &PemError| error.note(&path, file, diagnostics);
        let bytes = pem::read(file).inspect_err(&mut note).ok()?;
        let certificates = pem::certificates(&bytes).inspect_err(&mut note).ok()?;
        let mut roots = RootCertStore::empty();
        for certificate in certificates {
            if let Err(error) = roots.add(certificate) {
                let message = format!("a certificate in {} cannot be trusted: {error}", file.display());
                diagnostics.error(&path, message, "name a PEM file of certificate authorities only");
                return None;
            }
        }
        Some(Self {
            file: file.clone(),
            digest: digest(&SHA256, &bytes).as_ref().to_vec(),
            required: raw.client_certificate.unwrap_or_default() == ClientCertificateConfig::Required,
            roots: Arc::new(roots),
        })
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    pub(super) fn verifier(
        &self,
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ClientCertVerifier>, VerifierBuilderError> {
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::clone(&self.roots), provider);
        if self.required { builder.build() } else { builder.allow_unauthenticated().build() }
    }
}

impl PartialEq for ClientAuth {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest && self.required == other.required
    }
}

impl Eq for ClientAuth {}
