//! What is read, what is not, and that it makes no difference how the bytes come.

use http_body::Frame;
use proptest::prelude::*;

use super::{
    decoder::{Decoded, Decoder},
    fault::RequestFault,
    head::HeadBounds,
};
use crate::received::is_let_go_of;

const HEADER_BYTES: usize = 1024;
const HEADERS: usize = 8;

fn decoder() -> Decoder {
    Decoder::new(HeadBounds { bytes: HEADER_BYTES, fields: HEADERS })
}

/// How reading ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// More may come.
    More,
    Fault(RequestFault),
    Broken,
    /// What follows depends on an answer.
    AfterAnswer,
}

/// What was read: a line for each request, its body and its trailers.
fn written(decoded: &Decoded) -> String {
    let Decoded { request, said, length } = decoded;
    let fields: Vec<_> =
        request.fields.iter().map(|(name, value)| format!("{name}={:?}", String::from_utf8_lossy(value))).collect();
    format!(
        "{} {} {:?} {fields:?} {length:?} {} {}\n",
        request.method, request.uri, request.version, said.close, said.keep_alive
    )
}

/// Reads as far as it goes.
fn read(decoder: &mut Decoder, seen: &mut String) -> End {
    loop {
        let may_switch = match decoder.head() {
            Ok(Some(decoded)) => {
                seen.push_str(&written(&decoded));
                decoded.said.upgrade || decoded.said.is_connect
            }
            Ok(None) => false,
            Err(fault) => return End::Fault(fault),
        };
        loop {
            match decoder.frame().map(|frame| frame.map(Frame::into_data)) {
                Ok(Some(Ok(data))) => seen.push_str(&String::from_utf8_lossy(&data)),
                Ok(Some(Err(trailers))) => seen.push_str(&format!("{:?}", trailers.into_trailers().unwrap())),
                Ok(None) => break,
                Err(_) => return End::Broken,
            }
        }
        if may_switch && !decoder.is_in_body() {
            return End::AfterAnswer;
        }
        if !decoder.next() {
            return End::More;
        }
        seen.push_str("\n.\n");
    }
}

/// What is read if the bytes come like that. One that may switch ends it, as what follows depends on the answer.
fn outcome<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (String, End) {
    let (mut decoder, mut seen) = (decoder(), String::new());
    let mut may_switch = false;
    for piece in pieces {
        decoder.received().receive(piece);
        // A wish to switch may have come before its body.
        let before = seen.len();
        match read(&mut decoder, &mut seen) {
            End::More => {}
            end => return (seen, end),
        }
        let new = seen.get(before..).unwrap_or_default();
        may_switch |= new.contains("\"upgrade=") || new.contains("CONNECT ");
        if may_switch && !decoder.is_in_body() {
            return (seen, End::AfterAnswer);
        }
    }
    (seen, End::More)
}

fn verdict(head: &str) -> End {
    let smuggled = format!("{head}GET /smuggled HTTP/1.1\r\n\r\n");
    let (seen, end) = outcome([smuggled.as_bytes()]);
    assert_eq!(seen.contains("GET /smuggled "), end == End::More, "{head:?}: {seen}");
    end
}

const FINE: &[&str] = &[
    "GET / HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.0\r\nhost: a\r\n\r\n",
    "\r\nGET / HTTP/1.1\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nhost:a\r\n\r\n",
    "GET http://a/b?c HTTP/1.1\r\nx:\t y \r\nempty:\r\n\r\n",
    "GET /\u{e4} HTTP/1.1\r\nx: \u{e4}\r\n\r\n",
    "m-search /{a}|b HTTP/1.1\r\n\r\n",
    "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nGET /",
    "POST / HTTP/1.1\r\ncontent-length:5 \r\n\r\n\r\n\r\n\n",
    "POST / HTTP/1.0\r\ncontent-length: 0\r\n\r\n",
    "POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nx: y\r\n\r\n",
    "POST / HTTP/1.1\r\nx-content-length: +5\r\ncontent_type: x\r\ntransfer-encodin: x\r\n\r\n",
];

const MALFORMED: &[&str] = &[
    "GET / HTTP/1.1\nhost: a\n\n",
    "GET / HTTP/1.1\r\nhost: a\n\r\n",
    "GET / HTTP/1.1\r\nhost: a\r\n\n",
    "GET / HTTP/1.1\rhost: a\r\n\r\n",
    "GET / HTTP/1.1\r\r\nhost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nx: a\rb\r\n\r\n",
    "GET / HTTP/1.1\r\nx: a\0b\r\n\r\n",
    "GET / HTTP/1.1\r\nx: \x0bchunked\r\n\r\n",
    "GET / HTTP/1.1\r\nx: \x7f\r\n\r\n",
    "GET / HTTP/1.1\r\nx: a\r\n b\r\n\r\n",
    "GET / HTTP/1.1\r\n x: a\r\n\r\n",
    "GET / HTTP/1.1\r\nx : a\r\n\r\n",
    "GET / HTTP/1.1\r\ntransfer-encoding : chunked\r\n\r\n",
    "GET / HTTP/1.1\r\n: a\r\n\r\n",
    "GET / HTTP/1.1\r\nno colon\r\n\r\n",
    "GET / HTTP/1.1\r\nx(y): a\r\n\r\n",
    "GET / HTTP/1.1\r\n\u{e4}: a\r\n\r\n",
    "GET  / HTTP/1.1\r\n\r\n",
    "GET /  HTTP/1.1\r\n\r\n",
    "GET / b HTTP/1.1\r\n\r\n",
    "GET /\tb HTTP/1.1\r\n\r\n",
    "GET\t/ HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.1 \r\n\r\n",
    " GET / HTTP/1.1\r\n\r\n",
    "GET /\r\n\r\n",
    "GET  HTTP/1.1\r\n\r\n",
    "G(T / HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.2\r\n\r\n",
    "GET / HTTP/2.0\r\n\r\n",
    "GET / http/1.1\r\n\r\n",
    "GET / HTTP/01.1\r\n\r\n",
    "GET http://a:b:c/ HTTP/1.1\r\n\r\n",
    "GET /<> HTTP/1.1\r\n\r\n",
    "\nGET / HTTP/1.1\r\n\r\n",
    "\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    "\x16\x03\x01",
];

const AMBIGUOUS: &[&str] = &[
    "content-length: 5\r\ntransfer-encoding: chunked",
    "transfer-encoding: chunked\r\ncontent-length: 5",
    "transfer-encoding: chunked\r\ncontent-length: 0",
    "content-length: 5\r\ntransfer-encoding: gzip, chunked",
    "content-length: 5\r\ncontent-length: 5",
    "content-length: 5\r\ncontent-length: 6",
    "content-length: 5, 5",
    "content-length: 5, 6",
    "content-length: +5",
    "content-length: -5",
    "content-length: 0x5",
    "content-length: 5.0",
    "content-length: 5 5",
    "content-length:",
    "content-length: \"5\"",
    "content-length: 9223372036854775808",
    "content-length: 18446744073709551616",
    "content-length: 99999999999999999999999999999999",
    "content_length: 5",
    "transfer_encoding: chunked",
    "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
    "transfer-encoding: chunked\r\ntransfer-encoding: identity",
    "transfer-encoding: gzip\r\ntransfer-encoding: chunked",
    "transfer-encoding: xchunked",
    "transfer-encoding: chunkedx",
    "transfer-encoding: chunked, chunked",
    "transfer-encoding: chunked, gzip",
    "transfer-encoding: gzip",
    "transfer-encoding: identity",
    "transfer-encoding: \"chunked\"",
    "transfer-encoding: chunked;a=b",
    "transfer-encoding: , chunked",
    "transfer-encoding: chunked,",
    "transfer-encoding: gz ip, chunked",
    "transfer-encoding:",
];

#[test]
fn what_is_in_order_is_read() {
    for head in FINE {
        assert_eq!(verdict(head), End::More, "{head:?}");
    }
}

#[test]
fn a_request_is_read_as_it_stands() {
    let (seen, _) = outcome([&b"\r\nPOST http://a/b?c HTTP/1.1\r\nX-A:\t y \r\nx-a:\r\nConnection: close, x\r\nTransfer-Encoding: Chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: u\r\n\r\nGET /2 HTTP/1.0\r\nconnection:Keep-Alive\r\n\r\n"[..]]);
    let expected = "POST http://a/b?c HTTP/1.1 [\"x-a=\\\"y\\\"\", \"x-a=\\\"\\\"\", \"connection=\\\"close, x\\\"\", \
                    \"transfer-encoding=\\\"Chunked\\\"\"] None true false\nabcde{\"t\": \"u\"}\n.\n\
                    GET /2 HTTP/1.0 [\"connection=\\\"Keep-Alive\\\"\"] Some(0) false true\n\n.\n";
    assert_eq!(seen, expected);
}

#[test]
fn what_could_be_read_otherwise_is_a_fault() {
    for head in MALFORMED {
        assert_eq!(verdict(head), End::Fault(RequestFault::Malformed), "{head:?}");
    }
    for fields in AMBIGUOUS {
        let head = format!("POST / HTTP/1.1\r\nhost: a\r\n{fields}\r\n\r\n0\r\n\r\n");
        assert_eq!(verdict(&head), End::Fault(RequestFault::FramingAmbiguous), "{fields:?}");
    }
    let old = "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(verdict(old), End::Fault(RequestFault::FramingAmbiguous));
    let coded = "POST / HTTP/1.1\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(verdict(coded), End::Fault(RequestFault::TransferCoding));
    for long in ["x: y\r\n".repeat(7), format!("x: {}\r\n", "y".repeat(HEADER_BYTES - 27))] {
        assert_eq!(verdict(&format!("GET / HTTP/1.1\r\nx:\r\n{long}\r\n")), End::More);
    }
    let crowded = format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(HEADERS + 1));
    assert_eq!(verdict(&crowded), End::Fault(RequestFault::TooManyFields));
    for end in ["", "\r\n\r\n"] {
        let large = format!("GET / HTTP/1.1\r\nx: {}{end}", "y".repeat(HEADER_BYTES));
        assert_eq!(verdict(&large), End::Fault(RequestFault::HeadTooLarge));
    }
}

#[test]
fn what_comes_before_a_fault_is_read_and_nothing_behind_it() {
    let before = "GET /1 HTTP/1.1\r\n\r\nPOST /2 HTTP/1.1\r\ncontent-length: 2\r\n\r\n\n\n";
    let (seen, end) = outcome([before.as_bytes(), b"GET /3 HTTP/1.1\n\n", b"GET /4 HTTP/1.1\r\n\r\n"]);
    assert_eq!(end, End::Fault(RequestFault::Malformed));
    assert!(
        seen.contains(" /1 ") && seen.contains(" /2 ") && !seen.contains(" /3 ") && !seen.contains(" /4 "),
        "{seen}"
    );
    let good = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n";
    let (seen, end) = outcome([format!("{good}zz\r\nGET /2 HTTP/1.1\r\n\r\n").as_bytes()]);
    assert_eq!(end, End::Broken);
    assert!(seen.ends_with("abc") && !seen.contains("/2"), "{seen}");
}

#[test]
fn what_follows_a_wish_to_switch_waits_for_the_answer() {
    for wish in ["GET / HTTP/1.1\r\nUpgrade: rope\r\n\r\n", "CONNECT a:1 HTTP/1.1\r\n\r\n"] {
        let mut decoder = decoder();
        decoder.received().receive(wish.as_bytes());
        assert_eq!(read(&mut decoder, &mut String::new()), End::AfterAnswer);
        decoder.received().receive(b"\0 no HTTP");
        assert!(decoder.head().unwrap().is_none(), "{wish}");
        assert_eq!(decoder.take_rest(), &b"\0 no HTTP"[..]);
        assert!(decoder.head().unwrap().is_none() && decoder.is_nowhere());
    }
}

#[test]
fn no_head_holds_on_to_the_buffer_that_all_read_into() {
    for head in [
        "GET / HTTP/1.1\r\nhost: example.com\r\nx-other: not whole yet",
        "GET / HTTP/1.1\r\nhost: example.com\r\n\r\nGET /next HTTP/1.1\r\nhost: example.com\r\n",
    ] {
        let mut decoder = decoder();
        decoder.received().receive(head.as_bytes());
        assert!(!is_let_go_of(), "it landed there");
        let decoded = decoder.head().unwrap();
        assert!(is_let_go_of(), "{decoded:?}");
    }
}

#[test]
fn nothing_is_held_when_all_was_read() {
    let mut decoder = decoder();
    for _ in 0..2 {
        decoder.received().receive(b"POST / HTTP/1.1\r\ncontent-length: 2\r\n\r\nab");
        assert_eq!(read(&mut decoder, &mut String::new()), End::More);
        assert_eq!(decoder.held(), 0);
    }
    decoder.received().receive(b"GET / HTTP/1.1\r\n\r\n");
    assert!(decoder.head().unwrap().is_some());
    assert_eq!(decoder.held(), 0);
}

/// Requests of every sort, whole or not, one behind the other.
fn traffic() -> impl Strategy<Value = Vec<u8>> {
    let fine = prop::sample::select(FINE).prop_map(|text| text.as_bytes().to_vec());
    let bad = prop::sample::select(MALFORMED).prop_map(|text| text.as_bytes().to_vec());
    let ambiguous = prop::sample::select(AMBIGUOUS)
        .prop_map(|fields| format!("POST / HTTP/1.1\r\n{fields}\r\n\r\n5\r\nhello\r\n0\r\n\r\n").into_bytes());
    let torn = (prop::sample::select(FINE), any::<prop::sample::Index>())
        .prop_map(|(text, at)| text.as_bytes()[..at.index(text.len())].to_vec());
    let noise = prop::collection::vec(prop::sample::select(&b"\r\n \t:;0aF\0=\"/x"[..]), 0..12);
    let large = (900..1100_usize)
        .prop_map(|size| format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(size.saturating_sub(23))).into_bytes());
    let part = prop_oneof![6 => fine, 1 => bad, 1 => ambiguous, 1 => torn, 1 => noise, 1 => large];
    prop::collection::vec(part, 1..6).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn however_the_bytes_are_cut_the_same_is_read(bytes in traffic(), cuts in prop::collection::vec(1..40_usize, 1..60)) {
        let whole = outcome([bytes.as_slice()]);
        let mut rest = bytes.as_slice();
        let mut pieces = Vec::new();
        for cut in cuts {
            let (piece, behind) = rest.split_at(cut.min(rest.len()));
            pieces.push(piece);
            rest = behind;
        }
        pieces.push(rest);
        prop_assert_eq!(&outcome(pieces), &whole);
        prop_assert_eq!(&outcome(bytes.chunks(1)), &whole);
    }

    #[test]
    fn no_bytes_upset_it(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let whole = outcome([bytes.as_slice()]);
        prop_assert_eq!(outcome(bytes.chunks(1)), whole);
    }
}
