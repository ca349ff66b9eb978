//! Owns: connections to the servers that Postern itself asks.
//! Refuses: certificates of other authorities, and names that say they are this machine and lead elsewhere.
//! Always holds: what is in clear stays on this machine.

use std::{
    fmt, io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{Uri, uri::Scheme};
use hyper_util::{
    client::legacy::connect::{Connected, Connection, HttpConnector},
    rt::TokioIo,
};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::ServerName;
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tower::{Service, ServiceExt as _};

/// Makes connections, believing one set of authorities.
#[derive(Clone)]
pub struct Connector {
    tcp: HttpConnector,
    tls: Result<TlsConnector, rustls::Error>,
    patience: Duration,
}

/// Why there is no connection. Nothing was sent then.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The name does not resolve, or nobody answers there.
    #[error("no connection could be made")]
    Connect(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// `localhost` is somewhere else.
    #[error("the name leads to {0}, which is not this machine, and the URL is not https")]
    NotLoopback(SocketAddr),
    /// The certificate is not believed, or no TLS is spoken there.
    #[error("no TLS connection could be made")]
    Tls(#[source] io::Error),
    /// This program's own TLS settings do not work.
    #[error("TLS cannot be set up")]
    TlsSettings(#[source] rustls::Error),
    /// It took too long.
    #[error("it took longer than {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// The host is no name that a certificate could hold.
    #[error("the host is no name that a certificate could hold")]
    HostName,
}

/// A connection, in clear or not.
#[derive(Debug)]
pub enum OutboundStream {
    /// To this machine.
    Clear(TcpStream),
    /// Under TLS.
    Encrypted(Box<TlsStream<TcpStream>>),
}

impl Connector {
    /// Makes one that believes `roots` and gives up on a connection after `patience`, all addresses of a name together.
    #[must_use]
    pub fn new(roots: Arc<RootCertStore>, patience: Duration) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(patience));
        tcp.set_nodelay(true);
        let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map(|builder| {
                let mut config = builder.with_root_certificates(roots).with_no_client_auth();
                config.alpn_protocols = vec![b"http/1.1".to_vec()];
                TlsConnector::from(Arc::new(config))
            });
        Self { tcp, tls, patience }
    }

    /// Connects to the scheme and authority of `place`; for `https` TLS is spoken.
    ///
    /// # Errors
    /// Why there is no connection.
    pub async fn connect(&self, place: Uri) -> Result<OutboundStream, ConnectError> {
        // The look-up of the name and the handshake of TLS included.
        let connecting = timeout(self.patience, self.connect_at_leisure(place));
        connecting.await.unwrap_or(Err(ConnectError::TimedOut(self.patience)))
    }

    async fn connect_at_leisure(&self, place: Uri) -> Result<OutboundStream, ConnectError> {
        let encrypted = place.scheme() == Some(&Scheme::HTTPS);
        let host = place.host().unwrap_or_default().to_owned();
        let stream = self.tcp.clone().oneshot(place).await.map_err(|error| ConnectError::Connect(error.into()))?;
        let stream = stream.into_inner();
        if !encrypted {
            let peer = stream.peer_addr().map_err(|error| ConnectError::Connect(error.into()))?;
            // What is in clear may go to this machine only, whatever the name `localhost` leads to.
            let here = peer.ip().to_canonical().is_loopback();
            return if here { Ok(OutboundStream::Clear(stream)) } else { Err(ConnectError::NotLoopback(peer)) };
        }
        let tls = self.tls.as_ref().map_err(|error| ConnectError::TlsSettings(error.clone()))?;
        let stream = tls.connect(server_name(&host)?, stream).await.map_err(ConnectError::Tls)?;
        Ok(OutboundStream::Encrypted(Box::new(stream)))
    }
}

fn server_name(host: &str) -> Result<ServerName<'static>, ConnectError> {
    // In a URL an IPv6 address stands in brackets; in a certificate it does not.
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    ServerName::try_from(bare.to_owned()).map_err(|_| ConnectError::HostName)
}

/// For hyper's pool of connections.
impl Service<Uri> for Connector {
    type Response = TokioIo<OutboundStream>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, place: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.connect(place).await.map(TokioIo::new) })
    }
}

impl Connection for OutboundStream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for OutboundStream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Encrypted(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for OutboundStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Encrypted(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_flush(context),
            Self::Encrypted(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Encrypted(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Connector").finish_non_exhaustive()
    }
}
