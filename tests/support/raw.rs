//! Sockets without a client library in between, for what no library would send and what no upstream should answer.

use std::{
    future::Future,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use http::HeaderMap;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinHandle,
    time::timeout,
};

use super::wait::PATIENCE;

/// The first answer of a connection, taken apart only as far as a test wants to look at it.
#[derive(Clone, Debug)]
pub(crate) struct RawAnswer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// What came after the head, up to the close: framing, and further answers if there were any.
    pub(crate) rest: String,
    /// Everything as it came.
    pub(crate) text: String,
}

impl RawAnswer {
    /// The `reason` member of a problem document; empty if there is none.
    pub(crate) fn reason(&self) -> String {
        let problem: Value = serde_json::from_str(&self.rest).unwrap_or_default();
        problem["reason"].as_str().unwrap_or_default().to_owned()
    }

    /// A header's value; empty if it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Reads an answer. A connection that was closed without a word has the status 0.
    fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let (head, rest) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
        let mut headers = HeaderMap::new();
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let name: http::HeaderName = name.parse().expect("a header's name");
            headers.append(name, value.trim().parse().expect("a header's value"));
        }
        Self { status: status.unwrap_or(0), headers, rest: rest.to_owned(), text: text.clone() }
    }
}

/// Sends raw bytes and reads until the other side closes; what is sent should ask for that, or be bad enough.
pub(crate) async fn exchange(address: SocketAddr, bytes: impl AsRef<[u8]>) -> RawAnswer {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    // Whoever refuses early may close before all is sent.
    let _ = stream.write_all(bytes.as_ref()).await;
    read_to_close(stream).await
}

async fn read_to_close(mut stream: TcpStream) -> RawAnswer {
    let mut answer = Vec::new();
    // A reset after the answer is as good an end as a close.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the other side closes");
    RawAnswer::parse(&answer)
}

/// A server on loopback that treats every connection as it is told, and counts them.
pub(crate) struct RawServer {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl RawServer {
    /// One that does `treat` with each connection.
    pub(crate) async fn start<F: Future<Output = ()> + Send + 'static>(
        treat: impl Fn(TcpStream) -> F + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(treat(stream));
            }
        });
        Self { address, connections, task }
    }

    /// One that reads a request's head, says `bytes` and closes.
    pub(crate) async fn saying(bytes: &'static str) -> Self {
        Self::start(move |mut stream| async move {
            read_head(&mut stream).await;
            let _ = stream.write_all(bytes.as_bytes()).await;
        })
        .await
    }

    /// One that reads and never says anything.
    pub(crate) async fn silent() -> Self {
        Self::start(|mut stream| async move {
            let mut buffer = [0; 1024];
            while stream.read(&mut buffer).await.is_ok_and(|bytes| bytes > 0) {}
        })
        .await
    }

    /// One that reads a request's head and then resets the connection.
    pub(crate) async fn resetting() -> Self {
        Self::start(|mut stream| async move {
            read_head(&mut stream).await;
            // Closing with something unread makes a reset of it; and where all was read, an end without an answer does.
            drop(stream);
        })
        .await
    }

    /// How many connections were made to it.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for RawServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads up to the empty line and gives all of it.
pub(crate) async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte).await {
            Ok(1) => head.extend(byte),
            _ => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// An address on loopback at which nobody listens, as long as this process lives: it is taken, so that no other server gets it.
pub(crate) async fn nobody() -> SocketAddr {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    Box::leak(Box::new(socket)).local_addr().expect("an address")
}

/// An address on loopback for a server that is about to begin. Another one may come before it.
pub(crate) async fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address")
}
