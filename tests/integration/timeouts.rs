//! The timeouts towards an upstream and of a route, each with a control that stays below it.

use std::time::Duration;

use http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::support::{
    client::{HttpClient, request},
    connection::{AnyBody, Connection, Protocol, WholeAnswer, empty, piecewise},
    corp::Corp,
    gateway::Gateway,
    raw_socket::{RawSocket, listen, url_of},
    served_upstream::ServedUpstream,
    upstream::RecordedUpstream,
};

fn authorized(corp: &Corp, gateway: &Gateway, body: AnyBody) -> Request<AnyBody> {
    let authorization = format!("Bearer {}", corp.token());
    let builder = Request::builder().method(Method::POST).uri(gateway.url("/a")).header("authorization", authorization);
    builder.body(body).expect("a request")
}

fn reason(answer: &WholeAnswer) -> String {
    let problem: serde_json::Value = serde_json::from_slice(&answer.body).expect("a problem document");
    problem["reason"].as_str().expect("a reason").to_owned()
}

#[tokio::test]
async fn connect_timeout() {
    let corp = Corp::start().await;
    // Its queue is full: the kernel answers no further attempt to connect.
    let full = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    full.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("bound");
    full.listen(0).expect("listening");
    let address = full.local_addr().expect("an address").as_socket().expect("an address");
    let mut waiting = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(Duration::from_millis(300), tokio::net::TcpStream::connect(address)).await
    {
        waiting.push(stream);
    }
    let gateway = corp.before(&format!("http://{address}"), "connect_timeout = \"300ms\"\n").start().await;
    let mut connection = Connection::open(gateway.address(), Protocol::Http1).await;
    let answer = connection.exchange(authorized(&corp, &gateway, empty())).await;
    assert_eq!((answer.status, reason(&answer).as_str()), (502, "upstream_connect_timeout"));

    let upstream = RecordedUpstream::start().await;
    let gateway = corp.before(&upstream.url(), "connect_timeout = \"300ms\"\n").start().await;
    let mut connection = Connection::open(gateway.address(), Protocol::Http1).await;
    assert_eq!(connection.exchange(authorized(&corp, &gateway, empty())).await.status, 200);
}

#[tokio::test]
async fn response_header_timeout() {
    let corp = Corp::start().await;
    let upstream = ServedUpstream::start(|request: Request<Incoming>| async move {
        if request.uri().path() == "/stuck" {
            std::future::pending::<()>().await;
        }
        Response::new(empty())
    })
    .await;
    for upstream_protocol in ["http1", "http2"] {
        let config = format!("protocol = \"{upstream_protocol}\"\nresponse_header_timeout = \"400ms\"\n");
        let gateway = corp.before(&upstream.url(), &config).start().await;
        let client = HttpClient::http1();
        let stuck = client.get(&gateway.url("/stuck"), Some(&corp.token())).await;
        assert_eq!((stuck.status.as_u16(), stuck.reason().as_str()), (504, "upstream_response_header_timeout"));
        assert_eq!(client.get(&gateway.url("/a"), Some(&corp.token())).await.status, 200);
    }
}

#[tokio::test]
async fn a_shared_connection_whose_peer_has_vanished_is_not_used_again() {
    let corp = Corp::start().await;
    let listener = listen().await;
    let config = "protocol = \"http2\"\nresponse_header_timeout = \"400ms\"\n";
    let gateway = corp.before(&url_of(&listener), config).start().await;
    let mut connection = Connection::open(gateway.address(), Protocol::Http1).await;
    let asked = authorized(&corp, &gateway, empty());
    let answer = tokio::spawn(async move { (connection.exchange(asked).await, connection) });
    // It takes what comes and says nothing, and it does not close either.
    let _vanished = RawSocket::accept(&listener).await;
    let (answer, mut connection) = answer.await.expect("no panic");
    assert_eq!((answer.status, reason(&answer).as_str()), (504, "upstream_response_header_timeout"));

    let asked = authorized(&corp, &gateway, empty());
    let answer = tokio::spawn(async move { connection.exchange(asked).await.status });
    let fresh = RawSocket::accept(&listener).await.stream;
    let service = hyper::service::service_fn(|_| async { Ok::<_, std::convert::Infallible>(Response::new(empty())) });
    let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    tokio::spawn(serving.serve_connection(TokioIo::new(fresh), service));
    assert_eq!(answer.await.expect("no panic"), 200);
}

#[tokio::test]
async fn response_header_timeout_does_not_count_the_time_of_a_slow_body() {
    let corp = Corp::start().await;
    let upstream = RecordedUpstream::start().await;
    let gateway = corp.before(&upstream.url(), "response_header_timeout = \"400ms\"\n").start().await;
    let mut connection = Connection::open(gateway.address(), Protocol::Http1).await;
    let (pieces, body) = piecewise();
    let request = authorized(&corp, &gateway, body);
    let answer = tokio::spawn(async move { connection.exchange(request).await.status });
    for _ in 0..3 {
        pieces.send("piece").await;
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    drop(pieces);
    assert_eq!(answer.await.expect("no panic"), 200);
}

#[tokio::test]
async fn the_timeout_of_a_route_bounds_the_whole_exchange() {
    let corp = Corp::start().await;
    let listener = listen().await;
    let config = "[routes.quick]\npath = \"/quick\"\nupstream = \"orders\"\ntimeout = \"500ms\"\nrequire.scopes = [\"orders:read\"]\n";
    let gateway = corp.before(&url_of(&listener), config).start().await;
    let client = HttpClient::http1();
    let token = corp.token();

    // No answer at all.
    let (url, held) = (gateway.url("/quick"), client.clone());
    let asked = request(Method::GET, &url, Some(&token));
    let late = tokio::spawn(async move { held.send(asked).await });
    let mut upstream = RawSocket::accept(&listener).await;
    upstream.head().await;
    let late = late.await.expect("no panic");
    assert_eq!((late.status.as_u16(), late.reason().as_str()), (504, "upstream_deadline"));
    assert_eq!(upstream.rest().await, "", "the upstream is told by the connection's end");

    // An answer that never ends, though it never pauses for long.
    let asked = request(Method::GET, &url, Some(&token));
    let held = client.clone();
    let endless = tokio::spawn(async move { held.try_send(asked).await });
    let mut upstream = RawSocket::accept(&listener).await;
    upstream.head().await;
    upstream.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
    while tokio::io::AsyncWriteExt::write_all(&mut upstream.stream, b"1\r\nx\r\n").await.is_ok() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    endless.await.expect("no panic").expect_err("cut off at the deadline");

    // The control: a route with more time.
    let asked = request(Method::GET, &gateway.url("/slow"), Some(&token));
    let slow = tokio::spawn(async move { client.send(asked).await.status.as_u16() });
    let mut upstream = RawSocket::accept(&listener).await;
    upstream.head().await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(slow.await.expect("no panic"), 200);
}
