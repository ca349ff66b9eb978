//! Owns: TLS of one listener: its certificates, who its clients may be, the handshake.
//! Refuses: TLS 1.1 and older, early data (RFC 8446 section 8), a client whose certificate does not verify.
//! Always holds: a session is resumed only under the very client CA under which it was begun.

mod certificate;
mod client_auth;
mod resolver;

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    server::{NoServerSessionStorage, ProducesTickets},
    version::{TLS12, TLS13},
};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

pub use self::certificate::CertificateFacts;
use self::{certificate::Certificate, client_auth::ClientAuth, resolver::CertificateResolver};
use super::handler::{Protocol, TlsInfo};
use crate::{
    clock::UnixTime,
    config,
    diagnostic::{Diagnostics, KeyPath},
};

const ALPN_HTTP2: &[u8] = b"h2";
const ALPN_HTTP1: &[u8] = b"http/1.1";

/// TLS of one listener. Two are equal if the same files say the same.
pub(super) struct TlsSettings {
    config: Arc<ServerConfig>,
    tickets: Arc<dyn ProducesTickets>,
    client_auth: Option<ClientAuth>,
    certificates: Vec<CertificateFacts>,
    files: Vec<PathBuf>,
}

impl TlsSettings {
    /// Reads and verifies all that `raw` names. If it is what `previous` was made of, `previous` it is.
    pub(super) fn compile(
        path: &KeyPath,
        raw: &config::ListenerTlsConfig,
        previous: Option<&Arc<Self>>,
        now: UnixTime,
        diagnostics: &mut Diagnostics,
    ) -> Option<Arc<Self>> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let before = diagnostics.error_count();
        let certificates = Certificate::load_all(path, raw, &provider, now, diagnostics);
        let client_auth = ClientAuth::compile(path, raw, diagnostics);
        if diagnostics.error_count() > before {
            return None;
        }
        let facts: Vec<_> = certificates.iter().map(|certificate| certificate.facts.clone()).collect();
        if let Some(previous) = previous
            && previous.certificates == facts
            && previous.client_auth == client_auth
        {
            return Some(Arc::clone(previous));
        }
        // Tickets bear the client's certificate past its verification, so they are good only for the same client CA.
        let tickets = match previous {
            Some(previous) if previous.client_auth == client_auth => Arc::clone(&previous.tickets),
            _ => aws_lc_rs::Ticketer::new()
                .inspect_err(|error| {
                    let message = format!("no key for session tickets could be made: {error}");
                    diagnostics.error(path, message, "this is no fault of the configuration; try again");
                })
                .ok()?,
        };
        let mut files: Vec<_> = facts.iter().flat_map(|facts| [facts.file.clone(), facts.key_file.clone()]).collect();
        files.extend(client_auth.as_ref().map(|auth| auth.file().to_owned()));
        files.sort();
        files.dedup();
        let resolver = CertificateResolver::new(certificates);
        let config = match server_config(provider, client_auth.as_ref(), resolver, &tickets) {
            Ok(config) => config,
            Err(error) => {
                let message = format!("TLS cannot be set up: {error}");
                diagnostics.error(path, message, "look at the certificates and the client CA of this listener");
                return None;
            }
        };
        Some(Arc::new(Self { config, tickets, client_auth, certificates: facts, files }))
    }

    pub(super) fn certificates(&self) -> &[CertificateFacts] {
        &self.certificates
    }

    pub(super) fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Shakes hands.
    pub(super) async fn accept(
        &self,
        socket: TcpStream,
        within: Duration,
    ) -> io::Result<(TlsStream<TcpStream>, TlsInfo)> {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.config));
        let stream = timeout(within, acceptor.accept(socket)).await??;
        let session = stream.get_ref().1;
        let info = TlsInfo {
            server_name: session.server_name().map(|name| name.to_ascii_lowercase().into()),
            version: match session.protocol_version() {
                Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
                _ => "TLSv1.3",
            },
            client_certificate: session
                .peer_certificates()
                .and_then(|chain| chain.first())
                .map(|certificate| certificate.clone().into_owned()),
        };
        Ok((stream, info))
    }

    /// What ALPN settled; HTTP/1.1 if the client offered nothing.
    pub(super) fn protocol(stream: &TlsStream<TcpStream>) -> Protocol {
        if stream.get_ref().1.alpn_protocol() == Some(ALPN_HTTP2) { Protocol::Http2 } else { Protocol::Http1 }
    }
}

fn server_config(
    provider: Arc<CryptoProvider>,
    client_auth: Option<&ClientAuth>,
    resolver: CertificateResolver,
    tickets: &Arc<dyn ProducesTickets>,
) -> Result<Arc<ServerConfig>, Box<dyn std::error::Error>> {
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(&[&TLS13, &TLS12])?;
    let builder = match client_auth {
        Some(auth) => builder.with_client_cert_verifier(auth.verifier(provider)?),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = vec![ALPN_HTTP2.to_vec(), ALPN_HTTP1.to_vec()];
    // Sessions live in the tickets alone: a store would be a lock that the workers share.
    config.ticketer = Arc::clone(tickets);
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(Arc::new(config))
}

impl PartialEq for TlsSettings {
    fn eq(&self, other: &Self) -> bool {
        self.certificates == other.certificates && self.client_auth == other.client_auth
    }
}

impl Eq for TlsSettings {}

impl std::fmt::Debug for TlsSettings {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("TlsSettings")
            .field("certificates", &self.certificates)
            .field("client_auth", &self.client_auth)
            .finish_non_exhaustive()
    }
}
