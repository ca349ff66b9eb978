//! Owns: the life of one HTTP connection, from its first byte to its end, whatever the protocol.
//! Refuses: a timer for each request: there is one for each connection, set anew only if something is due earlier.
//! Always holds: while the connection waits, its timer is set, and not later than the next thing that is due.

use std::{
    future::poll_fn,
    io,
    pin::{Pin, pin},
    task::Poll,
};

use thiserror::Error;
use tokio::{
    task::coop::has_budget_remaining,
    time::{Instant, sleep_until},
};

use super::{
    activity::Activity,
    drain::Drain,
    http1::LengthNotKept,
    timekeeper::{Due, Timekeeper},
};

/// What connections have in common.
pub(super) trait HttpConnection: Future<Output = Result<(), ConnectionError>> {
    /// Nothing more is begun; what is under way is finished.
    fn shut_down(self: Pin<&mut Self>);
}

/// Why a connection failed.
#[derive(Debug, Error)]
pub(super) enum ConnectionError {
    /// HTTP/2 failed.
    #[error("HTTP/2 failed")]
    Http2(#[source] hyper::Error),
    /// The socket failed.
    #[error("the socket failed")]
    Io(#[from] io::Error),
    /// The body of an answer failed; its reader sees that it is not whole.
    #[error("the body of an answer failed")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// An answer is not what its head says.
    #[error(transparent)]
    Length(#[from] LengthNotKept),
}

/// How a connection ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// In order, or as an upgrade.
    Finished,
    /// A request's head took too long.
    HeaderTimeout,
    /// The other side stopped reading.
    Stalled,
    /// By an error.
    Failed(ConnectionError),
}

/// Carries `connection` to its end.
pub(super) async fn drive<C: HttpConnection>(
    mut connection: Pin<&mut C>,
    activity: &Activity,
    mut timekeeper: Timekeeper,
    drain: &Drain,
) -> Ending {
    let mut beginning = pin!(drain.beginning());
    beginning.as_mut().enable();
    let mut listening = false;
    let mut alarm_at = activity.opened() + timekeeper.pause();
    let mut alarm = pin!(sleep_until(alarm_at));
    let mut armed = false;
    poll_fn(|context| {
        if !listening {
            // Once is enough: the waker of a task stays the same, and from now on the drain itself says whether it began.
            let _ = beginning.as_mut().poll(context);
            listening = true;
        }
        loop {
            if let Poll::Ready(result) = connection.as_mut().poll(context) {
                return Poll::Ready(result.map_or_else(Ending::Failed, |()| Ending::Finished));
            }
            if timekeeper.must_close(activity, drain) {
                timekeeper.closing();
                activity.closing_in_order();
                connection.as_mut().shut_down();
                continue;
            }
            if let Some((at, _)) = timekeeper.due(activity, drain)
                && at < alarm_at
            {
                alarm_at = at;
                alarm.as_mut().reset(at);
                armed = false;
            }
            // For the same reason the alarm needs to be polled only after it was set.
            if armed && !alarm.is_elapsed() {
                return Poll::Pending;
            }
            // An alarm that is asked by a task which has done enough for now does not take note of it.
            armed = has_budget_remaining();
            if alarm.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            let now = Instant::now();
            match timekeeper.due(activity, drain) {
                Some((at, due)) if at <= now => match due {
                    Due::Header => return Poll::Ready(Ending::HeaderTimeout),
                    Due::Stalled => return Poll::Ready(Ending::Stalled),
                    // First the stream is told to wait no more, so that the connection can say how it ended.
                    Due::Closed if activity.may_still_send() => {
                        activity.closed_at_rest();
                        continue;
                    }
                    Due::Closed => return Poll::Ready(Ending::Finished),
                    Due::Idle => {
                        timekeeper.closing();
                        activity.closed_at_rest();
                        connection.as_mut().shut_down();
                    }
                },
                Some((at, _)) => alarm_at = at,
                None => alarm_at = now + timekeeper.pause(),
            }
            if alarm_at <= now {
                alarm_at = now + timekeeper.pause();
            }
            alarm.as_mut().reset(alarm_at);
            armed = false;
        }
    })
    .await
}
