//! Owns: which timeout applies to a connection at this moment, and when it is over.
//! Refuses: touching the connection; [`super::drive`] does what is due.
//! Always holds: the time for a request's head counts from its first byte, or from the opening of the connection; the
//! idle time only while no request is under way; a request under way has no timeout here unless its reader stands still.

use std::time::Duration;

use tokio::time::Instant;

use super::{activity::Activity, drain::Drain, handler::Protocol, limits::Limits};

/// How long a connection that we have closed may take to go away.
const LINGER: Duration = Duration::from_secs(2);

/// What happens when a time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// The head of a request took too long: drop the connection.
    Header,
    /// No request for too long: close it in order.
    Idle,
    /// The other side does not read: drop the connection.
    Stalled,
    /// It was closed long enough ago: drop what is left of it.
    Closed,
}

/// The timeouts of one connection.
#[derive(Debug)]
pub(super) struct Timekeeper {
    header: Duration,
    idle: Duration,
    stall: Duration,
    head_since: Option<Instant>,
    begun: u32,
    closing_since: Option<Instant>,
}

impl Timekeeper {
    pub(super) const fn new(limits: &Limits, opened: Instant) -> Self {
        Self {
            header: limits.header_timeout,
            idle: limits.idle_timeout,
            stall: limits.body_idle_timeout,
            head_since: Some(opened),
            begun: 0,
            closing_since: None,
        }
    }

    /// How long to wait before looking again when nothing is due.
    pub(super) const fn pause(&self) -> Duration {
        self.idle
    }

    /// Whether the connection has been told to close.
    pub(super) const fn is_closing(&self) -> bool {
        self.closing_since.is_some()
    }

    pub(super) fn closing(&mut self) {
        self.closing_since = Some(Instant::now());
    }

    /// Whether the connection is to be told now that it shall close: nothing more is begun on it, what is under way is
    /// finished. An HTTP/1.1 connection without a request is left to its patience instead.
    pub(super) fn must_close(&self, activity: &Activity, drain: &Drain) -> bool {
        let draining = drain.since().is_some() && (activity.protocol() == Protocol::Http2 || activity.is_busy());
        !self.is_closing() && (draining || activity.close_wanted())
    }

    /// What is due next, and when.
    pub(super) fn due(&mut self, activity: &Activity, drain: &Drain) -> Option<(Instant, Due)> {
        if self.begun != activity.begun() {
            self.begun = activity.begun();
            self.head_since = None;
        }
        if let Some(since) = activity.write_blocked_since() {
            return Some((since + self.stall, Due::Stalled));
        }
        if let Some(since) = activity.shutdown_since() {
            return Some((since + LINGER, Due::Closed));
        }
        if activity.is_busy() {
            return None;
        }
        if let Some(since) = self.closing_since {
            // An HTTP/2 reader may still be taking in the end of its last response, which we cannot watch.
            let rest = if activity.protocol() == Protocol::Http2 { self.stall } else { LINGER };
            return Some((since.max(activity.idle_since()) + rest, Due::Closed));
        }
        let head_begun = activity.head_received();
        let patience = drain.patience(activity.opened()).filter(|_| !head_begun).map(|at| (at, Due::Idle));
        let due = if activity.protocol() == Protocol::Http1 && (head_begun || self.begun == 0) {
            (*self.head_since.get_or_insert_with(Instant::now) + self.header, Due::Header)
        } else {
            (activity.idle_since() + self.idle, Due::Idle)
        };
        Some(patience.filter(|patience| patience.0 < due.0).unwrap_or(due))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::LimitsConfig,
        diagnostic::{Diagnostics, KeyPath},
    };

    fn limits() -> Limits {
        Limits::compile(&KeyPath::root(), &LimitsConfig::default(), &mut Diagnostics::new()).unwrap()
    }

    fn connection(protocol: Protocol) -> (Activity, Timekeeper, Drain) {
        let opened = Instant::now();
        (Activity::new(protocol, opened), Timekeeper::new(&limits(), opened), Drain::default())
    }

    /// What is due, and how long after `since`, within the ten milliseconds that a busy machine may take.
    fn due_after(timekeeper: &mut Timekeeper, activity: &Activity, drain: &Drain, since: Instant) -> (Duration, Due) {
        let (at, due) = timekeeper.due(activity, drain).unwrap();
        let tolerance = Duration::from_millis(10);
        let seconds = (at + tolerance).duration_since(since).as_secs();
        assert!(at + tolerance - since < Duration::from_secs(seconds) + 3 * tolerance, "{:?}", at - since);
        (Duration::from_secs(seconds), due)
    }

    fn let_time_pass() {
        std::thread::sleep(Duration::from_millis(50));
    }

    #[test]
    fn the_head_counts_from_the_opening_and_then_from_its_first_byte() {
        let (activity, mut timekeeper, drain) = connection(Protocol::Http1);
        let header = limits().header_timeout;
        let opened = activity.opened();
        assert_eq!(timekeeper.due(&activity, &drain), Some((opened + header, Due::Header)));
        let_time_pass();
        activity.bytes_received();
        assert_eq!(timekeeper.due(&activity, &drain), Some((opened + header, Due::Header)));
        activity.request_begun(false);
        assert_eq!(timekeeper.due(&activity, &drain), None);
        activity.request_ended();
        let ended = Instant::now();
        assert_eq!(due_after(&mut timekeeper, &activity, &drain, ended), (limits().idle_timeout, Due::Idle));
        let_time_pass();
        activity.bytes_received();
        let first_byte = Instant::now();
        let due = timekeeper.due(&activity, &drain);
        assert!(matches!(due, Some((at, Due::Header)) if at >= first_byte + header));
        let_time_pass();
        activity.bytes_received();
        assert_eq!(timekeeper.due(&activity, &drain), due);
    }

    #[test]
    fn a_write_that_waits_is_the_only_thing_that_counts() {
        let (activity, mut timekeeper, drain) = connection(Protocol::Http1);
        activity.request_begun(false);
        activity.write_blocked();
        let since = Instant::now();
        let_time_pass();
        activity.write_blocked();
        let stall = limits().body_idle_timeout;
        assert_eq!(due_after(&mut timekeeper, &activity, &drain, since), (stall, Due::Stalled));
        activity.write_progressed();
        assert_eq!(timekeeper.due(&activity, &drain), None);
    }

    #[test]
    fn a_drain_has_patience_with_the_idle_and_lets_a_head_arrive() {
        let (activity, mut timekeeper, drain) = connection(Protocol::Http1);
        drain.begin();
        assert_eq!(timekeeper.due(&activity, &drain), drain.patience(activity.opened()).map(|at| (at, Due::Idle)));
        assert!(!timekeeper.must_close(&activity, &drain));
        activity.bytes_received();
        assert!(matches!(timekeeper.due(&activity, &drain), Some((_, Due::Header))));
        activity.request_begun(false);
        assert!(timekeeper.must_close(&activity, &drain));
        let (activity, timekeeper, drain) = connection(Protocol::Http2);
        drain.begin();
        assert!(timekeeper.must_close(&activity, &drain));
    }
}
