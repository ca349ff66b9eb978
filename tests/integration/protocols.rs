//! Every protocol towards either side, and what must stay the same whichever they are.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::{Frame, Incoming};
use serde_json::{Value, json};

use crate::support::{
    certificates::{Authority, handshake},
    connection::{AnyBody, Connection, Protocol, bytes, empty, frames},
    corp::Corp,
    gateway::Gateway,
    served_upstream::ServedUpstream,
};

const PROTOCOLS: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

/// Answers with what arrived, in JSON, and with headers and trailers of its own.
async fn describe(request: Request<Incoming>) -> Response<AnyBody> {
    let (parts, body) = request.into_parts();
    let collected = body.collect().await.expect("a whole body");
    let trailers = collected.trailers().cloned().unwrap_or_default();
    let text = |headers: &HeaderMap, name: &str| {
        headers.get(name).map_or("", |value| value.to_str().expect("text")).to_owned()
    };
    let host = parts.uri.authority().map_or_else(|| text(&parts.headers, "host"), ToString::to_string);
    let seen = json!({
        "version": format!("{:?}", parts.version),
        "method": parts.method.as_str(),
        "target": parts.uri.path_and_query().map(ToString::to_string),
        "host": host,
        "sent": text(&parts.headers, "x-sent"),
        "authorization": text(&parts.headers, "authorization"),
        "body": String::from_utf8_lossy(&collected.to_bytes()),
        "checksum": text(&trailers, "x-checksum"),
    });
    let answered = HeaderMap::from_iter([("x-sum".parse().expect("a name"), HeaderValue::from_static("answered"))]);
    let body = frames(vec![Frame::data(Bytes::from(seen.to_string())), Frame::trailers(answered)]);
    Response::builder().status(201).header("x-answered", "yes").header("trailer", "x-sum").body(body).expect("built")
}

/// Upstreams of every kind, and a gateway with a listener in clear and one over TLS before them.
struct Crossing {
    corp: Corp,
    authority: Authority,
    gateway: Gateway,
    _upstreams: Vec<ServedUpstream>,
}

/// The routes of the crossing, each to an upstream of the same name.
const UPSTREAMS: [(&str, &str); 6] = [
    ("clear1", "HTTP/1.1"),
    ("clear2", "HTTP/2.0"),
    ("tls1", "HTTP/1.1"),
    ("tls2", "HTTP/2.0"),
    ("auto1", "HTTP/1.1"),
    ("auto2", "HTTP/2.0"),
];

async fn crossing() -> Crossing {
    let corp = Corp::start().await;
    let authority = Authority::new("the test's own");
    let identity = authority.issue(&["upstream.test"]);
    let both: &[&str] = &["h2", "http/1.1"];
    let only1: &[&str] = &["http/1.1"];
    let mut config = String::from(
        "[listeners.secure]\naddress = \"127.0.0.1:0\"\n[listeners.secure.tls]\ncertificate = \"server.pem\"\nprivate_key = \"server.key\"\n",
    );
    let mut upstreams = Vec::new();
    let kinds: [(&str, &str, Option<&[&str]>); 6] = [
        ("clear1", "http1", None),
        ("clear2", "http2", None),
        ("tls1", "http1", Some(both)),
        ("tls2", "http2", Some(both)),
        ("auto1", "auto", Some(only1)),
        ("auto2", "auto", Some(both)),
    ];
    for (name, protocol, alpn) in kinds {
        // The upstreams over TLS let in only who shows a certificate of the authority.
        let tls = alpn.map(|alpn| Authority::server(&identity, alpn, Some(&authority)));
        let upstream = ServedUpstream::over(tls, describe).await;
        let scheme = if alpn.is_some() { "https" } else { "http" };
        let address = upstream.address;
        config.push_str(&format!(
            "[upstreams.{name}]\nendpoints = [\"{scheme}://{address}\"]\nprotocol = \"{protocol}\"\n\
             [routes.{name}]\npath = \"/{name}/{{*rest}}\"\nupstream = \"{name}\"\nrequire.scopes = [\"orders:read\"]\n"
        ));
        if alpn.is_some() {
            config.push_str(&format!(
                "[upstreams.{name}.tls]\nca = \"authority.pem\"\nserver_name = \"upstream.test\"\n\
                 certificate = \"us.pem\"\nprivate_key = \"us.key\"\n"
            ));
        }
        upstreams.push(upstream);
    }
    let builder = corp.gateway(&config);
    authority.write(builder.folder(), "authority");
    authority.issue(&["gateway.test"]).write(builder.folder(), "server");
    authority.issue(&["postern.test"]).write(builder.folder(), "us");
    let gateway = builder.start().await;
    Crossing { corp, authority, gateway, _upstreams: upstreams }
}

impl Crossing {
    async fn connect(&self, protocol: Protocol, tls: bool) -> Connection {
        if !tls {
            return Connection::open(self.gateway.address(), protocol).await;
        }
        let config = self.authority.client(&[protocol.alpn()], None);
        let address = self.gateway.running().address("secure").expect("bound");
        let stream = handshake(address, "gateway.test", &config).await.expect("TLS");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol.alpn().as_bytes()));
        Connection::over(stream, protocol).await
    }
}

#[tokio::test]
async fn everything_is_carried_whichever_protocols_meet() {
    let crossing = crossing().await;
    let token = crossing.corp.token();
    for downstream in PROTOCOLS {
        for tls in [false, true] {
            let mut connection = crossing.connect(downstream, tls).await;
            for (upstream, version) in UPSTREAMS {
                let what = format!("{downstream:?} tls={tls} -> {upstream}");
                let checksum =
                    HeaderMap::from_iter([("x-checksum".parse().expect("a name"), HeaderValue::from_static("c0ffee"))]);
                let body = frames(vec![
                    Frame::data(Bytes::from("first ")),
                    Frame::data(Bytes::from("second")),
                    Frame::trailers(checksum),
                ]);
                let scheme = if tls { "https" } else { "http" };
                let request = Request::builder()
                    .method("PUT")
                    .uri(format!("{scheme}://gateway.test/{upstream}/a%20b?x=1&y=%2F"))
                    .header("authorization", format!("Bearer {token}"))
                    .header("x-sent", "yes")
                    .header("te", "trailers")
                    .header("trailer", "x-checksum")
                    .body(body)
                    .expect("a request");
                let answer = connection.exchange(request).await;
                assert_eq!(answer.status, 201, "{what}: {:?}", answer.body);
                assert_eq!(answer.headers["x-answered"], "yes", "{what}");
                let seen: Value = serde_json::from_slice(&answer.body).expect("JSON");
                let expected = json!({
                    "version": version, "method": "PUT", "target": format!("/{upstream}/a%20b?x=1&y=%2F"),
                    "host": "gateway.test", "sent": "yes", "authorization": "", "body": "first second",
                    "checksum": "c0ffee",
                });
                assert_eq!(seen, expected, "{what}");
                assert_eq!(answer.trailers.expect("trailers")["x-sum"], "answered", "{what}");
            }
            let refused = connection.exchange(get("http://gateway.test/clear1/x", None)).await;
            assert_eq!(refused.status, 401, "{downstream:?} tls={tls}");
        }
    }
}

#[tokio::test]
async fn an_upstream_whose_certificate_is_of_another_authority_is_not_spoken_to() {
    let corp = Corp::start().await;
    let (trusted, other) = (Authority::new("trusted"), Authority::new("other"));
    let tls = Authority::server(&other.issue(&["localhost"]), &["http/1.1"], None);
    let upstream = ServedUpstream::over(Some(tls), describe).await;
    let url = format!("https://localhost:{}", upstream.address.port());
    let builder = corp.before(&url, "[upstreams.orders.tls]\nca = \"ca.pem\"\n");
    trusted.write(builder.folder(), "ca");
    let gateway = builder.start().await;
    let mut connection = Connection::open(gateway.address(), Protocol::Http1).await;
    let answer = connection.exchange(get(&gateway.url("/a"), Some(&corp.token()))).await;
    assert_eq!(answer.status, 502);
    assert_eq!(upstream.requests(), 0);

    other.write(gateway.folder.path(), "ca");
    gateway.running().reload().expect("it runs").expect("applied");
    let answer = connection.exchange(get(&gateway.url("/a"), Some(&corp.token()))).await;
    assert_eq!(answer.status, 201);
}

fn get(url: &str, token: Option<&str>) -> Request<AnyBody> {
    with_method(Method::GET, url, token)
}

fn with_method(method: Method, url: &str, token: Option<&str>) -> Request<AnyBody> {
    let mut builder = Request::builder().method(method).uri(url);
    if let Some(token) = token {
        builder = builder.header("authorization", format!("Bearer {token}"));
    }
    builder.body(empty()).expect("a request")
}

#[tokio::test]
async fn upstream_connections_are_used_again() {
    for protocol in ["http1", "http2"] {
        let corp = Corp::start().await;
        let upstream = ServedUpstream::start(describe).await;
        let builder = corp.before(&upstream.url(), &format!("protocol = \"{protocol}\"\n"));
        let gateway = builder.start().await;
        // One connection from downstream stays with one worker, and so with its connections.
        let mut connection = Connection::open(gateway.address(), Protocol::Http1).await;
        for number in 0..20 {
            let mut request = get(&gateway.url(&format!("/{number}")), Some(&corp.token()));
            *request.body_mut() = bytes("x".repeat(number * 1000));
            assert_eq!(connection.exchange(request).await.status, 201);
        }
        assert_eq!((upstream.requests(), upstream.connections()), (20, 1), "{protocol}");
    }
}

/// Upstreams that answer without a body, some of them with the length that a body would have had.
async fn bodiless(request: Request<Incoming>) -> Response<AnyBody> {
    let response = Response::builder();
    let response = match request.uri().path() {
        "/head" => response.header("content-length", "1234567").header("etag", "\"v1\""),
        "/204" => response.status(204),
        "/304" => response.status(304).header("content-length", "1234567").header("etag", "\"v1\""),
        "/length" => return response.body(bytes("twelve bytes")).expect("built"),
        _ => return response.body(frames(vec![Frame::data(Bytes::from("chunks"))])).expect("built"),
    };
    response.body(empty()).expect("built")
}

#[tokio::test]
async fn answers_without_a_body_leave_both_connections_in_order() {
    for upstream_protocol in ["http1", "http2"] {
        for protocol in PROTOCOLS {
            let what = format!("{protocol:?} -> {upstream_protocol}");
            let corp = Corp::start().await;
            let upstream = ServedUpstream::start(bodiless).await;
            let config = format!("protocol = \"{upstream_protocol}\"\n");
            let gateway = corp.before(&upstream.url(), &config).start().await;
            let mut connection = Connection::open(gateway.address(), protocol).await;
            let token = corp.token();
            for _ in 0..2 {
                let head = connection.exchange(with_method(Method::HEAD, &gateway.url("/head"), Some(&token))).await;
                assert_eq!((head.status, head.body.len()), (200, 0), "{what}");
                assert_eq!(head.headers["content-length"], "1234567", "{what}");
                let none = connection.exchange(get(&gateway.url("/204"), Some(&token))).await;
                assert_eq!((none.status, none.body.len()), (204, 0), "{what}");
                assert!(!none.headers.contains_key("content-length"), "{what}");
                let same = connection.exchange(get(&gateway.url("/304"), Some(&token))).await;
                assert_eq!((same.status, same.body.len()), (304, 0), "{what}");
                assert_eq!(same.headers["etag"], "\"v1\"", "{what}");
                let length = connection.exchange(get(&gateway.url("/length"), Some(&token))).await;
                assert_eq!(
                    (&length.headers["content-length"], &length.body[..]),
                    (&"12".parse().unwrap(), &b"twelve bytes"[..]),
                    "{what}"
                );
                let chunks = connection.exchange(get(&gateway.url("/chunks"), Some(&token))).await;
                assert_eq!(chunks.body, "chunks", "{what}");
                assert!(!chunks.headers.contains_key("content-length"), "{what}");
            }
            assert_eq!(upstream.connections(), 1, "{what}");
        }
    }
}
