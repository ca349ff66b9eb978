//! Owns: one listener on one worker: accepting, and at the end emptying the kernel's queue and waiting for what is open.
//! Refuses: accepting beyond the limits; turning in circles when the kernel has no descriptor left.
//! Always holds: a connection that was accepted is served or closed by a limit, never forgotten, however often the loop
//! around it is woken.

use std::{io, net::SocketAddr, rc::Rc, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    select,
    sync::oneshot,
    task::{JoinError, JoinSet},
    time::{Instant, sleep_until, timeout},
};

use super::{
    connection::{Accepted, Seat, serve},
    counters::WorkerCounters,
    drain::Drain,
    handler::Handler,
    listener::Listener,
    overload::Gauge,
    slots::{ConnectionSlot, PeerSlot},
    worker::DrainReport,
};
use crate::descriptors;

const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Accepts and serves until `close` says for how long the end may take, or its sender is gone.
pub(super) async fn serve_listener<H: Handler>(
    handler: H,
    listener: Arc<Listener>,
    socket: std::net::TcpListener,
    worker: Arc<WorkerCounters>,
    gauge: Rc<Gauge>,
    mut close: oneshot::Receiver<Duration>,
) -> DrainReport {
    let mut door = match TcpListener::from_std(socket) {
        Ok(socket) => Door::new(socket, Arc::clone(&listener)),
        Err(error) => {
            tracing::error!(listener = %listener.name(), %error, "a worker cannot watch its listening socket");
            return DrainReport::default();
        }
    };
    let drain = Rc::new(Drain::default());
    let seat = Seat { handler, listener: Arc::clone(&listener), worker, gauge, drain };
    let mut connections = JoinSet::new();
    let grace_period = loop {
        select! {
            biased;
            grace_period = &mut close => break grace_period.unwrap_or_default(),
            Some(ended) = connections.join_next() => note_panic(ended),
            accepted = door.next() => {
                listener.counters().accepted.increment();
                connections.spawn_local(serve(accepted, seat.clone()));
            }
        }
    };
    seat.drain.begin();
    for accepted in door.close() {
        listener.counters().accepted.increment();
        connections.spawn_local(serve(accepted, seat.clone()));
    }
    let mut report = DrainReport { finished: connections.len(), cut: 0 };
    let all_ended = async {
        while let Some(ended) = connections.join_next().await {
            note_panic(ended);
        }
    };
    if timeout(grace_period, all_ended).await.is_err() {
        while let Some(ended) = connections.try_join_next() {
            note_panic(ended);
        }
        report.cut = connections.len();
        report.finished = report.finished.saturating_sub(report.cut);
        listener.counters().cut.add(u64::try_from(report.cut).unwrap_or(u64::MAX));
        connections.shutdown().await;
    }
    report
}

fn note_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection ended by a panic");
    }
}

/// The listening socket, and what is half-way in.
struct Door {
    socket: TcpListener,
    listener: Arc<Listener>,
    /// Accepted, and waiting for a place. The kernel's queue holds those behind it.
    waiting: Option<(TcpStream, SocketAddr, Option<PeerSlot>)>,
    pause: Duration,
    resume_at: Option<Instant>,
}

impl Door {
    const fn new(socket: TcpListener, listener: Arc<Listener>) -> Self {
        Self { socket, listener, waiting: None, pause: SHORTEST_PAUSE, resume_at: None }
    }

    /// The next connection with a place. May be given up at any point: all that is half-way stays in `self`.
    async fn next(&mut self) -> Accepted {
        loop {
            if let Some((_, _, peer_slot)) = &mut self.waiting {
                let slot = ConnectionSlot::wait(&self.listener, peer_slot).await;
                if let Some((socket, peer, _)) = self.waiting.take() {
                    return Accepted { socket, peer, slot };
                }
            }
            if let Some(at) = self.resume_at {
                sleep_until(at).await;
                self.resume_at = None;
            }
            match self.socket.accept().await {
                // What is left is for operators, the store and the logs; closing this one gives it back.
                Ok((socket, _)) if descriptors::is_reserved(&socket) => {
                    self.listener.counters().refused_descriptors.increment();
                    self.failed(&io::Error::other("nearly all file descriptors are in use"));
                }
                Ok((socket, peer)) => {
                    self.pause = SHORTEST_PAUSE;
                    self.admit(socket, peer);
                }
                Err(error) => self.failed(&error),
            }
        }
    }

    /// Lets a connection wait for its place, unless its peer has too many.
    fn admit(&mut self, socket: TcpStream, peer: SocketAddr) {
        let Ok(peer_slot) = peer_slot(&self.listener, peer) else {
            self.listener.counters().refused_per_peer.increment();
            return;
        };
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY refused");
        }
        self.waiting = Some((socket, peer, peer_slot));
    }

    fn failed(&mut self, error: &io::Error) {
        // These say that a connection was gone before it was accepted; the socket is well.
        let gone = [
            io::ErrorKind::ConnectionAborted,
            io::ErrorKind::ConnectionReset,
            io::ErrorKind::ConnectionRefused,
            io::ErrorKind::Interrupted,
        ];
        if gone.contains(&error.kind()) {
            return;
        }
        self.listener.counters().accept_errors.increment();
        tracing::warn!(
            listener = %self.listener.name(), %error, pause_ms = self.pause.as_millis(),
            "cannot accept connections; pausing"
        );
        self.resume_at = Some(Instant::now() + self.pause);
        self.pause = self.pause.saturating_mul(2).min(LONGEST_PAUSE);
    }

    /// Closes the socket; those whose connection the kernel has completed already are still let in.
    fn close(self) -> Vec<Accepted> {
        let Self { socket, listener, waiting, .. } = self;
        let mut door = match socket.into_std() {
            Ok(socket) => ClosingDoor { socket, listener, admitted: Vec::new() },
            Err(error) => {
                tracing::debug!(%error, "the kernel's queue is not emptied");
                return Vec::new();
            }
        };
        if let Some((socket, peer, mut peer_slot)) = waiting
            && let Some(slot) = ConnectionSlot::take(&door.listener, &mut peer_slot)
        {
            door.admitted.push(Accepted { socket, peer, slot });
        }
        while let Ok((socket, peer)) = door.socket.accept() {
            door.admit(socket, peer);
        }
        door.admitted
    }
}

struct ClosingDoor {
    socket: std::net::TcpListener,
    listener: Arc<Listener>,
    admitted: Vec<Accepted>,
}

impl ClosingDoor {
    fn admit(&mut self, socket: std::net::TcpStream, peer: SocketAddr) {
        let Ok(mut peer_slot) = peer_slot(&self.listener, peer) else { return };
        let socket = socket.set_nonblocking(true).and_then(|()| TcpStream::from_std(socket));
        if let (Ok(socket), Some(slot)) = (socket, ConnectionSlot::take(&self.listener, &mut peer_slot)) {
            self.admitted.push(Accepted { socket, peer, slot });
        }
    }
}

/// A peer has all connections that it may have.
struct TooMany;

/// A place among those of its peer for a connection, unless they are not bounded, or its true peer is still to be told.
fn peer_slot(listener: &Arc<Listener>, peer: SocketAddr) -> Result<Option<PeerSlot>, TooMany> {
    let settings = listener.settings();
    match settings.limits.connections_per_peer {
        Some(limit) if !settings.expects_proxy_header(peer.ip()) => {
            PeerSlot::take(listener, peer.ip().to_canonical(), limit).map(Some).ok_or(TooMany)
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::UnixTime,
        config::{Config, LimitsConfig, ListenerConfig},
        diagnostic::Diagnostics,
        server::Listeners,
    };

    async fn door() -> Door {
        let address = "127.0.0.1:0".parse().unwrap();
        let raw = ListenerConfig {
            address,
            tls: None,
            limits: LimitsConfig::default(),
            trusted_proxies: Vec::new(),
            proxy_protocol_from: Vec::new(),
        };
        let config = Config { listeners: [("public".to_owned(), raw)].into(), ..Config::default() };
        let listeners = Listeners::compile(&config, None, UnixTime::default(), &mut Diagnostics::new()).unwrap();
        let socket = TcpListener::bind(address).await.unwrap();
        Door::new(socket, Arc::clone(listeners.iter().next().unwrap()))
    }

    #[tokio::test]
    async fn a_lack_of_descriptors_pauses_longer_and_longer_and_is_over_with_the_next_connection() {
        let mut door = door().await;
        let no_descriptor = io::Error::from_raw_os_error(24);
        let mut pauses = Vec::new();
        for _ in 0..10 {
            let before = Instant::now();
            door.failed(&no_descriptor);
            pauses.push(door.resume_at.unwrap().duration_since(before));
        }
        assert!(pauses[0] >= SHORTEST_PAUSE && pauses[0] < 3 * SHORTEST_PAUSE, "{pauses:?}");
        assert!(pauses[9] >= LONGEST_PAUSE && pauses[9] < LONGEST_PAUSE + SHORTEST_PAUSE * 20, "{pauses:?}");
        assert_eq!(door.listener.counters().accept_errors(), 10);
        let _client = TcpStream::connect(door.socket.local_addr().unwrap()).await.unwrap();
        let accepted = timeout(Duration::from_secs(10), door.next()).await.unwrap();
        assert!(accepted.peer.ip().is_loopback());
        assert_eq!((door.pause, door.resume_at), (SHORTEST_PAUSE, None));
    }

    #[tokio::test]
    async fn a_connection_that_was_gone_before_it_was_accepted_pauses_nothing() {
        let mut door = door().await;
        door.failed(&io::ErrorKind::ConnectionAborted.into());
        assert_eq!((door.resume_at, door.listener.counters().accept_errors()), (None, 0));
    }
}
