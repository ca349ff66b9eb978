//! HTTP/2 by hand: every frame as a test wants it, on either side of the gateway, so that anything malformed can be sent.

use std::{collections::VecDeque, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::wait::PATIENCE;

/// What a client says first (RFC 9113 section 3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Types of frames (RFC 9113 section 6).
pub(crate) mod kind {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const HEADERS: u8 = 1;
    pub(crate) const PRIORITY: u8 = 2;
    pub(crate) const RST_STREAM: u8 = 3;
    pub(crate) const SETTINGS: u8 = 4;
    pub(crate) const PUSH_PROMISE: u8 = 5;
    pub(crate) const PING: u8 = 6;
    pub(crate) const GOAWAY: u8 = 7;
    pub(crate) const WINDOW_UPDATE: u8 = 8;
    pub(crate) const CONTINUATION: u8 = 9;
}

pub(crate) const ACK: u8 = 0x1;
pub(crate) const END_STREAM: u8 = 0x1;
pub(crate) const END_HEADERS: u8 = 0x4;
pub(crate) const PADDED: u8 = 0x8;
/// A head that is a whole message.
pub(crate) const WHOLE: u8 = END_STREAM | END_HEADERS;

/// ENHANCE_YOUR_CALM (RFC 9113 section 7).
pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;

/// One frame that came.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// What became of a stream, or of the connection below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A response: its status and body.
    Answered(u16, String),
    /// RST_STREAM with this code.
    Reset(u32),
    /// GOAWAY with this code, other than NO_ERROR.
    GoneAway(u32),
    /// The connection ended without a word.
    Closed,
}

/// A frame's bytes.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("it fits").to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A head in one frame.
pub(crate) fn headers(flags: u8, stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(kind::HEADERS, flags, stream, &block(fields))
}

/// WINDOW_UPDATE.
pub(crate) fn window_update(stream: u32, increment: u32) -> Vec<u8> {
    frame(kind::WINDOW_UPDATE, 0, stream, &increment.to_be_bytes())
}

/// RST_STREAM, CANCEL.
pub(crate) fn cancel(stream: u32) -> Vec<u8> {
    frame(kind::RST_STREAM, 0, stream, &8u32.to_be_bytes())
}

/// PING.
pub(crate) fn ping() -> Vec<u8> {
    frame(kind::PING, 0, 0, b"are you?")
}

/// SETTINGS with these parameters.
pub(crate) fn settings(parameters: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> =
        parameters.iter().flat_map(|(name, value)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
    frame(kind::SETTINGS, 0, 0, &payload)
}

/// Fields as HPACK literals without indexing (RFC 7541 section 6.2.2), their bytes as they are.
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            length(&mut block, text.len());
            block.extend(text.bytes());
        }
    }
    block
}

/// A number with a prefix of seven bits (RFC 7541 section 5.1).
fn length(block: &mut Vec<u8>, number: usize) {
    let Some(mut rest) = number.checked_sub(127) else {
        return block.push(u8::try_from(number).expect("below 127"));
    };
    block.push(127);
    while rest >= 128 {
        block.push(u8::try_from(rest % 128).expect("below 128") | 128);
        rest /= 128;
    }
    block.push(u8::try_from(rest).expect("below 128"));
}

/// The status in a response's head, as h2 writes one: first, by its index or as a literal.
fn status(block: &[u8]) -> u16 {
    // Changes of the dynamic table's size come before it.
    let at = block.iter().position(|byte| byte & 0xe0 != 0x20).expect("a field");
    let indexed = [200, 204, 206, 304, 400, 404, 500];
    match block[at] {
        byte if byte & 0x80 != 0 => indexed[usize::from(byte & 0x7f).checked_sub(8).expect("a status")],
        byte => {
            assert!(matches!(byte, 0x48 | 0x08 | 0x18), "no status: {block:?}");
            let (size, huffman) = (usize::from(block[at + 1] & 0x7f), block[at + 1] & 0x80 != 0);
            let text = &block[at + 2..at + 2 + size];
            if huffman { digits(text) } else { std::str::from_utf8(text).expect("digits").parse().expect("a status") }
        }
    }
}

/// Three digits in the code of RFC 7541 appendix B: five bits for 0 to 2, six for the others.
fn digits(text: &[u8]) -> u16 {
    let mut bits = text.iter().flat_map(|byte| (0..8).rev().map(move |at| u16::from(byte >> at & 1)));
    let mut take = |count: usize| bits.by_ref().take(count).fold(0, |value, bit| value * 2 + bit);
    let mut number = 0;
    for _ in 0..3 {
        let head = take(5);
        number = number * 10 + if head < 3 { head } else { head * 2 + take(1) - 22 };
    }
    number
}

/// A connection on which the test speaks HTTP/2 itself.
pub(crate) struct FrameConnection {
    stream: TcpStream,
    unread: Vec<u8>,
    /// Frames that were read while another one was looked for.
    set_aside: VecDeque<Frame>,
    /// Whether SETTINGS and PINGs are answered as they come.
    pub(crate) answers: bool,
}

impl FrameConnection {
    /// Connects, and says what every client says first. No dynamic table, so that every head can be read by itself.
    pub(crate) async fn client(address: SocketAddr) -> Self {
        Self::client_with(address, &[(1, 0)]).await
    }

    /// The same, with other settings.
    pub(crate) async fn client_with(address: SocketAddr, parameters: &[(u16, u32)]) -> Self {
        let mut this = Self::over(TcpStream::connect(address).await.expect("a connection"));
        this.send([PREFACE, &settings(parameters)].concat()).await;
        this
    }

    /// The next connection of `listener`, on which the test is the server.
    pub(crate) async fn accept(listener: &TcpListener) -> Self {
        let accepted = timeout(PATIENCE, listener.accept()).await.expect("a connection in time");
        let mut this = Self::over(accepted.expect("a connection").0);
        let mut preface = vec![0; PREFACE.len()];
        timeout(PATIENCE, this.stream.read_exact(&mut preface)).await.expect("in time").expect("a preface");
        assert_eq!(preface, PREFACE);
        this.send(settings(&[(1, 0)])).await;
        this
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("a socket");
        Self { stream, unread: Vec::new(), set_aside: VecDeque::new(), answers: true }
    }

    /// Sends what must arrive.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        assert!(self.try_send(bytes).await, "the connection is closed");
    }

    /// Sends, unless the other side has closed or does not read for a second; says whether it did.
    pub(crate) async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        timeout(Duration::from_secs(1), self.stream.write_all(bytes.as_ref())).await.is_ok_and(|sent| sent.is_ok())
    }

    /// The next frame, SETTINGS and PINGs included; nothing at the end of the connection.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        if let Some(frame) = self.set_aside.pop_front() {
            return Some(frame);
        }
        self.receive().await
    }

    /// The next frame of this kind; those before it are set aside. Nothing at the end of the connection.
    pub(crate) async fn wait_for(&mut self, kind: u8) -> Option<Frame> {
        if let Some(at) = self.set_aside.iter().position(|frame| frame.kind == kind) {
            return self.set_aside.remove(at);
        }
        loop {
            let frame = self.receive().await?;
            if frame.kind == kind {
                return Some(frame);
            }
            self.set_aside.push_back(frame);
        }
    }

    /// What becomes of a stream: reads up to its end, or that of the connection.
    pub(crate) async fn outcome(&mut self, stream: u32) -> Outcome {
        let (mut code, mut body) = (0, Vec::new());
        let ends = |frame: &Frame| frame.flags & END_STREAM != 0;
        while let Some(frame) = self.receive().await {
            match frame.kind {
                kind::HEADERS if frame.stream == stream => {
                    if code == 0 {
                        code = status(&frame.payload);
                    }
                    if ends(&frame) {
                        return Outcome::Answered(code, String::from_utf8_lossy(&body).into_owned());
                    }
                }
                kind::DATA if frame.stream == stream => {
                    body.extend(&frame.payload);
                    if ends(&frame) {
                        return Outcome::Answered(code, String::from_utf8_lossy(&body).into_owned());
                    }
                }
                kind::RST_STREAM if frame.stream == stream => return Outcome::Reset(code_at(&frame, 0)),
                kind::GOAWAY if code_at(&frame, 4) != 0 => return Outcome::GoneAway(code_at(&frame, 4)),
                _ => {}
            }
        }
        Outcome::Closed
    }

    /// Reads to the end of the connection: the code of the last GOAWAY, if there was one.
    pub(crate) async fn goodbye(&mut self) -> Option<u32> {
        let mut code = None;
        while let Some(frame) = self.next().await {
            if frame.kind == kind::GOAWAY {
                code = Some(code_at(&frame, 4));
            }
        }
        code
    }

    /// As a server, closes in order (RFC 9113 section 6.8), and waits a moment for the other side to close.
    pub(crate) async fn leave(mut self) {
        if self.try_send(frame(kind::GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0])).await {
            // Whoever does not close has it closed.
            let _ = timeout(Duration::from_secs(1), self.goodbye()).await;
        }
    }

    async fn receive(&mut self) -> Option<Frame> {
        let head = self.take(9).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let payload = self.take(usize::try_from(length).expect("it fits")).await?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let frame = Frame { kind: head[3], flags: head[4], stream, payload };
        if self.answers && frame.flags & ACK == 0 {
            // The other side may have closed already.
            match frame.kind {
                kind::SETTINGS => drop(self.try_send(self::frame(kind::SETTINGS, ACK, 0, &[])).await),
                kind::PING => drop(self.try_send(self::frame(kind::PING, ACK, 0, &frame.payload)).await),
                _ => {}
            }
        }
        Some(frame)
    }

    async fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        let mut piece = [0; 16 * 1024];
        while self.unread.len() < count {
            let read = timeout(PATIENCE, self.stream.read(&mut piece)).await.expect("something, or the end, in time");
            match read {
                Ok(bytes) if bytes > 0 => self.unread.extend(&piece[..bytes]),
                // A reset is an end as well.
                _ => return None,
            }
        }
        let rest = self.unread.split_off(count);
        Some(std::mem::replace(&mut self.unread, rest))
    }
}

/// The number at a place in a frame.
fn code_at(frame: &Frame, at: usize) -> u32 {
    u32::from_be_bytes(frame.payload[at..at + 4].try_into().expect("four bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_however_it_was_written() {
        for (block, expected) in [
            (&[0x88][..], 200),
            (&[0x20, 0x8d], 404),
            (&[0x08, 3, b'4', b'0', b'1'], 401),
            (&[0x48, 0x82, 0x64, 0x02], 302),
            (&[0x20, 0x08, 0x83, 0b0110_1001, 0b1001_0000, 0b1111_1111], 431),
        ] {
            assert_eq!(status(block), expected, "{block:?}");
        }
    }
}
