//! The server's side of a connection: what reading heads and bodies and writing answers cost, with a handler that does nothing. The
//! other end is in the same thread, so that its few instructions are counted as well, and nothing is left to chance.

use std::{convert::Infallible, fmt::Write as _, net::SocketAddr, num::NonZeroUsize, rc::Rc, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use http::StatusCode;
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use postern::{
    diagnostic::Diagnostics,
    http::{Request, Response},
    server::{ConnectionInfo, DownstreamBody, Handler, Listeners, RequestFault, Server, run_worker},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    runtime::{Builder, LocalOptions, LocalRuntime},
    task::spawn_local,
};

use super::{
    Counter,
    scene::{self, NOW, USUAL_FIELDS},
};

/// How many chunks a body in chunks has.
pub(crate) const CHUNKS: u32 = 16;
/// How many fields a request with more of them has more.
pub(crate) const FIELDS: u32 = 20;
/// What ends an answer of known length.
pub(crate) const BODY_END: &str = "the end";
/// What ends one in chunks.
const LAST_CHUNK: &str = "0\r\n\r\n";
/// How often an exchange is counted.
pub(crate) const EXCHANGES: u32 = 200;
/// What every listener here is configured with. Under callgrind everybody is late.
pub(crate) const LISTENER: &str = "[listeners.public]\naddress = \"127.0.0.1:0\"\n[process]\nmax_lateness = \"1h\"\n";

/// One thread's runtime, as a worker has it.
pub(crate) fn runtime() -> LocalRuntime {
    Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).expect("a runtime")
}

/// An answer's body of 200 bytes.
pub(crate) fn body() -> String {
    format!("{:x<193}{BODY_END}", "")
}

/// Serves `listeners` with `handler` on the runtime that is entered; says where. Dropping the server ends it.
pub(crate) fn serve<H: Handler>(listeners: &Listeners, handler: H) -> (Server, SocketAddr) {
    let (server, mut seats) = Server::new(NonZeroUsize::MIN);
    server.apply(listeners, Duration::ZERO).expect("a socket");
    let address = server.address_of("public").expect("an address");
    spawn_local(run_worker(handler, seats.pop().expect("a seat")));
    (server, address)
}

/// A caller's connection.
pub(crate) struct Caller {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Caller {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("a socket's option");
        Self { stream, answer: Vec::with_capacity(16 * 1024) }
    }

    /// Sends `request` and reads until what ends the answer has come.
    pub(crate) async fn exchange(&mut self, request: &str, end: &str) -> &[u8] {
        self.answer.clear();
        self.stream.write_all(request.as_bytes()).await.expect("a request sent");
        while !self.answer.ends_with(end.as_bytes()) {
            let read = self.stream.read_buf(&mut self.answer).await.expect("an answer");
            assert!(read > 0, "closed after: {}", String::from_utf8_lossy(&self.answer));
        }
        &self.answer
    }
}

/// A usual request's head, but for the empty line.
pub(crate) fn head(method: &str, target: &str) -> String {
    let mut head = format!("{method} {target} HTTP/1.1\r\nhost: api.example.com\r\n");
    for (name, value) in USUAL_FIELDS {
        write!(head, "{name}: {value}\r\n").expect("text");
    }
    head
}

/// Reads the body, and answers at once with what was made before.
#[derive(Clone)]
struct Nothing {
    whole: Bytes,
}

impl Handler for Nothing {
    type Body = UnsyncBoxBody<Bytes, Infallible>;

    async fn handle(&self, request: Request<DownstreamBody>, _: &Rc<ConnectionInfo>) -> Response<Self::Body> {
        let chunks = match request.head.uri.path() {
            "/chunks" => CHUNKS,
            "/chunk" => 1,
            _ => 0,
        };
        request.body.collect().await.expect("a body");
        if chunks == 0 {
            return self.answer();
        }
        let chunk = |_| Ok(Frame::data(Bytes::from_static(b"as many here")));
        Response::new(StatusCode::OK, StreamBody::new(stream::iter((0..chunks).map(chunk))).boxed_unsync())
    }

    fn put_aside(&self, _: RequestFault, _: &Rc<ConnectionInfo>) -> Response<Self::Body> {
        self.answer()
    }

    fn overloaded(&self, _: &Request<DownstreamBody>, _: &Rc<ConnectionInfo>) -> Response<Self::Body> {
        self.answer()
    }
}

impl Nothing {
    fn answer(&self) -> Response<UnsyncBoxBody<Bytes, Infallible>> {
        Response::new(StatusCode::OK, Full::new(self.whole.clone()).boxed_unsync())
    }
}

fn exchanges(counter: &mut Counter, request: &str, end: &str) {
    let config = scene::config(LISTENER);
    let listeners = Listeners::compile(&config, None, NOW, &mut Diagnostics::new()).expect("listeners");
    let runtime = runtime();
    let (server, mut caller) = runtime.block_on(async {
        let (server, address) = serve(&listeners, Nothing { whole: Bytes::from(body()) });
        (server, Caller::connect(address).await)
    });
    let answer = runtime.block_on(caller.exchange(request, end));
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(answer));
    counter.count(EXCHANGES, || runtime.block_on(caller.exchange(request, end)).len());
    drop(server);
}

/// A request without a body.
pub(crate) fn get(counter: &mut Counter) {
    exchanges(counter, &(head("GET", "/whole") + "\r\n"), BODY_END);
}

/// One with so many fields more.
pub(crate) fn get_with_fields(counter: &mut Counter) {
    let mut request = head("GET", "/whole");
    for index in 0..FIELDS {
        write!(request, "x-field-{index}: a value of usual length\r\n").expect("text");
    }
    exchanges(counter, &(request + "\r\n"), BODY_END);
}

/// One with a body of known length.
pub(crate) fn post_with_length(counter: &mut Counter) {
    let piece = "sixteen bytes...";
    let body = piece.repeat(CHUNKS as usize);
    let request = format!("{}content-length: {}\r\n\r\n{body}", head("POST", "/whole"), body.len());
    exchanges(counter, &request, BODY_END);
}

/// One with the same body in chunks.
pub(crate) fn post_in_chunks(counter: &mut Counter) {
    let chunks = "10\r\nsixteen bytes...\r\n".repeat(CHUNKS as usize);
    let request = format!("{}transfer-encoding: chunked\r\n\r\n{chunks}{LAST_CHUNK}", head("POST", "/whole"));
    exchanges(counter, &request, BODY_END);
}

/// One that is answered in chunks.
pub(crate) fn answer_in_chunks(counter: &mut Counter) {
    exchanges(counter, &(head("GET", "/chunks") + "\r\n"), LAST_CHUNK);
}

/// One that is answered in one chunk.
pub(crate) fn answer_in_one_chunk(counter: &mut Counter) {
    exchanges(counter, &(head("GET", "/chunk") + "\r\n"), LAST_CHUNK);
}
