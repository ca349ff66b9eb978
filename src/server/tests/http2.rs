//! HTTP/2 from downstream.

use std::pin::Pin;

use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::support::*;
use crate::config::LimitsConfig;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const EMPTY_SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

/// Reads one frame: its type, flags, stream and payload; nothing at the end.
async fn frame(stream: &mut tokio::net::TcpStream) -> Option<(u8, u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    soon(stream.read_exact(&mut head)).await.ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; usize::try_from(length).unwrap()];
    soon(stream.read_exact(&mut payload)).await.ok()?;
    let stream_id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    Some((head[3], head[4], stream_id, payload))
}

#[tokio::test]
async fn prior_knowledge_is_understood() {
    let mut server = TestServer::with_limits(LimitsConfig::default());
    let (mut client, _connection) = http2(server.connect().await).await;
    let waiting = client.send_request(request("/wait"));
    let waiting = tokio::spawn(waiting);
    server.arrived("/wait").await;
    let response = soon(client.send_request(request("/who"))).await.unwrap();
    assert_eq!(body_of(response).await, "public h2 127.0.0.1 None clear false");
    assert_eq!(server.server.requests_under_way(), 1);
    server.let_one_go();
    assert_eq!(body_of(soon(waiting).await.unwrap().unwrap()).await, "waited");
    eventually(|| server.server.requests_under_way() == 0).await;
}

#[tokio::test]
async fn a_preface_may_come_byte_by_byte() {
    let server = TestServer::with_limits(LimitsConfig::default());
    let mut stream = server.connect().await;
    stream.set_nodelay(true).unwrap();
    for byte in PREFACE.iter().chain(EMPTY_SETTINGS) {
        stream.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let (kind, ..) = frame(&mut stream).await.unwrap();
    assert_eq!(kind, 4, "the server's SETTINGS come first");
}

#[tokio::test]
async fn too_many_headers_are_answered_431() {
    let server = TestServer::with_limits(LimitsConfig { headers: 5, ..LimitsConfig::default() });
    let (mut client, _connection) = http2(server.connect().await).await;
    let mut crowded = request("/");
    for index in 0..6 {
        let name = http::HeaderName::try_from(format!("x-{index}")).unwrap();
        crowded.headers_mut().insert(name, "1".parse().unwrap());
    }
    assert_eq!(soon(client.send_request(crowded)).await.unwrap().status(), 431);
    assert_eq!(soon(client.send_request(request("/"))).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_name_that_is_no_token_is_refused() {
    let server = TestServer::with_limits(LimitsConfig::default());
    let (mut client, _connection) = http2(server.connect().await).await;
    for (name, expected) in [(&b"x-a"[..], 200), (b"x\"a", 400), (b"x'a", 200)] {
        let mut request = request("/");
        request.headers_mut().insert(http::HeaderName::from_lowercase(name).unwrap(), "1".parse().unwrap());
        assert_eq!(soon(client.send_request(request)).await.unwrap().status(), expected, "{name:?}");
    }
}

#[tokio::test]
async fn a_response_may_be_the_last_one() {
    let server = TestServer::with_limits(LimitsConfig::default());
    let (mut client, connection) = http2(server.connect().await).await;
    let response = soon(client.send_request(request("/last"))).await.unwrap();
    assert_eq!(body_of(response).await, "last");
    soon(connection).await.unwrap().unwrap();
}

#[tokio::test]
async fn an_idle_connection_is_told_goodbye() {
    let server = TestServer::with_limits(LimitsConfig { idle_timeout: milliseconds(100), ..LimitsConfig::default() });
    let mut stream = server.connect().await;
    stream.write_all(PREFACE).await.unwrap();
    stream.write_all(EMPTY_SETTINGS).await.unwrap();
    let mut goaway = false;
    while let Some((kind, flags, _, payload)) = frame(&mut stream).await {
        match (kind, flags) {
            (4, 0) => stream.write_all(&[0, 0, 0, 4, 1, 0, 0, 0, 0]).await.unwrap(),
            (6, 0) => {
                let mut pong = vec![0, 0, 8, 6, 1, 0, 0, 0, 0];
                pong.extend_from_slice(&payload);
                stream.write_all(&pong).await.unwrap();
            }
            (7, _) => goaway = true,
            _ => {}
        }
    }
    assert!(goaway, "it was closed without a GOAWAY");
}

#[tokio::test]
async fn a_stream_that_nobody_reads_is_reset_and_its_neighbour_lives() {
    let limits = LimitsConfig { body_idle_timeout: milliseconds(150), ..LimitsConfig::default() };
    let server = TestServer::with_limits(limits);
    let (mut client, _connection) = http2(server.connect().await).await;
    let mut endless = soon(client.send_request(request("/endless"))).await.unwrap().into_body();
    eventually(|| server.listener().counters().stalled() > 0).await;
    assert_eq!(body_of(soon(client.send_request(request("/"))).await.unwrap()).await, "hello");
    let reset = soon(async {
        loop {
            match endless.frame().await {
                Some(Ok(_)) => {}
                other => break other,
            }
        }
    });
    assert!(matches!(reset.await, Some(Err(_))), "the endless body must end by a reset");
    eventually(|| server.server.requests_under_way() == 0).await;
}

#[tokio::test]
async fn a_large_body_that_is_read_is_not_cut() {
    let limits = LimitsConfig { body_idle_timeout: milliseconds(200), ..LimitsConfig::default() };
    let server = TestServer::with_limits(limits);
    let (mut client, _connection) = http2(server.connect().await).await;
    let mut body = soon(client.send_request(request("/endless"))).await.unwrap().into_body();
    let before = std::time::Instant::now();
    while before.elapsed().as_millis() < 700 {
        let frame: hyper::body::Frame<Bytes> = soon(Pin::new(&mut body).frame()).await.unwrap().unwrap();
        assert!(frame.is_data());
    }
    assert_eq!(server.listener().counters().stalled(), 0);
}

#[tokio::test]
async fn a_flood_is_told_to_calm_down_and_hears_it() {
    let server = TestServer::with_limits(LimitsConfig::default());
    let mut stream = server.connect().await;
    stream.write_all(PREFACE).await.unwrap();
    stream.write_all(EMPTY_SETTINGS).await.unwrap();
    let ping = [&[0, 0, 8, 6, 0, 0, 0, 0, 0][..], &[0; 8]].concat();
    stream.write_all(&ping.repeat(5000)).await.unwrap();
    let (mut pongs, mut code) = (0, None);
    while let Some((kind, flags, _, payload)) = frame(&mut stream).await {
        match (kind, flags) {
            (6, 1) => pongs += 1,
            (7, _) => code = payload.get(4..8).map(<[u8]>::to_vec),
            _ => {}
        }
    }
    assert_eq!(code, Some(vec![0, 0, 0, 11]), "after {pongs} answers");
    assert!((2000..4000).contains(&pongs), "{pongs}");
    eventually(|| server.listener().counters().floods() == 1).await;
    let (mut client, _connection) = http2(server.connect().await).await;
    assert_eq!(soon(client.send_request(request("/"))).await.unwrap().status(), 200);
}
