//! Owns: how much one HTTP/2 connection may make us do by frames that carry nothing (RFC 9113 section 10.5).
//! Refuses: more of them than its budget; the connection is then ended by a GOAWAY.
//! Always holds: frames pass unchanged and in order up to the end of the one that overdrew the budget, and none after it.
//!
//! h2 bounds by itself what it has to keep: CONTINUATION frames of one head, streams reset before they were begun, DATA frames
//! that nobody has read yet. What it does not count is work: it answers every PING and every SETTINGS, and begins every stream that
//! is going to be reset. Here that is counted, and every frame costs one comparison more.

use tokio::{io::ReadBuf, time::Instant};

/// How many costs a connection may run up at once: enough for every client to open its connection, cancel a page of
/// requests and read on, little enough to be gone in a moment when there is nothing behind it.
const BURST: u32 = 2000;
/// How many of them are forgotten each second. Clients that ask whether we are there do so once a second at most.
const PER_SECOND: u64 = 200;
/// One more is forgotten for so many bytes that we have written. A client that takes a download in small pieces tells us of each, and
/// one that measures the network asks with every message that it gets: both stay below that. What we answer to a PING (17
/// bytes) or SETTINGS (9) is less than their price, so a flood cannot pay for itself.
const BYTES_WRITTEN: u64 = 32;

/// A frame's header (RFC 9113 section 4.1).
const HEAD: usize = 9;
const END_STREAM: u8 = 0x1;
const PADDED: u8 = 0x8;

/// What h2 gets to read instead of the frame after the last good one: a head that is never going to end, in empty CONTINUATION
/// frames. After a few of them it says GOAWAY, ENHANCE_YOUR_CALM, and reads no further.
const FAREWELL: [u8; HEAD] = [0, 0, 0, 1, 0, 0, 0, 0, 1];
const FAREWELL_GOES_ON: [u8; HEAD] = [0, 0, 0, 9, 0, 0, 0, 0, 1];

/// What a client sends before its first frame (RFC 9113 section 3.4).
const PREFACE: usize = 24;

/// Reads along the frames of one connection, from its preface on.
#[derive(Debug)]
pub(in crate::server) struct FrameMeter {
    /// The header that is being read.
    head: [u8; HEAD],
    head_bytes: usize,
    /// What is left of the frame's payload.
    payload: usize,
    budget: Budget,
    overdrawn: bool,
    /// Bytes of the farewell that were given.
    said: usize,
}

/// What may still be run up.
#[derive(Debug)]
struct Budget {
    left: u32,
    /// When, and since when, it was last filled up.
    filled: Instant,
    written: u64,
}

impl FrameMeter {
    pub(in crate::server) const fn new(now: Instant) -> Self {
        let budget = Budget { left: BURST, filled: now, written: 0 };
        Self { head: [0; HEAD], head_bytes: 0, payload: PREFACE, budget, overdrawn: false, said: 0 }
    }

    /// Notes that so many bytes went to the client.
    pub(in crate::server) const fn written(&mut self, bytes: usize) {
        self.budget.written = self.budget.written.saturating_add(bytes as u64);
    }

    /// Whether the connection has overdrawn its budget.
    pub(in crate::server) const fn is_overdrawn(&self) -> bool {
        self.overdrawn
    }

    /// Whether nothing that comes from the client is to be read any more. Then [`Self::say_farewell`].
    pub(in crate::server) const fn has_ended(&self) -> bool {
        self.overdrawn && self.head_bytes == 0 && self.payload == 0
    }

    /// Reads what `buffer` got beyond its first `before` bytes, and puts the farewell in the place of what must not pass.
    pub(in crate::server) fn read(&mut self, buffer: &mut ReadBuf<'_>, before: usize) {
        let news = buffer.filled().get(before..).unwrap_or_default();
        let (count, passed) = (news.len(), self.pass(news, Instant::now));
        if passed < count {
            buffer.set_filled(before.saturating_add(passed));
            self.say_farewell(buffer);
        }
    }

    /// Gives the next piece of the farewell, which has no end.
    pub(in crate::server) fn say_farewell(&mut self, buffer: &mut ReadBuf<'_>) {
        let frame = if self.said < HEAD { FAREWELL } else { FAREWELL_GOES_ON };
        let left = frame.get(self.said % HEAD..).unwrap_or_default();
        let piece = left.get(..buffer.remaining()).unwrap_or(left);
        buffer.put_slice(piece);
        self.said = self.said.wrapping_add(piece.len());
    }

    /// How many of these bytes may pass: all, unless the budget is overdrawn.
    fn pass(&mut self, bytes: &[u8], now: impl Fn() -> Instant) -> usize {
        let mut rest = bytes;
        loop {
            let payload = self.payload.min(rest.len());
            self.payload = self.payload.saturating_sub(payload);
            rest = rest.get(payload..).unwrap_or_default();
            if rest.is_empty() || self.has_ended() {
                return bytes.len().saturating_sub(rest.len());
            }
            let (_, room) = self.head.split_at_mut_checked(self.head_bytes).unwrap_or_default();
            let wanted = room.len().min(rest.len());
            let (piece, behind) = rest.split_at_checked(wanted).unwrap_or_default();
            if let Some(room) = room.get_mut(..wanted) {
                room.copy_from_slice(piece);
            }
            rest = behind;
            self.head_bytes = self.head_bytes.saturating_add(wanted);
            if self.head_bytes == HEAD {
                self.head_bytes = 0;
                let [high, middle, low, kind, flags, ..] = self.head;
                let length = u32::from_be_bytes([0, high, middle, low]);
                self.payload = length as usize;
                let cost = cost(kind, flags, length);
                if cost > 0 && !self.budget.spend(cost, &now) {
                    self.overdrawn = true;
                }
            }
        }
    }
}

/// What a frame costs.
const fn cost(kind: u8, flags: u8, length: u32) -> u32 {
    match kind {
        // DATA that ends its stream says something, and so does DATA with bytes beside its padding.
        0 if flags & END_STREAM != 0 => 0,
        0 if flags & PADDED != 0 && length <= 256 => 1,
        0 => (length == 0) as u32,
        // HEADERS: a request. If it is taken back at once, that is what costs.
        1 => 0,
        // RST_STREAM: what was begun was begun for nothing.
        3 => 2,
        // SETTINGS: answered, and applied to every stream. A client needs one, and seldom a second.
        4 => 10,
        // PRIORITY, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION, and what we do not know.
        _ => 1,
    }
}

impl Budget {
    /// Takes out `cost`, if there is so much left. The clock is looked at only when there seems not to be.
    fn spend(&mut self, cost: u32, now: impl Fn() -> Instant) -> bool {
        if self.left < cost {
            let now = now();
            let milliseconds =
                u64::try_from(now.saturating_duration_since(self.filled).as_millis()).unwrap_or(u64::MAX);
            let earned = (milliseconds.saturating_mul(PER_SECOND) / 1000).saturating_add(self.written / BYTES_WRITTEN);
            self.left = self.left.saturating_add(u32::try_from(earned).unwrap_or(u32::MAX)).min(BURST);
            self.filled = now;
            self.written = 0;
        }
        let left = self.left.checked_sub(cost);
        self.left = left.unwrap_or(0);
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
        frame.extend_from_slice(payload);
        frame
    }

    /// A meter that has seen the preface.
    fn begun(now: Instant) -> FrameMeter {
        let mut meter = FrameMeter::new(now);
        assert_eq!(meter.pass(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", || now), PREFACE);
        meter
    }

    fn ping() -> Vec<u8> {
        frame(6, 0, &[0; 8])
    }

    /// How many of `frames` pass whole, all of them at `now`.
    fn passed(meter: &mut FrameMeter, frames: impl IntoIterator<Item = Vec<u8>>, now: Instant) -> usize {
        frames.into_iter().take_while(|frame| meter.pass(frame, || now) == frame.len()).count()
    }

    #[test]
    fn what_carries_nothing_is_bounded_and_what_carries_something_is_not() {
        let now = Instant::now();
        let burst = usize::try_from(BURST).unwrap();
        // The frame that overdraws the budget passes still.
        for (what, frame, most) in [
            ("PING", ping(), Some(burst + 1)),
            ("PING ack", frame(6, 1, &[0; 8]), Some(burst + 1)),
            ("SETTINGS", frame(4, 0, &[]), Some(burst / 10 + 1)),
            ("RST_STREAM", frame(3, 0, &[0; 4]), Some(burst / 2 + 1)),
            ("PRIORITY", frame(2, 0, &[0; 5]), Some(burst + 1)),
            ("WINDOW_UPDATE", frame(8, 0, &[0, 0, 0, 1]), Some(burst + 1)),
            ("CONTINUATION", frame(9, 0, &[]), Some(burst + 1)),
            ("unknown", frame(0xbe, 0, &[]), Some(burst + 1)),
            ("empty DATA", frame(0, 0, &[]), Some(burst + 1)),
            ("DATA of padding", frame(0, PADDED, &[2, 0, 0]), Some(burst + 1)),
            ("DATA", frame(0, 0, b"x"), None),
            ("DATA that ends", frame(0, END_STREAM, &[]), None),
            ("HEADERS", frame(1, 4, &[0x82]), None),
        ] {
            let mut meter = begun(now);
            let count = passed(&mut meter, std::iter::repeat_n(frame, 3 * burst), now);
            assert_eq!(count, most.unwrap_or(3 * burst), "{what}");
            assert_eq!(meter.has_ended(), most.is_some(), "{what}");
        }
    }

    #[test]
    fn time_and_what_was_written_fill_the_budget_up_again() {
        let start = Instant::now();
        let burst = usize::try_from(BURST).unwrap();
        let mut meter = begun(start);
        for second in 0..60 {
            let now = start + Duration::from_secs(second);
            assert_eq!(passed(&mut meter, std::iter::repeat_n(ping(), 150), now), 150, "150 a second, after {second}");
        }
        let mut meter = begun(start);
        for _ in 0..10 * burst {
            meter.written(64);
            assert_eq!(passed(&mut meter, [ping(), ping()], start), 2, "two for 64 bytes");
        }
        let mut meter = begun(start);
        let flood = (0..10 * burst).map(|_| ping()).take_while(|ping| {
            meter.written(17);
            meter.pass(ping, || start) == ping.len()
        });
        assert!(flood.count() < 3 * burst, "a flood that is answered pays not for itself");
    }

    #[test]
    fn the_farewell_takes_the_place_of_what_follows() {
        // Later than it is: however slow this runs, nothing is earned by it.
        let now = Instant::now() + Duration::from_secs(3600);
        let mut meter = begun(now);
        let flood: Vec<u8> = std::iter::repeat_n(ping(), 10_000).flatten().collect();
        let mut storage = vec![0; flood.len() + 5];
        let mut buffer = ReadBuf::new(&mut storage);
        buffer.put_slice(b"early");
        buffer.put_slice(&flood);
        meter.read(&mut buffer, 5);
        assert!(meter.has_ended());
        let whole = 5 + (usize::try_from(BURST).unwrap() + 1) * ping().len();
        let mut expected = flood.get(..whole - 5).unwrap().to_vec();
        expected.splice(..0, *b"early");
        expected.extend(FAREWELL);
        assert_eq!(buffer.filled(), expected);
        let mut storage = [0; 4];
        let mut said = Vec::new();
        for _ in 0..9 {
            let mut buffer = ReadBuf::new(&mut storage);
            meter.say_farewell(&mut buffer);
            said.extend_from_slice(buffer.filled());
        }
        assert!(said.starts_with(&[FAREWELL_GOES_ON, FAREWELL_GOES_ON, FAREWELL_GOES_ON].concat()), "{said:?}");
    }

    fn any_frame() -> impl Strategy<Value = Vec<u8>> {
        (0u8..12, any::<u8>(), prop::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(kind, flags, payload)| frame(kind, flags, &payload))
    }

    proptest! {
        #[test]
        fn cutting_the_bytes_changes_nothing(
            frames in prop::collection::vec(any_frame(), 0..400),
            left in 0..200u32,
            pieces in prop::collection::vec(1usize..60, 1..50),
        ) {
            let now = Instant::now();
            let new = || {
                let mut meter = begun(now);
                meter.budget.left = left;
                meter
            };
            let bytes = frames.concat();
            let whole = new().pass(&bytes, || now);
            let (mut meter, mut rest, mut in_pieces) = (new(), &bytes[..], 0);
            for size in pieces.iter().cycle() {
                let (piece, behind) = rest.split_at((*size).min(rest.len()));
                let count = meter.pass(piece, || now);
                in_pieces += count;
                rest = behind;
                if count < piece.len() || rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(whole, in_pieces);
            // What passes are whole frames, or all there is.
            let mut ends = vec![0];
            for frame in &frames {
                ends.push(ends.last().unwrap() + frame.len());
            }
            prop_assert!(ends.contains(&whole));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let now = Instant::now();
            prop_assert!(begun(now).pass(&bytes, || now) <= bytes.len());
        }
    }
}
