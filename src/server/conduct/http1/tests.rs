//! The guard: what passes, what does not, and that it makes no difference how the bytes come.

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex},
    task::Waker,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};

use super::*;

const HEADER_BYTES: usize = 1024;
const HEADERS: usize = 8;

fn new_guard() -> Guard {
    Guard::new(HEADER_BYTES, HEADERS)
}

/// Pieces of a stream; before each it is waited once.
#[derive(Default)]
struct Pieces {
    left: VecDeque<Vec<u8>>,
    waited: bool,
    /// Whether more may come, though nothing does.
    open: bool,
}

impl Pieces {
    fn of<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self {
            left: pieces.into_iter().filter(|piece| !piece.is_empty()).map(<[u8]>::to_vec).collect(),
            ..Self::default()
        }
    }
}

impl Source for Pieces {
    fn poll_read(&mut self, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Some(piece) = self.left.front_mut() else {
            return if self.open { Poll::Pending } else { Poll::Ready(Ok(())) };
        };
        if !std::mem::replace(&mut self.waited, true) {
            return Poll::Pending;
        }
        let rest = piece.split_off(piece.len().min(buffer.remaining()));
        buffer.put_slice(piece);
        *piece = rest;
        if piece.is_empty() {
            self.left.pop_front();
            self.waited = false;
        }
        Poll::Ready(Ok(()))
    }
}

/// What was let through, and how that ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Eof,
    Aside(u32, RequestFault),
    Broken,
    AfterAnswer,
}

fn read_all(guard: &mut Guard, conversation: &Conversation, pieces: &mut Pieces) -> (Vec<u8>, End) {
    let mut context = Context::from_waker(Waker::noop());
    let mut passed = Vec::new();
    loop {
        let mut storage = [0; 700];
        let mut buffer = ReadBuf::new(&mut storage);
        let left = pieces.left.len();
        let was_waiting = pieces.waited;
        let end = match guard.poll_read(pieces, conversation, &mut context, &mut buffer) {
            Poll::Ready(Ok(())) if !buffer.filled().is_empty() => None,
            Poll::Ready(Ok(())) => Some(End::Eof),
            Poll::Ready(Err(error)) => {
                assert_eq!(error.kind(), io::ErrorKind::InvalidData);
                Some(End::Broken)
            }
            Poll::Pending => match guard.follower.place() {
                Place::Aside(fault) => Some(End::Aside(guard.follower.number(), *fault)),
                Place::AfterAnswer if pieces.left.is_empty() => Some(End::AfterAnswer),
                _ => {
                    assert!(pieces.left.len() < left || was_waiting != pieces.waited, "it waits for nothing");
                    None
                }
            },
        };
        passed.extend_from_slice(buffer.filled());
        if let Some(end) = end {
            return (passed, end);
        }
    }
}

/// What passes of `bytes` if they come like that; the placeholder is taken off.
fn passed<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, End) {
    let conversation = Conversation::default();
    let (mut passed, end) = read_all(&mut new_guard(), &conversation, &mut Pieces::of(pieces));
    if let End::Aside(number, fault) = end {
        assert!(passed.ends_with(PLACEHOLDER));
        passed.truncate(passed.len() - PLACEHOLDER.len());
        assert_eq!(conversation.fault_of(number), Some(fault));
        assert_eq!(conversation.fault_of(number + 1), None);
    }
    (passed, end)
}

fn verdict(head: &str) -> End {
    let smuggled = format!("{head}GET /smuggled HTTP/1.1\r\n\r\n");
    let (passed, end) = passed([smuggled.as_bytes()]);
    let passed = String::from_utf8_lossy(&passed);
    if end == End::Eof {
        assert_eq!(passed, smuggled);
    } else {
        assert!(!passed.contains("smuggled"), "{passed}");
    }
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
fn what_is_in_order_passes_as_it_is() {
    for head in FINE {
        assert_eq!(verdict(head), End::Eof, "{head:?}");
    }
}

#[test]
fn what_could_be_read_otherwise_is_put_aside() {
    for head in MALFORMED {
        assert_eq!(verdict(head), End::Aside(1, RequestFault::Malformed), "{head:?}");
    }
    for fields in AMBIGUOUS {
        let head = format!("POST / HTTP/1.1\r\nhost: a\r\n{fields}\r\n\r\n0\r\n\r\n");
        assert_eq!(verdict(&head), End::Aside(1, RequestFault::FramingAmbiguous), "{fields:?}");
    }
    let old = "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(verdict(old), End::Aside(1, RequestFault::FramingAmbiguous));
    let coded = "POST / HTTP/1.1\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(verdict(coded), End::Aside(1, RequestFault::TransferCoding));
    for long in ["x: y\r\n".repeat(7), format!("x: {}\r\n", "y".repeat(HEADER_BYTES - 27))] {
        assert_eq!(verdict(&format!("GET / HTTP/1.1\r\nx:\r\n{long}\r\n")), End::Eof);
    }
    let crowded = format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(HEADERS + 1));
    assert_eq!(verdict(&crowded), End::Aside(1, RequestFault::TooManyFields));
    for end in ["", "\r\n\r\n"] {
        let large = format!("GET / HTTP/1.1\r\nx: {}{end}", "y".repeat(HEADER_BYTES));
        assert_eq!(verdict(&large), End::Aside(1, RequestFault::HeadTooLarge));
    }
}

#[test]
fn a_fault_has_the_number_of_its_request_and_what_comes_before_it_passes() {
    let before = "GET /1 HTTP/1.1\r\n\r\nPOST /2 HTTP/1.1\r\ncontent-length: 2\r\n\r\n\n\n";
    let (bytes, end) = passed([before.as_bytes(), b"GET /3 HTTP/1.1\n\n", b"GET /4 HTTP/1.1\r\n\r\n"]);
    assert_eq!((String::from_utf8_lossy(&bytes).as_ref(), end), (before, End::Aside(3, RequestFault::Malformed)));
}

#[test]
fn a_body_that_breaks_is_an_error_and_what_came_before_it_passes() {
    let good = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n";
    let (bytes, end) = passed([format!("{good}zz\r\nGET / HTTP/1.1\r\n\r\n").as_bytes()]);
    assert_eq!((String::from_utf8_lossy(&bytes).as_ref(), end), (good, End::Broken));
}

#[test]
fn a_head_that_comes_whole_is_not_held() {
    let mut guard = new_guard();
    let head = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n".as_slice();
    // In two pieces, with a pause between them.
    let mut pieces = Pieces::of([&head[..10], &head[10..]]);
    let mut storage = [0; 100];
    let mut buffer = ReadBuf::new(&mut storage);
    let mut context = Context::from_waker(Waker::noop());
    pieces.waited = true;
    assert!(guard.poll_read(&mut pieces, &Conversation::default(), &mut context, &mut buffer).is_pending());
    assert!(guard.held.capacity() > 0 && buffer.filled().is_empty());
    assert!(guard.poll_read(&mut pieces, &Conversation::default(), &mut context, &mut buffer).is_ready());
    assert_eq!((buffer.filled(), guard.held.capacity()), (head, 0));
    buffer.clear();
    let mut pieces = Pieces::of([head]);
    pieces.waited = true;
    assert!(guard.poll_read(&mut pieces, &Conversation::default(), &mut context, &mut buffer).is_ready());
    assert_eq!((buffer.filled(), guard.held.capacity()), (head, 0));
}

#[test]
fn what_follows_a_wish_to_switch_waits_for_the_answer() {
    for wish in ["GET / HTTP/1.1\r\nUpgrade: rope\r\n\r\n", "CONNECT a:1 HTTP/1.1\r\n\r\n"] {
        for (switched, behind, passes, end) in [
            (true, "\0 no HTTP", true, End::Eof),
            (false, "GET / HTTP/1.1\r\n\r\n", true, End::Eof),
            (false, "\0 no HTTP", false, End::Aside(2, RequestFault::Malformed)),
        ] {
            let (mut guard, conversation) = (new_guard(), Conversation::default());
            let mut pieces = Pieces::of([wish.as_bytes(), behind.as_bytes()]);
            pieces.open = true;
            let first = read_all(&mut guard, &conversation, &mut pieces);
            assert_eq!((String::from_utf8_lossy(&first.0).as_ref(), first.1), (wish, End::AfterAnswer));
            // The answer to another request is none to this one.
            conversation.answered(0, true);
            assert_eq!(guard.held, behind.as_bytes());
            conversation.answered(1, switched);
            pieces.open = false;
            let (bytes, ended) = read_all(&mut guard, &conversation, &mut pieces);
            let expected = if passes { behind.as_bytes() } else { PLACEHOLDER };
            assert_eq!((bytes.as_slice(), ended), (expected, end), "{wish:?} {behind:?}");
        }
    }
}

#[test]
fn what_waits_for_an_answer_is_bounded() {
    let (mut guard, conversation) = (new_guard(), Conversation::default());
    let flood = vec![b'x'; 4 * MOST_HELD];
    let mut pieces = Pieces::of([b"GET / HTTP/1.1\r\nupgrade: x\r\n\r\n", &flood[..]]);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..1000 {
        let mut storage = [0; 700];
        let _ = guard.poll_read(&mut pieces, &conversation, &mut context, &mut ReadBuf::new(&mut storage));
    }
    assert!(guard.held.len() < MOST_HELD + 700 && !pieces.left.is_empty());
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

/// The stream with its guard before it, as hyper gets it.
struct Guarded {
    stream: DuplexStream,
    guard: Guard,
    conversation: Arc<Conversation>,
}

impl Source for DuplexStream {
    fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        AsyncRead::poll_read(Pin::new(self), context, buffer)
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, guard, conversation } = &mut *self;
        guard.poll_read(stream, conversation, context, buffer)
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// How many requests hyper finds in `bytes`, how many answers it gives, and whether all of them were the service's.
async fn requests_found(bytes: &[u8]) -> (usize, usize, bool) {
    let (mut near, far) = tokio::io::duplex(64 * 1024);
    near.write_all(bytes).await.unwrap();
    let seen = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&seen);
    let service = service_fn(move |request: Request<Incoming>| {
        *counted.lock().unwrap() += 1;
        async move {
            let whole = request.into_body().collect().await.is_ok();
            let status = if whole { 299 } else { 499 };
            Ok::<_, Infallible>(Response::builder().status(status).body(Empty::<Bytes>::new()).unwrap())
        }
    });
    let stream = Guarded { stream: far, guard: new_guard(), conversation: Arc::default() };
    let mut builder = http1::Builder::new();
    builder.header_read_timeout(None).max_header_size(HEADER_BYTES).max_headers(HEADERS).half_close(true);
    let served = async { drop(builder.serve_connection(TokioIo::new(stream), service).await) };
    let read = async {
        near.shutdown().await.unwrap();
        let mut answers = String::new();
        near.read_to_string(&mut answers).await.unwrap();
        answers
    };
    let ((), answers) = tokio::join!(served, read);
    let answered = answers.matches("HTTP/1.").count();
    let ours = answers.matches(" 299").count() + answers.matches(" 499").count();
    let seen = *seen.lock().unwrap();
    (seen, answered, ours == answered)
}

proptest! {
    #[test]
    fn however_the_bytes_are_cut_the_same_passes(bytes in traffic(), cuts in prop::collection::vec(1..40_usize, 1..60)) {
        let whole = passed([bytes.as_slice()]);
        let mut rest = bytes.as_slice();
        let mut pieces = Vec::new();
        for cut in cuts {
            let (piece, behind) = rest.split_at(cut.min(rest.len()));
            pieces.push(piece);
            rest = behind;
        }
        pieces.push(rest);
        prop_assert_eq!(&passed(pieces), &whole);
        prop_assert_eq!(&passed(bytes.chunks(1)), &whole);
        prop_assert!(bytes.starts_with(&whole.0));
    }

    #[test]
    fn no_bytes_upset_it(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let whole = passed([bytes.as_slice()]);
        prop_assert_eq!(passed(bytes.chunks(1)), whole);
    }

    #[test]
    fn hyper_finds_as_many_requests_as_passed_and_refuses_none(bytes in traffic()) {
        let conversation = Conversation::default();
        let mut guard = new_guard();
        let (_, end) = read_all(&mut guard, &conversation, &mut Pieces::of([bytes.as_slice()]));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (seen, answered, ours) = runtime.block_on(requests_found(&bytes));
        let number = usize::try_from(guard.follower.number()).unwrap();
        // Behind an HTTP/1.0 request hyper looks at nothing.
        let may_end_early = bytes.windows(8).any(|window| window == b"HTTP/1.0");
        prop_assert!(seen == number || (may_end_early && seen < number), "{seen} of {number}, {end:?}");
        prop_assert!(ours, "hyper refused what had passed");
        prop_assert!(answered <= seen);
    }
}
