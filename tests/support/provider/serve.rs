//! One connection of the provider, and one request on it.

use std::{
    convert::Infallible,
    io,
    sync::{Arc, Mutex, atomic::AtomicUsize},
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::BoxBody};
use hyper::{
    body::{Frame, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use serde_json::json;
use tokio::{net::TcpStream, sync::watch};

use super::{
    asked::Asked,
    conduct::{Conduct, Said, Script},
    ledger::Ledger,
};

type Body = BoxBody<Bytes, io::Error>;

pub(super) struct House {
    pub(super) script: Mutex<Script>,
    pub(super) ledger: Ledger,
    pub(super) held: watch::Sender<bool>,
    /// Counts how often all connections were closed.
    pub(super) connections: watch::Sender<u64>,
    pub(super) opened: AtomicUsize,
}

/// Serves until either side closes.
pub(super) async fn connection(stream: TcpStream, house: Arc<House>) {
    let mut closings = house.connections.subscribe();
    closings.mark_unchanged();
    let service = service_fn(move |request| answer(request, Arc::clone(&house)));
    let builder = auto::Builder::new(TokioExecutor::new());
    tokio::select! {
        _ = builder.serve_connection(TokioIo::new(stream), service) => {}
        _ = closings.changed() => {}
    }
}

async fn answer(request: Request<Incoming>, house: Arc<House>) -> io::Result<Response<Body>> {
    let _under_way = house.ledger.begin();
    let (parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().map_or_else(String::new, ToString::to_string);
    let body = body.collect().await.ok().map(http_body_util::Collected::to_bytes);
    let asked = Asked::new(parts.method, target, parts.headers, body);
    house.ledger.note(asked.clone());
    let conduct = house.script.lock().expect("not poisoned").conduct_for(asked.path());
    // An error is a provider that is gone, whose answers nobody waits for.
    let _ = house.held.subscribe().wait_for(|held| !held).await;
    let adorned = |said: Said| {
        let headers = house.script.lock().expect("not poisoned").headers.clone();
        headers.into_iter().fold(said, |said, (name, value)| said.with(name, &value))
    };
    let honest = || adorned(honest_answer(&asked, &house));
    Ok(match conduct {
        Conduct::Honest => response(honest()),
        Conduct::Slow(pause) => {
            tokio::time::sleep(pause).await;
            response(honest())
        }
        Conduct::Silent => std::future::pending().await,
        Conduct::Says(said) => response(adorned(said)),
        Conduct::Closes => return Err(io::Error::other("closed")),
        Conduct::Truncated => truncated(honest()),
        Conduct::Oversized(bytes) => oversized(honest(), bytes),
    })
}

/// What somebody is told who asks an honest provider.
fn honest_answer(asked: &Asked, house: &House) -> Said {
    let script = house.script.lock().expect("not poisoned");
    let Some(client_id) = script.authenticated(asked) else {
        return script.shape.unknown_client(asked.placed());
    };
    let token = asked.parameter("token").unwrap_or_default();
    if asked.path().ends_with("/introspect") {
        let known = house.ledger.find(token).filter(|_| !house.ledger.is_revoked(token));
        return Said::json(
            200,
            &known.map_or_else(
                || json!({ "active": false }),
                |issued| {
                    json!({ "active": true, "client_id": issued.client_id, "scope": issued.scope, "aud": issued.audience })
                },
            ),
        );
    }
    if asked.path().ends_with("/revoke") {
        // RFC 7009 section 2.1: nobody revokes the tokens of others.
        if house.ledger.find(token).is_some_and(|issued| issued.client_id == client_id) {
            house.ledger.revoke(token);
        }
        return Said::text(200, "application/json", "");
    }
    let issued = house.ledger.issue(asked, &client_id, &script.mint);
    script.shape.success(&issued, script.expires_in.as_ref())
}

fn response(said: Said) -> Response<Body> {
    let body = Full::from(said.body.clone()).map_err(|never: Infallible| match never {}).boxed();
    head(&said, body)
}

fn truncated(said: Said) -> Response<Body> {
    let half = Bytes::copy_from_slice(&said.body.as_bytes()[..said.body.len() / 2]);
    let frames = [Ok(Frame::data(half)), Err(io::Error::other("cut"))];
    head(&said, StreamBody::new(futures_util::stream::iter(frames)).boxed())
}

fn oversized(said: Said, bytes: u64) -> Response<Body> {
    const PIECE: u64 = 64 * 1024;
    let (beginning, end) = said.body.split_at(1);
    let blank = Bytes::from(vec![b' '; PIECE as usize]);
    let pieces = (0..bytes.div_ceil(PIECE)).map(move |_| Ok(Frame::data(blank.clone())));
    let first = std::iter::once(Ok(Frame::data(Bytes::copy_from_slice(beginning.as_bytes()))));
    let last = std::iter::once(Ok(Frame::data(Bytes::copy_from_slice(end.as_bytes()))));
    head(&said, StreamBody::new(futures_util::stream::iter(first.chain(pieces).chain(last))).boxed())
}

fn head(said: &Said, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(said.status).expect("a status");
    for (name, value) in &said.headers {
        let (name, value) = (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a header value"));
        if name == header::CONTENT_TYPE {
            response.headers_mut().insert(name, value);
        } else {
            response.headers_mut().append(name, value);
        }
    }
    response
}
