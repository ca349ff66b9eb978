//! Owns: the example API behind the gateway in `postern demo`: it answers with what it was asked.
//! Refuses: showing credentials; they are named and left out.
//! Always holds: it decides nothing. Whoever reaches it directly gets an answer, which is why an API belongs behind a
//! gateway.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, header::CONTENT_TYPE};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Map, Value, json};
use tokio::{net::TcpListener, task::JoinSet};

/// How long a connection may take to send a request's head.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long accepting pauses after it failed, so that a lack of descriptors does not become a busy loop.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Headers whose values open doors.
const CREDENTIALS: [&str; 4] = ["authorization", "proxy-authorization", "cookie", "x-api-key"];

/// Answers every request on `listener` with its method, path and headers as JSON. Never ends by itself; when it is
/// dropped, its connections are closed.
pub async fn serve(listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let connection = http1::Builder::new()
                        .timer(TokioTimer::new())
                        .header_read_timeout(HEADER_TIMEOUT)
                        .serve_connection(TokioIo::new(stream), service_fn(answer));
                    // A connection that breaks off concerns nobody here.
                    connections.spawn(async move { drop(connection.await) });
                }
                Err(_) => tokio::time::sleep(PAUSE_AFTER_FAILURE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let seen = json!({
        "message": "This is the example API behind the gateway. It saw this request:",
        "method": request.method().as_str(),
        "path": request.uri().path(),
        "headers": shown(request.headers()),
    });
    let mut text = serde_json::to_string_pretty(&seen).unwrap_or_default();
    text.push('\n');
    let mut response = Response::new(Full::new(Bytes::from(text)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// The headers, sorted, several values of one name as a list, credentials left out.
fn shown(headers: &HeaderMap) -> Map<String, Value> {
    let mut names: Vec<&str> = headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    let mut shown = Map::new();
    for name in names {
        let values = headers.get_all(name).iter();
        let mut values: Vec<Value> = if CREDENTIALS.contains(&name) {
            vec![json!("(not shown)")]
        } else {
            values.map(|value| json!(String::from_utf8_lossy(value.as_bytes()))).collect()
        };
        let one = if values.len() == 1 { values.pop() } else { None };
        shown.insert(name.to_owned(), one.unwrap_or(Value::Array(values)));
    }
    shown
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpStream,
    };

    use super::*;

    #[tokio::test]
    async fn it_tells_what_it_saw_and_shows_no_credentials() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(serve(listener));
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = "PUT /orders/7?q=1 HTTP/1.1\r\nhost: a\r\nx-client-id: demo\r\nx-two: 1\r\nx-two: 2\r\n\
                       authorization: Bearer canary\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        let seen: Value = serde_json::from_str(body).unwrap();
        assert_eq!((&seen["method"], &seen["path"]), (&json!("PUT"), &json!("/orders/7")));
        assert_eq!(seen["headers"]["x-client-id"], "demo");
        assert_eq!(seen["headers"]["x-two"], json!(["1", "2"]));
        assert_eq!(seen["headers"]["authorization"], "(not shown)");
        assert!(!answer.contains("canary"));

        // Dropped, it lets go of the address.
        serving.abort();
        assert!(serving.await.unwrap_err().is_cancelled());
        assert!(TcpStream::connect(address).await.is_err());
    }
}
