//! An upstream whose health and behaviour a test switches while it runs.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, Version};
use hyper::body::Incoming;
use rustls::ServerConfig;
use tokio::time::{Instant, sleep};

use super::{
    connection::{AnyBody, bytes, empty, repeated},
    served_upstream::ServedUpstream,
};

/// How it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// With this status, at once.
    Status(u16),
    /// With 200, after so long.
    Slow(Duration),
    /// With the head of a 200 and a body that never ends.
    Endless,
}

/// A question after its health, as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) target: String,
    pub(crate) version: Version,
    pub(crate) host: String,
    pub(crate) agent: String,
    pub(crate) is_authorized: bool,
}

/// A server that answers `GET /healthz` by one mood and everything else by another, and knows when what arrived.
pub(crate) struct MoodyUpstream {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    _server: ServedUpstream,
}

struct State {
    health: Mood,
    requests: Mood,
    asked: Vec<Asked>,
    arrived: Vec<Instant>,
}

impl MoodyUpstream {
    /// One that is well.
    pub(crate) async fn start() -> Self {
        Self::over(None).await
    }

    /// One that is well, over TLS if there are settings for it.
    pub(crate) async fn over(tls: Option<Arc<ServerConfig>>) -> Self {
        let state =
            State { health: Mood::Status(200), requests: Mood::Status(200), asked: Vec::new(), arrived: Vec::new() };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let server = ServedUpstream::over(tls, move |request| answer(request, Arc::clone(&shared))).await;
        Self { address: server.address, state, _server: server }
    }

    /// Its URL in clear.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How metrics call it.
    pub(crate) fn label(&self) -> String {
        self.address.to_string()
    }

    /// From now on it answers so when it is asked after its health.
    pub(crate) fn feel(&self, mood: Mood) {
        self.state.lock().expect("not poisoned").health = mood;
    }

    /// From now on it answers requests so.
    pub(crate) fn behave(&self, mood: Mood) {
        self.state.lock().expect("not poisoned").requests = mood;
    }

    /// The questions after its health so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.lock().expect("not poisoned").asked.clone()
    }

    /// When each request arrived.
    pub(crate) fn arrived(&self) -> Vec<Instant> {
        self.state.lock().expect("not poisoned").arrived.clone()
    }

    /// How many requests arrived.
    pub(crate) fn count(&self) -> usize {
        self.state.lock().expect("not poisoned").arrived.len()
    }
}

async fn answer(request: Request<Incoming>, state: Arc<Mutex<State>>) -> Response<AnyBody> {
    let mood = {
        let mut state = state.lock().expect("not poisoned");
        if request.uri().path() == "/healthz" {
            state.asked.push(asked(&request));
            state.health
        } else {
            state.arrived.push(Instant::now());
            state.requests
        }
    };
    match mood {
        Mood::Status(status) => Response::builder().status(status).body(bytes("moody")).expect("a response"),
        Mood::Slow(duration) => {
            sleep(duration).await;
            Response::new(empty())
        }
        Mood::Endless => Response::new(repeated(Bytes::from_static(&[b'x'; 4096]), usize::MAX, |_| {})),
    }
}

fn asked(request: &Request<Incoming>) -> Asked {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let authority = request.uri().authority().map(ToString::to_string);
    Asked {
        target: request.uri().path_and_query().map(ToString::to_string).unwrap_or_default(),
        version: request.version(),
        host: authority.unwrap_or_else(|| header("host").to_owned()),
        agent: header("user-agent").to_owned(),
        is_authorized: request.headers().contains_key("authorization"),
    }
}
