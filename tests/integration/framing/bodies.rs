//! Bodies whose framing breaks, and bodies that nobody reads: neither is ever taken for a request.

use super::Scene;
use crate::support::{openmetrics::scrape, raw_socket::RawSocket, wait::until};

/// Chunks that are none. Before each there is a good one.
const BROKEN: &[&str] = &[
    "FFFFFFFFFFFFFFFFF\r\n",
    "8000000000000000\r\n",
    "10000000000000005\r\nhello\r\n0\r\n\r\n",
    "00000000000000005\r\nhello\r\n0\r\n\r\n",
    "+5\r\nhello\r\n0\r\n\r\n",
    "-5\r\nhello\r\n0\r\n\r\n",
    "0x5\r\nhello\r\n0\r\n\r\n",
    " 5\r\nhello\r\n0\r\n\r\n",
    "5 \r\nhello\r\n0\r\n\r\n",
    "\r\n0\r\n\r\n",
    "five\r\nhello\r\n0\r\n\r\n",
    "5\nhello\r\n0\r\n\r\n",
    "5\rhello\r\n0\r\n\r\n",
    "5\r\nhello\n0\r\n\r\n",
    "5\r\nhello0\r\n\r\n",
    "5\r\nhelloxx0\r\n\r\n",
    "5;\r\nhello\r\n0\r\n\r\n",
    "5;a\nhello\r\n0\r\n\r\n",
    "5;a\rb\r\nhello\r\n0\r\n\r\n",
    "5;a\0\r\nhello\r\n0\r\n\r\n",
    "5;a=\"b\r\nhello\r\n0\r\n\r\n",
    "5;a b\r\nhello\r\n0\r\n\r\n",
    "0\n\n",
    "0\r\n\n",
    "0\r\nx: y\n\r\n",
    "0\r\nx y\r\n\r\n",
    "0\r\n x: y\r\n\r\n",
    "0\r\nx : y\r\n\r\n",
    "0\r\nx: \0\r\n\r\n",
    "0\r\nx: y\r\n z\r\n\r\n",
];

#[tokio::test]
async fn a_body_that_breaks_is_an_aborted_one() {
    let scene = Scene::new().await;
    for chunks in BROKEN {
        let head = format!("POST /a HTTP/1.1\r\n{}transfer-encoding: chunked\r\n\r\n", scene.fields());
        let (answer, seen) = scene.attack(format!("{head}3\r\nabc\r\n{chunks}")).await;
        assert_eq!((answer.status, answer.reason().as_str()), (400, "body_aborted"), "{chunks:?}: {}", answer.text);
        assert_eq!(answer.text.matches("HTTP/1.").count(), 1, "{chunks:?}: {}", answer.text);
        // What had gone on before the break is no whole request there either.
        assert!(seen.iter().all(|request| request.body == "(aborted)"), "{chunks:?}: {seen:?}");
        let targets: Vec<_> = scene.upstream.requests().into_iter().map(|request| request.target).collect();
        assert!(!targets.iter().any(|target| target == "/smuggled"), "{chunks:?}: {targets:?}");
        scene.control_after_abort(chunks).await;
    }
    until("each is counted", || async {
        let refused = scrape(&scene.client, &scene.gateway).await;
        let malformed = refused.sum("postern_listener_refused_total", &[("reason", "malformed")]);
        (malformed.round() as usize == BROKEN.len()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_refused_requests_body_is_no_request() {
    let scene = Scene::new().await;
    let inner = scene.smuggled();
    let size = inner.len();
    let framings = [
        (format!("content-length: {size}\r\n\r\n"), inner.clone()),
        ("transfer-encoding: chunked\r\n\r\n".to_owned(), format!("{size:x}\r\n{inner}\r\n0\r\n\r\n")),
        (format!("expect: 100-continue\r\ncontent-length: {size}\r\n\r\n"), inner.clone()),
        // It promises more than it sends.
        (format!("content-length: {}\r\n\r\n", size * 3), inner.clone()),
    ];
    for (framing, body) in framings {
        for (credential, status) in [(String::new(), 401), ("authorization: Bearer a.b.c\r\n".to_owned(), 401)] {
            let before = scene.upstream.count();
            let mut socket = RawSocket::connect(scene.gateway.address()).await;
            let head = format!("POST /a HTTP/1.1\r\nhost: a\r\n{credential}connection: close\r\n{framing}");
            socket.send(format!("{head}{body}")).await;
            let text = socket.rest().await;
            assert!(text.starts_with(&format!("HTTP/1.1 {status}")), "{framing:?}: {text}");
            assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "{framing:?}: {text}");
            // And without being asked to close: the next request is answered, or the connection is closed.
            let mut socket = RawSocket::connect(scene.gateway.address()).await;
            socket.send(format!("POST /a HTTP/1.1\r\nhost: a\r\n{credential}{framing}{body}")).await;
            socket.send("GET /b HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
            let text = socket.rest().await;
            assert!(text.matches("HTTP/1.1 401").count() <= 2, "{framing:?}: {text}");
            assert_eq!(text.matches("HTTP/1.1 ").count(), text.matches("HTTP/1.1 401").count(), "{framing:?}: {text}");
            assert_eq!(scene.upstream.count(), before, "{framing:?}");
            scene.control(&framing).await;
        }
    }
}

#[tokio::test]
async fn a_credential_in_a_trailer_is_none() {
    let scene = Scene::new().await;
    let trailer = format!("authorization: Bearer {}\r\n", scene.token);
    let request = format!(
        "POST /a HTTP/1.1\r\nhost: a\r\ntrailer: authorization\r\ntransfer-encoding: chunked\r\n\r\n0\r\n{trailer}\r\n"
    );
    let before = scene.upstream.count();
    let mut socket = RawSocket::connect(scene.gateway.address()).await;
    socket.send(format!("{request}GET /b HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")).await;
    let text = socket.rest().await;
    assert!(text.starts_with("HTTP/1.1 401") && text.contains("no_token"), "{text}");
    assert_eq!((text.matches("HTTP/1.1 401").count(), scene.upstream.count()), (2, before), "{text}");

    // With a good one in its place, that in the trailer, and whatever else may not stand there, goes nowhere.
    let fields = scene.fields();
    let trailers = format!("{trailer}content-length: 7\r\ntransfer-encoding: gzip\r\nhost: b\r\n");
    let request = format!(
        "POST /a HTTP/1.1\r\n{fields}trailer: authorization, content-length, transfer-encoding, host\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n"
    );
    let (answer, seen) = scene.attack(format!("{request}{trailers}\r\n")).await;
    assert_eq!((answer.status, seen.len()), (200, 2), "{}", answer.text);
    assert_eq!((&*seen[0].body, seen[0].trailers.len()), (&b"hi"[..], 0), "{:?}", seen[0].trailers);
}

impl Scene {
    /// As [`Scene::control`], where an upstream may still be about to note that a body broke off.
    async fn control_after_abort(&self, what: &str) {
        let answer = self.client.get(&self.gateway.url("/control"), Some(&self.corp.token())).await;
        assert_eq!(answer.status.as_u16(), 200, "after {what:?}");
        let controls = self.upstream.requests().into_iter().filter(|request| request.target == "/control").count();
        assert!(controls > 0, "after {what:?}");
    }
}
