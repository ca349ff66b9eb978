//! The gateway before clients that were not written here: what streams through it, as they see it. For tonic see `grpc`, for
//! tungstenite `websockets`.

use std::{fs, sync::Arc};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::sync::{Mutex, mpsc};

use crate::support::{
    certificates::Authority,
    connection::{AnyBody, Pieces, bytes, piecewise},
    corp::Corp,
    gateway::Gateway,
    served_upstream::ServedUpstream,
    tool::Tool,
    upstream::RecordedUpstream,
};

/// A gateway before an upstream whose `/events` are in the test's hands, and which counts what is sent to any other path.
struct Scene {
    corp: Corp,
    gateway: Gateway,
    events: Arc<Mutex<mpsc::UnboundedReceiver<Pieces>>>,
    _upstream: ServedUpstream,
}

async fn answer(request: Request<Incoming>, events: mpsc::UnboundedSender<Pieces>) -> Response<AnyBody> {
    if request.uri().path() == "/events" {
        let (pieces, body) = piecewise();
        let _ = events.send(pieces);
        return Response::builder().header("content-type", "text/event-stream").body(body).expect("a response");
    }
    let mut body = request.into_body();
    let mut count = 0;
    while let Some(Ok(frame)) = body.frame().await {
        count += frame.data_ref().map_or(0, Bytes::len);
    }
    Response::new(bytes(format!("{count}\n")))
}

impl Scene {
    async fn start(upstream_protocol: &str) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let upstream = ServedUpstream::start(move |request| answer(request, sender.clone())).await;
        let corp = Corp::start().await;
        let gateway = corp.before(&upstream.url(), &format!("protocol = \"{upstream_protocol}\"\n")).start().await;
        Self { corp, gateway, events: Arc::new(Mutex::new(events)), _upstream: upstream }
    }

    fn authorization(&self) -> String {
        format!("authorization: Bearer {}", self.corp.token())
    }

    async fn next_events(&self) -> Pieces {
        self.events.lock().await.recv().await.expect("somebody asks for events")
    }
}

const VERSIONS: [&str; 2] = ["--http1.1", "--http2-prior-knowledge"];

#[tokio::test]
async fn curl_hears_each_event_before_the_next_one_is_sent() {
    let Some(curl) = Tool::find("curl") else { return };
    for upstream in ["http1", "http2"] {
        let scene = Scene::start(upstream).await;
        let (authorization, url) = (scene.authorization(), scene.gateway.url("/events"));
        for version in VERSIONS {
            let arguments = ["-sSN", version, "-H", &authorization, &url];
            let mut listening = curl.start(&arguments);
            let events = scene.next_events().await;
            for number in 0..5 {
                events.send(format!("data: {number}\n\n")).await;
                assert_eq!(listening.line().await, Some(format!("data: {number}")), "{upstream} {version}");
                assert_eq!(listening.line().await.as_deref(), Some(""));
            }
            drop(events);
            assert!(listening.end().await.success(), "{upstream} {version}: it ends in order");
            // And one that breaks off does not look as if it had ended.
            let mut listening = curl.start(&arguments);
            let events = scene.next_events().await;
            events.send("data: last\n").await;
            assert_eq!(listening.line().await.as_deref(), Some("data: last"));
            events.abort().await;
            assert!(!listening.end().await.success(), "{upstream} {version}: it breaks off");
        }
    }
}

#[tokio::test]
async fn curl_uploads_once_it_is_told_to_go_on() {
    let Some(curl) = Tool::find("curl") else { return };
    for upstream in ["http1", "http2"] {
        let scene = Scene::start(upstream).await;
        let file = scene.gateway.folder.path().join("upload");
        fs::write(&file, vec![b'x'; 3 << 20]).expect("written");
        let from_file = format!("@{}", file.display());
        let (authorization, url) = (scene.authorization(), scene.gateway.url("/upload"));
        let expect = "Expect: 100-continue";
        let arguments = ["-sSv", "--http1.1", "-H", expect, "--data-binary", &from_file, "-H", &authorization, &url];
        let ran = curl.run(&arguments).await;
        assert!(ran.status.success(), "{}", ran.stderr);
        assert_eq!(ran.stdout, format!("{}\n", 3 << 20));
        assert!(ran.stderr.contains("< HTTP/1.1 100 Continue"), "{}", ran.stderr);
        // Whoever is refused is not told to go on.
        let refused = "authorization: Bearer no.good.token";
        let arguments = ["-sSv", "--http1.1", "-H", expect, "--data-binary", &from_file, "-H", refused, &url];
        let ran = curl.run(&arguments).await;
        assert!(ran.stdout.contains("token_malformed"), "{} {}", ran.stdout, ran.stderr);
        assert!(!ran.stderr.contains("100 Continue"), "{}", ran.stderr);
        let arguments = ["-sS", "--http2-prior-knowledge", "--data-binary", &from_file, "-H", &authorization, &url];
        let ran = curl.run(&arguments).await;
        assert_eq!(ran.stdout, format!("{}\n", 3 << 20), "{}", ran.stderr);
    }
}

#[tokio::test]
async fn nghttp_gets_answers_in_clear_and_over_tls() {
    let Some(nghttp) = Tool::find("nghttp") else { return };
    let authority = Authority::new("the test's own");
    for upstream_protocol in ["http1", "http2"] {
        let corp = Corp::start().await;
        let upstream = RecordedUpstream::start().await;
        let config = format!(
            "protocol = \"{upstream_protocol}\"\n[listeners.secure]\naddress = \"127.0.0.1:0\"\n\
             [listeners.secure.tls]\ncertificate = \"server.pem\"\nprivate_key = \"server.key\"\n"
        );
        let builder = corp.before(&upstream.url(), &config);
        authority.issue(&["localhost"]).write(builder.folder(), "server");
        let gateway = builder.start().await;
        let secure = gateway.running().address("secure").expect("it is bound");
        let authorization = format!("authorization: Bearer {}", corp.token());
        let file = gateway.folder.path().join("upload");
        fs::write(&file, vec![b'x'; 1 << 20]).expect("written");
        let file = file.display().to_string();
        for url in [gateway.url("/a"), format!("https://localhost:{}/a", secure.port())] {
            let before = upstream.count();
            let ran = nghttp.run(&["-vy", "-H", &authorization, &url]).await;
            assert!(ran.status.success() && ran.stdout.contains(":status: 200"), "{} {}", ran.stdout, ran.stderr);
            assert!(
                ran.stdout.contains("SETTINGS_ENABLE_CONNECT_PROTOCOL") || ran.stdout.contains("0x08"),
                "{}",
                ran.stdout
            );
            // Thirty at a time on one connection, and what is larger than a window.
            let ran = nghttp.run(&["-nvy", "-m", "30", "-H", &authorization, &url]).await;
            assert_eq!(ran.stdout.matches(":status: 200").count(), 30, "{}", ran.stdout);
            let ran = nghttp.run(&["-nvy", "-d", &file, "-H", &authorization, &url]).await;
            assert!(ran.stdout.contains(":status: 200"), "{} {}", ran.stdout, ran.stderr);
            assert_eq!(upstream.last().body.len(), 1 << 20);
            let ran = nghttp.run(&["-nvy", &url]).await;
            assert!(ran.stdout.contains(":status: 401"), "{}", ran.stdout);
            assert_eq!(upstream.count(), before + 32, "{url}");
        }
    }
}
