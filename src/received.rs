//! Owns: the bytes that were read from a socket and not used yet, and where they land: one buffer for each thread, which all of its
//! connections read into in turn.
//! Refuses: letting few bytes hold on to that buffer.
//! Always holds: what is empty holds nothing, so a connection that waits has no room set aside; much is not copied.

use std::{
    cell::Cell,
    io,
    ops::Deref,
    pin::pin,
    task::{Context, Poll},
};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The most that is read at once, in bytes. Of bodies of 10 MiB a KiB costs 477 ns of CPU with 256 KiB, 515 with 128, 640 with 64.
///
/// It is also what somebody who reads slowly can make us keep of a body.
pub const LARGEST_READ: usize = 128 * 1024;

/// How much is read at once as long as a head is awaited, in bytes: one with a body of 64 KiB behind it comes in one read.
pub const READ_OF_HEAD: usize = 80 * 1024;

/// What is smaller is copied off where it landed, and so holds nothing but itself. The least that may hold on to a whole buffer, in
/// bytes.
///
/// In unit tests it is small, so that what they read is held where it landed.
const LARGE: usize = if cfg!(test) { 16 } else { 8 * 1024 };

thread_local! {
    /// What is read is soon written, and then the same memory, which the processor still has at hand, is read into again: be it for
    /// another connection. While something is held of it, what follows lands behind that until half is used up, and then in another
    /// buffer.
    static LANDING: Cell<Option<BytesMut>> = const { Cell::new(None) };
}

/// What was read of a connection and not used yet.
#[derive(Debug, Default)]
pub struct Received {
    bytes: BytesMut,
    /// Whether they are where they landed. Then they are not few.
    is_landed: bool,
}

impl Received {
    /// Reads once, up to `most` bytes and never more than [`LARGEST_READ`], behind what is here; how many came, none at the end.
    pub fn poll_read(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        context: &mut Context<'_>,
        most: usize,
    ) -> Poll<io::Result<usize>> {
        let mut landing = LANDING.take().unwrap_or_default();
        if !landing.try_reclaim(LARGEST_READ) && landing.capacity() < LARGEST_READ / 2 {
            landing = BytesMut::with_capacity(LARGEST_READ);
        }
        let read = pin!(stream.read_buf(&mut (&mut landing).limit(most))).poll(context);
        match landing.len() {
            0 => {}
            LARGE.. if self.bytes.is_empty() => (self.bytes, self.is_landed) = (landing.split(), true),
            _ => {
                self.push(&landing);
                landing.clear();
            }
        }
        LANDING.set(Some(landing));
        read
    }

    /// Puts these bytes behind what is here.
    fn push(&mut self, bytes: &[u8]) {
        if self.is_landed {
            let room = self.bytes.len().saturating_add(bytes.len());
            let landed = std::mem::replace(self, Self { bytes: BytesMut::with_capacity(room), is_landed: false });
            self.bytes.extend_from_slice(&landed);
        }
        if self.bytes.is_empty() {
            self.bytes = BytesMut::from(bytes);
        } else {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// Reads all of `bytes`, as if they came over a socket.
    #[cfg(test)]
    pub(crate) fn receive(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let _ = self.poll_read(&mut bytes, &mut Context::from_waker(std::task::Waker::noop()), LARGEST_READ);
        }
    }

    /// Takes the first bytes, as many as there are and no more than `most`, to be written soon. Few of them are copied: who gathers
    /// many pieces of one byte shall not hold as many buffers.
    pub fn take(&mut self, most: usize) -> Bytes {
        if self.is_landed && most < LARGE {
            return self.take_to_keep(most);
        }
        if most >= self.bytes.len() {
            return self.take_all();
        }
        let taken = self.bytes.split_to(most).freeze();
        self.settle();
        taken
    }

    /// Takes all there is, to be written soon.
    pub fn take_all(&mut self) -> Bytes {
        std::mem::take(self).bytes.freeze()
    }

    /// Takes the first bytes as [`Self::take`] does, but to be kept: they hold nothing but themselves.
    pub fn take_to_keep(&mut self, most: usize) -> Bytes {
        if most >= self.bytes.len() && !self.is_landed {
            return self.take_all();
        }
        let taken = self.bytes.get(..most).unwrap_or(&self.bytes);
        let taken = Bytes::copy_from_slice(taken);
        self.skip(most);
        taken
    }

    /// Passes over the first bytes.
    pub fn skip(&mut self, bytes: usize) {
        if bytes >= self.bytes.len() {
            *self = Self::default();
        } else {
            self.bytes.advance(bytes);
            self.settle();
        }
    }

    /// What is here will lie for a while: it is copied off where it landed, however much it is.
    pub fn copy_off(&mut self) {
        if self.is_landed {
            *self = Self { bytes: BytesMut::from(&*self.bytes), is_landed: false };
        }
    }

    /// What is left, if it is little, is copied off where it landed.
    fn settle(&mut self) {
        if self.bytes.len() < LARGE {
            self.copy_off();
        }
    }
}

/// Whether nobody holds on to the buffer of this thread.
#[cfg(test)]
pub(crate) fn is_let_go_of() -> bool {
    let mut landing = LANDING.take().unwrap_or_default();
    let is_free = landing.try_reclaim(LARGEST_READ);
    LANDING.set(Some(landing));
    is_free
}

impl Deref for Received {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use proptest::prelude::*;

    use super::*;

    /// Reads what there is in one go.
    fn read(received: &mut Received, mut stream: &[u8], most: usize) -> usize {
        match received.poll_read(&mut stream, &mut Context::from_waker(Waker::noop()), most) {
            Poll::Ready(Ok(bytes)) => bytes,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn neither_few_bytes_of_many_nor_what_lies_for_a_while_hold_on_to_it() {
        let bytes = vec![b'x'; LARGEST_READ];
        let mut received = Received::default();
        assert_eq!(read(&mut received, &bytes, usize::MAX), LARGEST_READ);
        assert!(!is_let_go_of(), "much is not copied");
        let few = received.take(1);
        assert!(!is_let_go_of());
        received.copy_off();
        assert!(is_let_go_of());
        assert_eq!((few.len(), received.len()), (1, LARGEST_READ - 1));
        assert_eq!(received.take_to_keep(usize::MAX).len(), LARGEST_READ - 1);
    }

    fn place(bytes: &[u8]) -> usize {
        bytes.as_ptr() as usize
    }

    #[test]
    fn the_same_memory_is_read_into_again_once_it_is_let_go_of() {
        let bytes = vec![b'x'; 2 * LARGEST_READ];
        let (mut one, mut other) = (Received::default(), Received::default());
        assert_eq!(read(&mut one, &bytes, usize::MAX), LARGEST_READ);
        let held = one.take(usize::MAX);
        let first = place(&held);
        assert_eq!(read(&mut other, &bytes, usize::MAX), LARGEST_READ);
        assert_ne!(place(&other), first, "what is held is not written over");
        let second = place(&other);
        other.skip(LARGEST_READ);
        assert_eq!(read(&mut one, &bytes, usize::MAX), LARGEST_READ);
        assert_eq!(place(&one), second);
        assert!(held.iter().all(|byte| *byte == b'x'));
    }

    #[test]
    fn little_does_not_hold_on_to_much() {
        let bytes = vec![b'x'; LARGEST_READ];
        let (mut little, mut much) = (Received::default(), Received::default());
        assert_eq!(read(&mut much, &bytes, usize::MAX), LARGEST_READ);
        let first = place(&much);
        much.skip(LARGEST_READ);
        assert_eq!(read(&mut little, &bytes, LARGE - 1), LARGE - 1);
        assert!(little.bytes.capacity() < 2 * LARGE);
        assert_eq!(read(&mut much, &bytes, usize::MAX), LARGEST_READ);
        assert_eq!(place(&much), first);
    }

    #[test]
    fn neither_a_rest_nor_what_is_kept_holds_on_to_it() {
        let bytes = vec![b'x'; LARGEST_READ];
        let (mut received, mut other) = (Received::default(), Received::default());
        assert_eq!(read(&mut received, &bytes, usize::MAX), LARGEST_READ);
        let first = place(&received);
        let kept = received.take_to_keep(LARGEST_READ / 2);
        drop(received.take(LARGEST_READ / 4));
        received.skip(LARGEST_READ / 4 - LARGE + 1);
        assert_eq!((kept.len(), received.len()), (LARGEST_READ / 2, LARGE - 1));
        assert_eq!(read(&mut other, &bytes, usize::MAX), LARGEST_READ);
        assert_eq!(place(&other), first);
        assert_eq!(other.take_to_keep(usize::MAX).len(), LARGEST_READ);
        assert_eq!(read(&mut other, &bytes, usize::MAX), LARGEST_READ);
        assert_eq!(place(&other), first);
    }

    #[test]
    fn what_is_empty_holds_nothing() {
        let bytes = vec![b'x'; LARGEST_READ];
        let mut received = Received::default();
        for most in [10, LARGEST_READ] {
            for empty in [
                |received: &mut Received| received.skip(LARGEST_READ),
                |received: &mut Received| drop(received.take_all()),
            ] {
                assert_eq!(read(&mut received, &bytes, most), most);
                empty(&mut received);
                assert_eq!((received.len(), received.bytes.capacity()), (0, 0));
            }
        }
        assert_eq!(read(&mut received, b"", usize::MAX), 0);
        assert_eq!(received.bytes.capacity(), 0);
    }

    proptest! {
        /// Beside a plain vector, with others that read in between and hold what they read.
        #[test]
        fn nothing_is_lost_or_mixed_up(
            steps in prop::collection::vec((0..4_u8, 0..2_usize, 1..2 * LARGEST_READ), 1..40),
        ) {
            let mut received = [Received::default(), Received::default()];
            let mut expected = [Vec::new(), Vec::new()];
            let (mut held, mut at) = (Vec::new(), 0_usize);
            for (step, which, bytes) in steps {
                let (received, expected) = (&mut received[which], &mut expected[which]);
                match step {
                    0 => {
                        let stream: Vec<u8> = (at..at + bytes).map(|byte| (byte % 251) as u8).collect();
                        let came = read(received, &stream, usize::MAX);
                        prop_assert!((bytes.min(LARGEST_READ / 2)..=bytes.min(LARGEST_READ)).contains(&came));
                        expected.extend_from_slice(&stream[..came]);
                        at += came;
                    }
                    1 => {
                        let behind = expected.split_off(bytes.min(expected.len()));
                        held.push((received.take(bytes), std::mem::replace(expected, behind)));
                    }
                    2 => {
                        let behind = expected.split_off(bytes.min(expected.len()));
                        held.push((received.take_to_keep(bytes), std::mem::replace(expected, behind)));
                    }
                    _ => {
                        received.skip(bytes);
                        expected.drain(..bytes.min(expected.len()));
                    }
                }
                prop_assert_eq!(&received[..], &expected[..]);
            }
            for (taken, expected) in held {
                prop_assert_eq!(taken, expected);
            }
        }
    }
}
