//! Upgrades: both sides joined, refused, and closed when nothing moves.

use futures_util::TryFutureExt as _;
use tokio::io::AsyncWriteExt;

use super::{
    super::upgrade::{JoinEnd, Joined, join},
    *,
};

const SWITCHING: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";

fn upgrade_request() -> Request<TestBody> {
    let mut request = get("/chat");
    request.headers_mut().insert("connection", "upgrade".parse().unwrap());
    request.headers_mut().insert("upgrade", "other, Echo".parse().unwrap());
    request
}

/// An upstream that switches to echoing.
async fn echo() -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::task::spawn_local(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_head(&mut stream).await;
            stream.write_all(SWITCHING).await.unwrap();
            stream.write_all(b"hello ").await.unwrap();
            let (mut read, mut write) = stream.split();
            tokio::io::copy(&mut read, &mut write).await.unwrap();
        }
    });
    address
}

/// A gateway in small: passes the upgrade on and joins the two sides.
async fn gateway(worker: Rc<Worker>, idle: Duration) -> (SocketAddr, tokio::task::JoinHandle<Joined>) {
    let (listener, address) = listen().await;
    let joined = tokio::task::spawn_local(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let sender = Rc::new(Cell::new(Some(sender)));
        let service = service_fn(move |mut request: Request<Incoming>| {
            let (worker, sender) = (Rc::clone(&worker), sender.take());
            async move {
                let downstream = hyper::upgrade::on(&mut request).map_ok(TokioIo::new);
                let forwarded = worker.send(upgrade_request()).await.unwrap();
                let joining = tokio::task::spawn_local(join(
                    downstream,
                    forwarded.upgrade.unwrap(),
                    idle,
                    std::future::pending(),
                ));
                sender.unwrap().send(joining).unwrap();
                Ok::<_, BoxError>(http::Response::from(forwarded.response))
            }
        });
        server1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await.unwrap();
        receiver.await.unwrap().await.unwrap()
    });
    (address, joined)
}

async fn upgraded_downstream(address: SocketAddr) -> TcpStream {
    let mut downstream = TcpStream::connect(address).await.unwrap();
    let request = b"GET /chat HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
    downstream.write_all(request).await.unwrap();
    assert!(read_head(&mut downstream).await.starts_with("HTTP/1.1 101 "));
    downstream
}

#[test]
fn both_sides_are_joined_until_both_are_done() {
    run(async {
        let worker = Rc::new(Worker::to(echo().await));
        let (address, joined) = gateway(Rc::clone(&worker), Duration::from_secs(5)).await;
        let mut downstream = upgraded_downstream(address).await;
        downstream.write_all(b"world").await.unwrap();
        let mut echoed = [0; 11];
        downstream.read_exact(&mut echoed).await.unwrap();
        assert_eq!(&echoed, b"hello world");
        assert_eq!((worker.counts().requests_under_way, worker.counts().connections_open), (1, 1));
        // Half-closed: what was on the way still arrives.
        downstream.write_all(b"!").await.unwrap();
        downstream.shutdown().await.unwrap();
        let mut rest = String::new();
        downstream.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "!");
        let joined = joined.await.unwrap();
        assert_eq!((joined.bytes_to_upstream, joined.bytes_to_downstream), (6, 12));
        assert!(matches!(joined.end, JoinEnd::Closed), "{joined:?}");
        until(|| worker.counts().connections_open == 0).await;
        assert_eq!(worker.counts().requests_under_way, 0);
    });
}

#[test]
fn a_pair_where_nothing_moves_is_closed() {
    run(async {
        let worker = Rc::new(Worker::to(echo().await));
        let (address, joined) = gateway(Rc::clone(&worker), Duration::from_millis(50)).await;
        let mut downstream = upgraded_downstream(address).await;
        let mut all = Vec::new();
        downstream.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, b"hello ");
        assert!(matches!(joined.await.unwrap().end, JoinEnd::Idle));
        until(|| worker.counts().connections_open == 0).await;
    });
}

#[test]
fn a_switch_that_was_not_asked_for_is_refused() {
    run(async {
        let worker = Worker::to(echo().await);
        let mut other = upgrade_request();
        other.headers_mut().insert("upgrade", "websocket".parse().unwrap());
        for request in [get("/"), other] {
            let error = worker.send(request).await.unwrap_err();
            assert_eq!((error.reason(), error.fault()), ("upstream_unasked_upgrade", Fault::Upstream));
        }
        assert!(worker.send(upgrade_request()).await.unwrap().upgrade.is_some());
        until(|| worker.counts().connections_open == 0).await;
    });
}

#[test]
fn an_upgrade_that_is_declined_is_an_ordinary_response() {
    run(async {
        let recorder = Recorder::start(Spoken::Http1).await;
        let forwarded = Worker::to(recorder.address).send(upgrade_request()).await.unwrap();
        assert!(forwarded.upgrade.is_none());
        assert_eq!(recorder.requests()[0].headers["upgrade"], "other, Echo");
    });
}
