//! The clock jumps: what ended stays ended while it does, and what was taken back stays so whatever the clock says.

use std::time::Duration;

use postern::{
    clock::{ManualClock, UnixTime},
    config::StoreConfig,
};

use crate::support::{
    forge::now,
    issuing::{BILLING, Issuing, id_of, replica},
    stores::on_sqlite,
    upstream::RecordedUpstream,
};

const HOUR: Duration = Duration::from_secs(3600);

async fn jump(location: StoreConfig) {
    let upstream = RecordedUpstream::start().await;
    let start = now();
    let clock = ManualClock::starting_at(UnixTime::from_seconds(start));
    let gateway = replica(&location, &upstream).clock(clock.clock()).start().await;
    let issuing = Issuing::of(&gateway);
    let (good, revoked) = (issuing.token(BILLING).await, issuing.token(BILLING).await);
    // Remembered, both of them, before one is taken back.
    assert!(issuing.accepts(&good).await && issuing.accepts(&revoked).await);
    issuing.revoke(&revoked).await;

    // Hours after the start, and whether the good one is good then: it lives for an hour, and leeway is a minute.
    for (hours, is_good) in
        [(0.0, true), (0.9, true), (1.1, false), (48.0, false), (0.5, true), (-1.0, false), (0.0, true)]
    {
        let moment = UnixTime::from_seconds(start);
        let offset = HOUR.mul_f64(f64::abs(hours));
        clock.set(if hours < 0.0 { moment.minus(offset) } else { moment.plus(offset) });
        let before = upstream.count();
        let answer = issuing.orders(&good).await;
        assert_eq!(answer.status == 200, is_good, "{hours} hours: {} {}", answer.status, answer.text());
        assert_eq!(upstream.count(), before + usize::from(is_good));
        let answer = issuing.orders(&revoked).await;
        assert_eq!(answer.status, 401, "{hours} hours: what was revoked is good");
        assert_eq!(upstream.count(), before + usize::from(is_good), "{hours} hours");
    }

    // What is issued while the clock is ahead is refused once it is set back, as from the future, and nothing breaks.
    clock.set(UnixTime::from_seconds(start).plus(48 * HOUR));
    let ahead = issuing.token(BILLING).await;
    assert!(issuing.accepts(&ahead).await);
    clock.set(UnixTime::from_seconds(start));
    let answer = issuing.orders(&ahead).await;
    assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (401, "token_from_future"));
    let fresh = issuing.token(BILLING).await;
    assert!(issuing.accepts(&fresh).await && id_of(&fresh) != id_of(&ahead));
    issuing.revoke(&fresh).await;
    assert!(!issuing.accepts(&fresh).await && issuing.accepts(&good).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_revoked_stays_so_however_the_clock_jumps() {
    on_sqlite(jump).await;
}
