//! A server on its own threads, a handler that does what the path says, and clients that see every byte.

use std::{
    collections::VecDeque,
    convert::Infallible,
    net::SocketAddr,
    num::NonZeroUsize,
    path::Path,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    thread::JoinHandle,
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full, StreamBody, combinators::BoxBody};
use hyper::body::{Body, Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::{Semaphore, mpsc},
    time::timeout,
};

use super::super::{
    CloseConnection, ConnectionInfo, DownstreamBody, DrainReport, Handler, Listener, Listeners, RequestFault, Server,
    run_worker,
};
use crate::{
    clock::{Clock, UnixTime},
    config::{Config, FilePath, HumanDuration, LimitsConfig, ListenerConfig, ListenerTlsConfig},
    diagnostic::Diagnostics,
};

/// Longer than anything here takes; a test that waits so long has failed.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
pub(super) const GRACE: Duration = Duration::from_secs(10);

pub(super) fn milliseconds(count: u64) -> HumanDuration {
    HumanDuration(Duration::from_millis(count))
}

/// Waits for something that must come.
pub(super) async fn soon<F: Future>(future: F) -> F::Output {
    timeout(PATIENCE, future).await.expect("it did not come in time")
}

/// Waits until the other threads have made `condition` true.
pub(super) async fn eventually(condition: impl Fn() -> bool) {
    soon(async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

pub(super) fn listener(limits: LimitsConfig) -> ListenerConfig {
    ListenerConfig {
        address: "127.0.0.1:0".parse().unwrap(),
        tls: None,
        limits,
        trusted_proxies: Vec::new(),
        proxy_protocol_from: Vec::new(),
    }
}

pub(super) fn config(listeners: impl IntoIterator<Item = (&'static str, ListenerConfig)>) -> Config {
    let listeners = listeners.into_iter().map(|(name, listener)| (name.to_owned(), listener)).collect();
    Config { listeners, ..Config::default() }
}

pub(super) fn compile(config: &Config, previous: Option<&Listeners>) -> (Option<Listeners>, Diagnostics) {
    compile_at(config, previous, Clock::system().now())
}

pub(super) fn compile_at(
    config: &Config,
    previous: Option<&Listeners>,
    now: UnixTime,
) -> (Option<Listeners>, Diagnostics) {
    let mut diagnostics = Diagnostics::new();
    let listeners = Listeners::compile(config, previous, now, &mut diagnostics);
    (listeners, diagnostics)
}

/// A server whose workers run.
pub(super) struct TestServer {
    pub(super) server: Server,
    pub(super) listeners: Listeners,
    pub(super) handler: Scripted,
    arrivals: mpsc::UnboundedReceiver<String>,
    threads: Vec<JoinHandle<DrainReport>>,
}

impl TestServer {
    pub(super) fn start(config: &Config) -> Self {
        Self::with_workers(config, 1)
    }

    pub(super) fn with_limits(limits: LimitsConfig) -> Self {
        Self::start(&self::config([("public", listener(limits))]))
    }

    pub(super) fn with_workers(config: &Config, workers: usize) -> Self {
        let (listeners, diagnostics) = compile(config, None);
        let listeners = listeners.unwrap_or_else(|| panic!("{diagnostics:?}"));
        let (server, seats) = Server::new(NonZeroUsize::new(workers).unwrap());
        server.apply(&listeners, GRACE).unwrap();
        let (arrived, arrivals) = mpsc::unbounded_channel();
        let handler = Scripted { gate: Arc::new(Semaphore::new(0)), arrived };
        let run = |seat| {
            let handler = handler.clone();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::LocalRuntime::new().unwrap();
                runtime.block_on(run_worker(handler, seat))
            })
        };
        let threads = seats.into_iter().map(run).collect();
        Self { server, listeners, handler, arrivals, threads }
    }

    pub(super) fn reload(&mut self, config: &Config) -> super::super::Applied {
        let (listeners, diagnostics) = compile(config, Some(&self.listeners));
        self.listeners = listeners.unwrap_or_else(|| panic!("{diagnostics:?}"));
        self.server.apply(&self.listeners, GRACE).unwrap()
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.server.address_of("public").unwrap()
    }

    pub(super) fn listener(&self) -> Arc<Listener> {
        Arc::clone(self.listeners.iter().next().unwrap())
    }

    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address()).await.unwrap()
    }

    /// Waits until a handler has been given a request for `path`.
    pub(super) async fn arrived(&mut self, path: &str) {
        assert_eq!(soon(self.arrivals.recv()).await.as_deref(), Some(path));
    }

    /// Lets one request to `/wait` be answered.
    pub(super) fn let_one_go(&self) {
        self.handler.gate.add_permits(1);
    }

    /// The sum of what the workers report; to be called after a drain.
    pub(super) async fn ended(self) -> DrainReport {
        let Self { threads, server, .. } = self;
        let joined = tokio::task::spawn_blocking(move || {
            let mut sum = DrainReport::default();
            for thread in threads {
                sum += thread.join().unwrap();
            }
            sum
        });
        let report = timeout(PATIENCE, joined).await.expect("the workers did not end").unwrap();
        drop(server);
        report
    }
}

/// A handler that does what the path says.
#[derive(Clone)]
pub(super) struct Scripted {
    gate: Arc<Semaphore>,
    arrived: mpsc::UnboundedSender<String>,
}

/// The length of what `/large` answers.
pub(super) const LARGE: usize = 8 << 20;

/// A body that knows when it ends, but not how long it is.
struct KnownPieces(VecDeque<Bytes>);

impl Body for KnownPieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }
}

pub(super) type TestBody = BoxBody<Bytes, Infallible>;

pub(super) fn text(text: impl Into<Bytes>) -> TestBody {
    Full::new(text.into()).boxed()
}

impl Handler for Scripted {
    type Body = TestBody;

    async fn handle(
        &self,
        request: crate::http::Request<DownstreamBody>,
        connection: &Rc<ConnectionInfo>,
    ) -> crate::http::Response<TestBody> {
        self.answer(request.into(), connection).await.into()
    }

    fn overloaded(
        &self,
        _: &crate::http::Request<DownstreamBody>,
        _: &Rc<ConnectionInfo>,
    ) -> crate::http::Response<TestBody> {
        Response::builder().status(503).body(text("overloaded")).unwrap().into()
    }

    fn put_aside(&self, fault: RequestFault, _: &Rc<ConnectionInfo>) -> crate::http::Response<TestBody> {
        let status = match fault {
            RequestFault::HeadTooLarge | RequestFault::TooManyFields => 431,
            RequestFault::TransferCoding => 501,
            RequestFault::Malformed | RequestFault::FramingAmbiguous => 400,
        };
        Response::builder().status(status).body(text(format!("{fault:?}"))).unwrap().into()
    }
}

impl Scripted {
    async fn answer(&self, request: Request<DownstreamBody>, connection: &Rc<ConnectionInfo>) -> Response<TestBody> {
        let path = request.uri().path().to_owned();
        let _ = self.arrived.send(path.clone());
        match path.as_str() {
            "/wait" => {
                self.gate.acquire().await.unwrap().forget();
                Response::new(text("waited"))
            }
            "/echo" => Response::new(text(request.into_body().collect().await.unwrap().to_bytes())),
            "/endless" => {
                let piece = || Ok(Frame::data(Bytes::from_static(&[b'x'; 16 * 1024])));
                Response::new(BodyExt::boxed(StreamBody::new(futures_util::stream::repeat_with(piece))))
            }
            "/large" => Response::new(text(vec![b'x'; LARGE])),
            "/pieces" => Response::new(BodyExt::boxed(KnownPieces(
                [4095, 4096, 70_000].map(|size| Bytes::from(vec![b'x'; size])).into(),
            ))),
            "/early" => Response::builder().status(103).body(text("early")).unwrap(),
            "/later" => {
                let arrived = self.arrived.clone();
                tokio::task::spawn_local(async move {
                    let read = request.into_body().collect().await.map(|body| body.to_bytes().len());
                    let _ = arrived.send(format!("{:?}", read.ok()));
                });
                Response::new(text("at once"))
            }
            "/last" => {
                let mut response = Response::new(text("last"));
                response.extensions_mut().insert(CloseConnection);
                response
            }
            "/refuse" => {
                let mut response = Response::new(text("no"));
                response.headers_mut().insert("connection", "close".parse().unwrap());
                response
            }
            "/who" => {
                let tls = connection.tls.as_ref();
                Response::new(text(format!(
                    "{} {} {} {:?} {} {}",
                    connection.listener_name(),
                    connection.protocol.as_str(),
                    connection.peer.ip(),
                    tls.and_then(|tls| tls.server_name.as_deref()),
                    tls.map_or("clear", |tls| tls.version),
                    tls.is_some_and(|tls| tls.client_certificate.is_some()),
                )))
            }
            "/upgrade" => {
                let upgrade = request.body().upgrade().unwrap();
                tokio::task::spawn_local(async move {
                    let Ok(upgraded) = upgrade.await else { return };
                    let (mut reader, mut writer) = tokio::io::split(upgraded);
                    let _ = tokio::io::copy(&mut reader, &mut writer).await;
                });
                Response::builder()
                    .status(101)
                    .header("connection", "upgrade")
                    .header("upgrade", "echo")
                    .body(Empty::new().boxed())
                    .unwrap()
            }
            _ => Response::new(text("hello")),
        }
    }
}

/// One HTTP/1.1 response, read byte for byte.
pub(super) struct Answer {
    pub(super) head: String,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn status(&self) -> &str {
        self.head.get(9..12).unwrap_or(&self.head)
    }
}

/// Reads one response with a Content-Length, or none.
pub(super) async fn answer<S: AsyncRead + Unpin>(stream: &mut S) -> Answer {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(soon(stream.read_u8()).await.unwrap_or_else(|error| {
            panic!("{error} after {:?}", String::from_utf8_lossy(&head));
        }));
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    soon(stream.read_exact(&mut body)).await.unwrap();
    Answer { head, body: String::from_utf8(body).unwrap() }
}

pub(super) async fn send<S: AsyncWrite + Unpin>(stream: &mut S, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
}

pub(super) async fn get<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, path: &str) -> Answer {
    send(stream, &format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n")).await;
    answer(stream).await
}

/// Whether the other side has closed, in order or by a reset; reads away what is left.
pub(super) async fn closed<S: AsyncRead + Unpin>(stream: &mut S) -> bool {
    let mut left = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut left)).await.is_ok()
}

pub(super) type Http2 = hyper::client::conn::http2::SendRequest<TestBody>;

/// An HTTP/2 client with prior knowledge; the handle ends with its connection.
pub(super) async fn http2<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
) -> (Http2, tokio::task::JoinHandle<hyper::Result<()>>) {
    let (sender, connection) =
        soon(hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))).await.unwrap();
    (sender, tokio::spawn(connection))
}

pub(super) fn request(path: &str) -> Request<TestBody> {
    Request::builder().uri(format!("http://a{path}")).body(Empty::new().boxed()).unwrap()
}

pub(super) async fn body_of(response: Response<Incoming>) -> String {
    let bytes = soon(response.into_body().collect()).await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A certificate authority of its own.
pub(super) struct Authority {
    pub(super) pem: String,
    pub(super) der: rustls_pki_types::CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { pem: certificate.pem(), der: certificate.der().clone(), issuer: Issuer::new(params, key) }
    }

    /// A certificate for `names` and its key, both in PEM; good for `days` from now.
    pub(super) fn issue(&self, names: &[&str], days: i64) -> (String, String) {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        let now = std::time::SystemTime::now();
        params.not_before = (now - Duration::from_secs(60 * 86_400)).into();
        params.not_after = params.not_before + (Duration::from_secs(86_400) * u32::try_from(60 + days).unwrap());
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

/// Writes a pair of files and says what to configure.
pub(super) fn write_pair(folder: &Path, name: &str, (certificate, key): &(String, String)) -> (FilePath, FilePath) {
    let (certificate_file, key_file) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
    std::fs::write(&certificate_file, certificate).unwrap();
    std::fs::write(&key_file, key).unwrap();
    (FilePath(certificate_file), FilePath(key_file))
}

pub(super) fn tls_listener((certificate, private_key): (FilePath, FilePath), limits: LimitsConfig) -> ListenerConfig {
    let tls = ListenerTlsConfig {
        certificate,
        private_key,
        certificates: Vec::new(),
        client_ca: None,
        client_certificate: None,
    };
    ListenerConfig { tls: Some(tls), ..listener(limits) }
}
