//! An upstream that records what reaches it.

use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) method: Method,
    /// Path and query, byte for byte.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: HeaderMap,
}

type Answer = Arc<dyn Fn(&Recorded) -> Response<Full<Bytes>> + Send + Sync>;

/// A server on loopback that writes down every request and answers 200 unless told otherwise.
pub(crate) struct RecordedUpstream {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<Recorded>>>,
    connections: Arc<AtomicUsize>,
    held: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl RecordedUpstream {
    /// One that answers `200 upstream` to everything.
    pub(crate) async fn start() -> Self {
        Self::answering(|_| Response::new(Full::from("upstream"))).await
    }

    /// One that answers as `answer` says.
    pub(crate) async fn answering(answer: impl Fn(&Recorded) -> Response<Full<Bytes>> + Send + Sync + 'static) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.expect("a port"), answer)
    }

    /// One on each of these addresses, all on one port, which answer with the address that they are on.
    pub(crate) async fn on_one_port(addresses: &[IpAddr]) -> Vec<Self> {
        Self::on_one_port_answering(addresses, |address, _| Response::new(Full::from(address.to_string()))).await
    }

    /// One on each of these addresses, all on one port, which answer as `answer` says of their addresses.
    pub(crate) async fn on_one_port_answering(
        addresses: &[IpAddr],
        answer: impl Fn(IpAddr, &Recorded) -> Response<Full<Bytes>> + Clone + Send + Sync + 'static,
    ) -> Vec<Self> {
        'ports: loop {
            let mut listeners: Vec<TcpListener> = Vec::new();
            for address in addresses {
                let port = listeners.first().map_or(0, |first| first.local_addr().expect("an address").port());
                match TcpListener::bind((*address, port)).await {
                    Ok(listener) => listeners.push(listener),
                    // Somebody else has the port there: with another one it may go well.
                    Err(_) if port != 0 => continue 'ports,
                    Err(error) => panic!("{address} cannot be bound: {error}"),
                }
            }
            let upstream = |(listener, address): (TcpListener, &IpAddr)| {
                let (address, answer) = (*address, answer.clone());
                Self::on(listener, move |request| answer(address, request))
            };
            return listeners.into_iter().zip(addresses).map(upstream).collect();
        }
    }

    fn on(listener: TcpListener, answer: impl Fn(&Recorded) -> Response<Full<Bytes>> + Send + Sync + 'static) -> Self {
        let address = listener.local_addr().expect("an address");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let (held, gate) = watch::channel(false);
        let house = House { requests: Arc::clone(&requests), answer: Arc::new(answer), gate };
        let task = tokio::spawn(accept(listener, Arc::clone(&connections), house));
        Self { address, requests, connections, held, task }
    }

    /// From now on requests are recorded, and answered only after [`Self::release`].
    pub(crate) fn hold(&self) {
        self.held.send_replace(true);
    }

    /// Answers what was held back, and all that follows.
    pub(crate) fn release(&self) {
        self.held.send_replace(false);
    }

    /// How many connections have been opened so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Its URL for the configuration.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All that has arrived so far.
    pub(crate) fn requests(&self) -> Vec<Recorded> {
        self.requests.lock().expect("not poisoned").clone()
    }

    /// How many requests have arrived so far.
    pub(crate) fn count(&self) -> usize {
        self.requests.lock().expect("not poisoned").len()
    }

    /// The last one that arrived.
    pub(crate) fn last(&self) -> Recorded {
        self.requests().pop().expect("a request arrived upstream")
    }
}

impl Drop for RecordedUpstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What every connection needs.
#[derive(Clone)]
struct House {
    requests: Arc<Mutex<Vec<Recorded>>>,
    answer: Answer,
    gate: watch::Receiver<bool>,
}

async fn accept(listener: TcpListener, connections: Arc<AtomicUsize>, house: House) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        connections.fetch_add(1, Ordering::SeqCst);
        let house = house.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| record(request, house.clone()));
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn record(request: Request<Incoming>, mut house: House) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().map_or_else(String::new, ToString::to_string);
    let (trailers, body) = match body.collect().await {
        Ok(collected) => (collected.trailers().cloned().unwrap_or_default(), collected.to_bytes()),
        Err(_) => (HeaderMap::new(), Bytes::from_static(b"(aborted)")),
    };
    let recorded = Recorded { method: parts.method, target, headers: parts.headers, body, trailers };
    let response = (house.answer)(&recorded);
    house.requests.lock().expect("not poisoned").push(recorded);
    // An error is an upstream that is gone, whose answers nobody waits for.
    let _ = house.gate.wait_for(|held| !held).await;
    Ok(response)
}
