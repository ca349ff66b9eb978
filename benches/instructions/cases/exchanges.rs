//! Whole exchanges: from a request that is there to what an upstream answered, and from a caller's bytes to the answer's. Caller and
//! upstream are in the same thread as the gateway.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use postern::{
    app::offline_surroundings,
    auth::{Access, Permit, PublicAccess, SharedTokenCache, WorkerTokenCache},
    clock::ManualClock,
    config::Environment,
    diagnostic::Diagnostics,
    gateway::{Gateway, Shared},
    http::Request,
    snapshot::{Snapshot, load_and_compile},
    telemetry::{AccessLog, Destination, Metrics, WorkerMetrics},
    upstream::{self, Upstream, WorkerPools},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::spawn_local,
    time::Instant,
};

use super::{
    Counter,
    scene::{self, ISSUER_AND_RULES, NOW},
    wire::{BODY_END, Caller, EXCHANGES, LISTENER, body, head, runtime, serve},
};

/// Enough for each of a few endpoints to have been chosen.
const UNTIL_ALL_ARE_CONNECTED: u32 = 200;

/// An upstream's endpoint that answers every head with the same.
async fn endpoint() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
    let address = listener.local_addr().expect("an address");
    spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            spawn_local(answer_all(stream));
        }
    });
    address
}

async fn answer_all(mut stream: TcpStream) {
    let body = body();
    let date = "date: Sat, 21 Nov 2026 07:00:00 GMT";
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{date}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut asked = Vec::with_capacity(4096);
    while stream.read_buf(&mut asked).await.is_ok_and(|read| read > 0) {
        if asked.ends_with(b"\r\n\r\n") {
            asked.clear();
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

fn upstream_of(endpoints: &[SocketAddr]) -> String {
    let endpoints: Vec<String> = endpoints.iter().map(|address| format!("http://{address}")).collect();
    format!("[upstreams.orders]\nendpoints = {endpoints:?}\n")
}

/// Forwarding a request over a connection that is there, and reading the answer; to the one endpoint, or to one of several.
pub(crate) fn forward(counter: &mut Counter, endpoints: usize) {
    let runtime = runtime();
    let addresses: Vec<SocketAddr> = (0..endpoints).map(|_| runtime.block_on(endpoint())).collect();
    let route = "[routes.open]\npath = \"/{*rest}\"\nupstream = \"orders\"\npublic = true\n";
    let config = scene::config(&(upstream_of(&addresses) + route));
    let upstreams = upstream::compile(&config, None, &mut Diagnostics::new()).expect("upstreams");
    let upstream = upstreams.by_name("orders").expect("an upstream");
    let route = config.routes.get("open").expect("a route");
    let access = Access::compile("open", route, None, &["rest"], &mut Diagnostics::new()).expect("a route");
    let Access::Public(access) = access else { return };
    let pools = WorkerPools::new();
    let exchange = |input: &mut Option<(Permit, Request<Empty<Bytes>>)>| {
        let input = input.take().expect("one request for each");
        runtime.block_on(forwarded(input, &upstream, &pools))
    };
    for _ in 0..UNTIL_ALL_ARE_CONNECTED {
        exchange(&mut Some(permitted(&access)));
    }
    counter.count_each(EXCHANGES, || Some(permitted(&access)), exchange);
}

fn permitted(access: &PublicAccess) -> (Permit, Request<Empty<Bytes>>) {
    (Permit::public(access), Request { head: scene::request("e30"), body: Empty::new() })
}

async fn forwarded(
    (permit, request): (Permit, Request<Empty<Bytes>>),
    upstream: &Arc<Upstream>,
    pools: &Rc<WorkerPools<Empty<Bytes>>>,
) -> usize {
    let deadline = Instant::now() + Duration::from_secs(3600);
    let caller = IpAddr::from(Ipv4Addr::LOCALHOST);
    let forwarded = upstream::forward(permit, request, upstream, pools, caller, deadline).await.expect("an answer");
    let body = forwarded.response.body.collect().await.expect("a body").to_bytes();
    assert!(body.ends_with(BODY_END.as_bytes()), "the whole answer");
    body.len()
}

/// The configuration of a gateway with a route that asks for a token and one that does not.
fn snapshot(upstream: SocketAddr) -> (Snapshot, Arc<Metrics>, WorkerMetrics) {
    let open = "[routes.open]\npath = \"/open/{*rest}\"\nupstream = \"orders\"\npublic = true\n";
    let text = [LISTENER, ISSUER_AND_RULES, open, &upstream_of(&[upstream])].concat();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("postern.toml");
    std::fs::write(&file, text).expect("a file");
    let (metrics, mut workers) = Metrics::new(1);
    let mut surroundings = offline_surroundings();
    surroundings.metrics = Arc::clone(&metrics);
    let environment: &dyn Environment = &BTreeMap::new();
    let judged = load_and_compile(&[file], environment, None, &surroundings);
    assert!(!judged.diagnostics.has_errors(), "{:?}", judged.diagnostics);
    let mut snapshot = judged.snapshot.expect("a snapshot");
    // Nobody is asked for keys here.
    snapshot.issuers = scene::issuers(&snapshot.config, &scene::signed("RS256").key);
    (snapshot, metrics, workers.pop().expect("a worker"))
}

fn gateway(counter: &mut Counter, request: &str, status: &str, end: &str) {
    let runtime = runtime();
    let upstream = runtime.block_on(endpoint());
    let (snapshot, metrics, worker) = snapshot(upstream);
    let current = Arc::new(ArcSwap::from_pointee(snapshot));
    let shared = Shared {
        current: Arc::clone(&current),
        access_log: Arc::new(AccessLog::start(&Destination::Off).expect("a log")),
        clock: ManualClock::starting_at(NOW).clock(),
        unmatched: metrics.unmatched(),
    };
    let (server, mut caller) = runtime.block_on(async {
        let gateway = Gateway::new(shared, worker, WorkerTokenCache::new(Arc::new(SharedTokenCache::new())));
        let (server, address) = serve(&current.load().listeners, gateway);
        (server, Caller::connect(address).await)
    });
    let answer = runtime.block_on(caller.exchange(request, end));
    let expected = format!("HTTP/1.1 {status} ");
    assert!(answer.starts_with(expected.as_bytes()), "{}", String::from_utf8_lossy(answer));
    counter.count(EXCHANGES, || runtime.block_on(caller.exchange(request, end)).len());
    drop(server);
}

/// A caller's request that goes to an endpoint directly: what in the other cases is not Postern's.
pub(crate) fn other_ends(counter: &mut Counter) {
    let runtime = runtime();
    let request = head("GET", "/orders/17?expand=lines") + "\r\n";
    let mut caller = runtime.block_on(async { Caller::connect(endpoint().await).await });
    counter.count(EXCHANGES, || runtime.block_on(caller.exchange(&request, BODY_END)).len());
}

/// A request on a route that asks for nothing, from its bytes to the answer's.
pub(crate) fn public(counter: &mut Counter) {
    gateway(counter, &(head("GET", "/open/orders/17?expand=lines") + "\r\n"), "200", BODY_END);
}

/// One on a route that asks for a token, which was seen before.
pub(crate) fn enforcing(counter: &mut Counter) {
    let mut request = head("GET", "/v1/tenants/acme/orders/17?expand=lines");
    write!(request, "authorization: Bearer {}\r\n\r\n", scene::signed("RS256").token).expect("text");
    gateway(counter, &request, "200", BODY_END);
}

/// One without the token that it needs.
pub(crate) fn refusing(counter: &mut Counter) {
    gateway(counter, &(head("GET", "/v1/tenants/acme/orders/17") + "\r\n"), "401", "}");
}
