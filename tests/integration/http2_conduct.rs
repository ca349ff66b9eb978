//! HTTP/2 that is spoken wrongly, frame by frame: reset, refused or told to go, and nothing of it reaches the upstream.

use crate::support::{
    corp::Corp,
    frames::{
        END_HEADERS, END_STREAM, FrameConnection, Outcome, PADDED, WHOLE, block, frame, headers, kind, ping, settings,
        window_update,
    },
    gateway::Gateway,
    raw_socket::{RawSocket, listen, url_of},
    upstream::RecordedUpstream,
    wait::until,
};

/// The stream of each attack, and the one of the control request behind it.
const ATTACK: u32 = 1;
const CONTROL: u32 = 1001;

/// The whole scene: one route that wants a token, and an upstream that writes everything down.
struct World {
    corp: Corp,
    upstream: RecordedUpstream,
    gateway: Gateway,
}

impl World {
    async fn new() -> Self {
        let corp = Corp::start().await;
        let upstream = RecordedUpstream::start().await;
        let gateway = corp.before(&upstream.url(), "").start().await;
        Self { corp, upstream, gateway }
    }

    async fn connect(&self) -> FrameConnection {
        FrameConnection::client(self.gateway.address()).await
    }

    /// A request with a good token, the control of everything here.
    fn request(&self, stream: u32, path: &str) -> Vec<u8> {
        let authorization = format!("Bearer {}", self.corp.token());
        headers(WHOLE, stream, &good(path, &authorization))
    }

    /// Whether a good request gets through, and arrives upstream as itself.
    async fn control(&self, connection: &mut FrameConnection) {
        let before = self.upstream.count();
        connection.send(self.request(CONTROL, "/control")).await;
        assert_eq!(connection.outcome(CONTROL).await, Outcome::Answered(200, "upstream".to_owned()));
        assert_eq!((self.upstream.count(), self.upstream.last().target.as_str()), (before + 1, "/control"));
    }

    /// Sends `bytes`, and says what became of the attack's stream. If the connection lives, it must still be of use; a new one must
    /// be in any case. Whole requests other than the controls must not have arrived.
    async fn attack(&self, what: &str, bytes: &[u8]) -> Outcome {
        let mut connection = self.connect().await;
        // Whoever refuses early may have closed already.
        let _ = connection.try_send(bytes).await;
        let outcome = connection.outcome(ATTACK).await;
        let ends = matches!(outcome, Outcome::GoneAway(_) | Outcome::Closed);
        if !ends {
            self.control(&mut connection).await;
        }
        self.control(&mut self.connect().await).await;
        for arrived in self.upstream.requests() {
            let whole = arrived.body != b"(aborted)"[..];
            assert!(!whole || arrived.target == "/control", "{what}: {arrived:?}");
        }
        outcome
    }
}

fn good<'a>(path: &'a str, authorization: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        (":method", "GET"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "api.test"),
        ("authorization", authorization),
    ]
}

/// How an attack on one stream must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The stream alone: by a reset, or a status of 400, 404 or 501.
    Stream,
    /// The connection: by a GOAWAY.
    Connection,
}

fn assert_ended(what: &str, outcome: &Outcome, end: End) {
    let is = match outcome {
        Outcome::Reset(_) | Outcome::Answered(400 | 404 | 501, _) => End::Stream,
        Outcome::GoneAway(_) => End::Connection,
        other => panic!("{what}: {other:?}"),
    };
    assert_eq!(is, end, "{what}: {outcome:?}");
}

#[tokio::test]
async fn heads_that_are_none() {
    let world = World::new().await;
    let authorization = format!("Bearer {}", world.corp.token());
    let good = good("/attack", &authorization);
    let with = |name: &'static str, value: &'static str| {
        let mut fields = good.clone();
        fields.push((name, value));
        fields
    };
    let instead = |name: &'static str, value: &'static str| {
        let mut fields = good.clone();
        for field in &mut fields {
            if field.0 == name {
                field.1 = value;
            }
        }
        fields
    };
    let without = |name: &'static str| {
        let mut fields = good.clone();
        fields.retain(|field| field.0 != name);
        fields
    };
    let mut late = without(":path");
    late.push((":path", "/attack"));
    for (what, fields, end) in [
        ("CR and LF in a value", with("x-note", "a\r\nx-client-id: root"), End::Connection),
        ("LF in a value", with("x-note", "a\nb"), End::Connection),
        ("NUL in a value", with("x-note", "a\0b"), End::Connection),
        ("CR and LF in a name", with("x-note\r\nx-more", "a"), End::Connection),
        ("a space in a name", with("x note", "a"), End::Connection),
        ("a colon in a name", with("x:note", "a"), End::Connection),
        ("an empty name", with("", "a"), End::Connection),
        ("a name in upper case", with("X-Note", "a"), End::Connection),
        ("transfer-encoding", with("transfer-encoding", "chunked"), End::Stream),
        ("connection", with("connection", "x-note"), End::Stream),
        ("keep-alive", with("keep-alive", "timeout=5"), End::Stream),
        ("proxy-connection", with("proxy-connection", "keep-alive"), End::Stream),
        ("upgrade", with("upgrade", "websocket"), End::Stream),
        ("te other than trailers", with("te", "gzip"), End::Stream),
        ("a host of its own", with("host", "other.test"), End::Stream),
        ("an authority with a user", instead(":authority", "user@api.test"), End::Stream),
        ("an authority with a space", instead(":authority", "api test"), End::Stream),
        ("an authority with a path", instead(":authority", "api.test/x"), End::Stream),
        ("an empty authority", instead(":authority", ""), End::Stream),
        ("a method with a space", instead(":method", "GET /x"), End::Connection),
        ("a method with a line's end", instead(":method", "GET\r\n"), End::Connection),
        ("an empty method", instead(":method", ""), End::Connection),
        ("a path that is none", instead(":path", "attack"), End::Stream),
        ("an empty path", instead(":path", ""), End::Stream),
        ("a path with a space", instead(":path", "/attack HTTP/1.1"), End::Stream),
        ("a path with a line's end", instead(":path", "/attack\r\nx: y"), End::Stream),
        ("a scheme with a space", instead(":scheme", "ht tp"), End::Stream),
        ("no method", without(":method"), End::Stream),
        ("no scheme", without(":scheme"), End::Stream),
        ("no path", without(":path"), End::Stream),
        ("no authority", without(":authority"), End::Stream),
        ("two methods", with(":method", "GET"), End::Stream),
        ("two methods in a row", [vec![(":method", "POST")], good.clone()].concat(), End::Stream),
        ("two paths", [vec![(":path", "/other")], good.clone()].concat(), End::Stream),
        ("two authorities", [vec![(":authority", "other.test")], good.clone()].concat(), End::Stream),
        ("a pseudo header that there is not", [vec![(":proto", "x")], good.clone()].concat(), End::Connection),
        ("a status in a request", [vec![(":status", "200")], good.clone()].concat(), End::Stream),
        ("a protocol without CONNECT", [vec![(":protocol", "websocket")], good.clone()].concat(), End::Stream),
        ("a pseudo header behind the others", late.clone(), End::Stream),
        ("content-length +0", with("content-length", "+0"), End::Stream),
        ("content-length 0x0", with("content-length", "0x0"), End::Stream),
        ("content-length 0, 0", with("content-length", "0, 0"), End::Stream),
        ("content-length 2^64", with("content-length", "18446744073709551616"), End::Stream),
        ("content-length without a body", with("content-length", "5"), End::Stream),
        ("CONNECT with a scheme and a path", instead(":method", "CONNECT"), End::Stream),
        ("TRACE", instead(":method", "TRACE"), End::Stream),
    ] {
        let outcome = world.attack(what, &headers(WHOLE, ATTACK, &fields)).await;
        assert_ended(what, &outcome, end);
    }
    let connect = [(":method", "CONNECT"), (":authority", "api.test:80"), ("authorization", authorization.as_str())];
    let body = frame(kind::DATA, END_STREAM, ATTACK, b"GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n");
    let outcome = world.attack("CONNECT", &[headers(END_HEADERS, ATTACK, &connect), body].concat()).await;
    assert_ended("CONNECT", &outcome, End::Stream);
}

#[tokio::test]
async fn frames_that_are_none() {
    let world = World::new().await;
    let authorization = format!("Bearer {}", world.corp.token());
    let good = good("/attack", &authorization);
    let whole = block(&good);
    let (front, back) = whole.split_at(whole.len() / 2);
    let open = |stream: u32| headers(END_HEADERS, stream, &good);
    let long = [&[0, 0x40, 1, kind::DATA, 0, 0, 0, 0, 1][..], &vec![b'x'; 16_385]].concat();
    for (what, bytes) in [
        ("DATA on stream 0", frame(kind::DATA, 0, 0, b"x")),
        ("HEADERS on stream 0", headers(WHOLE, 0, &good)),
        ("HEADERS on an even stream", headers(WHOLE, 2, &good)),
        ("RST_STREAM on stream 0", frame(kind::RST_STREAM, 0, 0, &[0; 4])),
        ("PRIORITY on stream 0", frame(kind::PRIORITY, 0, 0, &[0, 0, 0, 3, 1])),
        ("SETTINGS on a stream", frame(kind::SETTINGS, 0, 1, &[])),
        ("SETTINGS of five bytes", frame(kind::SETTINGS, 0, 0, &[0; 5])),
        ("SETTINGS acknowledged with a payload", frame(kind::SETTINGS, 1, 0, &[0; 6])),
        ("a frame size that there is not", settings(&[(5, 100)])),
        ("a window that there is not", settings(&[(4, 0x8000_0000)])),
        ("PING on a stream", frame(kind::PING, 0, 1, &[0; 8])),
        ("PING of seven bytes", frame(kind::PING, 0, 0, &[0; 7])),
        ("GOAWAY on a stream", frame(kind::GOAWAY, 0, 1, &[0; 8])),
        ("PUSH_PROMISE of a client", frame(kind::PUSH_PROMISE, END_HEADERS, 1, &[&[0, 0, 0, 2][..], &whole].concat())),
        ("WINDOW_UPDATE by nothing for all", window_update(0, 0)),
        (
            "WINDOW_UPDATE beyond what a window can be",
            [window_update(0, 0x7fff_ffff), window_update(0, 0x7fff_ffff)].concat(),
        ),
        ("WINDOW_UPDATE of three bytes", frame(kind::WINDOW_UPDATE, 0, 0, &[0; 3])),
        ("DATA on a stream that was never opened", frame(kind::DATA, 0, 1, b"x")),
        ("RST_STREAM on a stream that was never opened", frame(kind::RST_STREAM, 0, 1, &[0; 4])),
        ("CONTINUATION of nothing", frame(kind::CONTINUATION, END_HEADERS, 1, &whole)),
        (
            "a frame between HEADERS and CONTINUATION",
            [frame(kind::HEADERS, END_STREAM, 1, front), ping(), frame(kind::CONTINUATION, END_HEADERS, 1, back)]
                .concat(),
        ),
        (
            "CONTINUATION of another stream",
            [frame(kind::HEADERS, END_STREAM, 1, front), frame(kind::CONTINUATION, END_HEADERS, 3, back)].concat(),
        ),
        ("a stream below the last", [world.request(3, "/control"), headers(WHOLE, 1, &good)].concat()),
        ("HEADERS all of padding", frame(kind::HEADERS, WHOLE | PADDED, 1, &[200, 0, 0])),
        ("DATA with more padding than frame", [open(1), frame(kind::DATA, PADDED, 1, &[9, 0, 0])].concat()),
        ("a frame longer than allowed", [open(1), long].concat()),
        ("a broken HPACK index", frame(kind::HEADERS, WHOLE, 1, &[0xff, 0xff, 0xff, 0xff, 0xff, 0x7f])),
        ("an HPACK literal longer than its frame", frame(kind::HEADERS, WHOLE, 1, &[0, 0x7f, 0xff, 0xff])),
        ("a dynamic table larger than allowed", frame(kind::HEADERS, WHOLE, 1, &[0x3f, 0xe1, 0xff, 0x03])),
    ] {
        let mut connection = world.connect().await;
        let _ = connection.try_send(&bytes).await;
        let before = world.upstream.count();
        let outcome = loop {
            // The one good request, where there is one, may be answered before.
            match connection.outcome(ATTACK).await {
                Outcome::Answered(..) => {}
                other => break other,
            }
        };
        assert!(matches!(outcome, Outcome::GoneAway(_)), "{what}: {outcome:?}");
        world.control(&mut world.connect().await).await;
        let arrived = world.upstream.requests();
        let attacked = |arrived: &&crate::support::upstream::Recorded| {
            arrived.target == "/attack" && arrived.body != b"(aborted)"[..]
        };
        assert_eq!(arrived.iter().filter(attacked).count(), 0, "{what}");
        assert!(world.upstream.count() > before, "{what}");
    }
}

#[tokio::test]
async fn bodies_that_are_not_as_long_as_they_say() {
    let world = World::new().await;
    let authorization = format!("Bearer {}", world.corp.token());
    let mut fields = good("/attack", &authorization);
    fields.push(("content-length", "5"));
    fields[0].1 = "POST";
    let head = headers(END_HEADERS, ATTACK, &fields);
    let data = |flags: u8, payload: &[u8]| frame(kind::DATA, flags, ATTACK, payload);
    let mut two = fields.clone();
    two.push(("content-length", "6"));
    let trailers = headers(WHOLE, ATTACK, &[("x-checksum", "1")]);
    for (what, bytes) in [
        ("too short", [head.clone(), data(END_STREAM, b"four")].concat()),
        ("too short before trailers", [head.clone(), data(0, b"four"), trailers.clone()].concat()),
        ("too long", [head.clone(), data(END_STREAM, b"sixsix")].concat()),
        ("too long in pieces", [head.clone(), data(0, b"five5"), data(END_STREAM, b"GET / HTTP/1.1\r\n\r\n")].concat()),
        ("too long with padding", [head.clone(), data(END_STREAM | PADDED, b"\x01sixsix\0")].concat()),
        ("two lengths", [headers(END_HEADERS, ATTACK, &two), data(END_STREAM, b"five5")].concat()),
        (
            "trailers that end nothing",
            [head.clone(), data(0, b"five5"), headers(END_HEADERS, ATTACK, &[("x-checksum", "1")])].concat(),
        ),
        (
            "broken off",
            [
                head.clone(),
                data(0, b"fou"),
                frame(kind::RST_STREAM, 0, ATTACK, &[0, 0, 0, 8]),
                world.request(ATTACK + 2, "/control"),
            ]
            .concat(),
        ),
    ] {
        let outcome = match what {
            // The client's own reset is not answered; the request behind it is.
            "broken off" => {
                let mut connection = world.connect().await;
                connection.send(&bytes).await;
                connection.outcome(ATTACK + 2).await
            }
            _ => world.attack(what, &bytes).await,
        };
        if what == "broken off" {
            assert_eq!(outcome, Outcome::Answered(200, "upstream".to_owned()), "{what}");
        } else {
            assert_ended(what, &outcome, End::Stream);
        }
    }
    assert!(
        world
            .upstream
            .requests()
            .iter()
            .all(|arrived| arrived.target == "/control" || arrived.body == b"(aborted)"[..])
    );
    // h2 lets these pass: an empty length, which it takes for none, and a length that is said twice. What goes on says it once.
    let mut twice = fields.clone();
    twice.push(("content-length", "5"));
    let mut unsaid = fields.clone();
    unsaid.retain(|field| field.0 != "content-length");
    unsaid.push(("content-length", ""));
    for (fields, flags, body) in [(twice, END_HEADERS, "five5"), (unsaid, WHOLE, "")] {
        let mut connection = world.connect().await;
        connection.send(headers(flags, ATTACK, &fields)).await;
        if flags == END_HEADERS {
            connection.send(data(END_STREAM, body.as_bytes())).await;
        }
        assert_eq!(connection.outcome(ATTACK).await, Outcome::Answered(200, "upstream".to_owned()));
        let arrived = world.upstream.last();
        let lengths: Vec<_> = arrived.headers.get_all("content-length").iter().collect();
        assert!(lengths.len() <= 1 && lengths.iter().all(|length| *length == "5" || *length == "0"), "{lengths:?}");
        assert_eq!(arrived.body, body);
    }
    // The control: a body that is as long as it says.
    let mut connection = world.connect().await;
    connection.send([head, data(END_STREAM, b"five5")].concat()).await;
    assert_eq!(connection.outcome(ATTACK).await, Outcome::Answered(200, "upstream".to_owned()));
    assert_eq!(world.upstream.last().body, "five5");
}

#[tokio::test]
async fn a_length_that_is_said_twice_goes_on_once() {
    let corp = Corp::start().await;
    let listener = listen().await;
    let gateway = corp.before(&url_of(&listener), "").start().await;
    let authorization = format!("Bearer {}", corp.token());
    let mut fields = good("/attack", &authorization);
    fields[0].1 = "POST";
    fields.extend([("content-length", "5"), ("content-length", "5")]);
    let mut connection = FrameConnection::client(gateway.address()).await;
    connection
        .send([headers(END_HEADERS, ATTACK, &fields), frame(kind::DATA, END_STREAM, ATTACK, b"five5")].concat())
        .await;
    let mut upstream = RawSocket::accept(&listener).await;
    let head = upstream.head().await;
    assert_eq!(head.matches("content-length: 5\r\n").count(), 1, "{head}");
    assert_eq!((head.matches("content-length").count(), upstream.exactly(5).await), (1, b"five5".to_vec()));
}

#[tokio::test]
async fn trailers_prove_nothing() {
    let world = World::new().await;
    let authorization = format!("Bearer {}", world.corp.token());
    let mut fields = good("/attack", &authorization);
    fields[0].1 = "POST";
    let trailers = [("authorization", authorization.as_str()), ("x-client-id", "root"), ("x-checksum", "1")];
    let message = |fields: &[(&str, &str)], trailers: &[(&str, &str)]| {
        let body = frame(kind::DATA, 0, ATTACK, b"body");
        [headers(END_HEADERS, ATTACK, fields), body, headers(WHOLE, ATTACK, trailers)].concat()
    };
    let outcome = world.attack("a token in the trailers", &message(&fields[..4], &trailers)).await;
    assert!(matches!(outcome, Outcome::Answered(401, _)), "{outcome:?}");

    // The control: with a token in its place the request goes, and of its trailers what an upstream may believe.
    let mut connection = world.connect().await;
    fields.extend([("te", "trailers"), ("trailer", "x-checksum")]);
    connection.send(message(&fields, &trailers)).await;
    assert_eq!(connection.outcome(ATTACK).await, Outcome::Answered(200, "upstream".to_owned()));
    let arrived = world.upstream.last();
    assert_eq!((arrived.target.as_str(), &arrived.body[..]), ("/attack", &b"body"[..]));
    assert!(!arrived.trailers.contains_key("authorization") && !arrived.trailers.contains_key("x-client-id"));
    assert_eq!(arrived.trailers.get("x-checksum").map(|value| value.as_bytes()), Some(&b"1"[..]));

    // h2 does not refuse pseudo headers there, it leaves them out: what was decided stays what was decided.
    let mut connection = world.connect().await;
    connection.send(message(&fields, &[(":path", "/other"), (":method", "DELETE"), ("x-checksum", "1")])).await;
    match connection.outcome(ATTACK).await {
        Outcome::Reset(_) => {}
        outcome => {
            assert_eq!(outcome, Outcome::Answered(200, "upstream".to_owned()));
            let arrived = world.upstream.last();
            assert_eq!((arrived.method.as_str(), arrived.target.as_str()), ("POST", "/attack"));
            assert!(arrived.trailers.keys().all(|name| name == "x-checksum"), "{:?}", arrived.trailers);
        }
    }
    world.control(&mut world.connect().await).await;
}

#[tokio::test]
async fn heads_larger_than_allowed() {
    let corp = Corp::start().await;
    let upstream = RecordedUpstream::start().await;
    let config = "[listeners.public.limits]\nheader_bytes = \"8KiB\"\n";
    let gateway = corp.before(&upstream.url(), config).start().await;
    let world = World { corp, upstream, gateway };
    let authorization = format!("Bearer {}", world.corp.token());
    let long = "x".repeat(9000);
    let mut fields = good("/attack", &authorization);
    fields.push(("x-long", &long));
    let mut connection = world.connect().await;
    connection.send(headers(WHOLE, ATTACK, &fields)).await;
    let outcome = connection.outcome(ATTACK).await;
    assert!(matches!(outcome, Outcome::Answered(431, _)), "{outcome:?}");
    world.control(&mut connection).await;
    // The same field again and again, one byte each out of the dynamic table: small on the wire, large in memory.
    let value = "x".repeat(3000);
    let mut bomb = block(&good("/attack", &authorization));
    let mut entry = vec![0x40, 6];
    entry.extend(b"x-bomb");
    entry.push(0x7f);
    entry.extend([0xb9, 0x16]);
    entry.extend(value.bytes());
    bomb.extend(&entry);
    bomb.extend(std::iter::repeat_n(0xbe, 8000));
    let mut connection = world.connect().await;
    connection.send(frame(kind::HEADERS, WHOLE, ATTACK, &bomb)).await;
    let outcome = connection.outcome(ATTACK).await;
    assert!(matches!(outcome, Outcome::GoneAway(_) | Outcome::Answered(431, _)), "{outcome:?}");
    world.control(&mut world.connect().await).await;
    until("nothing but controls", async || {
        world.upstream.requests().iter().all(|arrived| arrived.target == "/control").then_some(())
    })
    .await;
}
