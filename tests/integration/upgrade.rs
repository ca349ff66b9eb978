//! Connections that become WebSockets, and those that must not become anything.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use postern::clock::{ManualClock, UnixTime};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    client_async,
    tungstenite::{self, Message},
};

use crate::support::{
    client::HttpClient,
    corp::Corp,
    forge::now,
    raw_socket::{RawSocket, listen, url_of},
    upstream::RecordedUpstream,
    wait::until,
    websocket::{Echo, close_code, open, opening},
};

#[tokio::test]
async fn a_websocket_works_after_authorization_and_not_before() {
    let corp = Corp::start().await;
    let echo = Echo::start().await;
    let gateway = corp.before(&echo.url, "").start().await;
    for token in
        [None, Some("no.good.token"), Some(corp.token_with(|claims| claims["scope"] = "other".into()).as_str())]
    {
        let stream = TcpStream::connect(gateway.address()).await.expect("a connection");
        let error = client_async(opening(&gateway, token), stream).await.expect_err("a refusal");
        let tungstenite::Error::Http(response) = error else { panic!("{error}") };
        let expected = if token.is_some_and(|token| token.len() > 20) { 403 } else { 401 };
        assert_eq!(response.status(), expected);
    }
    assert_eq!(echo.seen().len(), 0, "the upstream has seen nothing of it");

    let mut socket = open(&gateway, &corp.token()).await;
    for text in ["one", "two", &"x".repeat(200_000)] {
        socket.send(Message::text(text)).await.expect("sent");
        let back = socket.next().await.expect("an echo").expect("an echo");
        assert_eq!(back.into_text().expect("text"), text);
    }
    let [seen] = echo.seen().try_into().expect("one opening");
    assert_eq!(seen["upgrade"], "websocket");
    assert!(!seen.contains_key("authorization"));
    socket.close(None).await.expect("closed");
    until("the upstream's side has ended", || async { (echo.ended() == 1).then_some(()) }).await;
    open(&gateway, &corp.token()).await;
}

#[tokio::test]
async fn a_silent_websocket_is_closed_and_one_that_speaks_is_not() {
    let corp = Corp::start().await;
    let echo = Echo::start().await;
    let limits = "[listeners.public.limits]\nbody_idle_timeout = \"1s\"\n";
    let gateway = corp.before(&echo.url, limits).start().await;
    let mut silent = open(&gateway, &corp.token()).await;
    let mut busy = open(&gateway, &corp.token()).await;
    let closed = async { while let Some(Ok(_)) = silent.next().await {} };
    tokio::pin!(closed);
    let mut rounds = 0;
    loop {
        tokio::select! {
            () = &mut closed => break,
            () = tokio::time::sleep(std::time::Duration::from_millis(100)) => {
                busy.send(Message::text("here")).await.expect("open");
                busy.next().await.expect("open").expect("open");
                rounds += 1;
                assert!(rounds < 200, "the silent one is never closed");
            }
        }
    }
    busy.send(Message::text("still here")).await.expect("open");
    assert_eq!(busy.next().await.expect("open").expect("open").into_text().expect("text"), "still here");
    until("the upstream's side was closed too", || async { (echo.ended() == 1).then_some(()) }).await;
}

#[tokio::test]
async fn no_other_upgrade_reaches_the_upstream() {
    let corp = Corp::start().await;
    let upstream = RecordedUpstream::start().await;
    let gateway = corp.before(&upstream.url(), "").start().await;
    let token = corp.token();
    for asked in [
        "upgrade: h2c\r\nconnection: upgrade, http2-settings\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n",
        "upgrade: h2c, websocket\r\nconnection: upgrade\r\n",
        "upgrade: websocket\r\nupgrade: h2c\r\nconnection: upgrade\r\n",
        "upgrade: TLS/1.2\r\nconnection: upgrade\r\n",
        "upgrade: websocket\r\n",
    ] {
        let mut downstream = RawSocket::connect(gateway.address()).await;
        let head = format!("GET /a HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\n{asked}\r\n");
        downstream.send(head).await;
        assert!(downstream.head().await.starts_with("HTTP/1.1 200 "), "{asked}");
        let seen = upstream.last().headers;
        for name in ["upgrade", "http2-settings", "connection"] {
            assert!(!seen.contains_key(name), "{asked}: {seen:?}");
        }
    }
    assert_eq!(upstream.count(), 5);
}

#[tokio::test]
async fn what_follows_an_upgrade_reaches_the_upstream_only_once_it_has_agreed() {
    let corp = Corp::start().await;
    let listener = listen().await;
    let gateway = corp.before(&url_of(&listener), "").start().await;
    let ask = format!(
        "GET /chat HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
        corp.token()
    );
    let mut downstream = RawSocket::connect(gateway.address()).await;
    downstream.send(format!("{ask}right behind")).await;
    let mut upstream = RawSocket::accept(&listener).await;
    let head = upstream.head().await.to_ascii_lowercase();
    assert!(head.contains("upgrade: websocket\r\n") && head.contains("connection: upgrade\r\n"), "{head}");
    assert!(upstream.is_silent().await, "nothing comes before the upstream has agreed");
    upstream
        .send("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\nand back")
        .await;
    assert_eq!(upstream.exactly(12).await, b"right behind");
    let answer = downstream.head().await.to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 101 ") && answer.contains("connection: upgrade\r\n"), "{answer}");
    assert_eq!(downstream.exactly(8).await, b"and back");
    drop(upstream);
    assert_eq!(downstream.rest().await, "", "one side's end is the other's");
}

#[tokio::test]
async fn what_follows_an_upgrade_that_was_not_agreed_to_is_a_request_of_its_own() {
    let corp = Corp::start().await;
    let upstream = RecordedUpstream::start().await;
    let gateway = corp.before(&upstream.url(), "").start().await;
    let mut downstream = RawSocket::connect(gateway.address()).await;
    let ask = format!(
        "GET /chat HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
        corp.token()
    );
    downstream.send(format!("{ask}GET /secret HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")).await;
    let answers = downstream.rest().await;
    assert!(answers.starts_with("HTTP/1.1 200 "), "{answers}");
    assert!(answers.contains("HTTP/1.1 401 "), "{answers}");
    assert_eq!(upstream.count(), 1);
}

#[tokio::test]
async fn a_protocol_that_was_not_asked_for_is_not_switched_to() {
    let corp = Corp::start().await;
    let listener = listen().await;
    let gateway = corp.before(&url_of(&listener), "").start().await;
    let client = HttpClient::http1();
    let (url, token) = (gateway.url("/a"), corp.token());
    let asked = tokio::spawn(async move { client.get(&url, Some(&token)).await });
    let mut upstream = RawSocket::accept(&listener).await;
    upstream.head().await;
    upstream.send("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n").await;
    let answer = asked.await.expect("no panic");
    assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (502, "upstream_unasked_upgrade"));
    assert_eq!(upstream.rest().await, "", "and the connection is not used again");
}

#[tokio::test]
async fn an_open_websocket_counts_as_a_connection_until_it_ends() {
    let corp = Corp::start().await;
    let echo = Echo::start().await;
    let gateway = corp.before(&echo.url, "").start().await;
    let admin = HttpClient::http1();
    let gauge = |name: &'static str| {
        let (admin, url) = (admin.clone(), gateway.admin_url("/metrics"));
        async move {
            let text = admin.get(&url, None).await.text();
            let line =
                text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name} in {text}"));
            line.rsplit(' ').next().expect("a value").parse::<f64>().expect("a number")
        }
    };
    let names =
        ["postern_listener_open_connections", "postern_upstream_connections", "postern_upstream_requests_under_way"];
    let socket = open(&gateway, &corp.token()).await;
    for name in names {
        assert!((gauge(name).await - 1.0).abs() < f64::EPSILON, "{name}");
    }
    drop(socket);
    for name in names {
        until(name, || async { (gauge(name).await == 0.0).then_some(()) }).await;
    }
}

#[tokio::test]
async fn a_websocket_ends_with_its_token_if_the_route_says_so() {
    let corp = Corp::start().await;
    let echo = Echo::start().await;
    let clock = ManualClock::starting_at(UnixTime::from_seconds(now()));
    let tied = "upstream = \"orders\"\nend_with_token = true\n";
    let gateway = corp.before(&echo.url, "").with("upstream = \"orders\"\n", tied).clock(clock.clock()).start().await;
    let mut short = open(&gateway, &corp.token()).await;
    let long = corp.token_with(|claims| claims["exp"] = (now() + 100_000).into());
    let mut long = open(&gateway, &long).await;
    clock.advance(Duration::from_secs(10_000));
    assert_eq!(close_code(&mut short).await, Some(1008));
    until("the upstream's side was closed too", || async { (echo.ended() == 1).then_some(()) }).await;
    long.send(Message::text("still here")).await.expect("open");
    assert_eq!(long.next().await.expect("open").expect("open").into_text().expect("text"), "still here");
}
