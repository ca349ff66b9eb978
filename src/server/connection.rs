//! Owns: a connection from its acceptance to the choice of its protocol, and the bounds that hyper is given.
//! Refuses: waiting for anything without a bound: PROXY protocol header, handshake, first bytes, heads, bodies, the end.
//! Always holds: over TLS the protocol is what ALPN settled (RFC 7301), in clear what the first bytes are; HTTP/2 begins
//! with its preface either way.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::{Pin, pin},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use http::{
    HeaderValue, Method, Request, Response,
    header::{CONNECTION, UPGRADE},
};
use http_body::Body;
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
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
    conduct::{Conduct, RequestFault},
    counters::WorkerCounters,
    drain::Drain,
    drive::{Ending, HttpConnection, drive},
    executor::LocalExecutor,
    handler::{CloseConnection, ConnectionInfo, Handler, Protocol, WholeAnswer},
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
use crate::http::Arrivals;

/// Header fields for which hyper's HTTP/1.1 parser needs no allocation.
const HEADERS_ON_STACK: usize = 100;

/// How much of a body, either way, hyper may hold for one HTTP/1.1 connection or one HTTP/2 stream.
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
    let conduct = Conduct::new(protocol, &settings.limits, opened);
    let stream = DownstreamStream::new(transport, prefix, conduct, Arc::clone(&activity), slot);
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
        let service = service_fn(move |request: Request<Incoming>| {
            let this = Rc::clone(&this);
            let activity = &this.tally.activity;
            let number = activity.begun().wrapping_add(1);
            let fault = activity.conversation.fault_of(number);
            let guard = RequestGuard::begin(&this.tally, fault.is_some() || !request.body().is_end_stream());
            async move {
                let is_connect = request.method() == Method::CONNECT;
                let mut response = match fault {
                    Some(fault) => this.put_aside(fault),
                    None => this.answer(request, &guard).await,
                };
                this.tally.activity.conversation.answered(number, is_switch(&response, is_connect));
                if this.seat.drain.since().is_some() || response.extensions().get::<CloseConnection>().is_some() {
                    close_after(&mut response);
                }
                Ok::<_, Infallible>(response.map(|body| TrackedBody::new(body, guard, None)))
            }
        });
        let header_bytes = limits.header_size();
        let mut builder = http1::Builder::new();
        // Our own clock tells a slow head from an idle connection; hyper's runs through both.
        builder.header_read_timeout(None).max_header_size(header_bytes).max_buf_size(header_bytes.max(BUFFER));
        if limits.headers != HEADERS_ON_STACK {
            builder.max_headers(limits.headers);
        }
        self.finish(builder.serve_connection(TokioIo::new(stream), service).with_upgrades(), limits).await;
    }

    async fn serve_http2(self: Rc<Self>, stream: DownstreamStream, limits: &Limits) {
        let executor = LocalExecutor::new(limits.body_idle_timeout, Arc::clone(&self.seat.listener));
        let (this, most_headers, streams) = (Rc::clone(&self), limits.headers, executor.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            let this = Rc::clone(&this);
            let guard = RequestGuard::begin(&this.tally, !request.body().is_end_stream());
            let turn = streams.stream_begins();
            if request.method() == Method::CONNECT {
                request.extensions_mut().insert(StreamHold::new(&this.tally));
            }
            async move {
                let response = if request.headers().len() > most_headers {
                    this.seat.handler.put_aside(RequestFault::TooManyFields, &this.info)
                } else {
                    this.answer(request, &guard).await
                };
                if response.extensions().get::<CloseConnection>().is_some() {
                    this.tally.activity.want_close();
                }
                Ok::<_, Infallible>(response.map(|body| TrackedBody::new(body, guard, Some(turn))))
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
        self.finish(connection, limits).await;
    }

    /// Answers a request, at the door if there is enough to do.
    async fn answer(&self, request: Request<Incoming>, guard: &RequestGuard) -> Response<H::Body> {
        if self.seat.gauge.sheds() {
            return self.seat.handler.overloaded(&request, &self.info);
        }
        guard.taken_up();
        let response = self.seat.handler.handle(request, &self.info).await;
        if response.extensions().get::<WholeAnswer>().is_some() {
            guard.done_with();
        }
        response
    }

    /// Answers in the place of a head that is not one; nothing can be read behind it.
    fn put_aside(&self, fault: RequestFault) -> Response<H::Body> {
        self.seat.listener.counters().malformed.increment();
        let mut response = self.seat.handler.put_aside(fault, &self.info);
        response.extensions_mut().insert(CloseConnection);
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
            if activity.conversation.is_broken() {
                self.seat.listener.counters().malformed.increment();
            }
            if activity.is_flooded() {
                self.seat.listener.counters().floods.increment();
                let (listener, peer) = (self.seat.listener.name(), self.info.peer);
                tracing::debug!(%listener, %peer, "ended an HTTP/2 connection for its many frames that carry nothing");
            }
        }
        // hyper's connection is gone. If the stream is not, it has been given away as an upgrade.
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
                if error.is_parse() {
                    counters.malformed.increment();
                }
                tracing::debug!(listener = %self.listener.name(), %error, "connection ended");
            }
        }
    }
}

/// Whether what follows `response` is not HTTP any more (RFC 9110 sections 7.8 and 9.3.6).
fn is_switch<B>(response: &Response<B>, is_connect: bool) -> bool {
    match response.status().as_u16() {
        101 => true,
        200..300 => is_connect,
        _ => false,
    }
}

/// Makes `response` the last one on its HTTP/1.1 connection (RFC 9112 section 9.6). An upgrade is that anyway, and says
/// other things there.
fn close_after<B>(response: &mut Response<B>) {
    if !response.headers().contains_key(UPGRADE) {
        response.headers_mut().append(CONNECTION, HeaderValue::from_static("close"));
    }
}

impl<S, B> HttpConnection for http1::UpgradeableConnection<TokioIo<DownstreamStream>, S>
where
    S: HttpService<Incoming, ResBody = TrackedBody<B>>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn shut_down(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<S, B> HttpConnection for http2::Connection<TokioIo<DownstreamStream>, S, LocalExecutor>
where
    S: HttpService<Incoming, ResBody = TrackedBody<B>>,
    S::Future: 'static,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: Body<Data = bytes::Bytes> + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn shut_down(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}
