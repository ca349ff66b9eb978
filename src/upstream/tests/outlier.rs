//! Endpoints that fail requests: when they are left alone, and that never all of them are.

use std::thread;

use super::{super::tick::Tick, *};

fn upstream(count: usize, outlier: Value) -> Arc<Upstream> {
    let endpoints: Vec<String> = (0..count).map(|number| format!("http://10.0.0.{number}:80")).collect();
    compiled(json!({ "endpoints": endpoints, "outlier": outlier })).by_name("orders").unwrap()
}

fn fail(upstream: &Upstream, endpoint: usize, times: usize) {
    let endpoint = upstream.endpoints().remove(endpoint);
    for _ in 0..times {
        upstream.note(&endpoint, Outcome::Failed);
    }
}

fn ejected(upstream: &Upstream) -> Vec<usize> {
    let out = |endpoint: &Arc<Endpoint>| endpoint.availability().is_ejected(Tick::now());
    upstream
        .endpoints()
        .iter()
        .enumerate()
        .filter(|(_, endpoint)| out(endpoint))
        .map(|(position, _)| position)
        .collect()
}

#[test]
fn so_many_failures_in_a_row_put_an_endpoint_out() {
    let upstream = upstream(3, json!({ "consecutive_failures": 3, "statuses": [503] }));
    let first = upstream.endpoints().remove(0);
    for outcome in [
        Outcome::Failed,
        Outcome::Answered(503),
        Outcome::Answered(500),
        Outcome::Failed,
        Outcome::Failed,
        Outcome::Answered(200),
        Outcome::Answered(503),
        Outcome::Failed,
    ] {
        upstream.note(&first, outcome);
    }
    assert_eq!(ejected(&upstream), [0; 0]);
    upstream.note(&first, Outcome::Answered(503));
    assert_eq!((ejected(&upstream), first.ejections()), (vec![0], 1));
    let available: Vec<bool> = upstream.availability().map(|(_, is_available)| is_available).collect();
    assert_eq!(available, [false, true, true]);
}

#[test]
fn never_more_are_out_than_allowed_and_never_all() {
    for (count, max_ejected, expected) in [(1, "100%", 0), (2, "10%", 1), (2, "100%", 1), (4, "50%", 2), (5, "100%", 4)]
    {
        let upstream = upstream(count, json!({ "consecutive_failures": 1, "max_ejected": max_ejected }));
        for endpoint in 0..count {
            fail(&upstream, endpoint, 10);
        }
        assert_eq!(ejected(&upstream).len(), expected, "{max_ejected} of {count}");
        assert!(upstream.has_available());
    }
}

#[test]
fn workers_that_race_put_out_no_more_than_allowed() {
    for _ in 0..20 {
        let upstream = upstream(8, json!({ "consecutive_failures": 2, "max_ejected": "50%" }));
        thread::scope(|scope| {
            for worker in 0..4 {
                let upstream = &upstream;
                scope.spawn(move || {
                    for round in 0..200 {
                        fail(upstream, (round + worker) % 8, 1);
                    }
                });
            }
        });
        assert_eq!(ejected(&upstream).len(), 4);
    }
}

#[test]
fn the_last_one_that_is_well_is_not_put_out() {
    let upstream = compiled(json!({
        "endpoints": ["http://10.0.0.0:80", "http://10.0.0.1:80", "http://10.0.0.2:80"],
        "health": { "path": "/" },
        "outlier": { "consecutive_failures": 1, "max_ejected": "100%" },
    }))
    .by_name("orders")
    .unwrap();
    let thresholds = super::super::availability::Thresholds { healthy_after: 1, unhealthy_after: 1 };
    for (endpoint, is_well) in upstream.endpoints().iter().zip([true, false, true]) {
        endpoint.availability().note_answer(is_well, thresholds, Tick::now());
    }
    fail(&upstream, 0, 5);
    fail(&upstream, 2, 5);
    assert_eq!(ejected(&upstream), [0]);
}

#[test]
fn an_endpoint_that_stays_keeps_what_is_known_of_it_over_a_reload() {
    let settings = |more: &[&str]| {
        let endpoints: Vec<&str> = ["http://10.0.0.1:80", "http://10.0.0.2:80"].iter().chain(more).copied().collect();
        json!({ "endpoints": endpoints, "outlier": { "consecutive_failures": 1 }, "slow_start": "100s" })
    };
    let first = compiled(settings(&[]));
    fail(&first.by_name("orders").unwrap(), 1, 1);
    let second = compiled_after(settings(&["http://10.0.0.3:80"]), Some(&first));
    let upstream = second.by_name("orders").unwrap();
    assert_eq!(ejected(&upstream), [1]);
    let glance = upstream.vigilance.glance().unwrap();
    let shares: Vec<u64> = upstream.endpoints().iter().map(|endpoint| endpoint.availability().share(&glance)).collect();
    assert!(shares[0] == 1000 && shares[2] < 200, "the newcomer begins slowly: {shares:?}");
}
