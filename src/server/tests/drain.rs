//! The end of a server: what is under way finishes, nothing new begins.

use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;

use super::{super::DrainReport, support::*};
use crate::config::LimitsConfig;

#[tokio::test]
async fn a_request_under_way_is_finished_and_its_connection_closed() {
    let mut server = TestServer::with_limits(LimitsConfig::default());
    let address = server.address();
    let mut busy = server.connect().await;
    let mut idle = server.connect().await;
    get(&mut idle, "/").await;
    server.arrived("/").await;
    send(&mut busy, "GET /wait HTTP/1.1\r\nhost: a\r\n\r\n").await;
    server.arrived("/wait").await;
    let before = Instant::now();
    server.server.drain(GRACE);
    assert!(closed(&mut idle).await);
    assert!(before.elapsed() < Duration::from_secs(2), "the idle one was closed after {:?}", before.elapsed());
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "it still accepts");
    server.let_one_go();
    let answer = answer(&mut busy).await;
    assert_eq!(answer.body, "waited");
    assert!(answer.head.contains("connection: close"), "{}", answer.head);
    assert!(closed(&mut busy).await);
    assert_eq!(server.ended().await, DrainReport { finished: 2, cut: 0 });
}

#[tokio::test]
async fn an_idle_connection_may_still_ask_once_when_the_drain_begins() {
    let server = TestServer::with_limits(LimitsConfig::default());
    let mut stream = server.connect().await;
    get(&mut stream, "/").await;
    server.server.drain(GRACE);
    let answer = get(&mut stream, "/").await;
    assert_eq!(answer.status(), "200");
    assert!(closed(&mut stream).await);
    assert_eq!(server.ended().await.cut, 0);
}

#[tokio::test]
async fn connections_in_the_kernels_queue_are_still_answered() {
    let server = TestServer::with_limits(LimitsConfig { connections: 100, ..LimitsConfig::default() });
    let mut streams = Vec::new();
    for _ in 0..20 {
        let mut stream = server.connect().await;
        send(&mut stream, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        streams.push(stream);
    }
    server.server.drain(GRACE);
    for mut stream in streams {
        assert_eq!(answer(&mut stream).await.status(), "200");
    }
    assert_eq!(server.ended().await.cut, 0);
}

#[tokio::test]
async fn http2_gets_a_goaway_and_finishes_its_streams() {
    let mut server = TestServer::with_limits(LimitsConfig::default());
    let (mut client, connection) = http2(server.connect().await).await;
    let waiting = tokio::spawn(client.send_request(request("/wait")));
    server.arrived("/wait").await;
    server.server.drain(GRACE);
    // The client learns of the GOAWAY: from now on it begins nothing on this connection.
    soon(async { while client.send_request(request("/")).await.is_ok() {} }).await;
    server.let_one_go();
    assert_eq!(body_of(soon(waiting).await.unwrap().unwrap()).await, "waited");
    soon(connection).await.unwrap().unwrap();
    assert_eq!(server.ended().await, DrainReport { finished: 1, cut: 0 });
}

#[tokio::test]
async fn what_is_not_finished_in_time_is_cut_and_counted() {
    let mut server = TestServer::with_limits(LimitsConfig::default());
    let mut busy = server.connect().await;
    send(&mut busy, "GET /wait HTTP/1.1\r\nhost: a\r\n\r\n").await;
    server.arrived("/wait").await;
    let mut upgraded = server.connect().await;
    send(&mut upgraded, "GET /upgrade HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n").await;
    assert_eq!(answer(&mut upgraded).await.status(), "101");
    let listener = server.listener();
    server.server.drain(Duration::from_millis(100));
    assert!(closed(&mut busy).await);
    assert!(closed(&mut upgraded).await);
    assert_eq!(server.ended().await, DrainReport { finished: 0, cut: 2 });
    assert_eq!(listener.counters().cut(), 2);
}

#[tokio::test]
async fn a_server_that_is_dropped_takes_its_workers_along() {
    let server = TestServer::with_limits(LimitsConfig::default());
    let mut stream = server.connect().await;
    get(&mut stream, "/").await;
    drop(server);
    let mut byte = [0];
    assert!(matches!(soon(stream.read(&mut byte)).await, Ok(0) | Err(_)));
}

/// Asks again and again on one connection until it is told that it is the last time; how often it was answered.
async fn ask_until_told(address: std::net::SocketAddr) -> usize {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    for count in 1.. {
        let answer = get(&mut stream, "/").await;
        assert_eq!(answer.status(), "200");
        if answer.head.contains("connection: close") {
            assert!(closed(&mut stream).await);
            return count;
        }
    }
    0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_under_load_loses_no_request() {
    let server = TestServer::with_workers(&config([("public", listener(LimitsConfig::default()))]), 2);
    let clients: Vec<_> = (0..16).map(|_| tokio::spawn(ask_until_told(server.address()))).collect();
    eventually(|| server.server.workers().all(|worker| worker.requests_begun() > 200)).await;
    let begun = || server.server.workers().map(|worker| worker.requests_begun()).sum::<u64>();
    server.server.drain(GRACE);
    let mut answered = 0;
    for client in clients {
        answered += soon(client).await.unwrap();
    }
    assert_eq!(u64::try_from(answered).unwrap(), begun());
    assert_eq!(server.ended().await.cut, 0);
}
