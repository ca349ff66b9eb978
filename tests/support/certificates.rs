//! Certificates made for one test, and TLS clients that believe them.

use std::{fs, net::SocketAddr, path::Path, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// A certificate authority of its own.
pub(crate) struct Authority {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, both in PEM.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) private_key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // RFC 5280 section 4.2.1.3, which strict clients insist on.
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        Self { pem: certificate.pem(), issuer: Issuer::new(params, key) }
    }

    /// A certificate for these names (DNS names or IP addresses).
    pub(crate) fn issue(&self, names: &[&str]) -> Identity {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(names).expect("names");
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        Identity { certificate: certificate.pem(), private_key: key.serialize_pem() }
    }

    /// Writes its certificate to `folder/name.pem`.
    pub(crate) fn write(&self, folder: &Path, name: &str) {
        fs::write(folder.join(format!("{name}.pem")), &self.pem).expect("written");
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(der(&self.pem)).expect("an authority");
        roots
    }

    /// A client that believes this authority, offers these protocols by ALPN and shows `identity`, if any.
    pub(crate) fn client(&self, protocols: &[&str], identity: Option<&Identity>) -> Arc<ClientConfig> {
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(self.roots());
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => builder.with_client_auth_cert(identity.chain(), identity.key()).expect("an identity"),
        };
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        // Each connection of a test shakes hands anew, so that what it shows is what is in force.
        config.resumption = rustls::client::Resumption::disabled();
        Arc::new(config)
    }

    /// A server that shows `identity`, agrees to these protocols, and lets in whom `clients` has certified, if given.
    pub(crate) fn server(identity: &Identity, protocols: &[&str], clients: Option<&Self>) -> Arc<ServerConfig> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("versions");
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(clients) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(clients.roots()), provider);
                builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
            }
        };
        let mut config = builder.with_single_cert(identity.chain(), identity.key()).expect("an identity");
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

impl Identity {
    /// Writes `folder/name.pem` and `folder/name.key`, each moved into its place whole.
    pub(crate) fn write(&self, folder: &Path, name: &str) {
        for (ending, text) in [("pem", &self.certificate), ("key", &self.private_key)] {
            let aside = folder.join(format!("{name}.{ending}.new"));
            fs::write(&aside, text).expect("written");
            fs::rename(&aside, folder.join(format!("{name}.{ending}"))).expect("moved");
        }
    }

    /// The certificate as it is seen in a handshake.
    pub(crate) fn der(&self) -> CertificateDer<'static> {
        der(&self.certificate)
    }

    fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![self.der()]
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.private_key.as_bytes()).expect("a key")
    }
}

/// Shakes hands with `address`, asking for `name`.
pub(crate) async fn handshake(
    address: SocketAddr,
    name: &str,
    config: &Arc<ClientConfig>,
) -> std::io::Result<TlsStream<TcpStream>> {
    handshake_over(TcpStream::connect(address).await?, name, config).await
}

/// Shakes hands on a connection that is there already, asking for `name`.
pub(crate) async fn handshake_over(
    stream: TcpStream,
    name: &str,
    config: &Arc<ClientConfig>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(name.to_owned()).expect("a server's name");
    TlsConnector::from(Arc::clone(config)).connect(name, stream).await
}

/// The certificate that the other side showed.
pub(crate) fn shown(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    let chain = stream.get_ref().1.peer_certificates().expect("a certificate");
    chain.first().expect("a certificate").clone().into_owned()
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate")
}
