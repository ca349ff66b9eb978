//! What compiling `[upstreams.*]` refuses, and what outlives a reload.

use super::{tls::Authority, *};

fn endpoints(upstreams: &Upstreams) -> Vec<Arc<Endpoint>> {
    upstreams.by_name("orders").unwrap().endpoints()
}

#[test]
fn what_did_not_change_is_the_same_after_a_reload() {
    let before = json!({ "endpoints": ["http://10.0.0.1:1", "http://10.0.0.2:2"], "balance": "round_robin" });
    let first = compiled(before.clone());
    let same = compiled_after(before.clone(), Some(&first));
    assert!(Arc::ptr_eq(&first.by_name("orders").unwrap(), &same.by_name("orders").unwrap()));

    let changed = json!({
        "endpoints": ["http://10.0.0.3:3", { "url": "http://10.0.0.2:2", "weight": 5 }], "max_connections": 9
    });
    let second = compiled_after(changed, Some(&first));
    assert!(!Arc::ptr_eq(&first.by_name("orders").unwrap(), &second.by_name("orders").unwrap()));
    assert!(Arc::ptr_eq(&endpoints(&first)[1], &endpoints(&second)[1]));
    assert!(!endpoints(&first).iter().any(|endpoint| Arc::ptr_eq(endpoint, &endpoints(&second)[0])));

    let watched = json!({
        "endpoints": ["http://10.0.0.1:1", "http://10.0.0.2:2"], "balance": "round_robin", "slow_start": "1s"
    });
    let third = compiled_after(watched, Some(&first));
    assert!(!Arc::ptr_eq(&first.by_name("orders").unwrap(), &third.by_name("orders").unwrap()));
    assert!(Arc::ptr_eq(&endpoints(&first)[0], &endpoints(&third)[0]));

    let spoken = compiled_after(json!({ "endpoints": ["http://10.0.0.2:2"], "protocol": "http2" }), Some(&first));
    assert!(!Arc::ptr_eq(&endpoints(&first)[1], &endpoints(&spoken)[0]));
}

#[test]
fn the_contents_of_certificate_files_are_part_of_what_may_change() {
    let authority = Authority::new();
    let settings = json!({ "endpoints": ["https://10.0.0.1"], "tls": { "ca": authority.path("ca.pem") } });
    let first = compiled(settings.clone());
    let same = compiled_after(settings.clone(), Some(&first));
    assert!(Arc::ptr_eq(&endpoints(&first)[0], &endpoints(&same)[0]));
    let other = std::fs::read_to_string(Authority::new().path("ca.pem")).unwrap();
    authority.write("ca.pem", &other);
    let changed = compiled_after(settings, Some(&first));
    assert!(!Arc::ptr_eq(&endpoints(&first)[0], &endpoints(&changed)[0]));
}

#[test]
fn connections_outlive_a_reload_and_those_of_endpoints_that_left_do_not() {
    run(async {
        let (staying, leaving) = (Recorder::start(Spoken::Http1).await, Recorder::start(Spoken::Http1).await);
        let both = [format!("http://{}", staying.address), format!("http://{}", leaving.address)];
        let first = compiled(json!({ "endpoints": both, "balance": "round_robin" }));
        let worker = Worker { upstream: first.by_name("orders").unwrap(), pools: WorkerPools::new(), _all: None };
        worker.get("/").await.unwrap();
        worker.get("/").await.unwrap();
        let held = worker.send(get("/held")).await.unwrap();
        let held_too = worker.send(get("/held")).await.unwrap();
        let second = compiled_after(json!({ "endpoints": [both[0].clone()] }), Some(&first));
        worker.pools.retain(&second);
        for held in [held, held_too] {
            held.response.body.collect().await.unwrap();
        }
        until(|| endpoints(&first)[1].counts().connections_open == 0).await;
        let after = Worker { upstream: second.by_name("orders").unwrap(), pools: worker.pools, _all: None };
        after.get("/").await.unwrap();
        assert_eq!((staying.record.connections.get(), staying.requests().len()), (1, 3));
        assert_eq!(leaving.record.connections.get(), 1);
        assert_eq!(after.counts().requests, 3);
    });
}

/// Every mistake, where it is said to be and what is said about it.
fn mistakes(upstream: Value) -> Vec<String> {
    let mut diagnostics = Diagnostics::new();
    let upstreams = compile(&config(upstream), None, &mut diagnostics);
    assert_eq!(upstreams.is_none(), diagnostics.has_errors());
    assert!(diagnostics.iter().all(|diagnostic| !diagnostic.remedy.is_empty() && !diagnostic.message.ends_with('.')));
    diagnostics.iter().map(|diagnostic| format!("{}: {}", diagnostic.path, diagnostic.message)).collect()
}

#[test]
fn every_mistake_is_found_and_said_where_it_is() {
    let authority = Authority::new();
    authority.issue("a");
    authority.issue("b");
    let junk = authority.write("junk.pem", "not a certificate");
    let broken = authority.write("broken.pem", "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n");
    let (ca, a, b_key) = (authority.path("ca.pem"), authority.path("a.pem"), authority.path("b.key"));
    let https = json!(["https://10.0.0.1"]);
    let http = json!(["http://10.0.0.1"]);
    let two = json!(["http://10.0.0.1", "http://10.0.0.2"]);
    for (upstream, expected) in [
        (json!({ "endpoints": [] }), "upstreams.orders.endpoints: an upstream without endpoints"),
        (
            json!({ "endpoints": [{ "url": "http://a", "weight": 0 }] }),
            "upstreams.orders.endpoints[0]: an endpoint of weight 0",
        ),
        (
            json!({ "endpoints": ["http://a", "http://b/path"] }),
            "upstreams.orders.endpoints[1]: an endpoint has no path",
        ),
        (
            json!({ "endpoints": ["http://a", "https://b"], "tls": { "ca": ca } }),
            "upstreams.orders.endpoints: some endpoints are http",
        ),
        (json!({ "endpoints": ["http://a", "http://A:80"] }), "upstreams.orders.endpoints[1]: a:80 is named twice"),
        (json!({ "endpoints": http, "tls": { "ca": ca } }), "upstreams.orders.tls: there is a `tls` table"),
        (json!({ "endpoints": http, "protocol": "auto" }), "upstreams.orders.protocol: without TLS"),
        (json!({ "endpoints": http, "max_connections": 0 }), "upstreams.orders.max_connections: with `max_conn"),
        (json!({ "endpoints": http, "max_requests": 0 }), "upstreams.orders.max_requests: with `max_requests = 0`"),
        (json!({ "endpoints": http, "wait_timeout": "0s" }), "upstreams.orders.wait_timeout: "),
        (json!({ "endpoints": http, "retry": { "attempts": 1 } }), "upstreams.orders.retry.attempts: "),
        (json!({ "endpoints": http, "retry": { "on": [] } }), "upstreams.orders.retry.on: without a cause"),
        (json!({ "endpoints": http, "retry": { "on": ["reset", 200] } }), "upstreams.orders.retry.on[1]: 200 is not"),
        (json!({ "endpoints": http, "connect_timeout": "0s" }), "upstreams.orders.connect_timeout: "),
        (json!({ "endpoints": http, "balance": { "hash": { "claim": "" } } }), "upstreams.orders.balance.hash.claim: "),
        (
            json!({ "endpoints": http, "health": { "path": "healthz" } }),
            "upstreams.orders.health.path: `healthz` cannot be asked for",
        ),
        (json!({ "endpoints": http, "health": { "path": "/a b" } }), "upstreams.orders.health.path: `/a b` cannot"),
        (json!({ "endpoints": http, "health": { "path": "/", "host": "a@b" } }), "upstreams.orders.health.host: "),
        (json!({ "endpoints": http, "health": { "path": "/", "host": "a/b" } }), "upstreams.orders.health.host: "),
        (
            json!({ "endpoints": http, "health": { "path": "/", "interval": "0s" } }),
            "upstreams.orders.health.interval: ",
        ),
        (json!({ "endpoints": http, "health": { "path": "/", "timeout": "0s" } }), "upstreams.orders.health.timeout: "),
        (
            json!({ "endpoints": http, "health": { "path": "/", "timeout": "6s" } }),
            "upstreams.orders.health.timeout: an endpoint that does not answer is asked less often",
        ),
        (
            json!({ "endpoints": http, "health": { "path": "/", "healthy_after": 0 } }),
            "upstreams.orders.health.healthy_",
        ),
        (
            json!({ "endpoints": http, "health": { "path": "/", "unhealthy_after": 0 } }),
            "upstreams.orders.health.unhealthy_",
        ),
        (
            json!({ "endpoints": http, "health": { "path": "/", "expect": [200, 99] } }),
            "upstreams.orders.health.expect[1]: nobody answers with status 99",
        ),
        (json!({ "endpoints": http, "outlier": {} }), "upstreams.orders.outlier: the only endpoint"),
        (json!({ "endpoints": two, "outlier": { "consecutive_failures": 0 } }), "upstreams.orders.outlier.consecutive"),
        (json!({ "endpoints": two, "outlier": { "statuses": [600] } }), "upstreams.orders.outlier.statuses[0]: nobody"),
        (json!({ "endpoints": two, "outlier": { "eject_for": "0s" } }), "upstreams.orders.outlier.eject_for: "),
        (
            json!({ "endpoints": two, "outlier": { "max_eject_for": "9s" } }),
            "upstreams.orders.outlier.max_eject_for: the longest time would be shorter than the first one, 10s",
        ),
        (json!({ "endpoints": two, "outlier": { "max_ejected": "0%" } }), "upstreams.orders.outlier.max_ejected: "),
        (json!({ "endpoints": two, "slow_start": "0s" }), "upstreams.orders.slow_start: "),
        (
            json!({ "endpoints": two, "slow_start": "1s", "balance": { "hash": "peer" } }),
            "upstreams.orders.slow_start: requests that a hash ties to an endpoint",
        ),
        (
            json!({ "endpoints": http, "balance": { "hash": { "header": "a b" } } }),
            "upstreams.orders.balance.hash.header: ",
        ),
        (
            json!({ "endpoints": https, "tls": { "ca": "/nowhere.pem" } }),
            "upstreams.orders.tls.ca: /nowhere.pem cannot be read",
        ),
        (json!({ "endpoints": https, "tls": { "ca": junk } }), "upstreams.orders.tls.ca: "),
        (json!({ "endpoints": https, "tls": { "ca": broken } }), "upstreams.orders.tls.ca: "),
        (
            json!({ "endpoints": https, "tls": { "ca": ca, "server_name": "not a name" } }),
            "upstreams.orders.tls.server_name: ",
        ),
        (
            json!({ "endpoints": https, "tls": { "ca": ca, "certificate": a } }),
            "upstreams.orders.tls.certificate: a client certificate",
        ),
        (
            json!({ "endpoints": https, "tls": { "ca": ca, "private_key": b_key } }),
            "upstreams.orders.tls.private_key: a private key",
        ),
        (
            json!({ "endpoints": https, "tls": { "ca": ca, "certificate": a, "private_key": b_key } }),
            "upstreams.orders.tls.private_key: certificate and private key do not go together",
        ),
        (
            json!({ "endpoints": https, "tls": { "ca": ca, "certificate": a, "private_key": a } }),
            &format!("upstreams.orders.tls.private_key: {} contains no private key", a.display()),
        ),
    ] {
        let found = mistakes(upstream.clone());
        assert!(found.len() == 1 && found[0].starts_with(expected), "{upstream}: {found:?}");
    }
}

#[test]
fn several_mistakes_are_found_at_once() {
    let found = mistakes(json!({
        "endpoints": ["ftp://a", { "url": "http://b:0", "weight": 0 }], "idle_timeout": "0s", "max_connections": 0
    }));
    assert_eq!(found.len(), 5, "{found:#?}");
}
