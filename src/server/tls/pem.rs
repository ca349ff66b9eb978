//! Owns: reading PEM files (RFC 7468), with the file's name in everything that can go wrong.
//! Refuses: files larger than any certificate chain, and files with nothing in them.
//! Always holds: what is not understood is an error, never skipped.

use std::{fs::File, io::Read, path::Path};

use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use zeroize::Zeroizing;

use crate::diagnostic::{Diagnostics, KeyPath};

/// More than a bundle of every public certificate authority takes.
const LARGEST: u64 = 4 << 20;

/// The bytes of a file.
pub(super) fn read(path: &KeyPath, file: &Path, diagnostics: &mut Diagnostics) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    let read = File::open(file).and_then(|opened| opened.take(LARGEST.saturating_add(1)).read_to_end(&mut bytes));
    match read {
        Err(error) => {
            let message = format!("{} cannot be read: {error}", file.display());
            diagnostics.error(path, message, "name a PEM file that this process may read");
            None
        }
        Ok(count) if u64::try_from(count).is_ok_and(|count| count > LARGEST) => {
            let message = format!("{} is larger than 4MiB", file.display());
            diagnostics.error(path, message, "name a PEM file");
            None
        }
        Ok(_) => Some(bytes),
    }
}

/// All certificates of a file, in order; at least one.
pub(super) fn certificates(
    path: &KeyPath,
    file: &Path,
    bytes: &[u8],
    diagnostics: &mut Diagnostics,
) -> Option<Vec<CertificateDer<'static>>> {
    let remedy = "name a PEM file with one or more CERTIFICATE sections";
    match CertificateDer::pem_slice_iter(bytes).collect::<Result<Vec<_>, _>>() {
        Ok(chain) if !chain.is_empty() => Some(chain),
        Ok(_) => {
            diagnostics.error(path, format!("{} contains no certificate", file.display()), remedy);
            None
        }
        Err(error) => {
            diagnostics.error(path, format!("{} is not readable as PEM: {error}", file.display()), remedy);
            None
        }
    }
}

/// The private key of a file.
pub(super) fn private_key(
    path: &KeyPath,
    file: &Path,
    bytes: &[u8],
    diagnostics: &mut Diagnostics,
) -> Option<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_slice(bytes)
        .inspect_err(|error| {
            let message = format!("{} contains no private key that can be read: {error}", file.display());
            let remedy = "name a PEM file with an unencrypted PRIVATE KEY (PKCS#8), RSA PRIVATE KEY or EC PRIVATE KEY";
            diagnostics.error(path, message, remedy);
        })
        .ok()
}
