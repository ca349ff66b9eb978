//! Owns: TLS towards upstreams: whom they are believed by, and what is shown to them.
//! Refuses: any way not to verify an upstream's certificate.
//! Always holds: two [`TlsClient`]s with the same digest were made of the same file contents and settings.

use std::{path::Path, sync::Arc};

use aws_lc_rs::digest::{Context, SHA256};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
};

use super::endpoint::Protocol;
use crate::{
    config::UpstreamTlsConfig,
    diagnostic::{Diagnostics, KeyPath},
    pem,
};

/// TLS settings, ready for connections.
#[derive(Debug)]
pub(super) struct TlsClient {
    config: Arc<ClientConfig>,
    digest: Digest,
}

/// What a [`TlsClient`] was made of: SHA-256 over file contents and settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Digest {
    bytes: [u8; 32],
}

/// The certificate authorities of the system, read at most once in a compile.
#[derive(Debug, Default)]
pub(super) struct SystemAuthorities {
    certificates: Option<Vec<CertificateDer<'static>>>,
}

/// What a `tls` table names, read out of its files.
struct Material {
    authorities: Vec<CertificateDer<'static>>,
    identity: Option<Identity>,
}

/// What is shown to an upstream that asks who calls.
struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl TlsClient {
    pub(super) const fn config(&self) -> &Arc<ClientConfig> {
        &self.config
    }

    pub(super) const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Compiles the `tls` table at `path`; takes over the one of `previous` that was made of the same.
    pub(super) fn compile<'a>(
        raw: &UpstreamTlsConfig,
        protocol: Protocol,
        system: &mut SystemAuthorities,
        previous: impl Iterator<Item = &'a Arc<Self>>,
        (path, diagnostics): (&KeyPath, &mut Diagnostics),
    ) -> Option<Arc<Self>> {
        let material = Material::read(raw, system, path, diagnostics)?;
        let digest = material.digest(protocol);
        let mut previous = previous;
        if let Some(same) = previous.find(|client| client.digest == digest) {
            return Some(Arc::clone(same));
        }
        let config = material.client_config(protocol, raw, path, diagnostics)?;
        Some(Arc::new(Self { config: Arc::new(config), digest }))
    }
}

impl SystemAuthorities {
    fn read(&mut self) -> &[CertificateDer<'static>] {
        self.certificates.get_or_insert_with(|| rustls_native_certs::load_native_certs().certs)
    }
}

impl Material {
    fn read(
        raw: &UpstreamTlsConfig,
        system: &mut SystemAuthorities,
        path: &KeyPath,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let authorities = match &raw.ca {
            Some(file) => {
                let place = path.key("ca");
                let read = pem::read(&file.0).and_then(|bytes| pem::certificates(&bytes));
                read.inspect_err(|error| error.note(&place, &file.0, diagnostics)).ok()
            }
            None => {
                let found = system.read();
                if found.is_empty() {
                    diagnostics.error(
                        path,
                        "this system has no certificate authorities to trust",
                        "install them (Debian: ca-certificates), or name a file of your own with `tls.ca`",
                    );
                }
                (!found.is_empty()).then(|| found.to_vec())
            }
        };
        let identity = match (&raw.certificate, &raw.private_key) {
            (None, None) => Some(None),
            (Some(certificate), Some(key)) => Identity::read(&certificate.0, &key.0, path, diagnostics).map(Some),
            (Some(_), None) => {
                diagnostics.error(
                    &path.key("certificate"),
                    "a client certificate cannot be shown without its private key",
                    "add `private_key = \"...\"`, or take `certificate` out",
                );
                None
            }
            (None, Some(_)) => {
                diagnostics.error(
                    &path.key("private_key"),
                    "a private key is of no use without its certificate",
                    "add `certificate = \"...\"`, or take `private_key` out",
                );
                None
            }
        };
        Some(Self { authorities: authorities?, identity: identity? })
    }

    fn digest(&self, protocol: Protocol) -> Digest {
        let mut context = Context::new(&SHA256);
        // Each part after its length, so that no two lists of parts read the same.
        let mut part = |bytes: &[u8]| {
            context.update(&bytes.len().to_be_bytes());
            context.update(bytes);
        };
        for name in application_protocols(protocol) {
            part(&name);
        }
        part(b"");
        for certificate in &self.authorities {
            part(certificate);
        }
        part(b"");
        if let Some(identity) = &self.identity {
            identity.chain.iter().for_each(|certificate| part(certificate));
            part(b"");
            part(identity.key.secret_der());
        }
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(context.finish().as_ref()) {
            *to = *from;
        }
        Digest { bytes }
    }

    fn client_config(
        self,
        protocol: Protocol,
        raw: &UpstreamTlsConfig,
        path: &KeyPath,
        diagnostics: &mut Diagnostics,
    ) -> Option<ClientConfig> {
        let mut roots = RootCertStore::empty();
        let (usable, ignored) = roots.add_parsable_certificates(self.authorities);
        // The system's store may hold odd certificates that nobody here can mend; a file of one's own may not.
        if usable == 0 || (ignored > 0 && raw.ca.is_some()) {
            diagnostics.error(
                &path.key("ca"),
                format!("{ignored} of its certificates cannot be a certificate authority's"),
                "name a PEM file that holds certificate authorities and nothing else",
            );
            return None;
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .inspect_err(|error| {
                diagnostics.error(path, format!("TLS cannot be set up: {error}"), "report this as a fault of Postern");
            })
            .ok()?
            .with_root_certificates(roots);
        let mut config = match self.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => builder
                .with_client_auth_cert(identity.chain, identity.key)
                .inspect_err(|error| {
                    diagnostics.error(
                        &path.key("private_key"),
                        format!("certificate and private key do not go together: {error}"),
                        "name the private key that the certificate was made for",
                    );
                })
                .ok()?,
        };
        config.alpn_protocols = application_protocols(protocol);
        Some(config)
    }
}

impl Identity {
    fn read(certificate: &Path, key: &Path, path: &KeyPath, diagnostics: &mut Diagnostics) -> Option<Self> {
        let chain = pem::read(certificate)
            .and_then(|bytes| pem::certificates(&bytes))
            .inspect_err(|error| error.note(&path.key("certificate"), certificate, diagnostics));
        let key = pem::read(key)
            .and_then(|bytes| pem::private_key(&bytes))
            .inspect_err(|error| error.note(&path.key("private_key"), key, diagnostics));
        Some(Self { chain: chain.ok()?, key: key.ok()? })
    }
}

/// The name that an endpoint's certificate must carry.
pub(super) fn server_name(name: &str, path: &KeyPath, diagnostics: &mut Diagnostics) -> Option<ServerName<'static>> {
    ServerName::try_from(name.to_owned())
        .inspect_err(|_| {
            diagnostics.error(
                path,
                format!("`{name}` can be in no certificate: it is neither a DNS name nor an IP address"),
                "write the name that the upstream's certificate carries, like `server_name = \"orders.internal\"`",
            );
        })
        .ok()
}

/// The names offered by ALPN (RFC 7301), the preferred one first.
fn application_protocols(protocol: Protocol) -> Vec<Vec<u8>> {
    match protocol {
        Protocol::Http1 => vec![b"http/1.1".to_vec()],
        Protocol::Http2 => vec![b"h2".to_vec()],
        Protocol::Auto => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
    }
}
