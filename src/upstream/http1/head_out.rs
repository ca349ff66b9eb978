//! Owns: the head of a request as it is written (RFC 9112 sections 3 and 5), and how the body behind it is framed.
//! Always holds: the head frames the body there is, and in one way only.

use http::{
    HeaderName, HeaderValue,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
};
use http_body::Body;

use crate::http::{
    Request, RequestHead,
    grammar::length,
    headers::{announced_trailers, names_connection_option},
};

/// As much room as most heads take, so that the buffer does not grow field by field.
const USUAL_HEAD: usize = 1024;

/// How a request's body is framed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outward {
    /// There is none.
    Nothing,
    /// By its length, of which so much is still to come.
    Length(u64),
    /// In chunks, and behind them such of these trailers as there are.
    Chunked(Vec<HeaderName>),
}

/// What is known of a request once its head is written.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) framing: Outward,
    /// Whether the other side was told that the connection ends with this exchange.
    pub(super) closes: bool,
}

/// Writes the head of `request`, whose target has the origin form, to `buffer`. Its fields are those it has but for the framing of its
/// body, which is made to agree with the body.
pub(super) fn write<B: Body>(request: &mut Request<B>, buffer: &mut Vec<u8>) -> Written {
    let framing = frame(request);
    let target = request.head.uri.path_and_query().map_or("/", |target| target.as_str());
    let method = request.head.method.as_str();
    buffer.reserve(USUAL_HEAD);
    buffer.extend_from_slice(method.as_bytes());
    buffer.push(b' ');
    // A query alone has no path to stand behind.
    if target.starts_with('?') {
        buffer.push(b'/');
    }
    buffer.extend_from_slice(target.as_bytes());
    buffer.extend_from_slice(b" HTTP/1.1\r\n");
    request.head.fields.write(buffer, |_| false);
    buffer.extend_from_slice(b"\r\n");
    Written { framing, closes: names_connection_option(&request.head.fields, "close") }
}

/// Chunks where they are announced or the length is not known, a length otherwise; never both (RFC 9112 section 6.2).
fn frame<B: Body>(request: &mut Request<B>) -> Outward {
    let Request { head: RequestHead { fields, .. }, body } = request;
    let known = body.size_hint().exact();
    if body.is_end_stream() {
        fields.remove(&TRANSFER_ENCODING);
        return Outward::Nothing;
    }
    let said = fields.first(&CONTENT_LENGTH).and_then(length);
    match (fields.contains(&TRANSFER_ENCODING), said, known) {
        (false, Some(length), _) => Outward::Length(length),
        (false, None, Some(length)) => {
            fields.insert(CONTENT_LENGTH, HeaderValue::from(length));
            Outward::Length(length)
        }
        (true, _, _) | (false, None, None) => {
            fields.remove(&CONTENT_LENGTH);
            // A coding that the request came under was undone with its chunks.
            fields.insert(TRANSFER_ENCODING, const { HeaderValue::from_static("chunked") });
            Outward::Chunked(announced_trailers(fields))
        }
    }
}
