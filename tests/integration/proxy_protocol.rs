//! Load balancers that say who connected to them, and others who say it, too.

use std::process::Command;

use tokio::io::AsyncWriteExt as _;

use crate::support::{
    certificates::{Authority, handshake_over},
    client::HttpClient,
    connection::{Connection, Protocol, empty},
    corp::Corp,
    gateway::Gateway,
    openmetrics::scrape,
    raw_socket::RawSocket,
    upstream::RecordedUpstream,
    wait::until,
};

const FROM_LOOPBACK: &str = "proxy_protocol_from = [\"127.0.0.0/8\"]\n";
const FROM_ELSEWHERE: &str = "proxy_protocol_from = [\"10.0.0.0/8\"]\n";
const V1: &str = "PROXY TCP4 192.0.2.7 198.51.100.1 56224 443\r\n";

struct Scene {
    corp: Corp,
    upstream: RecordedUpstream,
    gateway: Gateway,
}

/// A gateway whose listener has these lines.
async fn scene(lines: &str) -> Scene {
    let corp = Corp::start().await;
    let upstream = RecordedUpstream::start().await;
    let listener = "[listeners.public]\naddress = \"127.0.0.1:0\"\n";
    let gateway = corp.before(&upstream.url(), "").with(listener, &format!("{listener}{lines}")).start().await;
    Scene { corp, upstream, gateway }
}

impl Scene {
    fn request(&self) -> String {
        let token = self.corp.token();
        format!("GET /a HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n")
    }

    /// What comes back for a header and a request behind it, all at once.
    async fn answer(&self, header: &[u8]) -> String {
        let mut socket = RawSocket::connect(self.gateway.address()).await;
        // Whoever refuses early may close before all is sent.
        let _ = socket.stream.write_all(&[header, self.request().as_bytes()].concat()).await;
        socket.rest().await
    }

    /// Who the access log says that the last request came from.
    async fn last_peer(&self, lines: usize) -> String {
        let log = until("the line is written", || async {
            let log = self.gateway.access_log();
            (log.len() >= lines).then_some(log)
        })
        .await;
        log.last().and_then(|line| line["peer"].as_str()).expect("a peer").to_owned()
    }

    async fn refused(&self, reason: &str) -> f64 {
        let labels = [("listener", "public"), ("reason", reason)];
        scrape(&HttpClient::http1(), &self.gateway).await.sum("postern_listener_refused_total", &labels)
    }
}

fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).expect("short").to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &length, rest].concat()
}

#[tokio::test]
async fn the_one_who_is_named_is_the_peer() {
    let scene = scene(FROM_LOOPBACK).await;
    let six = [0x20, 1, 0xD, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
    let headers = [
        (V1.as_bytes().to_vec(), "192.0.2.7"),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 56224 443\r\n".to_vec(), "2001:db8::7"),
        (b"PROXY TCP6 ::ffff:192.0.2.7 ::ffff:192.0.2.1 56224 443\r\n".to_vec(), "192.0.2.7"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
        (v2(0x21, 0x11, &[192, 0, 2, 7, 198, 51, 100, 1, 1, 2, 1, 187]), "192.0.2.7"),
        (v2(0x21, 0x11, &[192, 0, 2, 7, 198, 51, 100, 1, 1, 2, 1, 187, 4, 0, 2, 0, 0]), "192.0.2.7"),
        (v2(0x21, 0x21, &[&six[..], &six, &[1, 2, 1, 187]].concat()), "2001:db8::7"),
        (v2(0x20, 0x00, &[]), "127.0.0.1"),
    ];
    for (number, (header, peer)) in headers.iter().enumerate() {
        let answer = scene.answer(header).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{}: {answer}", header.escape_ascii());
        assert_eq!(scene.upstream.last().headers["x-forwarded-for"], *peer, "{}", header.escape_ascii());
        assert_eq!(scene.last_peer(number + 1).await, *peer, "{}", header.escape_ascii());
    }
    // Byte by byte, and HTTP/2 behind it.
    let mut slow = RawSocket::connect(scene.gateway.address()).await;
    for byte in format!("{V1}{}", scene.request()).bytes() {
        slow.send([byte]).await;
    }
    assert!(slow.rest().await.starts_with("HTTP/1.1 200 "));
    let mut stream = tokio::net::TcpStream::connect(scene.gateway.address()).await.expect("a connection");
    stream.write_all(V1.as_bytes()).await.expect("sent");
    let mut connection = Connection::over(stream, Protocol::Http2).await;
    let request =
        http::Request::get(scene.gateway.url("/a")).header("authorization", format!("Bearer {}", scene.corp.token()));
    assert_eq!(connection.exchange(request.body(empty()).expect("a request")).await.status, 200);
    assert_eq!(scene.upstream.last().headers["x-forwarded-for"], "192.0.2.7");
    assert_eq!(scene.upstream.count(), headers.len() + 2);
}

#[tokio::test]
async fn without_a_sound_header_a_load_balancer_is_not_heard() {
    let scene = scene(&format!("{FROM_LOOPBACK}[listeners.public.limits]\nheader_timeout = \"500ms\"\n")).await;
    let headers = [
        Vec::new(),
        b"PROXY TCP4 192.0.2.7 198.51.100.1 56224\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 198.51.100.1 56224 443\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 198.51.100.1 56224 443 \r\n".to_vec(),
        [b"PROXY UNKNOWN ", &[b'x'; 200][..]].concat(),
        v2(0x21, 0x11, &[192, 0, 2, 7]),
        v2(0x22, 0x11, &[192, 0, 2, 7, 198, 51, 100, 1, 1, 2, 1, 187]),
        v2(0x21, 0x11, &[0; 5000]),
    ];
    for header in &headers {
        assert_eq!(scene.answer(header).await, "", "{}", header.escape_ascii());
    }
    // Cut off, and never ended.
    let mut cut = RawSocket::connect(scene.gateway.address()).await;
    cut.send("PROXY TCP4 192.0").await;
    cut.stream.shutdown().await.expect("shut");
    assert_eq!(cut.rest().await, "");
    let mut slow = RawSocket::connect(scene.gateway.address()).await;
    slow.send("PROXY TCP4 192.0").await;
    assert_eq!(slow.rest().await, "", "its time is over");
    assert_eq!(scene.upstream.count(), 0, "nobody of them was let through");
    let expected = f64::from(u8::try_from(headers.len()).expect("few") + 2);
    assert!((scene.refused("proxy_header").await - expected).abs() < f64::EPSILON);
    assert!(scene.answer(V1.as_bytes()).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn nobody_else_names_a_peer() {
    let scene = scene(FROM_ELSEWHERE).await;
    let named = v2(0x21, 0x11, &[192, 0, 2, 7, 198, 51, 100, 1, 1, 2, 1, 187]);
    for header in [V1.as_bytes(), &named] {
        let answer = scene.answer(header).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{}: {answer}", header.escape_ascii());
        assert!(!answer.contains("HTTP/1.1 2"), "what comes behind it is not read: {answer}");
    }
    assert_eq!(scene.upstream.count(), 0);
    assert!(scene.answer(b"").await.starts_with("HTTP/1.1 200 "));
    assert_eq!(scene.upstream.last().headers["x-forwarded-for"], "127.0.0.1");
}

#[tokio::test]
async fn forwarding_fields_are_believed_of_the_one_who_is_named() {
    let scene = scene(&format!("{FROM_LOOPBACK}trusted_proxies = [\"192.0.2.7/32\"]\n")).await;
    for (peer, believed) in [("192.0.2.7", "203.0.113.5, 192.0.2.7"), ("192.0.2.8", "192.0.2.8")] {
        let request = scene.request().replace("host: a\r\n", "host: a\r\nx-forwarded-for: 203.0.113.5\r\n");
        let mut socket = RawSocket::connect(scene.gateway.address()).await;
        socket.send(format!("PROXY TCP4 {peer} 198.51.100.1 1 2\r\n{request}")).await;
        assert!(socket.rest().await.starts_with("HTTP/1.1 200 "));
        assert_eq!(scene.upstream.last().headers["x-forwarded-for"], believed);
    }
}

#[tokio::test]
async fn connections_are_counted_by_the_one_who_is_named() {
    let scene = scene(&format!("{FROM_LOOPBACK}[listeners.public.limits]\nconnections_per_peer = 2\n")).await;
    let open = |peer: &'static str| {
        let (address, request) = (scene.gateway.address(), scene.request().replace("connection: close\r\n", ""));
        async move {
            let mut socket = RawSocket::connect(address).await;
            socket.send(format!("PROXY TCP4 {peer} 198.51.100.1 1 2\r\n{request}")).await;
            socket
        }
    };
    let mut kept = Vec::new();
    for peer in ["192.0.2.7", "192.0.2.7", "192.0.2.8", "192.0.2.8", "192.0.2.9"] {
        let mut socket = open(peer).await;
        assert!(socket.head().await.starts_with("HTTP/1.1 200 "), "{peer}");
        kept.push(socket);
    }
    for peer in ["192.0.2.7", "192.0.2.8"] {
        assert_eq!(open(peer).await.rest().await, "", "a third one of {peer}");
    }
    assert!((scene.refused("per_peer").await - 2.0).abs() < f64::EPSILON);
    assert_eq!(scene.upstream.count(), kept.len());
    drop(kept);
    until("there is room again", || async {
        let mut socket = RawSocket::connect(scene.gateway.address()).await;
        socket.send(format!("PROXY TCP4 192.0.2.7 198.51.100.1 1 2\r\n{}", scene.request())).await;
        socket.rest().await.starts_with("HTTP/1.1 200 ").then_some(())
    })
    .await;
}

#[tokio::test]
async fn it_stands_before_tls() {
    let authority = Authority::new("the test's own");
    let identity = authority.issue(&["gateway.test"]);
    let corp = Corp::start().await;
    let upstream = RecordedUpstream::start().await;
    let listener = "[listeners.public]\naddress = \"127.0.0.1:0\"\n";
    let tls = "[listeners.public.tls]\ncertificate = \"server.pem\"\nprivate_key = \"server.key\"\n";
    let builder = corp.before(&upstream.url(), "").with(listener, &format!("{listener}{FROM_LOOPBACK}{tls}"));
    identity.write(builder.folder(), "server");
    let gateway = builder.start().await;
    for alpn in [Protocol::Http1, Protocol::Http2] {
        let mut stream = tokio::net::TcpStream::connect(gateway.address()).await.expect("a connection");
        stream.write_all(V1.as_bytes()).await.expect("sent");
        let stream =
            handshake_over(stream, "gateway.test", &authority.client(&[alpn.alpn()], None)).await.expect("TLS");
        let mut connection = Connection::over(stream, alpn).await;
        let request =
            http::Request::get("https://gateway.test/a").header("authorization", format!("Bearer {}", corp.token()));
        assert_eq!(connection.exchange(request.body(empty()).expect("a request")).await.status, 200);
        assert_eq!(upstream.last().headers["x-forwarded-for"], "192.0.2.7");
    }
    // A handshake without it is none.
    let mut bare = RawSocket::connect(gateway.address()).await;
    bare.send(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00").await;
    assert_eq!(bare.rest().await, "");
    assert_eq!(upstream.count(), 2);
}

#[tokio::test]
async fn who_sends_headers_is_a_matter_of_the_configuration_in_force() {
    let scene = scene(FROM_ELSEWHERE).await;
    assert!(scene.answer(b"").await.starts_with("HTTP/1.1 200 "));
    scene.gateway.edit(FROM_ELSEWHERE, FROM_LOOPBACK);
    until("the load balancer is heard", || async {
        scene.answer(V1.as_bytes()).await.starts_with("HTTP/1.1 200 ").then_some(())
    })
    .await;
    assert_eq!(scene.answer(b"").await, "");
}

#[tokio::test]
async fn curl_speaks_it() {
    let scene = scene(FROM_LOOPBACK).await;
    let url = scene.gateway.url("/a");
    let authorization = format!("authorization: Bearer {}", scene.corp.token());
    let curl = |more: &'static [&'static str]| {
        let (url, authorization) = (url.clone(), authorization.clone());
        tokio::task::spawn_blocking(move || {
            let arguments = ["-sS", "-m", "20", "-o", "/dev/null", "-w", "%{http_code}", "-H", &authorization, &url];
            let output = Command::new("curl").args(arguments).args(more).output().expect("curl is installed");
            String::from_utf8(output.stdout).expect("text")
        })
    };
    for more in [&["--haproxy-protocol"][..], &["--haproxy-protocol", "--http2-prior-knowledge"]] {
        assert_eq!(curl(more).await.expect("no panic"), "200", "{more:?}");
        assert_eq!(scene.upstream.last().headers["x-forwarded-for"], "127.0.0.1");
    }
    assert_eq!(curl(&[]).await.expect("no panic"), "000", "without it nothing is answered");
    assert_eq!(scene.upstream.count(), 2);
    let lines = until("both lines are written", || async {
        let lines = scene.gateway.access_log();
        (lines.len() == 2).then_some(lines)
    });
    assert!(lines.await.iter().all(|line| line["status"] == 200 && line["peer"] == "127.0.0.1"));
}
