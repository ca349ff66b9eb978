//! Every limit of a listener, from both sides of it.

use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::support::*;
use crate::config::{ByteSize, LimitsConfig};

#[tokio::test]
async fn a_head_that_takes_too_long_ends_the_connection() {
    let limits = LimitsConfig {
        header_timeout: milliseconds(150),
        idle_timeout: milliseconds(60_000),
        ..LimitsConfig::default()
    };
    let server = TestServer::with_limits(limits);
    for beginning in ["", "P", "GET / HTTP/1.1\r\nhost:"] {
        let before = Instant::now();
        let mut stream = server.connect().await;
        send(&mut stream, beginning).await;
        assert!(closed(&mut stream).await, "{beginning:?}");
        assert!(before.elapsed().as_millis() >= 150, "{beginning:?} was closed after {:?}", before.elapsed());
    }
    // The second head counts from its own first byte.
    let mut stream = server.connect().await;
    get(&mut stream, "/").await;
    send(&mut stream, "GET").await;
    let before = Instant::now();
    assert!(closed(&mut stream).await);
    assert!(before.elapsed().as_millis() >= 100);
    assert_eq!(server.listener().counters().header_timeouts(), 4);
}

#[tokio::test]
async fn a_dribbled_head_gains_no_time() {
    let server = TestServer::with_limits(LimitsConfig { header_timeout: milliseconds(200), ..LimitsConfig::default() });
    let mut stream = server.connect().await;
    let before = Instant::now();
    let mut ticks = tokio::time::interval(std::time::Duration::from_millis(20));
    send(&mut stream, "GET / HTTP/1.1\r\nx: ").await;
    let mut byte = [0];
    loop {
        tokio::select! {
            read = stream.read(&mut byte) => { assert!(matches!(read, Ok(0) | Err(_))); break; }
            _ = ticks.tick() => { let _ = stream.write_all(b"x").await; }
        }
    }
    assert!(before.elapsed().as_millis() < 2000, "it lasted {:?}", before.elapsed());
}

#[tokio::test]
async fn an_idle_connection_outlives_the_header_timeout_and_not_the_idle_timeout() {
    let limits =
        LimitsConfig { header_timeout: milliseconds(50), idle_timeout: milliseconds(400), ..LimitsConfig::default() };
    let server = TestServer::with_limits(limits);
    let mut stream = server.connect().await;
    get(&mut stream, "/").await;
    let before = Instant::now();
    assert!(closed(&mut stream).await);
    assert!(before.elapsed().as_millis() >= 390, "it was closed after {:?}", before.elapsed());
    assert_eq!(server.listener().counters().header_timeouts(), 0);
}

#[tokio::test]
async fn a_request_under_way_outlives_every_timeout() {
    let limits =
        LimitsConfig { header_timeout: milliseconds(50), idle_timeout: milliseconds(50), ..LimitsConfig::default() };
    let mut server = TestServer::with_limits(limits);
    let mut stream = server.connect().await;
    send(&mut stream, "GET /wait HTTP/1.1\r\nhost: a\r\n\r\n").await;
    server.arrived("/wait").await;
    // Other connections come and go meanwhile, each by the timeouts.
    for _ in 0..3 {
        let mut other = server.connect().await;
        assert!(closed(&mut other).await);
    }
    server.let_one_go();
    assert_eq!(answer(&mut stream).await.body, "waited");
}

#[tokio::test]
async fn heads_beyond_the_limits_are_answered_431() {
    let limits = LimitsConfig { header_bytes: ByteSize(2048), headers: 8, ..LimitsConfig::default() };
    let server = TestServer::with_limits(limits);
    let fields = |count: usize| "x: y\r\n".repeat(count);
    let mut stream = server.connect().await;
    send(&mut stream, &format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", fields(7))).await;
    assert_eq!(answer(&mut stream).await.status(), "200");
    send(&mut stream, &format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", fields(8))).await;
    assert_eq!(answer(&mut stream).await.status(), "431");
    assert!(closed(&mut stream).await);
    // One that is complete, and one that never is.
    for end in ["\r\n\r\n", ""] {
        let mut stream = server.connect().await;
        send(&mut stream, &format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}{end}", "y".repeat(2048))).await;
        assert_eq!(answer(&mut stream).await.status(), "431");
        assert!(closed(&mut stream).await);
    }
}

#[tokio::test]
async fn a_reader_that_stands_still_is_left() {
    let limits = LimitsConfig { body_idle_timeout: milliseconds(150), ..LimitsConfig::default() };
    let server = TestServer::with_limits(limits);
    let mut stream = server.connect().await;
    send(&mut stream, "GET /endless HTTP/1.1\r\nhost: a\r\n\r\n").await;
    eventually(|| server.listener().counters().stalled() > 0).await;
    eventually(|| server.listener().connections_open() == 0).await;
    eventually(|| server.server.requests_under_way() == 0).await;
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_a_place() {
    let limits = LimitsConfig { connections: 2, ..LimitsConfig::default() };
    let server = TestServer::with_workers(&config([("public", listener(limits))]), 2);
    let mut first = server.connect().await;
    let mut second = server.connect().await;
    get(&mut first, "/").await;
    get(&mut second, "/").await;
    let mut third = server.connect().await;
    send(&mut third, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    // Both workers have been round since the third came, and it is not served.
    for _ in 0..20 {
        get(&mut first, "/").await;
        get(&mut second, "/").await;
    }
    assert_eq!((server.listener().connections_open(), server.listener().counters().accepted()), (2, 2));
    drop(first);
    assert_eq!(answer(&mut third).await.status(), "200");
}

#[tokio::test]
async fn a_raised_limit_lets_those_in_who_wait() {
    let with = |connections| config([("public", listener(LimitsConfig { connections, ..LimitsConfig::default() }))]);
    let mut server = TestServer::start(&with(1));
    let mut first = server.connect().await;
    get(&mut first, "/").await;
    let mut second = server.connect().await;
    send(&mut second, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    get(&mut first, "/").await;
    server.reload(&with(2));
    assert_eq!(answer(&mut second).await.status(), "200");
}

#[tokio::test]
async fn a_peer_with_too_many_connections_is_turned_away_at_once() {
    let limits = LimitsConfig { connections_per_peer: Some(2), ..LimitsConfig::default() };
    let server = TestServer::with_limits(limits);
    let mut first = server.connect().await;
    let mut second = server.connect().await;
    get(&mut first, "/").await;
    get(&mut second, "/").await;
    let mut third = server.connect().await;
    assert!(closed(&mut third).await);
    eventually(|| server.listener().counters().refused_per_peer() == 1).await;
    drop(first);
    eventually(|| server.listener().connections_open() == 1).await;
    let mut fourth = server.connect().await;
    assert_eq!(get(&mut fourth, "/").await.status(), "200");
}
