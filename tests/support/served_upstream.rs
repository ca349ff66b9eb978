//! An upstream that does with each request what a test says, in clear or over TLS, HTTP/1.1 or HTTP/2.

use std::{
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use http::{Request, Response};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    task::{AbortHandle, JoinHandle},
};
use tokio_rustls::TlsAcceptor;

use super::connection::AnyBody;

type Answering = Pin<Box<dyn Future<Output = Response<AnyBody>> + Send>>;
type Service = Arc<dyn Fn(Request<Incoming>) -> Answering + Send + Sync>;

/// A server on loopback. Dropping it closes its connections too.
pub(crate) struct ServedUpstream {
    pub(crate) address: SocketAddr,
    seen: Arc<Seen>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    requests: AtomicUsize,
    open: std::sync::Mutex<Vec<AbortHandle>>,
}

impl ServedUpstream {
    /// One in clear.
    pub(crate) async fn start<F, A>(answer: F) -> Self
    where
        F: Fn(Request<Incoming>) -> A + Send + Sync + 'static,
        A: Future<Output = Response<AnyBody>> + Send + 'static,
    {
        Self::over(None, answer).await
    }

    /// One over TLS, if there are settings for it.
    pub(crate) async fn over<F, A>(tls: Option<Arc<ServerConfig>>, answer: F) -> Self
    where
        F: Fn(Request<Incoming>) -> A + Send + Sync + 'static,
        A: Future<Output = Response<AnyBody>> + Send + 'static,
    {
        Self::at(TcpListener::bind("127.0.0.1:0").await.expect("a port"), tls, answer)
    }

    /// One behind this socket.
    pub(crate) fn at<F, A>(listener: TcpListener, tls: Option<Arc<ServerConfig>>, answer: F) -> Self
    where
        F: Fn(Request<Incoming>) -> A + Send + Sync + 'static,
        A: Future<Output = Response<AnyBody>> + Send + 'static,
    {
        let address = listener.local_addr().expect("an address");
        let service: Service = Arc::new(move |request| Box::pin(answer(request)));
        let seen = Arc::new(Seen::default());
        let task = tokio::spawn(accept(listener, tls, service, Arc::clone(&seen)));
        Self { address, seen, task }
    }

    /// Its URL in clear.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Connections that were made to it so far.
    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// Requests that began here so far.
    pub(crate) fn requests(&self) -> usize {
        self.seen.requests.load(Ordering::SeqCst)
    }
}

impl Drop for ServedUpstream {
    fn drop(&mut self) {
        self.task.abort();
        for connection in self.seen.open.lock().expect("not poisoned").drain(..) {
            connection.abort();
        }
    }
}

async fn accept(listener: TcpListener, tls: Option<Arc<ServerConfig>>, service: Service, seen: Arc<Seen>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        seen.connections.fetch_add(1, Ordering::SeqCst);
        let (tls, service, counted) = (tls.clone(), Arc::clone(&service), Arc::clone(&seen));
        let connection = tokio::spawn(async move {
            match tls {
                None => serve(stream, service, counted).await,
                Some(tls) => {
                    if let Ok(stream) = TlsAcceptor::from(tls).accept(stream).await {
                        serve(stream, service, counted).await;
                    }
                }
            }
        });
        seen.open.lock().expect("not poisoned").push(connection.abort_handle());
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S, service: Service, seen: Arc<Seen>) {
    let service = service_fn(move |request| {
        seen.requests.fetch_add(1, Ordering::SeqCst);
        let answering = service(request);
        async move { Ok::<_, Infallible>(answering.await) }
    });
    // However it ends, it is the gateway that has something to say about it.
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}
