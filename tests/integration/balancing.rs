//! Several endpoints: how requests are spread, and what happens when one is dead.

use std::{collections::HashMap, sync::Arc, time::Duration};

use http::{Method, Response};
use http_body_util::Full;
use tokio::sync::Semaphore;

use crate::support::{
    client::{Answer, HttpClient, request},
    connection::{bytes, empty},
    corp::{Corp, ROUTE},
    gateway::Gateway,
    raw_socket::{RawSocket, listen, url_of},
    served_upstream::ServedUpstream,
    upstream::RecordedUpstream,
};

/// Upstreams that answer with their number, and a gateway that has them as endpoints of one upstream.
struct Scene {
    corp: Corp,
    upstreams: Vec<RecordedUpstream>,
    gateway: Gateway,
    client: HttpClient,
}

/// `endpoints` is the list in the configuration, with `{0}` and so on for the addresses; `keys` are further keys.
async fn balanced(count: usize, endpoints: &str, keys: &str) -> Scene {
    let corp = Corp::start().await;
    let mut upstreams = Vec::new();
    let mut endpoints = endpoints.to_owned();
    for number in 0..count {
        let name = number.to_string();
        let upstream = RecordedUpstream::answering(move |_| Response::new(Full::from(name.clone()))).await;
        endpoints = endpoints.replace(&format!("{{{number}}}"), &upstream.url());
        upstreams.push(upstream);
    }
    let gateway = gateway_before(&corp, &endpoints, keys).await;
    Scene { corp, upstreams, gateway, client: HttpClient::http1() }
}

/// One worker: each has a turn and connections of its own.
async fn gateway_before(corp: &Corp, endpoints: &str, keys: &str) -> Gateway {
    let config = format!("{ROUTE}[upstreams.orders]\nendpoints = [{endpoints}]\n{keys}\n");
    corp.gateway(&config).start().await
}

impl Scene {
    async fn ask(&self) -> Answer {
        self.client.get(&self.gateway.url("/a"), Some(&self.corp.token())).await
    }

    fn counts(&self) -> Vec<usize> {
        self.upstreams.iter().map(RecordedUpstream::count).collect()
    }
}

#[tokio::test]
async fn least_requests_spreads_and_avoids_the_busy() {
    let scene = balanced(3, r#""{0}", "{1}", "{2}""#, "").await;
    for _ in 0..120 {
        assert_eq!(scene.ask().await.status, 200);
    }
    let counts = scene.counts();
    // With equal loads the choice is random: less than 10 of 120 has a probability of about 1e-10.
    assert!(counts.iter().all(|count| *count >= 10), "{counts:?}");
    assert_eq!(counts.iter().sum::<usize>(), 120);

    // One that holds requests back gets no further ones while the other is free.
    let corp = Corp::start().await;
    let gate = Arc::new(Semaphore::new(0));
    let waiting = Arc::clone(&gate);
    let stuck = ServedUpstream::start(move |_| {
        let waiting = Arc::clone(&waiting);
        async move {
            waiting.acquire().await.expect("open").forget();
            Response::new(empty())
        }
    })
    .await;
    let free = RecordedUpstream::start().await;
    let gateway = gateway_before(&corp, &format!("\"{}\", \"{}\"", stuck.url(), free.url()), "").await;
    let client = HttpClient::http1();
    let mut held = Vec::new();
    for number in 0..40 {
        let (client, url, token) = (client.clone(), gateway.url("/a"), corp.token());
        let mut asked = tokio::spawn(async move { client.get(&url, Some(&token)).await.status.as_u16() });
        let arrived = async {
            while stuck.requests() == 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        if held.is_empty() {
            // Until the first one is stuck, both are as free.
            tokio::select! {
                status = &mut asked => assert_eq!(status.expect("no panic"), 200),
                () = arrived => held.push(asked),
            }
        } else {
            assert_eq!(asked.await.expect("no panic"), 200, "number {number}");
        }
    }
    assert_eq!(stuck.requests(), 1);
    gate.add_permits(1);
    for asked in held {
        assert_eq!(asked.await.expect("no panic"), 200);
    }
}

#[tokio::test]
async fn round_robin_keeps_to_the_weights() {
    let endpoints = r#"{ url = "{0}", weight = 3 }, "{1}", { url = "{2}", weight = 2 }"#;
    let scene = balanced(3, endpoints, "balance = \"round_robin\"").await;
    for _ in 0..60 {
        assert_eq!(scene.ask().await.status, 200);
    }
    assert_eq!(scene.counts(), [30, 10, 20]);
}

#[tokio::test]
async fn a_hash_sticks_to_its_endpoint_and_different_values_are_spread() {
    let endpoints = r#""{0}", "{1}", "{2}", "{3}""#;
    for (keys, by_claim) in
        [("balance.hash.claim = \"tenant_id\"", true), ("balance.hash.header = \"x-tenant\"", false)]
    {
        let scene = balanced(4, endpoints, keys).await;
        let mut homes: HashMap<String, String> = HashMap::new();
        for round in 0..3 {
            for number in 0..24 {
                let tenant = format!("tenant-{number}");
                let token = scene.corp.token_with(|claims| {
                    if by_claim {
                        claims["tenant_id"] = tenant.clone().into();
                    }
                });
                let mut asked = request(Method::GET, &scene.gateway.url("/a"), Some(&token));
                if !by_claim {
                    asked.headers_mut().insert("x-tenant", tenant.parse().expect("a value"));
                }
                // Connections of its own each time, so that other workers decide too.
                let answered = HttpClient::http1().send(asked).await.text();
                let home = homes.entry(tenant.clone()).or_insert_with(|| answered.clone());
                assert_eq!(*home, answered, "{tenant} in round {round} by {keys}");
            }
        }
        let counts = scene.counts();
        assert!(counts.iter().filter(|count| **count > 0).count() >= 3, "{counts:?}");
    }
}

#[tokio::test]
async fn nobody_notices_a_dead_endpoint() {
    let dead = url_of(&listen().await);
    for balance in ["least_requests", "round_robin"] {
        let endpoints = format!("\"{dead}\", \"{{0}}\", \"{{1}}\"");
        let scene = balanced(2, &endpoints, &format!("balance = \"{balance}\"")).await;
        for number in 0..30 {
            let asked = Method::POST;
            let mut asked = request(asked, &scene.gateway.url("/a"), Some(&scene.corp.token()));
            *asked.body_mut() = Full::from("written once");
            assert_eq!(scene.client.send(asked).await.status, 200, "{balance} {number}");
        }
        assert_eq!(scene.counts().iter().sum::<usize>(), 30, "{balance}");
        assert!(
            scene.upstreams.iter().all(|upstream| upstream.requests().iter().all(|seen| seen.body == "written once"))
        );
        let metrics = scene.client.get(&scene.gateway.admin_url("/metrics"), None).await.text();
        let failures = metrics.lines().find(|line| {
            line.starts_with("postern_upstream_connect_failures_total")
                && line.contains(dead.trim_start_matches("http://"))
        });
        assert!(failures.is_some_and(|line| !line.ends_with(" 0")), "{balance}: {failures:?}");
    }
}

#[tokio::test]
async fn if_all_are_dead_it_is_said() {
    let (one, other) = (url_of(&listen().await), url_of(&listen().await));
    let corp = Corp::start().await;
    let gateway = gateway_before(&corp, &format!("\"{one}\", \"{other}\""), "").await;
    let client = HttpClient::http1();
    let answer = client.get(&gateway.url("/a"), Some(&corp.token())).await;
    assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (502, "upstream_connect_failed"));
    // The control: somebody comes to live at one of the addresses.
    let listener = tokio::net::TcpListener::bind(one.trim_start_matches("http://")).await.expect("still free");
    let (url, token) = (gateway.url("/a"), corp.token());
    let asked = tokio::spawn(async move { client.get(&url, Some(&token)).await.status.as_u16() });
    let mut upstream = RawSocket::accept(&listener).await;
    upstream.head().await;
    upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(asked.await.expect("no panic"), 200);
}

#[tokio::test]
async fn nothing_is_sent_twice() {
    let corp = Corp::start().await;
    let reading = listen().await;
    let other = ServedUpstream::start(|_| async { Response::new(bytes("other")) }).await;
    // The other endpoint is there to be tempted by, but so light that it is never drawn first.
    let endpoints =
        format!("{{ url = \"{}\", weight = 60000 }}, {{ url = \"{}\", weight = 1 }}", url_of(&reading), other.url());
    let gateway = gateway_before(&corp, &endpoints, "balance = \"round_robin\"").await;
    let client = HttpClient::http1();
    let mut asked = request(Method::POST, &gateway.url("/a"), Some(&corp.token()));
    *asked.body_mut() = Full::from("pay once");
    let answer = tokio::spawn(async move { client.send(asked).await });
    let mut upstream = RawSocket::accept(&reading).await;
    upstream.head().await;
    assert_eq!(upstream.exactly(8).await, b"pay once");
    // Letting go with everything read closes in order; the gateway sees an end instead of an answer.
    drop(upstream);
    let answer = answer.await.expect("no panic");
    assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (502, "upstream_reset"));
    assert_eq!(other.requests(), 0);
    let again = tokio::time::timeout(Duration::from_millis(300), reading.accept()).await;
    assert!(again.is_err(), "it was tried again");
}

#[tokio::test]
async fn a_connection_that_was_closed_while_it_was_kept_costs_no_request() {
    let corp = Corp::start().await;
    let listener = listen().await;
    let gateway = gateway_before(&corp, &format!("\"{}\"", url_of(&listener)), "").await;
    let token = corp.token();
    let mut downstream = RawSocket::connect(gateway.address()).await;
    for _ in 0..5 {
        downstream
            .send(format!(
                "POST /a HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\ncontent-length: 2\r\n\r\nhi"
            ))
            .await;
        let mut upstream = RawSocket::accept(&listener).await;
        upstream.head().await;
        assert_eq!(upstream.exactly(2).await, b"hi");
        // It says nothing of closing, and closes.
        upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        drop(upstream);
        assert!(downstream.head().await.starts_with("HTTP/1.1 200 "));
    }
}
