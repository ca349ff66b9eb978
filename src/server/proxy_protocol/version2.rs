//! Owns: version 2 of the PROXY protocol: a binary block of a told length.
//! Refuses: commands, families and transports that the protocol does not know, or that no TCP listener can have been reached by;
//! extensions that do not fill the block exactly; a checksum that is wrong.
//! Always holds: a block has 16 bytes and 4 KiB at most.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Extent, ProxyHeader, ProxyHeaderError};

pub(super) const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// The signature, the command, the family, and the length of what follows.
const FIXED: usize = 16;
/// The longest block taken, beside its fixed part, in bytes. The protocol could tell of 64 KiB; certificates that a balancer passes
/// on would be the most of it, and nobody here reads them.
const LONGEST: usize = 4 * 1024;

/// The type of the extension that holds a checksum (CRC-32C) of the whole header.
const CHECKSUM: u8 = 3;

pub(super) fn extent(seen: &[u8]) -> Result<Extent, ProxyHeaderError> {
    let Some([high, low]) = seen.get(14..FIXED).and_then(|length| <[u8; 2]>::try_from(length).ok()) else {
        return Ok(Extent::More);
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > LONGEST {
        return Err(ProxyHeaderError::TooLong);
    }
    let whole = FIXED.saturating_add(length);
    Ok(if whole <= seen.len() { Extent::Bytes(whole) } else { Extent::More })
}

pub(super) fn parse(header: &[u8]) -> Result<ProxyHeader, ProxyHeaderError> {
    let malformed = ProxyHeaderError::Malformed;
    let (&[command, family], rest) = header
        .get(SIGNATURE.len()..)
        .and_then(<[u8]>::split_first_chunk::<2>)
        .ok_or(malformed("its fixed part is not whole"))?;
    let rest = rest.get(2..).ok_or(malformed("its fixed part is not whole"))?;
    match command {
        // The balancer's own connection, to see whether we are there; what else it says is to be passed over.
        0x20 => return Ok(ProxyHeader::Own),
        0x21 => {}
        _ => return Err(malformed("its version or its command is not known")),
    }
    let (addresses, extensions) = match family {
        0x00 => (ProxyHeader::Own, rest),
        0x11 => {
            let (&[a, b, c, d, e, f, g, h, ports @ ..], rest) =
                rest.split_first_chunk::<12>().ok_or(malformed("its addresses are not whole"))?;
            (proxied(Ipv4Addr::new(a, b, c, d), Ipv4Addr::new(e, f, g, h), ports), rest)
        }
        0x21 => {
            let cut = || malformed("its addresses are not whole");
            let (peer, rest) = rest.split_first_chunk::<16>().ok_or_else(cut)?;
            let (local, rest) = rest.split_first_chunk::<16>().ok_or_else(cut)?;
            let (ports, rest) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
            (proxied(Ipv6Addr::from(*peer), Ipv6Addr::from(*local), *ports), rest)
        }
        _ => return Err(malformed("its addresses are not those of TCP")),
    };
    judge_extensions(header, extensions)?;
    Ok(addresses)
}

fn proxied(peer: impl Into<IpAddr>, local: impl Into<IpAddr>, ports: [u8; 4]) -> ProxyHeader {
    let [a, b, c, d] = ports;
    let port = |high, low| u16::from_be_bytes([high, low]);
    ProxyHeader::proxied(SocketAddr::new(peer.into(), port(a, b)), SocketAddr::new(local.into(), port(c, d)))
}

/// Walks over the extensions: each a type, a length and as many bytes. None of them is of interest but the checksum.
fn judge_extensions(header: &[u8], mut extensions: &[u8]) -> Result<(), ProxyHeaderError> {
    let cut = || ProxyHeaderError::Malformed("its extensions are not whole");
    while !extensions.is_empty() {
        let (&[kind, high, low], rest) = extensions.split_first_chunk::<3>().ok_or_else(cut)?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (value, rest) = rest.split_at_checked(length).ok_or_else(cut)?;
        if kind == CHECKSUM {
            let told = <[u8; 4]>::try_from(value).map_err(|_| cut())?;
            let at = header.len().saturating_sub(rest.len().saturating_add(told.len()));
            if u32::from_be_bytes(told) != checksum(header, at) {
                return Err(ProxyHeaderError::Malformed("its checksum is wrong"));
            }
        }
        extensions = rest;
    }
    Ok(())
}

/// The CRC-32C (RFC 9260 appendix A) of the header, the four bytes at `at`, where it stands itself, counted as zeros.
pub(super) fn checksum(header: &[u8], at: usize) -> u32 {
    let own = at..at.saturating_add(4);
    let bytes = header.iter().enumerate().map(|(index, &byte)| if own.contains(&index) { 0 } else { byte });
    !bytes.fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| {
            let shifted = sum >> 1;
            if sum & 1 == 1 { shifted ^ 0x82F6_3B78 } else { shifted }
        })
    })
}
