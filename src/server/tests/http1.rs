//! HTTP/1.1 from downstream.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::support::*;
use crate::config::LimitsConfig;

#[tokio::test]
async fn a_connection_is_kept_for_further_requests() {
    let server = TestServer::with_limits(LimitsConfig::default());
    let mut stream = server.connect().await;
    for _ in 0..3 {
        let answer = get(&mut stream, "/").await;
        assert_eq!((answer.status(), answer.body.as_str()), ("200", "hello"));
    }
    assert_eq!(get(&mut stream, "/who").await.body, "public http/1.1 127.0.0.1 None clear false");
    assert_eq!(server.listener().counters().accepted(), 1);
    assert_eq!(server.server.workers().map(|worker| worker.requests_begun()).sum::<u64>(), 4);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = TestServer::with_limits(LimitsConfig::default());
    let mut stream = server.connect().await;
    let post = "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\none";
    send(&mut stream, &format!("{post}GET / HTTP/1.1\r\nhost: a\r\n\r\n{post}")).await;
    for expected in ["one", "hello", "one"] {
        assert_eq!(answer(&mut stream).await.body, expected);
    }
}

#[tokio::test]
async fn a_request_may_come_byte_by_byte() {
    let server = TestServer::with_limits(LimitsConfig::default());
    let mut stream = server.connect().await;
    stream.set_nodelay(true).unwrap();
    // Its beginning is that of the HTTP/2 preface, too.
    for byte in b"PRINT / HTTP/1.1\r\nhost: a\r\n\r\n" {
        stream.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(answer(&mut stream).await.status(), "200");
}

#[tokio::test]
async fn a_response_may_be_the_last_one() {
    let server = TestServer::with_limits(LimitsConfig::default());
    for path in ["/last", "/refuse"] {
        let mut stream = server.connect().await;
        let answer = get(&mut stream, path).await;
        assert!(answer.head.contains("connection: close"), "{}", answer.head);
        assert!(closed(&mut stream).await);
    }
}

#[tokio::test]
async fn an_upgraded_stream_carries_bytes_both_ways_and_keeps_its_place() {
    let server = TestServer::with_limits(LimitsConfig::default());
    let mut stream = server.connect().await;
    let upgrade = "GET /upgrade HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
    send(&mut stream, &format!("{upgrade}early")).await;
    assert_eq!(answer(&mut stream).await.status(), "101");
    let mut echoed = [0; 9];
    send(&mut stream, "late").await;
    soon(stream.read_exact(&mut echoed)).await.unwrap();
    assert_eq!(&echoed, b"earlylate");
    assert_eq!(server.listener().connections_open(), 1);
    eventually(|| server.server.requests_under_way() == 0).await;
    stream.shutdown().await.unwrap();
    assert!(closed(&mut stream).await);
    eventually(|| server.listener().connections_open() == 0).await;
}

#[tokio::test]
async fn an_answer_before_the_end_of_the_body_arrives_all_the_same() {
    let server = TestServer::with_limits(LimitsConfig::default());
    let mut stream = server.connect().await;
    send(&mut stream, "POST /refuse HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n").await;
    let answer = answer(&mut stream).await;
    assert_eq!((answer.status(), answer.body.as_str()), ("200", "no"));
    assert!(closed(&mut stream).await);
    // The server has said its last word. A client that is still sending must not meet a reset, which could destroy that word
    // before it is read.
    let sent = async {
        for _ in 0..10 {
            if stream.write_all(&[b'x'; 100_000]).await.is_err() {
                return false;
            }
        }
        true
    };
    assert!(soon(sent).await, "the connection was reset while the body was sent");
}

#[tokio::test]
async fn what_is_no_http_is_counted() {
    let server = TestServer::with_limits(LimitsConfig::default());
    let mut stream = server.connect().await;
    send(&mut stream, "\x16\x03\x01 hello\r\n\r\n").await;
    assert_eq!(answer(&mut stream).await.status(), "400");
    assert!(closed(&mut stream).await);
    eventually(|| server.listener().counters().malformed() > 0).await;
}

#[tokio::test]
async fn an_answer_in_chunks_ends_behind_its_last_piece() {
    let server = TestServer::with_limits(LimitsConfig::default());
    let mut stream = server.connect().await;
    for _ in 0..2 {
        send(&mut stream, "GET /pieces HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert!(answer(&mut stream).await.head.contains("transfer-encoding: chunked"));
        for size in ["fff", "1000", "11170"] {
            let length = usize::from_str_radix(size, 16).unwrap();
            let mut chunk = vec![0; size.len() + 2 + length + 2];
            soon(stream.read_exact(&mut chunk)).await.unwrap();
            assert!(chunk.starts_with(format!("{size}\r\nx").as_bytes()) && chunk.ends_with(b"x\r\n"), "{size}");
        }
        let mut end = [0; 5];
        soon(stream.read_exact(&mut end)).await.unwrap();
        assert_eq!(&end, b"0\r\n\r\n");
    }
}

#[tokio::test]
async fn what_would_be_taken_for_the_first_of_two_answers_is_none() {
    let server = TestServer::with_limits(LimitsConfig::default());
    let mut stream = server.connect().await;
    send(&mut stream, "GET /early HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let mut said = String::new();
    soon(stream.read_to_string(&mut said)).await.unwrap();
    assert!(
        said.starts_with("HTTP/1.1 500 ")
            && said.contains("connection: close")
            && said.matches("HTTP/1.1").count() == 1,
        "{said}"
    );
}

#[tokio::test]
async fn a_request_that_is_read_beside_its_answer_is_read_whole() {
    for (last, what) in [("", "the connection stays"), ("connection: close\r\n", "it is closed")] {
        let mut server = TestServer::with_limits(LimitsConfig::default());
        let mut stream = server.connect().await;
        let size = 1 << 20;
        send(&mut stream, &format!("POST /later HTTP/1.1\r\nhost: a\r\n{last}content-length: {size}\r\n\r\n")).await;
        server.arrived("/later").await;
        send(&mut stream, &"y".repeat(size / 2)).await;
        assert_eq!(answer(&mut stream).await.body, "at once", "{what}");
        send(&mut stream, &"y".repeat(size / 2)).await;
        server.arrived(&format!("Some({size})")).await;
        if last.is_empty() {
            assert_eq!(get(&mut stream, "/").await.body, "hello");
        } else {
            assert!(closed(&mut stream).await);
        }
    }
}

#[tokio::test]
async fn whoever_reads_a_request_is_told_that_its_connection_is_gone() {
    let mut server = TestServer::with_limits(LimitsConfig::default());
    let mut stream = server.connect().await;
    send(&mut stream, "POST /later HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf").await;
    server.arrived("/later").await;
    answer(&mut stream).await;
    drop(stream);
    server.arrived("None").await;
    eventually(|| server.listener().connections_open() == 0).await;
}
