//! An outside issuer that can rotate its keys, slow down, fail and lie.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::BoxBody};
use hyper::{
    body::{Frame, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use super::forge::{SigningKey, key_document};

/// How the issuer answers a request for its keys.
#[derive(Clone, Debug)]
pub(crate) enum Conduct {
    /// With the keys it has.
    Honest,
    /// With this status and a page of HTML.
    Fails(StatusCode),
    /// With the keys it has, after a pause.
    Slow(Duration),
    /// With this body instead.
    Says(String),
    /// With a redirect to this place.
    Redirects(String),
    /// With the first half of the keys it has; then the connection breaks.
    Truncated,
}

type Body = BoxBody<Bytes, io::Error>;

struct Script {
    issuer: Mutex<String>,
    keys: Mutex<Value>,
    conduct: Mutex<Conduct>,
    key_fetches: AtomicUsize,
}

/// A server on loopback with discovery at `/.well-known/openid-configuration` and keys at `/jwks`.
pub(crate) struct ScriptedIssuer {
    pub(crate) address: SocketAddr,
    script: Arc<Script>,
    task: Mutex<JoinHandle<()>>,
}

impl ScriptedIssuer {
    /// One that publishes `keys`.
    pub(crate) async fn start(keys: &[&SigningKey]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let script = Arc::new(Script {
            issuer: Mutex::new(format!("http://{address}")),
            keys: Mutex::new(key_document(keys)),
            conduct: Mutex::new(Conduct::Honest),
            key_fetches: AtomicUsize::new(0),
        });
        let task = Mutex::new(tokio::spawn(accept(listener, Arc::clone(&script))));
        Self { address, script, task }
    }

    /// Its name, as it stands in `iss`.
    pub(crate) fn name(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where its keys are.
    pub(crate) fn jwks_uri(&self) -> String {
        format!("http://{}/jwks", self.address)
    }

    /// Publishes other keys from now on.
    pub(crate) fn publish(&self, keys: &[&SigningKey]) {
        *self.script.keys.lock().expect("not poisoned") = key_document(keys);
    }

    /// Behaves differently from now on.
    pub(crate) fn conduct(&self, conduct: Conduct) {
        *self.script.conduct.lock().expect("not poisoned") = conduct;
    }

    /// Names somebody else as issuer in its metadata.
    pub(crate) fn claim_to_be(&self, issuer: &str) {
        *self.script.issuer.lock().expect("not poisoned") = issuer.to_owned();
    }

    /// Goes away: whoever connects from now on is refused.
    pub(crate) async fn go_down(&self) {
        let task = std::mem::replace(&mut *self.task.lock().expect("not poisoned"), tokio::spawn(async {}));
        task.abort();
        // The socket is closed once the task is gone.
        let _ = task.await;
    }

    /// Comes back at the same address.
    pub(crate) async fn come_back(&self) {
        let listener = TcpListener::bind(self.address).await.expect("its own port");
        let task = tokio::spawn(accept(listener, Arc::clone(&self.script)));
        *self.task.lock().expect("not poisoned") = task;
    }

    /// How often its keys were asked for.
    pub(crate) fn key_fetches(&self) -> usize {
        self.script.key_fetches.load(Ordering::SeqCst)
    }
}

impl Drop for ScriptedIssuer {
    fn drop(&mut self) {
        self.task.lock().expect("not poisoned").abort();
    }
}

async fn accept(listener: TcpListener, script: Arc<Script>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let script = Arc::clone(&script);
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(request, Arc::clone(&script)));
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(request: Request<Incoming>, script: Arc<Script>) -> Result<Response<Body>, Infallible> {
    if request.uri().path() == "/.well-known/openid-configuration" {
        let issuer = script.issuer.lock().expect("not poisoned").clone();
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let jwks_uri = format!("http://{host}/jwks");
        return Ok(document(&json!({ "issuer": issuer, "jwks_uri": jwks_uri }).to_string()));
    }
    if request.uri().path() != "/jwks" {
        return Ok(status(StatusCode::NOT_FOUND));
    }
    script.key_fetches.fetch_add(1, Ordering::SeqCst);
    let conduct = script.conduct.lock().expect("not poisoned").clone();
    if let Conduct::Slow(pause) = conduct {
        tokio::time::sleep(pause).await;
    }
    Ok(match conduct {
        Conduct::Honest | Conduct::Slow(_) => document(&script.keys.lock().expect("not poisoned").to_string()),
        Conduct::Fails(code) => status(code),
        Conduct::Says(body) => document(&body),
        Conduct::Redirects(place) => {
            let mut response = status(StatusCode::FOUND);
            response.headers_mut().insert(header::LOCATION, place.parse().expect("a header value"));
            response
        }
        Conduct::Truncated => {
            let whole = script.keys.lock().expect("not poisoned").to_string();
            let half = Bytes::copy_from_slice(&whole.as_bytes()[..whole.len() / 2]);
            let frames = [Ok(Frame::data(half)), Err(io::Error::other("cut"))];
            document("").map(|_| StreamBody::new(futures_util::stream::iter(frames)).boxed())
        }
    })
}

fn document(body: &str) -> Response<Body> {
    let mut response = Response::new(whole(body));
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

fn status(code: StatusCode) -> Response<Body> {
    let mut response = Response::new(whole("<html>not today</html>"));
    *response.status_mut() = code;
    response
}

fn whole(body: &str) -> Body {
    Full::from(body.to_owned()).map_err(|never| match never {}).boxed()
}
