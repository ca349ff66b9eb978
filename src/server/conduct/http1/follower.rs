//! Owns: where in which message an HTTP/1.1 connection is.
//! Refuses: holding bytes; it is shown them, and says how many of them may pass.
//! Always holds: after a fault nothing passes; a body's bytes are never read as a head.

use super::{
    chunks::{Chunks, ChunksEnd},
    fault::RequestFault,
    head::{Framing, Head, HeadBounds, HeadScan},
};

/// Follows the requests of one connection.
#[derive(Debug)]
pub(super) struct Follower {
    bounds: HeadBounds,
    place: Place,
    /// Whether the message under way may be the last one in HTTP.
    may_switch: bool,
    heads: u32,
}

/// Where the next byte belongs.
#[derive(Debug)]
pub(super) enum Place {
    /// Into a head, of which this much is known.
    Head(HeadScan),
    /// Into a body, of which so many bytes are left.
    Length(u64),
    /// Into a body in chunks.
    Chunks(Chunks),
    /// That depends on the answer to the last request.
    AfterAnswer,
    /// Into something that is not HTTP.
    Switched,
    /// Behind a head that is put aside: nowhere.
    Aside(RequestFault),
    /// Behind the break of a body: nowhere.
    Broken,
}

impl Follower {
    pub(super) fn new(bounds: HeadBounds) -> Self {
        Self { bounds, place: Place::default(), may_switch: false, heads: 0 }
    }

    pub(super) const fn place(&self) -> &Place {
        &self.place
    }

    /// The number of the last request; goes round.
    pub(super) const fn number(&self) -> u32 {
        self.heads
    }

    /// The last request has been answered.
    pub(super) fn answered(&mut self, switched: bool) {
        if matches!(self.place, Place::AfterAnswer) {
            self.place = if switched { Place::Switched } else { Place::default() };
        }
    }

    /// How many of `bytes` may pass. A head is shown from its beginning until it is whole.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> usize {
        let mut passed = 0_usize;
        loop {
            let rest = bytes.get(passed..).unwrap_or_default();
            let count = match &mut self.place {
                _ if rest.is_empty() => 0,
                Place::Head(scan) => match scan.read(rest, self.bounds) {
                    Ok(None) => 0,
                    Ok(Some(head)) => {
                        self.begin(head);
                        head.length
                    }
                    Err(fault) => {
                        self.heads = self.heads.wrapping_add(1);
                        self.place = Place::Aside(fault);
                        0
                    }
                },
                Place::Length(left) => {
                    let available = u64::try_from(rest.len()).unwrap_or(u64::MAX);
                    let skipped = available.min(*left);
                    *left = left.saturating_sub(skipped);
                    if *left == 0 {
                        self.end();
                    }
                    usize::try_from(skipped).unwrap_or(usize::MAX)
                }
                Place::Chunks(chunks) => {
                    let followed = chunks.follow(rest);
                    match followed.end {
                        ChunksEnd::More => {}
                        ChunksEnd::Whole => self.end(),
                        ChunksEnd::Broken => self.place = Place::Broken,
                    }
                    followed.bytes
                }
                Place::Switched => rest.len(),
                Place::AfterAnswer | Place::Aside(_) | Place::Broken => 0,
            };
            if count == 0 {
                return passed;
            }
            passed = passed.saturating_add(count);
        }
    }

    fn begin(&mut self, head: Head) {
        self.heads = self.heads.wrapping_add(1);
        self.may_switch = head.may_switch;
        match head.framing {
            Framing::Length(0) => self.end(),
            Framing::Length(length) => self.place = Place::Length(length),
            Framing::Chunked => self.place = Place::Chunks(Chunks::default()),
        }
    }

    fn end(&mut self) {
        self.place = if self.may_switch { Place::AfterAnswer } else { Place::default() };
    }
}

impl Default for Place {
    fn default() -> Self {
        Self::Head(HeadScan::default())
    }
}
