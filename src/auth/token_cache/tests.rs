//! What is remembered, for whom, and for how long.

use std::time::Instant;

use super::*;
use crate::auth::{
    WorkerTokenCache,
    forge::{found, remembered},
    place::HASHED_BYTES,
    sightings::GROUPS,
};

fn remember(worker: &WorkerTokenCache, text: &str, payload_bytes: usize) {
    worker.remember(worker.shared().place(text.as_bytes()), text.as_bytes(), found(payload_bytes));
}

fn is_found(worker: &WorkerTokenCache, text: &str) -> bool {
    worker.find(text.as_bytes()).1.is_some()
}

/// A token that is presented twice, the second time while it is a newcomer.
fn present_twice(worker: &WorkerTokenCache, text: &str) {
    remember(worker, text, 10);
    assert!(is_found(worker, text), "{text}");
}

/// Whether a worker finds it without asking the shared cache.
fn is_own(worker: &WorkerTokenCache, text: &str) -> bool {
    worker.judge_own(text.as_bytes(), |_| Some(())).is_some()
}

fn until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "it does not come");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Waits until everything that was handed over is done.
fn settle(shared: &SharedTokenCache) {
    until(|| shared.store.changes.is_empty() && shared.store.asleep.load(Ordering::SeqCst));
}

#[test]
fn the_whole_text_decides() {
    let worker = WorkerTokenCache::new(Arc::new(SharedTokenCache::new()));
    let end = "s".repeat(HASHED_BYTES);
    let place = |text: String| worker.shared().place(text.as_bytes());
    assert_eq!(place(format!("a{end}")), place(format!("b{end}")));
    remember(&worker, &format!("a{end}"), 10);
    assert!(!is_found(&worker, &format!("b{end}")), "the other is a newcomer");
    assert!(is_found(&worker, &format!("a{end}")));
    assert!(!is_found(&worker, &format!("b{end}")), "the other is in the worker's slots");
    settle(worker.shared());
    let second = WorkerTokenCache::new(Arc::clone(worker.shared()));
    assert!(!is_found(&second, &format!("b{end}")), "the other is in the shared cache");
    assert!(is_found(&second, &format!("a{end}")));
}

#[test]
fn workers_find_what_another_remembered_and_count_apart() {
    let shared = Arc::new(SharedTokenCache::new());
    let (first, second) = (WorkerTokenCache::new(Arc::clone(&shared)), WorkerTokenCache::new(Arc::clone(&shared)));
    remember(&first, "token", 10);
    assert!(is_found(&second, "token"), "it is a newcomer to all of them");
    settle(&shared);
    assert!(is_found(&first, "token"), "it came twice");
    first.forget(first.shared().place(b"token"));
    settle(&shared);
    assert!(!is_found(&first, "token"));
    remember(&first, "other", 10);
    first.forget(first.shared().place(b"other"));
    assert!(!is_found(&first, "other"), "a newcomer is forgotten as well");
    shared.forget(shared.place(b"token"));
    settle(&shared);
    assert!(is_found(&second, "token"), "it is in the second worker's slots by now");
    second.forget(second.shared().place(b"token"));
    assert!(!is_found(&second, "token"));
    first.note_hit();
    second.note_hit();
    second.note_miss();
    assert_eq!((shared.hits(), shared.misses()), (2, 1));
}

#[test]
fn workers_never_wait_for_the_cache() {
    let shared = Arc::new(SharedTokenCache::unattended(DEFAULT_CAPACITY_BYTES));
    let worker = WorkerTokenCache::new(Arc::clone(&shared));
    for number in 0..CHANGES + 100 {
        let text = format!("{number}-token");
        present_twice(&worker, &text);
    }
    worker.forget(worker.shared().place(b"0-token"));
    assert_eq!((shared.store.changes.len(), shared.store.entries.iter().count()), (CHANGES, 0));
    let last = format!("{}-token", CHANGES + 99);
    assert!(is_found(&worker, &last), "what was dropped is in the worker's own cache");
    shared.store.make_changes();
    let other = WorkerTokenCache::new(Arc::clone(&shared));
    assert!(is_found(&other, "1-token") && !shared.store.entries.contains_key(&shared.place(last.as_bytes())));
    assert!(is_found(&other, &last), "it is still a newcomer");
    shared.store.make_changes();
    assert!(shared.store.entries.contains_key(&shared.place(last.as_bytes())), "and handed over once more");
}

#[test]
fn tokens_that_come_once_displace_none_that_came_twice() {
    let shared = Arc::new(SharedTokenCache::unattended(DEFAULT_CAPACITY_BYTES));
    let worker = WorkerTokenCache::new(Arc::clone(&shared));
    present_twice(&worker, "known");
    assert_eq!(shared.store.changes.len(), 1);
    for number in 0..2000 {
        remember(&worker, &format!("{number}-new"), 10);
    }
    assert!(is_own(&worker, "known"));
    // One in 16,000 or so is taken for another that came.
    assert!(shared.store.changes.len() < 10, "nothing is to be done for those that came once");
}

#[test]
fn tokens_that_come_in_turn_are_verified_twice_each_and_never_again() {
    let shared = Arc::new(SharedTokenCache::unattended(DEFAULT_CAPACITY_BYTES));
    let worker = WorkerTokenCache::new(Arc::clone(&shared));
    let verified: Vec<usize> = (0..5)
        .map(|_| {
            let unknown = |number: &usize| {
                let text = format!("{number}-token");
                let is_new = !is_found(&worker, &text);
                if is_new {
                    remember(&worker, &text, 10);
                }
                is_new
            };
            let unknown = (0..1000).filter(unknown).count();
            shared.store.make_changes();
            unknown
        })
        .collect();
    assert!(verified.iter().take(2).all(|unknown| *unknown > 500), "too many to be newcomers together: {verified:?}");
    assert!(verified.iter().skip(2).all(|unknown| *unknown < 5), "{verified:?}");
    assert_eq!(verified.last(), Some(&0));
}

#[test]
fn what_came_twice_is_there_for_all_however_many_come_once() {
    let shared = Arc::new(SharedTokenCache::unattended(DEFAULT_CAPACITY_BYTES));
    let worker = WorkerTokenCache::new(Arc::clone(&shared));
    present_twice(&worker, "known");
    shared.store.make_changes();
    let place = shared.place(b"known");
    let others = (0..).map(|number| format!("{number}-new"));
    // These are noted where it was noted that the other came, and nothing else is left there; the others push that out of the newcomers.
    let group = |text: &str| shared.place(text.as_bytes()).sighting(GROUPS);
    for neighbour in others.clone().filter(|other| group(other) == place.sighting(GROUPS)).take(60) {
        remember(&worker, &neighbour, 10);
    }
    for other in others.take(2000) {
        remember(&worker, &other, 10);
    }
    assert!(is_found(&WorkerTokenCache::new(shared), "known"));
}

#[test]
fn a_token_that_comes_again_is_kept_however_late() {
    let shared = Arc::new(SharedTokenCache::unattended(DEFAULT_CAPACITY_BYTES));
    let worker = WorkerTokenCache::new(Arc::clone(&shared));
    remember(&worker, "late", 10);
    let place = shared.place(b"late");
    // Among so many others that it is no newcomer any more; none where it is noted that it came.
    let others = (0..2000).map(|number| format!("{number}-new"));
    for other in others.filter(|other| shared.place(other.as_bytes()).sighting(GROUPS) != place.sighting(GROUPS)) {
        remember(&worker, &other, 10);
    }
    assert!(!is_found(&worker, "late"));
    remember(&worker, "late", 10);
    assert!(is_own(&worker, "late") && (1..10).contains(&shared.store.changes.len()));
}

#[test]
fn newcomers_weigh() {
    let worker = WorkerTokenCache::new(Arc::new(SharedTokenCache::new()));
    assert_eq!(worker.shared().weight_bytes(), 0);
    remember(&worker, "token", 1000);
    assert!(worker.shared().weight_bytes() > 1000);
}

#[test]
fn its_thread_ends_with_it() {
    let shared = SharedTokenCache::new();
    let store = Arc::downgrade(&shared.store);
    settle(&shared);
    assert!(store.strong_count() == 2, "the thread has it, too");
    drop(shared);
    until(|| store.strong_count() == 0);
}

#[test]
fn bytes_bound_it() {
    let worker = WorkerTokenCache::new(Arc::new(SharedTokenCache::with_capacity(100_000)));
    for number in 0..100 {
        let text = format!("{number}-large");
        remember(&worker, &text, 10_000);
        remember(&worker, &text, 10_000);
    }
    settle(worker.shared());
    let weight = worker.shared().weight_bytes();
    assert!(weight > 10_000 && weight <= 100_000, "{weight}");
    let found: Vec<_> = (0..100).filter(|number| is_found(&worker, &format!("{number}-large"))).collect();
    assert!((1..10).contains(&found.len()), "large ones are not kept by the worker either: {found:?}");
    assert!(found.iter().all(|number| *number >= 90), "the last ones are kept: {found:?}");
}

#[test]
fn a_full_cache_takes_in_what_comes_again() {
    let capacity = 20 * remembered("100-token", 10).weight_bytes() as u64;
    let shared = Arc::new(SharedTokenCache::unattended(capacity));
    let worker = WorkerTokenCache::new(Arc::clone(&shared));
    for number in 0..200 {
        present_twice(&worker, &format!("{number}-token"));
        shared.store.make_changes();
    }
    // So that nobody finds one among the newcomers; these come once and displace nothing else.
    for number in 0..2000 {
        remember(&worker, &format!("{number}-new"), 10);
    }
    assert!(shared.store.changes.len() < 3, "{}", shared.store.changes.len());
    shared.store.make_changes();
    let second = WorkerTokenCache::new(Arc::clone(&shared));
    let found: Vec<_> = (0..200).filter(|number| is_found(&second, &format!("{number}-token"))).collect();
    assert!((185..200).all(|number| found.contains(&number)) && found.len() <= 25, "{found:?}");
}

#[test]
fn large_ones_that_come_once_displace_nothing() {
    let shared = Arc::new(SharedTokenCache::unattended(100_000));
    let worker = WorkerTokenCache::new(Arc::clone(&shared));
    remember(&worker, "known", 10_000);
    assert!(!is_found(&worker, "known"));
    remember(&worker, "known", 10_000);
    shared.store.make_changes();
    assert!(is_found(&worker, "known"), "it came twice");
    for number in 0..100 {
        remember(&worker, &format!("{number}-large"), 10_000);
    }
    assert!(shared.store.changes.len() < 3);
    shared.store.make_changes();
    assert!(is_found(&worker, "known"));
}

#[test]
fn a_token_is_verified_twice_at_most_however_many_workers_see_it() {
    let shared = Arc::new(SharedTokenCache::unattended(DEFAULT_CAPACITY_BYTES));
    let [first, second] = [(); 2].map(|()| WorkerTokenCache::new(Arc::clone(&shared)));
    remember(&first, "token", 10);
    let place = shared.place(b"token");
    let mut between = 0;
    // None of which is noted where it is noted that the token came.
    for other in (0..2000).map(|number| format!("{number}-new")) {
        if shared.place(other.as_bytes()).sighting(GROUPS) != place.sighting(GROUPS) {
            remember(&first, &other, 10);
            between += 1;
        }
    }
    assert!(between > 300 && !is_found(&second, "token"), "it is no newcomer any more");
    remember(&second, "token", 10);
    shared.store.make_changes();
    assert!(is_found(&first, "token") && is_found(&WorkerTokenCache::new(shared), "token"));
}

#[test]
fn a_newcomer_that_came_again_is_there_for_all() {
    let shared = Arc::new(SharedTokenCache::unattended(DEFAULT_CAPACITY_BYTES));
    let workers = [(); 4].map(|()| WorkerTokenCache::new(Arc::clone(&shared)));
    remember(&workers[0], "token", 10);
    // Nobody has made the change that the first of them asked for.
    assert!(workers.iter().all(|worker| is_found(worker, "token") && is_own(worker, "token")));
    shared.store.make_changes();
    assert!(is_found(&WorkerTokenCache::new(Arc::clone(&shared)), "token"));
    shared.forget(shared.place(b"token"));
    shared.store.make_changes();
    assert!(!is_found(&WorkerTokenCache::new(shared), "token"));
}

#[test]
fn what_nobody_verified_asks_for_no_lock() {
    let shared = Arc::new(SharedTokenCache::unattended(DEFAULT_CAPACITY_BYTES));
    let worker = WorkerTokenCache::new(Arc::clone(&shared));
    // As a newcomer of which nobody noted that it was verified.
    shared.welcome(shared.place(b"token"), b"token", found(10));
    assert!(!is_found(&worker, "token"));
    assert!(!shared.note(shared.place(b"token")) && !is_own(&worker, "token"), "a worker's own are its slots");
    assert!(is_found(&worker, "token") && is_own(&worker, "token"));
}
