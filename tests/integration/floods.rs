//! Floods and slow peers against the program itself: every one is ended in time, what it costs in memory is bounded, and good
//! clients on the same worker have every request answered meanwhile.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use http::Response;
use http_body_util::Full;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinHandle,
    time::{Instant, timeout},
};

use crate::support::{
    client::HttpClient,
    corp::{Corp, ISSUER, ROUTE},
    frames::{
        END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, FrameConnection, Outcome, WHOLE, block, cancel, frame, headers,
        kind, ping, settings, window_update,
    },
    lone_connection::Connection,
    openmetrics::Exposition,
    program::Program,
    upstream::RecordedUpstream,
    wait::until,
};

const MEBIBYTE: u64 = 1 << 20;
/// What the upstream answers to `/big`, and to `/huge`.
const BIG: usize = 1 << 20;
const HUGE: usize = 16 << 20;

/// One worker, so that the good and the bad meet on it, and timeouts that a test can wait for.
const CONFIG: &str = r#"
[process]
workers = 1
max_lateness = "5s"
[telemetry]
access_log_to = "access.log"
[admin]
address = "127.0.0.1:0"
[listeners.public]
address = "127.0.0.1:0"
[listeners.public.limits]
header_timeout = "1s"
body_idle_timeout = "2s"
idle_timeout = "4s"
[routes.bounded]
path = "/bounded"
upstream = "orders"
timeout = "3s"
[routes.bounded.require]
scopes = ["orders:read"]
"#;

struct World {
    corp: Corp,
    upstream: RecordedUpstream,
    postern: Program,
    client: HttpClient,
}

/// Clients that do nothing wrong, each on a connection of its own, as long as the attack goes on.
struct GoodClients {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    tasks: Vec<JoinHandle<()>>,
}

impl World {
    async fn new(upstream_protocol: &str) -> Self {
        let corp = Corp::start().await;
        let upstream = RecordedUpstream::answering(|asked| {
            let size = match asked.target.as_str() {
                "/big" => BIG,
                "/huge" => HUGE,
                _ => return Response::new(Full::from("upstream")),
            };
            Response::new(Full::from(vec![b'x'; size]))
        })
        .await;
        let orders = format!(
            "[upstreams.orders]\nendpoints = [\"{}\"]\nprotocol = \"{upstream_protocol}\"\nmax_connections = 1000\n",
            upstream.url()
        );
        let config = format!("{CONFIG}\n{ISSUER}\n{ROUTE}\n{orders}");
        let postern = Program::start(&config, &[("ISSUER", &corp.issuer.name())]).await;
        let world = Self { corp, upstream, postern, client: HttpClient::http1() };
        // What is made at the first request is there before anything is measured.
        let answer = world.client.get(&world.postern.url("/warm"), Some(&world.corp.token())).await;
        assert_eq!(answer.status, 200);
        world
    }

    fn address(&self) -> SocketAddr {
        self.postern.address("public")
    }

    async fn refused(&self, reason: &str) -> u64 {
        let answer = self.client.get(&self.postern.admin_url("/metrics"), None).await;
        let labels = [("listener", "public"), ("reason", reason)];
        Exposition::parse(&answer.text()).value("postern_listener_refused_total", &labels).expect("a sample") as u64
    }

    fn head<'a>(&self, path: &'a str, authorization: &'a str) -> Vec<(&'a str, &'a str)> {
        vec![
            (":method", "GET"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "api.test"),
            ("authorization", authorization),
        ]
    }

    fn good_clients(&self) -> GoodClients {
        let stop = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicUsize::new(0));
        let tasks = [false, true].map(|http2| {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            let (address, token) = (self.address(), self.corp.token());
            tokio::spawn(async move {
                let connection =
                    if http2 { Connection::http2(address).await } else { Connection::http1(address).await };
                let mut connection = connection.expect("a connection");
                while !stop.load(Ordering::SeqCst) {
                    let answer = timeout(Duration::from_secs(20), connection.get("/good", Some(&token))).await;
                    assert_eq!(answer.expect("an answer in time").expect("an answer").status, 200);
                    answered.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            })
        });
        GoodClients { stop, answered, tasks: tasks.into() }
    }

    /// Does `attack` while good clients go on, and says by how much memory grew at most.
    async fn during<T>(&self, what: &str, most: u64, attack: impl Future<Output = T>) -> T {
        let before = self.postern.peak_resident_bytes();
        let clients = self.good_clients();
        let begun = Instant::now();
        let result = attack.await;
        let took = begun.elapsed();
        let answered = clients.end().await;
        let grown = self.postern.peak_resident_bytes().saturating_sub(before);
        println!("{what}: {took:?}, {answered} good requests answered, {} KiB more at most", grown / 1024);
        assert!(grown < most, "{what}: {grown} bytes more");
        result
    }
}

impl GoodClients {
    /// Lets them finish, and says how many requests were answered: all of them, or the test has failed.
    async fn end(self) -> usize {
        let (before, wanted) = (self.answered.load(Ordering::SeqCst), self.tasks.len() * 2);
        until("good requests are answered", async || {
            (self.answered.load(Ordering::SeqCst) >= before + wanted).then_some(())
        })
        .await;
        self.stop.store(true, Ordering::SeqCst);
        for task in self.tasks {
            task.await.expect("every good request is answered");
        }
        self.answered.load(Ordering::SeqCst)
    }
}

/// Sends a flood on one connection until it is closed, and gives the code of the GOAWAY.
async fn flood(address: SocketAddr, opening: Vec<u8>, piece: impl Fn(u32) -> Vec<u8>, count: u32) -> Option<u32> {
    let mut connection = FrameConnection::client(address).await;
    connection.send(opening).await;
    for at in (0..count).step_by(100) {
        let pieces: Vec<u8> = (at..at + 100).flat_map(&piece).collect();
        if !connection.try_send(pieces).await {
            break;
        }
    }
    connection.goodbye().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_frames() {
    let world = World::new("http1").await;
    let (address, authorization) = (world.address(), format!("Bearer {}", world.corp.token()));
    let head = world.head("/attack", &authorization);
    let open = headers(END_HEADERS, 1, &head);
    let request = |at: u32| headers(WHOLE, 2 * at + 1, &head);
    let endless = frame(kind::HEADERS, 0, 1, &block(&head));
    type Piece<'a> = Box<dyn Fn(u32) -> Vec<u8> + 'a>;
    let floods: [(&str, Vec<u8>, Piece<'_>); 10] = [
        ("rapid reset", Vec::new(), Box::new(|at| [request(at), cancel(2 * at + 1)].concat())),
        ("PING", Vec::new(), Box::new(|_| ping())),
        ("PING acknowledgements", Vec::new(), Box::new(|_| frame(kind::PING, 1, 0, &[0; 8]))),
        ("SETTINGS", Vec::new(), Box::new(|at| settings(&[(4, 65_535 + at % 2)]))),
        ("empty DATA", open.clone(), Box::new(|_| frame(kind::DATA, 0, 1, &[]))),
        ("DATA of padding", open.clone(), Box::new(|_| frame(kind::DATA, 8, 1, &[3, 0, 0, 0]))),
        ("WINDOW_UPDATE", open, Box::new(|_| window_update(1, 1))),
        ("PRIORITY", Vec::new(), Box::new(|at| frame(kind::PRIORITY, 0, 2 * at + 1, &[0, 0, 0, 0, 1]))),
        ("frames of an unknown type", Vec::new(), Box::new(|_| frame(0xbe, 0, 0, b"what?"))),
        ("CONTINUATION", endless, Box::new(|_| frame(kind::CONTINUATION, 0, 1, &[]))),
    ];
    // These are for h2 to end: it counts the frames that it would have to keep.
    let by_h2 = ["rapid reset", "empty DATA", "DATA of padding", "CONTINUATION"];
    let mut floods_before = 0;
    for (what, opening, piece) in floods {
        let code = world.during(what, 24 * MEBIBYTE, flood(address, opening, piece, 10_000)).await;
        assert_eq!(code, Some(ENHANCE_YOUR_CALM), "{what}");
        if !by_h2.contains(&what) {
            floods_before += 1;
            until("it is counted", async || (world.refused("flood").await == floods_before).then_some(())).await;
        }
    }
    // Of the streams that were reset some had been begun, each with a good token: but none that was not.
    let attacks = world.upstream.requests().iter().filter(|arrived| arrived.target == "/attack").count();
    assert!(attacks < 1100, "{attacks}");
    assert!(world.upstream.requests().iter().all(|arrived| ["/attack", "/good", "/warm"].contains(&&*arrived.target)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rapid_reset_that_takes_its_time_between_requests() {
    let world = World::new("http1").await;
    let (address, authorization) = (world.address(), format!("Bearer {}", world.corp.token()));
    let head = world.head("/attack", &authorization);
    world.upstream.hold();
    let attack = async {
        let mut connection = FrameConnection::client(address).await;
        let mut stream = 1;
        // So few at a time that h2 does not mind, each begun before it is taken back.
        while stream < 20_000 {
            let begun: Vec<u8> = (0..10).flat_map(|at| headers(WHOLE, stream + 2 * at, &head)).collect();
            let reset: Vec<u8> = (0..10).flat_map(|at| cancel(stream + 2 * at)).collect();
            if !connection.try_send([begun, ping()].concat()).await || connection.wait_for(kind::PING).await.is_none() {
                break;
            }
            if !connection.try_send(reset).await {
                break;
            }
            stream += 20;
        }
        (connection.goodbye().await, stream)
    };
    let before = world.postern.peak_resident_bytes();
    let (code, streams) = timeout(Duration::from_secs(60), attack).await.expect("an end in time");
    println!("ended after {} streams, {} KiB more", streams / 2, (world.postern.peak_resident_bytes() - before) / 1024);
    assert_eq!(code, Some(ENHANCE_YOUR_CALM));
    assert!(streams < 20_000);
    until("it is counted", async || (world.refused("flood").await == 1).then_some(())).await;
    world.upstream.release();
    let answer = world.client.get(&world.postern.url("/good"), Some(&world.corp.token())).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_do_much_but_nothing_wrong() {
    let world = World::new("http1").await;
    let (address, token) = (world.address(), world.corp.token());
    let authorization = format!("Bearer {token}");

    // Thousands of requests on one connection.
    let mut connection = Connection::http2(address).await.expect("a connection");
    for _ in 0..3000 {
        assert_eq!(connection.get("/many", Some(&token)).await.expect("an answer").status, 200);
    }

    // A download in pieces of a kibibyte, of each of which we are told twice.
    let mut connection = FrameConnection::client(address).await;
    connection.send(headers(WHOLE, 1, &world.head("/huge", &authorization))).await;
    let (mut read, mut told) = (0, 0);
    loop {
        let frame = connection.next().await.expect("the connection lives");
        if frame.kind != kind::DATA {
            assert!(!matches!(frame.kind, kind::GOAWAY | kind::RST_STREAM), "{frame:?} after {read} bytes");
            continue;
        }
        read += frame.payload.len();
        if frame.flags & END_STREAM != 0 {
            break;
        }
        let mut updates = Vec::new();
        while told + 1024 <= read {
            updates.extend([window_update(1, 1024), window_update(0, 1024)].concat());
            told += 1024;
        }
        connection.send(updates).await;
    }
    assert_eq!(read, HUGE);

    // Hundreds of PINGs at once, and requests that are taken back, both now and then.
    connection.send(window_update(0, 1 << 24)).await;
    for round in 0..5u32 {
        connection.send(ping().repeat(200)).await;
        for _ in 0..200 {
            assert!(connection.wait_for(kind::PING).await.is_some());
        }
        let stream = 101 + 20 * round;
        let begun: Vec<u8> =
            (0..5).flat_map(|at| headers(WHOLE, stream + 2 * at, &world.head("/big", &authorization))).collect();
        connection.send(begun).await;
        assert!(connection.wait_for(kind::HEADERS).await.is_some());
        connection.send((0..5).flat_map(|at| cancel(stream + 2 * at)).collect::<Vec<u8>>()).await;
    }
    connection.send(headers(WHOLE, 1001, &world.head("/good", &authorization))).await;
    assert_eq!(connection.outcome(1001).await, Outcome::Answered(200, "upstream".to_owned()));
    assert_eq!(world.refused("flood").await, 0);
}

/// Asks for as much as there may be at once on each of some connections, and reads nothing.
async fn closed_windows(world: &World) {
    let authorization = format!("Bearer {}", world.corp.token());
    let connections = (0..2).map(async |_| {
        let mut connection = FrameConnection::client_with(world.address(), &[(1, 0), (4, 0)]).await;
        let requests: Vec<u8> =
            (0..100).flat_map(|at| headers(WHOLE, 2 * at + 1, &world.head("/big", &authorization))).collect();
        connection.send(requests).await;
        let mut reset = 0;
        while reset < 100 {
            assert!(connection.wait_for(kind::RST_STREAM).await.is_some(), "reset one by one, {reset} so far");
            reset += 1;
        }
        // The connection is still of use to those who read.
        connection.send(settings(&[(4, 65_535)])).await;
        connection.send(headers(WHOLE, 1001, &world.head("/good", &authorization))).await;
        assert_eq!(connection.outcome(1001).await, Outcome::Answered(200, "upstream".to_owned()));
    });
    join_all(connections).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn responses_that_nobody_reads_over_http2() {
    for protocol in ["http1", "http2"] {
        let world = World::new(protocol).await;
        // 200 responses; of each at most 64 KiB are kept downstream, 256 KiB upstream, and a piece on its way.
        let what = format!("closed windows before {protocol}");
        world.during(&what, 200 * MEBIBYTE, closed_windows(&world)).await;
        assert!(world.refused("stalled").await >= 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn responses_that_nobody_reads_over_http1() {
    let world = World::new("http1").await;
    let (address, token) = (world.address(), world.corp.token());
    let asked = format!("GET /huge HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\n\r\n");
    let readers = async {
        let readers = (0..50).map(async |_| {
            let mut stream = TcpStream::connect(address).await.expect("a connection");
            stream.write_all(asked.as_bytes()).await.expect("sent");
            stream
        });
        let mut readers = join_all(readers).await;
        until("they are given up", async || (world.refused("stalled").await >= 50).then_some(())).await;
        for reader in &mut readers {
            let mut answer = Vec::new();
            let _ = timeout(Duration::from_secs(20), reader.read_to_end(&mut answer)).await.expect("closed");
            assert!(answer.len() < HUGE, "cut off");
        }
    };
    world.during("slow readers", 100 * MEBIBYTE, readers).await;
}

/// Keeps sending one piece of `dribble` each tenth of a second until the other side closes; what came back.
async fn dribbling(address: SocketAddr, opening: &[u8], dribble: &[u8]) -> (Vec<u8>, Duration) {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let begun = Instant::now();
    stream.write_all(opening).await.expect("sent");
    let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        match timeout(Duration::from_millis(100), stream.read(&mut piece)).await {
            Ok(Ok(count)) if count > 0 => answer.extend(&piece[..count]),
            Ok(_) => return (answer, begun.elapsed()),
            Err(_) => {
                assert!(begun.elapsed() < Duration::from_secs(40), "never closed");
                // Closed for reading is not yet closed for writing.
                let _ = stream.write_all(dribble).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_and_bodies_that_do_not_come() {
    let world = World::new("http1").await;
    let address = world.address();
    let authorization = format!("authorization: Bearer {}\r\n", world.corp.token());
    let post =
        |path: &str| format!("POST {path} HTTP/1.1\r\nhost: a\r\n{authorization}content-length: 1000000\r\n\r\n");
    let (silent, dribbled) = (post("/attack"), post("/bounded"));
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let half_head = [&preface[..], &settings(&[]), &frame(kind::HEADERS, 0, 1, &[0x82])].concat();
    let cases: [(&str, &[u8], &[u8], &str); 8] = [
        ("nothing at all", b"", b"", ""),
        ("a head without an end", b"GET / HTTP/1.1\r\n", b"", ""),
        ("a head byte by byte", b"GET / HTTP/1.1\r\nx-slow: ", b"x", ""),
        ("a preface without an end", &preface[..10], b"", ""),
        ("a preface and nothing else", preface, b"", ""),
        ("a head of HTTP/2 without an end", &half_head, b"", ""),
        ("a body that does not come", silent.as_bytes(), b"", "HTTP/1.1 408 "),
        ("a body byte by byte", dribbled.as_bytes(), b"x", "HTTP/1.1 408 "),
    ];
    world
        .during("slow heads and bodies", 50 * MEBIBYTE, async {
            let slow = cases.iter().flat_map(|case| std::iter::repeat_n(case, 20)).map(async |case| {
                let (what, opening, dribble, expected) = case;
                let (answer, took) = dribbling(address, opening, dribble).await;
                let text = String::from_utf8_lossy(&answer);
                assert!(text.starts_with(expected), "{what}: {text}");
                (*what, took)
            });
            let mut longest = std::collections::BTreeMap::new();
            for (what, took) in join_all(slow).await {
                let most: &mut Duration = longest.entry(what).or_default();
                *most = (*most).max(took);
            }
            for (what, took) in longest {
                println!("{what}: closed after {took:?} at most");
            }
        })
        .await;
    assert!(
        world
            .upstream
            .requests()
            .iter()
            .all(|arrived| { ["/good", "/warm"].contains(&&*arrived.target) || arrived.body == b"(aborted)"[..] })
    );
}
