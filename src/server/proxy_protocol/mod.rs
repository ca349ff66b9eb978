//! Owns: the header with which a load balancer begins a connection to say who connected to it (PROXY protocol, versions 1 and 2).
//! Refuses: anything but one whole and sound header: what is missing, cut, too long or contradicts itself.
//! Always holds: not a byte beyond the header is taken from the socket, whatever comes behind it in the same packet.

mod version1;
mod version2;

use std::{io, net::SocketAddr};

use thiserror::Error;
use tokio::net::TcpStream;

/// How far ahead is looked. More than nearly all headers have; one that is longer takes another look.
const LOOK: usize = 512;

/// What a header says of the connection behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProxyHeader {
    /// It was made for somebody else.
    Proxied {
        /// Who connected to the load balancer.
        peer: SocketAddr,
        /// Where to.
        local: SocketAddr,
    },
    /// It is the load balancer's own, or it cannot say for whom it was made: the socket's addresses count.
    Own,
}

/// Why a connection has no usable header.
#[derive(Debug, Error)]
pub(super) enum ProxyHeaderError {
    /// What comes is something else.
    #[error("the connection does not begin with a PROXY protocol header")]
    Missing,
    /// It ended before its header did.
    #[error("the connection ended before its PROXY protocol header did")]
    Truncated,
    /// It is longer than any that is of use.
    #[error("the PROXY protocol header is too long")]
    TooLong,
    /// It does not follow the protocol.
    #[error("the PROXY protocol header is malformed: {0}")]
    Malformed(&'static str),
    /// The socket failed.
    #[error("the connection failed within its PROXY protocol header")]
    Io(#[from] io::Error),
}

/// Where a header ends, as far as it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// After so many bytes.
    Bytes(usize),
    /// All that was seen belongs to it, and more.
    More,
}

/// Reads the header off the beginning of `socket`. Waits for as long as it takes: the bound is the caller's.
pub(super) async fn read(socket: &mut TcpStream) -> Result<ProxyHeader, ProxyHeaderError> {
    let mut header = Vec::new();
    loop {
        let mut ahead = [0; LOOK];
        let known = header.len();
        // What is looked at stays in the socket, and only what belongs to the header is taken out.
        let seen = socket.peek(&mut ahead).await?;
        if seen == 0 {
            return Err(if known == 0 { ProxyHeaderError::Missing } else { ProxyHeaderError::Truncated });
        }
        header.extend_from_slice(ahead.get(..seen).unwrap_or_default());
        let extent = extent(&header)?;
        if let Extent::Bytes(bytes) = extent {
            header.truncate(bytes);
        }
        take(socket, header.len().saturating_sub(known)).await?;
        if extent == Extent::Bytes(header.len()) {
            return parse(&header);
        }
    }
}

/// Takes bytes out of the socket that are there.
async fn take(socket: &mut TcpStream, count: usize) -> io::Result<()> {
    let mut away = [0; LOOK];
    let away = away.get_mut(..count).ok_or(io::ErrorKind::InvalidInput)?;
    tokio::io::AsyncReadExt::read_exact(socket, away).await.map(|_| ())
}

fn extent(seen: &[u8]) -> Result<Extent, ProxyHeaderError> {
    let begins = |with: &[u8]| seen.starts_with(with) || with.starts_with(seen);
    if begins(&version2::SIGNATURE) {
        version2::extent(seen)
    } else if begins(version1::BEGINNING) {
        version1::extent(seen)
    } else {
        Err(ProxyHeaderError::Missing)
    }
}

fn parse(header: &[u8]) -> Result<ProxyHeader, ProxyHeaderError> {
    if header.starts_with(&version2::SIGNATURE) { version2::parse(header) } else { version1::parse(header) }
}

impl ProxyHeader {
    /// An IPv4 address that is written as an IPv6 one is the IPv4 address that it is.
    const fn proxied(peer: SocketAddr, local: SocketAddr) -> Self {
        Self::Proxied { peer: canonical(peer), local: canonical(local) }
    }
}

const fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests;
