//! Raw sockets: every byte as it is on the wire, on either side of the gateway.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::wait::PATIENCE;

/// A socket with what was read from it.
pub(crate) struct RawSocket {
    pub(crate) stream: TcpStream,
    unread: Vec<u8>,
}

impl RawSocket {
    pub(crate) const fn new(stream: TcpStream) -> Self {
        Self { stream, unread: Vec::new() }
    }

    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::new(TcpStream::connect(address).await.expect("a connection"))
    }

    /// The next connection of `listener`.
    pub(crate) async fn accept(listener: &TcpListener) -> Self {
        let accepted = timeout(PATIENCE, listener.accept()).await.expect("a connection in time");
        Self::new(accepted.expect("a connection").0)
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.expect("sent");
    }

    /// Reads up to and including `end`.
    pub(crate) async fn until(&mut self, end: &str) -> String {
        let end = end.as_bytes();
        loop {
            if let Some(at) = self.unread.windows(end.len()).position(|window| window == end) {
                let rest = self.unread.split_off(at + end.len());
                let read = std::mem::replace(&mut self.unread, rest);
                return String::from_utf8_lossy(&read).into_owned();
            }
            assert!(self.more().await > 0, "closed after {:?}", String::from_utf8_lossy(&self.unread));
        }
    }

    /// Reads a message's line and headers.
    pub(crate) async fn head(&mut self) -> String {
        self.until("\r\n\r\n").await
    }

    /// Reads as many bytes.
    pub(crate) async fn exactly(&mut self, count: usize) -> Vec<u8> {
        while self.unread.len() < count {
            assert!(self.more().await > 0, "closed after {:?}", String::from_utf8_lossy(&self.unread));
        }
        let rest = self.unread.split_off(count);
        std::mem::replace(&mut self.unread, rest)
    }

    /// Reads until the other side closes, or resets the connection.
    pub(crate) async fn rest(&mut self) -> String {
        while self.more().await > 0 {}
        String::from_utf8_lossy(&std::mem::take(&mut self.unread)).into_owned()
    }

    /// Whether nothing comes for a moment. Says so wrongly only if the other side is slower than that.
    pub(crate) async fn is_silent(&mut self) -> bool {
        let mut one = [0];
        self.unread.is_empty() && timeout(Duration::from_millis(200), self.stream.peek(&mut one)).await.is_err()
    }

    async fn more(&mut self) -> usize {
        let mut piece = [0; 4096];
        let read = timeout(PATIENCE, self.stream.read(&mut piece)).await.expect("something, or the end, in time");
        let count = read.unwrap_or(0);
        self.unread.extend_from_slice(&piece[..count]);
        count
    }
}

/// A listener on loopback.
pub(crate) async fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("a port")
}

/// The URL of a listener.
pub(crate) fn url_of(listener: &TcpListener) -> String {
    format!("http://{}", listener.local_addr().expect("an address"))
}
