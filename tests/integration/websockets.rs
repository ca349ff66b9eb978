//! WebSockets over HTTP/1.1 and over a stream of HTTP/2 (RFC 8441), with a client and a server that were not written here.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use hyper::{ext::Protocol as ConnectProtocol, upgrade::Upgraded};
use hyper_util::rt::TokioIo;
use postern::clock::{ManualClock, UnixTime};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Bytes, Message,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};

use crate::support::{
    certificates::{Authority, handshake},
    client::HttpClient,
    connection::{AnyBody, Connection, Protocol, empty, whole},
    corp::Corp,
    forge::now,
    gateway::{Gateway, GatewayBuilder},
    issuing,
    openmetrics::scrape,
    raw::RawServer,
    raw_socket::RawSocket,
    upstream::RecordedUpstream,
    wait::{PATIENCE, until},
    websocket::{Echo, close_code, open},
};

type OverHttp2 = WebSocketStream<TokioIo<Upgraded>>;

/// An HTTP/2 connection to the gateway, once it has said that it takes extended CONNECTs.
async fn http2(gateway: &Gateway) -> Connection {
    let connection = Connection::open(gateway.address(), Protocol::Http2).await;
    ready(connection).await
}

/// With the first answer the client knows what the gateway takes.
async fn ready(mut connection: Connection) -> Connection {
    let plain = Request::get("http://a/plain").body(empty()).expect("a request");
    assert_eq!(connection.exchange(plain).await.status, 401);
    connection
}

fn connect(protocol: &'static str, token: Option<&str>) -> Request<AnyBody> {
    let mut request = Request::connect("http://a/chat?room=1").header("sec-websocket-version", "13");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let mut request = request.header("sec-websocket-protocol", "chat").body(empty()).expect("a request");
    request.extensions_mut().insert(ConnectProtocol::from_static(protocol));
    request
}

/// Asks for a WebSocket on a stream of `connection`: it, or the status and the reason of the refusal.
async fn ask(
    connection: &mut Connection,
    protocol: &'static str,
    token: Option<&str>,
) -> Result<(OverHttp2, HeaderMap), (u16, String)> {
    let response = connection.send(connect(protocol, token)).await.expect("an answer");
    let status = response.status();
    if status != StatusCode::OK {
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        return Err((status.as_u16(), problem["reason"].as_str().unwrap_or_default().to_owned()));
    }
    let headers = response.headers().clone();
    let stream = TokioIo::new(hyper::upgrade::on(response).await.expect("a stream"));
    Ok((WebSocketStream::from_raw_socket(stream, Role::Client, Some(WebSocketConfig::default())).await, headers))
}

async fn websocket(connection: &mut Connection, token: &str) -> OverHttp2 {
    ask(connection, "websocket", Some(token)).await.expect("a WebSocket").0
}

/// Says something and hears it back.
async fn exchange<S>(socket: &mut WebSocketStream<S>, text: &str)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    socket.send(Message::text(text)).await.expect("sent");
    let back = tokio::time::timeout(PATIENCE, socket.next()).await.expect("in time").expect("open").expect("sound");
    assert_eq!(back.into_text().expect("text"), text);
}

/// All that a WebSocket is for, in one go.
async fn speak<S>(mut socket: WebSocketStream<S>, echo: &Echo, number: usize)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    for text in ["one", "", &"x".repeat(3 << 20)] {
        exchange(&mut socket, text).await;
    }
    let bytes = Bytes::from(vec![0xFF; 1 << 20]);
    socket.send(Message::Binary(bytes.clone())).await.expect("sent");
    assert_eq!(socket.next().await.expect("open").expect("sound").into_data(), bytes);
    socket.send(Message::Ping(Bytes::from_static(b"are you there"))).await.expect("sent");
    let pong = socket.next().await.expect("open").expect("sound");
    assert_eq!(pong, Message::Pong(Bytes::from_static(b"are you there")));
    let frame = CloseFrame { code: CloseCode::Library(4001), reason: "enough".into() };
    socket.close(Some(frame)).await.expect("closing");
    let end = async { while let Some(Ok(_)) = socket.next().await {} };
    tokio::time::timeout(PATIENCE, end).await.expect("closed in time");
    until("the upstream has ended it, too", || async { (echo.ended() == number).then_some(()) }).await;
    assert_eq!(echo.closes().last(), Some(&Some(4001)));
}

#[tokio::test]
async fn every_kind_of_message_passes_on_either_protocol() {
    let corp = Corp::start().await;
    let echo = Echo::start().await;
    let gateway = corp.before(&echo.url, "").start().await;
    speak(open(&gateway, &corp.token()).await, &echo, 1).await;
    let mut connection = http2(&gateway).await;
    speak(websocket(&mut connection, &corp.token()).await, &echo, 2).await;
    // And the other way round: the upstream says when it is enough.
    let mut first = open(&gateway, &corp.token()).await;
    first.send(Message::text("close 4002")).await.expect("sent");
    let Some(Ok(Message::Close(Some(frame)))) = first.next().await else { panic!("no close") };
    assert_eq!(u16::from(frame.code), 4002);
    let mut second = websocket(&mut connection, &corp.token()).await;
    second.send(Message::text("close 4003")).await.expect("sent");
    let Some(Ok(Message::Close(Some(frame)))) = second.next().await else { panic!("no close") };
    assert_eq!(u16::from(frame.code), 4003);
}

#[tokio::test]
async fn over_http2_it_is_judged_as_a_get_and_shares_its_connection() {
    let corp = Corp::start().await;
    let echo = Echo::start().await;
    let gateway =
        corp.before(&echo.url, "").with("upstream = \"orders\"\n", "upstream = \"orders\"\nmethods = [\"GET\"]\n");
    let gateway = gateway.start().await;
    let mut connection = http2(&gateway).await;
    let poor = corp.token_with(|claims| claims["scope"] = "other".into());
    for (token, status, reason) in [
        (None, 401, "no_token"),
        (Some("no.good.token"), 401, "token_malformed"),
        (Some(poor.as_str()), 403, "scope_missing"),
    ] {
        let refused = ask(&mut connection, "websocket", token).await.expect_err("a refusal");
        assert_eq!(refused, (status, reason.to_owned()));
    }
    for protocol in ["connect-udp", "WebSocket", "websocket2"] {
        let refused = ask(&mut connection, protocol, Some(&corp.token())).await.expect_err("a refusal");
        assert_eq!(refused, (501, "method_not_forwarded".to_owned()), "{protocol}");
    }
    // A refusal in the manner of gRPC is a 200, which would be the beginning of a WebSocket.
    let mut request = connect("websocket", None);
    request.headers_mut().insert("content-type", "application/grpc".parse().expect("a value"));
    assert_eq!(connection.send(request).await.expect("an answer").status(), 401);
    assert_eq!(echo.seen().len(), 0, "the upstream has seen nothing of it");

    let mut sockets = Vec::new();
    for number in 0..3 {
        let (socket, headers) = ask(&mut connection, "websocket", Some(&corp.token())).await.expect("a WebSocket");
        assert_eq!(headers["sec-websocket-protocol"], "chat");
        assert!(headers.contains_key("x-request-id") && !headers.contains_key("sec-websocket-accept"));
        sockets.push((number, socket));
    }
    for (number, socket) in &mut sockets {
        exchange(socket, &format!("socket {number}")).await;
    }
    let plain = Request::get(gateway.url("/a")).body(empty()).expect("a request");
    assert_eq!(connection.exchange(plain).await.status, 401, "other requests go on beside them");
    let seen = echo.seen();
    assert_eq!(seen.len(), 3);
    for headers in &seen {
        assert!(headers["upgrade"] == "websocket" && headers["sec-websocket-version"] == "13", "{headers:?}");
        assert!(!headers.contains_key("authorization"));
        assert_eq!(headers["x-forwarded-for"], "127.0.0.1");
    }
    assert!(seen[0]["sec-websocket-key"] != seen[1]["sec-websocket-key"], "each has a key of its own");
    let (_, mut kept) = sockets.pop().expect("three");
    drop(sockets);
    until("the upstream's sides have ended", || async { (echo.ended() == 2).then_some(()) }).await;
    exchange(&mut kept, "still here").await;
}

#[tokio::test]
async fn an_open_websocket_is_no_idle_connection() {
    let corp = Corp::start().await;
    let echo = Echo::start().await;
    let limits = "[listeners.public.limits]\nidle_timeout = \"300ms\"\nbody_idle_timeout = \"2s\"\n";
    let gateway = corp.before(&echo.url, limits).start().await;
    let mut connection = http2(&gateway).await;
    let mut socket = websocket(&mut connection, &corp.token()).await;
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        exchange(&mut socket, "here").await;
    }
    // One that says nothing is closed, and with it the connection goes, as one without a request does.
    let end = async { while let Some(Ok(_)) = socket.next().await {} };
    tokio::time::timeout(PATIENCE, end).await.expect("closed in time");
    let Connection::Http2(sender) = &connection else { panic!("HTTP/2") };
    until("the connection is closed", || async { sender.is_closed().then_some(()) }).await;
}

/// A gateway whose route ends what it carries with its token.
fn tied(corp: &Corp, echo: &Echo, clock: &ManualClock) -> GatewayBuilder {
    let tied = "upstream = \"orders\"\nend_with_token = true\n";
    corp.before(&echo.url, "").with("upstream = \"orders\"\n", tied).clock(clock.clock())
}

#[tokio::test]
async fn it_ends_with_its_token_over_http2_too() {
    let corp = Corp::start().await;
    let echo = Echo::start().await;
    let clock = ManualClock::starting_at(UnixTime::from_seconds(now()));
    let gateway = tied(&corp, &echo, &clock).start().await;
    let mut connection = http2(&gateway).await;
    let mut short = websocket(&mut connection, &corp.token()).await;
    let long = corp.token_with(|claims| claims["exp"] = (now() + 100_000).into());
    let mut long = websocket(&mut connection, &long).await;
    clock.advance(Duration::from_secs(10_000));
    assert_eq!(close_code(&mut short).await, Some(1008));
    exchange(&mut long, "still here").await;
    let counted = || async {
        let counted = scrape(&HttpClient::http1(), &gateway).await.sum("postern_token_ended_total", &[]);
        ((counted - 1.0).abs() < f64::EPSILON).then_some(())
    };
    until("it is counted", counted).await;
}

#[tokio::test]
async fn one_whose_route_is_gone_is_counted_where_it_began() {
    let corp = Corp::start().await;
    let echo = Echo::start().await;
    let clock = ManualClock::starting_at(UnixTime::from_seconds(now()));
    let gateway = tied(&corp, &echo, &clock).start().await;
    let mut connection = http2(&gateway).await;
    let mut socket = websocket(&mut connection, &corp.token()).await;
    gateway.edit("[routes.orders", "[routes.renamed");
    let ended = |route: &'static str| {
        let gateway = &gateway;
        async move { scrape(&HttpClient::http1(), gateway).await.sum("postern_token_ended_total", &[("route", route)]) }
    };
    let renamed = || async {
        let plain = Request::get(gateway.url("/a")).body(empty()).expect("a request");
        assert_eq!(Connection::open(gateway.address(), Protocol::Http1).await.exchange(plain).await.status, 401);
        let rejected =
            scrape(&HttpClient::http1(), &gateway).await.sum("postern_rejections_total", &[("route", "renamed")]);
        (rejected > 0.0).then_some(())
    };
    until("the new configuration is in force", renamed).await;
    exchange(&mut socket, "still here").await;
    assert!(ended("orders").await < 0.5, "nothing has ended");
    clock.advance(Duration::from_secs(10_000));
    assert_eq!(close_code(&mut socket).await, Some(1008));
    until("it is counted", || async { (ended("orders").await > 0.5).then_some(()) }).await;
    assert!(ended("renamed").await < 0.5);
}

#[tokio::test]
async fn it_works_over_tls_as_alpn_has_it() {
    let authority = Authority::new("the test's own");
    let corp = Corp::start().await;
    let echo = Echo::start().await;
    let tls = "[listeners.public.tls]\ncertificate = \"server.pem\"\nprivate_key = \"server.key\"\n";
    let builder = corp.before(&echo.url, tls);
    authority.issue(&["gateway.test"]).write(builder.folder(), "server");
    let gateway = builder.start().await;
    let client = authority.client(&["h2"], None);
    let stream = handshake(gateway.address(), "gateway.test", &client).await.expect("TLS");
    let mut connection = ready(Connection::over(stream, Protocol::Http2).await).await;
    speak(websocket(&mut connection, &corp.token()).await, &echo, 1).await;
}

#[tokio::test]
async fn what_only_looks_like_a_websocket_is_not_passed_on_as_one() {
    let corp = Corp::start().await;
    for (answer, status, reason) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno", 502, "upstream_not_upgraded"),
        ("HTTP/1.1 204 No Content\r\n\r\n", 502, "upstream_not_upgraded"),
        (
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
             sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
            502,
            "upstream_not_upgraded",
        ),
        (
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
            502,
            "upstream_not_upgraded",
        ),
        (
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n",
            502,
            "upstream_unasked_upgrade",
        ),
        ("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno", 403, ""),
        ("HTTP/1.1 426 Upgrade Required\r\ncontent-length: 0\r\n\r\n", 426, ""),
    ] {
        let upstream = RawServer::saying(answer).await;
        let gateway = corp.before(&upstream.url(), "").start().await;
        let mut connection = http2(&gateway).await;
        let refused = ask(&mut connection, "websocket", Some(&corp.token())).await.expect_err("a refusal");
        assert_eq!(refused, (status, reason.to_owned()), "{answer}");
    }
}

#[tokio::test]
async fn an_upstream_of_http2_is_asked_for_nothing_else_instead() {
    let corp = Corp::start().await;
    let upstream = RecordedUpstream::start().await;
    let gateway = corp.before(&upstream.url(), "protocol = \"http2\"\n").start().await;
    let mut connection = http2(&gateway).await;
    let refused = ask(&mut connection, "websocket", Some(&corp.token())).await.expect_err("a refusal");
    assert_eq!(refused, (502, "upstream_not_upgraded".to_owned()));
    let mut socket = RawSocket::connect(gateway.address()).await;
    let ask = format!(
        "GET /chat HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\nupgrade: websocket\r\nconnection: upgrade, close\r\n\r\n",
        corp.token()
    );
    socket.send(ask).await;
    let answer = socket.rest().await;
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("upstream_not_upgraded"), "{answer}");
    assert_eq!(upstream.count(), 0);
    assert_eq!(HttpClient::http1().get(&gateway.url("/a"), Some(&corp.token())).await.status, 200);
}

#[tokio::test]
async fn what_postern_itself_says_is_no_websocket() {
    let upstream = RecordedUpstream::start().await;
    let builder = GatewayBuilder::whole(issuing::CONFIG).upstream(&upstream);
    let store = format!("sqlite:{}", builder.folder().join("store.db").display());
    let gateway = builder.variable("STORE", &store).start().await;
    let keys = "/one/.well-known/jwks.json";
    assert_eq!(HttpClient::http2().get(&gateway.url(keys), None).await.status, 200);
    let mut connection = Connection::open(gateway.address(), Protocol::Http2).await;
    for path in [keys, issuing::OAUTH2] {
        let mut request = connect("websocket", None);
        *request.uri_mut() = gateway.url(path).parse().expect("a URL");
        let answer = whole(connection.send(request).await.expect("an answer")).await.expect("a whole answer");
        let problem: serde_json::Value = serde_json::from_slice(&answer.body).expect("a problem document");
        assert_eq!((answer.status, &problem["reason"]), (501, &"method_not_forwarded".into()), "{path}");
    }
}
