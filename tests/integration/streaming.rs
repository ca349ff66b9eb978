//! Bodies of any size in little memory, and nobody made to hold what somebody else is slow to take.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::sync::Semaphore;

use crate::support::{
    connection::{AnyBody, Connection, Protocol, bytes, empty, repeated, whole},
    corp::{Corp, ISSUER, ROUTE},
    program::Program,
    served_upstream::ServedUpstream,
    wait::until,
};

const MEBIBYTE: usize = 1 << 20;
const GIBIBYTE: usize = 1 << 30;
/// The most memory that it may take beside what an idle program has, most of which is its own code.
const MOST_TAKEN: u64 = 16 << 20;
/// What may be on its way between a sender and a reader that stands still: the kernel's buffers of two connections, and ours.
const MOST_UNDER_WAY: usize = 48 * MEBIBYTE;

const PROCESS: &str = r#"
[process]
workers = 2
[telemetry]
access_log_to = "access.log"
[listeners.public]
address = "127.0.0.1:0"
[listeners.public.limits]
body_bytes = "2GiB"
[admin]
address = "127.0.0.1:0"
"#;

/// `GET` is answered with a gibibyte, anything else with the number of bytes that came.
async fn large(request: Request<Incoming>) -> Response<AnyBody> {
    if request.method() == Method::GET {
        let piece = Bytes::from(vec![b'x'; MEBIBYTE]);
        return Response::new(repeated(piece, GIBIBYTE / MEBIBYTE, |_| {}));
    }
    Response::new(bytes(count(request.into_body()).await.to_string()))
}

async fn count(mut body: Incoming) -> usize {
    let mut count = 0;
    while let Some(frame) = body.frame().await {
        count += frame.expect("a frame").data_ref().map_or(0, Bytes::len);
    }
    count
}

fn request(method: Method, url: &str, token: &str, body: AnyBody) -> Request<AnyBody> {
    let builder = Request::builder().method(method).uri(url).header("authorization", format!("Bearer {token}"));
    builder.body(body).expect("a request")
}

async fn a_gibibyte_each_way(downstream: Protocol, upstream_protocol: &str) {
    let corp = Corp::start().await;
    let upstream = ServedUpstream::start(large).await;
    let config = format!(
        "{PROCESS}{ISSUER}{ROUTE}[upstreams.orders]\nendpoints = [\"{}\"]\nprotocol = \"{upstream_protocol}\"\n",
        upstream.url()
    );
    let postern = Program::start(&config, &[("ISSUER", &corp.issuer.name())]).await;
    let idle = postern.peak_resident_bytes();
    let mut connection = Connection::open(postern.address("public"), downstream).await;
    let (url, token) = (postern.url("/large"), corp.token());

    let piece = Bytes::from(vec![b'x'; MEBIBYTE]);
    let upload = repeated(piece, GIBIBYTE / MEBIBYTE, |_| {});
    let answer = connection.send(request(Method::POST, &url, &token, upload)).await.expect("an answer");
    assert_eq!(whole(answer).await.expect("a whole answer").body, GIBIBYTE.to_string());
    let after_upload = postern.peak_resident_bytes();

    let answer = connection.send(request(Method::GET, &url, &token, empty())).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    assert_eq!(count(answer.into_body()).await, GIBIBYTE);
    let peak = postern.peak_resident_bytes();
    let what = format!(
        "{downstream:?} -> {upstream_protocol}: {idle} idle, {after_upload} after the upload, {peak} in the end"
    );
    assert!(peak < idle + MOST_TAKEN, "{what}");

    // The control: what is measured grows with what the program does, and the route is not open to everyone.
    assert!(peak > postern.resident_bytes() / 2 && peak > 1 << 20, "{what}");
    let refused = connection.exchange(request(Method::GET, &url, "no.good.token", empty())).await;
    assert_eq!(refused.status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gibibyte_each_way_takes_little_memory_over_http1() {
    a_gibibyte_each_way(Protocol::Http1, "http1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gibibyte_each_way_takes_little_memory_over_http2() {
    a_gibibyte_each_way(Protocol::Http2, "http2").await;
}

/// Waits until `counter` has stopped growing, and gives where.
async fn standstill(counter: &AtomicUsize) -> usize {
    let mut last = (0, 0);
    until("it stands still", || {
        let now = counter.load(Ordering::SeqCst);
        last = if now > 0 && now == last.0 { (now, last.1 + 1) } else { (now, 0) };
        let still = (last.1 >= 50).then_some(now);
        async move { still }
    })
    .await
}

/// More than can be under way.
const PIECES: usize = 4 * MOST_UNDER_WAY / MEBIBYTE;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_bounds_what_is_taken_from_the_upstream() {
    for (downstream, upstream_protocol) in [(Protocol::Http1, "http1"), (Protocol::Http2, "http2")] {
        let what = format!("{downstream:?} -> {upstream_protocol}");
        let corp = Corp::start().await;
        let taken = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&taken);
        let upstream = ServedUpstream::start(move |_| {
            let counted = Arc::clone(&counted);
            async move {
                let piece = Bytes::from(vec![b'x'; MEBIBYTE]);
                Response::new(repeated(piece, PIECES, move |bytes| {
                    counted.fetch_add(bytes, Ordering::SeqCst);
                }))
            }
        })
        .await;
        let config = format!("protocol = \"{upstream_protocol}\"\n");
        let gateway = corp.before(&upstream.url(), &config).start().await;
        let mut connection = Connection::open(gateway.address(), downstream).await;
        let answer = connection.send(request(Method::GET, &gateway.url("/large"), &corp.token(), empty())).await;
        let answer = answer.expect("the head");
        let under_way = standstill(&taken).await;
        assert!(under_way < MOST_UNDER_WAY, "{what}: {under_way}");
        assert_eq!(count(answer.into_body()).await, PIECES * MEBIBYTE, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_upstream_bounds_what_is_taken_from_downstream() {
    for (downstream, upstream_protocol) in [(Protocol::Http1, "http1"), (Protocol::Http2, "http2")] {
        let what = format!("{downstream:?} -> {upstream_protocol}");
        let corp = Corp::start().await;
        let gate = Arc::new(Semaphore::new(0));
        let waiting = Arc::clone(&gate);
        let upstream = ServedUpstream::start(move |request: Request<Incoming>| {
            let waiting = Arc::clone(&waiting);
            async move {
                let _turn = waiting.acquire().await.expect("open");
                Response::new(bytes(count(request.into_body()).await.to_string()))
            }
        })
        .await;
        let config = format!("protocol = \"{upstream_protocol}\"\n[listeners.public.limits]\nbody_bytes = \"2GiB\"\n");
        let gateway = corp.before(&upstream.url(), &config).start().await;
        let mut connection = Connection::open(gateway.address(), downstream).await;
        let taken = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&taken);
        let piece = Bytes::from(vec![b'x'; MEBIBYTE]);
        let upload = repeated(piece, PIECES, move |bytes| {
            counted.fetch_add(bytes, Ordering::SeqCst);
        });
        let sent = request(Method::POST, &gateway.url("/large"), &corp.token(), upload);
        let exchange = tokio::spawn(async move { whole(connection.send(sent).await?).await });
        let under_way = standstill(&taken).await;
        assert!(under_way < MOST_UNDER_WAY, "{what}: {under_way}");
        gate.add_permits(1);
        let answer = exchange.await.expect("no panic").expect("a whole answer");
        assert_eq!(answer.body, (PIECES * MEBIBYTE).to_string(), "{what}");
    }
}
