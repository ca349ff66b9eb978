//! Requests that are tried again: after what, which of them, how often, and with what body.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::support::{
    client::{Answer, HttpClient},
    corp::{Corp, ROUTE},
    gateway::Gateway,
    openmetrics::scrape,
    raw::{RawServer, nobody},
    upstream::RecordedUpstream,
    wait::until,
};

/// A gateway before `endpoints`, the first of which is always asked first.
struct Scene {
    corp: Corp,
    gateway: Gateway,
    client: HttpClient,
}

async fn before(endpoints: &[String], keys: &str) -> Scene {
    let corp = Corp::start().await;
    // The first has nearly all the weight, so that what it fails is what is tried again.
    let weighted = endpoints.iter().enumerate().map(|(position, url)| {
        let weight = if position == 0 { 60_000 } else { 1 };
        format!("{{ url = \"{url}\", weight = {weight} }}")
    });
    let endpoints = weighted.collect::<Vec<_>>().join(", ");
    let config = format!("{ROUTE}[upstreams.orders]\nbalance = \"round_robin\"\nendpoints = [{endpoints}]\n{keys}\n");
    let gateway = corp.gateway(&config).start().await;
    Scene { corp, gateway, client: HttpClient::http1() }
}

impl Scene {
    async fn send(&self, method: Method, body: impl Into<Bytes>) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(self.gateway.url("/a?b=c"))
            .header("authorization", format!("Bearer {}", self.corp.token()))
            .header("x-kept", "1");
        self.client.send(request.body(Full::from(body.into())).expect("a request")).await
    }

    async fn retries(&self, cause: &str) -> u64 {
        let labels = [("upstream", "orders"), ("cause", cause)];
        let metrics = scrape(&self.client, &self.gateway).await;
        metrics.value("postern_upstream_retries_total", &labels).expect("the series") as u64
    }
}

/// An upstream that reads each request to the end of its body of `length` bytes and then closes the connection.
async fn closing(length: usize) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let seen = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let counter = Arc::clone(&counter);
            tokio::spawn(async move {
                let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
                let whole = |read: &[u8]| {
                    let head = read.windows(4).position(|window| window == b"\r\n\r\n");
                    head.is_some_and(|end| read.len() >= end + 4 + length)
                };
                while !whole(&read) {
                    match stream.read(&mut buffer).await {
                        Ok(count) if count > 0 => read.extend_from_slice(&buffer[..count]),
                        _ => return,
                    }
                }
                counter.fetch_add(1, SeqCst);
                let _ = stream.shutdown().await;
            });
        }
    });
    (url, seen)
}

fn statuses(answers: &[Answer]) -> Vec<u16> {
    answers.iter().map(|answer| answer.status.as_u16()).collect()
}

#[tokio::test]
async fn what_broke_off_is_tried_elsewhere_only_if_twice_is_as_good_as_once() {
    let good = RecordedUpstream::start().await;
    for (method, body, expected) in [
        (Method::GET, "", 200),
        (Method::DELETE, "", 200),
        (Method::PUT, "the whole body", 200),
        (Method::POST, "the whole body", 502),
        (Method::POST, "", 502),
        (Method::PATCH, "the whole body", 502),
    ] {
        let before_it = good.count();
        let (bad, seen) = closing(body.len()).await;
        let scene = before(&[bad, good.url()], "[upstreams.orders.retry]").await;
        let answer = scene.send(method.clone(), body).await;
        assert_eq!((answer.status.as_u16(), seen.load(SeqCst)), (expected, 1), "{method} {body:?}: {}", answer.text());
        let repeated = expected == 200;
        assert_eq!(good.count() - before_it, usize::from(repeated), "{method}");
        if repeated {
            let second = good.last();
            assert_eq!((&second.method, &*second.target, &*second.body), (&method, "/a?b=c", body.as_bytes()));
            assert_eq!(second.headers["x-kept"], "1");
            assert!(!second.headers.contains_key("authorization"));
        }
        assert_eq!(scene.retries("reset").await, u64::from(repeated), "{method}");
    }
}

#[tokio::test]
async fn a_body_is_sent_again_whole_or_not_at_all() {
    let good = RecordedUpstream::start().await;
    for (length, expected) in [(60_000, 200), (70_000, 502)] {
        let (bad, _) = closing(length).await;
        let scene = before(&[bad, good.url()], "[upstreams.orders.retry]\nmax_body = \"64KiB\"").await;
        let body: Vec<u8> = (0..length).map(|position| (position % 251) as u8).collect();
        let answer = scene.send(Method::PUT, body.clone()).await;
        assert_eq!(answer.status, expected, "{}", answer.text());
        if expected == 200 {
            assert_eq!(good.last().body, body);
        }
    }
    assert_eq!(good.count(), 1);
}

#[tokio::test]
async fn an_answer_that_is_not_good_enough_is_asked_for_elsewhere() {
    let busy = RecordedUpstream::answering(|_| {
        let mut response = Response::new(Full::from("busy"));
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response
    })
    .await;
    let good = RecordedUpstream::start().await;
    let scene = before(&[busy.url(), good.url()], "[upstreams.orders.retry]\non = [503]").await;
    assert_eq!(scene.send(Method::GET, "").await.status, 200);
    let posted = scene.send(Method::POST, "an order").await;
    assert_eq!((posted.status.as_u16(), &*posted.text()), (503, "busy"), "it may have been acted on");
    assert_eq!((busy.count(), good.count(), scene.retries("status").await), (2, 1, 1));

    let scene = before(&[busy.url(), good.url()], "[upstreams.orders.retry]\non = [\"reset\", 502]").await;
    assert_eq!(scene.send(Method::GET, "").await.status, 503, "another status is an answer");
}

#[tokio::test]
async fn so_many_tries_and_no_more_also_where_there_is_one_endpoint() {
    let (bad, seen) = closing(0).await;
    let scene = before(&[bad], "[upstreams.orders.retry]\nattempts = 3").await;
    let answer = scene.send(Method::GET, "").await;
    assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (502, "upstream_reset"));
    assert_eq!(seen.load(SeqCst), 3);
    assert_eq!(scene.retries("reset").await, 2);
}

#[tokio::test]
async fn without_the_table_nothing_that_was_sent_is_sent_again() {
    let ((bad, seen), good) = (closing(0).await, RecordedUpstream::start().await);
    let scene = before(&[bad, good.url()], "").await;
    assert_eq!(scene.send(Method::GET, "").await.status, 502);
    assert_eq!((seen.load(SeqCst), good.count()), (1, 0));
    // What was not sent is, whatever it is.
    let scene = before(&[format!("http://{}", nobody().await), good.url()], "").await;
    assert_eq!(scene.send(Method::POST, "an order").await.status, 200);
}

#[tokio::test]
async fn what_was_not_sent_is_tried_elsewhere_unless_the_table_leaves_it_out() {
    let good = RecordedUpstream::start().await;
    let dead = format!("http://{}", nobody().await);
    let scene = before(&[dead.clone(), good.url()], "[upstreams.orders.retry]").await;
    assert_eq!(scene.send(Method::POST, "an order").await.status, 200);
    assert_eq!(scene.retries("connect").await, 1);
    let scene = before(&[dead, good.url()], "[upstreams.orders.retry]\non = [503]").await;
    let answer = scene.send(Method::POST, "an order").await;
    assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (502, "upstream_connect_failed"));
    assert_eq!(good.count(), 1);
}

#[tokio::test]
async fn a_stream_that_http2_refuses_is_tried_elsewhere_whatever_it_is() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let refusing = format!("http://{}", listener.local_addr().expect("an address"));
    let refused = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&refused);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut connection = h2::server::handshake(stream).await.expect("HTTP/2");
            let counter = Arc::clone(&counter);
            tokio::spawn(async move {
                while let Some(Ok((_, mut answer))) = connection.accept().await {
                    counter.fetch_add(1, SeqCst);
                    answer.send_reset(h2::Reason::REFUSED_STREAM);
                }
            });
        }
    });
    let good = RecordedUpstream::start().await;
    let scene = before(&[refusing, good.url()], "protocol = \"http2\"\n[upstreams.orders.retry]").await;
    assert_eq!(scene.send(Method::POST, "an order").await.status, 200);
    assert_eq!((refused.load(SeqCst), good.count(), &*good.last().body), (1, 1, &b"an order"[..]));
}

#[tokio::test]
async fn a_failing_upstream_is_not_asked_many_times_as_often() {
    const REQUESTS: usize = 150;
    let bad = RawServer::resetting().await;
    let scene = Arc::new(before(&[format!("http://{}", bad.address)], "[upstreams.orders.retry]\nattempts = 10").await);
    let asked = (0..REQUESTS).map(|_| {
        let scene = Arc::clone(&scene);
        tokio::spawn(async move { scene.send(Method::GET, "").await })
    });
    let mut answers = Vec::new();
    for asked in asked.collect::<Vec<_>>() {
        answers.push(asked.await.expect("no panic"));
    }
    assert!(statuses(&answers).iter().all(|status| *status == 502));
    let out_of_budget = scene.retries("out_of_budget").await;
    assert!(out_of_budget > 0, "{} tries", bad.connections());
    // The budget is of those under way at a time: each that holds a part of it may use up its own attempts.
    assert!(bad.connections() < REQUESTS * 10, "{} tries", bad.connections());
}

#[tokio::test]
async fn requests_wait_for_room_so_many_and_so_long() {
    let upstream = RecordedUpstream::start().await;
    let keys = "max_requests = 1\nmax_waiting = 1\nwait_timeout = \"20s\"";
    let scene = Arc::new(before(&[upstream.url()], keys).await);
    let ask = || {
        let scene = Arc::clone(&scene);
        tokio::spawn(async move { scene.send(Method::POST, "an order").await })
    };
    upstream.hold();
    let first = ask();
    until("the first arrives", async || (upstream.count() == 1).then_some(())).await;
    let second = ask();
    let waiting = || async {
        let metrics = scrape(&scene.client, &scene.gateway).await;
        metrics.value("postern_upstream_requests_waiting", &[("upstream", "orders")]).expect("the series")
    };
    until("the second waits", async || (waiting().await > 0.0).then_some(())).await;
    let third = ask().await.expect("no panic");
    assert_eq!((third.status.as_u16(), third.reason().as_str()), (503, "upstream_saturated"));
    assert_eq!(third.header("retry-after"), "1");
    assert_eq!(upstream.count(), 1);
    upstream.release();
    for answer in [first.await.expect("no panic"), second.await.expect("no panic")] {
        assert_eq!(answer.status, 200);
    }
    assert!(waiting().await < 0.5, "nobody waits any more");

    let keys = "max_requests = 1\nmax_waiting = 9\nwait_timeout = \"50ms\"";
    let scene = before(&[upstream.url()], keys).await;
    upstream.hold();
    let (held, late) = tokio::join!(
        async {
            let held = scene.send(Method::GET, "").await;
            held.status
        },
        async {
            until("the first arrives", async || (upstream.count() == 3).then_some(())).await;
            let late = scene.send(Method::GET, "").await;
            upstream.release();
            late
        }
    );
    assert_eq!((held.as_u16(), late.status.as_u16(), late.reason().as_str()), (200, 503, "upstream_saturated"));
}
