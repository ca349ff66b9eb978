//! What must hold of the bytes of a connection, tried on a server that listens: whatever comes, it makes no difference how it is
//! cut into packets, and nothing is heard that could be heard otherwise.

use std::{
    cell::RefCell,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    rc::Rc,
    time::Duration,
};

use bytes::Bytes;
use http::{Method, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use postern::{
    clock::UnixTime,
    config,
    diagnostic::Diagnostics,
    http::{Request, Response},
    server::{ConnectionInfo, DownstreamBody, Handler, Listeners, RequestFault, Server, run_worker},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    runtime::{Builder, LocalOptions, LocalRuntime},
    task::{spawn_local, yield_now},
    time::timeout,
};

/// Longer than any input takes; who waits so long has found a connection that is never ended.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a server may have its turn before the next piece comes, so that it sees the pieces one by one.
const TURNS: u32 = 3;
/// A request that is in order.
const SOUND: &[u8] = b"GET /sound HTTP/1.1\r\nhost: a\r\n\r\n";

const CONFIGURATION: &str = r#"
[process]
max_lateness = "1h"
[listeners.plain]
address = "127.0.0.1:0"
limits = { header_bytes = "1KiB", headers = 8 }
[listeners.proxied]
address = "127.0.0.1:0"
proxy_protocol_from = ["127.0.0.0/8"]
"#;

/// What came of a head.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Heard {
    Request { method: Method, target: String, fields: Vec<(String, Vec<u8>)>, body: Option<Bytes>, peer: IpAddr },
    Fault(RequestFault),
}

/// Notes what it hears.
#[derive(Clone, Default)]
struct Listening {
    heard: Rc<RefCell<Vec<Heard>>>,
}

impl Handler for Listening {
    type Body = Full<Bytes>;

    async fn handle(&self, request: Request<DownstreamBody>, connection: &Rc<ConnectionInfo>) -> Response<Self::Body> {
        let Request { head, body } = request;
        // What was there of a body that broke off is a matter of chance.
        let body = body.collect().await.ok().map(|body| body.to_bytes());
        let fields = head.fields.iter().map(|(name, value)| (name.to_string(), value.to_vec())).collect();
        let (method, target, peer) = (head.method, head.uri.to_string(), connection.peer.ip());
        self.heard.borrow_mut().push(Heard::Request { method, target, fields, body, peer });
        Response::new(StatusCode::OK, Full::default())
    }

    fn put_aside(&self, fault: RequestFault, _: &Rc<ConnectionInfo>) -> Response<Self::Body> {
        self.heard.borrow_mut().push(Heard::Fault(fault));
        Response::new(StatusCode::OK, Full::default())
    }

    fn overloaded(&self, _: &Request<DownstreamBody>, _: &Rc<ConnectionInfo>) -> Response<Self::Body> {
        panic!("there is one connection at a time")
    }
}

/// A server, and whoever calls it, in one thread.
struct House {
    runtime: LocalRuntime,
    server: Server,
    listening: Listening,
}

thread_local! {
    static HOUSE: House = House::build();
}

impl House {
    fn build() -> Self {
        let loaded = config::load_text("wire.toml", CONFIGURATION, &std::collections::BTreeMap::new()).0;
        let config = loaded.into_config().expect("a configuration").config;
        let now = UnixTime::from_seconds(1_700_000_000);
        let listeners = Listeners::compile(&config, None, now, &mut Diagnostics::new()).expect("listeners");
        let runtime =
            Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).expect("a runtime");
        let listening = Listening::default();
        let server = runtime.block_on(async {
            let (server, mut seats) = Server::new(NonZeroUsize::MIN);
            server.apply(&listeners, Duration::ZERO).expect("sockets");
            spawn_local(run_worker(listening.clone(), seats.pop().expect("a seat")));
            server
        });
        Self { runtime, server, listening }
    }

    /// What is heard of a connection on which these pieces come, until it is closed.
    fn hear<'a>(&self, listener: &str, pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Heard> {
        let address = self.server.address_of(listener).expect("an address");
        let talking = async { timeout(PATIENCE, talk(address, pieces)).await.expect("the connection ends") };
        self.runtime.block_on(talking);
        self.listening.heard.take()
    }

    /// The same however it is cut.
    fn hear_however_cut(&self, listener: &str, bytes: &[u8]) -> Vec<Heard> {
        let whole = self.hear(listener, std::iter::once(bytes));
        // Somewhere else for each input, and the same for the same one.
        let sum = bytes.iter().fold(bytes.len(), |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
        let (begin, end) = bytes.split_at(sum % (bytes.len() + 1));
        let in_two = self.hear(listener, [begin, end].into_iter());
        assert_eq!(whole, in_two, "cut after {} bytes: {}", begin.len(), bytes.escape_ascii());
        let size = 1 + sum % 7;
        let in_many = self.hear(listener, bytes.chunks(size));
        assert_eq!(whole, in_many, "cut into pieces of {size}: {}", bytes.escape_ascii());
        whole
    }
}

async fn talk<'a>(address: SocketAddr, pieces: impl Iterator<Item = &'a [u8]>) {
    let stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("a socket's option");
    let (mut reader, mut writer) = stream.into_split();
    let writing = async {
        for piece in pieces.filter(|piece| !piece.is_empty()) {
            // Whoever has heard enough closes.
            if writer.write_all(piece).await.is_err() {
                break;
            }
            for _ in 0..TURNS {
                yield_now().await;
            }
        }
        let _ = writer.shutdown().await;
    };
    let reading = async {
        let mut answers = [0; 1024];
        while reader.read(&mut answers).await.is_ok_and(|read| read > 0) {}
    };
    tokio::join!(writing, reading);
}

/// What a caller sends over HTTP/1.1: it is heard in one way, and nothing is heard of it that another server could hear otherwise.
///
/// What begins as HTTP/2 does is passed over.
pub fn request_head(data: &[u8]) {
    if data.starts_with(b"PRI") {
        return;
    }
    let heard = HOUSE.with(|house| {
        let behind = house.hear("plain", [SOUND, data].into_iter());
        let is_first = matches!(behind.first(), Some(Heard::Request { target, .. }) if target == "/sound");
        assert!(is_first, "what comes behind takes nothing back");
        house.hear_however_cut("plain", data)
    });
    let ends = data.windows(4).filter(|window| *window == b"\r\n\r\n").count();
    for (index, one) in heard.iter().enumerate() {
        let Heard::Request { method, fields, body, .. } = one else {
            assert_eq!(index + 1, heard.len(), "nothing is heard after a fault");
            continue;
        };
        assert!(index < ends, "more is heard than was said");
        assert!(fields.len() <= 8, "no more fields than are allowed");
        let said = |name: header::HeaderName| {
            let of_name = move |(field, _): &&(String, Vec<u8>)| *field == name.as_str();
            fields.iter().filter(of_name).map(|(_, value)| value)
        };
        let (lengths, codings) = (said(header::CONTENT_LENGTH), said(header::TRANSFER_ENCODING));
        assert!(lengths.clone().count() + codings.clone().count() <= 1, "one word on where the body ends");
        for coding in codings {
            assert!(coding.trim_ascii().eq_ignore_ascii_case(b"chunked"), "no coding that is not undone");
        }
        for length in lengths {
            let length = std::str::from_utf8(length).expect("text").trim_ascii().parse::<u64>().expect("a number");
            let heard = body.as_ref().map(|body| u64::try_from(body.len()).expect("a length"));
            assert!(heard.is_none_or(|heard| heard == length), "the whole body, or none");
        }
        let has_bare_line_feed = fields.iter().any(|(_, value)| value.contains(&b'\n') || value.contains(&b'\r'));
        assert!(!has_bare_line_feed && !method.as_str().is_empty(), "no line within a line");
    }
}

/// The beginning of a connection from a load balancer (PROXY protocol, versions 1 and 2), and behind it a request that is in order: who
/// is said to call is the one of the header, or nothing is heard.
pub fn proxy_header(data: &[u8]) {
    const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
    let bytes = [data, SOUND].concat();
    let heard = HOUSE.with(|house| house.hear_however_cut("proxied", &bytes));
    if heard.is_empty() {
        return;
    }
    let Heard::Request { peer, .. } = heard.first().expect("something") else { return };
    if let Some(block) = bytes.strip_prefix(SIGNATURE) {
        let [command, family, _, _, addresses @ ..] = block else { panic!("a header that is not whole") };
        let said = match (command & 0x0F, family >> 4) {
            (1, 1) => IpAddr::from(addresses.first_chunk::<4>().copied().expect("an address")),
            (1, 2) => IpAddr::from(addresses.first_chunk::<16>().copied().expect("an address")).to_canonical(),
            _ => IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        assert_eq!(*peer, said, "{}", bytes.escape_ascii());
    } else {
        let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line = std::str::from_utf8(line).expect("text");
        let words: Vec<&str> = line.trim_ascii_end().split(' ').collect();
        let said = match words[..] {
            ["PROXY", "TCP4" | "TCP6", source, ..] => source.parse::<IpAddr>().expect("an address").to_canonical(),
            ["PROXY", "UNKNOWN", ..] => IpAddr::V4(Ipv4Addr::LOCALHOST),
            _ => panic!("heard behind no header: {line:?}"),
        };
        assert_eq!(*peer, said, "{line:?}");
    }
}
