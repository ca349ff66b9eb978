//! Owns: the listening sockets: one for each worker, all on one address (SO_REUSEPORT), so that the kernel spreads
//! connections and no worker waits for another one.
//! Refuses: half a set: either every worker has its socket, or there is an error that says what to do; sharing an address
//! with another process, which SO_REUSEPORT alone would allow to a second Postern with other rules.
//! Always holds: the sockets do not block, and port 0 means one port, chosen by the kernel, for all of them.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    num::NonZeroUsize,
    sync::Arc,
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use thiserror::Error;

/// Connections that the kernel holds for one socket until they are accepted.
const BACKLOG: i32 = 1024;

/// Silence after which the kernel asks whether the other side is still there. Finds peers that vanished without a word
/// while a response is being prepared, when no timeout of ours runs.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);

/// A listener's address cannot be had.
#[derive(Debug, Error)]
#[error("listener `{listener}` cannot listen on {address}: {}", remedy(source))]
pub struct BindError {
    /// The listener's name.
    pub listener: Arc<str>,
    /// The address that was asked for.
    pub address: SocketAddr,
    /// What the kernel said.
    #[source]
    pub source: io::Error,
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "another program listens there already; stop it or choose another port",
        io::ErrorKind::AddrNotAvailable => {
            "this machine has no such address; write one that it has, or 0.0.0.0 or [::]"
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 are reserved; choose a higher one, or grant CAP_NET_BIND_SERVICE"
        }
        _ => "the operating system refused it",
    }
}

/// Who may have the address already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sharing {
    /// Nobody.
    Exclusive,
    /// Sockets of this process, which are about to be closed.
    WithOurselves,
}

/// One socket for each worker, and the address that they share.
pub(super) fn bind(
    listener: &Arc<str>,
    address: SocketAddr,
    workers: NonZeroUsize,
    sharing: Sharing,
) -> Result<(SocketAddr, Vec<TcpListener>), BindError> {
    let failed = |source| BindError { listener: Arc::clone(listener), address, source };
    let first = listen(address, sharing).map_err(failed)?;
    let local = first.local_addr().map_err(failed)?;
    let mut sockets = vec![first];
    for _ in 1..workers.get() {
        sockets.push(listen(local, Sharing::WithOurselves).map_err(failed)?);
    }
    Ok((local, sockets))
}

fn listen(address: SocketAddr, sharing: Sharing) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(sharing == Sharing::WithOurselves)?;
    socket.set_nonblocking(true)?;
    // Both are inherited by the connections that are accepted.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE_AFTER))?;
    socket.bind(&address.into())?;
    // Only now, so that the kernel has refused the address if anybody had it, and lets the other workers share it.
    socket.set_reuse_port(true)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> Arc<str> {
        Arc::from("public")
    }

    #[test]
    fn port_zero_is_one_port_for_all_workers() {
        let workers = NonZeroUsize::new(3).unwrap();
        let (local, sockets) = bind(&name(), "127.0.0.1:0".parse().unwrap(), workers, Sharing::Exclusive).unwrap();
        assert_ne!(local.port(), 0);
        assert_eq!(sockets.len(), 3);
        assert!(sockets.iter().all(|socket| socket.local_addr().unwrap() == local));
    }

    #[test]
    fn an_address_in_use_is_said_with_its_remedy() {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let error = bind(&name(), other.local_addr().unwrap(), NonZeroUsize::MIN, Sharing::Exclusive).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("`public`") && text.contains(&other.local_addr().unwrap().to_string()), "{text}");
        assert!(text.contains("another program listens there"), "{text}");
    }

    #[test]
    fn a_second_gateway_gets_no_share_of_an_address() {
        let workers = NonZeroUsize::new(2).unwrap();
        let (local, _sockets) = bind(&name(), "127.0.0.1:0".parse().unwrap(), workers, Sharing::Exclusive).unwrap();
        let error = bind(&name(), local, workers, Sharing::Exclusive).unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
        bind(&name(), local, workers, Sharing::WithOurselves).unwrap();
    }

    #[test]
    fn an_address_of_another_machine_is_said_with_its_remedy() {
        let error = bind(&name(), "192.0.2.1:0".parse().unwrap(), NonZeroUsize::MIN, Sharing::Exclusive).unwrap_err();
        assert!(error.to_string().contains("no such address"), "{error}");
    }
}
