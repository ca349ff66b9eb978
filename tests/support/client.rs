//! What a service would send requests with, and raw sockets for what no service would send.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// A header's value; empty if it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The `reason` member of a problem document (RFC 9457).
    pub(crate) fn reason(&self) -> String {
        self.json()["reason"].as_str().unwrap_or_default().to_owned()
    }
}

/// A client that keeps its connections, as services do.
#[derive(Clone)]
pub(crate) struct HttpClient {
    inner: Client<HttpConnector, Full<Bytes>>,
}

/// A body is not kept back until the head before it has been acknowledged.
fn connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector
}

impl HttpClient {
    /// Speaks HTTP/1.1.
    pub(crate) fn http1() -> Self {
        Self { inner: Client::builder(TokioExecutor::new()).build(connector()) }
    }

    /// Speaks HTTP/1.1, and comes from `address`, one of this machine's.
    pub(crate) fn from_address(address: IpAddr) -> Self {
        let mut connector = connector();
        connector.set_local_address(Some(address));
        Self { inner: Client::builder(TokioExecutor::new()).build(connector) }
    }

    /// Speaks HTTP/2 with prior knowledge.
    pub(crate) fn http2() -> Self {
        Self { inner: Client::builder(TokioExecutor::new()).http2_only(true).build(connector()) }
    }

    /// Sends a request and reads the answer to its end.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        self.try_send(request).await.expect("an answer")
    }

    /// Sends a request; an error is a connection that failed or was cut.
    pub(crate) async fn try_send(&self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let response = self.inner.request(request).await.map_err(|error| format!("{error:?}"))?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| format!("{error:?}"))?.to_bytes();
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }

    /// GET, with a bearer token if there is one.
    pub(crate) async fn get(&self, url: &str, token: Option<&str>) -> Answer {
        self.send(request(Method::GET, url, token)).await
    }
}

/// A request without a body.
pub(crate) fn request(method: Method, url: &str, token: Option<&str>) -> Request<Full<Bytes>> {
    let mut builder = Request::builder().method(method).uri(url);
    if let Some(token) = token {
        builder = builder.header("authorization", format!("Bearer {token}"));
    }
    builder.body(Full::default()).expect("a request")
}

/// Sends raw bytes, closes the sending side and reads until the other side closes.
pub(crate) async fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(bytes).await.expect("sent");
    let mut answer = Vec::new();
    // A reset after the answer is as good an end as a close.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}
