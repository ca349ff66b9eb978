//! Owns: certificates and private keys out of PEM files (RFC 7468).
//! Refuses: files larger than any certificate chain, and files with nothing in them.
//! Always holds: what is not understood is an error, never skipped; a file's text is overwritten when it is let go.

use std::{error::Error as _, fs::File, io, io::Read as _, path::Path};

use rustls_pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject as _},
};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::diagnostic::{Diagnostics, KeyPath};

/// More than a bundle of every public certificate authority takes.
const LARGEST: u64 = 4 << 20;

/// Why a file is not what it should be. Reads on from the file's name.
#[derive(Debug, Error)]
pub enum PemError {
    /// The operating system does not give its contents.
    #[error("cannot be read")]
    Unreadable(#[source] io::Error),
    /// It is larger than any file of certificates.
    #[error("is larger than 4 MiB")]
    TooLarge,
    /// Its sections are malformed.
    #[error("is not readable as PEM")]
    NotPem(#[source] pem::Error),
    /// It has no CERTIFICATE section.
    #[error("contains no certificate")]
    NoCertificate,
    /// It has no section of a private key.
    #[error("contains no private key that can be read")]
    NoPrivateKey(#[source] pem::Error),
}

/// The bytes of a file.
///
/// # Errors
/// It cannot be read, or is larger than 4 MiB.
pub fn read(file: &Path) -> Result<Zeroizing<Vec<u8>>, PemError> {
    let mut bytes = Zeroizing::new(Vec::new());
    let opened = File::open(file).map_err(PemError::Unreadable)?;
    let count = opened.take(LARGEST + 1).read_to_end(&mut bytes).map_err(PemError::Unreadable)?;
    if u64::try_from(count).is_ok_and(|count| count <= LARGEST) { Ok(bytes) } else { Err(PemError::TooLarge) }
}

/// All certificates, in order; at least one.
///
/// # Errors
/// There is none, or a section is malformed.
pub fn certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let certificates: Vec<_> =
        CertificateDer::pem_slice_iter(bytes).collect::<Result<_, _>>().map_err(PemError::NotPem)?;
    if certificates.is_empty() { Err(PemError::NoCertificate) } else { Ok(certificates) }
}

/// The first private key.
///
/// # Errors
/// There is none, or it is malformed or encrypted.
pub fn private_key(bytes: &[u8]) -> Result<PrivateKeyDer<'static>, PemError> {
    PrivateKeyDer::from_pem_slice(bytes).map_err(PemError::NoPrivateKey)
}

impl PemError {
    /// Notes it at `path`, where `file` is named.
    pub fn note(&self, path: &KeyPath, file: &Path, diagnostics: &mut Diagnostics) {
        let cause = self.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        diagnostics.error(path, format!("{} {self}{cause}", file.display()), self.remedy());
    }

    /// What to write instead.
    #[must_use]
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "name a PEM file that this process may read",
            Self::TooLarge => "name a PEM file",
            Self::NotPem(_) | Self::NoCertificate => "name a PEM file with one or more CERTIFICATE sections",
            Self::NoPrivateKey(_) => {
                "name a PEM file with an unencrypted PRIVATE KEY (PKCS#8), RSA PRIVATE KEY or EC PRIVATE KEY"
            }
        }
    }
}
