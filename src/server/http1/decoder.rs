//! Owns: the bytes of one connection that were received and not taken yet, and where in a request they stand.
//! Refuses: reading on behind what is at fault, and behind a request before it is answered.
//! Always holds: what is found does not depend on how the bytes were cut.

use bytes::Bytes;
use http::{Extensions, Method, Uri, Version};
use http_body::Frame;
use thiserror::Error;

use super::{
    chunks::{Chunks, Followed, Then},
    fault::RequestFault,
    head::{Framing, Head, HeadBounds, HeadScan, Said},
};
use crate::{http::RequestHead, received::Received};

/// Reads the requests of one connection.
#[derive(Debug)]
pub(super) struct Decoder {
    bounds: HeadBounds,
    received: Received,
    place: Place,
}

/// Where the next byte belongs.
#[derive(Debug)]
enum Place {
    Head(HeadScan),
    /// Into a body, of which so many bytes are left.
    Length(u64),
    Chunks(Box<Chunks>),
    /// Behind a request that is whole.
    Behind,
    /// Behind a fault: nowhere.
    Nowhere,
}

/// A request whose head is whole.
#[derive(Debug)]
pub(super) struct Decoded {
    pub(super) request: RequestHead,
    pub(super) said: Said,
    /// How many bytes its body has, if that was said.
    pub(super) length: Option<u64>,
}

/// The framing of a body is broken.
#[derive(Debug, Error)]
#[error("the framing of the body is broken")]
pub(super) struct Broken;

impl Decoder {
    pub(super) fn new(bounds: HeadBounds) -> Self {
        Self { bounds, received: Received::default(), place: Place::Head(HeadScan::default()) }
    }

    /// Where what comes is put behind what came.
    pub(super) const fn received(&mut self) -> &mut Received {
        &mut self.received
    }

    /// How many bytes were received and not taken.
    pub(super) fn held(&self) -> usize {
        self.received.len()
    }

    /// Whether a request's body is yet to come, all or some of it.
    pub(super) const fn is_in_body(&self) -> bool {
        matches!(self.place, Place::Length(_) | Place::Chunks(_))
    }

    /// Whether nothing can be read any more.
    pub(super) const fn is_nowhere(&self) -> bool {
        matches!(self.place, Place::Nowhere)
    }

    /// How many bytes of a body are still to come, if that was said.
    pub(super) const fn left(&self) -> Option<u64> {
        match self.place {
            Place::Length(left) => Some(left),
            Place::Chunks(_) => None,
            Place::Head(_) | Place::Behind | Place::Nowhere => Some(0),
        }
    }

    /// The next head, if it is whole.
    pub(super) fn head(&mut self) -> Result<Option<Decoded>, RequestFault> {
        let Place::Head(scan) = &mut self.place else { return Ok(None) };
        let head = scan.read(&self.received, self.bounds).and_then(|head| {
            let Some(head) = head else { return Ok(None) };
            let bytes = self.received.take_to_keep(head.length);
            Ok(Some((head.framing, head.said, request(bytes, head)?)))
        });
        match head {
            Ok(None) => {
                // Whoever sends it may take their time.
                self.received.copy_off();
                Ok(None)
            }
            Ok(Some((framing, said, request))) => {
                let length = self.begin(framing);
                if length == Some(0) {
                    // What is behind it lies as long as the answer takes.
                    self.received.copy_off();
                }
                Ok(Some(Decoded { request, said, length }))
            }
            Err(fault) => {
                self.give_up();
                Err(fault)
            }
        }
    }

    /// The next piece of the body, or its trailers; nothing if more must come first, or if it is whole.
    pub(super) fn frame(&mut self) -> Result<Option<Frame<Bytes>>, Broken> {
        match &mut self.place {
            Place::Length(left) => {
                let held = u64::try_from(self.received.len()).unwrap_or(u64::MAX);
                let taken = held.min(*left);
                *left = left.saturating_sub(taken);
                if *left == 0 {
                    self.place = Place::Behind;
                }
                let taken = usize::try_from(taken).unwrap_or(usize::MAX);
                Ok((taken > 0).then(|| Frame::data(self.received.take(taken))))
            }
            Place::Chunks(chunks) => {
                let Followed { framing, then } = chunks.follow(&self.received);
                self.received.skip(framing);
                match then {
                    Then::More => Ok(None),
                    Then::Data(data) => Ok(Some(Frame::data(self.received.take(data)))),
                    Then::Whole => {
                        let trailers = chunks.trailers();
                        self.place = Place::Behind;
                        Ok(trailers.map(Frame::trailers))
                    }
                    Then::Broken => {
                        self.give_up();
                        Err(Broken)
                    }
                }
            }
            Place::Head(_) | Place::Behind | Place::Nowhere => Ok(None),
        }
    }

    /// Goes on to the next request, if the one before is whole.
    pub(super) fn next(&mut self) -> bool {
        let whole = matches!(self.place, Place::Behind);
        if whole {
            self.place = Place::Head(HeadScan::default());
        }
        whole
    }

    /// Reads nothing any more.
    pub(super) fn give_up(&mut self) {
        self.received = Received::default();
        self.place = Place::Nowhere;
    }

    /// What came behind the last request, which is not HTTP any more.
    pub(super) fn take_rest(&mut self) -> Bytes {
        self.place = Place::Nowhere;
        self.received.take_to_keep(usize::MAX)
    }

    fn begin(&mut self, framing: Framing) -> Option<u64> {
        let (place, length) = match framing {
            Framing::Length(0) => (Place::Behind, Some(0)),
            Framing::Length(length) => (Place::Length(length), Some(length)),
            Framing::Chunked => (Place::Chunks(Box::default()), None),
        };
        self.place = place;
        length
    }
}

/// The request that a head is. What was found good in it cannot be refused here; but what cannot be is not taken for granted.
fn request(bytes: Bytes, head: Head) -> Result<RequestHead, RequestFault> {
    let malformed = || RequestFault::Malformed;
    let method = bytes.get(head.method).ok_or_else(malformed)?;
    let method = Method::from_bytes(method).map_err(|_| malformed())?;
    bytes.get(head.target.clone()).ok_or_else(malformed)?;
    let uri = Uri::from_maybe_shared(bytes.slice(head.target)).map_err(|_| malformed())?;
    let version = if head.said.is_http10 { Version::HTTP_10 } else { Version::HTTP_11 };
    let mut fields = head.fields;
    fields.stand_in(bytes);
    Ok(RequestHead { method, uri, version, fields, extensions: Extensions::new() })
}
