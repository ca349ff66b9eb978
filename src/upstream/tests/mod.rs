//! Behaviour on real sockets: what upstreams see, and what becomes of connections.

mod choice;
mod faults;
mod http1;
mod http2;
mod names;
mod outlier;
mod reload;
mod room;
mod tls;
mod upgrade;

use std::{
    cell::{Cell, RefCell},
    error::Error,
    future::Future,
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::Incoming,
    server::conn::{http1 as server1, http2 as server2},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    net::{TcpListener, TcpStream},
    time::Instant,
};

use super::{http2::LocalExecutor, *};
use crate::{auth::Permit, config::Config, diagnostic::Diagnostics};

/// Whose requests they are.
const CALLER: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

type BoxError = Box<dyn Error + Send + Sync>;
type TestBody = UnsyncBoxBody<Bytes, BoxError>;

/// Runs a test on one thread, as a worker runs.
fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let test = async { tokio::time::timeout(Duration::from_secs(20), test).await.expect("the test hangs") };
    tokio::task::LocalSet::new().block_on(&runtime, test);
}

/// Yields to the other tasks until `condition` holds.
async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn config(mut upstream: Value) -> Config {
    // Of the two ways to write an endpoint only the table is read outside the loader.
    for endpoint in upstream["endpoints"].as_array_mut().into_iter().flatten() {
        if endpoint.is_string() {
            *endpoint = json!({ "url": endpoint.clone() });
        }
    }
    let upstream = serde_json::from_value(upstream).unwrap();
    Config { upstreams: [("orders".to_owned(), upstream)].into(), ..Config::default() }
}

fn compiled(upstream: Value) -> Upstreams {
    compiled_after(upstream, None)
}

fn compiled_after(upstream: Value, previous: Option<&Upstreams>) -> Upstreams {
    let mut diagnostics = Diagnostics::new();
    let upstreams = compile(&config(upstream), previous, &mut diagnostics);
    upstreams.unwrap_or_else(|| panic!("{diagnostics:?}"))
}

/// A worker with one upstream.
struct Worker {
    upstream: Arc<Upstream>,
    pools: Rc<WorkerPools<TestBody>>,
    /// With these what runs beside requests ends.
    _all: Option<Upstreams>,
}

impl Worker {
    fn new(upstream: Value) -> Self {
        let upstreams = compiled(upstream);
        upstreams.start(&Handle::current());
        let upstream = upstreams.by_name("orders").unwrap();
        Self { upstream, pools: WorkerPools::new(), _all: Some(upstreams) }
    }

    fn to(address: SocketAddr) -> Self {
        Self::new(json!({ "endpoints": [format!("http://{address}")] }))
    }

    async fn send(&self, request: Request<TestBody>) -> Result<Forwarded<TestBody>, ForwardError> {
        let deadline = Instant::now() + Duration::from_secs(10);
        let forwarded =
            forward(Permit::for_test(None), request.into(), &self.upstream, &self.pools, CALLER, deadline).await;
        forwarded.map(|forwarded| *forwarded)
    }

    /// Sends a GET and reads the answer to its end.
    async fn get(&self, path: &str) -> Result<(Arc<str>, Bytes), ForwardError> {
        let forwarded = self.send(get(path)).await?;
        let body = forwarded.response.body.collect().await.unwrap().to_bytes();
        Ok((forwarded.endpoint, body))
    }

    fn counts(&self) -> EndpointCounts {
        self.upstream.endpoints()[0].counts()
    }
}

fn get(path: &str) -> Request<TestBody> {
    let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
    Request::get(path).header("host", "api.example").body(body).unwrap()
}

fn post(body: TestBody) -> Request<TestBody> {
    Request::post("/orders").header("host", "api.example").body(body).unwrap()
}

fn full(text: &'static str) -> TestBody {
    Full::new(Bytes::from_static(text.as_bytes())).map_err(|never| match never {}).boxed_unsync()
}

fn frames(frames: Vec<Result<Frame<Bytes>, BoxError>>) -> TestBody {
    StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync()
}

/// What an upstream saw.
#[derive(Default)]
struct Record {
    connections: Cell<usize>,
    requests: RefCell<Vec<Seen>>,
}

#[derive(Clone, Debug)]
struct Seen {
    line: String,
    headers: http::HeaderMap,
    body: Bytes,
    trailers: Option<http::HeaderMap>,
}

/// An upstream that records every request and answers with its number.
struct Recorder {
    address: SocketAddr,
    record: Rc<Record>,
}

#[derive(Clone, Copy, PartialEq)]
enum Spoken {
    Http1,
    Http2 { streams: u32 },
}

impl Recorder {
    async fn start(spoken: Spoken) -> Self {
        let (listener, address) = listen().await;
        let record = Rc::new(Record::default());
        let seen = Rc::clone(&record);
        tokio::task::spawn_local(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                seen.connections.set(seen.connections.get() + 1);
                tokio::task::spawn_local(serve(stream, spoken, Rc::clone(&seen)));
            }
        });
        Self { address, record }
    }

    fn requests(&self) -> Vec<Seen> {
        self.record.requests.borrow().clone()
    }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S, spoken: Spoken, record: Rc<Record>) {
    let service = service_fn(move |request| answer(request, Rc::clone(&record)));
    let io = TokioIo::new(stream);
    let _ = match spoken {
        Spoken::Http1 => server1::Builder::new().serve_connection(io, service).await,
        Spoken::Http2 { streams } => {
            let mut builder = server2::Builder::new(LocalExecutor);
            builder.max_concurrent_streams(streams).serve_connection(io, service).await
        }
    };
}

async fn answer(request: Request<Incoming>, record: Rc<Record>) -> Result<Response<TestBody>, BoxError> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?;
    let trailers = body.trailers().cloned();
    let line = format!("{} {} {:?}", parts.method, parts.uri, parts.version);
    let with_trailers = trailers.clone();
    record.requests.borrow_mut().push(Seen { line, headers: parts.headers, body: body.to_bytes(), trailers });
    let number = record.requests.borrow().len().to_string();
    let body = match with_trailers {
        Some(trailers) => frames(vec![Ok(Frame::data(number.into())), Ok(Frame::trailers(trailers))]),
        None => Full::new(number.into()).map_err(|never| match never {}).boxed_unsync(),
    };
    Ok(Response::builder().header("trailer", "x-sum").body(body).unwrap())
}

/// Reads the head of a request off a socket.
async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// An address where nobody listens.
async fn dead() -> SocketAddr {
    let (listener, address) = listen().await;
    drop(listener);
    address
}
