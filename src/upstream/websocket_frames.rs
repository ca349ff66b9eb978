//! Owns: where in a WebSocket's frames a stream of bytes stands (RFC 6455 section 5.2).
//! Refuses: looking at what a frame carries; a byte of it is counted and no more.
//! Always holds: a frame can be put in where it says that none is under way, and nowhere else.

/// The opcode of a frame that closes.
const CLOSE: u8 = 8;

/// Reads along with one direction of a WebSocket.
#[derive(Debug, Default)]
pub(super) struct WebSocketFrames {
    head: Vec<u8>,
    payload_left: u64,
    closed: bool,
}

impl WebSocketFrames {
    /// Notes bytes that have passed.
    pub(super) fn passed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.payload_left > 0 {
                let skipped = usize::try_from(self.payload_left).unwrap_or(usize::MAX).min(bytes.len());
                self.payload_left = self.payload_left.saturating_sub(skipped as u64);
                bytes = bytes.get(skipped..).unwrap_or_default();
                continue;
            }
            let Some((first, rest)) = bytes.split_first() else { return };
            bytes = rest;
            self.head.push(*first);
            if let Some(length) = self.whole_head() {
                self.closed |= self.head.first().is_some_and(|first| first & 0x0F == CLOSE);
                self.payload_left = length;
                self.head.clear();
            }
        }
    }

    /// Whether another frame can be put in here: none is under way, and none has closed this direction.
    pub(super) fn may_be_closed(&self) -> bool {
        self.head.is_empty() && self.payload_left == 0 && !self.closed
    }

    /// The length of the payload, once the head is whole.
    fn whole_head(&self) -> Option<u64> {
        let &[_, second, ref rest @ ..] = self.head.as_slice() else { return None };
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        let (length, extended) = match second & 0x7F {
            126 => (rest.first_chunk::<2>().map(|bytes| u64::from(u16::from_be_bytes(*bytes))), 2),
            127 => (rest.first_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes)), 8),
            short => (Some(u64::from(short)), 0),
        };
        length.filter(|_| rest.len() >= extended + mask)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(opcode: u8, length: usize, masked: bool) -> Vec<u8> {
        let mask = if masked { 0x80 } else { 0 };
        let mut frame = vec![0x80 | opcode];
        match length {
            0..126 => frame.push(mask | u8::try_from(length).unwrap()),
            126..65_536 => {
                frame.push(mask | 126);
                frame.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            _ => {
                frame.push(mask | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend(vec![0x88; if masked { 4 } else { 0 } + length]);
        frame
    }

    proptest! {
        #[test]
        fn the_gaps_between_frames_are_found_however_they_are_cut(
            lengths in prop::collection::vec((prop_oneof![0usize..200, 65_530usize..65_540], any::<bool>()), 1..5), step in 1usize..300,
        ) {
            let frames: Vec<_> = lengths.iter().map(|(length, masked)| frame(1, *length, *masked)).collect();
            let mut gaps = vec![0];
            for frame in &frames {
                gaps.push(gaps.last().unwrap() + frame.len());
            }
            let bytes = frames.concat();
            let (mut reader, mut position) = (WebSocketFrames::default(), 0);
            for piece in bytes.chunks(step) {
                reader.passed(piece);
                position += piece.len();
                prop_assert_eq!(reader.may_be_closed(), gaps.contains(&position), "{}", position);
            }
            reader.passed(&frame(CLOSE, 2, false));
            prop_assert!(!reader.may_be_closed(), "once closed, nothing follows");
        }
    }
}
