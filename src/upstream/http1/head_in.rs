//! Owns: the head of a response (RFC 9112 sections 4 and 5), and where the body behind it ends (section 6.3).
//! Refuses: folded lines, white space before a colon, more fields or a longer head than allowed, a length that is no number.
//! Always holds: a head that came in many pieces is read like one that came in one, and not from its beginning for each.

use std::ops::Range;

use bytes::Bytes;
use http::{
    Extensions, StatusCode, Version,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
};
use hyper::ext::ReasonPhrase;

use super::{super::framing::Framing, Http1Error, body_in::Inward, error::HeadFault};
use crate::{
    http::{
        FieldNames, Fields, Response, ResponseHead,
        grammar::{length, text_length},
        headers::names_connection_option,
    },
    received::Received,
};

/// The largest head of a response, in bytes, and the most fields in it.
const HEAD_BYTES: usize = 64 * 1024;
const MOST_FIELDS: usize = 100;

/// For so many fields room is made at first: those of most responses, and what a gateway adds.
const USUAL_FIELDS: usize = 14;

/// A response's head, while it is being read.
#[derive(Debug)]
pub(super) struct HeadIn {
    /// Whether the request was such that the response has no body whatever it says (RFC 9110 section 9.3.2).
    is_bodiless: bool,
    /// So much of what was read is no whole head.
    seen: usize,
}

/// A response whose head was read.
#[derive(Debug)]
pub(in super::super) struct Head {
    pub(in super::super) response: Response<Inward>,
    pub(in super::super) framing: Framing,
    /// Whether the connection may be used again.
    pub(super) persists: bool,
}

impl Head {
    /// Whether the connection is one for another protocol now.
    pub(in super::super) fn is_switch(&self) -> bool {
        self.response.head.status.as_u16() == 101
    }
}

impl HeadIn {
    pub(super) const fn new(is_bodiless: bool) -> Self {
        Self { is_bodiless, seen: 0 }
    }

    /// Takes the head off what was `read`, if it is whole. Interim responses before it are passed over; a switch to another protocol
    /// is none.
    pub(super) fn take(&mut self, read: &mut Received) -> Result<Option<Head>, Http1Error> {
        // Empty lines before a head say nothing, and are not to be read again with each that follows.
        while self.seen == 0 && (read.starts_with(b"\r\n") || read.starts_with(b"\n")) {
            read.skip(if read.starts_with(b"\n") { 1 } else { 2 });
        }
        while may_be_whole(read, self.seen) {
            let parsed = FieldNames::of_this_thread(|names| Parsed::of(read, names)).map_err(Http1Error::Head)?;
            let Some(parsed) = parsed else { break };
            let length = parsed.length;
            if length > HEAD_BYTES {
                return Err(Http1Error::HeadTooLarge);
            }
            self.seen = 0;
            let head = match parsed.code {
                100 | 102..=199 => None,
                _ => Some(self.make(parsed, read.get(..length).unwrap_or_default())?),
            };
            read.skip(length);
            if head.is_some() {
                return Ok(head);
            }
        }
        self.seen = read.len();
        if self.seen >= HEAD_BYTES {
            return Err(Http1Error::HeadTooLarge);
        }
        Ok(None)
    }

    fn make(&self, parsed: Parsed, bytes: &[u8]) -> Result<Head, Http1Error> {
        let Parsed { version, code, reason, mut fields, .. } = parsed;
        let status = StatusCode::from_u16(code).map_err(|_| Http1Error::Head(HeadFault::StatusLine))?;
        let mut extensions = Extensions::new();
        let reason = bytes.get(reason).filter(|reason| reason.is_ascii()).unwrap_or_default();
        if status.canonical_reason().map(str::as_bytes) != Some(reason)
            && let Ok(reason) = ReasonPhrase::try_from(reason)
        {
            extensions.insert(reason);
        }
        // A copy of so few bytes costs less than to keep the whole of what was read for as long as any field is kept.
        fields.stand_in(Bytes::copy_from_slice(bytes));
        let framing = Framing::of(version, &fields);
        let body = match (framing, fields.first(&CONTENT_LENGTH)) {
            _ if self.is_bodiless || matches!(code, 101 | 204 | 304) => Inward::nothing(),
            // It is not passed on.
            (Framing::Coded | Framing::Repeated, _) => Inward::nothing(),
            (Framing::Twice, _) => Inward::chunked(),
            (Framing::Clear, Some(stated)) => Inward::of_length(length(stated).ok_or(Http1Error::Length)?),
            (Framing::Clear, None) if fields.contains(&TRANSFER_ENCODING) => Inward::chunked(),
            (Framing::Clear, None) => Inward::until_close(),
        };
        // A server of HTTP/1.0 that keeps its connections says so only to who asks for it, which we do not.
        let persists = version == Version::HTTP_11
            && !body.ends_with_connection()
            && code != 101
            && !names_connection_option(&fields, "close");
        let response = Response { head: ResponseHead { status, version, fields, extensions }, body };
        Ok(Head { response, framing, persists })
    }
}

/// What stands in a head.
struct Parsed {
    /// Its bytes, the empty line included.
    length: usize,
    version: Version,
    code: u16,
    reason: Range<usize>,
    /// Its fields, whose values have to be told yet what they stand in.
    fields: Fields,
}

impl Parsed {
    /// Reads a head, if it is whole. Empty lines before it are passed over; a line may also end in LF alone (RFC 9112 section 2.2),
    /// which goes no further.
    fn of(bytes: &[u8], names: &mut FieldNames) -> Result<Option<Self>, HeadFault> {
        let (mut begin, mut parsed) = (0_usize, None::<Self>);
        loop {
            let rest = bytes.get(begin..).unwrap_or_default();
            let (line, end) = rest.split_at_checked(text_length(rest)).unwrap_or_default();
            let next = match end {
                [] | [b'\r'] => return Ok(None),
                [b'\r', b'\n', ..] => 2,
                [b'\n', ..] => 1,
                _ => return Err(HeadFault::Control),
            };
            let next = begin.saturating_add(line.len()).saturating_add(next);
            match &mut parsed {
                None if line.is_empty() => {}
                None => parsed = Some(Self::begun_by(line, begin)?),
                Some(parsed) if !line.is_empty() => parsed.field(line, begin, names)?,
                Some(_) => {
                    let head = parsed.take();
                    return Ok(head.map(|head| Self { length: next, ..head }));
                }
            }
            begin = next;
        }
    }

    /// `version SP status [SP reason]` (RFC 9112 section 4); the space before a reason that is not there is often left out.
    fn begun_by(line: &[u8], begin: usize) -> Result<Self, HeadFault> {
        let (version, rest) = match line.split_first_chunk() {
            Some((b"HTTP/1.1 ", rest)) => (Version::HTTP_11, rest),
            Some((b"HTTP/1.0 ", rest)) => (Version::HTTP_10, rest),
            _ => return Err(HeadFault::StatusLine),
        };
        let (code, reason) = rest.split_first_chunk::<3>().ok_or(HeadFault::StatusLine)?;
        let code = length(code).and_then(|code| u16::try_from(code).ok()).ok_or(HeadFault::StatusLine)?;
        let reason_bytes = match reason {
            [] => 0,
            [b' ', reason @ ..] => reason.len(),
            _ => return Err(HeadFault::StatusLine),
        };
        let end = begin.saturating_add(line.len());
        let fields = Fields::with_room(USUAL_FIELDS);
        Ok(Self { length: 0, version, code, reason: end.saturating_sub(reason_bytes)..end, fields })
    }

    /// `name ":" OWS value OWS` (RFC 9112 section 5).
    fn field(&mut self, line: &[u8], begin: usize, names: &mut FieldNames) -> Result<(), HeadFault> {
        let (name, value) =
            memchr::memchr(b':', line).and_then(|colon| line.split_at_checked(colon)).ok_or(HeadFault::Field)?;
        let value = value.get(1..).unwrap_or_default();
        let name = names.read(name).ok_or(HeadFault::Field)?;
        if self.fields.len() >= MOST_FIELDS {
            return Err(HeadFault::TooManyFields);
        }
        let without_start = value.trim_ascii_start();
        let from = begin.saturating_add(line.len()).saturating_sub(without_start.len());
        let until = from.saturating_add(without_start.trim_ascii_end().len());
        self.fields.push_read(name, begin, from..until);
        Ok(())
    }
}

/// Whether there may be an end of a head, since `seen` bytes of it were looked at in vain.
fn may_be_whole(read: &[u8], seen: usize) -> bool {
    if seen == 0 {
        return !read.is_empty();
    }
    // The last line may have ended within what was seen already.
    let fresh = read.get(seen.saturating_sub(3)..).unwrap_or_default();
    memchr::memchr_iter(b'\n', fresh).any(|end| {
        let behind = fresh.get(end..).unwrap_or_default();
        behind.starts_with(b"\n\r\n") || behind.starts_with(b"\n\n")
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Version, status, reason, fields, and what is behind it.
    type Read = (u8, u16, String, Vec<(String, Vec<u8>)>, usize);

    fn ours(bytes: &[u8]) -> Result<Option<Read>, HeadFault> {
        let parsed = FieldNames::of_this_thread(|names| Parsed::of(bytes, names))?;
        Ok(parsed.map(|mut parsed| {
            let reason =
                Some(&bytes[parsed.reason.clone()]).filter(|reason| reason.is_ascii()).unwrap_or_default().to_vec();
            parsed.fields.stand_in(Bytes::copy_from_slice(bytes));
            let fields = parsed.fields.iter().map(|(name, value)| (name.to_string(), value.to_vec())).collect();
            let version = u8::from(parsed.version == Version::HTTP_11);
            (version, parsed.code, String::from_utf8(reason).unwrap(), fields, parsed.length)
        }))
    }

    /// Another reader of the same grammar; what is there is not whole, if it gives nothing, and no head, if it fails.
    fn theirs(bytes: &[u8]) -> Result<Option<Read>, httparse::Error> {
        let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
        let mut response = httparse::Response::new(&mut fields);
        let httparse::Status::Complete(length) = response.parse(bytes)? else { return Ok(None) };
        let field = |field: &httparse::Header<'_>| (field.name.to_ascii_lowercase(), field.value.to_vec());
        let fields = response.headers.iter().map(field).collect();
        let (version, code, reason) = (response.version.unwrap(), response.code.unwrap(), response.reason.unwrap());
        Ok(Some((version, code, reason.to_owned(), fields, length)))
    }

    proptest! {
        #[test]
        fn a_head_is_read_as_another_reader_reads_it(
            first in "(HTTP/1.[01] [0-9]{3}( [ -~\u{e9}]{0,4})?|[ -~]{0,9}|\r?)(\r\n|\n|\r)",
            lines in prop::collection::vec(prop_oneof![
                4 => "[A-Za-z_!-]{1,4}:[ \t]{0,2}[a\u{e9} \t]{0,4}(\r\n|\r\n|\n)",
                1 => "([A-Za-z \"]{0,4}:?[ a]{0,2}|[ -~\t\u{0}\u{7f}]{0,5})(\r\n|\n|\r)",
            ], 0..5),
            behind in "\r\n[a-z]{0,3}|[a-z]?",
        ) {
            let text = first + &lines.concat() + &behind;
            match (ours(text.as_bytes()), theirs(text.as_bytes())) {
                (Ok(ours), Ok(theirs)) => prop_assert_eq!(ours, theirs, "{:?}", text),
                (Err(_), Err(_)) => {}
                // They find fault with a line before its end has come, and we do when it has.
                (Ok(None), Err(_)) => {
                    let whole = text.clone() + "\r\n";
                    prop_assert!(text.ends_with('\r') || ours(whole.as_bytes()).is_err(), "{:?}", text);
                }
                (ours, theirs) => prop_assert!(false, "{:?}: {:?} {:?}", text, ours, theirs),
            }
        }
    }
}
