//! Owns: what counts as one peer.
//! Refuses: counting each address of a network by itself where one machine has all of them.

use std::net::IpAddr;

/// Where somebody comes from: an IPv4 address, or an IPv6 network of 64 bits, which is what one customer has at least and one
/// machine can use all addresses of (RFC 6177 section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    /// The address.
    V4([u8; 4]),
    /// The first 64 bits of the address.
    V6([u16; 4]),
}

impl Peer {
    /// The peer with this address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        // A socket for both families shows IPv4 addresses as `::ffff:a.b.c.d` (RFC 4291 section 2.5.5.2).
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let [first, second, third, fourth, ..] = address.segments();
                Self::V6([first, second, third, fourth])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(address: &str) -> Peer {
        Peer::of(address.parse().unwrap())
    }

    #[test]
    fn a_peer_is_an_address_or_a_network() {
        for (one, other, same) in [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.2", false),
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true),
            ("2001:db8:1:2::1", "2001:db8:1:3::1", false),
        ] {
            assert_eq!(peer(one) == peer(other), same, "{one} {other}");
        }
    }
}
