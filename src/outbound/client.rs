//! Owns: one request to another server and its answer, over connections that are kept for the next one.
//! Refuses: redirects (they are answers like any other, and nobody follows them), compressed answers, answers without bound.
//! Always holds: a request is sent once, and again only if nothing of it was sent; it ends in time; dropping the waiting does not
//! stop it.

use std::{fmt, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, HeaderValue, Method, Request,
    header::{ACCEPT_ENCODING, USER_AGENT},
    uri::InvalidUri,
};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, Error as ClientError},
    rt::{TokioExecutor, TokioTimer},
};
use thiserror::Error;
use tokio::{
    runtime::Handle,
    time::{sleep, timeout},
};

use super::{ConnectError, Connector, RemoteUrl, SystemRoots, TrustAnchors};
use crate::living::Living;

/// How long an idle connection is kept. Many servers close theirs after 5 s, and a request that meets that is lost.
const IDLE: Duration = Duration::from_secs(3);
/// How many idle connections are kept to one server.
const MOST_IDLE: usize = 32;
/// How long until a connection that could not be made is tried for once more.
const PAUSE: Duration = Duration::from_millis(100);

/// What Postern asks of other servers. Made once, and kept over reloads.
pub struct Outbound {
    /// Where requests are made; nowhere in a process that only looks at a configuration.
    control: Option<Handle>,
    system_roots: SystemRoots,
    live: Living<OutboundSettings, OutboundClient>,
}

/// Everything that tells one client from another. A reload keeps a client whose settings are the same, and its connections.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OutboundSettings {
    /// Whom to believe.
    pub trust: TrustAnchors,
    /// How long making a connection may take.
    pub connect_timeout: Duration,
    /// How long one request may take, from the name to the last byte.
    pub timeout: Duration,
    /// The longest answer, in bytes.
    pub longest_answer_bytes: usize,
}

/// Asks other servers, under one choice of settings.
pub struct OutboundClient {
    control: Option<Handle>,
    client: Client<Connector, Full<Bytes>>,
    settings: OutboundSettings,
}

/// One request. Its headers and its body may hold secrets, and are shown to nobody.
#[derive(Clone)]
pub struct OutboundRequest {
    /// The method.
    pub method: Method,
    /// Where to.
    pub url: RemoteUrl,
    /// Headers, beside those that every request has.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// What came back.
#[derive(Clone)]
pub struct OutboundAnswer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// All of the body.
    pub body: Bytes,
}

/// Why nothing came back.
#[derive(Debug, Error)]
pub enum OutboundError {
    /// This process asks nobody.
    #[error("this process makes no requests")]
    Offline,
    /// No connection could be made, so nothing was sent.
    #[error("nobody was reached")]
    Unreachable(#[source] ClientError),
    /// The address cannot be written into a request.
    #[error("the address cannot be written into a request")]
    Address(#[source] InvalidUri),
    /// The connection broke, or what came is not HTTP.
    #[error("the exchange broke off")]
    Exchange(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It took too long.
    #[error("the answer took longer than {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// It is longer than the bound.
    #[error("the answer is longer than {0} bytes")]
    TooLarge(usize),
    /// The process is stopping.
    #[error("the request was given up")]
    GivenUp,
}

impl Outbound {
    /// Requests are made on the runtime of `control`; without one there are none.
    #[must_use]
    pub fn new(control: Option<Handle>) -> Self {
        Self { control, system_roots: SystemRoots::default(), live: Living::default() }
    }

    /// Where requests are made, if anywhere.
    #[must_use]
    pub const fn control(&self) -> Option<&Handle> {
        self.control.as_ref()
    }

    /// The client with these settings: the live one, or a new one.
    pub fn client(&self, settings: OutboundSettings) -> Arc<OutboundClient> {
        self.live.obtain(settings, |settings| self.made(settings))
    }

    fn made(&self, settings: &OutboundSettings) -> OutboundClient {
        let roots = settings.trust.roots(&self.system_roots);
        let mut builder = Client::builder(TokioExecutor::new());
        builder.timer(TokioTimer::new()).pool_timer(TokioTimer::new());
        // What a kept connection gives back unsent is sent again on another; nothing else is.
        builder.pool_idle_timeout(IDLE).pool_max_idle_per_host(MOST_IDLE).retry_canceled_requests(true);
        OutboundClient {
            control: self.control.clone(),
            client: builder.build(Connector::new(roots, settings.connect_timeout)),
            settings: settings.clone(),
        }
    }
}

impl OutboundClient {
    /// Makes a request.
    ///
    /// # Errors
    /// Why nothing came back.
    pub async fn send(&self, request: OutboundRequest) -> Result<OutboundAnswer, OutboundError> {
        let control = self.control.as_ref().ok_or(OutboundError::Offline)?;
        let (client, settings) = (self.client.clone(), self.settings.clone());
        let task = control.spawn(async move {
            let exchange = exchange(&client, &request, settings.longest_answer_bytes);
            timeout(settings.timeout, exchange).await.unwrap_or(Err(OutboundError::TimedOut(settings.timeout)))
        });
        task.await.unwrap_or(Err(OutboundError::GivenUp))
    }

    /// Where requests are made, if anywhere.
    #[must_use]
    pub const fn control(&self) -> Option<&Handle> {
        self.control.as_ref()
    }
}

async fn exchange(
    client: &Client<Connector, Full<Bytes>>,
    request: &OutboundRequest,
    longest_bytes: usize,
) -> Result<OutboundAnswer, OutboundError> {
    let sent = match client.request(written(request)?).await {
        Err(error) if error.is_connect() => {
            // A server that is being started anew is often back in a moment.
            sleep(PAUSE).await;
            client.request(written(request)?).await
        }
        sent => sent,
    };
    let response = sent.map_err(OutboundError::of)?;
    let (head, mut body) = response.into_parts();
    let mut gathered = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| OutboundError::Exchange(error.into()))?;
        let Ok(data) = frame.into_data() else { continue };
        if gathered.len().saturating_add(data.len()) > longest_bytes {
            return Err(OutboundError::TooLarge(longest_bytes));
        }
        gathered.extend_from_slice(&data);
    }
    Ok(OutboundAnswer { status: head.status.as_u16(), headers: head.headers, body: gathered.freeze() })
}

fn written(request: &OutboundRequest) -> Result<Request<Full<Bytes>>, OutboundError> {
    let mut written = Request::new(Full::new(request.body.clone()));
    *written.method_mut() = request.method.clone();
    *written.uri_mut() = request.url.as_str().parse().map_err(OutboundError::Address)?;
    let headers = written.headers_mut();
    *headers = request.headers.clone();
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("postern/", env!("CARGO_PKG_VERSION"))));
    Ok(written)
}

impl OutboundError {
    fn of(error: ClientError) -> Self {
        if error.is_connect() { Self::Unreachable(error) } else { Self::Exchange(error.into()) }
    }

    /// Its stable name, for logs and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Offline | Self::GivenUp => "given_up",
            Self::Unreachable(error) => match std::error::Error::source(error).and_then(|it| it.downcast_ref()) {
                Some(ConnectError::Tls(_) | ConnectError::TlsSettings(_) | ConnectError::HostName) => "tls",
                Some(ConnectError::TimedOut(_)) => "timed_out",
                Some(ConnectError::Connect(_) | ConnectError::NotLoopback(_)) | None => "unreachable",
            },
            Self::Address(_) => "address",
            Self::Exchange(_) => "broken_off",
            Self::TimedOut(_) => "timed_out",
            Self::TooLarge(_) => "too_large",
        }
    }
}

impl fmt::Debug for Outbound {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Outbound").field("offline", &self.control.is_none()).finish_non_exhaustive()
    }
}

impl fmt::Debug for OutboundClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("OutboundClient").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl fmt::Debug for OutboundRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, url, .. } = self;
        formatter.debug_struct("OutboundRequest").field("method", method).field("url", url).finish_non_exhaustive()
    }
}

impl fmt::Debug for OutboundAnswer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("OutboundAnswer").field("status", &self.status).finish_non_exhaustive()
    }
}
