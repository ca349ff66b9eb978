//! Owns: one GET of one small JSON document.
//! Refuses: redirects, answers over 512 KiB, compressed answers, certificates of other authorities, and names that say they
//! are this machine and lead elsewhere.
//! Always holds: it ends within the pace's time, and never holds more than the bound in memory.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures_util::future::{Either, select};
use http::{
    HeaderMap, HeaderValue, Request, Response, Uri,
    header::{ACCEPT, ACCEPT_ENCODING, HOST, USER_AGENT},
};
use http_body_util::{BodyExt as _, Empty};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::RootCertStore;
use thiserror::Error;
use tokio::time::timeout;

use super::{freshness::Validators, pace::Pace};
use crate::outbound::{ConnectError, Connector, OutboundStream, RemoteUrl};

/// The longest document, in bytes.
pub(super) const LONGEST_DOCUMENT_BYTES: usize = 512 * 1024;

const OK: u16 = 200;
const NOT_MODIFIED: u16 = 304;

/// Fetches documents, believing one set of authorities.
pub(super) struct Transport {
    connector: Connector,
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
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
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
        Self { connector: Connector::new(roots, pace.connect), exchange: pace.exchange }
    }

    /// Fetches `url`, unless it is still what `known` recognises.
    ///
    /// # Errors
    /// Why there is no answer that can be used.
    pub(super) async fn get(&self, url: &RemoteUrl, known: &Validators) -> Result<Answer, TransportError> {
        timeout(self.exchange, self.exchange(url, known)).await.unwrap_or(Err(TransportError::TimedOut(self.exchange)))
    }

    async fn exchange(&self, url: &RemoteUrl, known: &Validators) -> Result<Answer, TransportError> {
        let request = request(url, known)?;
        let scheme = if url.is_encrypted() { "https" } else { "http" };
        let place = Uri::builder().scheme(scheme).authority(url.authority()).path_and_query("/").build();
        let stream = self.connector.connect(place.map_err(TransportError::Request)?).await?;
        answer(stream, request, known).await
    }
}

fn request(url: &RemoteUrl, known: &Validators) -> Result<Request<Empty<Bytes>>, TransportError> {
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

async fn answer(
    stream: OutboundStream,
    request: Request<Empty<Bytes>>,
    known: &Validators,
) -> Result<Answer, TransportError> {
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
