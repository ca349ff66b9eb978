//! An upstream that writes down who reached it, and answers so that a cut or mixed up answer can be told.

use std::{
    collections::HashMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::net::TcpListener;

/// An answer that is far longer than all buffers on its way.
static LARGE: [u8; 8 * 1024 * 1024] = [b'x'; 8 * 1024 * 1024];

/// How long an answer is, by the request's id: most are short, some are longer than a socket's buffers.
pub(crate) const fn answer_bytes(id: u64) -> usize {
    if id.is_multiple_of(64) { 512 * 1024 } else { 200 + (id % 97) as usize }
}

/// What was seen of the requests of one id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arrival {
    /// How often it arrived.
    pub(crate) times: u32,
    /// Whether it may not be repeated (RFC 9110 section 9.2.2).
    pub(crate) is_post: bool,
    /// The client that the gateway named.
    pub(crate) client: String,
    /// The client that rule set A named, and the one that B named.
    pub(crate) named_by_sets: (Option<String>, Option<String>),
    /// Whether a credential came along.
    pub(crate) has_credential: bool,
}

/// Everything that reached any of the upstreams, by the request's id; 0 is what had none.
pub(crate) type Record = Arc<Mutex<HashMap<u64, Arrival>>>;

/// Starts one that writes into `record`.
pub(crate) async fn start(record: Record) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let record = Arc::clone(&record);
            tokio::spawn(async move {
                let service = service_fn(move |request| answer(request, Arc::clone(&record)));
                // However it ends, it is the gateway that has something to say about it.
                let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    address
}

async fn answer(request: Request<Incoming>, record: Record) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let id: u64 =
        parts.uri.query().and_then(|query| query.strip_prefix("id=")).and_then(|id| id.parse().ok()).unwrap_or(0);
    let field = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    {
        // Before the body: whoever sends a request twice has done so by then.
        let mut record = record.lock().expect("not poisoned");
        let arrival = record.entry(id).or_default();
        arrival.times += 1;
        arrival.is_post = parts.method == Method::POST;
        arrival.client = field("x-client-id").unwrap_or_default();
        arrival.named_by_sets = (field("x-set-a"), field("x-set-b"));
        arrival.has_credential |= parts.headers.contains_key("authorization");
    }
    // A body that breaks off is the caller's end of it.
    let _ = body.collect().await;
    if parts.uri.path().ends_with("/large") {
        return Ok(Response::new(Full::from(Bytes::from_static(&LARGE))));
    }
    Ok(Response::new(Full::from(answer_of(id, answer_bytes(id)))))
}

/// The answer to the request of this id: the id, over and over.
pub(crate) fn answer_of(id: u64, bytes: usize) -> Bytes {
    let mut answer = format!("{id:020}").repeat(bytes / 20 + 1).into_bytes();
    answer.truncate(bytes);
    answer.into()
}
