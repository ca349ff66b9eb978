//! One connection and no more: a client that never opens another one behind the test's back, so that one which is dropped
//! shows.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, header::HOST};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpStream, task::JoinHandle};

use super::client::Answer;

/// A connection that is kept until somebody closes it.
pub(crate) struct Connection {
    sender: Sender,
    address: SocketAddr,
    /// Ends when the connection does: with an error if it was cut.
    driver: JoinHandle<hyper::Result<()>>,
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Connection {
    /// Opens one that speaks HTTP/1.1; an error is a connection that was not accepted.
    pub(crate) async fn http1(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TokioIo::new(TcpStream::connect(address).await?);
        let (sender, driver) = http1::handshake(stream).await.expect("nothing is sent yet");
        Ok(Self { sender: Sender::Http1(sender), address, driver: tokio::spawn(driver) })
    }

    /// Opens one that speaks HTTP/2 with prior knowledge.
    pub(crate) async fn http2(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TokioIo::new(TcpStream::connect(address).await?);
        let (sender, driver) = http2::handshake(TokioExecutor::new(), stream).await.expect("the preface is sent");
        Ok(Self { sender: Sender::Http2(sender), address, driver: tokio::spawn(driver) })
    }

    /// Whether the other side will take another request; waits until that is known.
    pub(crate) async fn is_ready(&mut self) -> bool {
        match &mut self.sender {
            Sender::Http1(sender) => sender.ready().await.is_ok(),
            Sender::Http2(sender) => sender.ready().await.is_ok(),
        }
    }

    /// Sends a request to `target` and reads the answer to its end; an error is a request that was lost.
    pub(crate) async fn get(&mut self, target: &str, token: Option<&str>) -> Result<Answer, String> {
        let mut request = Request::get(target).header(HOST, self.address.to_string());
        if let Sender::Http2(_) = self.sender {
            request = Request::get(format!("http://{}{target}", self.address));
        }
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(Full::default()).expect("a request");
        let response = match &mut self.sender {
            Sender::Http1(sender) => sender.send_request(request).await,
            Sender::Http2(sender) => sender.send_request(request).await,
        };
        let (parts, body) = response.map_err(|error| format!("{error:?}"))?.into_parts();
        let body = body.collect().await.map_err(|error| format!("{error:?}"))?.to_bytes();
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }

    /// Waits until the other side has closed it; an error is a connection that was cut.
    pub(crate) async fn closed(self) -> hyper::Result<()> {
        let Self { sender: _still_open, driver, .. } = self;
        driver.await.expect("no panic")
    }

    /// Whether it is open.
    pub(crate) fn is_open(&self) -> bool {
        !self.driver.is_finished()
    }
}
