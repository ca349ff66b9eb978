//! What a reload leaves alone: listeners, connections, keys, upstream connections, verified tokens.

use std::time::Duration;

use http::Method;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::support::{
    client::{HttpClient, request},
    gateway::Gateway,
    issuer::{Conduct, ScriptedIssuer},
    lone_connection::Connection,
    scoped::{Scoped, metric},
    wait::{PATIENCE, until},
};

/// Longer than any reload takes, and shorter than the 10 s for which a start would wait for keys.
const SOON: Duration = Duration::from_secs(6);

/// Reloads by the admin API and gives the answer.
async fn reload(gateway: &Gateway) -> Value {
    let reload = request(Method::POST, &gateway.admin_url("/api/v1/reload"), None);
    let answer = timeout(SOON, HttpClient::http1().send(reload)).await.expect("nothing holds up a reload");
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

const CONNECTIONS: &str = "postern_listener_connections_total{listener=\"public\"}";

#[tokio::test]
async fn a_listener_that_stays_never_rebinds_and_its_connections_go_on() {
    let scoped = Scoped::start().await;
    let gateway = scoped.builder("a").start().await;
    let address = gateway.address();
    let mut http1 = Connection::http1(address).await.unwrap();
    let mut http2 = Connection::http2(address).await.unwrap();
    // A request that is half sent when the rules change is decided by the new ones.
    let mut half = TcpStream::connect(address).await.unwrap();
    half.write_all(b"GET /x HTTP/1.1\r\nhost: a\r\n").await.unwrap();
    for connection in [&mut http1, &mut http2] {
        assert_eq!(connection.get("/x", Some(&scoped.token("a"))).await.unwrap().status, 200);
    }
    // The listener's own limits change with the rules.
    gateway.edit("scopes = [\"a\"]", "scopes = [\"b\"]");
    gateway.edit("[admin]", "[listeners.public.limits]\nbody_bytes = \"1MiB\"\n[admin]");
    reload(&gateway).await;

    for connection in [&mut http1, &mut http2] {
        assert_eq!(connection.get("/x", Some(&scoped.token("a"))).await.unwrap().status, 403);
        assert_eq!(connection.get("/x", Some(&scoped.token("b"))).await.unwrap().status, 200);
        assert!(connection.is_open());
    }
    let rest = format!("authorization: Bearer {}\r\nconnection: close\r\n\r\n", scoped.token("b"));
    half.write_all(rest.as_bytes()).await.unwrap();
    let mut answer = String::new();
    half.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(gateway.address(), address);
    assert_eq!(metric(&gateway, CONNECTIONS).await, 3.0, "nobody had to connect again");
}

#[tokio::test]
async fn listeners_come_and_go_and_what_is_under_way_there_is_finished() {
    let scoped = Scoped::start().await;
    let gateway = scoped.builder("a").start().await;
    let mut staying = Connection::http1(gateway.address()).await.unwrap();
    assert_eq!(staying.get("/x", Some(&scoped.token("a"))).await.unwrap().status, 200);
    let second = "[listeners.second]\naddress = \"127.0.0.1:0\"\n[admin]";
    gateway.edit("[admin]", second);
    let answer = reload(&gateway).await;
    assert!(answer["changes"] == serde_json::json!(["listener second: added"]) || answer["generation"] == 3);
    let address = gateway.running().address("second").expect("bound");
    let mut leaving = Connection::http1(address).await.unwrap();
    assert_eq!(leaving.get("/x", Some(&scoped.token("a"))).await.unwrap().status, 200);

    scoped.upstream.hold();
    let before = scoped.upstream.count();
    let token = scoped.token("a");
    let under_way = tokio::spawn(async move {
        let answer = leaving.get("/x", Some(&token)).await;
        (answer, leaving)
    });
    until("the request to arrive", async || (scoped.upstream.count() > before).then_some(())).await;
    gateway.edit(second, "[admin]");
    reload(&gateway).await;
    assert!(gateway.running().address("second").is_none());
    until("the end of accepting", async || TcpStream::connect(address).await.is_err().then_some(())).await;
    scoped.upstream.release();
    let (answer, leaving) = under_way.await.unwrap();
    assert_eq!(answer.expect("it was under way").status, 200);
    timeout(PATIENCE, leaving.closed()).await.expect("closed").expect("in order");
    assert_eq!(staying.get("/x", Some(&scoped.token("a"))).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_listener_that_only_gets_another_name_stays_reachable() {
    let scoped = Scoped::start().await;
    let gateway = scoped.builder("a").start().await;
    let address = gateway.address();
    gateway.edit(
        "[listeners.public]\naddress = \"127.0.0.1:0\"",
        &format!("[listeners.outside]\naddress = \"{address}\""),
    );
    reload(&gateway).await;
    assert_eq!(gateway.running().address("outside"), Some(address));
    let client = HttpClient::http1();
    for _ in 0..20 {
        let answer = client.get(&format!("http://{address}/x"), Some(&scoped.token("a"))).await;
        assert_eq!(answer.status, 200);
    }
}

#[tokio::test]
async fn an_issuer_that_is_down_holds_up_no_reload() {
    let scoped = Scoped::start().await;
    let gateway = scoped.builder("a").start().await;
    let down = ScriptedIssuer::start(&[&scoped.key]).await;
    down.conduct(Conduct::Slow(Duration::from_secs(3600)));
    let added = format!(
        "[issuers.down]\nissuer = \"{}\"\naudience = \"https://api.test/orders\"\n[issuers.down.key_set]\n\
         startup = \"require\"\n[upstreams.orders]",
        down.name()
    );
    gateway.edit("[upstreams.orders]", &added);
    gateway.edit("scopes = [\"a\"]", "scopes = [\"b\"]");
    reload(&gateway).await;
    let client = HttpClient::http1();
    assert_eq!(client.get(&gateway.url("/x"), Some(&scoped.token("b"))).await.status, 200);
    until("the fetch of its keys", async || (down.key_fetches() > 0).then_some(())).await;
    let readiness = client.get(&gateway.admin_url("/readyz"), None).await;
    assert_eq!(readiness.status, 503);
    assert_eq!(readiness.json()["missing"][0]["name"], "down");
}

#[tokio::test]
async fn an_unchanged_issuer_keeps_its_keys_over_reloads() {
    let scoped = Scoped::start().await;
    let gateway = scoped.builder("a").start().await;
    let client = HttpClient::http1();
    assert_eq!(client.get(&gateway.url("/x"), Some(&scoped.token("a"))).await.status, 200);
    let fetches = scoped.issuer.key_fetches();
    scoped.issuer.conduct(Conduct::Fails(http::StatusCode::INTERNAL_SERVER_ERROR));
    for (from, to) in [("a", "b"), ("b", "a"), ("a", "b")] {
        gateway.edit(&format!("scopes = [\"{from}\"]"), &format!("scopes = [\"{to}\"]"));
        reload(&gateway).await;
        // A token that was never seen needs the keys.
        assert_eq!(client.get(&gateway.url("/x"), Some(&scoped.token(to))).await.status, 200);
    }
    // What only routes know about an issuer is no reason to fetch its keys either.
    gateway.edit("audience = \"https://api.test/orders\"", "audience = \"https://api.test/orders\"\nleeway = \"30s\"");
    reload(&gateway).await;
    assert_eq!(client.get(&gateway.url("/x"), Some(&scoped.token("b c"))).await.status, 200);
    assert_eq!(scoped.issuer.key_fetches(), fetches);
}

#[tokio::test]
async fn upstream_connections_and_verified_tokens_are_kept_over_reloads() {
    let scoped = Scoped::start().await;
    let gateway = scoped.builder("a").start().await;
    // One connection is served by one worker, which has connections of its own.
    let mut connection = Connection::http1(gateway.address()).await.unwrap();
    let token = scoped.token("a b");
    assert_eq!(connection.get("/x", Some(&token)).await.unwrap().status, 200);
    assert_eq!(scoped.upstream.connections(), 1);
    let misses = metric(&gateway, "postern_token_cache_misses_total").await;
    let hits = metric(&gateway, "postern_token_cache_hits_total").await;
    for (from, to) in [("a", "b"), ("b", "a"), ("a", "b"), ("b", "a")] {
        gateway.edit(&format!("scopes = [\"{from}\"]"), &format!("scopes = [\"{to}\"]"));
        reload(&gateway).await;
        assert_eq!(connection.get("/x", Some(&token)).await.unwrap().status, 200);
    }
    assert_eq!(scoped.upstream.connections(), 1, "the pool outlived the reloads");
    assert_eq!(metric(&gateway, "postern_token_cache_misses_total").await, misses);
    assert_eq!(metric(&gateway, "postern_token_cache_hits_total").await, hits + 4.0);

    // The control: an endpoint that changed is connected to anew.
    gateway.edit("[\"${UPSTREAM}\"]", &format!("[\"http://localhost:{}\"]", scoped.upstream.address.port()));
    reload(&gateway).await;
    assert_eq!(connection.get("/x", Some(&token)).await.unwrap().status, 200);
    assert_eq!(scoped.upstream.connections(), 2);
}
