//! Owns: a connection from its acceptance to the choice of its protocol, and the bounds that whoever speaks it is given.
//! Refuses: waiting for anything without a bound: PROXY protocol header, handshake, first bytes, heads, bodies, the end.
//! Always holds: over TLS the protocol is what ALPN settled (RFC 7301), in clear what the first bytes are; HTTP/2 begins
//! with its preface either way.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::{Pin, pin},
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{
    HeaderName, HeaderValue, Method,
    header::{CONNECTION, UPGRADE},
};
use http_body::Body;
use hyper::{
    body::Incoming,
    server::conn::http2,
    service::{HttpService, service_fn},
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::TcpStream,
    select,
    time::{Instant, sleep_until},
};

use super::{
    activity::Activity,
    body::DownstreamBody,
    conduct::FrameMeter,
    counters::WorkerCounters,
    drain::Drain,
    drive::{ConnectionError, Ending, HttpConnection, drive},
    executor::LocalExecutor,
    handler::{CloseConnection, ConnectionInfo, Handler, Protocol},
    http1::{HeadBounds, Http1Body, Http1Connection, RequestFault},
    limits::Limits,
    listener::{Listener, ListenerSettings},
    overload::Gauge,
    proxy_protocol::{self, ProxyHeader},
    request::{RequestGuard, StreamHold, Tally, TrackedBody},
    slots::ConnectionSlot,
    sniff::{Prefix, sniff},
    stream::{DownstreamStream, Transport},
    timekeeper::Timekeeper,
    tls::TlsSettings,
};
use crate::http::{Arrivals, Fields, Request, Response};

/// How much of an answer hyper may hold for one HTTP/2 stream.
const BUFFER: usize = 64 * 1024;

/// How often a silent HTTP/2 connection is asked whether it is still there, and how long the answer may take.
const PING_EVERY: Duration = Duration::from_secs(30);
const PONG_WITHIN: Duration = Duration::from_secs(20);

/// A connection that has been accepted and has its place.
pub(super) struct Accepted {
    pub(super) socket: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) slot: ConnectionSlot,
}

/// What all connections of one listener on one worker share.
#[derive(Clone)]
pub(super) struct Seat<H> {
    pub(super) handler: H,
    pub(super) listener: Arc<Listener>,
    pub(super) worker: Arc<WorkerCounters>,
    pub(super) gauge: Rc<Gauge>,
    pub(super) drain: Rc<Drain>,
}

/// One connection whose protocol is known: what its requests share.
struct Opened<H> {
    seat: Seat<H>,
    info: Rc<ConnectionInfo>,
    tally: Rc<Tally>,
}

/// Serves one connection to its end.
pub(super) async fn serve<H: Handler>(accepted: Accepted, seat: Seat<H>) {
    let settings = seat.listener.settings_now();
    let Accepted { mut socket, mut peer, mut slot } = accepted;
    let Ok(mut local) = socket.local_addr() else { return };
    peer.set_ip(peer.ip().to_canonical());
    if settings.expects_proxy_header(peer.ip()) {
        let Some(header) = Box::pin(proxy_header(&mut socket, peer, &settings, &seat)).await else { return };
        if let ProxyHeader::Proxied { peer: proxied, local: reached } = header {
            (peer, local) = (proxied, reached);
        }
        if let Some(limit) = settings.limits.connections_per_peer
            && !slot.count_among(peer.ip(), limit)
        {
            seat.listener.counters().refused_per_peer.increment();
            return;
        }
    }
    let (mut transport, tls) = match &settings.tls {
        None => (Transport::Clear(socket), None),
        Some(tls) => match Box::pin(tls.accept(socket, settings.limits.handshake_timeout)).await {
            Ok((stream, info)) => (Transport::Tls(Box::new(stream)), Some(info)),
            Err(error) => {
                seat.listener.counters().tls_handshake_failures.increment();
                tracing::debug!(listener = %seat.listener.name(), %peer, %error, "TLS handshake failed");
                return;
            }
        },
    };
    let opened = Instant::now();
    let mut prefix = Prefix::default();
    let Some(protocol) = protocol(&mut transport, &mut prefix, opened, &settings.limits, &seat).await else { return };
    let activity = Arc::new(Activity::new(protocol, opened));
    let meter = (protocol == Protocol::Http2).then(|| FrameMeter::new(opened));
    let stream = DownstreamStream::new(transport, prefix, meter, Arc::clone(&activity), slot);
    let arrivals = Arrivals::new(peer.ip(), tls.is_some());
    let info = Rc::new(ConnectionInfo { listener: Arc::clone(&seat.listener), peer, local, protocol, tls, arrivals });
    let tally = Rc::new(Tally { activity, worker: Arc::clone(&seat.worker) });
    let connection = Rc::new(Opened { seat, info, tally });
    match protocol {
        Protocol::Http1 => connection.serve_http1(stream, &settings.limits).await,
        // As for the steps before: what few connections need, or for a moment, takes no room in all of them.
        Protocol::Http2 => Box::pin(connection.serve_http2(stream, &settings.limits)).await,
    }
}

/// What a load balancer says of its connection; nothing if it does not say it, or not in time.
async fn proxy_header<H>(
    socket: &mut TcpStream,
    peer: SocketAddr,
    settings: &ListenerSettings,
    seat: &Seat<H>,
) -> Option<ProxyHeader> {
    let opened = Instant::now();
    // It stands before whatever comes first, and belongs to that.
    let within = if settings.is_tls() { settings.limits.handshake_timeout } else { settings.limits.header_timeout };
    let read = select! {
        biased;
        read = proxy_protocol::read(socket) => read.map_err(|error| error.to_string()),
        () = seat.drain.patience_ended(opened) => return None,
        () = sleep_until(opened + within) => Err("it did not come in time".to_owned()),
    };
    read.inspect_err(|error| {
        seat.listener.counters().proxy_header_failures.increment();
        tracing::debug!(listener = %seat.listener.name(), %peer, error, "no PROXY protocol header");
    })
    .ok()
}

/// What is going to be spoken; nothing if the connection is not worth going on with.
async fn protocol<H>(
    transport: &mut Transport,
    prefix: &mut Prefix,
    opened: Instant,
    limits: &Limits,
    seat: &Seat<H>,
) -> Option<Protocol> {
    let expected = match transport {
        Transport::Clear(_) => None,
        Transport::Tls(stream) => Some(TlsSettings::protocol(stream)),
    };
    if expected == Some(Protocol::Http1) {
        return expected;
    }
    let seen = select! {
        biased;
        seen = sniff(transport, prefix) => seen.ok().flatten(),
        () = seat.drain.patience_ended(opened) => None,
        () = sleep_until(opened + limits.header_timeout) => {
            seat.listener.counters().header_timeouts.increment();
            None
        }
    }?;
    match expected {
        Some(expected) if expected != seen => {
            seat.listener.counters().malformed.increment();
            None
        }
        _ => Some(seen),
    }
}

impl<H: Handler> Opened<H> {
    async fn serve_http1(self: Rc<Self>, stream: DownstreamStream, limits: &Limits) {
        let this = Rc::clone(&self);
        let service = move |request: Result<Request<Option<Http1Body>>, RequestFault>| {
            let this = Rc::clone(&this);
            let has_body = request
                .as_ref()
                .map_or(true, |request| request.body.as_ref().is_some_and(|body| !body.is_end_stream()));
            let guard = RequestGuard::begin(&this.tally, has_body);
            async move {
                let mut response = match request {
                    Ok(request) => {
                        let request = request.map(|body| body.map_or(DownstreamBody::Empty, DownstreamBody::Http1));
                        // As all that is large on a request's way it is made where it stays: what is awaited by value is copied there,
                        // twice and with all the room that it has for later.
                        pin!(this.answer(request, &guard)).await
                    }
                    Err(fault) => this.put_aside(fault),
                };
                if this.seat.drain.since().is_some() || response.head.extensions.get::<CloseConnection>().is_some() {
                    close_after(&mut response);
                }
                response.map(|body| TrackedBody::new(body, guard, None))
            }
        };
        let bounds = HeadBounds { bytes: limits.header_size(), fields: limits.headers };
        self.finish(Http1Connection::new(stream, bounds, service), limits).await;
    }

    async fn serve_http2(self: Rc<Self>, stream: DownstreamStream, limits: &Limits) {
        let executor = LocalExecutor::new(limits.body_idle_timeout, Arc::clone(&self.seat.listener));
        let (this, most_headers, streams) = (Rc::clone(&self), limits.headers, executor.clone());
        let service = service_fn(move |request: http::Request<Incoming>| {
            let mut request = Request::from(request).map(DownstreamBody::Http2);
            let this = Rc::clone(&this);
            let guard = RequestGuard::begin(&this.tally, !request.body.is_end_stream());
            let turn = streams.stream_begins();
            if request.head.method == Method::CONNECT {
                request.head.extensions.insert(StreamHold::new(&this.tally));
            }
            async move {
                let response = match fault_of(&request.head.fields, most_headers) {
                    Some(fault) => this.seat.handler.put_aside(fault, &this.info),
                    None => this.answer(request, &guard).await,
                };
                if response.head.extensions.get::<CloseConnection>().is_some() {
                    this.tally.activity.want_close();
                }
                let response = response.map(|body| TrackedBody::new(body, guard, Some(turn)));
                Ok::<_, Infallible>(http::Response::from(response))
            }
        });
        let connection = http2::Builder::new(executor)
            .timer(TokioTimer::new())
            .enable_connect_protocol()
            .max_concurrent_streams(limits.http2_streams)
            .max_pending_accept_reset_streams(limits.http2_pending_resets)
            .max_local_error_reset_streams(limits.http2_error_resets)
            .max_header_list_size(limits.header_bytes)
            .max_send_buf_size(BUFFER)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PONG_WITHIN)
            .serve_connection(TokioIo::new(stream), service);
        self.finish(Http2Connection { connection }, limits).await;
    }

    /// Answers a request, at the door if there is enough to do.
    async fn answer(&self, request: Request<DownstreamBody>, guard: &RequestGuard) -> Response<H::Body> {
        if self.seat.gauge.sheds() {
            return self.seat.handler.overloaded(&request, &self.info);
        }
        guard.taken_up();
        let response = pin!(self.seat.handler.handle(request, &self.info)).await;
        if H::is_whole(&response.body) {
            guard.done_with();
        }
        response
    }

    /// Answers in the place of a head that is not one; nothing can be read behind it.
    fn put_aside(&self, fault: RequestFault) -> Response<H::Body> {
        self.seat.listener.counters().malformed.increment();
        let mut response = self.seat.handler.put_aside(fault, &self.info);
        response.head.extensions.insert(CloseConnection);
        response
    }

    async fn finish(&self, connection: impl HttpConnection, limits: &Limits) {
        let activity = &self.tally.activity;
        {
            let connection = pin!(connection);
            let ending =
                drive(connection, activity, Timekeeper::new(limits, activity.opened()), &self.seat.drain).await;
            // Counted before the connection is dropped: whoever sees it closed finds it in the counters.
            self.seat.count(&ending);
            if activity.is_framing_broken() {
                self.seat.listener.counters().malformed.increment();
            }
            if activity.is_flooded() {
                self.seat.listener.counters().floods.increment();
                let (listener, peer) = (self.seat.listener.name(), self.info.peer);
                tracing::debug!(%listener, %peer, "ended an HTTP/2 connection for its many frames that carry nothing");
            }
        }
        // The connection is gone. If the stream is not, it has been given away as an upgrade.
        if !activity.tether.is_gone() {
            activity.tether.hold().await;
        }
    }
}

impl<H> Seat<H> {
    fn count(&self, ending: &Ending) {
        let counters = self.listener.counters();
        match ending {
            Ending::Finished => {}
            Ending::HeaderTimeout => counters.header_timeouts.increment(),
            Ending::Stalled => counters.stalled.increment(),
            Ending::Failed(error) => {
                if matches!(error, ConnectionError::Http2(error) if error.is_parse()) {
                    counters.malformed.increment();
                }
                let error = error as &dyn std::error::Error;
                tracing::debug!(listener = %self.listener.name(), error, "connection ended");
            }
        }
    }
}

/// What is wrong with the fields of an HTTP/2 request, if anything is. What reads them takes a quotation mark for a character of a name,
/// which it is not (RFC 9113 section 8.2, RFC 9110 section 5.6.2): an upstream could break off for it.
fn fault_of(fields: &Fields, most: usize) -> Option<RequestFault> {
    if fields.len() > most {
        return Some(RequestFault::TooManyFields);
    }
    let is_quoted = |name: &HeaderName| memchr::memchr(b'"', name.as_str().as_bytes()).is_some();
    fields.names().any(is_quoted).then_some(RequestFault::Malformed)
}

/// Makes `response` the last one on its HTTP/1.1 connection (RFC 9112 section 9.6). An upgrade is that anyway, and says
/// other things there.
fn close_after<B>(response: &mut Response<B>) {
    if !response.head.fields.contains(&UPGRADE) {
        response.head.fields.append(CONNECTION, const { HeaderValue::from_static("close") });
    }
}

/// hyper's connection, whose errors are ours.
struct Http2Connection<S, B>
where
    S: HttpService<Incoming, ResBody = TrackedBody<B>>,
{
    connection: http2::Connection<TokioIo<DownstreamStream>, S, LocalExecutor>,
}

impl<S, B> Future for Http2Connection<S, B>
where
    S: HttpService<Incoming, ResBody = TrackedBody<B>>,
    S::Future: 'static,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: Body<Data = bytes::Bytes> + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Output = Result<(), ConnectionError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.get_mut().connection).poll(context).map_err(ConnectionError::Http2)
    }
}

impl<S, B> HttpConnection for Http2Connection<S, B>
where
    S: HttpService<Incoming, ResBody = TrackedBody<B>>,
    S::Future: 'static,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: Body<Data = bytes::Bytes> + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn shut_down(self: Pin<&mut Self>) {
        Pin::new(&mut self.get_mut().connection).graceful_shutdown();
    }
}
