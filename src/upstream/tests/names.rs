//! Endpoints that come and go with the addresses of a name.

use std::net::IpAddr;

use tokio::runtime::Handle;

use super::*;
use crate::upstream::names::{Family, Name};

/// An upstream with one name, of which nobody but the test says anything.
fn named(port: u16) -> Worker {
    let upstreams =
        compiled(json!({ "endpoints": [format!("http://orders.test:{port}")], "connect_timeout": "200ms" }));
    let upstream = upstreams.by_name("orders").unwrap();
    name_of(&upstream).tell(&upstream);
    Worker { upstream, pools: WorkerPools::new(), _all: None }
}

fn name_of(upstream: &Upstream) -> &Arc<Name> {
    upstream.members.names().next().unwrap()
}

fn ipv4(last: &[u8]) -> Vec<IpAddr> {
    last.iter().map(|last| IpAddr::from([127, 0, 0, *last])).collect()
}

fn labels(upstream: &Upstream) -> Vec<String> {
    upstream.endpoints().iter().map(|endpoint| endpoint.label().to_string()).collect()
}

#[test]
fn an_address_that_goes_is_let_go_of_at_once_and_what_is_under_way_there_goes_on() {
    run(async {
        for spoken in [Spoken::Http1, Spoken::Http2 { streams: 10 }] {
            let recorder = Recorder::start(spoken).await;
            let protocol = if spoken == Spoken::Http1 { "http1" } else { "http2" };
            let endpoint = format!("http://orders.test:{}", recorder.address.port());
            let upstream =
                compiled(json!({ "endpoints": [endpoint], "protocol": protocol })).by_name("orders").unwrap();
            let worker = Worker { upstream, pools: WorkerPools::new(), _all: None };
            let name = name_of(&worker.upstream);
            name.tell(&worker.upstream);
            name.learn(Family::Ipv4, ipv4(&[1]));
            worker.get("/").await.unwrap();
            let endpoint = worker.upstream.endpoints().remove(0);
            assert_eq!(endpoint.counts().connections_open, 1, "kept");
            let held = worker.send(get("/held")).await.unwrap();

            name.learn(Family::Ipv4, ipv4(&[9]));
            assert!(endpoint.has_left());
            let body = held.response.body.collect().await.unwrap().to_bytes();
            assert_eq!((&*body, endpoint.counts().requests), (&b"2"[..], 2), "{protocol}");
            until(|| endpoint.counts().connections_open == 0).await;

            // One that nobody used is closed as well, without a request that would notice.
            name.learn(Family::Ipv4, ipv4(&[1]));
            let again = worker.upstream.endpoints().remove(0);
            assert!(!Arc::ptr_eq(&again, &endpoint));
            worker.get("/").await.unwrap();
            assert_eq!(again.counts().connections_open, 1);
            name.learn(Family::Ipv4, ipv4(&[9]));
            until(|| again.counts().connections_open == 0).await;
        }
    });
}

#[test]
fn what_was_found_stays_until_something_else_is_found() {
    let worker = named(80);
    let name = name_of(&worker.upstream);
    let failures = [LookupError::NoAddress, LookupError::TimedOut, LookupError::NoName];
    name.learn(Family::Ipv4, ipv4(&[2, 3]));
    let first = worker.upstream.endpoints();
    for failure in failures {
        name.note_failure(failure);
        assert_eq!(labels(&worker.upstream), ["orders.test@127.0.0.2:80", "orders.test@127.0.0.3:80"]);
    }
    name.learn(Family::Ipv6, vec!["::1".parse().unwrap()]);
    assert_eq!(labels(&worker.upstream)[..2], ["orders.test@127.0.0.2:80", "orders.test@127.0.0.3:80"]);
    name.learn(Family::Ipv4, ipv4(&[3, 4]));
    let second = worker.upstream.endpoints();
    assert!(Arc::ptr_eq(&first[1], &second[0]), "an address that stays keeps its endpoint");
    assert!(first[0].has_left() && !first[1].has_left());
    name.learn(Family::Ipv4, ipv4(&[3, 4]));
    assert!(second.iter().zip(worker.upstream.endpoints()).all(|(one, same)| Arc::ptr_eq(one, &same)));
}

#[test]
fn a_request_waits_for_the_first_address_and_not_for_a_lookup_that_failed() {
    run(async {
        let recorder = Recorder::start(Spoken::Http1).await;
        let worker = named(recorder.address.port());
        let name = name_of(&worker.upstream);
        // Nobody says anything.
        let error = worker.get("/").await.unwrap_err();
        assert_eq!((error.reason(), error.fault()), ("upstream_connect_timeout", Fault::Upstream));
        // It is said while the request waits.
        let (answer, ()) = tokio::join!(worker.get("/"), async {
            tokio::task::yield_now().await;
            name.learn(Family::Ipv4, ipv4(&[1]));
        });
        answer.unwrap();

        let worker = named(recorder.address.port());
        let name = name_of(&worker.upstream);
        for (failure, words) in [
            (LookupError::NoAddress, "the name has no address"),
            (LookupError::TimedOut, "the name could not be looked up"),
        ] {
            name.note_failure(failure);
            let error = worker.get("/").await.unwrap_err();
            assert_eq!(error.reason(), "upstream_connect_failed");
            assert_eq!(error.source().unwrap().to_string(), words);
        }
        assert_eq!(recorder.requests().len(), 1);
        name.learn(Family::Ipv4, ipv4(&[1]));
        worker.get("/").await.unwrap();
    });
}

#[test]
fn names_outlive_a_reload_and_a_change_of_whom_to_ask_takes_no_address_away() {
    let upstream = |weight: u16| {
        let mut config = config(json!({ "endpoints": [{ "url": "http://orders.test:80", "weight": weight }] }));
        config.dns.servers = vec!["10.0.0.53:53".parse().unwrap()];
        config
    };
    let compiled = |config: &Config, previous: Option<&Upstreams>| {
        let upstreams = compile(config, previous, &mut Diagnostics::new()).unwrap();
        for upstream in upstreams.iter() {
            name_of(upstream).tell(upstream);
        }
        upstreams
    };
    let orders = |upstreams: &Upstreams| upstreams.by_name("orders").unwrap();
    let first = compiled(&upstream(1), None);
    name_of(&orders(&first)).learn(Family::Ipv4, ipv4(&[2]));
    let same = compiled(&upstream(1), Some(&first));
    assert!(Arc::ptr_eq(&orders(&first), &orders(&same)));
    let heavier = compiled(&upstream(2), Some(&first));
    assert!(!Arc::ptr_eq(&orders(&first), &orders(&heavier)));
    assert!(Arc::ptr_eq(name_of(&orders(&first)), name_of(&orders(&heavier))));
    let mut elsewhere = upstream(1);
    elsewhere.dns.servers = vec!["10.0.0.54:53".parse().unwrap()];
    let elsewhere = compiled(&elsewhere, Some(&first));
    assert!(!Arc::ptr_eq(name_of(&orders(&first)), name_of(&orders(&elsewhere))));
    for upstreams in [&heavier, &elsewhere] {
        assert!(Arc::ptr_eq(&orders(&first).endpoints()[0], &orders(upstreams).endpoints()[0]));
    }
    // Both the old and the new configuration hear of what is found.
    name_of(&orders(&first)).learn(Family::Ipv4, ipv4(&[3]));
    for upstreams in [&first, &heavier] {
        assert_eq!(labels(&orders(upstreams)), ["orders.test@127.0.0.3:80"]);
    }
    assert_eq!(labels(&orders(&elsewhere)), ["orders.test@127.0.0.2:80"]);
}

#[test]
fn only_names_in_force_are_looked_up_whoever_still_holds_the_others() {
    run(async {
        let of = |endpoint: &str| {
            let mut config = config(json!({ "endpoints": [endpoint] }));
            config.dns.servers = vec!["127.0.0.1:9".parse().unwrap()];
            config
        };
        let applied = |config: &Config, previous: Option<&Upstreams>| {
            let upstreams = compile(config, previous, &mut Diagnostics::new()).unwrap();
            upstreams.start(&Handle::current());
            upstreams
        };
        let looked_up = |upstreams: &Upstreams| {
            let name = Arc::downgrade(name_of(&upstreams.by_name("orders").unwrap()));
            // One is ours, one that of whoever starts and ends the lookups, one that of the task.
            move || name.weak_count() == 3
        };
        let first = applied(&of("http://orders.test:80"), None);
        let first_is_looked_up = looked_up(&first);
        assert!(first_is_looked_up());
        let same = applied(&of("http://orders.test:80"), Some(&first));
        assert!(first_is_looked_up(), "by one task still");
        let other = applied(&of("http://stock.test:80"), Some(&same));
        until(|| !first_is_looked_up()).await;
        let other_is_looked_up = looked_up(&other);
        drop((first, same));
        tokio::time::sleep(Duration::ZERO).await;
        assert!(other_is_looked_up());
    });
}
