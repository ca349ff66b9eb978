//! Owns: opening a connection: TCP, TLS, and which protocol was agreed on.
//! Refuses: a certificate that does not carry the endpoint's name; speaking HTTP/2 where TLS did not agree on it.
//! Always holds: nothing of a request has been sent yet.

use std::{io, sync::Arc, time::Duration};

use rustix::io::Errno;
use socket2::{SockRef, TcpKeepalive};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    endpoint::{ConnectionSlot, Endpoint, EndpointTls, Protocol},
    error::ExchangeError,
    names::LookupError,
    stream::Stream,
};
use crate::descriptors;

/// How long a connection is silent before the kernel asks whether the other side is still there, and how often it asks.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(15);

/// Why no connection could be made.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// Its name could not be looked up.
    #[error("the name could not be looked up")]
    Resolve(#[source] LookupError),
    /// Its name stands for no address.
    #[error("the name has no address")]
    NoAddress,
    /// Nearly all file descriptors of the process are in use.
    #[error("nearly all file descriptors are in use")]
    NoDescriptor,
    /// Its address did not accept a connection.
    #[error("no connection was accepted")]
    Tcp(#[source] io::Error),
    /// TLS could not be agreed on, or the certificate is not to be believed.
    #[error("TLS could not be set up")]
    Tls(#[source] io::Error),
    /// TLS did not agree on HTTP/2 (RFC 9113 section 3.2).
    #[error("the endpoint does not offer HTTP/2 by ALPN")]
    NoHttp2,
    /// The first words of the protocol could not be exchanged.
    #[error("the protocol could not be begun")]
    Handshake(#[source] hyper::Error),
    /// It was closed before the request could be sent.
    #[error("the connection was closed before the request could be sent")]
    Lost(#[source] ExchangeError),
    /// It took longer than `connect_timeout`.
    #[error("it took longer than {0:?}")]
    Timeout(Duration),
}

/// The protocol of an open connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Agreed {
    Http1,
    Http2,
}

/// Whether this process or its host could do no more, or may not: no connection was tried.
fn is_ours(error: &io::Error) -> bool {
    let ours = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::ADDRNOTAVAIL, Errno::PERM];
    Errno::from_io_error(error).is_some_and(|errno| ours.contains(&errno))
}

impl ConnectError {
    /// Whether it says nothing of the endpoint.
    pub(super) fn is_ours(&self) -> bool {
        match self {
            Self::NoDescriptor => true,
            Self::Tcp(error) => is_ours(error),
            Self::Resolve(_)
            | Self::NoAddress
            | Self::Tls(_)
            | Self::NoHttp2
            | Self::Handshake(_)
            | Self::Lost(_)
            | Self::Timeout(_) => false,
        }
    }

    pub(super) fn of_tcp(error: io::Error) -> Self {
        match Errno::from_io_error(&error) {
            Some(Errno::MFILE | Errno::NFILE) => Self::NoDescriptor,
            _ => Self::Tcp(error),
        }
    }
}

/// Opens a connection to `endpoint`.
pub(super) async fn connect(endpoint: &Arc<Endpoint>, slot: ConnectionSlot) -> Result<(Stream, Agreed), ConnectError> {
    let stream = TcpStream::connect(endpoint.socket()).await.map_err(ConnectError::of_tcp)?;
    // The last descriptors are for what no request may stop.
    if descriptors::is_reserved(&stream) {
        return Err(ConnectError::NoDescriptor);
    }
    tune(&stream).map_err(ConnectError::Tcp)?;
    match endpoint.tls() {
        None => {
            let agreed = if endpoint.protocol() == Protocol::Http2 { Agreed::Http2 } else { Agreed::Http1 };
            Ok((Stream::clear(stream, slot), agreed))
        }
        Some(tls) => secure(stream, tls, endpoint.protocol(), slot).await,
    }
}

fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    // Shared HTTP/2 connections may live for days: a peer that vanished without a word must not be waited for for ever. The
    // kernel asks, since HTTP/2 PINGs are taken for abuse by some servers.
    SockRef::from(stream)
        .set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE_AFTER).with_interval(KEEPALIVE_EVERY))
}

async fn secure(
    stream: TcpStream,
    tls: &EndpointTls,
    protocol: Protocol,
    slot: ConnectionSlot,
) -> Result<(Stream, Agreed), ConnectError> {
    let (stream, agreed) = agree(stream, tls, protocol).await?;
    Ok((Stream::tls(stream, slot), agreed))
}

/// Sets up TLS, and with it which protocol is spoken.
pub(super) async fn agree(
    stream: TcpStream,
    tls: &EndpointTls,
    protocol: Protocol,
) -> Result<(TlsStream<TcpStream>, Agreed), ConnectError> {
    let connector = TlsConnector::from(Arc::clone(tls.client.config()));
    let stream = connector.connect(tls.server_name.clone(), stream).await.map_err(ConnectError::Tls)?;
    let agreed = match (protocol, stream.get_ref().1.alpn_protocol()) {
        (Protocol::Http2 | Protocol::Auto, Some(b"h2")) => Agreed::Http2,
        (Protocol::Http1 | Protocol::Auto, _) => Agreed::Http1,
        (Protocol::Http2, _) => return Err(ConnectError::NoHttp2),
    };
    Ok((stream, agreed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_side_lacks_is_not_held_against_the_endpoint() {
        for (errno, expected) in [
            (Errno::MFILE, true),
            (Errno::NFILE, true),
            (Errno::NOBUFS, true),
            (Errno::ADDRNOTAVAIL, true),
            (Errno::PERM, true),
            (Errno::CONNREFUSED, false),
            (Errno::HOSTUNREACH, false),
            (Errno::TIMEDOUT, false),
        ] {
            assert_eq!(ConnectError::of_tcp(errno.into()).is_ours(), expected, "{errno:?}");
        }
    }
}
