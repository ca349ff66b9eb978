//! Responses as bytes, however they are cut.

use http::{HeaderMap, HeaderValue, Method, Request};
use http_body_util::{Empty, Full};
use proptest::prelude::*;

use super::{
    super::framing::Framing,
    Http1Error,
    body_in::{Inward, Step},
    head_in::{Head, HeadIn},
    head_out::{self, Outward},
};
use crate::{http::Response, received::Received};

/// What became of some bytes.
#[derive(Debug, Default, PartialEq)]
struct Reading {
    status: u16,
    fields: Vec<(String, Vec<u8>)>,
    framing: Option<Framing>,
    persists: bool,
    body: Vec<u8>,
    trailers: Vec<(String, Vec<u8>)>,
    is_whole: bool,
    /// What is behind the response.
    behind: Vec<u8>,
}

/// Reads a response that comes in pieces.
#[derive(Default)]
struct Reader {
    read: Received,
    head: Option<HeadIn>,
    inward: Option<Inward>,
    reading: Reading,
}

fn fields(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect()
}

impl Reader {
    fn new(is_head: bool) -> Self {
        Self { head: Some(HeadIn::new(is_head)), ..Self::default() }
    }

    fn hear(&mut self, piece: &[u8]) -> Result<(), Http1Error> {
        self.read.receive(piece);
        if let Some(head) = &mut self.head {
            let Some(Head { response, framing, persists }) = head.take(&mut self.read)? else {
                return Ok(());
            };
            let Response { head, body } = response;
            self.reading = Reading {
                status: head.status.as_u16(),
                fields: head.fields.iter().map(|(name, value)| (name.to_string(), value.to_vec())).collect(),
                framing: Some(framing),
                persists,
                ..Reading::default()
            };
            (self.head, self.inward) = (None, Some(body));
        }
        let inward = self.inward.as_mut().unwrap();
        loop {
            match inward.next(&mut self.read)? {
                Step::More => break,
                Step::End => {
                    self.reading.is_whole = true;
                    break;
                }
                Step::Frame(frame) => match frame.into_data() {
                    Ok(data) => self.reading.body.extend_from_slice(&data),
                    Err(frame) => self.reading.trailers = fields(&frame.into_trailers().unwrap()),
                },
            }
        }
        self.reading.is_whole = inward.is_ended();
        Ok(())
    }

    fn close(mut self) -> Result<Reading, Http1Error> {
        self.inward.as_mut().ok_or(Http1Error::Closed)?.close()?;
        self.end()
    }

    fn end(mut self) -> Result<Reading, Http1Error> {
        self.inward.ok_or(Http1Error::Closed)?;
        self.reading.behind = self.read.to_vec();
        Ok(self.reading)
    }
}

fn read_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, is_head: bool) -> Result<Reading, Http1Error> {
    let mut reader = Reader::new(is_head);
    for piece in pieces {
        reader.hear(piece)?;
    }
    reader.end()
}

fn read(bytes: &str) -> Result<Reading, Http1Error> {
    read_pieces([bytes.as_bytes()], false)
}

/// Reads it whole, cut once at every place, and byte by byte: always alike.
fn read_cut(bytes: &str) -> Result<Reading, String> {
    let whole = read(bytes).map_err(|error| error.to_string());
    let bytes = bytes.as_bytes();
    for cut in 0..=bytes.len() {
        let (first, second) = bytes.split_at(cut);
        let halves = read_pieces([first, second], false).map_err(|error| error.to_string());
        assert_eq!(halves, whole, "{:?} cut at {cut}", String::from_utf8_lossy(bytes));
    }
    let by_byte = read_pieces(bytes.chunks(1), false).map_err(|error| error.to_string());
    assert_eq!(by_byte, whole, "{:?} byte by byte", String::from_utf8_lossy(bytes));
    whole
}

#[test]
fn a_response_ends_where_its_head_says() {
    for (answer, body, behind, persists, framing) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhelloHTTP", "hello", "HTTP", true, Framing::Clear),
        ("HTTP/1.1 200 OK\r\nContent-Length:5\r\n\r\nhello", "hello", "", true, Framing::Clear),
        ("HTTP/1.1 200 OK\ncontent-length: 5\n\nhello", "hello", "", true, Framing::Clear),
        ("HTTP/1.1 200 \r\ncontent-length: 0\r\n\r\nX", "", "X", true, Framing::Clear),
        ("HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n", "", "", true, Framing::Clear),
        ("HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\nhello", "", "hello", true, Framing::Clear),
        ("HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\nX", "", "X", true, Framing::Clear),
        ("HTTP/1.1 200 OK\r\nconnection: a, Close\r\ncontent-length: 1\r\n\r\nh", "h", "", false, Framing::Clear),
        (
            "HTTP/1.1 200 OK\r\nconnection: close\r\nconnection: keep-alive\r\ncontent-length: 1\r\n\r\nh",
            "h",
            "",
            false,
            Framing::Clear,
        ),
        ("HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\nh", "h", "", false, Framing::Clear),
        ("HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 1\r\n\r\nh", "h", "", false, Framing::Clear),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nlink: a\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nh",
            "h",
            "",
            true,
            Framing::Clear,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n00a;x=\"\\\"y\"\r\n0123456789\r\n0\r\n\r\nX",
            "hello0123456789",
            "X",
            true,
            Framing::Clear,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 9\r\n\r\n1  \r\nh\r\n0\r\n\r\n",
            "h",
            "",
            true,
            Framing::Twice,
        ),
    ] {
        let reading = read_cut(answer).unwrap_or_else(|error| panic!("{answer:?}: {error}"));
        let read = (&*String::from_utf8_lossy(&reading.body), &*String::from_utf8_lossy(&reading.behind));
        assert_eq!(read, (body, behind), "{answer:?}");
        assert_eq!((reading.persists, reading.framing), (persists, Some(framing)), "{answer:?}");
        assert!(reading.is_whole, "{answer:?}");
    }
}

#[test]
fn a_response_to_head_has_no_body() {
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
    let reading = read_pieces([&answer[..]], true).unwrap();
    assert_eq!((reading.body, reading.behind, reading.is_whole), (Vec::new(), b"hello".to_vec(), true));
}

#[test]
fn without_a_length_the_connection_is_the_end() {
    for answer in ["HTTP/1.1 200 OK\r\n\r\nhello", "HTTP/1.0 200 OK\r\nx: y\r\n\r\nhello"] {
        let mut reader = Reader::new(false);
        reader.hear(answer.as_bytes()).unwrap();
        assert!(!reader.reading.is_whole && !reader.reading.persists);
        assert_eq!(reader.close().unwrap().body, b"hello");
    }
    for cut_off in [
        "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx: y\r\n",
    ] {
        let mut reader = Reader::new(false);
        reader.hear(cut_off.as_bytes()).unwrap();
        assert!(matches!(reader.close(), Err(Http1Error::Incomplete)), "{cut_off:?}");
    }
    let mut reader = Reader::new(false);
    reader.hear(b"HTTP/1.1 200 OK\r\n").unwrap();
    assert!(matches!(reader.close(), Err(Http1Error::Closed)));
}

#[test]
fn trailers_are_read() {
    let answer =
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nh\r\n0\r\nX-Sum: 7\r\nx-sum:\t8 \r\ny:\r\n\r\nX";
    let reading = read_cut(answer).unwrap();
    let field = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
    assert_eq!(reading.trailers, [field("x-sum", "7"), field("x-sum", "8"), field("y", "")]);
    assert_eq!((reading.is_whole, reading.behind), (true, b"X".to_vec()));
}

#[test]
fn heads_that_are_none_are_refused() {
    let ok = |fields: &str| format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\nhello");
    for answer in [
        "SSH-2.0-OpenSSH\r\n\r\n".to_owned(),
        "HTTP/2.0 200 OK\r\n\r\n".to_owned(),
        "HTTP/1.2 200 OK\r\n\r\n".to_owned(),
        "http/1.1 200 OK\r\n\r\n".to_owned(),
        "HTTP/1.1  200 OK\r\n\r\n".to_owned(),
        "HTTP/1.1 20 OK\r\n\r\n".to_owned(),
        "HTTP/1.1 2000 OK\r\n\r\n".to_owned(),
        "HTTP/1.1 000 OK\r\n\r\n".to_owned(),
        "HTTP/1.1 099 OK\r\n\r\n".to_owned(),
        ok("x: a\r\n b"),
        ok("x : a"),
        ok(" x: a"),
        ok(": a"),
        ok("x"),
        ok("x: a\0b"),
        ok("x: a\rb"),
        ok("x y: a"),
        ok("content-length: +5"),
        ok("content-length: -5"),
        ok("content-length: 0x5"),
        ok("content-length: 5 5"),
        ok("content-length:"),
        ok("content-length: 9223372036854775808"),
        ok("content-length: 00000000000000000005"),
        ok(&"x: y\r\n".repeat(101)),
        ok(&format!("x: {}", "y".repeat(65 * 1024))),
        format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(65 * 1024)),
        "x".repeat(65 * 1024),
    ] {
        let what: String = answer.chars().take(80).collect();
        let error = match read(&answer) {
            Err(error) => error,
            Ok(reading) => panic!("{what:?}: {reading:?}"),
        };
        assert!(error.is_protocol(), "{what:?}: {error}");
        if answer.len() < 1000 {
            assert!(read_cut(&answer).is_err(), "{what:?}");
        }
    }
    assert_eq!(read(&ok(&"x: y\r\n".repeat(98))).unwrap().fields.len(), 98);
}

#[test]
fn what_is_framed_in_no_one_way_is_said_to_be_so() {
    for (fields, framing) in [
        ("content-length: 5\r\ncontent-length: 5", Framing::Repeated),
        ("content-length: 5\r\ncontent-length: 6", Framing::Repeated),
        ("content-length: 5, 5", Framing::Repeated),
        ("transfer-encoding: gzip, chunked", Framing::Coded),
        ("transfer-encoding: gzip", Framing::Coded),
        ("transfer-encoding: chunked\r\ntransfer-encoding: chunked", Framing::Coded),
        ("transfer-encoding:", Framing::Coded),
    ] {
        let reading = read(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n")).unwrap();
        assert_eq!(reading.framing, Some(framing), "{fields}");
    }
    let coded = read("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").unwrap();
    assert_eq!(coded.framing, Some(Framing::Coded));
}

#[test]
fn chunks_that_are_none_are_refused() {
    for chunks in [
        "\r\n",
        ";a\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "-1\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello!\r\n0\r\n\r\n",
        "5\rx\r\nhello\r\n0\r\n\r\n",
        "5 5\r\nhello\r\n0\r\n\r\n",
        "5;a\rb\r\nhello\r\n0\r\n\r\n",
        "5;a\0\r\nhello\r\n0\r\n\r\n",
        "5,a\r\nhello\r\n0\r\n\r\n",
        "8000000000000000\r\n",
        "fffffffffffffffff\r\n",
        "00000000000000005\r\nhello\r\n0\r\n\r\n",
        "0\r\nx\r\n\r\n",
        "0\r\n: y\r\n\r\n",
        "0\r\n x: y\r\n\r\n",
        "0\r\nx : y\r\n\r\n",
        "0\r\nx: y\n\r\n\r\n",
        "0\r\nx: y\r\n z\r\n\r\n",
        "0\r\nx: a\0\r\n\r\n",
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunks}");
        assert!(read_cut(&answer).is_err(), "{chunks:?}: {:?}", read(&answer));
    }
}

#[test]
fn what_is_around_chunks_is_bounded() {
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    for endless in [
        format!("1;{}", "a".repeat(17 * 1024)),
        format!("1;{}\r\nh\r\n", "a".repeat(1000)).repeat(20),
        format!("0\r\nx: {}", "a".repeat(17 * 1024)),
        format!("0\r\n{}\r\n", "x: y\r\n".repeat(101)),
    ] {
        assert!(read(&format!("{head}{endless}")).is_err(), "{} bytes", endless.len());
    }
}

#[test]
fn heads_are_written_and_agree_with_their_bodies() {
    let empty = |method: Method| Request::builder().method(method).uri("/a?b");
    let mut buffer = Vec::new();
    let get = empty(Method::GET).header("host", "a").header("x", "1").body(Empty::<&[u8]>::new()).unwrap();
    let written = head_out::write(&mut get.into(), &mut buffer);
    assert_eq!((written.framing, written.closes), (Outward::Nothing, false));
    assert_eq!(String::from_utf8_lossy(&buffer), "GET /a?b HTTP/1.1\r\nhost: a\r\nx: 1\r\n\r\n");
    for (fields, framing, expected) in [
        (&[][..], Outward::Length(3), "content-length: 3\r\n"),
        (&[("content-length", "3")], Outward::Length(3), "content-length: 3\r\n"),
        (&[("content-length", "x")], Outward::Length(3), "content-length: 3\r\n"),
        (
            &[("content-length", "3"), ("transfer-encoding", "gzip")],
            Outward::Chunked(Vec::new()),
            "transfer-encoding: chunked\r\n",
        ),
    ] {
        let mut request = empty(Method::POST).body(Full::new(&b"abc"[..])).unwrap();
        for (name, value) in fields {
            request.headers_mut().insert(*name, HeaderValue::from_static(value));
        }
        let mut buffer = Vec::new();
        assert_eq!(head_out::write(&mut request.into(), &mut buffer).framing, framing, "{fields:?}");
        assert_eq!(String::from_utf8_lossy(&buffer), format!("POST /a?b HTTP/1.1\r\n{expected}\r\n"), "{fields:?}");
    }
    let closing = empty(Method::GET).header("connection", "x, close").body(Empty::<&[u8]>::new()).unwrap();
    assert!(head_out::write(&mut closing.into(), &mut Vec::new()).closes);
}

/// How the body of a made-up response is framed.
#[derive(Clone, Debug)]
enum Made {
    Length(Vec<u8>),
    Chunks(Vec<Vec<u8>>, Vec<(String, String)>),
}

fn made() -> impl Strategy<Value = Made> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..40);
    let field = ("[a-z][a-z-]{0,8}", "[!-~]([ -~]{0,8}[!-~])?");
    prop_oneof![
        bytes().prop_map(Made::Length),
        (prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..5), prop::collection::vec(field, 0..3))
            .prop_map(|(chunks, trailers)| Made::Chunks(chunks, trailers)),
    ]
}

proptest! {
    #[test]
    fn an_answer_is_read_alike_however_it_is_cut(
        made in made(),
        fields in prop::collection::vec(("x-[a-z]{1,8}", "[!-~]([ -~]{0,20}[!-~])?"), 0..6),
        interims in 0usize..3,
        behind in prop::collection::vec(any::<u8>(), 0..10),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut answer = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(interims);
        answer.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        for (name, value) in &fields {
            answer.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        let (body, trailers) = match &made {
            Made::Length(body) => {
                answer.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
                answer.extend_from_slice(body);
                (body.clone(), Vec::new())
            }
            Made::Chunks(chunks, trailers) => {
                answer.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
                for chunk in chunks {
                    answer.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                    answer.extend_from_slice(chunk);
                    answer.extend_from_slice(b"\r\n");
                }
                answer.extend_from_slice(b"0\r\n");
                for (name, value) in trailers {
                    answer.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
                }
                answer.extend_from_slice(b"\r\n");
                (chunks.concat(), trailers.clone())
            }
        };
        answer.extend_from_slice(&behind);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(answer.len() + 1)).collect();
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut from = 0;
        for cut in cuts.into_iter().chain([answer.len()]) {
            pieces.push(&answer[from..cut]);
            from = cut;
        }
        let reading = read_pieces(pieces, false).unwrap();
        prop_assert_eq!(reading.body, body);
        prop_assert_eq!(reading.trailers.len(), trailers.len());
        for (name, value) in trailers {
            prop_assert!(reading.trailers.contains(&(name, value.into_bytes())));
        }
        prop_assert_eq!(reading.fields.len(), fields.len() + 1);
        prop_assert_eq!((reading.behind, reading.is_whole), (behind, true));
    }

    #[test]
    fn what_is_read_of_any_bytes_does_not_depend_on_how_they_are_cut(
        bytes in "(HTTP/1.1 200 OK\r\n)?(transfer-encoding: chunked|content-length: [0-9]{1,2}|x: y)?(\r\n){0,2}[0-9a-f;\r\nx: ]{0,60}",
        cut in any::<prop::sample::Index>(),
    ) {
        let whole = read_pieces([bytes.as_bytes()], false);
        let (first, second) = bytes.as_bytes().split_at(cut.index(bytes.len() + 1));
        let cut = read_pieces([first, second], false);
        match (whole, cut) {
            (Ok(whole), Ok(cut)) => prop_assert_eq!(whole, cut),
            // Of what is broken, more may have been said before it was seen.
            (Err(_), Err(_)) => {}
            (whole, cut) => prop_assert!(false, "{whole:?} and {cut:?}"),
        }
    }
}
