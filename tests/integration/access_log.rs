//! The access log: what a line says, when it is written, and that nobody ever waits for its reader.

use std::{collections::BTreeSet, fs, io::Read as _, process::Command, time::Duration};

use http::{Method, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::support::{
    client::{HttpClient, request},
    connection::{Connection, Protocol, piecewise, whole},
    corp::{Corp, ISSUER, ROUTE},
    gateway::Gateway,
    program::Program,
    served_upstream::ServedUpstream,
    upstream::RecordedUpstream,
    wait::until,
};

/// Waits for so many lines.
async fn lines(gateway: &Gateway, count: usize) -> Vec<Value> {
    let found = || async {
        let log = gateway.access_log();
        (log.len() >= count).then_some(log)
    };
    let log = until("the lines are there", found).await;
    assert_eq!(log.len(), count, "{log:#?}");
    log
}

#[tokio::test]
async fn a_line_says_all_that_an_operator_was_promised() {
    let corp = Corp::start().await;
    let upstream = RecordedUpstream::start().await;
    let gateway = corp.before(&upstream.url(), "").start().await;
    let client = HttpClient::http2();
    let mut asked = request(Method::POST, &gateway.url("/orders/7?access=canary"), Some(&corp.token()));
    asked.headers_mut().insert("x-request-id", "my-own-id-0001".parse().expect("a value"));
    *asked.body_mut() = Full::from("twelve bytes");
    assert_eq!(client.send(asked).await.status, 200);
    let log = lines(&gateway, 1).await;
    let line = log[0].as_object().expect("an object");

    let time = line["time"].as_str().expect("text");
    assert!(time.len() == 24 && time.ends_with('Z') && time.contains('T'), "{time}");
    let mut durations = Vec::new();
    for name in ["duration_seconds", "auth_seconds", "upstream_connect_seconds", "upstream_header_seconds"] {
        let seconds = line[name].as_f64().unwrap_or_else(|| panic!("{name} in {line:?}"));
        assert!((0.0..60.0).contains(&seconds), "{name}: {seconds}");
        durations.push(seconds);
    }
    assert!(durations[0] + 1e-5 >= durations[1..].iter().sum::<f64>(), "the parts are within the whole: {durations:?}");
    for (name, expected) in [
        ("request_id", json!("my-own-id-0001")),
        ("listener", json!("public")),
        ("route", json!("orders")),
        ("upstream", json!("orders")),
        ("endpoint", json!(upstream.address.to_string())),
        ("method", json!("POST")),
        ("host", json!("127.0.0.1")),
        ("path", json!("/orders/7")),
        ("status", json!(200)),
        ("bytes_in", json!(12)),
        ("bytes_out", json!(8)),
        ("peer", json!("127.0.0.1")),
        ("protocol", json!("HTTP/2")),
        ("jwt", json!({ "issuer": "corp", "client_id": "billing", "key_id": "k1", "jti": "token-1" })),
        ("config_generation", json!(1)),
    ] {
        assert_eq!(line[name], expected, "{name}");
    }
    assert!(!line.contains_key("reason"), "{line:?}");

    // A connection that is used again was not opened.
    assert_eq!(client.get(&gateway.url("/orders/8"), Some(&corp.token())).await.status, 200);
    assert!(lines(&gateway, 2).await[1].get("upstream_connect_seconds").is_none());
}

#[tokio::test]
async fn refusals_and_failures_have_a_line_each_with_their_reason() {
    let corp = Corp::start().await;
    let upstream = RecordedUpstream::start().await;
    let gateway = corp
        .before(
            &upstream.url(),
            "[routes.one]\npath = \"/one\"\nupstream = \"orders\"\nmethods = [\"PUT\"]\npublic = true\n",
        )
        .start()
        .await;
    let client = HttpClient::http1();
    let poor = corp.token_with(|claims| claims["scope"] = "other".into());
    let cases: [(&str, Option<&str>, u16, &str); 4] = [
        ("/a", None, 401, "no_token"),
        ("/a", Some("canary.canary.canary"), 401, "token_malformed"),
        ("/a", Some(&poor), 403, "scope_missing"),
        ("/one", None, 405, "method_not_allowed"),
    ];
    for (number, (path, token, status, reason)) in cases.into_iter().enumerate() {
        let answer = client.get(&gateway.url(&format!("{path}?token=canary")), token).await;
        assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (status, reason));
        let line = lines(&gateway, number + 1).await.pop().expect("a line");
        assert_eq!((&line["status"], &line["reason"]), (&json!(status), &json!(reason)));
        assert_eq!(line["path"], path);
        assert_eq!(line["request_id"], answer.header("x-request-id"));
        // Only what was verified is told of a token.
        assert_eq!(line.get("jwt").is_some(), reason == "scope_missing", "{line}");
    }
    let text = fs::read_to_string(gateway.folder.path().join("access.log")).expect("readable");
    assert!(!text.contains("canary"), "{text}");
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn a_line_is_written_when_the_body_has_ended_and_not_before() {
    let corp = Corp::start().await;
    let (hand_over, mut bodies) = tokio::sync::mpsc::channel(1);
    let upstream = ServedUpstream::start(move |_: Request<Incoming>| {
        let hand_over = hand_over.clone();
        async move {
            let (pieces, body) = piecewise();
            hand_over.send(pieces).await.expect("wanted");
            Response::new(body)
        }
    })
    .await;
    let gateway = corp.before(&upstream.url(), "").start().await;
    let mut written = 0;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        for ends_well in [true, false] {
            let mut connection = Connection::open(gateway.address(), protocol).await;
            let asked = Request::builder()
                .uri(gateway.url("/long"))
                .header("authorization", format!("Bearer {}", corp.token()))
                .body(crate::support::connection::empty())
                .expect("a request");
            let answer = connection.send(asked).await.expect("the head");
            let pieces = bodies.recv().await.expect("a body");
            pieces.send("first ").await;
            // A control that is done: its line overtakes the long one's.
            let refused = HttpClient::http1().get(&gateway.url("/long"), None).await;
            assert_eq!(refused.status, 401);
            written += 1;
            assert_eq!(lines(&gateway, written).await[written - 1]["status"], 401);
            if ends_well {
                pieces.send("second").await;
                drop(pieces);
                assert_eq!(whole(answer).await.expect("a whole answer").body, "first second");
            } else {
                pieces.abort().await;
                whole(answer).await.expect_err("it broke off");
            }
            written += 1;
            let line = lines(&gateway, written).await.pop().expect("a line");
            assert_eq!(line["status"], 200);
            if ends_well {
                assert_eq!((&line["bytes_out"], line.get("reason")), (&json!(12), None));
            } else {
                assert_eq!((&line["bytes_out"], &line["reason"]), (&json!(6), &json!("upstream_body_aborted")));
            }
        }
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_is_a_line_too() {
    let corp = Corp::start().await;
    let (hand_over, mut bodies) = tokio::sync::mpsc::channel(1);
    let upstream = ServedUpstream::start(move |_: Request<Incoming>| {
        let hand_over = hand_over.clone();
        async move {
            let (pieces, body) = piecewise();
            hand_over.send(pieces).await.expect("wanted");
            Response::new(body)
        }
    })
    .await;
    let gateway = corp.before(&upstream.url(), "").start().await;
    for (number, protocol) in [Protocol::Http1, Protocol::Http2].into_iter().enumerate() {
        let mut connection = Connection::open(gateway.address(), protocol).await;
        let asked = Request::builder()
            .uri(gateway.url("/long"))
            .header("authorization", format!("Bearer {}", corp.token()))
            .body(crate::support::connection::empty())
            .expect("a request");
        let answer = connection.send(asked).await.expect("the head");
        let pieces = bodies.recv().await.expect("a body");
        drop((answer, connection));
        let line = lines(&gateway, number + 1).await.pop().expect("a line");
        assert_eq!((&line["status"], &line["reason"]), (&json!(200), &json!("downstream_aborted")), "{protocol:?}");
        // And the upstream's side is let go of.
        until("the upstream is told", || async { pieces.try_send("more").await.is_err().then_some(()) }).await;
    }
}

#[tokio::test]
async fn a_request_that_came_while_there_was_no_log_has_no_line() {
    let corp = Corp::start().await;
    let upstream = RecordedUpstream::start().await;
    let to = "access_log_to = \"access.log\"";
    let gateway = corp.before(&upstream.url(), "").with(to, &format!("access_log = \"off\"\n{to}")).start().await;
    let client = HttpClient::http1();
    upstream.hold();
    let ask = |path: &str| client.send(request(Method::GET, &gateway.url(path), Some(&corp.token())));
    let (early, ()) = tokio::join!(ask("/early"), async {
        until("it is under way", || async { (upstream.count() == 1).then_some(()) }).await;
        gateway.edit("access_log = \"off\"", "access_log = \"json\"");
        until("there is a log", || async {
            assert_eq!(client.get(&gateway.url("/refused"), None).await.status, 401);
            (!gateway.access_log().is_empty()).then_some(())
        })
        .await;
        upstream.release();
    });
    assert_eq!(early.status, 200);
    assert_eq!(ask("/late").await.status, 200);
    let paths = until("a line for the later one", || async {
        let paths: BTreeSet<String> = gateway.access_log().iter().map(|line| line["path"].to_string()).collect();
        paths.contains("\"/late\"").then_some(paths)
    })
    .await;
    assert_eq!(paths, ["/late", "/refused"].map(|path| format!("\"{path}\"")).into());
}

/// A configuration for the program in a process of its own, with the access log in `to`.
fn config(to: &str, upstream: &RecordedUpstream) -> String {
    let url = upstream.url();
    format!(
        "[process]\nworkers = 1\n[telemetry]\naccess_log_to = \"{to}\"\n[listeners.public]\naddress = \"127.0.0.1:0\"\n\
         [admin]\naddress = \"127.0.0.1:0\"\n{ISSUER}{ROUTE}[upstreams.orders]\nendpoints = [\"{url}\"]\n"
    )
}

async fn metric(postern: &Program, name: &str) -> u64 {
    let text = HttpClient::http1().get(&postern.admin_url("/metrics"), None).await.text();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name} in {text}"));
    line.rsplit(' ').next().expect("a value").parse().expect("a number")
}

/// Sends requests until lines are dropped: more than the queue and the pipe can hold.
async fn overwhelm(postern: &Program, corp: &Corp) -> u64 {
    let (url, token) = (postern.url("/a"), corp.token());
    let mut sent = 0;
    while metric(postern, "postern_access_log_dropped_total").await == 0 {
        assert!(sent < 40_000, "nothing is ever dropped");
        let senders: Vec<_> = (0..8)
            .map(|_| {
                let (url, token) = (url.clone(), token.clone());
                tokio::spawn(async move {
                    let client = HttpClient::http1();
                    for _ in 0..250 {
                        let answer =
                            tokio::time::timeout(Duration::from_secs(20), client.get(&url, Some(&token))).await;
                        assert_eq!(answer.expect("nobody waits for the log").status, 200);
                    }
                })
            })
            .collect();
        for sender in senders {
            sender.await.expect("every request was answered");
        }
        sent += 2000;
    }
    sent
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stuck_reader_of_standard_output_holds_nobody_up() {
    let corp = Corp::start().await;
    let upstream = RecordedUpstream::start().await;
    let config = config("stdout", &upstream);
    let mut postern = Program::start(&config, &[("ISSUER", &corp.issuer.name())]).await;
    let sent = overwhelm(&postern, &corp).await;
    // Once somebody reads, the lines that were kept come whole, and no others are missing than those counted.
    let mut stdout = postern.stdout.take().expect("a pipe");
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).expect("readable");
        text
    });
    until("all that was kept is written", || async {
        let written = metric(&postern, "postern_access_log_lines_total").await;
        let dropped = metric(&postern, "postern_access_log_dropped_total").await;
        (written + dropped == sent).then_some(())
    })
    .await;
    let (written, dropped) = (
        metric(&postern, "postern_access_log_lines_total").await,
        metric(&postern, "postern_access_log_dropped_total").await,
    );
    assert!(written > 0 && dropped > 0);
    drop(postern);
    let text = reader.join().expect("no panic");
    let whole: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("a whole line")).collect();
    assert_eq!(whole.len() as u64, written);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_named_pipe_that_nobody_reads_holds_nobody_up() {
    let corp = Corp::start().await;
    let upstream = RecordedUpstream::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let pipe = folder.path().join("access.pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    let config = config(pipe.to_str().expect("text"), &upstream);
    let postern = Program::start(&config, &[("ISSUER", &corp.issuer.name())]).await;
    overwhelm(&postern, &corp).await;
    // It also stops in time, though the rest of the log goes nowhere.
    postern.signal("TERM");
    postern.ended().await;
}

#[tokio::test]
async fn the_log_is_opened_anew_on_sighup() {
    let corp = Corp::start().await;
    let upstream = RecordedUpstream::start().await;
    let config = config("access.log", &upstream);
    let postern = Program::start(&config, &[("ISSUER", &corp.issuer.name())]).await;
    let (log, rotated) = (postern.folder.path().join("access.log"), postern.folder.path().join("access.log.1"));
    let client = HttpClient::http1();
    let paths = |file: &std::path::Path| -> BTreeSet<String> {
        let text = fs::read_to_string(file).unwrap_or_default();
        let path = |line: &str| serde_json::from_str::<Value>(line).expect("a whole line")["path"].to_string();
        text.lines().map(path).collect()
    };
    let ask = async |path: &str| client.get(&postern.url(path), Some(&corp.token())).await;
    assert_eq!(ask("/before").await.status, 200);
    until("the first line", || async { (paths(&log).len() == 1).then_some(()) }).await;
    fs::rename(&log, &rotated).expect("renamed");
    assert_eq!(ask("/between").await.status, 200);
    until("the line goes to the file that was open", || async { (paths(&rotated).len() == 2).then_some(()) }).await;
    assert!(!log.exists());
    postern.signal("HUP");
    until("there is a new file", || async { log.exists().then_some(()) }).await;
    // The file is there a moment before lines go to it; one that comes in between goes to the old one.
    until("a line goes to the new file", || async {
        assert_eq!(ask("/after").await.status, 200);
        (!paths(&log).is_empty()).then_some(())
    })
    .await;
    assert_eq!(paths(&log), BTreeSet::from(["\"/after\"".to_owned()]));
    assert!(paths(&rotated).is_superset(&BTreeSet::from(["\"/before\"".to_owned(), "\"/between\"".to_owned()])));
}
