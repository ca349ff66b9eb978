//! Headers as load balancers write them, and as they do not.

use proptest::prelude::*;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::{
    ProxyHeader, ProxyHeaderError, read,
    version2::{SIGNATURE, checksum},
};

fn block(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [&SIGNATURE[..], &[command, family], &length, rest].concat()
}

fn ipv4(more: &[u8]) -> Vec<u8> {
    block(0x21, 0x11, &[&[192, 0, 2, 7, 198, 51, 100, 1, 0xDB, 0xA0, 1, 0xBB], more].concat())
}

fn with_checksum(change: u32) -> Vec<u8> {
    let mut header = ipv4(&[4, 0, 1, 9, 3, 0, 4, 0, 0, 0, 0]);
    let at = header.len() - 4;
    let sum = checksum(&header, at) ^ change;
    header[at..].copy_from_slice(&sum.to_be_bytes());
    header
}

fn proxied(peer: &str, local: &str) -> ProxyHeader {
    ProxyHeader::Proxied { peer: peer.parse().unwrap(), local: local.parse().unwrap() }
}

/// What is read of a connection on which these pieces arrive, and what is left in it.
async fn read_pieces(pieces: &[&[u8]]) -> (Result<ProxyHeader, ProxyHeaderError>, Vec<u8>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut near = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    near.set_nodelay(true).unwrap();
    let (mut far, _) = listener.accept().await.unwrap();
    let reading = async {
        let header = read(&mut far).await;
        let mut rest = Vec::new();
        if header.is_ok() {
            far.read_to_end(&mut rest).await.unwrap();
        }
        (header, rest)
    };
    let writing = async {
        for piece in pieces {
            // Whoever refuses early reads no more.
            let _ = near.write_all(piece).await;
            tokio::task::yield_now().await;
        }
        let _ = near.shutdown().await;
    };
    tokio::join!(reading, writing).0
}

fn in_one_and_in_pieces(bytes: &[u8]) -> (Result<ProxyHeader, ProxyHeaderError>, Vec<u8>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let whole = runtime.block_on(read_pieces(&[bytes]));
    let pieces = runtime.block_on(read_pieces(&bytes.chunks(7).collect::<Vec<_>>()));
    assert_eq!(format!("{whole:?}"), format!("{pieces:?}"), "how it is cut makes no difference");
    whole
}

#[test]
fn sound_headers_are_read_and_nothing_behind_them() {
    let v6 = [[0x20, 1, 0xD, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]; 2].concat();
    let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 192, 0, 2, 7];
    let from_text = proxied("192.0.2.7:56224", "198.51.100.1:443");
    for (header, expected) in [
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 56224 443\r\n".to_vec(), from_text),
        (b"PROXY TCP6 ::ffff:192.0.2.7 ::ffff:198.51.100.1 56224 443\r\n".to_vec(), from_text),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 0 65535\r\n".to_vec(), proxied("[2001:db8::7]:0", "[2001:db8::1]:65535")),
        (b"PROXY UNKNOWN\r\n".to_vec(), ProxyHeader::Own),
        (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(), ProxyHeader::Own),
        (ipv4(&[]), from_text),
        (ipv4(&[4, 0, 2, 1, 2]), from_text),
        (ipv4(&[&[4, 4, 0][..], &[0; 1024]].concat()), from_text),
        (with_checksum(0), from_text),
        (block(0x21, 0x21, &[&v6[..], &[0, 1, 0, 2]].concat()), proxied("[2001:db8::7]:1", "[2001:db8::7]:2")),
        (block(0x21, 0x21, &[&mapped[..], &mapped, &[0, 1, 0, 2]].concat()), proxied("192.0.2.7:1", "192.0.2.7:2")),
        (block(0x20, 0x00, &[]), ProxyHeader::Own),
        (block(0x20, 0x11, &[0; 40]), ProxyHeader::Own),
        (block(0x21, 0x00, &[]), ProxyHeader::Own),
    ] {
        let behind = b"GET / HTTP/1.1\r\n\r\nPROXY UNKNOWN\r\n";
        let (read, rest) = in_one_and_in_pieces(&[&header[..], behind].concat());
        assert_eq!(read.unwrap(), expected, "{}", header.escape_ascii());
        assert_eq!(rest, behind, "{}", header.escape_ascii());
        for cut in 0..header.len() {
            let (read, _) = in_one_and_in_pieces(&header[..cut]);
            let expected = if cut == 0 { "Missing" } else { "Truncated" };
            assert_eq!(format!("{:?}", read.unwrap_err()), expected, "{} cut at {cut}", header.escape_ascii());
        }
    }
}

#[test]
fn what_is_not_exactly_a_header_is_refused() {
    let too_long = [b"PROXY UNKNOWN ", &[b'x'; 92][..], b"\r\n"].concat();
    assert_eq!(too_long.len(), 108);
    for (bytes, expected) in [
        (b"GET / HTTP/1.1\r\nhost: a\r\n\r\n".to_vec(), "Missing"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), "Missing"),
        (b"proxy TCP4 192.0.2.7 198.51.100.1 1 2\r\n".to_vec(), "Missing"),
        (b"\x16\x03\x01\x02\x00\x01".to_vec(), "Missing"),
        (b"\r\n\r\n\x00\r\nQUIZ\n\x20\x00\x00\x00".to_vec(), "Missing"),
        (too_long, "TooLong"),
        (b"PROXY TCP4 ".repeat(20), "TooLong"),
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 1 2\n".to_vec(), "CR and LF"),
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 1\r2\r\n".to_vec(), "CR within"),
        (b"PROXY TCP4\r\n".to_vec(), "missing"),
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 1\r\n".to_vec(), "missing"),
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 1 2 3\r\n".to_vec(), "more"),
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 1 2 \r\n".to_vec(), "more"),
        (b"PROXY TCP4  192.0.2.7 198.51.100.1 1 2\r\n".to_vec(), "address"),
        (b"PROXY TCP4 192.0.2.007 198.51.100.1 1 2\r\n".to_vec(), "address"),
        (b"PROXY TCP4 2001:db8::7 2001:db8::1 1 2\r\n".to_vec(), "address"),
        (b"PROXY TCP6 192.0.2.7 198.51.100.1 1 2\r\n".to_vec(), "address"),
        (b"PROXY TCP4 localhost 198.51.100.1 1 2\r\n".to_vec(), "address"),
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 +1 2\r\n".to_vec(), "port"),
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 01 2\r\n".to_vec(), "port"),
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 1 65536\r\n".to_vec(), "port"),
        (b"PROXY UDP4 192.0.2.7 198.51.100.1 1 2\r\n".to_vec(), "protocol"),
        (b"PROXY UNKNOWNS\r\n".to_vec(), "protocol"),
        (b"PROXY TCP4 \xFF\xFE\r\n".to_vec(), "no text"),
        (block(0x22, 0x11, &[0; 12]), "command"),
        (block(0x11, 0x11, &[0; 12]), "command"),
        (block(0x21, 0x12, &[0; 12]), "TCP"),
        (block(0x21, 0x31, &[0; 216]), "TCP"),
        (block(0x21, 0x11, &[0; 11]), "addresses are not whole"),
        (block(0x21, 0x21, &[0; 35]), "addresses are not whole"),
        (ipv4(&[4, 0]), "extensions"),
        (ipv4(&[4, 0, 2, 1]), "extensions"),
        (ipv4(&[3, 0, 2, 1, 1]), "extensions"),
        (with_checksum(1), "checksum"),
        ([&SIGNATURE[..], &[0x21, 0x11, 0x10, 0x01]].concat(), "TooLong"),
    ] {
        let error = in_one_and_in_pieces(&bytes).0.unwrap_err();
        let (shown, told) = (error.to_string(), format!("{error:?}"));
        assert!(shown.contains(expected) || told == expected, "{}: {told}", bytes.escape_ascii());
    }
}

#[test]
fn the_checksum_is_the_one_that_everybody_else_computes() {
    // The example of RFC 3720 appendix B.4, and the usual one of all such sums; neither has anything to pass over.
    assert_eq!(checksum(&[0; 32], usize::MAX), 0x8A91_36AA);
    assert_eq!(checksum(b"123456789", usize::MAX), 0xE306_9283);
}

proptest! {
    #[test]
    fn text_is_read_as_another_reader_reads_it(peer: std::net::SocketAddrV4, local: std::net::SocketAddrV4) {
        let text = format!("PROXY TCP4 {} {} {} {}\r\n", peer.ip(), local.ip(), peer.port(), local.port());
        prop_assert_eq!(super::parse(text.as_bytes()).unwrap(), ProxyHeader::Proxied { peer: peer.into(), local: local.into() });
        let theirs = ppp::v1::Header::try_from(text.as_str()).unwrap();
        prop_assert_eq!(theirs.addresses, ppp::v1::Addresses::new_tcp4(*peer.ip(), *local.ip(), peer.port(), local.port()));
    }

    #[test]
    fn what_another_writer_writes_is_read(
        peer: std::net::SocketAddrV6, local: std::net::SocketAddrV6, extension in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        use ppp::v2::{Builder, Command, IPv6, Protocol, Version};
        let addresses = IPv6::new(*peer.ip(), *local.ip(), peer.port(), local.port());
        let header = Builder::with_addresses(Version::Two | Command::Proxy, Protocol::Stream, addresses)
            .write_tlv(5, &extension).unwrap().build().unwrap();
        let expected = ProxyHeader::proxied((*peer.ip(), peer.port()).into(), (*local.ip(), local.port()).into());
        prop_assert_eq!(super::parse(&header).unwrap(), expected);
    }

    #[test]
    fn nothing_makes_it_panic_or_read_on_for_ever(start in 0usize..3, bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let beginning: &[u8] = [&SIGNATURE[..], b"PROXY ", b""][start];
        let all = [beginning, &bytes[..]].concat();
        for end in 0..=all.len() {
            match super::extent(&all[..end]) {
                Err(_) => break,
                Ok(super::Extent::More) => prop_assert!(end < 16 + 4096),
                Ok(super::Extent::Bytes(bytes)) => {
                    prop_assert!(bytes <= end);
                    let _ = super::parse(&all[..bytes]);
                    break;
                }
            }
        }
    }
}
