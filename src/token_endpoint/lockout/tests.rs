//! Neither guessing nor locking others out works.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;
use crate::config::HumanDuration;

const START: UnixTime = UnixTime::from_seconds(1_700_000_000);
const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const WINDOW: Duration = Duration::from_secs(60);
const LOCK: Duration = Duration::from_secs(300);

fn lockout(failures: u32) -> Arc<Lockout> {
    let settings = LockoutConfig { failures, window: HumanDuration(WINDOW), lock_for: HumanDuration(LOCK) };
    Lockouts::default().of("oauth", "oauth", &settings, None)
}

fn after(seconds: u64) -> UnixTime {
    START.plus(Duration::from_secs(seconds))
}

/// One of very many addresses of an attacker.
fn bot(number: u16) -> IpAddr {
    let [high, low] = number.to_be_bytes();
    Ipv4Addr::new(198, 51, high, low).into()
}

/// What a wrong attempt is answered, and noted if it was looked at.
fn guess(lockout: &Lockout, client_id: &str, peer: IpAddr, now: UnixTime) -> Result<(), LockedOut> {
    lockout.judge(client_id, peer, now)?;
    lockout.failed(client_id, peer, now);
    Ok(())
}

/// How many of many guesses are looked at.
fn guesses(lockout: &Lockout, attempts: impl Iterator<Item = (String, IpAddr)>, now: UnixTime) -> usize {
    attempts.filter(|(client_id, peer)| guess(lockout, client_id, *peer, now).is_ok()).count()
}

#[test]
fn a_pair_is_locked_out_for_as_long_as_told() {
    let lockout = lockout(3);
    for second in 0..3 {
        assert_eq!(guess(&lockout, "billing", HOME, after(second)), Ok(()));
    }
    let locked = |seconds| Err(LockedOut { retry_after: Duration::from_secs(seconds), by: LockedOutBy::ClientAndPeer });
    assert_eq!(lockout.judge("billing", HOME, after(2)), locked(300));
    assert_eq!(lockout.judge("billing", HOME, after(301)), locked(1));
    // Others from there, and the client from elsewhere, are looked at.
    assert_eq!(lockout.judge("orders", HOME, after(2)), Ok(()));
    assert_eq!(lockout.judge("billing", bot(1), after(2)), Ok(()));
    // Knocking does not make it last longer, and afterwards there are as many attempts as before.
    lockout.failed("billing", HOME, after(200));
    assert_eq!(guesses(&lockout, (0..9).map(|_| ("billing".to_owned(), HOME)), after(302)), 3);
}

#[test]
fn only_failures_in_a_row_count() {
    let lockout = lockout(3);
    // Too far apart.
    for attempt in 0..20 {
        assert_eq!(guess(&lockout, "billing", HOME, after(attempt * 61)), Ok(()));
    }
    // Just near enough.
    let base = 10_000;
    for attempt in 0..3 {
        assert_eq!(guess(&lockout, "orders", HOME, after(base + attempt * 60)), Ok(()));
    }
    assert!(lockout.judge("orders", HOME, after(base + 120)).is_err());
    // A success ends the streak.
    for second in 0..40 {
        assert_eq!(guess(&lockout, "stock", HOME, after(20_000 + second)), Ok(()));
        if second % 2 == 1 {
            lockout.succeeded("stock", HOME, after(20_000 + second));
        }
    }
}

#[test]
fn many_addresses_neither_guess_on_nor_lock_out_the_client_at_home() {
    let lockout = lockout(10);
    lockout.succeeded("billing", HOME, START);
    // Each address alone stays below its own limit.
    let attempts = (0..5_000).map(|attempt| ("billing".to_owned(), bot(attempt)));
    assert_eq!(guesses(&lockout, attempts, after(1)), 100);
    let refused = lockout.judge("billing", bot(9_000), after(1)).unwrap_err();
    assert_eq!((refused.by, refused.retry_after), (LockedOutBy::Client, LOCK));
    // The client itself goes on, for ever, at home; and other clients everywhere.
    for round in 1..=20u64 {
        let now = after(round * 300 + 1);
        let attempts = (0..5_000).map(|attempt| ("billing".to_owned(), bot(attempt)));
        assert_eq!(guesses(&lockout, attempts, now), 100, "in each 5 minutes");
        assert_eq!(lockout.judge("billing", HOME, now), Ok(()));
        lockout.succeeded("billing", HOME, now);
        assert_eq!(lockout.judge("orders", "2001:db8::1".parse().unwrap(), now), Ok(()));
    }
    // From home, too, not more than the limit of one pair can be guessed.
    let at_home = guesses(&lockout, (0..100).map(|_| ("billing".to_owned(), HOME)), after(6_002));
    assert_eq!(at_home, 10);
}

#[test]
fn one_address_cannot_try_ids_and_its_honest_neighbour_goes_on() {
    let lockout = lockout(10);
    lockout.succeeded("billing", HOME, START);
    let attempts = (0..1_000).map(|attempt| (format!("id-{attempt}"), HOME));
    assert_eq!(guesses(&lockout, attempts, after(1)), 100);
    assert_eq!(lockout.judge("id-5000", HOME, after(1)).unwrap_err().by, LockedOutBy::Peer);
    assert_eq!(lockout.judge("billing", HOME, after(1)), Ok(()));
    assert_eq!(lockout.judge("id-5000", bot(1), after(1)), Ok(()));
    assert_eq!(lockout.judge("id-5000", HOME, after(301)), Ok(()));
}

#[test]
fn all_addresses_of_one_ipv6_network_are_one_peer() {
    let lockout = lockout(10);
    let address = |last| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 7, 0, 0, 0, last));
    assert_eq!(guesses(&lockout, (0..500).map(|last| ("billing".to_owned(), address(last))), START), 10);
    assert_eq!(guesses(&lockout, (0..500).map(|last| (format!("id-{last}"), address(last))), START), 90);
}

#[test]
fn success_under_another_id_buys_no_guesses() {
    let lockout = lockout(10);
    // With a good secret of its own, an attacker ends only its own streak.
    let mut looked_at = 0;
    for attempt in 0..2_000 {
        lockout.succeeded("attacker", HOME, START);
        looked_at += usize::from(guess(&lockout, &format!("id-{attempt}"), HOME, START).is_ok());
    }
    assert_eq!(looked_at, 100);
    // Nor does it push out what is known of others.
    lockout.succeeded("billing", bot(0), START);
    (0..40_000).for_each(|number| lockout.succeeded("attacker", bot(number), START));
    let attempts = (50_000..50_200).map(|number| ("billing".to_owned(), bot(number)));
    assert_eq!(guesses(&lockout, attempts, START), 100);
    assert_eq!(lockout.judge("billing", bot(0), START), Ok(()));
}

#[test]
fn a_peer_is_known_for_a_day() {
    let lockout = lockout(1);
    let day = 24 * 3600;
    lockout.succeeded("billing", HOME, START);
    lockout.succeeded("billing", HOME, after(day / 2));
    let attack = |now| {
        let _looked_at = guesses(&lockout, (0..100).map(|number| ("billing".to_owned(), bot(number))), now);
        lockout.judge("billing", HOME, now)
    };
    assert_eq!(attack(after(day + day / 2 - 1)), Ok(()));
    assert_eq!(attack(after(2 * day)).unwrap_err().by, LockedOutBy::Client);
}

#[test]
fn the_most_recent_peers_of_a_client_are_known() {
    let lockout = lockout(1);
    (0..40).for_each(|number| lockout.succeeded("billing", bot(number), after(number.into())));
    let attempts = (1_000..1_100).map(|number| ("billing".to_owned(), bot(number)));
    assert_eq!(guesses(&lockout, attempts, after(50)), 10);
    let known: Vec<u16> = (0..40).filter(|number| lockout.judge("billing", bot(*number), after(50)).is_ok()).collect();
    assert_eq!(known, (8..40).collect::<Vec<u16>>());
}

#[test]
fn switched_off_it_locks_out_nobody_and_remembers_nothing() {
    let lockout = lockout(0);
    assert_eq!(guesses(&lockout, (0..5_000).map(|_| ("billing".to_owned(), HOME)), START), 5_000);
    lockout.succeeded("billing", HOME, START);
    lockout.memory.pairs.run_pending_tasks();
    assert_eq!(lockout.memory.pairs.entry_count(), 0);
}

#[test]
fn a_clock_that_is_set_back_opens_the_lock() {
    let lockout = lockout(2);
    (0..2).for_each(|_| lockout.failed("billing", HOME, after(86_400)));
    assert!(lockout.judge("billing", HOME, after(86_400)).is_err());
    assert!(lockout.judge("billing", HOME, after(86_400 - 300)).is_err(), "so long a request may take");
    assert_eq!(lockout.judge("billing", HOME, after(86_400 - 301)), Ok(()));
    assert_eq!(lockout.judge("billing", HOME, START), Ok(()));
}

/// A request is dated by its head and judged when its body is there: whoever completes the newest first guesses no more often.
#[test]
fn requests_that_are_held_open_guess_no_more_often() {
    let lockout = lockout(3);
    assert_eq!((0..100).rev().filter(|second| guess(&lockout, "billing", HOME, after(*second)).is_ok()).count(), 3);
    // What was looked at already when the lock began neither ends nor moves it.
    lockout.failed("billing", HOME, after(4));
    let locked = lockout.judge("billing", HOME, after(4)).unwrap_err();
    assert_eq!((locked.by, locked.retry_after), (LockedOutBy::ClientAndPeer, LOCK));
    assert!(lockout.judge("billing", HOME, after(99 + 299)).is_err());
    assert_eq!(lockout.judge("billing", HOME, after(99 + 300)), Ok(()));
    // So it is with many ids from one address.
    let attempts = (0..200u64)
        .rev()
        .filter(|number| guess(&lockout, &format!("id-{number}"), bot(1), after(1_000 + *number)).is_ok());
    assert_eq!(attempts.count(), 30);
}

/// What one replica tells, the other counts, as if it had happened there.
#[test]
fn what_happens_elsewhere_counts_here() {
    let (here, elsewhere) = (Lockouts::default(), uuid::Uuid::new_v4());
    let settings = LockoutConfig { failures: 3, window: HumanDuration(WINDOW), lock_for: HumanDuration(LOCK) };
    let lockout = here.of("oauth", "oauth", &settings, None);
    let message = |which: &str, client_id: &str, peer: IpAddr, at: u64| {
        let client = NameHash::of(client_id);
        let at = after(at).as_milliseconds();
        format!(
            r#"{{"replica":"{elsewhere}","endpoint":"oauth","client":"{client}","peer":"{peer}","at":{at},"which":"{which}"}}"#
        )
    };
    assert_eq!(guess(&lockout, "billing", HOME, after(0)), Ok(()));
    here.hear(&message("failed", "billing", HOME, 1), after(1));
    assert_eq!(lockout.judge("billing", HOME, after(1)), Ok(()));
    // A replica whose clock is ahead locks from now on.
    here.hear(&message("failed", "billing", HOME, 30), after(2));
    assert_eq!(lockout.judge("billing", HOME, after(2)).unwrap_err().retry_after, LOCK);
    // Where a client is known elsewhere it is known here.
    here.hear(&message("succeeded", "orders", HOME, 2), after(2));
    for number in 0..40 {
        here.hear(&message("failed", "orders", bot(number), 3), after(3));
    }
    assert_eq!(lockout.judge("orders", HOME, after(3)), Ok(()));
    assert_eq!(lockout.judge("orders", bot(99), after(3)).unwrap_err().by, LockedOutBy::Client);
    // A success elsewhere ends the streak here.
    guess(&lockout, "stock", HOME, after(4)).unwrap();
    guess(&lockout, "stock", HOME, after(4)).unwrap();
    here.hear(&message("succeeded", "stock", HOME, 5), after(5));
    guess(&lockout, "stock", HOME, after(5)).unwrap();
    assert_eq!(lockout.judge("stock", HOME, after(5)), Ok(()));
    assert_eq!((here.heard(), here.ignored()), (44, 0));
    here.hear("nonsense", after(5));
    here.hear(&message("failed", "billing", HOME, 5).replace("oauth", "another"), after(5));
    assert_eq!((here.heard(), here.ignored()), (45, 1));
    // Messages that come late, or again: a failure clears no lock, a success ends nothing that began after it.
    assert!(lockout.judge("billing", HOME, after(100)).is_err());
    here.hear(&message("failed", "billing", HOME, 0), after(100));
    here.hear(&message("succeeded", "billing", HOME, 1), after(100));
    assert_eq!(lockout.judge("billing", HOME, after(100)).unwrap_err().retry_after, LOCK - Duration::from_secs(98));
    for second in 0..3 {
        here.hear(&message("succeeded", "new", HOME, 99), after(100));
        assert_eq!(guess(&lockout, "new", HOME, after(100)), Ok(()), "{second}");
    }
    assert!(lockout.judge("new", HOME, after(100)).is_err());
    // What a message says of limits counts for nothing.
    let more = r#""failures":1,"window_ms":1,"lock_ms":0,"which""#;
    here.hear(&message("failed", "billing", HOME, 100).replace(r#""which""#, more), after(100));
    here.hear(&message("failed", "one", HOME, 100).replace(r#""which""#, more), after(100));
    assert!(lockout.judge("billing", HOME, after(100)).is_err());
    assert_eq!(lockout.judge("one", HOME, after(100)), Ok(()));
    // Much later they are not heard at all.
    let late = after(101).plus(Duration::from_secs(301));
    (0..3).for_each(|_| here.hear(&message("failed", "late", HOME, 101), late));
    assert_eq!(lockout.judge("late", HOME, late), Ok(()));
    assert_eq!((here.heard(), here.ignored()), (52, 4));
}

/// Endpoints that share a memory have settings of their own, whoever was compiled last.
#[test]
fn what_happens_elsewhere_counts_by_the_settings_of_its_endpoint() {
    let (here, elsewhere) = (Lockouts::default(), uuid::Uuid::new_v4());
    let settings = |failures| LockoutConfig { failures, ..LockoutConfig::default() };
    let strict = here.of("oauth", "embedded", &settings(3), None);
    let _lenient = here.of("plgd", "embedded", &settings(10), None);
    let _never_in_force = here.of("oauth", "embedded", &settings(10), None);
    let (client, at) = (NameHash::of("billing"), START.as_milliseconds());
    for _ in 0..3 {
        assert_eq!(strict.judge("billing", HOME, START), Ok(()));
        let message = format!(
            r#"{{"replica":"{elsewhere}","endpoint":"oauth","client":"{client}","peer":"{HOME}","at":{at},"which":"failed"}}"#
        );
        here.hear(&message, START);
    }
    assert!(strict.judge("billing", HOME, START).is_err());
}
