//! Upstreams that speak HTTP/2 wrongly, frame by frame.

use http::Method;
use tokio::net::TcpListener;

use crate::support::{
    client::{HttpClient, request},
    corp::Corp,
    frames::{END_HEADERS, END_STREAM, FrameConnection, WHOLE, block, frame, headers, kind, settings, window_update},
    gateway::Gateway,
    raw_socket::{listen, url_of},
};

/// What the caller gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gets {
    /// The answer `hello`.
    Whole,
    /// A 502.
    Refused,
    /// A beginning, and an end that says that something is missing.
    Aborted,
    /// That, or exactly as much as its length promised.
    AbortedOrCut,
}

struct World {
    corp: Corp,
    listener: TcpListener,
    gateway: Gateway,
    client: HttpClient,
}

/// The answer to one request, to the caller.
type Answer = tokio::task::JoinHandle<Result<(u16, String), String>>;

impl World {
    async fn new() -> Self {
        let corp = Corp::start().await;
        let listener = listen().await;
        let config = "protocol = \"http2\"\nresponse_header_timeout = \"2s\"\n";
        let gateway = corp.before(&url_of(&listener), config).one_worker().start().await;
        Self { corp, listener, gateway, client: HttpClient::http1() }
    }

    fn ask(&self, path: &str) -> Answer {
        let asked = request(Method::GET, &self.gateway.url(path), Some(&self.corp.token()));
        let client = self.client.clone();
        tokio::spawn(async move {
            let answer = client.try_send(asked).await?;
            Ok((answer.status.as_u16(), answer.text()))
        })
    }

    /// Answers the next request of a connection well, and it must be the answer to the control.
    async fn control(&self, upstream: &mut FrameConnection, control: Answer) {
        let asked = upstream.wait_for(kind::HEADERS).await.expect("the control arrives");
        upstream.send(hello(asked.stream)).await;
        assert_eq!(control.await.expect("no panic"), Ok((200, "hello".to_owned())));
    }
}

fn hello(stream: u32) -> Vec<u8> {
    let head = headers(END_HEADERS, stream, &[(":status", "200"), ("content-length", "5")]);
    [head, frame(kind::DATA, END_STREAM, stream, b"hello")].concat()
}

#[tokio::test]
async fn answers_that_are_none() {
    use Gets::{Aborted, AbortedOrCut, Refused, Whole};
    let world = World::new().await;
    let good = [(":status", "200")];
    let head = || headers(END_HEADERS, 1, &good);
    let with = |name: &'static str, value: &'static str| headers(END_HEADERS, 1, &[(":status", "200"), (name, value)]);
    let data = |flags: u8, payload: &[u8]| frame(kind::DATA, flags, 1, payload);
    let end = || data(END_STREAM, b"hello");
    let reset = |code: u32| frame(kind::RST_STREAM, 0, 1, &code.to_be_bytes());
    let long = "x".repeat(15_000);
    let mut large = frame(kind::HEADERS, 0, 1, &block(&good));
    for _ in 0..8 {
        large.extend(frame(kind::CONTINUATION, 0, 1, &block(&[("x-long", &long)])));
    }
    large.extend(frame(kind::CONTINUATION, END_HEADERS, 1, &[]));
    let mut endless = frame(kind::HEADERS, 0, 1, &block(&good));
    endless.extend(frame(kind::CONTINUATION, 0, 1, &[]).repeat(10_000));
    let push =
        [&[0, 0, 0, 2][..], &block(&[(":method", "GET"), (":scheme", "http"), (":path", "/x"), (":authority", "a")])]
            .concat();
    for (what, bytes, gets) in [
        ("a good one", hello(1), Whole),
        ("a good one without a length", [head(), end()].concat(), Whole),
        (
            "interim answers before it",
            [
                headers(END_HEADERS, 1, &[(":status", "100")]),
                headers(END_HEADERS, 1, &[(":status", "103"), ("link", "</a>")]),
                hello(1),
            ]
            .concat(),
            Whole,
        ),
        (
            "a GOAWAY before the answer to what it had",
            [frame(kind::GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]), hello(1)].concat(),
            Whole,
        ),
        (
            "a path in an answer, which nobody looks at",
            [headers(END_HEADERS, 1, &[(":status", "200"), (":path", "/")]), end()].concat(),
            Whole,
        ),
        ("a transfer-encoding", [with("transfer-encoding", "chunked"), end()].concat(), Refused),
        ("a connection field", [with("connection", "x-note"), end()].concat(), Refused),
        ("a keep-alive field", [with("keep-alive", "timeout=5"), end()].concat(), Refused),
        ("a name in upper case", [with("X-Note", "1"), end()].concat(), Refused),
        ("CR and LF in a value", [with("x-note", "a\r\nset-cookie: b=c"), end()].concat(), Refused),
        ("NUL in a value", [with("x-note", "a\0b"), end()].concat(), Refused),
        ("no status", [headers(END_HEADERS, 1, &[("x-note", "1")]), end()].concat(), Refused),
        ("two statuses", [headers(END_HEADERS, 1, &[(":status", "200"), (":status", "200")]), end()].concat(), Refused),
        ("a status of two digits", [headers(END_HEADERS, 1, &[(":status", "20")]), end()].concat(), Refused),
        (
            "a status behind the fields",
            [headers(END_HEADERS, 1, &[("x-note", "1"), (":status", "200")]), end()].concat(),
            Refused,
        ),
        ("a length that is none", [with("content-length", "+5"), end()].concat(), Refused),
        (
            "two lengths",
            [headers(END_HEADERS, 1, &[(":status", "200"), ("content-length", "5"), ("content-length", "6")]), end()]
                .concat(),
            Refused,
        ),
        ("101", headers(WHOLE, 1, &[(":status", "101")]), Refused),
        ("an interim answer and no other", headers(WHOLE, 1, &[(":status", "103")]), Refused),
        ("a reset", reset(2), Refused),
        ("DATA before the head", end(), Refused),
        ("DATA on stream 0", frame(kind::DATA, 0, 0, b"hello"), Refused),
        ("an answer on a stream that was not opened", hello(3), Refused),
        ("an answer on an even stream", hello(2), Refused),
        ("a pushed request", [frame(kind::PUSH_PROMISE, END_HEADERS, 1, &push), hello(1)].concat(), Refused),
        ("a head of more than 64 KiB", large, Refused),
        ("a head without an end", endless, Refused),
        ("a window that there is not", [settings(&[(4, 0x8000_0000)]), hello(1)].concat(), Refused),
        ("a window beyond what one can be", [window_update(0, 0x7fff_ffff), hello(1)].concat(), Refused),
        ("a body shorter than its length", [with("content-length", "10"), end()].concat(), Aborted),
        ("a body longer than its length", [with("content-length", "2"), end()].concat(), Aborted),
        (
            "a body longer than its length, in pieces",
            [with("content-length", "5"), data(0, b"hello"), data(END_STREAM, b"HTTP/1.1 200 OK")].concat(),
            AbortedOrCut,
        ),
        ("a reset within the body", [head(), data(0, b"hel"), reset(2)].concat(), Aborted),
        (
            "a reset without an error within the body",
            [with("content-length", "10"), data(0, b"hel"), reset(0)].concat(),
            Aborted,
        ),
        (
            "a GOAWAY with an error within the body",
            [head(), data(0, b"hel"), frame(kind::GOAWAY, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 2])].concat(),
            Aborted,
        ),
        (
            "trailers that end nothing",
            [head(), data(0, b"hel"), headers(END_HEADERS, 1, &[("x-sum", "1")])].concat(),
            Aborted,
        ),
        ("an end of the connection within the body", [head(), data(0, b"hel")].concat(), Aborted),
    ] {
        let asked = world.ask("/attack");
        let mut upstream = FrameConnection::accept(&world.listener).await;
        let arrived = upstream.wait_for(kind::HEADERS).await.expect("the request arrives");
        assert_eq!(arrived.stream, 1, "{what}");
        // Whoever has had enough may have closed already.
        let _ = upstream.try_send(&bytes).await;
        let left = match what {
            "an end of the connection within the body" => {
                drop(upstream);
                None
            }
            _ => Some(upstream),
        };
        let got = asked.await.expect("no panic");
        match (&got, gets) {
            (Ok((200, body)), Whole | AbortedOrCut) => assert_eq!(body, "hello", "{what}"),
            (Ok((502, _)), Refused) | (Err(_), Aborted | AbortedOrCut) => {}
            _ => panic!("{what}: {got:?}, not {gets:?}"),
        }
        if let Some(upstream) = left {
            upstream.leave().await;
        }
        let control = world.ask("/control");
        let mut upstream = FrameConnection::accept(&world.listener).await;
        world.control(&mut upstream, control).await;
        upstream.leave().await;
    }
}

#[tokio::test]
async fn one_bad_answer_does_not_end_its_neighbours() {
    let world = World::new().await;
    let first = world.ask("/first");
    let mut upstream = FrameConnection::accept(&world.listener).await;
    let first_asked = upstream.wait_for(kind::HEADERS).await.expect("a request");
    let second = world.ask("/second");
    let second_asked = upstream.wait_for(kind::HEADERS).await.expect("another one");
    upstream.send(headers(END_HEADERS, first_asked.stream, &[(":status", "200"), ("connection", "x")])).await;
    assert_eq!(first.await.expect("no panic").map(|answer| answer.0), Ok(502));
    upstream.send(hello(second_asked.stream)).await;
    assert_eq!(second.await.expect("no panic"), Ok((200, "hello".to_owned())));
    let control = world.ask("/control");
    world.control(&mut upstream, control).await;
}

#[tokio::test]
async fn interim_answers_without_an_end_are_cut_off() {
    let world = World::new().await;
    let flooded = world.ask("/attack");
    let mut upstream = FrameConnection::accept(&world.listener).await;
    let asked = upstream.wait_for(kind::HEADERS).await.expect("a request");
    let interim = headers(END_HEADERS, asked.stream, &[(":status", "103"), ("link", "</style.css>")]).repeat(100);
    let flood = tokio::spawn(async move {
        while upstream.try_send(&interim).await {}
        upstream
    });
    let got = tokio::time::timeout(std::time::Duration::from_secs(20), flooded).await.expect("an end in time");
    let got = got.expect("no panic");
    // Each is thrown away as it comes; that there are many shows only in that no answer comes in time.
    assert!(matches!(got, Ok((504, _))), "{got:?}");
    let control = world.ask("/control");
    let mut fresh = FrameConnection::accept(&world.listener).await;
    world.control(&mut fresh, control).await;
    flood.abort();
}
