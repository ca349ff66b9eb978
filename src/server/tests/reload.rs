//! What a listener keeps over a reload, and what it does not.

use std::{sync::Arc, time::Duration};

use tokio::io::AsyncReadExt;

use super::support::*;
use crate::{
    config::{AdminConfig, LimitsConfig, ListenerConfig},
    diagnostic::Diagnostics,
};

fn plain() -> ListenerConfig {
    listener(LimitsConfig::default())
}

fn names(names: &[Arc<str>]) -> Vec<&str> {
    names.iter().map(|name| &**name).collect()
}

fn errors(diagnostics: &Diagnostics) -> Vec<String> {
    diagnostics.iter().map(|diagnostic| format!("{}: {}", diagnostic.path, diagnostic.message)).collect()
}

#[tokio::test]
async fn listeners_come_and_go_and_the_others_do_not_notice() {
    let mut server = TestServer::start(&config([("public", plain())]));
    let address = server.address();
    let mut kept = server.connect().await;
    get(&mut kept, "/").await;
    server.arrived("/").await;

    let applied = server.reload(&config([("public", plain()), ("second", plain())]));
    assert_eq!((names(&applied.added), applied.changed.len(), applied.removed.len()), (vec!["second"], 0, 0));
    assert_eq!(server.address(), address);
    let second = server.server.address_of("second").unwrap();
    let mut on_second = tokio::net::TcpStream::connect(second).await.unwrap();
    assert_eq!(get(&mut on_second, "/who").await.body, "second http/1.1 127.0.0.1 None clear false");
    server.arrived("/who").await;
    send(&mut on_second, "GET /wait HTTP/1.1\r\nhost: a\r\n\r\n").await;
    server.arrived("/wait").await;

    let applied = server.reload(&config([("public", plain())]));
    assert_eq!(names(&applied.removed), ["second"]);
    soon(async {
        while tokio::net::TcpStream::connect(second).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    server.let_one_go();
    let last = answer(&mut on_second).await;
    assert_eq!(last.body, "waited");
    assert!(last.head.contains("connection: close"));
    assert!(closed(&mut on_second).await);
    assert_eq!(get(&mut kept, "/").await.status(), "200");
    assert_eq!(server.listener().counters().accepted(), 1);
}

#[tokio::test]
async fn new_settings_wait_until_they_are_applied() {
    let with = |headers| config([("public", listener(LimitsConfig { headers, ..LimitsConfig::default() }))]);
    let mut server = TestServer::start(&with(100));
    let (next, _) = compile(&with(3), Some(&server.listeners));
    let next = next.unwrap();
    assert_eq!(server.listener().settings().limits.headers, 100);
    assert_eq!(next.settings_of("public").unwrap().limits.headers, 3);
    assert!(Arc::ptr_eq(next.iter().next().unwrap(), &server.listener()));
    drop(next);
    let applied = server.reload(&with(3));
    assert_eq!(names(&applied.changed), ["public"]);
    assert_eq!(server.listener().settings().limits.headers, 3);
    assert_eq!(server.reload(&with(3)).changed.len(), 0);
}

#[tokio::test]
async fn an_address_that_cannot_be_had_changes_nothing() {
    let mut server = TestServer::start(&config([("public", plain())]));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let blocked = ListenerConfig { address: taken.local_addr().unwrap(), ..plain() };
    let next = config([("another", plain()), ("blocked", blocked)]);
    let (next, _) = compile(&next, Some(&server.listeners));
    let error = server.server.apply(&next.unwrap(), GRACE).unwrap_err();
    assert_eq!(&*error.listener, "blocked");
    assert!(server.server.address_of("another").is_none());
    let mut stream = server.connect().await;
    assert_eq!(get(&mut stream, "/").await.status(), "200");
    server.arrived("/").await;
}

#[tokio::test]
async fn a_renamed_listener_takes_over_its_address() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let at = ListenerConfig { address: free, ..plain() };
    let mut server = TestServer::start(&config([("old", at.clone())]));
    let mut old = tokio::net::TcpStream::connect(free).await.unwrap();
    assert!(get(&mut old, "/who").await.body.starts_with("old "));
    server.reload(&config([("new", at)]));
    assert!(soon(old.read_u8()).await.is_err());
    let mut new = tokio::net::TcpStream::connect(free).await.unwrap();
    assert!(get(&mut new, "/who").await.body.starts_with("new "));
}

#[tokio::test]
async fn an_upgrade_on_a_removed_listener_is_cut_when_its_time_is_over() {
    let mut server = TestServer::start(&config([("public", plain()), ("second", plain())]));
    let second = server.server.address_of("second").unwrap();
    let mut upgraded = tokio::net::TcpStream::connect(second).await.unwrap();
    send(&mut upgraded, "GET /upgrade HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n").await;
    assert_eq!(answer(&mut upgraded).await.status(), "101");
    let (next, _) = compile(&config([("public", plain())]), Some(&server.listeners));
    let removed = Arc::clone(server.listeners.iter().nth(1).unwrap());
    server.listeners = next.unwrap();
    server.server.apply(&server.listeners, Duration::from_millis(100)).unwrap();
    assert!(closed(&mut upgraded).await);
    eventually(|| removed.connections_open() == 0).await;
    assert_eq!(removed.counters().cut(), 1);
}

#[test]
fn an_address_belongs_to_one_listener() {
    let at = |address: &str| ListenerConfig { address: address.parse().unwrap(), ..plain() };
    let mut raw = config([
        ("a", at("127.0.0.1:8443")),
        ("b", at("127.0.0.1:8443")),
        ("c", at("127.0.0.1:9090")),
        ("d", at("127.0.0.1:0")),
        ("e", at("127.0.0.1:0")),
    ]);
    raw.admin = Some(AdminConfig { address: "127.0.0.1:9090".parse().unwrap(), token: None });
    let (listeners, diagnostics) = compile(&raw, None);
    assert!(listeners.is_none());
    assert_eq!(
        errors(&diagnostics),
        [
            "listeners.b.address: 127.0.0.1:8443 is the address of listener `a` already",
            "listeners.c.address: 127.0.0.1:9090 is the address of the admin listener already",
        ]
    );
}

#[test]
fn addresses_that_take_in_each_other_overlap() {
    let at = |address: &str| ListenerConfig { address: address.parse().unwrap(), ..plain() };
    for (one, other, fit) in [
        ("127.0.0.1:80", "127.0.0.2:80", true),
        ("127.0.0.1:80", "0.0.0.0:81", true),
        ("127.0.0.1:80", "0.0.0.0:80", false),
        ("[::]:80", "127.0.0.1:80", false),
        ("[::1]:80", "0.0.0.0:80", true),
        ("[::1]:80", "[::]:80", false),
        ("0.0.0.0:0", "127.0.0.1:0", true),
    ] {
        let (listeners, diagnostics) = compile(&config([("one", at(one)), ("other", at(other))]), None);
        assert_eq!(listeners.is_some(), fit, "{one} {other} {diagnostics:?}");
    }
}

#[test]
fn no_listener_is_no_configuration() {
    let (listeners, diagnostics) = compile(&config([]), None);
    assert!(listeners.is_none());
    assert_eq!(diagnostics.error_count(), 1);
}

#[test]
fn proxies_are_trusted_by_network() {
    let raw = ListenerConfig { trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()], ..plain() };
    let (listeners, _) = compile(&config([("public", raw)]), None);
    let listeners = listeners.unwrap();
    let settings = listeners.settings_of("public").unwrap();
    assert!(settings.trusts("10.1.2.3".parse().unwrap()) && settings.trusts("::ffff:10.1.2.3".parse().unwrap()));
    assert!(!settings.trusts("11.1.2.3".parse().unwrap()));
    assert_eq!(settings.limits.idle_timeout, Duration::from_secs(75));
}
