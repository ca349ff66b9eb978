//! Owns: one question to an endpoint after its health, and its answer.
//! Refuses: keeping what the answer says; more of a body than a health check has use for.
//! Always holds: it has a connection of its own, made as those of requests are but not counted among them, so that neither takes
//! the other's place.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;
use http::{
    HeaderValue, Response,
    header::{ACCEPT, HOST, USER_AGENT},
};
use http_body_util::{BodyExt, Empty};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
    rt::Executor,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};

use super::{Health, answer::BadAnswer};
use crate::{
    http::{Fields, Request, RequestHead},
    upstream::{
        connect::{Agreed, ConnectError, agree},
        endpoint::{Endpoint, Protocol},
        request,
    },
};

/// Where the tasks of one connection run. Whoever holds the set holds their lives; they do not hold it themselves.
#[derive(Clone)]
struct Tasks(Weak<Mutex<JoinSet<()>>>);

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, future: F) {
        if let Some(tasks) = self.0.upgrade() {
            tasks.lock().unwrap_or_else(PoisonError::into_inner).spawn(async move { drop(future.await) });
        }
    }
}

/// How Postern calls itself.
const NAME: HeaderValue = HeaderValue::from_static(concat!("postern-health/", env!("CARGO_PKG_VERSION")));
/// How much of an answer's body is waited for.
const MOST_BODY_BYTES: usize = 64 * 1024;
/// The largest head of an answer.
const MOST_HEAD_BYTES: usize = 16 * 1024;

/// Asks, and judges the answer.
pub(super) async fn ask(endpoint: &Endpoint, health: &Health) -> Result<(), BadAnswer> {
    let answered = timeout(health.timeout, connect_and_ask(endpoint, health)).await;
    answered.unwrap_or(Err(BadAnswer::TimedOut(health.timeout)))
}

async fn connect_and_ask(endpoint: &Endpoint, health: &Health) -> Result<(), BadAnswer> {
    let stream = TcpStream::connect(endpoint.socket()).await;
    let stream = stream.map_err(|error| BadAnswer::Unreachable(ConnectError::of_tcp(error)))?;
    match endpoint.tls() {
        None if endpoint.protocol() == Protocol::Http2 => exchange(stream, Agreed::Http2, endpoint, health).await,
        None => exchange(stream, Agreed::Http1, endpoint, health).await,
        Some(tls) => {
            let (stream, agreed) = agree(stream, tls, endpoint.protocol()).await.map_err(BadAnswer::Unreachable)?;
            exchange(stream, agreed, endpoint, health).await
        }
    }
}

async fn exchange<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    agreed: Agreed,
    endpoint: &Endpoint,
    health: &Health,
) -> Result<(), BadAnswer> {
    let mut fields = Fields::from_iter([(USER_AGENT, NAME), (ACCEPT, const { HeaderValue::from_static("*/*") })]);
    fields.extend(health.host.clone().map(|host| (HOST, host)));
    let head = RequestHead { uri: health.path.clone().into(), fields, ..RequestHead::default() };
    let mut question = Request { head, body: Empty::<Bytes>::new() };
    request::form(&mut question, agreed, endpoint).map_err(BadAnswer::Unaskable)?;
    // Ends with this function, however it ends.
    let connection = Arc::new(Mutex::new(JoinSet::new()));
    let tasks = Tasks(Arc::downgrade(&connection));
    let stream = TokioIo::new(stream);
    match agreed {
        Agreed::Http1 => {
            let (mut sender, driver) = http1::Builder::new()
                .max_header_size(MOST_HEAD_BYTES)
                .handshake(stream)
                .await
                .map_err(BadAnswer::BrokenOff)?;
            tasks.execute(driver);
            judge(sender.send_request(question.into()).await.map_err(BadAnswer::BrokenOff)?, health).await
        }
        Agreed::Http2 => {
            let (mut sender, driver) = http2::Builder::new(tasks.clone())
                .timer(TokioTimer::new())
                .handshake(stream)
                .await
                .map_err(BadAnswer::BrokenOff)?;
            tasks.execute(driver);
            judge(sender.send_request(question.into()).await.map_err(BadAnswer::BrokenOff)?, health).await
        }
    }
}

async fn judge(answer: Response<Incoming>, health: &Health) -> Result<(), BadAnswer> {
    let status = answer.status().as_u16();
    if !health.expects(status) {
        return Err(BadAnswer::Status(status));
    }
    let mut body = answer.into_body();
    let mut left = MOST_BODY_BYTES;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(BadAnswer::BrokenOff)?;
        let Some(rest) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else { break };
        left = rest;
    }
    Ok(())
}
