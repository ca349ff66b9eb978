//! Owns: version 1 of the PROXY protocol: one line of text.
//! Refuses: what is not written exactly as the protocol writes it: other spaces, signs and leading zeros, a bare line feed.
//! Always holds: a line has 107 bytes at most, its end included.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use super::{Extent, ProxyHeader, ProxyHeaderError};

pub(super) const BEGINNING: &[u8] = b"PROXY ";

/// The longest line that the protocol can write.
const LONGEST: usize = 107;

pub(super) fn extent(seen: &[u8]) -> Result<Extent, ProxyHeaderError> {
    match seen.iter().take(LONGEST).position(|&byte| byte == b'\n') {
        Some(at) => Ok(Extent::Bytes(at.saturating_add(1))),
        None if seen.len() >= LONGEST => Err(ProxyHeaderError::TooLong),
        None => Ok(Extent::More),
    }
}

pub(super) fn parse(line: &[u8]) -> Result<ProxyHeader, ProxyHeaderError> {
    let malformed = ProxyHeaderError::Malformed;
    let line = std::str::from_utf8(line).map_err(|_| malformed("it is no text"))?;
    let line = line.strip_suffix("\r\n").ok_or(malformed("its line does not end in CR and LF"))?;
    if line.contains('\r') {
        return Err(malformed("there is a CR within its line"));
    }
    let mut words = line.split(' ').skip(1);
    let mut next = || words.next().ok_or(malformed("something is missing from its line"));
    let family = next()?;
    // Whatever else stands in such a line is to be passed over.
    if family == "UNKNOWN" {
        return Ok(ProxyHeader::Own);
    }
    let (peer, local) = match family {
        "TCP4" => (address::<Ipv4Addr>(next()?)?, address::<Ipv4Addr>(next()?)?),
        "TCP6" => (address::<Ipv6Addr>(next()?)?, address::<Ipv6Addr>(next()?)?),
        _ => return Err(malformed("its protocol is none of TCP4, TCP6 and UNKNOWN")),
    };
    let (peer_port, local_port) = (port(next()?)?, port(next()?)?);
    if words.next().is_some() {
        return Err(malformed("there is more in its line than belongs there"));
    }
    Ok(ProxyHeader::proxied(SocketAddr::new(peer, peer_port), SocketAddr::new(local, local_port)))
}

fn address<A: FromStr + Into<IpAddr>>(text: &str) -> Result<IpAddr, ProxyHeaderError> {
    let address = text.parse::<A>().map_err(|_| ProxyHeaderError::Malformed("an address is none of its family"))?;
    Ok(address.into())
}

fn port(text: &str) -> Result<u16, ProxyHeaderError> {
    // Rust reads `+80` and `080`, too, and the protocol does not.
    let port = text.parse::<u16>().ok().filter(|port| port.to_string() == text);
    port.ok_or(ProxyHeaderError::Malformed("a port is none"))
}
