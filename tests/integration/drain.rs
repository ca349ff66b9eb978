//! The end of the program: readiness first, then accepting, then what is under way, and no request is lost.

use std::{net::SocketAddr, path::Path, sync::Arc};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Semaphore,
    time::timeout,
};

use crate::support::{
    client::HttpClient,
    launch::{Launch, Process, write},
    lone_connection::Connection,
    scoped::{Scoped, whole},
    wait::{PATIENCE, until},
};

/// A spawned gateway whose route asks for the scope `a`.
struct House {
    scoped: Scoped,
    process: Process,
    address: SocketAddr,
    admin: SocketAddr,
    folder: TempDir,
}

impl House {
    /// `process` is what stands under `[process]`.
    async fn start(process: &str) -> Self {
        let scoped = Scoped::start().await;
        let folder = tempfile::tempdir().unwrap();
        let telemetry = "[telemetry]\naccess_log_to = \"access.log\"\n";
        let file = write(folder.path(), "postern.toml", &format!("[process]\n{process}{telemetry}{}", whole("a")));
        let process = scoped.variables(Launch::serve(folder.path(), &[&file])).start();
        process.running().await;
        let (address, admin) =
            (process.address_of("listener public").await, process.address_of("admin listener").await);
        Self { scoped, process, address, admin, folder }
    }

    async fn readiness(&self) -> Option<(u16, String)> {
        let request =
            crate::support::client::request(http::Method::GET, &format!("http://{}/readyz", self.admin), None);
        let answer = HttpClient::http1().try_send(request).await.ok()?;
        Some((answer.status.as_u16(), answer.text()))
    }

    async fn refuses_connections(&self) {
        until("the end of accepting", async || TcpStream::connect(self.address).await.is_err().then_some(())).await;
    }

    /// A request that is held back at the upstream.
    async fn request_under_way(&self, mut connection: Connection) -> tokio::task::JoinHandle<Ended> {
        self.scoped.upstream.hold();
        let (before, token) = (self.scoped.upstream.count(), self.scoped.token("a"));
        let task = tokio::spawn(async move {
            let status = connection.get("/x", Some(&token)).await.map(|answer| answer.status.as_u16());
            Ended { status, closed: connection.closed().await.map_err(|error| error.to_string()) }
        });
        until("the request to arrive", async || (self.scoped.upstream.count() > before).then_some(())).await;
        task
    }
}

/// How a connection with one request on it ended.
#[derive(Debug, PartialEq)]
struct Ended {
    status: Result<u16, String>,
    closed: Result<(), String>,
}

const IN_ORDER: Ended = Ended { status: Ok(200), closed: Ok(()) };

#[tokio::test]
async fn readiness_goes_first_then_accepting_then_what_is_under_way() {
    let mut house = House::start("drain_delay = \"4s\"\ngrace_period = \"30s\"\n").await;
    let mut idle = Connection::http1(house.address).await.unwrap();
    assert_eq!(idle.get("/x", Some(&house.scoped.token("a"))).await.unwrap().status, 200);
    let http1 = house.request_under_way(Connection::http1(house.address).await.unwrap()).await;
    let http2 = house.request_under_way(Connection::http2(house.address).await.unwrap()).await;
    assert_eq!(house.readiness().await.map(|(status, _)| status), Some(200));

    house.process.signal("TERM");
    let (status, text) =
        until("readiness to fail", async || house.readiness().await.filter(|(status, _)| *status != 200)).await;
    assert_eq!(status, 503);
    assert!(text.contains("\"status\":\"draining\""), "{text}");
    // Load balancers have not noticed yet: who still comes is served.
    let mut late = Connection::http1(house.address).await.expect("accepting goes on for drain_delay");
    assert_eq!(late.get("/x", None).await.expect("served").status, 401);
    assert!(idle.is_open());

    house.refuses_connections().await;
    for idle in [idle, late] {
        timeout(PATIENCE, idle.closed()).await.expect("an idle connection is closed").expect("in order");
    }
    assert!(house.process.runs(), "two requests are under way");
    assert_eq!(house.readiness().await.map(|(status, _)| status), Some(503), "the admin listener stays to the end");
    house.scoped.upstream.release();
    assert_eq!((http1.await.unwrap(), http2.await.unwrap()), (IN_ORDER, IN_ORDER));
    assert_eq!(house.process.ended().await.code(), Some(0));
    let log = std::fs::read_to_string(house.folder.path().join("access.log")).unwrap();
    assert_eq!(log.lines().count(), 4, "the log was written out: {log}");
}

#[tokio::test]
async fn an_idle_http2_connection_gets_goaway() {
    let mut house = House::start("").await;
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    // The preface, and empty settings (RFC 9113 sections 3.4 and 6.5).
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    assert_eq!(frame(&mut stream).await, Some(0x4), "the other side's settings");
    house.process.signal("TERM");
    let mut seen = Vec::new();
    while let Some(kind) = timeout(PATIENCE, frame(&mut stream)).await.expect("frames until the end") {
        seen.push(kind);
    }
    assert!(seen.contains(&0x7), "no GOAWAY among the frames {seen:?}");
    assert_eq!(house.process.ended().await.code(), Some(0));
}

/// The type of the next frame (RFC 9113 section 4.1); nothing at the end. A PING is answered, as any client does.
async fn frame(stream: &mut TcpStream) -> Option<u8> {
    let mut header = [0; 9];
    stream.read_exact(&mut header).await.ok()?;
    let length = usize::from(header[1]) << 8 | usize::from(header[2]);
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).await.ok()?;
    if header[3] == 0x6 && header[4] & 1 == 0 {
        let answer = [&[0, 0, 8, 6, 1, 0, 0, 0, 0], payload.as_slice()].concat();
        stream.write_all(&answer).await.ok()?;
    }
    Some(header[3])
}

#[tokio::test]
async fn what_outlasts_the_grace_period_is_cut() {
    let mut house = House::start("grace_period = \"1s\"\n").await;
    let stuck = house.request_under_way(Connection::http1(house.address).await.unwrap()).await;
    house.process.signal("TERM");
    let ended = stuck.await.unwrap();
    assert!(ended.status.is_err(), "{ended:?}");
    assert_eq!(house.process.ended().await.code(), Some(0));
    let log = house.process.log();
    assert!(log.lines().any(|line| line.contains("connections ended") && line.contains(" cut=1")), "{log}");
}

#[tokio::test]
async fn a_second_signal_stops_at_once() {
    for (first, second) in [("TERM", "TERM"), ("INT", "TERM")] {
        let mut house = House::start("grace_period = \"1h\"\n").await;
        let stuck = house.request_under_way(Connection::http1(house.address).await.unwrap()).await;
        house.process.signal(first);
        house.refuses_connections().await;
        assert!(house.process.runs(), "one request is under way");
        house.process.signal(second);
        assert_eq!(house.process.ended().await.code(), Some(0));
        assert!(stuck.await.unwrap().status.is_err());
    }
}

#[tokio::test]
async fn a_reload_that_is_asked_for_meanwhile_opens_nothing_again() {
    let mut house = House::start("grace_period = \"1h\"\n").await;
    let under_way = house.request_under_way(Connection::http1(house.address).await.unwrap()).await;
    house.process.signal("TERM");
    house.refuses_connections().await;
    let reload = format!("http://{}/api/v1/reload", house.admin);
    let reload = crate::support::client::request(http::Method::POST, &reload, None);
    let answer = HttpClient::http1().send(reload).await;
    assert!(answer.status.is_success() || answer.status == 422, "{}", answer.text());
    house.process.signal("HUP");
    assert!(TcpStream::connect(house.address).await.is_err(), "it listens again");
    house.scoped.upstream.release();
    assert_eq!(under_way.await.unwrap(), IN_ORDER);
    assert_eq!(house.process.ended().await.code(), Some(0));
}

#[tokio::test]
async fn sighup_before_the_program_is_up_does_not_end_it() {
    let scoped = Scoped::start().await;
    scoped.issuer.conduct(crate::support::issuer::Conduct::Slow(std::time::Duration::from_secs(2)));
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "postern.toml", &whole("a"));
    let mut process = scoped.variables(Launch::serve(folder.path(), &[&file])).start();
    until("the first fetch of keys", async || (scoped.issuer.key_fetches() > 0).then_some(())).await;
    process.signal("HUP");
    process.running().await;
    assert!(process.runs());
    process.signal("TERM");
    assert_eq!(process.ended().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_no_request_is_lost() {
    let mut house = House::start("grace_period = \"30s\"\n").await;
    let token: Arc<str> = house.scoped.token("a").into();
    let warm = Arc::new(Semaphore::new(0));
    let mut loads = Vec::new();
    for index in 0..8 {
        let (address, token, warm) = (house.address, Arc::clone(&token), Arc::clone(&warm));
        loads.push(tokio::spawn(load(address, token, warm, index % 4 == 0)));
    }
    let _all = timeout(PATIENCE, warm.acquire_many(8)).await.expect("every connection is under load").unwrap();
    house.process.signal("TERM");
    let mut answered = 0;
    for load in loads {
        answered += timeout(PATIENCE, load).await.expect("the load ends").expect("no request was lost");
    }
    assert_eq!(house.process.ended().await.code(), Some(0));
    assert_eq!(house.scoped.upstream.count(), answered, "what was forwarded was answered");
    assert_eq!(lines_of(house.folder.path()), answered);
}

fn lines_of(folder: &Path) -> usize {
    std::fs::read_to_string(folder.join("access.log")).unwrap().lines().count()
}

/// Sends one request after the other, on a new connection when the last one was closed, until none is accepted. Gives how
/// many were answered.
async fn load(address: SocketAddr, token: Arc<str>, warm: Arc<Semaphore>, http2: bool) -> usize {
    let mut answered = 0;
    loop {
        let connected = if http2 { Connection::http2(address).await } else { Connection::http1(address).await };
        let Ok(mut connection) = connected else { return answered };
        let mut is_fresh = true;
        while connection.is_ready().await {
            let answer = match connection.get("/x", Some(&token)).await {
                Ok(answer) => answer,
                // The kernel completes connections that are never accepted, and resets them when the socket is closed: to its
                // client such a one is one that could not be made.
                Err(_) if is_fresh => break,
                // After GOAWAY a client is told that its request was not taken, and may send it elsewhere (RFC 9113
                // section 6.8); so too on a connection that was closed before it was used.
                Err(error) if ["Canceled", "ChannelClosed", "GoAway"].iter().any(|word| error.contains(word)) => break,
                Err(error) => panic!("request {answered} was lost: {error}"),
            };
            assert_eq!(answer.status, 200, "{}", answer.text());
            answered += 1;
            is_fresh = false;
            if answered == 20 {
                warm.add_permits(1);
            }
        }
    }
}
