//! Upstreams that speak HTTP/1.1 wrongly, byte by byte: what they say is refused, cut off, or understood in one way, and never
//! given to the next request.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use http::Method;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Notify,
};

use crate::support::{
    client::{HttpClient, request},
    corp::Corp,
    gateway::Gateway,
    raw::{RawServer, exchange, read_head},
    wait::until,
};

const CONTROL: &str = "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\ncontrol";
const FORGED: &str = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged";

/// What the upstream does after its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// It waits for the next request.
    Waits,
    /// It closes.
    Closes,
}

/// What the caller gets.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Gets {
    /// The answer, with this body, to its end.
    Whole(u16, &'static str),
    /// A 502.
    Refused,
    /// A beginning, and an end that says that something is missing.
    Aborted,
}

/// One answer of the upstream.
struct Case {
    what: &'static str,
    answer: Vec<u8>,
    then: Then,
    gets: Gets,
    /// Whether the connection may carry another request.
    reused: bool,
}

/// The scene: an upstream that answers requests to `/attack` as it is told to and all others well, and a gateway with one
/// worker, so that a connection that could be used again would be.
struct World {
    corp: Corp,
    script: Arc<Mutex<(Vec<u8>, Then)>>,
    /// Every request that arrived: the number of its connection, and its target.
    arrived: Arc<Mutex<Vec<(usize, String)>>>,
    gateway: Gateway,
    client: HttpClient,
    _server: RawServer,
}

impl World {
    async fn new() -> Self {
        let script = Arc::new(Mutex::new((Vec::new(), Then::Waits)));
        let arrived: Arc<Mutex<Vec<(usize, String)>>> = Arc::default();
        let (told, heard) = (Arc::clone(&script), Arc::clone(&arrived));
        let connections = Arc::new(Mutex::new(0));
        let server = RawServer::start(move |mut stream| {
            let (told, heard) = (Arc::clone(&told), Arc::clone(&heard));
            let mut counted = connections.lock().expect("not poisoned");
            *counted += 1;
            let number = *counted;
            async move {
                loop {
                    let head = read_head(&mut stream).await;
                    let Some(target) = head.split(' ').nth(1) else { return };
                    heard.lock().expect("not poisoned").push((number, target.to_owned()));
                    let (answer, then) = match target {
                        "/attack" => told.lock().expect("not poisoned").clone(),
                        _ => (CONTROL.as_bytes().to_vec(), Then::Waits),
                    };
                    if stream.write_all(&answer).await.is_err() || then == Then::Closes {
                        return;
                    }
                }
            }
        })
        .await;
        let corp = Corp::start().await;
        let gateway = corp.before(&server.url(), "response_header_timeout = \"2s\"\n").one_worker().start().await;
        Self { corp, script, arrived, gateway, client: HttpClient::http1(), _server: server }
    }

    async fn get(&self, client: &HttpClient, method: Method, path: &str) -> Result<(u16, String), String> {
        let asked = request(method, &self.gateway.url(path), Some(&self.corp.token()));
        let answer = client.try_send(asked).await?;
        Ok((answer.status.as_u16(), answer.text()))
    }

    fn last(&self) -> (usize, String) {
        self.arrived.lock().expect("not poisoned").last().expect("a request").clone()
    }

    /// One attack and the control behind it, which must get its own answer, over another connection unless the first is still good.
    async fn run(&self, client: &HttpClient, method: Method, case: &Case) {
        let what = case.what;
        *self.script.lock().expect("not poisoned") = (case.answer.clone(), case.then);
        let got = self.get(client, method.clone(), "/attack").await;
        match (&got, &case.gets) {
            (Ok((status, body)), Gets::Whole(expected, text)) => {
                assert_eq!((*status, body.as_str()), (*expected, *text), "{what}");
            }
            (Ok((502, _)), Gets::Refused) | (Err(_), Gets::Aborted) => {}
            _ => panic!("{what}: {got:?}, not {:?}", case.gets),
        }
        let (attacked, _) = self.last();
        let control = self.get(&self.client, Method::GET, "/control").await;
        assert_eq!(control, Ok((200, "control".to_owned())), "{what}");
        let (connection, target) = self.last();
        assert_eq!((target.as_str(), connection == attacked), ("/control", case.reused), "{what}: used again?");
    }
}

fn case(what: &'static str, answer: impl Into<Vec<u8>>, then: Then, gets: Gets, reused: bool) -> Case {
    Case { what, answer: answer.into(), then, gets, reused }
}

fn refused(what: &'static str, answer: impl Into<Vec<u8>>) -> Case {
    case(what, answer, Then::Waits, Gets::Refused, false)
}

fn aborted(what: &'static str, answer: &str, then: Then) -> Case {
    case(what, answer, then, Gets::Aborted, false)
}

fn cases() -> Vec<Case> {
    use Then::{Closes, Waits};
    let ok = |head: &str, body: &str| format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}");
    let hello = || Gets::Whole(200, "hello");
    vec![
        // Where the answer ends.
        case("a good length", ok("content-length: 5", "hello"), Waits, hello(), true),
        case("good chunks", ok("transfer-encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"), Waits, hello(), true),
        case(
            "a length and chunks",
            ok("content-length: 3\r\ntransfer-encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"),
            Waits,
            hello(),
            false,
        ),
        case(
            "chunks and a length",
            ok("transfer-encoding: chunked\r\ncontent-length: 30", "5\r\nhello\r\n0\r\n\r\n"),
            Waits,
            hello(),
            false,
        ),
        case("no length", ok("x-note: 1", "hello"), Closes, hello(), false),
        case("connection: close", ok("connection: close\r\ncontent-length: 5", "hello"), Waits, hello(), false),
        case("HTTP/1.0", "HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello", Waits, hello(), false),
        case("HTTP/1.0 without a length", "HTTP/1.0 200 OK\r\n\r\nhello", Closes, hello(), false),
        refused("two lengths", ok("content-length: 5\r\ncontent-length: 6", "hello!")),
        refused("two lengths in one", ok("content-length: 5, 6", "hello!")),
        refused("one length twice", ok("content-length: 5\r\ncontent-length: 5", "hello")),
        refused("one length twice in one", ok("content-length: 5, 5", "hello")),
        refused("a length of +5", ok("content-length: +5", "hello")),
        refused("a length of 0x5", ok("content-length: 0x5", "hello")),
        refused("a length of -5", ok("content-length: -5", "hello")),
        refused("an empty length", ok("content-length:", "hello")),
        refused("a length of 2^64", ok("content-length: 18446744073709551616", "hello")),
        refused("a coding that is not undone", ok("transfer-encoding: gzip, chunked", "5\r\nhello\r\n0\r\n\r\n")),
        refused("a coding that there is not", ok("transfer-encoding: xchunked", "5\r\nhello\r\n0\r\n\r\n")),
        refused("chunked twice", ok("transfer-encoding: chunked, chunked", "5\r\nhello\r\n0\r\n\r\n")),
        refused(
            "chunked in two fields",
            ok("transfer-encoding: chunked\r\ntransfer-encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"),
        ),
        refused("chunks in HTTP/1.0", "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        // Heads that are none.
        refused("obs-fold", ok("x-note: a\r\n b\r\ncontent-length: 5", "hello")),
        refused("a space before the colon", ok("content-length : 5", "hello")),
        refused("a space before the first field", ok(" x-note: 1\r\ncontent-length: 5", "hello")),
        refused("a field without a name", ok(": 1\r\ncontent-length: 5", "hello")),
        refused("a field without a colon", ok("x-note\r\ncontent-length: 5", "hello")),
        refused("NUL in a value", ok("x-note: a\0b\r\ncontent-length: 5", "hello")),
        refused("CR in a value", ok("x-note: a\rb\r\ncontent-length: 5", "hello")),
        refused("no HTTP", "SSH-2.0-OpenSSH_9.9\r\n\r\n"),
        refused("HTTP/0.9", "<html>hello</html>\r\n\r\n"),
        refused("HTTP/2.0", "HTTP/2.0 200 OK\r\ncontent-length: 5\r\n\r\nhello"),
        refused("a status of two digits", "HTTP/1.1 20 OK\r\ncontent-length: 5\r\n\r\nhello"),
        refused("a status of four digits", "HTTP/1.1 2000 OK\r\ncontent-length: 5\r\n\r\nhello"),
        refused("a status of 0", "HTTP/1.1 000 OK\r\ncontent-length: 5\r\n\r\nhello"),
        refused(
            "101 that nobody asked for",
            format!("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n{FORGED}"),
        ),
        refused("a head of more than 64 KiB", ok(&format!("x-long: {}", "x".repeat(70_000)), "")),
        refused("a head that never ends", format!("HTTP/1.1 200 OK\r\n{}", "x-more: 1\r\n".repeat(8000))),
        refused("more than 100 fields", ok(&"x-more: 1\r\n".repeat(200), "")),
        case("closed in the head", "HTTP/1.1 200 OK\r\ncontent-le", Closes, Gets::Refused, false),
        // Bodies that are none.
        aborted("a body shorter than its length", &ok("content-length: 10", "hello"), Closes),
        aborted("chunks without an end", &ok("transfer-encoding: chunked", "5\r\nhello\r\n"), Closes),
        aborted("a chunk that is cut off", &ok("transfer-encoding: chunked", "5\r\nhel"), Closes),
        aborted(
            "a chunk of more than 2^64",
            &ok("transfer-encoding: chunked", "5\r\nhello\r\nfffffffffffffffff\r\nx"),
            Waits,
        ),
        aborted("a chunk of -1", &ok("transfer-encoding: chunked", "5\r\nhello\r\n-1\r\nx"), Waits),
        aborted("a chunk of 0x5", &ok("transfer-encoding: chunked", "5\r\nhello\r\n0x5\r\nhello\r\n0\r\n\r\n"), Waits),
        aborted("a chunk longer than its size", &ok("transfer-encoding: chunked", "5\r\nhello!!\r\n0\r\n\r\n"), Waits),
        aborted(
            "a chunk's size and a bare LF",
            &ok("transfer-encoding: chunked", "5\r\nhello\r\n5\nhello\r\n0\r\n\r\n"),
            Waits,
        ),
        // Answers that nobody asked for.
        case(
            "a forged answer behind the body",
            ok("content-length: 5", &format!("hello{FORGED}")),
            Waits,
            hello(),
            false,
        ),
        case(
            "a forged answer behind the chunks",
            ok("transfer-encoding: chunked", &format!("5\r\nhello\r\n0\r\n\r\n{FORGED}")),
            Waits,
            hello(),
            false,
        ),
        case(
            "a forged answer behind an empty one",
            ok("content-length: 0", FORGED),
            Waits,
            Gets::Whole(200, ""),
            false,
        ),
        case(
            "a 204 with a body",
            format!("HTTP/1.1 204 No Content\r\n\r\n{FORGED}"),
            Waits,
            Gets::Whole(204, ""),
            false,
        ),
        case(
            "a 204 with a length",
            format!("HTTP/1.1 204 No Content\r\ncontent-length: 45\r\n\r\n{FORGED}"),
            Waits,
            Gets::Whole(204, ""),
            false,
        ),
        case(
            "a 304 with a body",
            format!("HTTP/1.1 304 Not Modified\r\ncontent-length: 45\r\n\r\n{FORGED}"),
            Waits,
            Gets::Whole(304, ""),
            false,
        ),
        // Interim answers.
        case(
            "100, 102 and 103 before the answer",
            format!(
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n{}",
                ok("content-length: 5", "hello")
            ),
            Waits,
            hello(),
            true,
        ),
        case(
            "interim answers and no other",
            "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(3),
            Closes,
            Gets::Refused,
            false,
        ),
    ]
}

#[tokio::test]
async fn answers_that_are_none() {
    let world = World::new().await;
    for case in cases() {
        world.run(&world.client, Method::GET, &case).await;
    }
    let body = case(
        "a body for HEAD",
        format!("HTTP/1.1 200 OK\r\ncontent-length: 45\r\n\r\n{FORGED}"),
        Then::Waits,
        Gets::Whole(200, ""),
        false,
    );
    world.run(&world.client, Method::HEAD, &body).await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_whole_one_over_http2_either() {
    let world = World::new().await;
    let client = HttpClient::http2();
    for case in cases().into_iter().filter(|case| case.gets == Gets::Aborted) {
        world.run(&client, Method::GET, &case).await;
    }
}

#[tokio::test]
async fn of_two_lengths_neither_is_passed_on_together() {
    let world = World::new().await;
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    *world.script.lock().expect("not poisoned") = (answer.into(), Then::Waits);
    let token = world.corp.token();
    let asked =
        format!("GET /attack HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n");
    let got = exchange(world.gateway.address(), asked).await;
    assert_eq!((got.status, got.header("content-length"), got.header("transfer-encoding")), (200, "", "chunked"));
    assert_eq!(got.rest, "5\r\nhello\r\n0\r\n\r\n");
}

#[tokio::test]
async fn bare_line_feeds_are_read_in_one_way() {
    // RFC 9112 section 2.2 lets a recipient take them for line ends. What goes on from here has none.
    let world = World::new().await;
    let answer = "HTTP/1.1 200 OK\ncontent-length: 5\nx-note: a\n\nhello";
    *world.script.lock().expect("not poisoned") = (answer.into(), Then::Waits);
    let token = world.corp.token();
    let asked =
        format!("GET /attack HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n");
    let got = exchange(world.gateway.address(), asked).await;
    if got.status != 502 {
        assert_eq!((got.status, got.header("x-note"), got.rest.as_str()), (200, "a", "hello"));
        let head = got.text.split("\r\n\r\n").next().expect("a head");
        assert!(!head.replace("\r\n", "").contains('\n'), "{head:?}");
    }
    assert_eq!(world.get(&world.client, Method::GET, "/control").await, Ok((200, "control".to_owned())));
}

#[tokio::test]
async fn what_an_idle_connection_says_is_nobodys_answer() {
    let corp = Corp::start().await;
    let (speak, spoken) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (told, done) = (Arc::clone(&speak), Arc::clone(&spoken));
    let server = RawServer::start(move |mut stream: TcpStream| {
        let (told, done) = (Arc::clone(&told), Arc::clone(&done));
        async move {
            assert!(!read_head(&mut stream).await.is_empty(), "a request");
            stream.write_all(CONTROL.as_bytes()).await.expect("sent");
            told.notified().await;
            // Whether it arrives does not matter: it is not to be heard.
            let _ = stream.write_all(FORGED.as_bytes()).await;
            let mut left = Vec::new();
            // The gateway has thrown the connection away.
            let _ = stream.read_to_end(&mut left).await;
            assert_eq!(String::from_utf8_lossy(&left), "", "nothing more is sent on it");
            done.notify_one();
        }
    })
    .await;
    let gateway = corp.before(&server.url(), "").one_worker().start().await;
    let client = HttpClient::http1();
    for round in 1..=3 {
        let answer = client.get(&gateway.url("/a"), Some(&corp.token())).await;
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, "control"), "{round}");
        assert_eq!(server.connections(), round);
        speak.notify_one();
        tokio::time::timeout(Duration::from_secs(20), spoken.notified()).await.expect("it is closed in time");
    }
}

#[tokio::test]
async fn interim_answers_without_an_end_are_cut_off() {
    let corp = Corp::start().await;
    let server = RawServer::start(|mut stream| async move {
        let head = read_head(&mut stream).await;
        if head.starts_with("GET /control ") {
            let _ = stream.write_all(CONTROL.as_bytes()).await;
            return;
        }
        let interim = "HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n".repeat(100);
        while stream.write_all(interim.as_bytes()).await.is_ok() {}
    })
    .await;
    let gateway = corp.before(&server.url(), "response_header_timeout = \"1m\"\n").one_worker().start().await;
    let client = HttpClient::http1();
    let token = corp.token();
    let flooded = tokio::spawn({
        let (client, url, token) = (client.clone(), gateway.url("/attack"), token.clone());
        async move { client.get(&url, Some(&token)).await }
    });
    until("the flood has begun", async || (server.connections() > 0).then_some(())).await;
    for _ in 0..20 {
        let control = client.get(&gateway.url("/control"), Some(&token)).await;
        assert_eq!((control.status.as_u16(), control.text().as_str()), (200, "control"), "the worker is not held up");
    }
    let flooded = tokio::time::timeout(Duration::from_secs(20), flooded).await.expect("an end in time");
    assert_eq!(flooded.expect("no panic").status, 502);
}
