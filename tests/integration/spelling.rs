//! Fields as bytes: what goes through goes through as it was spelled and in its order, what was taken out leaves no trace between its
//! neighbours, and every line is ended as a line is, however its sender ended it.

use std::sync::{Arc, Mutex};

use tokio::io::AsyncWriteExt as _;

use crate::support::{
    corp::Corp,
    raw::{RawServer, exchange, read_head},
};

/// An upstream that gives this answer to everybody; it, and the last head that it heard.
async fn upstream(answer: &'static str) -> (RawServer, Arc<Mutex<String>>) {
    let heard: Arc<Mutex<String>> = Arc::default();
    let hears = Arc::clone(&heard);
    let server = RawServer::start(move |mut stream| {
        let hears = Arc::clone(&hears);
        async move {
            let head = read_head(&mut stream).await;
            *hears.lock().expect("not poisoned") = head;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    })
    .await;
    (server, heard)
}

#[tokio::test]
async fn a_request_keeps_its_spelling_and_loses_what_must_go() {
    let (server, heard) = upstream("HTTP/1.1 204 No Content\r\n\r\n").await;
    let corp = Corp::start().await;
    let gateway = corp.before(&server.url(), "").start().await;
    let request = format!(
        "GET /a HTTP/1.1\r\nHOST: Api.Example\r\nX-First: 1\r\nX_Forwarded_For: 1.1.1.1\r\nX-Second:2 \r\nX-Real-IP: 1.1.1.1\r\n\
         x-third:\t3\r\nAuthorization: Bearer {}\r\nX-Fourth: \r\nX-Named: gone\r\nX-fIFTH: 5, 5\r\nKeep-Alive: 5\r\n\
         Connection: x-named, close\r\nX-First: 6\r\n\r\n",
        corp.token()
    );
    let answer = exchange(gateway.address(), request).await;
    assert_eq!(answer.status, 204, "{}", answer.text);
    let head = heard.lock().expect("not poisoned").clone();
    let ours = ["forwarded: ", "x-forwarded-for: ", "x-forwarded-proto: ", "x-forwarded-host: ", "x-request-id: "];
    let (added, came): (Vec<&str>, Vec<&str>) =
        head.split("\r\n").partition(|line| ours.iter().any(|name| line.starts_with(name)));
    assert_eq!(added.len(), ours.len(), "{head}");
    let expected = [
        "GET /a HTTP/1.1",
        "host: api.example",
        "X-First: 1",
        "X-Second: 2",
        "x-third: 3",
        "X-Fourth: ",
        "X-fIFTH: 5, 5",
        "X-First: 6",
    ];
    assert_eq!(came.into_iter().filter(|line| !line.is_empty()).collect::<Vec<_>>(), expected, "{head}");
}

#[tokio::test]
async fn the_lines_of_an_answer_are_ended_as_lines_are() {
    let answer = "HTTP/1.1 200 OK\nServer: a\nX-One: 1 \r\nX-TWO:2\t\nx-three: 3\r\nConnection: close, x-named\nX-Named: gone\n\
                  X-Four: 4\nContent-Length: 2\n\nok";
    let (server, _) = upstream(answer).await;
    let corp = Corp::start().await;
    let gateway = corp.before(&server.url(), "").start().await;
    let request =
        format!("GET /a HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\nconnection: close\r\n\r\n", corp.token());
    let answer = exchange(gateway.address(), request).await;
    let head = answer.text.strip_suffix("\r\n\r\nok").expect("a head and a body");
    assert!(!head.replace("\r\n", "").contains(['\r', '\n']), "{head:?}");
    let lines: Vec<&str> = head.split("\r\n").filter(|line| !line.starts_with("date: ")).collect();
    let (ids, lines): (Vec<&str>, Vec<&str>) = lines.into_iter().partition(|line| line.starts_with("x-request-id: "));
    let expected = [
        "HTTP/1.1 200 OK",
        "Server: a",
        "X-One: 1",
        "X-TWO: 2",
        "x-three: 3",
        "X-Four: 4",
        "content-length: 2",
        "connection: close",
    ];
    assert_eq!((ids.len(), lines), (1, expected.to_vec()), "{head:?}");
}
