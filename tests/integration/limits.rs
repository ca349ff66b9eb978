//! Every limit of a listener, each with a control that stays below it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response};
use hyper::body::{Frame, Incoming};
use tokio::sync::Semaphore;

use crate::support::{
    connection::{AnyBody, Connection, Protocol, WholeAnswer, bytes, empty, frames, piecewise, whole},
    corp::Corp,
    gateway::Gateway,
    raw_socket::RawSocket,
    served_upstream::ServedUpstream,
    upstream::RecordedUpstream,
    wait::until,
};

const PROTOCOLS: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

struct Scene {
    corp: Corp,
    upstream: RecordedUpstream,
    gateway: Gateway,
}

/// A gateway whose listener has these limits.
async fn limited(limits: &str) -> Scene {
    let corp = Corp::start().await;
    let upstream = RecordedUpstream::start().await;
    let gateway = corp.before(&upstream.url(), &format!("[listeners.public.limits]\n{limits}\n")).start().await;
    Scene { corp, upstream, gateway }
}

impl Scene {
    fn request(&self, body: AnyBody) -> Request<AnyBody> {
        authorized(&self.corp, &self.gateway, body)
    }

    fn head(&self) -> String {
        format!("POST /a HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\n", self.corp.token())
    }

    async fn is_well(&self) -> bool {
        let mut connection = Connection::open(self.gateway.address(), Protocol::Http1).await;
        connection.exchange(self.request(empty())).await.status == 200
    }
}

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
async fn header_bytes() {
    let scene = limited("header_bytes = \"4KiB\"").await;
    for protocol in PROTOCOLS {
        for (size, fits) in [(1000, true), (6000, false)] {
            let mut connection = Connection::open(scene.gateway.address(), protocol).await;
            let mut request = scene.request(empty());
            request.headers_mut().insert("x-padding", "x".repeat(size).parse().expect("a value"));
            let before = scene.upstream.count();
            // Over HTTP/2 the stream may be reset instead.
            let status = connection.send(request).await.map(|answer| answer.status().as_u16());
            assert_eq!(status.as_ref().is_ok_and(|status| *status == 200), fits, "{protocol:?} {size}: {status:?}");
            if let (Ok(status), false) = (&status, fits) {
                assert_eq!(*status, 431, "{protocol:?}");
            }
            assert_eq!(scene.upstream.count(), before + usize::from(fits), "{protocol:?} {size}");
        }
    }
}

#[tokio::test]
async fn headers() {
    let scene = limited("headers = 20").await;
    for protocol in PROTOCOLS {
        for (count, status) in [(10, 200), (30, 431)] {
            let mut connection = Connection::open(scene.gateway.address(), protocol).await;
            let mut request = scene.request(empty());
            for number in 0..count {
                request.headers_mut().append("x-many", number.into());
            }
            let before = scene.upstream.count();
            let answer = connection.exchange(request).await;
            assert_eq!(answer.status, status, "{protocol:?} {count}");
            assert_eq!(scene.upstream.count(), before + usize::from(status == 200));
        }
    }
}

#[tokio::test]
async fn header_timeout() {
    let scene = limited("header_timeout = \"500ms\"\nidle_timeout = \"60s\"").await;
    // One that never begins, one that never ends its head, and one that is slow with its second request.
    let mut silent = RawSocket::connect(scene.gateway.address()).await;
    assert_eq!(silent.rest().await, "");
    let mut dripping = RawSocket::connect(scene.gateway.address()).await;
    let (mut sent, head) = (0, scene.head());
    let drip = async {
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            sent += 1;
            if tokio::io::AsyncWriteExt::write_all(&mut dripping.stream, &head.as_bytes()[sent..=sent]).await.is_err() {
                break;
            }
        }
    };
    tokio::time::timeout(crate::support::wait::PATIENCE, drip).await.expect("closed in time");
    let mut second = RawSocket::connect(scene.gateway.address()).await;
    second.send(format!("{}content-length: 0\r\n\r\n", scene.head())).await;
    assert!(second.head().await.starts_with("HTTP/1.1 200 "));
    second.send("POST /never-ends HTTP/1.1\r\n").await;
    second.rest().await;
    assert_eq!(scene.upstream.count(), 1);
    assert!(scene.is_well().await);
}

#[tokio::test]
async fn header_timeout_over_http2_bounds_the_preface() {
    let scene = limited("header_timeout = \"500ms\"\nidle_timeout = \"60s\"").await;
    let mut half = RawSocket::connect(scene.gateway.address()).await;
    half.send("PRI * HTTP/2.0\r\n\r\nSM").await;
    assert_eq!(half.rest().await, "");
    let mut connection = Connection::open(scene.gateway.address(), Protocol::Http2).await;
    assert_eq!(connection.exchange(scene.request(empty())).await.status, 200);
}

#[tokio::test]
async fn idle_timeout() {
    let scene = limited("idle_timeout = \"500ms\"").await;
    for protocol in PROTOCOLS {
        let mut connection = Connection::open(scene.gateway.address(), protocol).await;
        assert_eq!(connection.exchange(scene.request(empty())).await.status, 200);
        until("it is closed", || async {
            let closed = match &connection {
                Connection::Http1(sender) => sender.is_closed(),
                Connection::Http2(sender) => sender.is_closed(),
            };
            closed.then_some(())
        })
        .await;
    }
    assert!(scene.is_well().await);
}

#[tokio::test]
async fn idle_timeout_leaves_a_request_under_way_alone() {
    let corp = Corp::start().await;
    let gate = Arc::new(Semaphore::new(0));
    let waiting = Arc::clone(&gate);
    let upstream = ServedUpstream::start(move |_| {
        let waiting = Arc::clone(&waiting);
        async move {
            let _turn = waiting.acquire().await.expect("open");
            Response::new(empty())
        }
    })
    .await;
    let gateway = corp.before(&upstream.url(), "[listeners.public.limits]\nidle_timeout = \"100ms\"\n").start().await;
    for protocol in PROTOCOLS {
        let mut connection = Connection::open(gateway.address(), protocol).await;
        let request = authorized(&corp, &gateway, empty());
        let exchange = tokio::spawn(async move { connection.exchange(request).await.status });
        tokio::time::sleep(Duration::from_millis(600)).await;
        gate.add_permits(1);
        assert_eq!(exchange.await.expect("no panic"), 200, "{protocol:?}");
    }
}

#[tokio::test]
async fn body_bytes() {
    let scene = limited("body_bytes = \"1KiB\"").await;
    for protocol in PROTOCOLS {
        for (size, status) in [(1024, 200), (1025, 413)] {
            for told in [true, false] {
                let what = format!("{protocol:?} {size} told={told}");
                let body = Bytes::from(vec![b'x'; size]);
                let body = if told { bytes(body) } else { frames(vec![Frame::data(body)]) };
                let mut connection = Connection::open(scene.gateway.address(), protocol).await;
                let complete = || scene.upstream.requests().iter().filter(|seen| seen.body.len() >= size).count();
                let before = complete();
                let answer = connection.exchange(scene.request(body)).await;
                assert_eq!(answer.status, status, "{what}");
                if status == 413 {
                    assert_eq!(reason(&answer), "body_too_large", "{what}");
                }
                assert_eq!(complete(), before + usize::from(status == 200), "{what}");
            }
        }
    }
    // What is told to be too long is refused before anything of it is asked for, or sent on.
    let before = scene.upstream.count();
    let mut told = RawSocket::connect(scene.gateway.address()).await;
    told.send(format!("{}content-length: 1025\r\nexpect: 100-continue\r\n\r\n", scene.head())).await;
    assert!(told.head().await.starts_with("HTTP/1.1 413 "));
    assert_eq!(scene.upstream.count(), before);
}

#[tokio::test]
async fn body_idle_timeout_while_a_request_body_comes() {
    let scene = limited("body_idle_timeout = \"700ms\"").await;
    for protocol in PROTOCOLS {
        let mut connection = Connection::open(scene.gateway.address(), protocol).await;
        let (pieces, body) = piecewise();
        let request = scene.request(body);
        let answer = tokio::spawn(async move { connection.exchange(request).await });
        pieces.send("begun").await;
        let answer = answer.await.expect("no panic");
        assert_eq!((answer.status, reason(&answer).as_str()), (408, "body_timeout"), "{protocol:?}");

        // The control is slow too, but never for so long.
        let mut connection = Connection::open(scene.gateway.address(), protocol).await;
        let (pieces, body) = piecewise();
        let request = scene.request(body);
        let answer = tokio::spawn(async move { connection.exchange(request).await.status });
        for _ in 0..15 {
            pieces.send("piece").await;
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
        drop(pieces);
        assert_eq!(answer.await.expect("no panic"), 200, "{protocol:?}");
    }
}

#[tokio::test]
async fn body_idle_timeout_while_an_answers_body_comes() {
    let corp = Corp::start().await;
    let upstream = ServedUpstream::start(|request: Request<Incoming>| async move {
        let (pieces, body) = piecewise();
        let ends = request.uri().path() == "/a";
        tokio::spawn(async move {
            for _ in 0..if ends { 15 } else { 1 } {
                pieces.send("piece").await;
                tokio::time::sleep(Duration::from_millis(60)).await;
            }
            if !ends {
                std::future::pending::<()>().await;
            }
        });
        Response::new(body)
    })
    .await;
    let limits = "[listeners.public.limits]\nbody_idle_timeout = \"700ms\"\n";
    let gateway = corp.before(&upstream.url(), limits).start().await;
    for protocol in PROTOCOLS {
        let mut connection = Connection::open(gateway.address(), protocol).await;
        let control = connection.exchange(authorized(&corp, &gateway, empty())).await;
        assert_eq!((control.status, control.body.len()), (200, 75), "{protocol:?}");
        let mut stuck = authorized(&corp, &gateway, empty());
        *stuck.uri_mut() = gateway.url("/stuck").parse().expect("a URL");
        let answer = connection.send(stuck).await.expect("the head");
        whole(answer).await.expect_err("it is cut off");
    }
    let reasons = || async {
        let log = gateway.access_log();
        let cut = log.iter().filter(|line| line["reason"] == "upstream_body_timeout").count();
        (cut == 2).then_some(())
    };
    until("the log says why", reasons).await;
}

#[tokio::test]
async fn body_idle_timeout_frees_what_a_reader_that_stands_still_holds() {
    let corp = Corp::start().await;
    let upstream = ServedUpstream::start(|_| async {
        Response::new(frames((0..64).map(|_| Frame::data(Bytes::from(vec![b'x'; 1 << 20]))).collect()))
    })
    .await;
    let limits = "[listeners.public.limits]\nbody_idle_timeout = \"500ms\"\n";
    let gateway = corp.before(&upstream.url(), limits).start().await;
    for (number, protocol) in PROTOCOLS.into_iter().enumerate() {
        let mut connection = Connection::open(gateway.address(), protocol).await;
        let answer = connection.send(authorized(&corp, &gateway, empty())).await.expect("the head");
        until("the log says that it was given up", || async {
            let log = gateway.access_log();
            (log.iter().filter(|line| line["reason"] == "downstream_aborted").count() > number).then_some(())
        })
        .await;
        whole(answer).await.expect_err("it was cut off");
    }
}

#[tokio::test]
async fn connections() {
    let scene = limited("connections = 2").await;
    let mut first = Connection::open(scene.gateway.address(), Protocol::Http1).await;
    let mut second = Connection::open(scene.gateway.address(), Protocol::Http1).await;
    assert_eq!(first.exchange(scene.request(empty())).await.status, 200);
    assert_eq!(second.exchange(scene.request(empty())).await.status, 200);
    // The third one waits, and has its turn when one of the others has gone.
    let mut third = RawSocket::connect(scene.gateway.address()).await;
    third.send(format!("{}content-length: 0\r\n\r\n", scene.head())).await;
    assert!(third.is_silent().await);
    assert_eq!(scene.upstream.count(), 2);
    drop(first);
    assert!(third.head().await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn connections_per_peer() {
    let scene = limited("connections_per_peer = 2").await;
    let mut first = Connection::open(scene.gateway.address(), Protocol::Http1).await;
    let mut second = Connection::open(scene.gateway.address(), Protocol::Http2).await;
    assert_eq!(first.exchange(scene.request(empty())).await.status, 200);
    assert_eq!(second.exchange(scene.request(empty())).await.status, 200);
    for _ in 0..5 {
        let mut further = RawSocket::connect(scene.gateway.address()).await;
        assert_eq!(further.rest().await, "", "a further one is closed at once");
    }
    drop(first);
    until("a place is free again", || async {
        let stream = tokio::net::TcpStream::connect(scene.gateway.address()).await.expect("a connection");
        let mut connection = Connection::over(stream, Protocol::Http1).await;
        connection.send(scene.request(empty())).await.is_ok().then_some(())
    })
    .await;
}

#[tokio::test]
async fn http2_streams() {
    let corp = Corp::start().await;
    let gate = Arc::new(Semaphore::new(0));
    let waiting = Arc::clone(&gate);
    let upstream = ServedUpstream::start(move |_| {
        let waiting = Arc::clone(&waiting);
        async move {
            waiting.acquire().await.expect("open").forget();
            Response::new(empty())
        }
    })
    .await;
    let limits = "[listeners.public.limits]\nhttp2_streams = 3\n";
    let gateway = corp.before(&upstream.url(), limits).start().await;
    let mut warm = Connection::open(gateway.address(), Protocol::Http2).await;
    gate.add_permits(1);
    // With the first answer the client knows how many it may begin at a time.
    assert_eq!(warm.exchange(authorized(&corp, &gateway, empty())).await.status, 200);
    let Connection::Http2(sender) = &warm else { panic!("HTTP/2") };
    let exchanges: Vec<_> = (0..5)
        .map(|_| {
            let mut connection = Connection::Http2(sender.clone());
            let request = authorized(&corp, &gateway, empty());
            tokio::spawn(async move { connection.exchange(request).await.status })
        })
        .collect();
    until("three are under way", || async { (upstream.requests() == 4).then_some(()) }).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(upstream.requests(), 4, "the others wait for their turn");
    gate.add_permits(5);
    for exchange in exchanges {
        assert_eq!(exchange.await.expect("no panic"), 200);
    }
}
