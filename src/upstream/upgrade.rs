//! Owns: connections that have become something else than HTTP (RFC 9110 section 7.8): what was asked for, and joining the two
//! sides.
//! Refuses: a protocol that was not asked for. The only one that is ever asked for is WebSocket (RFC 6455).
//! Always holds: a joined pair counts as a request under way, and its socket as a connection, until the end.

use std::{
    cell::{Cell, RefCell},
    error::Error,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, header::UPGRADE};
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf, copy, copy_bidirectional_with_sizes, sink},
    pin, select,
    time::{Instant, sleep_until, timeout},
};

use super::{endpoint::UnderWay, stream::Stream, websocket_frames::WebSocketFrames};
use crate::{
    http::{FieldLines as _, Fields},
    read_ahead::ReadAhead,
};

/// What is kept of each direction while the other side is slow, in bytes.
const BUFFER_BYTES: usize = 16 * 1024;

/// A frame that closes with the status 1008, which is that of a policy, and a reason (RFC 6455 section 5.5.1 and 7.4.1).
const POLICY_CLOSE: &[u8] = b"\x88\x16\x03\xF0The token has ended.";
/// How long downstream may take to see it.
const FAREWELL: Duration = Duration::from_secs(1);

/// The upstream's side of an upgrade that it agreed to.
pub struct UpstreamUpgrade {
    stream: ReadAhead<Stream>,
    under_way: UnderWay,
}

/// What passed between two joined sides, and how it ended.
#[derive(Debug)]
pub struct Joined {
    /// Bytes written to the upstream.
    pub bytes_to_upstream: u64,
    /// Bytes written to the downstream.
    pub bytes_to_downstream: u64,
    /// How it ended.
    pub end: JoinEnd,
}

/// How a joined pair ended.
#[derive(Debug, Error)]
pub enum JoinEnd {
    /// Both sides said that they were done.
    #[error("both sides closed it")]
    Closed,
    /// Nothing moved in either direction for the idle timeout.
    #[error("nothing moved for too long")]
    Idle,
    /// It was cut from outside.
    #[error("it was cut")]
    Cut,
    /// The connection of one side broke.
    #[error("one side broke off")]
    Broken(#[source] io::Error),
    /// One side never became an upgraded connection.
    #[error("the upgrade was not completed")]
    NotUpgraded(#[source] Box<dyn Error + Send + Sync>),
}

/// Counts what is written through it and notes when anything last moved.
struct Watched<'a, S> {
    io: S,
    written: &'a Cell<u64>,
    last_moved: &'a Cell<Instant>,
    frames: Option<&'a RefCell<WebSocketFrames>>,
}

impl UpstreamUpgrade {
    pub(super) const fn new(stream: Stream, ahead: Bytes, under_way: UnderWay) -> Self {
        Self { stream: ReadAhead::new(stream, ahead), under_way }
    }
}

impl std::fmt::Debug for UpstreamUpgrade {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("UpstreamUpgrade").field("under_way", &self.under_way).finish_non_exhaustive()
    }
}

/// Joins the two sides of an upgrade: copies both ways, with backpressure and half-close, until both are done, one breaks, or
/// nothing has moved for `idle_timeout`, or `cut` is over: then downstream is told by a closing frame, if there is room for one between
/// two others. Dropping the future closes both.
///
/// `downstream` is had from the request before the response is sent; this future is to run while it is.
pub async fn join<D, E>(
    downstream: impl Future<Output = Result<D, E>>,
    upstream: UpstreamUpgrade,
    idle_timeout: Duration,
    cut: impl Future<Output = ()>,
) -> Joined
where
    D: AsyncRead + AsyncWrite + Unpin,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let UpstreamUpgrade { stream, under_way: _under_way } = upstream;
    let ended = |end| Joined { bytes_to_upstream: 0, bytes_to_downstream: 0, end };
    let downstream = match timeout(idle_timeout, downstream).await {
        Ok(Ok(downstream)) => downstream,
        Ok(Err(error)) => return ended(JoinEnd::NotUpgraded(error.into())),
        Err(_elapsed) => return ended(JoinEnd::Idle),
    };
    let (to_upstream, to_downstream) = (Cell::new(0), Cell::new(0));
    let last_moved = Cell::new(Instant::now());
    let frames = RefCell::new(WebSocketFrames::default());
    let mut downstream =
        Watched { io: downstream, written: &to_downstream, last_moved: &last_moved, frames: Some(&frames) };
    let mut upstream = Watched { io: stream, written: &to_upstream, last_moved: &last_moved, frames: None };
    let end = {
        let copy = copy_bidirectional_with_sizes(&mut downstream, &mut upstream, BUFFER_BYTES, BUFFER_BYTES);
        let timer = sleep_until(last_moved.get() + idle_timeout);
        pin!(copy, timer, cut);
        loop {
            select! {
                biased;
                () = &mut cut => break JoinEnd::Cut,
                copied = &mut copy => break copied.map_or_else(JoinEnd::Broken, |_| JoinEnd::Closed),
                () = &mut timer => {
                    let idle_at = last_moved.get() + idle_timeout;
                    if Instant::now() >= idle_at {
                        break JoinEnd::Idle;
                    }
                    timer.as_mut().reset(idle_at);
                }
            }
        }
    };
    drop(upstream);
    if matches!(end, JoinEnd::Cut) && frames.borrow().may_be_closed() {
        // It may have gone already.
        let _ = timeout(FAREWELL, say_farewell(&mut downstream)).await;
    }
    Joined { bytes_to_upstream: to_upstream.get(), bytes_to_downstream: to_downstream.get(), end }
}

/// Closes in order, and reads away what still comes: to close a socket with something unread would be to reset it, and with it what was
/// said last.
async fn say_farewell<S: AsyncRead + AsyncWrite + Unpin>(downstream: &mut Watched<'_, S>) -> io::Result<()> {
    downstream.write_all(POLICY_CLOSE).await?;
    downstream.shutdown().await?;
    copy(downstream, &mut sink()).await.map(|_| ())
}

/// The protocols that a request asks to switch to. Nothing, and no allocation, for nearly all requests.
pub(super) fn asked_protocols(fields: &Fields) -> Vec<HeaderValue> {
    fields.lines(&UPGRADE).filter_map(|value| HeaderValue::from_bytes(value).ok()).collect()
}

/// Whether the protocol that a response switched to is one of those asked for.
pub(super) fn is_asked(asked: &[HeaderValue], response: &Fields) -> bool {
    let Some(switched_to) = response.first(&UPGRADE).map(<[u8]>::trim_ascii) else { return false };
    let mut offers = asked.iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    !switched_to.is_empty() && offers.any(|offer| offer.trim_ascii().eq_ignore_ascii_case(switched_to))
}

impl<S> Watched<'_, S> {
    fn moved(&self) {
        self.last_moved.set(Instant::now());
    }

    fn wrote(&self, bytes: usize) {
        self.moved();
        self.written.set(self.written.get().saturating_add(bytes as u64));
    }

    fn note_frames(&self, bytes: &[u8]) {
        if let Some(frames) = self.frames {
            frames.borrow_mut().passed(bytes);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<'_, S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let read = ready!(Pin::new(&mut this.io).poll_read(cx, buffer));
        this.moved();
        Poll::Ready(read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<'_, S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.io).poll_write(cx, bytes))?;
        this.wrote(written);
        this.note_frames(bytes.get(..written).unwrap_or_default());
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.io).poll_write_vectored(cx, slices))?;
        this.wrote(written);
        let mut left = written;
        for slice in slices {
            let piece = slice.get(..left.min(slice.len())).unwrap_or_default();
            this.note_frames(piece);
            left = left.saturating_sub(piece.len());
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
