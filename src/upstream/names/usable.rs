//! Owns: which addresses of an answer are of use.
//! Refuses: addresses that are nobody's: DNS filters answer 0.0.0.0, which would be this machine; those of a network that this
//! machine has no way to, as long as there are others.

use std::{
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket},
};

use rustix::io::Errno;

/// The most addresses that one name can have; what is above is left out.
pub(super) const MOST_ADDRESSES: usize = 256;

/// The addresses that an endpoint could be at, each once, in an order that does not depend on that of the answer.
pub(super) fn addresses(found: impl IntoIterator<Item = IpAddr>) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> =
        found.into_iter().map(|address| address.to_canonical()).filter(is_somebodys).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

fn is_somebodys(address: &IpAddr) -> bool {
    !address.is_unspecified() && !address.is_multicast() && *address != IpAddr::V4(Ipv4Addr::BROADCAST)
}

/// Those of `addresses` that this machine has a way to; all of them if there is none to any.
pub(super) fn reachable(addresses: Vec<IpAddr>, has_route: impl Fn(IpAddr) -> bool) -> Vec<IpAddr> {
    let reachable: Vec<IpAddr> = addresses.iter().copied().filter(|address| has_route(*address)).collect();
    if reachable.is_empty() { addresses } else { reachable }
}

/// Whether the kernel knows where it would send what is for `address`. Nothing is sent.
pub(super) fn has_route(address: IpAddr) -> bool {
    let from: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let routed = UdpSocket::bind((from, 0)).and_then(|socket| socket.connect((address, 9)));
    // Where the question cannot be asked, as for want of descriptors, there is no answer.
    routed.err().is_none_or(|error| !tells_of_no_route(error.kind()) && error.raw_os_error() != Some(NO_IPV6))
}

/// What a machine says that does not speak IPv6 at all.
const NO_IPV6: i32 = Errno::AFNOSUPPORT.raw_os_error();

const fn tells_of_no_route(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::NetworkUnreachable
            | ErrorKind::HostUnreachable
            | ErrorKind::AddrNotAvailable
            | ErrorKind::InvalidInput
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(addresses: &[&str]) -> Vec<IpAddr> {
        addresses.iter().map(|address| address.parse().unwrap()).collect()
    }

    #[test]
    fn each_address_counts_once_and_in_one_order() {
        let found = ["10.0.0.2", "::ffff:10.0.0.1", "10.0.0.1", "2001:db8::1", "10.0.0.2"];
        let expected = parsed(&["10.0.0.1", "10.0.0.2", "2001:db8::1"]);
        assert_eq!(addresses(parsed(&found)), expected);
        assert_eq!(addresses(parsed(&found).into_iter().rev()), expected);
    }

    #[test]
    fn what_is_nobodys_is_left_out() {
        let nobodys = ["0.0.0.0", "::", "::ffff:0.0.0.0", "224.0.0.1", "ff02::1", "255.255.255.255"];
        assert!(addresses(parsed(&nobodys)).is_empty());
    }

    #[test]
    fn what_cannot_be_reached_is_left_out_unless_nothing_can() {
        let both = parsed(&["10.0.0.1", "2001:db8::1"]);
        assert_eq!(reachable(both.clone(), |address| address.is_ipv4()), parsed(&["10.0.0.1"]));
        assert_eq!(reachable(both.clone(), |_| false), both);
        assert!(has_route("127.0.0.1".parse().unwrap()));
    }
}
