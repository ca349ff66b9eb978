//! Request bodies: when they are asked for, how they are framed, and what becomes of those that nobody wants.

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::io::AsyncWriteExt as _;

use crate::support::{
    connection::{AnyBody, Connection, Protocol, bytes, piecewise, whole},
    corp::Corp,
    raw_socket::{RawSocket, listen, url_of},
    served_upstream::ServedUpstream,
};

const PROTOCOLS: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

/// Answers with the body that came, and its length.
async fn echo(request: Request<Incoming>) -> Response<AnyBody> {
    let body = request.into_body().collect().await.expect("a whole body").to_bytes();
    Response::new(bytes(body))
}

fn with_body(url: &str, token: &str, body: AnyBody) -> Request<AnyBody> {
    let builder = Request::builder().method(Method::POST).uri(url).header("authorization", format!("Bearer {token}"));
    builder.body(body).expect("a request")
}

#[tokio::test]
async fn a_body_arrives_in_the_framing_that_it_was_sent_in() {
    let corp = Corp::start().await;
    let listener = listen().await;
    let gateway = corp.before(&url_of(&listener), "").start().await;
    let mut downstream = RawSocket::connect(gateway.address()).await;
    let head = format!("POST /a HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\n", corp.token());

    downstream.send(format!("{head}content-length: 5\r\n\r\nhello")).await;
    let mut upstream = RawSocket::accept(&listener).await;
    let received = upstream.head().await.to_ascii_lowercase();
    assert!(received.contains("content-length: 5\r\n") && !received.contains("transfer-encoding"), "{received}");
    assert_eq!(upstream.exactly(5).await, b"hello");
    upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    assert!(downstream.head().await.contains("content-length: 2\r\n"));
    assert_eq!(downstream.exactly(2).await, b"ok");

    downstream.send(format!("{head}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")).await;
    let received = upstream.head().await.to_ascii_lowercase();
    assert!(received.contains("transfer-encoding: chunked\r\n") && !received.contains("content-length"), "{received}");
    assert_eq!(upstream.until("0\r\n\r\n").await, "5\r\nhello\r\n0\r\n\r\n");
    upstream.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n").await;
    assert!(downstream.head().await.contains("transfer-encoding: chunked\r\n"));
    assert_eq!(downstream.until("0\r\n\r\n").await, "2\r\nok\r\n0\r\n\r\n");
}

#[tokio::test]
async fn a_body_is_asked_for_only_after_authorization() {
    let corp = Corp::start().await;
    let upstream = ServedUpstream::start(echo).await;
    let gateway = corp.before(&upstream.url(), "").start().await;
    let head = "POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\nexpect: 100-continue\r\n";

    let mut refused = RawSocket::connect(gateway.address()).await;
    refused.send(format!("{head}connection: close\r\n\r\n")).await;
    let answer = refused.rest().await;
    assert!(answer.starts_with("HTTP/1.1 401 ") && !answer.contains("HTTP/1.1 100"), "{answer}");
    assert_eq!(upstream.requests(), 0);

    let mut allowed = RawSocket::connect(gateway.address()).await;
    allowed.send(format!("{head}authorization: Bearer {}\r\n\r\n", corp.token())).await;
    assert_eq!(allowed.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
    allowed.send("hello").await;
    assert!(allowed.head().await.starts_with("HTTP/1.1 200 "));
    assert_eq!(allowed.exactly(5).await, b"hello");
}

#[tokio::test]
async fn an_answer_may_begin_and_go_on_while_the_body_still_comes() {
    for upstream_protocol in ["http1", "http2"] {
        for protocol in PROTOCOLS {
            let what = format!("{protocol:?} -> {upstream_protocol}");
            let corp = Corp::start().await;
            let upstream = ServedUpstream::start(|request| async move {
                Response::new(request.into_body().map_err(Into::into).boxed_unsync())
            })
            .await;
            let config = format!("protocol = \"{upstream_protocol}\"\n");
            let gateway = corp.before(&upstream.url(), &config).start().await;
            let mut connection = Connection::open(gateway.address(), protocol).await;
            let (pieces, body) = piecewise();
            let sent = with_body(&gateway.url("/echo"), &corp.token(), body);
            let mut response = connection.send(sent).await.expect("the head, before any of the body");
            assert_eq!(response.status(), StatusCode::OK, "{what}");
            for piece in ["one", "two", "three"] {
                pieces.send(piece).await;
                let frame = response.body_mut().frame().await.expect("a frame").expect("no error");
                assert_eq!(frame.into_data().expect("data"), piece, "{what}");
            }
            drop(pieces);
            let rest = whole(response).await.expect("the end");
            assert_eq!(rest.body.len(), 0, "{what}");
            let again = connection.exchange(with_body(&gateway.url("/echo"), &corp.token(), bytes("again"))).await;
            assert_eq!(again.status, 200, "{what}");
        }
    }
}

#[tokio::test]
async fn an_upstream_that_has_enough_of_a_body_is_believed() {
    let corp = Corp::start().await;
    let listener = listen().await;
    let gateway = corp.before(&url_of(&listener), "").start().await;
    let mut downstream = RawSocket::connect(gateway.address()).await;
    let token = corp.token();
    downstream
        .send(format!(
            "POST /a HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\ncontent-length: 1000000\r\n\r\nbegun"
        ))
        .await;
    let mut upstream = RawSocket::accept(&listener).await;
    upstream.head().await;
    upstream.send("HTTP/1.1 413 Content Too Large\r\nconnection: close\r\ncontent-length: 6\r\n\r\nenough").await;
    let head = downstream.head().await;
    assert!(head.starts_with("HTTP/1.1 413 "), "{head}");
    assert_eq!(downstream.exactly(6).await, b"enough");
}

#[tokio::test]
async fn the_body_of_a_refused_request_is_never_a_request() {
    let corp = Corp::start().await;
    let upstream = ServedUpstream::start(echo).await;
    let gateway = corp.before(&upstream.url(), "").start().await;
    let good = format!(
        "GET /smuggled HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\nconnection: close\r\n\r\n",
        corp.token()
    );
    let length = good.len();
    let framings = [
        format!("content-length: {length}\r\n\r\n{good}"),
        format!("transfer-encoding: chunked\r\n\r\n{length:x}\r\n{good}\r\n0\r\n\r\n"),
        // Larger than what comes: what comes afterwards is still the body.
        format!("content-length: {}\r\n\r\n{good}", length * 100),
        format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n{good}", length * 100),
    ];
    for framing in &framings {
        for pause in [false, true] {
            let mut downstream = RawSocket::connect(gateway.address()).await;
            let (head, body) = framing.split_at(framing.find("\r\n\r\n").unwrap() + 4);
            downstream.send(format!("POST /a HTTP/1.1\r\nhost: a\r\n{head}")).await;
            let mut answer = String::new();
            if pause {
                answer.push_str(&downstream.until("\r\n\r\n").await);
            }
            // The gateway may have closed the connection in the pause.
            let _ = downstream.stream.write_all(body.as_bytes()).await;
            if !pause {
                // Whoever hangs up in the middle of a body may get no answer at all, which is another matter.
                answer.push_str(&downstream.until("\r\n\r\n").await);
            }
            let _ = downstream.stream.shutdown().await;
            answer.push_str(&downstream.rest().await);
            assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
            assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{framing:?}: {answer}");
        }
    }
    assert_eq!(upstream.requests(), 0);

    // The control: the same bytes, as a request of their own.
    let mut downstream = RawSocket::connect(gateway.address()).await;
    downstream.send(&good).await;
    assert!(downstream.rest().await.starts_with("HTTP/1.1 200 "));
    assert_eq!(upstream.requests(), 1);
}
