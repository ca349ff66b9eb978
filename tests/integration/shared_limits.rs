//! Limits that replicas count together in Redis, and what becomes of them when it is slow or away. Without a Redis
//! (`scripts/with-redis`) there is nothing to see.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use super::command_line::postern;
use crate::support::{
    certificates::{Authority, Identity},
    client::HttpClient,
    gateway::{Gateway, GatewayBuilder},
    launch::write,
    observe::{metric, reload},
    process::PosternProcess,
    redis::{OwnRedis, RedisRelay, command, fresh_prefix, server},
    upstream::RecordedUpstream,
    wait::until,
};

const CONFIG: &str = r#"
[upstreams.orders]
endpoints = ["${UPSTREAM}"]
[routes.all]
path = "/all"
upstream = "orders"
public = true
limit = { requests = 10, per = "1d", by = "route" }
[routes.peer]
path = "/peer"
upstream = "orders"
public = true
limit = { requests = 1_000_000, per = "1d", by = "peer" }
[shared]
redis = "redis://${REDIS}/0"
timeout = "${TIMEOUT}"
prefix = "${PREFIX}"
"#;

/// What a caller may wait at most, where a gateway waits 100 ms for Redis: generous, since other tests run beside.
const BOUNDED: Duration = Duration::from_secs(2);

async fn replica(redis: &str, timeout: &str, prefix: &str, upstream: &RecordedUpstream) -> Gateway {
    let builder = GatewayBuilder::new(CONFIG).upstream(upstream).variable("REDIS", redis);
    let gateway = builder.variable("TIMEOUT", timeout).variable("PREFIX", prefix).start().await;
    until_reachable(&gateway, 1.0).await;
    gateway
}

async fn until_reachable(gateway: &Gateway, value: f64) {
    let reachable = || metric(gateway, "postern_shared_limits_reachable", &[]);
    until("reachable or not", || async { (reachable().await == value).then_some(()) }).await;
}

async fn statuses(gateway: &Gateway, path: &str, count: usize) -> Vec<u16> {
    let (client, mut statuses) = (HttpClient::http1(), Vec::new());
    for _ in 0..count {
        statuses.push(client.get(&gateway.url(path), None).await.status.as_u16());
    }
    statuses
}

fn passed(statuses: &[u16]) -> usize {
    statuses.iter().filter(|status| **status == 200).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_let_through_together_what_the_limit_says() {
    let Some(server) = server() else { return };
    let (prefix, upstream) = (fresh_prefix(), RecordedUpstream::start().await);
    let replicas = [
        replica(&server, "5s", &prefix, &upstream).await,
        replica(&server, "5s", &prefix, &upstream).await,
        replica(&server, "5s", &prefix, &upstream).await,
    ];
    let mut asking = JoinSet::new();
    for number in 0..30 {
        let url = replicas[number % 3].url("/all");
        asking.spawn(async move { HttpClient::http1().get(&url, None).await.status.as_u16() });
    }
    assert_eq!(passed(&asking.join_all().await), 10);
    assert_eq!(upstream.count(), 10);
    // Who has not refused anything itself tells how it stands for all.
    let answer = HttpClient::http1().get(&replicas[0].url("/all"), None).await;
    assert_eq!((answer.status.as_u16(), answer.header("ratelimit-remaining")), (429, "0"));
    assert!((8000..=8640).contains(&answer.header("retry-after").parse::<u32>().unwrap()));
    let apart = replica(&server, "5s", &fresh_prefix(), &upstream).await;
    assert_eq!(statuses(&apart, "/all", 1).await, [200], "the control: another prefix");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_away_each_counts_alone_and_nobody_waits() {
    let Some(server) = server() else { return };
    let (prefix, upstream) = (fresh_prefix(), RecordedUpstream::start().await);
    let relay = RedisRelay::to(&server).await;
    let one = replica(&relay.address, "2s", &prefix, &upstream).await;
    let other = replica(&server, "2s", &prefix, &upstream).await;
    assert_eq!(passed(&statuses(&other, "/all", 6).await), 6);
    assert_eq!(passed(&statuses(&one, "/all", 2).await), 2);
    relay.go_away();
    until_reachable(&one, 0.0).await;
    let begun = Instant::now();
    // Together two were left; alone this one has let through two of ten.
    assert_eq!(passed(&statuses(&one, "/all", 20).await), 8);
    assert!(begun.elapsed() < BOUNDED, "{:?}", begun.elapsed());
    assert!(metric(&one, "postern_shared_limits_failures_total", &[("reason", "skipped")]).await >= 8.0);
    assert!(metric(&one, "postern_shared_limits_failures_total", &[("reason", "broken_off")]).await >= 1.0);
    assert_eq!(passed(&statuses(&other, "/all", 5).await), 2, "what others count goes on");
    relay.come_back();
    until_reachable(&one, 1.0).await;
    let answer = HttpClient::http1().get(&one.url("/peer"), None).await;
    let elsewhere = HttpClient::http1().get(&other.url("/peer"), None).await;
    assert_eq!((answer.header("ratelimit-remaining"), elsewhere.header("ratelimit-remaining")), ("999999", "999998"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_redis_holds_up_few_and_them_not_long() {
    let Some(server) = server() else { return };
    let upstream = RecordedUpstream::start().await;
    let relay = RedisRelay::to(&server).await;
    let gateway = replica(&relay.address, "100ms", &fresh_prefix(), &upstream).await;
    relay.delay(Duration::from_secs(3600));
    let mut asking = JoinSet::new();
    for _ in 0..50 {
        let url = gateway.url("/peer");
        asking.spawn(async move {
            let begun = Instant::now();
            (HttpClient::http1().get(&url, None).await.status.as_u16(), begun.elapsed())
        });
    }
    for (status, took) in asking.join_all().await {
        assert!(status == 200 && took < BOUNDED, "{status} {took:?}");
    }
    let begun = Instant::now();
    assert_eq!(passed(&statuses(&gateway, "/peer", 50).await), 50);
    assert!(begun.elapsed() < BOUNDED, "{:?}", begun.elapsed());
    assert!(metric(&gateway, "postern_shared_limits_failures_total", &[("reason", "timed_out")]).await >= 1.0);
    relay.delay(Duration::ZERO);
    until_reachable(&gateway, 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_takes_up_where_replicas_count_and_leaves_it_off() {
    let Some(server) = server() else { return };
    let upstream = RecordedUpstream::start().await;
    let relay = RedisRelay::to(&server).await;
    let gateway = replica(&relay.address, "2s", &fresh_prefix(), &upstream).await;
    // Subscriptions have connections of their own, which may be a moment later.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let made = relay.made();
    assert!(made >= 1);
    gateway.edit("path = \"/all\"", "path = \"/all/of/them\"");
    assert_eq!(reload(&gateway).await.status, 200);
    assert_eq!(passed(&statuses(&gateway, "/all/of/them", 1).await), 1, "the reload took effect");
    assert_eq!((relay.made(), relay.open()), (made, made), "the same settings, the same connections");
    gateway.edit("timeout = \"${TIMEOUT}\"", "timeout = \"3s\"");
    assert_eq!(reload(&gateway).await.status, 200);
    until_reachable(&gateway, 1.0).await;
    assert!(relay.made() > made, "other settings, another connection");
    gateway.edit("[shared]\nredis = \"redis://${REDIS}/0\"\ntimeout = \"3s\"\nprefix = \"${PREFIX}\"\n", "");
    assert_eq!(reload(&gateway).await.status, 200);
    // Workers let go of a snapshot at their next request, or when they are told.
    until("nobody is connected any more", || async { (relay.open() == 0).then_some(()) }).await;
    let text = HttpClient::http1().get(&gateway.admin_url("/metrics"), None).await.text();
    assert!(!text.contains("\npostern_shared_limits_reachable "), "{text}");
    assert_eq!(passed(&statuses(&gateway, "/all/of/them", 20).await), 9, "this replica's own count goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn going_and_coming_back_is_logged_once_and_the_url_never() {
    let Some(server) = server() else { return };
    let upstream = RecordedUpstream::start().await;
    let relay = RedisRelay::to(&server).await;
    let address = relay.address.clone();
    let config = CONFIG.replace("redis://${REDIS}/0", "redis://:canary-password@${REDIS}/0");
    let listeners = "[listeners.public]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"127.0.0.1:0\"\n";
    let variables =
        [("UPSTREAM", upstream.url()), ("REDIS", address), ("TIMEOUT", "1s".to_owned()), ("PREFIX", fresh_prefix())];
    let environment: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    // The server of the tests has no password, and says so to whoever brings one: that is a refusal.
    let refused = PosternProcess::start(&format!("{listeners}{config}"), &environment).await;
    let away = "the server is away";
    until("it is told", || async { (says(&refused, away) == 1).then_some(()) }).await;
    assert!(refused.written().1.contains("refused"));

    let mut process = PosternProcess::start(&format!("{listeners}{CONFIG}"), &environment).await;
    until("connected", || async { (says(&process, "shared counters: connected") == 1).then_some(()) }).await;
    relay.go_away();
    until("it went", || async { (says(&process, away) == 1).then_some(()) }).await;
    let get = async || HttpClient::http1().get(&format!("http://{}/peer", process.public), None).await.status;
    for _ in 0..20 {
        assert_eq!(get().await, 200);
    }
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(says(&process, away), 1, "once, however often it is looked for");
    relay.come_back();
    until("it is back", || async { (says(&process, "the server is back") == 1).then_some(()) }).await;
    assert_eq!((says(&process, away), says(&refused, away)), (1, 1));
    process.terminate().await;
    for process in [&process, &refused] {
        let (access, log) = process.written();
        assert!(!access.contains("canary") && !log.contains("canary"), "{log}");
    }
}

/// Of a process: how often its log has these words.
fn says(process: &PosternProcess, words: &str) -> usize {
    process.written().1.matches(words).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_no_writes_is_away_and_that_is_logged_once() {
    let Some(server) = server() else { return };
    let upstream = RecordedUpstream::start().await;
    let full = OwnRedis::start(&["--maxmemory", "1", "--maxmemory-policy", "noeviction"]).await;
    let (host, port) = server.split_once(':').unwrap();
    let copy = OwnRedis::start(&["--replicaof", host, port]).await;
    let listeners = "[listeners.public]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"127.0.0.1:0\"\n";
    for (own, mend) in [(full, ["CONFIG", "SET", "maxmemory", "0"].as_slice()), (copy, &["REPLICAOF", "NO", "ONE"])] {
        let (url, prefix) = (upstream.url(), fresh_prefix());
        let environment =
            [("UPSTREAM", url.as_str()), ("REDIS", &own.address), ("TIMEOUT", "1s"), ("PREFIX", prefix.as_str())];
        let process = PosternProcess::start(&format!("{listeners}{CONFIG}"), &environment).await;
        until("it is told", || async { (says(&process, "the server is away") == 1).then_some(()) }).await;
        let mut passed = 0;
        for _ in 0..30 {
            let status = HttpClient::http1().get(&format!("http://{}/all", process.public), None).await.status;
            passed += usize::from(status == 200);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(passed, 10, "this replica's own count");
        let log = process.written().1;
        assert!(says(&process, "shared counters:") == 1 && log.contains("reason=refused"), "{log}");
        command(&own.address, mend).await;
        until("it is back", || async { (says(&process, "the server is back") == 1).then_some(()) }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_together_costs_a_replica_nothing_of_its_own() {
    let Some(server) = server() else { return };
    let (prefix, upstream) = (fresh_prefix(), RecordedUpstream::start().await);
    let relay = RedisRelay::to(&server).await;
    let one = replica(&relay.address, "2s", &prefix, &upstream).await;
    let other = replica(&server, "2s", &prefix, &upstream).await;
    assert_eq!(passed(&statuses(&other, "/all", 10).await), 10);
    assert_eq!(passed(&statuses(&one, "/all", 5).await), 0);
    relay.go_away();
    until_reachable(&one, 0.0).await;
    assert_eq!(passed(&statuses(&one, "/all", 20).await), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_are_told_the_count_that_leaves_them_less() {
    let Some(server) = server() else { return };
    let (prefix, upstream) = (fresh_prefix(), RecordedUpstream::start().await);
    let [one, other] =
        [replica(&server, "2s", &prefix, &upstream).await, replica(&server, "2s", &prefix, &upstream).await];
    let told = async |gateway: &Gateway| {
        let answer = HttpClient::http1().get(&gateway.url("/all"), None).await;
        let seconds: u32 = answer.header("ratelimit-reset").parse().unwrap();
        // Ten come back in a day.
        (answer.header("ratelimit-remaining").to_owned(), seconds.div_ceil(8640))
    };
    assert_eq!((told(&one).await, told(&one).await), (("9".to_owned(), 1), ("8".to_owned(), 2)));
    assert_eq!(told(&other).await, ("7".to_owned(), 3), "the control: what others have used counts");
    let redis::Value::Array(keys) = command(&server, &["KEYS", &format!("{prefix}:limit:*")]).await else { panic!() };
    let [redis::Value::BulkString(key)] = keys.as_slice() else { panic!("one count: {keys:?}") };
    command(&server, &["DEL", std::str::from_utf8(key).unwrap()]).await;
    assert_eq!(told(&one).await, ("7".to_owned(), 3), "here three were let through, wherever the others went");
}

/// TLS before the server of the tests.
async fn under_tls(server: &str, identity: &Identity) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (acceptor, server) = (TlsAcceptor::from(Authority::server(identity, &[], None)), server.to_owned());
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let (acceptor, server) = (acceptor.clone(), server.clone());
            tokio::spawn(async move {
                if let Ok(mut near) = acceptor.accept(near).await {
                    let mut far = TcpStream::connect(server).await.unwrap();
                    // However it ends, it has ended.
                    let _ = copy_bidirectional(&mut near, &mut far).await;
                }
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn under_tls_the_certificate_must_be_believed() {
    let Some(server) = server() else { return };
    let upstream = RecordedUpstream::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (trusted, other) = (Authority::new("trusted"), Authority::new("other"));
    trusted.write(folder.path(), "trusted");
    other.write(folder.path(), "other");
    let address = under_tls(&server, &trusted.issue(&["localhost"])).await;
    let listeners = "[listeners.public]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"127.0.0.1:0\"\n";
    let config = format!("{listeners}{}", CONFIG.replace("redis://${REDIS}", "rediss://${REDIS}"));
    for (authority, name, words) in [
        ("trusted", "localhost", "shared counters: connected"),
        ("other", "localhost", "reason=unreachable"),
        ("trusted", "127.0.0.1", "reason=unreachable"),
    ] {
        let file = folder.path().join(format!("{authority}.pem"));
        let (redis, prefix, upstream) = (format!("{name}:{}", address.port()), fresh_prefix(), upstream.url());
        let environment = [
            ("UPSTREAM", upstream.as_str()),
            ("REDIS", redis.as_str()),
            ("TIMEOUT", "2s"),
            ("PREFIX", prefix.as_str()),
            ("SSL_CERT_FILE", file.to_str().unwrap()),
        ];
        let process = PosternProcess::start(&config, &environment).await;
        until(words, || async { process.written().1.contains(words).then_some(()) }).await;
    }
}

#[test]
fn a_configuration_that_is_only_looked_at_connects_to_nobody() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let redis = listener.local_addr().unwrap().to_string();
    let config = format!("[listeners.public]\naddress = \"127.0.0.1:0\"\n{CONFIG}");
    let values = [("UPSTREAM", "http://127.0.0.1:1"), ("REDIS", &redis), ("TIMEOUT", "20ms"), ("PREFIX", "x")];
    let config = values.iter().fold(config, |config, (name, value)| config.replace(&format!("${{{name}}}"), value));
    write(folder.path(), "postern.toml", &config);
    for arguments in [&["check"][..], &["explain", "GET", "http://a.test/all"]] {
        let output = postern(folder.path(), arguments).args(["-c", "postern.toml"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn a_redis_that_is_not_there_stops_nobody_from_starting() {
    let upstream = RecordedUpstream::start().await;
    let builder = GatewayBuilder::new(CONFIG).upstream(&upstream).variable("TIMEOUT", "20ms");
    let nobody = crate::support::raw::nobody().await.to_string();
    let gateway = builder.variable("REDIS", &nobody).variable("PREFIX", "x").start().await;
    assert_eq!(passed(&statuses(&gateway, "/all", 12).await), 10);
    until_reachable(&gateway, 0.0).await;
    let failures = || metric(&gateway, "postern_shared_limits_failures_total", &[("reason", "unreachable")]);
    until("it was tried", || async { (failures().await >= 1.0).then_some(()) }).await;
}
