//! Owns: watching over a body on its way through: how much, how fast, and how it ended.
//! Refuses: more bytes than allowed, longer pauses than allowed, and going on after the whole exchange's deadline.
//! Always holds: the end is told exactly once, also if the body is dropped half-way. A body that never makes anybody wait
//! costs no timer.

mod end;
mod limits;

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

pub use self::{
    end::{BodyEnd, BodyOutcome, OnBodyEnd},
    limits::{BodyError, BodyLimits},
};

pin_project! {
    /// A body that is counted and bounded. Trailers, size hint and end of stream pass through unchanged.
    ///
    /// Time is only measured while the reader asks and the sender has nothing: a reader that does not ask is the
    /// connection's concern.
    pub struct MeteredBody<B, E = Box<dyn FnOnce(BodyEnd)>>
    where
        B: Body,
        E: OnBodyEnd,
    {
        #[pin]
        body: B,
        limits: BodyLimits,
        bytes: u64,
        // Armed when the body first makes us wait, then reused.
        // Boxed, so that a body that never waits is small, and can be moved.
        timer: Option<Pin<Box<Sleep>>>,
        waiting: bool,
        on_end: Option<E>,
    }

    impl<B, E> PinnedDrop for MeteredBody<B, E>
    where
        B: Body,
        E: OnBodyEnd,
    {
        fn drop(this: Pin<&mut Self>) {
            // Whoever knows from the length or the end of the stream that all is there need not ask once more.
            let complete = this.body.is_end_stream() || this.body.size_hint().exact() == Some(0);
            this.end(if complete { BodyOutcome::Complete } else { BodyOutcome::Aborted });
        }
    }
}

impl<B: Body, E: OnBodyEnd> MeteredBody<B, E> {
    /// Watches over `body`; `on_end` is called when it has ended, in whichever way.
    pub const fn new(body: B, limits: BodyLimits, on_end: E) -> Self {
        Self { body, limits, bytes: 0, timer: None, waiting: false, on_end: Some(on_end) }
    }

    /// How many bytes of data have passed so far; trailers are not counted.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    fn end(self: Pin<&mut Self>, outcome: BodyOutcome) {
        let this = self.project();
        if let Some(on_end) = this.on_end.take() {
            on_end.body_ended(BodyEnd { bytes: *this.bytes, outcome });
        }
    }

    fn fail(self: Pin<&mut Self>, outcome: BodyOutcome, error: BodyError) -> BodyError {
        self.end(outcome);
        error
    }

    /// Waits for the earlier of the next idle moment and the deadline.
    fn poll_patience(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<BodyError> {
        let this = self.as_mut().project();
        if !*this.waiting {
            let Some(until) = this.limits.patience(Instant::now()) else { return Poll::Pending };
            *this.waiting = true;
            match this.timer {
                Some(timer) => timer.as_mut().reset(until),
                None => *this.timer = Some(Box::pin(sleep_until(until))),
            }
        }
        let Some(timer) = this.timer else { return Poll::Pending };
        timer.as_mut().poll(context).map(|()| this.limits.lost_patience(Instant::now()))
    }

    /// Counts a frame and says why it may not pass, if so.
    fn admit(self: Pin<&mut Self>, frame: &Frame<B::Data>) -> Result<(), BodyError> {
        let Some(data) = frame.data_ref() else { return Ok(()) };
        let this = self.project();
        // The first frame is in time, or the deadline would have ended the exchange before: most bodies have one frame
        // only, and asking for the time is not free.
        if *this.bytes > 0 {
            this.limits.refuse_late(Instant::now)?;
        }
        let bytes = this.bytes.saturating_add(u64::try_from(data.remaining()).unwrap_or(u64::MAX));
        this.limits.refuse_more_than(bytes)?;
        *this.bytes = bytes;
        Ok(())
    }
}

impl<B, E> Body for MeteredBody<B, E>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    E: OnBodyEnd,
{
    type Data = B::Data;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, BodyError>>> {
        if self.on_end.is_none() {
            return Poll::Ready(None);
        }
        let polled = self.as_mut().project().body.poll_frame(context);
        let Poll::Ready(frame) = polled else {
            return self
                .as_mut()
                .poll_patience(context)
                .map(|error| Some(Err(self.fail(BodyOutcome::TimedOut, error))));
        };
        *self.as_mut().project().waiting = false;
        Poll::Ready(match frame {
            None => {
                self.end(BodyOutcome::Complete);
                None
            }
            Some(Err(error)) => Some(Err(self.fail(BodyOutcome::Failed, BodyError::Failed(error.into())))),
            Some(Ok(frame)) => Some(match self.as_mut().admit(&frame) {
                Ok(()) => Ok(frame),
                Err(error) => Err(self.fail(error.outcome(), error)),
            }),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.on_end.is_none() || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, collections::VecDeque, rc::Rc, time::Duration};

    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue};
    use http_body_util::{BodyExt, Empty, Full, StreamBody};

    use super::*;

    type Ends = Rc<RefCell<Vec<BodyEnd>>>;

    /// A body that gives each of its frames after a pause.
    struct Paced(VecDeque<(Duration, Result<Frame<Bytes>, &'static str>)>, Option<Pin<Box<Sleep>>>);

    impl Body for Paced {
        type Data = Bytes;
        type Error = &'static str;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
            let Some((pause, _)) = self.0.front() else { return Poll::Ready(None) };
            if !pause.is_zero() {
                let pause = *pause;
                let timer = self.1.get_or_insert_with(|| Box::pin(tokio::time::sleep(pause)));
                std::task::ready!(timer.as_mut().poll(context));
                self.1 = None;
            }
            Poll::Ready(self.0.pop_front().map(|(_, frame)| frame))
        }
    }

    fn paced(frames: &[(u64, &'static str)]) -> Paced {
        let frame =
            |&(pause, data): &(u64, &'static str)| (Duration::from_secs(pause), Ok(Frame::data(Bytes::from(data))));
        Paced(frames.iter().map(frame).collect(), None)
    }

    fn metered<B: Body>(body: B, limits: BodyLimits) -> (Pin<Box<MeteredBody<B>>>, Ends) {
        let ends = Ends::default();
        let seen = ends.clone();
        (Box::pin(MeteredBody::new(body, limits, Box::new(move |end| seen.borrow_mut().push(end)))), ends)
    }

    fn ended(ends: &Ends, bytes: u64, outcome: BodyOutcome) {
        assert_eq!(*ends.borrow(), [BodyEnd { bytes, outcome }]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_whole_body_is_counted_and_its_trailers_pass() {
        let mut frames = paced(&[(0, "abc"), (5, "de")]);
        let trailers = HeaderMap::from_iter([(http::header::ETAG, HeaderValue::from_static("x"))]);
        frames.0.push_back((Duration::from_secs(9), Ok(Frame::trailers(trailers.clone()))));
        let limits = BodyLimits { bytes: Some(5), idle: Some(Duration::from_secs(10)), deadline: None };
        let (body, ends) = metered(frames, limits);
        let collected = body.collect().await.unwrap();
        assert_eq!(collected.trailers(), Some(&trailers));
        assert_eq!(collected.to_bytes(), "abcde");
        ended(&ends, 5, BodyOutcome::Complete);
    }

    #[tokio::test(start_paused = true)]
    async fn too_many_bytes_are_refused() {
        let (body, ends) = metered(paced(&[(0, "abc"), (0, "def")]), BodyLimits { bytes: Some(5), ..BodyLimits::NONE });
        let error = body.collect().await.unwrap_err();
        assert!(matches!(error, BodyError::TooLarge { limit_bytes: 5 }));
        ended(&ends, 3, BodyOutcome::TooLarge);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_that_is_too_long_ends_it_wherever_it_comes() {
        let idle = BodyLimits { idle: Some(Duration::from_secs(10)), ..BodyLimits::NONE };
        for (frames, bytes) in [(&[(11, "a")][..], 0), (&[(9, "a"), (9, "b"), (9, "c"), (11, "d")], 3)] {
            let (mut body, ends) = metered(paced(frames), idle);
            let error = loop {
                match body.frame().await.unwrap() {
                    Ok(_) => {}
                    Err(error) => break error,
                }
            };
            assert!(matches!(error, BodyError::Idle), "{error:?}");
            assert!(body.frame().await.is_none() && body.is_end_stream());
            drop(body);
            ended(&ends, bytes, BodyOutcome::TimedOut);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_ends_it_whether_it_waits_or_not() {
        let deadline = || Some(Instant::now() + Duration::from_secs(10));
        let limits = || BodyLimits { idle: Some(Duration::from_secs(7)), deadline: deadline(), bytes: None };
        let (body, ends) = metered(paced(&[(6, "a"), (6, "b")]), limits());
        assert!(matches!(body.collect().await.unwrap_err(), BodyError::DeadlinePassed));
        ended(&ends, 1, BodyOutcome::TimedOut);

        let (mut body, ends) = metered(paced(&[(0, "a"), (0, "b")]), limits());
        body.frame().await.unwrap().unwrap();
        tokio::time::advance(Duration::from_secs(11)).await;
        assert!(matches!(body.frame().await.unwrap(), Err(BodyError::DeadlinePassed)));
        ended(&ends, 1, BodyOutcome::TimedOut);
    }

    #[tokio::test]
    async fn a_failure_is_passed_on_with_its_cause() {
        let frames = [Ok(Frame::data(Bytes::from_static(b"a"))), Err("reset")];
        let stream = futures_util::stream::iter(frames);
        let (body, ends) = metered(StreamBody::new(stream), BodyLimits::NONE);
        let error = body.collect().await.unwrap_err();
        assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "reset");
        ended(&ends, 1, BodyOutcome::Failed);
    }

    #[tokio::test]
    async fn a_dropped_body_was_aborted_unless_nothing_was_left() {
        let (mut body, ends) = metered(paced(&[(0, "a"), (0, "b")]), BodyLimits::NONE);
        body.frame().await.unwrap().unwrap();
        assert!(ends.borrow().is_empty());
        drop(body);
        ended(&ends, 1, BodyOutcome::Aborted);

        let (body, ends) = metered(Empty::<Bytes>::new(), BodyLimits::NONE);
        drop(body);
        ended(&ends, 0, BodyOutcome::Complete);

        let (mut body, ends) = metered(Full::new(Bytes::from_static(b"abc")), BodyLimits::NONE);
        assert_eq!(body.size_hint().exact(), Some(3));
        body.frame().await.unwrap().unwrap();
        drop(body);
        ended(&ends, 3, BodyOutcome::Complete);
    }

    #[tokio::test]
    async fn a_ready_body_needs_no_timer() {
        let idle = BodyLimits { idle: Some(Duration::from_secs(10)), ..BodyLimits::NONE };
        let (mut body, _ends) = metered(paced(&[(0, "a"), (0, "b")]), idle);
        while body.frame().await.is_some() {}
        assert!(body.timer.is_none());
    }
}
