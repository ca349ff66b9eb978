//! Heads that are refused, each for its reason, and those that are not.

use super::{Scene, statuses_in};
use crate::support::observe::metric;

/// Fields that leave open where the body ends.
const AMBIGUOUS: &[&str] = &[
    "content-length: 5\r\ntransfer-encoding: chunked",
    "transfer-encoding: chunked\r\ncontent-length: 5",
    "transfer-encoding: chunked\r\ncontent-length: 0",
    "content-length: 5\r\ntransfer-encoding: gzip, chunked",
    "content-length: 5\r\ncontent-length: 5",
    "content-length: 5\r\ncontent-length: 6",
    "Content-Length: 0\r\ncontent-length: 5",
    "content-length: 5, 5",
    "content-length: 5, 6",
    "content-length: +5",
    "content-length: -5",
    "content-length: 0x5",
    "content-length: 5 5",
    "content-length: 5.",
    "content-length:",
    "content-length: \t",
    "content-length: five",
    "content-length: 9223372036854775808",
    "content-length: 18446744073709551616",
    "content-length: 18446744073709551621",
    "content_length: 5",
    "content_length: 5\r\ncontent-length: 0",
    "transfer_encoding: chunked",
    "transfer_encoding: chunked\r\ncontent-length: 5",
    "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
    "transfer-encoding: chunked\r\ntransfer-encoding: identity",
    "transfer-encoding: identity\r\ntransfer-encoding: chunked",
    "transfer-encoding: xchunked",
    "transfer-encoding: chunkedx",
    "transfer-encoding: chunked, gzip",
    "transfer-encoding: chunked, chunked",
    "transfer-encoding: gzip",
    "transfer-encoding: identity",
    "transfer-encoding: \"chunked\"",
    "transfer-encoding: chunked;x=y",
    "transfer-encoding: ,chunked",
    "transfer-encoding: chunked,",
    "transfer-encoding:",
    "transfer-encoding:\r\n chunked",
];

/// Fields that are not written as fields.
const MALFORMED: &[&str] = &[
    "transfer-encoding : chunked",
    "transfer-encoding\t: chunked",
    "transfer-encoding: \x0bchunked",
    "transfer-encoding: chunked\x0c",
    "transfer-encoding: chunked\0",
    "transfer-encoding:\x01chunked",
    "transfer-encoding\x0b: chunked",
    "transfer-encoding: chunked\r\n , gzip",
    "transfer-encoding\r\n: chunked",
    "content-length : 5",
    "content-length: 5\n",
    "content-length: 5\r",
    "content-length: 5\rx: y",
    "content-length: 5\0",
    " content-length: 5",
    "x: y\r\n\tcontent-length: 5",
    "x: y\ncontent-length: 5",
    "x: y\n\r\n",
    "x: \x1b[31m",
    "x: \x7f",
    "no colon",
    ": no name",
    "a name: x",
    "(x): y",
    "\u{e4}: y",
];

#[tokio::test]
async fn where_a_body_ends_is_said_once_and_in_one_way() {
    let scene = Scene::new().await;
    for fields in AMBIGUOUS {
        let head = format!("POST /a HTTP/1.1\r\n{}{fields}\r\n\r\n", scene.fields());
        scene.is_refused(format!("{head}0\r\n\r\n"), 400, "framing_ambiguous").await;
    }
    let old = format!("POST /a HTTP/1.0\r\n{}transfer-encoding: chunked\r\n\r\n0\r\n\r\n", scene.fields());
    scene.is_refused(old, 400, "framing_ambiguous").await;
    for codings in ["gzip, chunked", "gzip,deflate , Chunked", "x, chunked"] {
        let head = format!("POST /a HTTP/1.1\r\n{}transfer-encoding: {codings}\r\n\r\n", scene.fields());
        scene.is_refused(format!("{head}0\r\n\r\n"), 501, "transfer_coding_not_accepted").await;
    }
    // Each is a line of the log and a count, and nothing is said of what was in it.
    let lines = scene.log_lines("framing_ambiguous", AMBIGUOUS.len() + 1).await;
    assert_eq!(lines.len(), AMBIGUOUS.len() + 1);
    for line in lines {
        assert_eq!((&line["method"], &line["path"], &line["status"]), (&"-".into(), &"*".into(), &400.into()));
    }
    let counted = metric(&scene.gateway, "postern_rejections_total", &[("reason", "framing_ambiguous")]).await;
    assert_eq!(counted, AMBIGUOUS.len() as f64 + 1.0);
}

#[tokio::test]
async fn a_head_is_written_as_http_has_it() {
    let scene = Scene::new().await;
    for fields in MALFORMED {
        let head = format!("POST /a HTTP/1.1\r\n{}{fields}\r\n\r\n", scene.fields());
        scene.is_refused(format!("{head}0\r\n\r\n"), 400, "malformed_request").await;
    }
    let lines = [
        "GET  /a HTTP/1.1",
        "GET /a  HTTP/1.1",
        "GET\t/a HTTP/1.1",
        "GET /a\tb HTTP/1.1",
        "GET /a b HTTP/1.1",
        "GET /a HTTP/1.1 ",
        "GET /a HTTP/1.1\r",
        " GET /a HTTP/1.1",
        "GET /a",
        "GET /a HTTP/1.1x",
        "GET /a HTTP/1.2",
        "GET /a HTTP/3.0",
        "GET /a HTTP/2.0",
        "GET /a http/1.1",
        "GET /a\0 HTTP/1.1",
        "GE(T /a HTTP/1.1",
        "GET  HTTP/1.1",
        "\0GET /a HTTP/1.1",
        "\n",
        "\r\n\r\nGET /a HTTP/1.1",
        "\nGET /a HTTP/1.1",
    ];
    for line in lines {
        let request = format!("{line}\r\n{}\r\n", scene.fields());
        scene.is_refused(request, 400, "malformed_request").await;
    }
    for ends in ["\n", "\r", "\n\r", "\r\r\n"] {
        let request = format!("GET /a HTTP/1.1\r\n{}\r\n", scene.fields()).replace("\r\n", ends);
        // A line feed ends some of them at last, so that there is something to answer.
        scene.is_refused(format!("{request}\r\n"), 400, "malformed_request").await;
    }
}

#[tokio::test]
async fn a_head_is_as_large_as_the_listener_allows() {
    let scene = Scene::with("[listeners.public.limits]\nheader_bytes = \"2KiB\"\nheaders = 10\n").await;
    let crowded = format!("GET /a HTTP/1.1\r\n{}{}\r\n", scene.fields(), "x: y\r\n".repeat(9));
    scene.is_refused(crowded, 431, "too_many_headers").await;
    for end in ["", "\r\n\r\n"] {
        let large = format!("GET /a HTTP/1.1\r\n{}x: {}{end}", scene.fields(), "y".repeat(4096));
        scene.is_refused(large, 431, "head_too_large").await;
    }
    let (answer, seen) = scene.attack(format!("GET /a HTTP/1.1\r\n{}x: y\r\n\r\n", scene.fields())).await;
    assert_eq!((answer.status, seen.len()), (200, 2), "{}", answer.text);
}

#[tokio::test]
async fn what_is_odd_but_clear_is_one_request() {
    let scene = Scene::new().await;
    let body = "GET /x HTTP/1.1\r\n\r\n";
    let size = body.len();
    for (line, fields, sent) in [
        ("\r\nPOST /a HTTP/1.1", format!("content-length: {size}\r\n"), body.to_owned()),
        ("POST /a HTTP/1.1", format!("Content-Length:\t{size} \r\n"), body.to_owned()),
        ("POST /a HTTP/1.1", format!("content-length: 000{size}\r\n"), body.to_owned()),
        ("POST /a HTTP/1.1", "Transfer-Encoding: CHUNKED\r\n".to_owned(), format!("{size:x}\r\n{body}\r\n0\r\n\r\n")),
        (
            "POST /a HTTP/1.1",
            "transfer-encoding:chunked\r\n".to_owned(),
            format!("{size:X};a=b\r\n{body}\r\n00\r\n\r\n"),
        ),
        (
            "POST /a HTTP/1.1",
            format!("connection: content-length, transfer-encoding\r\ncontent-length: {size}\r\n"),
            body.to_owned(),
        ),
        (
            "POST http://a/a HTTP/1.1",
            "x-content-length: 1\r\nx-transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n".to_owned(),
            format!("{size:x}\r\n{body}\r\n0\r\n\r\n"),
        ),
    ] {
        let (answer, seen) = scene.attack(format!("{line}\r\n{}{fields}\r\n{sent}", scene.fields())).await;
        assert_eq!(answer.text.matches("HTTP/1.1 200").count(), 2, "{line} {fields}: {}", answer.text);
        assert_eq!(seen.len(), 2, "{line} {fields}: {seen:?}");
        assert_eq!((&*seen[0].target, &*seen[1].target), ("/a", "/smuggled"), "{line} {fields}");
        assert_eq!(seen[0].body, body, "{line} {fields}");
        let both = seen[0].headers.contains_key("content-length") && seen[0].headers.contains_key("transfer-encoding");
        assert!(!both, "{:?}", seen[0].headers);
    }
}

#[tokio::test]
async fn what_came_before_a_bad_head_is_answered_first() {
    let scene = Scene::new().await;
    scene.upstream.hold();
    let good = |path: &str| format!("GET {path} HTTP/1.1\r\n{}\r\n", scene.fields());
    let bad = format!("{}{}GET /c HTTP/1.1\n\n{}", good("/a"), good("/b"), scene.smuggled());
    let address = scene.gateway.address();
    let answer = tokio::spawn(crate::support::raw::exchange(address, bad));
    crate::support::wait::until("the first one", || async { (scene.upstream.count() == 1).then_some(()) }).await;
    scene.upstream.release();
    let answer = answer.await.expect("no panic");
    let targets: Vec<_> = scene.upstream.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(targets, ["/a", "/b"]);
    let statuses = statuses_in(&answer.text);
    assert_eq!(statuses, ["200", "200", "400"], "{}", answer.text);
    assert!(answer.text.contains("malformed_request"), "{}", answer.text);
    scene.control("pipelined").await;
}
