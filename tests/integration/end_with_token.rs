//! What streams on a route with `end_with_token` ends with the token that it was asked for with, and nothing else does.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use postern::clock::{ManualClock, UnixTime};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::{
    client::HttpClient,
    connection::{AnyBody, Connection, Protocol, bytes, empty, piecewise},
    corp::Corp,
    forge::now,
    gateway::{Gateway, GatewayBuilder},
    issuing::{self, BILLING, Issuing},
    openmetrics::scrape,
    served_upstream::ServedUpstream,
    wait::{PATIENCE, until},
};

const PROTOCOLS: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

/// The route that ends what streams, and one that does not.
const CONFIG: &str = r#"
[routes.tied]
path = "/tied/{*rest}"
upstream = "orders"
end_with_token = true
require.scopes = ["orders:read"]
[routes.free]
path = "/free/{*rest}"
upstream = "orders"
require.scopes = ["orders:read"]
[upstreams.orders]
endpoints = ["${UPSTREAM}"]
"#;

/// What became of uploads at the upstream: those whose body broke off, and those that arrived whole.
#[derive(Default)]
struct Uploads {
    broken: AtomicUsize,
    whole: AtomicUsize,
}

/// One that answers by the last part of the path: a piece and then nothing for ever, a piece every now and then, what was uploaded,
/// or a short answer.
async fn upstream() -> (ServedUpstream, Arc<Uploads>) {
    let uploads = Arc::new(Uploads::default());
    let seen = Arc::clone(&uploads);
    let served = ServedUpstream::start(move |request| answer(request, Arc::clone(&seen))).await;
    (served, uploads)
}

async fn answer(request: Request<Incoming>, uploads: Arc<Uploads>) -> Response<AnyBody> {
    let path = request.uri().path().to_owned();
    match path.rsplit('/').next().unwrap_or_default() {
        "quiet" => Response::new(pieces(Duration::from_secs(3600))),
        "busy" => Response::new(pieces(Duration::from_millis(20))),
        "upload" => {
            let mut body = request.into_body();
            let mut count = 0;
            loop {
                match body.frame().await {
                    Some(Ok(frame)) => count += frame.data_ref().map_or(0, Bytes::len),
                    Some(Err(_)) => {
                        uploads.broken.fetch_add(1, Ordering::SeqCst);
                        return Response::new(empty());
                    }
                    None => break,
                }
            }
            uploads.whole.fetch_add(1, Ordering::SeqCst);
            Response::new(bytes(count.to_string()))
        }
        _ => Response::new(bytes("short")),
    }
}

/// An event at once, and then one after each pause.
fn pieces(pause: Duration) -> AnyBody {
    let events = futures_util::stream::unfold(0, move |count| async move {
        if count > 0 {
            tokio::time::sleep(pause).await;
        }
        Some((Ok(Frame::data(Bytes::from(format!("data: {count}\n\n")))), count + 1))
    });
    StreamBody::new(events).boxed_unsync()
}

struct Scene {
    corp: Corp,
    clock: ManualClock,
    gateway: Gateway,
    uploads: Arc<Uploads>,
    _upstream: ServedUpstream,
}

impl Scene {
    async fn start() -> Self {
        let corp = Corp::start().await;
        let (upstream, uploads) = upstream().await;
        let clock = ManualClock::starting_at(UnixTime::from_seconds(now()));
        let gateway = corp.gateway(CONFIG).variable("UPSTREAM", &upstream.url()).clock(clock.clock()).start().await;
        Self { corp, clock, gateway, uploads, _upstream: upstream }
    }

    /// A token that is good for as long, by the gateway's clock; beside that there is the leeway of its issuer.
    fn token(&self, seconds: u64) -> String {
        let end = self.clock.clock().now().as_seconds() + seconds;
        self.corp.token_with(|claims| claims["exp"] = end.into())
    }

    async fn line(&self, path: &str) -> Value {
        let ended = || async { self.gateway.access_log().into_iter().find(|line| line["path"] == path) };
        until("the line is written", ended).await
    }

    async fn counted(&self) -> f64 {
        scrape(&HttpClient::http1(), &self.gateway).await.sum("postern_token_ended_total", &[("route", "tied")])
    }
}

fn request(method: Method, url: &str, token: &str, body: AnyBody) -> Request<AnyBody> {
    let builder = Request::builder().method(method).uri(url).header("authorization", format!("Bearer {token}"));
    builder.body(body).expect("a request")
}

/// Begins an answer and reads its first piece.
async fn begin(gateway: &Gateway, protocol: Protocol, path: &str, token: &str) -> (Connection, Incoming) {
    let mut connection = Connection::open(gateway.address(), protocol).await;
    let answer = connection.send(request(Method::GET, &gateway.url(path), token, empty())).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let mut body = answer.into_body();
    next(&mut body).await.expect("a first piece");
    (connection, body)
}

/// The next piece; an error if it broke off, and a failed test if it looks complete or nothing comes.
async fn next(body: &mut Incoming) -> Result<Bytes, String> {
    let frame = timeout(PATIENCE, body.frame()).await.expect("something in time").expect("it does not look complete");
    frame.map(|frame| frame.into_data().unwrap_or_default()).map_err(|error| format!("{error:?}"))
}

/// Reads until it breaks off.
async fn broken(body: &mut Incoming) -> String {
    let reading = async {
        loop {
            if let Err(error) = next(body).await {
                return error;
            }
        }
    };
    timeout(PATIENCE, reading).await.expect("it breaks off in time")
}

#[tokio::test]
async fn answers_break_off_when_their_token_expires() {
    let scene = Scene::start().await;
    let mut number = 0.0;
    for protocol in PROTOCOLS {
        for kind in ["quiet", "busy"] {
            let path = format!("/tied/{protocol:?}/{kind}");
            let (short, long) = (scene.token(100), scene.token(100_000));
            let (_tied, mut tied) = begin(&scene.gateway, protocol, &path, &short).await;
            let (_later, mut later) = begin(&scene.gateway, protocol, "/tied/later/busy", &long).await;
            let (_free, mut free) = begin(&scene.gateway, protocol, "/free/busy", &short).await;
            // The leeway is a minute, as it is for requests.
            scene.clock.advance(Duration::from_secs(159));
            for body in [&mut later, &mut free] {
                for _ in 0..100 {
                    next(body).await.expect("it goes on");
                }
            }
            scene.clock.advance(Duration::from_secs(1));
            broken(&mut tied).await;
            for body in [&mut later, &mut free] {
                for _ in 0..100 {
                    next(body).await.expect("it goes on");
                }
            }
            number += 1.0;
            let line = scene.line(&path).await;
            assert_eq!((&line["status"], &line["reason"]), (&json!(200), &json!("token_ended")), "{path}");
            assert!((scene.counted().await - number).abs() < f64::EPSILON);
        }
    }
}

#[tokio::test]
async fn expiry_is_to_the_moment() {
    let corp = Corp::start().await;
    let (upstream, _uploads) = upstream().await;
    let config = CONFIG.replace("[routes.free]", "[routes.other]");
    let gateway = corp.gateway(&config).with("[issuers.corp]", "[issuers.corp]\nleeway = \"0s\"");
    let gateway = gateway.variable("UPSTREAM", &upstream.url()).start().await;
    let end = now() + 3;
    let token = corp.token_with(|claims| claims["exp"] = end.into());
    let (_connection, mut body) = begin(&gateway, Protocol::Http1, "/tied/quiet", &token).await;
    broken(&mut body).await;
    let late = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let late = late.checked_sub(Duration::from_secs(end)).expect("not before its time");
    assert!(late < Duration::from_millis(900), "{late:?}");
}

#[tokio::test]
async fn uploads_break_off_and_are_refused_like_any_request_with_such_a_token() {
    let scene = Scene::start().await;
    for (number, protocol) in PROTOCOLS.into_iter().enumerate() {
        let token = scene.token(100);
        let mut uploads = Vec::new();
        for path in ["/tied/upload", "/free/upload"] {
            let (pieces, body) = piecewise();
            let mut connection = Connection::open(scene.gateway.address(), protocol).await;
            let request = request(Method::POST, &scene.gateway.url(path), &token, body);
            let answer = tokio::spawn(async move { connection.exchange(request).await });
            for _ in 0..3 {
                pieces.send("piece").await;
            }
            uploads.push((pieces, answer));
        }
        until("both have begun", || async { (scene._upstream.requests() == 2 * number + 2).then_some(()) }).await;
        scene.clock.advance(Duration::from_secs(160));
        let (free_pieces, free) = uploads.pop().expect("two");
        let (_tied_pieces, tied) = uploads.pop().expect("two");
        let tied = tied.await.expect("no panic");
        let problem: Value = serde_json::from_slice(&tied.body).expect("a problem document");
        assert_eq!((tied.status, &problem["reason"]), (401, &json!("token_expired")), "{protocol:?}");
        until("the upstream has seen it break off", || async {
            (scene.uploads.broken.load(Ordering::SeqCst) == number + 1).then_some(())
        })
        .await;
        free_pieces.send("piece").await;
        drop(free_pieces);
        let free = free.await.expect("no panic");
        assert_eq!((free.status, &free.body[..]), (200, &b"20"[..]), "{protocol:?}");
        assert_eq!(scene.uploads.whole.load(Ordering::SeqCst), number + 1);
    }
    let failures = scrape(&HttpClient::http1(), &scene.gateway).await;
    let failures = failures.sum("postern_upstream_failures_total", &[("reason", "token_expired")]);
    assert!(failures.abs() < 0.5, "{failures}: the upstream did nothing wrong");
}

#[tokio::test]
async fn what_is_short_is_not_touched() {
    let scene = Scene::start().await;
    for protocol in PROTOCOLS {
        let token = scene.token(100);
        let mut connection = Connection::open(scene.gateway.address(), protocol).await;
        for _ in 0..50 {
            let request = request(Method::GET, &scene.gateway.url("/tied/short"), &token, empty());
            let answer = connection.exchange(request).await;
            assert_eq!((answer.status, &answer.body[..]), (200, &b"short"[..]));
        }
        scene.clock.advance(Duration::from_secs(160));
        let request = request(Method::GET, &scene.gateway.url("/tied/short"), &token, empty());
        assert_eq!(connection.exchange(request).await.status, 401, "and the connection is still good");
    }
    assert!(scene.counted().await.abs() < f64::EPSILON);
}

#[tokio::test]
async fn an_issuer_that_is_gone_takes_its_streams_along() {
    let scene = Scene::start().await;
    let token = scene.token(100_000);
    let (_tied, mut tied) = begin(&scene.gateway, Protocol::Http1, "/tied/busy", &token).await;
    let (_free, mut free) = begin(&scene.gateway, Protocol::Http1, "/free/busy", &token).await;
    scene.gateway.edit("[routes.free]", "# A change that is none of its business.\n[routes.free]");
    for _ in 0..150 {
        next(&mut tied).await.expect("it goes on");
    }
    scene.gateway.edit("[issuers.corp]", "[issuers.club]");
    broken(&mut tied).await;
    next(&mut free).await.expect("it goes on");
    assert_eq!(scene.line("/tied/busy").await["reason"], "token_ended");
}

#[tokio::test]
async fn what_the_embedded_issuer_takes_back_ends_at_once() {
    let (upstream, _uploads) = upstream().await;
    let builder = GatewayBuilder::whole(issuing::CONFIG)
        .with("path = \"/orders\"", "path = \"/orders/{*rest}\"\nend_with_token = true");
    let store = format!("sqlite:{}", builder.folder().join("store.db").display());
    let gateway = builder.variable("UPSTREAM", &upstream.url()).variable("STORE", &store).start().await;
    let issuing = Issuing::of(&gateway);
    let kept_secret = issuing.register("kept").await;
    let kept = issuing.token(("kept", &kept_secret)).await;
    let (_kept, mut kept) = begin(&gateway, Protocol::Http2, "/orders/busy", &kept).await;
    for protocol in PROTOCOLS {
        for how in ["its token", "its client"] {
            let token = issuing.token(BILLING).await;
            let (_connection, mut body) = begin(&gateway, protocol, "/orders/quiet", &token).await;
            match how {
                "its token" => issuing.revoke(&token).await,
                _ => drop(issuing.post("/clients/billing/disable", json!({})).await),
            }
            broken(&mut body).await;
            if how == "its client" {
                issuing.post("/clients/billing/enable", json!({})).await;
            }
            for _ in 0..100 {
                next(&mut kept).await.expect("another client's goes on");
            }
        }
    }
    let token = issuing.token(BILLING).await;
    let (_connection, mut body) = begin(&gateway, Protocol::Http2, "/orders/quiet", &token).await;
    let key = issuing::key_of(&token);
    issuing.post("/keys/rotate", json!({ "haste": true })).await;
    for _ in 0..100 {
        next(&mut kept).await.expect("a key that is replaced is still good");
    }
    issuing.post(&format!("/keys/{key}/revoke"), json!({})).await;
    broken(&mut body).await;
    broken(&mut kept).await;
    let token = issuing.token(BILLING).await;
    let (_connection, mut body) = begin(&gateway, Protocol::Http2, "/orders/quiet", &token).await;
    issuing.switch(false).await;
    broken(&mut body).await;
}

#[tokio::test]
async fn where_there_is_no_token_to_end_with_it_is_refused() {
    let corp = Corp::start().await;
    let (upstream, _uploads) = upstream().await;
    let public = CONFIG.replacen("require.scopes = [\"orders:read\"]", "public = true", 1);
    let builder = corp.gateway(&public).variable("UPSTREAM", &upstream.url());
    let Err(postern::app::StartError::Configuration(rejection)) = builder.try_start().await else {
        panic!("it starts")
    };
    assert!(rejection.text.contains("no token that anything could end with"), "{}", rejection.text);
    // Where rules are only reported it starts, and nothing is cut.
    let report = CONFIG.replacen("end_with_token = true", "end_with_token = true\nmode = \"report\"", 1);
    let clock = ManualClock::starting_at(UnixTime::from_seconds(now()));
    let builder = corp.gateway(&report).variable("UPSTREAM", &upstream.url()).clock(clock.clock());
    let gateway = builder.start().await;
    let (_connection, mut body) = begin(&gateway, Protocol::Http1, "/tied/busy", &corp.token()).await;
    clock.advance(Duration::from_secs(10_000));
    for _ in 0..100 {
        next(&mut body).await.expect("it goes on");
    }
}
