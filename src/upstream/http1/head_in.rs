//! Owns: the head of a response (RFC 9112 sections 4 and 5), and where the body behind it ends (section 6.3).
//! Refuses: folded lines, white space before a colon, more fields or a longer head than allowed, a length that is no number.
//! Always holds: a head that came in many pieces is read like one that came in one, and not from its beginning for each.

use std::mem::MaybeUninit;

use bytes::Bytes;
use http::{
    Extensions, StatusCode, Version,
    header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING},
    status::InvalidStatusCode,
};
use hyper::ext::ReasonPhrase;

use super::{
    super::framing::Framing,
    Http1Error,
    body_in::Inward,
    head_out::{names, number},
};
use crate::{
    http::{FieldNames, Fields, Response, ResponseHead},
    received::Received,
};

/// The largest head of a response, in bytes, and the most fields in it.
const HEAD_BYTES: usize = 64 * 1024;
const MOST_FIELDS: usize = 100;

/// For so many fields there is room beside those of the response.
const ROOM_FOR_FIELDS: usize = 4;

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
        while may_be_whole(read, self.seen) {
            let mut fields = [const { MaybeUninit::uninit() }; MOST_FIELDS];
            let mut parsed = httparse::Response::new(&mut []);
            let status =
                httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut parsed, read, &mut fields);
            let length = match status.map_err(Http1Error::Head)? {
                httparse::Status::Complete(length) => length,
                httparse::Status::Partial => break,
            };
            if length > HEAD_BYTES {
                return Err(Http1Error::HeadTooLarge);
            }
            self.seen = 0;
            let head = match parsed.code {
                Some(100 | 102..=199) => None,
                _ => Some(self.make(&parsed, read.get(..length).unwrap_or_default())?),
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

    fn make(&self, parsed: &httparse::Response<'_, '_>, bytes: &[u8]) -> Result<Head, Http1Error> {
        let version = if parsed.version == Some(1) { Version::HTTP_11 } else { Version::HTTP_10 };
        // A copy of so few bytes costs less than to keep the whole of what was read for as long as any field is kept.
        let kept = Bytes::copy_from_slice(bytes);
        let place = |value: &[u8]| (value.as_ptr() as usize).saturating_sub(bytes.as_ptr() as usize);
        let mut fields = Fields::within(kept, parsed.headers.len().saturating_add(ROOM_FOR_FIELDS));
        let (mut lengths, mut codings, mut length, mut closes) = (0, 0, None, false);
        for field in parsed.headers.iter() {
            let name = FieldNames::of_this_thread(|names| names.read(field.name.as_bytes()))
                .map_err(|error| Http1Error::Part(error.into()))?;
            let (from, value) = (place(field.value), field.value);
            if name == CONTENT_LENGTH {
                lengths += 1;
                length = Some(number(value));
            } else if name == TRANSFER_ENCODING {
                codings += 1;
            } else if name == CONNECTION {
                closes = closes || names(value, "close");
            }
            fields.push_from_head(name, from..from.saturating_add(value.len()));
        }
        // What is said once, and is a number, is said in one way.
        let is_plain = codings == 0 && (lengths == 0 || lengths == 1 && length.flatten().is_some());
        let framing = if is_plain { Framing::Clear } else { Framing::of(version, &fields) };
        let code = parsed.code.unwrap_or_default();
        let body = match (framing, length) {
            _ if self.is_bodiless || matches!(code, 101 | 204 | 304) => Inward::nothing(),
            // It is not passed on.
            (Framing::Coded | Framing::Repeated, _) => Inward::nothing(),
            _ if codings > 0 => Inward::chunked(),
            (_, Some(length)) => Inward::of_length(length.ok_or(Http1Error::Length)?),
            (_, None) => Inward::until_close(),
        };
        // A server of HTTP/1.0 that keeps its connections says so only to who asks for it, which we do not.
        let persists = version == Version::HTTP_11 && !closes && !body.ends_with_connection() && code != 101;
        let status: StatusCode = code.try_into().map_err(|error: InvalidStatusCode| Http1Error::Part(error.into()))?;
        let mut extensions = Extensions::new();
        let reason = parsed.reason.unwrap_or_default();
        if status.canonical_reason() != Some(reason)
            && let Ok(reason) = ReasonPhrase::try_from(reason.as_bytes())
        {
            extensions.insert(reason);
        }
        let response = Response { head: ResponseHead { status, version, fields, extensions }, body };
        Ok(Head { response, framing, persists })
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
