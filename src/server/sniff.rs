//! Owns: telling HTTP/2 with prior knowledge from HTTP/1.1 by the first bytes of a connection (RFC 9113 section 3.4).
//! Refuses: reading a byte more than it takes to tell.
//! Always holds: what was read is kept, in order, for the parser that comes after; giving up half-way loses nothing.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use super::handler::Protocol;

/// What an HTTP/2 client sends first. No request that we take begins with it: its method is not one.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes read ahead of the parser, at most as many as the preface has.
#[derive(Debug, Default)]
pub(super) struct Prefix {
    bytes: [u8; PREFACE.len()],
    filled: usize,
    taken: usize,
}

impl Prefix {
    /// Moves as much as fits into `buffer`; `false` if there is nothing left.
    pub(super) fn give(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        let Some(left) = self.bytes.get(self.taken..self.filled).filter(|left| !left.is_empty()) else {
            return false;
        };
        let piece = left.get(..buffer.remaining()).unwrap_or(left);
        buffer.put_slice(piece);
        self.taken = self.taken.saturating_add(piece.len());
        true
    }

    /// Whether nothing is left.
    pub(super) const fn is_empty(&self) -> bool {
        self.taken >= self.filled
    }

    fn received(&self) -> &[u8] {
        self.bytes.get(..self.filled).unwrap_or_default()
    }
}

/// Reads until it is clear what is spoken; `None` if the other side closed without a word.
pub(super) async fn sniff<T: AsyncRead + Unpin>(stream: &mut T, prefix: &mut Prefix) -> io::Result<Option<Protocol>> {
    loop {
        if !PREFACE.starts_with(prefix.received()) {
            return Ok(Some(Protocol::Http1));
        }
        let Some(room) = prefix.bytes.get_mut(prefix.filled..).filter(|room| !room.is_empty()) else {
            return Ok(Some(Protocol::Http2));
        };
        match stream.read(room).await? {
            // The beginning of a preface and no more is left to the HTTP/1.1 parser, which refuses it.
            0 => return Ok((prefix.filled > 0).then_some(Protocol::Http1)),
            count => prefix.filled = prefix.filled.saturating_add(count),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::AsyncWriteExt;

    use super::*;

    async fn sniffed(pieces: Vec<Vec<u8>>) -> (Option<Protocol>, Vec<u8>) {
        let (mut near, mut far) = tokio::io::duplex(4096);
        for piece in &pieces {
            near.write_all(piece).await.unwrap();
        }
        drop(near);
        let mut prefix = Prefix::default();
        let protocol = sniff(&mut far, &mut prefix).await.unwrap();
        let mut storage = [0; 7];
        let mut seen = Vec::new();
        loop {
            let mut buffer = ReadBuf::new(&mut storage);
            if !prefix.give(&mut buffer) {
                break;
            }
            seen.extend_from_slice(buffer.filled());
        }
        far.read_to_end(&mut seen).await.unwrap();
        (protocol, seen)
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_only_the_preface_is_http2(bytes in prop::collection::vec(any::<u8>(), 0..60), cut in 0usize..=24) {
            let mut all = PREFACE[..cut].to_vec();
            all.extend_from_slice(&bytes);
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let pieces: Vec<_> = all.chunks(3).map(<[u8]>::to_vec).collect();
            let (protocol, seen) = runtime.block_on(sniffed(pieces));
            prop_assert_eq!(&seen, &all);
            let expected = if all.is_empty() { None }
                else if all.starts_with(PREFACE) { Some(Protocol::Http2) }
                else { Some(Protocol::Http1) };
            prop_assert_eq!(protocol, expected);
        }
    }
}
