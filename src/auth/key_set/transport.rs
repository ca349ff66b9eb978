//! Owns: one GET of one small JSON document.
//! Refuses: redirects, answers over 512 KiB, compressed answers, certificates of other authorities, and names that say they
//! are this machine and lead elsewhere.
//! Always holds: it ends within the pace's time, and never holds more than the bound in memory.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures_util::future::{Either, select};
use http::{
    HeaderMap, HeaderValue, Request, Response, Uri,
    header::{ACCEPT, ACCEPT_ENCODING, HOST, USER_AGENT},
};
use http_body_util::{BodyExt as _, Empty};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{IpAddr, ServerName};
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;
use tower::ServiceExt as _;
use url::Host;

use super::{document_url::DocumentUrl, freshness::Validators, pace::Pace};

/// The longest document, in bytes.
pub(super) const LONGEST_DOCUMENT_BYTES: usize = 512 * 1024;

const OK: u16 = 200;
const NOT_MODIFIED: u16 = 304;

/// Fetches documents, believing one set of authorities.
pub(super) struct Transport {
    connector: HttpConnector,
    tls: Result<TlsConnector, rustls::Error>,
    exchange: Duration,
}

/// What came back.
#[derive(Debug)]
pub(super) enum Answer {
    /// A document, not yet looked at.
    Document {
        /// The answer's headers.
        headers: HeaderMap,
        /// All of it.
        body: Bytes,
    },
    /// The document is the one known already.
    NotModified {
        /// The answer's headers.
        headers: HeaderMap,
    },
}

/// Why no document came back.
#[derive(Debug, Error)]
pub(super) enum TransportError {
    /// The name does not resolve, or nobody answers there.
    #[error("no connection could be made")]
    Connect(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// `localhost` is somewhere else.
    #[error("the name leads to {0}, which is not this machine, and the URL is not https")]
    NotLoopback(SocketAddr),
    /// The certificate is not believed, or no TLS is spoken there.
    #[error("no TLS connection could be made")]
    Tls(#[source] std::io::Error),
    /// This program's own TLS settings do not work.
    #[error("TLS cannot be set up")]
    TlsSettings(#[source] rustls::Error),
    /// The host is no name that a certificate could hold.
    #[error("the host is no name that a certificate could hold")]
    HostName,
    /// The request cannot be written.
    #[error("the request cannot be written")]
    Request(#[source] http::Error),
    /// The connection broke, or what came is not HTTP.
    #[error("the exchange broke off")]
    Exchange(#[source] hyper::Error),
    /// It took too long.
    #[error("the answer took longer than {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// A redirect.
    #[error("the answer is a redirect (status {0}), which is not followed")]
    Redirect(u16),
    /// Neither a document nor "not modified".
    #[error("the answer has status {0}")]
    Status(u16),
    /// "Not modified", and nobody asked for changes only.
    #[error("the answer says that nothing has changed since an earlier answer, which was not asked")]
    NothingToCompare,
    /// It is longer than the bound.
    #[error("the answer is longer than {LONGEST_DOCUMENT_BYTES} bytes")]
    TooLarge,
}

impl Transport {
    /// Makes one that believes `roots`.
    pub(super) fn new(roots: Arc<RootCertStore>, pace: &Pace) -> Self {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(pace.connect));
        connector.set_nodelay(true);
        let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map(|builder| {
                let mut config = builder.with_root_certificates(roots).with_no_client_auth();
                config.alpn_protocols = vec![b"http/1.1".to_vec()];
                TlsConnector::from(Arc::new(config))
            });
        Self { connector, tls, exchange: pace.exchange }
    }

    /// Fetches `url`, unless it is still what `known` recognises.
    ///
    /// # Errors
    /// Why there is no answer that can be used.
    pub(super) async fn get(&self, url: &DocumentUrl, known: &Validators) -> Result<Answer, TransportError> {
        timeout(self.exchange, self.exchange(url, known)).await.unwrap_or(Err(TransportError::TimedOut(self.exchange)))
    }

    async fn exchange(&self, url: &DocumentUrl, known: &Validators) -> Result<Answer, TransportError> {
        let request = request(url, known)?;
        let stream = self.connect(url).await?;
        if !url.is_encrypted() {
            return answer(stream, request, known).await;
        }
        let tls = self.tls.as_ref().map_err(|error| TransportError::TlsSettings(error.clone()))?;
        let stream = tls.connect(server_name(url)?, stream).await.map_err(TransportError::Tls)?;
        answer(stream, request, known).await
    }

    async fn connect(&self, url: &DocumentUrl) -> Result<TcpStream, TransportError> {
        let scheme = if url.is_encrypted() { "https" } else { "http" };
        let place = Uri::builder()
            .scheme(scheme)
            .authority(url.authority())
            .path_and_query("/")
            .build()
            .map_err(TransportError::Request)?;
        let stream =
            self.connector.clone().oneshot(place).await.map_err(|error| TransportError::Connect(error.into()))?;
        let stream = stream.into_inner();
        let peer = stream.peer_addr().map_err(|error| TransportError::Connect(error.into()))?;
        // What is in clear may go to this machine only, whatever the name `localhost` leads to.
        if url.is_encrypted() || peer.ip().to_canonical().is_loopback() {
            Ok(stream)
        } else {
            Err(TransportError::NotLoopback(peer))
        }
    }
}

fn server_name(url: &DocumentUrl) -> Result<ServerName<'static>, TransportError> {
    match url.host() {
        Some(Host::Domain(name)) => ServerName::try_from(name.to_owned()).map_err(|_| TransportError::HostName),
        Some(Host::Ipv4(address)) => Ok(ServerName::IpAddress(IpAddr::V4(address.into()))),
        Some(Host::Ipv6(address)) => Ok(ServerName::IpAddress(IpAddr::V6(address.into()))),
        None => Err(TransportError::HostName),
    }
}

fn request(url: &DocumentUrl, known: &Validators) -> Result<Request<Empty<Bytes>>, TransportError> {
    let mut request = Request::get(url.target())
        .header(HOST, url.authority())
        .header(ACCEPT, HeaderValue::from_static("application/json, application/jwk-set+json"))
        .header(ACCEPT_ENCODING, HeaderValue::from_static("identity"))
        .header(USER_AGENT, HeaderValue::from_static(concat!("postern/", env!("CARGO_PKG_VERSION"))))
        .body(Empty::new())
        .map_err(TransportError::Request)?;
    request.headers_mut().extend(known.conditions().map(|(name, value)| (Some(name), value)));
    Ok(request)
}

async fn answer<S>(stream: S, request: Request<Empty<Bytes>>, known: &Validators) -> Result<Answer, TransportError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(TransportError::Exchange)?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(TransportError::Exchange)?;
        read(response, known).await
    };
    // The connection moves the bytes while the exchange waits for them; it may well end first, its last bytes unread.
    match select(Box::pin(exchange), connection).await {
        Either::Left((answer, _)) => answer,
        Either::Right((_, exchange)) => exchange.await,
    }
}

async fn read(response: Response<Incoming>, known: &Validators) -> Result<Answer, TransportError> {
    let (head, mut body) = response.into_parts();
    match head.status.as_u16() {
        OK => {}
        NOT_MODIFIED if known.are_empty() => return Err(TransportError::NothingToCompare),
        NOT_MODIFIED => return Ok(Answer::NotModified { headers: head.headers }),
        status @ 300..=399 => return Err(TransportError::Redirect(status)),
        status => return Err(TransportError::Status(status)),
    }
    let mut gathered = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(TransportError::Exchange)?.into_data() else { continue };
        if gathered.len() + data.len() > LONGEST_DOCUMENT_BYTES {
            return Err(TransportError::TooLarge);
        }
        gathered.extend_from_slice(&data);
    }
    Ok(Answer::Document { headers: head.headers, body: gathered.freeze() })
}
