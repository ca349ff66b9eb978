//! WebSockets: an upstream that speaks nothing else, and openings towards it.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderMap, Request, StatusCode};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async, client_async,
    tungstenite::{
        Message,
        client::IntoClientRequest as _,
        handshake::server,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use super::{
    gateway::Gateway,
    raw_socket::{listen, url_of},
    wait::PATIENCE,
};

/// An upstream that speaks nothing but WebSocket, and sends back what it is told. Told `close NUMBER`, it closes with that code.
pub(crate) struct Echo {
    pub(crate) url: String,
    headers: Arc<Mutex<Vec<HeaderMap>>>,
    ended: Arc<AtomicUsize>,
    closes: Arc<Mutex<Vec<Option<u16>>>>,
}

impl Echo {
    pub(crate) async fn start() -> Self {
        let listener = listen().await;
        let echo =
            Self { url: url_of(&listener), headers: Arc::default(), ended: Arc::default(), closes: Arc::default() };
        tokio::spawn(accept(listener, Arc::clone(&echo.headers), Arc::clone(&echo.ended), Arc::clone(&echo.closes)));
        echo
    }

    /// The headers of every opening.
    pub(crate) fn seen(&self) -> Vec<HeaderMap> {
        self.headers.lock().expect("not poisoned").clone()
    }

    /// How many have ended.
    pub(crate) fn ended(&self) -> usize {
        self.ended.load(Ordering::SeqCst)
    }

    /// The codes with which clients closed theirs.
    pub(crate) fn closes(&self) -> Vec<Option<u16>> {
        self.closes.lock().expect("not poisoned").clone()
    }
}

async fn accept(
    listener: TcpListener,
    headers: Arc<Mutex<Vec<HeaderMap>>>,
    ended: Arc<AtomicUsize>,
    closes: Arc<Mutex<Vec<Option<u16>>>>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let (headers, ended, closes) = (Arc::clone(&headers), Arc::clone(&ended), Arc::clone(&closes));
        tokio::spawn(async move {
            #[expect(clippy::result_large_err, reason = "the crate's callback gives such an error")]
            let note = |request: &server::Request, mut response: server::Response| {
                headers.lock().expect("not poisoned").push(request.headers().clone());
                if let Some(asked) = request.headers().get("sec-websocket-protocol") {
                    response.headers_mut().insert("sec-websocket-protocol", asked.clone());
                }
                Ok(response)
            };
            if let Ok(socket) = accept_hdr_async(stream, note).await {
                echo(socket, &closes).await;
            }
            ended.fetch_add(1, Ordering::SeqCst);
        });
    }
}

async fn echo(mut socket: WebSocketStream<TcpStream>, closes: &Mutex<Vec<Option<u16>>>) {
    while let Some(Ok(message)) = socket.next().await {
        match &message {
            Message::Close(frame) => {
                closes.lock().expect("not poisoned").push(frame.as_ref().map(|frame| u16::from(frame.code)));
            }
            // Pings are answered by the library.
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            Message::Text(text) if text.starts_with("close ") => {
                let code = text.strip_prefix("close ").expect("it begins so").parse::<u16>().expect("a code");
                let frame = CloseFrame { code: CloseCode::from(code), reason: "told to".into() };
                let _ = socket.close(Some(frame)).await;
            }
            _ => {
                if socket.send(message).await.is_err() {
                    break;
                }
            }
        }
    }
}

/// What opens one on HTTP/1.1.
pub(crate) fn opening(gateway: &Gateway, token: Option<&str>) -> Request<()> {
    let mut request = format!("ws://{}/chat?room=1", gateway.address()).into_client_request().expect("a request");
    if let Some(token) = token {
        request.headers_mut().insert("authorization", format!("Bearer {token}").parse().expect("a value"));
    }
    request
}

/// Opens one on HTTP/1.1.
pub(crate) async fn open(gateway: &Gateway, token: &str) -> WebSocketStream<TcpStream> {
    let stream = TcpStream::connect(gateway.address()).await.expect("a connection");
    let (socket, response) = client_async(opening(gateway, Some(token)), stream).await.expect("a WebSocket");
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    assert!(response.headers().contains_key("x-request-id"));
    socket
}

/// Reads to the end, which must come in time: the status that it was closed with, if it was closed in order.
pub(crate) async fn close_code<S>(socket: &mut WebSocketStream<S>) -> Option<u16>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut code = None;
    let reading = async {
        while let Some(Ok(message)) = socket.next().await {
            if let Message::Close(Some(frame)) = message {
                code = Some(u16::from(frame.code));
            }
        }
    };
    timeout(PATIENCE, reading).await.expect("the end in time");
    code
}
