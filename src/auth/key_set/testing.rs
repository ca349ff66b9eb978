//! Owns: an issuer of the tests: a real HTTP server on loopback that can rotate its keys, slow down, fail and lie.
//! Refuses: waiting for time to pass: what is to be waited for is awaited.
//! Always holds: every request is recorded before it is answered.

use std::{
    collections::HashMap,
    convert::Infallible,
    net::SocketAddr,
    path::Path,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use hyper::{
    body::{Body, Frame, Incoming, SizeHint},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch};
use tokio_rustls::TlsAcceptor;

use super::{
    directory::KeySetDirectory, pace::Pace, registry::KeySets, remote::RemoteKeySet, settings::KeySetSettings,
    status::KeySetStatus,
};
use crate::{
    auth::{KeySource as _, TrustedKey, TrustedKeySet},
    clock::{ManualClock, UnixTime},
    config::IssuerConfig,
    diagnostic::Diagnostics,
};

/// The hour at which every test begins.
pub(super) const START: UnixTime = UnixTime::from_seconds(1_800_000_000);

/// Times short enough for tests; nothing is waited for but what a test brings about.
pub(super) const fn quick_pace() -> Pace {
    Pace {
        connect: Duration::from_secs(2),
        exchange: Duration::from_secs(20),
        unknown_key_wait: Duration::from_secs(20),
        waiting_requests: 1024,
        first_pause: Duration::from_millis(2),
        longest_pause: Duration::from_millis(20),
        look_again: Duration::from_millis(2),
        rediscover_after: Duration::from_secs(3600),
        rediscover_after_failures: 3,
    }
}

/// A new P-256 key as an issuer lists it.
pub(super) fn listed_key(key_id: &str) -> Value {
    let key = KeyPair::generate().unwrap();
    let point = key.public_key_raw();
    let number = |range: std::ops::Range<usize>| URL_SAFE_NO_PAD.encode(&point[range]);
    json!({ "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": key_id, "x": number(1..33), "y": number(33..65) })
}

/// Waits until `holds`, and fails loudly if it never does.
pub(super) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "it never came about: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// What the issuer answers at one path.
#[derive(Clone)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Script,
    /// Answered only once this is true.
    pub(super) gate: Option<watch::Receiver<bool>>,
}

/// What comes as the body.
#[derive(Clone)]
pub(super) enum Script {
    Whole(Bytes),
    /// More is promised than comes.
    Truncated(Bytes),
    /// So many bytes, counted as they are sent.
    Endless {
        bytes: usize,
        sent: Arc<Mutex<usize>>,
    },
}

impl Reply {
    pub(super) fn text(status: u16, body: impl Into<Bytes>) -> Self {
        Self { status, headers: Vec::new(), body: Script::Whole(body.into()), gate: None }
    }

    pub(super) fn keys(keys: &[Value]) -> Self {
        Self::text(200, json!({ "keys": keys }).to_string())
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn gated(mut self, gate: &watch::Sender<bool>) -> Self {
        self.gate = Some(gate.subscribe());
        self
    }
}

/// A request that came in.
#[derive(Clone, Debug)]
pub(super) struct Recorded {
    pub(super) path: String,
    pub(super) headers: HeaderMap,
}

/// The issuer.
#[derive(Clone)]
pub(super) struct ScriptedIssuer {
    pub(super) address: SocketAddr,
    scheme: &'static str,
    replies: Arc<Mutex<HashMap<String, Reply>>>,
    recorded: Arc<Mutex<Vec<Recorded>>>,
}

impl ScriptedIssuer {
    /// An issuer in clear that answers 404 to everything.
    pub(super) async fn start() -> Self {
        Self::serve(None).await
    }

    /// An issuer over TLS, and the authority of its certificate in PEM.
    pub(super) async fn start_with_tls() -> (Self, String) {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        (Self::serve(Some(TlsAcceptor::from(Arc::new(config)))).await, authority.pem())
    }

    async fn serve(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = Self {
            address: listener.local_addr().unwrap(),
            scheme: if tls.is_some() { "https" } else { "http" },
            replies: Arc::default(),
            recorded: Arc::default(),
        };
        let served = issuer.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (served, tls) = (served.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => served.serve_connection(stream).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                served.serve_connection(stream).await;
                            }
                        }
                    }
                });
            }
        });
        issuer
    }

    async fn serve_connection<S>(self, stream: S)
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    {
        let service = service_fn(|request| self.clone().answer(request));
        // A client that leaves early is what some tests are about.
        let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<ScriptedBody>, Infallible> {
        let path = request.uri().path().to_owned();
        self.recorded.lock().unwrap().push(Recorded { path: path.clone(), headers: request.headers().clone() });
        let reply = self.replies.lock().unwrap().get(&path).cloned();
        let mut reply = reply.unwrap_or_else(|| Reply::text(404, "nothing here"));
        if let Some(gate) = &mut reply.gate {
            let _ = gate.wait_for(|open| *open).await;
        }
        let tag = reply.headers.iter().find(|(name, _)| *name == "etag").map(|(_, value)| value.as_str());
        let known = request.headers().get("if-none-match").and_then(|value| value.to_str().ok());
        let mut response = Response::builder().status(reply.status);
        if tag.is_some() && tag == known {
            response = response.status(304);
            reply.body = Script::Whole(Bytes::new());
        }
        for (name, value) in &reply.headers {
            response = response.header(*name, value);
        }
        Ok(response.body(ScriptedBody { script: reply.body, sent: 0 }).unwrap())
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    pub(super) fn set(&self, path: &str, reply: Reply) {
        self.replies.lock().unwrap().insert(path.to_owned(), reply);
    }

    /// The requests for `path` so far.
    pub(super) fn requests(&self, path: &str) -> Vec<Recorded> {
        self.recorded.lock().unwrap().iter().filter(|request| request.path == path).cloned().collect()
    }

    pub(super) fn count(&self, path: &str) -> usize {
        self.requests(path).len()
    }
}

/// A body that does what it was told.
struct ScriptedBody {
    script: Script,
    sent: usize,
}

impl Body for ScriptedBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let next = match self.script.clone() {
            Script::Whole(bytes) if self.sent == 0 && !bytes.is_empty() => bytes,
            Script::Truncated(bytes) if self.sent == 0 => bytes,
            Script::Truncated(_) => return Poll::Ready(Some(Err(std::io::Error::other("truncated on purpose")))),
            Script::Endless { bytes, sent } if self.sent < bytes => {
                let chunk = Bytes::from(vec![b' '; 64 * 1024]);
                *sent.lock().unwrap() += chunk.len();
                chunk
            }
            Script::Whole(_) | Script::Endless { .. } => return Poll::Ready(None),
        };
        self.sent += next.len();
        Poll::Ready(Some(Ok(Frame::data(next))))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.script {
            Script::Whole(bytes) => SizeHint::with_exact((bytes.len() - self.sent.min(bytes.len())) as u64),
            Script::Truncated(bytes) => SizeHint::with_exact(bytes.len() as u64 + 100),
            Script::Endless { .. } => SizeHint::default(),
        }
    }
}

/// A gateway's side of a test: its clock, and the key sets that it keeps.
pub(super) struct Side {
    pub(super) clock: ManualClock,
    pub(super) key_sets: KeySets,
}

impl Side {
    pub(super) fn new() -> Self {
        Self::paced(quick_pace())
    }

    pub(super) fn paced(pace: Pace) -> Self {
        let clock = ManualClock::starting_at(START);
        Self { key_sets: KeySets::paced(clock.clock(), None, pace), clock }
    }

    /// One that keeps its sets in `data`, its clock standing at `now`.
    pub(super) fn keeping(data: &Path, now: UnixTime) -> Self {
        let clock = ManualClock::starting_at(now);
        let directory = KeySetDirectory::open(data).unwrap();
        Self { key_sets: KeySets::paced(clock.clock(), Some(Arc::new(directory)), quick_pace()), clock }
    }

    /// The set that `toml`, an issuer's table, asks for; not started.
    pub(super) fn obtain(&self, toml: &str) -> Arc<RemoteKeySet> {
        self.key_sets.obtain(settings(toml))
    }

    /// The same, started.
    pub(super) fn start(&self, toml: &str) -> Arc<RemoteKeySet> {
        let set = self.obtain(toml);
        set.start(&tokio::runtime::Handle::current());
        set
    }

    /// The same, and its first keys are there.
    pub(super) async fn ready(&self, toml: &str) -> Arc<RemoteKeySet> {
        let set = self.start(toml);
        assert!(set.wait_ready(Duration::from_secs(20)).await, "{:?}", set.status());
        set
    }

    /// The usable keys of `set` now, with their ids.
    pub(super) fn keys(&self, set: &RemoteKeySet) -> Vec<(String, Arc<TrustedKey>)> {
        match set.current(self.clock.clock().now()) {
            TrustedKeySet::Usable(keys) => {
                keys.iter().map(|key| (key.key().key_id().unwrap_or("").to_owned(), Arc::clone(key))).collect()
            }
            TrustedKeySet::Unavailable => Vec::new(),
        }
    }

    /// The ids of the usable keys of `set` now.
    pub(super) fn ids(&self, set: &RemoteKeySet) -> Vec<String> {
        self.keys(set).into_iter().map(|(id, _)| id).collect()
    }
}

pub(super) fn settings(toml: &str) -> KeySetSettings {
    let issuer: IssuerConfig = toml::from_str(toml).unwrap();
    let mut diagnostics = Diagnostics::new();
    let settings = KeySetSettings::compile("corp", &issuer, &mut diagnostics);
    settings.unwrap_or_else(|| panic!("{diagnostics:?}"))
}

/// How many fetches ended in `result`.
pub(super) fn fetches(status: &KeySetStatus, result: &str) -> u64 {
    status.fetches.iter().find(|count| count.result == result).unwrap().count
}
