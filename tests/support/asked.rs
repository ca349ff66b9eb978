//! A server that Postern itself asks something, which says what a test has it say and remembers what it was asked.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::BoxBody};
use hyper::{
    body::{Frame, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{net::TcpListener, task::JoinHandle};

/// What the server was asked.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) method: Method,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// What it says.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// This body, with status 200.
    Says(String),
    /// This status, with a page of HTML.
    Fails(u16),
    /// This status, with this `Retry-After`.
    FailsUntil(u16, &'static str),
    /// A redirect to this place.
    Redirects(String),
    /// This body, and then the connection breaks.
    Breaks(String),
    /// A body of as many bytes, all of them spaces.
    Spaces(usize),
    /// The same, after a pause.
    Slowly(Duration, Box<Self>),
}

type Conduct = Arc<dyn Fn(&Question) -> Reply + Send + Sync>;
type Body = BoxBody<Bytes, io::Error>;

struct Script {
    conduct: Mutex<Conduct>,
    questions: Mutex<Vec<Question>>,
}

/// A server on loopback.
pub(crate) struct AskedServer {
    pub(crate) address: SocketAddr,
    script: Arc<Script>,
    task: Mutex<JoinHandle<()>>,
}

impl Question {
    /// The field of the form that was posted.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let mut fields = form_urlencoded::parse(self.body.as_bytes());
        fields.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// The header, if it is there.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

impl AskedServer {
    /// One that answers like this.
    pub(crate) async fn start(conduct: impl Fn(&Question) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let script = Arc::new(Script { conduct: Mutex::new(Arc::new(conduct)), questions: Mutex::default() });
        let task = Mutex::new(tokio::spawn(accept(listener, Arc::clone(&script))));
        Self { address, script, task }
    }

    /// A URL there.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Answers like this from now on.
    pub(crate) fn answers(&self, conduct: impl Fn(&Question) -> Reply + Send + Sync + 'static) {
        *self.script.conduct.lock().expect("not poisoned") = Arc::new(conduct);
    }

    /// Answers everything so from now on.
    pub(crate) fn says(&self, reply: Reply) {
        self.answers(move |_| reply.clone());
    }

    /// What it was asked so far.
    pub(crate) fn questions(&self) -> Vec<Question> {
        self.script.questions.lock().expect("not poisoned").clone()
    }

    /// How often it was asked.
    pub(crate) fn count(&self) -> usize {
        self.script.questions.lock().expect("not poisoned").len()
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
}

impl Drop for AskedServer {
    fn drop(&mut self) {
        self.task.lock().expect("not poisoned").abort();
    }
}

async fn accept(listener: TcpListener, script: Arc<Script>) {
    // Connections end with it.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let script = Arc::clone(&script);
        connections.spawn(async move {
            let service = service_fn(move |request| answer(request, Arc::clone(&script)));
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(request: Request<Incoming>, script: Arc<Script>) -> Result<Response<Body>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let question = Question {
        method: parts.method,
        target: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        headers: parts.headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let conduct = Arc::clone(&*script.conduct.lock().expect("not poisoned"));
    let mut reply = conduct(&question);
    script.questions.lock().expect("not poisoned").push(question);
    while let Reply::Slowly(pause, then) = reply {
        tokio::time::sleep(pause).await;
        reply = *then;
    }
    Ok(match reply {
        Reply::Says(body) => json(whole(body)),
        Reply::Fails(status) => with_status(status),
        Reply::FailsUntil(status, retry_after) => {
            let mut response = with_status(status);
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static(retry_after));
            response
        }
        Reply::Redirects(place) => {
            let mut response = with_status(302);
            response.headers_mut().insert(header::LOCATION, place.parse().expect("a header value"));
            response
        }
        Reply::Breaks(body) => {
            let frames = [Ok(Frame::data(Bytes::from(body))), Err(io::Error::other("cut"))];
            json(StreamBody::new(futures_util::stream::iter(frames)).boxed())
        }
        Reply::Spaces(bytes) => {
            let piece = Bytes::from(vec![b' '; 64 * 1024]);
            let pieces = std::iter::repeat_n(piece, bytes / (64 * 1024)).map(|piece| Ok(Frame::data(piece)));
            json(StreamBody::new(futures_util::stream::iter(pieces)).boxed())
        }
        Reply::Slowly(..) => with_status(500),
    })
}

fn json(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

fn with_status(status: u16) -> Response<Body> {
    let mut response = Response::new(whole("<html>not today</html>".to_owned()));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response
}

fn whole(body: String) -> Body {
    Full::from(body).map_err(|never| match never {}).boxed()
}
