//! The shared counters before a real server, which `scripts/with-redis` starts; without one there is nothing to see.

use std::{
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, Instant},
};

use postern::{
    config::SharedConfig,
    diagnostic::Diagnostics,
    limit::{Away, Rate, SharedCounters, SharedSettings, Window},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    runtime::Handle,
    sync::mpsc::Receiver,
    task::JoinSet,
    time::sleep,
};

use crate::support::{
    raw::nobody,
    redis::{RedisRelay, command, fresh_prefix, server},
    wait::until,
};

fn counters(address: &str, timeout: &str, prefix: &str) -> SharedCounters {
    let raw = serde_json::json!({ "redis": format!("redis://{address}/0"), "timeout": timeout, "prefix": prefix });
    let raw: SharedConfig = serde_json::from_value(raw).unwrap();
    let shared = SharedCounters::new(SharedSettings::compile(&raw, &mut Diagnostics::new()).unwrap());
    shared.start(&Handle::current());
    shared
}

fn rate(requests: u32, per: Duration) -> Rate {
    Rate { requests: NonZeroU32::new(requests).unwrap(), per }
}

fn failures(shared: &SharedCounters, reason: &str) -> u64 {
    shared.failures().find(|(name, _)| *name == reason).unwrap().1
}

/// Waits until something is so.
async fn once(what: &str, mut condition: impl FnMut() -> bool) {
    until(what, || std::future::ready(condition().then_some(()))).await;
}

const HOUR: Duration = Duration::from_hours(1);

#[tokio::test(flavor = "multi_thread")]
async fn counters_add_up_over_replicas_give_back_and_end() {
    let Some(server) = server() else { return };
    let prefix = fresh_prefix();
    let (one, other) = (counters(&server, "5s", &prefix), counters(&server, "5s", &prefix));
    let windows = [Window { name: "hour", ends_in: HOUR }, Window { name: "day", ends_in: HOUR * 24 }];
    assert_eq!(one.add(&windows, 0).await, Ok(vec![0, 0]), "asking writes nothing");
    assert_eq!(one.add(&windows, 3).await, Ok(vec![3, 3]));
    assert_eq!(other.add(&windows[..1], 2).await, Ok(vec![5]));
    assert_eq!(other.add(&windows, -1).await, Ok(vec![4, 2]));
    assert_eq!(one.add(&windows, -3).await, Ok(vec![1, 0]), "never below zero");
    assert_eq!(one.add(&windows, 1).await, Ok(vec![2, 1]));
    assert_eq!(one.add(&[], 1).await, Ok(vec![]));
    let elsewhere = counters(&server, "5s", &fresh_prefix());
    assert_eq!(elsewhere.add(&windows, 0).await, Ok(vec![0, 0]), "another prefix, other counters");

    let brief = [Window { name: "brief", ends_in: Duration::from_millis(300) }];
    assert_eq!(one.add(&brief, 7).await, Ok(vec![7]));
    assert_eq!(one.add(&[Window { ends_in: HOUR, ..brief[0] }], 1).await, Ok(vec![8]), "it ends when it was to end");
    sleep(Duration::from_millis(400)).await;
    assert_eq!(one.add(&brief, 0).await, Ok(vec![0]));
    let ended = Window { name: "ended", ends_in: Duration::ZERO };
    assert_eq!(one.add(&[ended], 1).await, Ok(vec![1]));
    sleep(Duration::from_millis(50)).await;
    assert_eq!(one.add(&[ended], 0).await, Ok(vec![0]), "what ends at once is not kept for ever");
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_together_let_through_what_the_rate_says() {
    let Some(server) = server() else { return };
    let prefix = fresh_prefix();
    let replicas: Vec<_> = (0..3).map(|_| Arc::new(counters(&server, "5s", &prefix))).collect();
    let slow = rate(20, Duration::from_hours(24));
    let mut asking = JoinSet::new();
    for number in 0..60 {
        let replica = Arc::clone(&replicas[number % 3]);
        asking.spawn(async move { replica.take("slow", slow).await.unwrap() });
    }
    let taken = asking.join_all().await;
    let passed = taken.iter().filter(|taken| taken.retry_after.is_none());
    let mut remaining: Vec<u32> = passed.map(|taken| taken.remaining).collect();
    remaining.sort_unstable();
    assert_eq!(remaining, (0..20).collect::<Vec<u32>>());
    let refused = taken.iter().find(|taken| taken.retry_after.is_some()).unwrap();
    assert_eq!((refused.limit.get(), refused.remaining), (20, 0));
    let (retry_after, each) = (refused.retry_after.unwrap(), Duration::from_secs(24 * 3600 / 20));
    assert!(retry_after <= each && retry_after > each - Duration::from_secs(60), "{retry_after:?}");
    assert!(refused.reset <= each * 20 && refused.reset > each * 19, "{:?}", refused.reset);

    let fast = rate(4, Duration::from_millis(400));
    let one = &replicas[0];
    for _ in 0..4 {
        assert_eq!(one.take("fast", fast).await.unwrap().retry_after, None);
    }
    let refused = one.take("fast", fast).await.unwrap();
    sleep(refused.retry_after.unwrap()).await;
    assert_eq!(replicas[1].take("fast", fast).await.unwrap().retry_after, None, "one is back when it was said");
    assert_eq!(one.take("other", fast).await.unwrap().remaining, 3, "another name, another bucket");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_no_time_more_pass_than_the_rate_says() {
    let Some(server) = server() else { return };
    let prefix = fresh_prefix();
    let replicas = [counters(&server, "5s", &prefix), counters(&server, "5s", &prefix)];
    let per = Duration::from_millis(70);
    for requests in [1, 3, 7, 1000] {
        let (name, rate) = (format!("rate-{requests}"), rate(requests, per));
        let (begun, mut passed, mut asked) = (Instant::now(), 0_u32, 0_u32);
        while begun.elapsed() < Duration::from_millis(500) {
            let replica = &replicas[usize::from(asked.is_multiple_of(2))];
            passed += u32::from(replica.take(&name, rate).await.unwrap().retry_after.is_none());
            asked += 1;
        }
        let most = f64::from(requests) * (1.0 + begun.elapsed().as_secs_f64() / per.as_secs_f64());
        assert!(f64::from(passed) <= most, "{passed} of {asked} at {requests}, {most} at most");
        // The control: what comes back passes, as far as anybody asked for it.
        assert!(f64::from(passed) >= (most / 3.0).min(f64::from(asked) / 3.0), "{passed} of {asked} at {requests}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_servers_clock_that_is_set_back_and_what_others_wrote_lock_nobody_out() {
    let Some(server) = server() else { return };
    let prefix = fresh_prefix();
    let shared = counters(&server, "5s", &prefix);
    let client = redis::Client::open(format!("redis://{server}/0")).unwrap();
    let mut redis = client.get_multiplexed_async_connection().await.unwrap();
    let mut write = async |name: &str, value: String| {
        redis::cmd("SET").arg(format!("{prefix}:{name}")).arg(value).exec_async(&mut redis).await.unwrap();
    };
    let rate = rate(3, Duration::from_millis(300));
    // A full bucket, noted an hour ahead of the present.
    let ahead = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap() + HOUR;
    write("ahead", format!("3.000000000 {}", ahead.as_micros())).await;
    let refused = shared.take("ahead", rate).await.unwrap();
    assert!(refused.retry_after.unwrap() <= Duration::from_millis(100), "{refused:?}");
    sleep(refused.retry_after.unwrap()).await;
    assert_eq!(shared.take("ahead", rate).await.unwrap().retry_after, None);
    write("garbage", "what is this".to_owned()).await;
    assert_eq!(shared.take("garbage", rate).await.unwrap().remaining, 2);
    let garbage = [Window { name: "garbage-counter", ends_in: HOUR }];
    write("garbage-counter", "-x".to_owned()).await;
    assert_eq!(shared.add(&garbage, 2).await, Ok(vec![2]));
    assert!(shared.is_reachable());
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_reach_every_replica_and_subscriptions_come_back() {
    let Some(server) = server() else { return };
    let relay = RedisRelay::to(&server).await;
    let prefix = fresh_prefix();
    let (one, other) = (counters(&server, "5s", &prefix), counters(&relay.address, "5s", &prefix));
    let (mut near, mut far) = (one.subscribe("news"), other.subscribe("news"));
    let mut unrelated = one.subscribe("weather");
    // Nobody is told when a subscription is there.
    let heard = |receiver: &mut Receiver<String>| receiver.try_recv().is_ok();
    once("both hear", || {
        one.publish("news", "first".to_owned());
        heard(&mut near) && heard(&mut far)
    })
    .await;
    relay.cut();
    once("the one that was cut hears again", || {
        one.publish("news", "second".to_owned());
        std::iter::from_fn(|| far.try_recv().ok()).any(|message| message == "second")
    })
    .await;
    assert!(unrelated.try_recv().is_err());
    for _ in 0..5000 {
        one.publish("weather", "rain".to_owned());
    }
    assert!(failures(&one, "skipped") > 0, "what waits is bounded");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_slow_is_away_until_it_answers_in_time() {
    let Some(server) = server() else { return };
    let relay = RedisRelay::to(&server).await;
    let shared = counters(&relay.address, "100ms", &fresh_prefix());
    once("it is reached", || shared.is_reachable()).await;
    let windows = [Window { name: "w", ends_in: HOUR }];
    assert_eq!(shared.add(&windows, 1).await, Ok(vec![1]));

    relay.delay(Duration::from_secs(3600));
    let begun = Instant::now();
    while shared.is_reachable() {
        assert_eq!(shared.add(&windows, 1).await, Err(Away));
    }
    assert!(begun.elapsed() < Duration::from_millis(1200), "{:?}", begun.elapsed());
    assert!(failures(&shared, "timed_out") >= 3);
    let (begun, before) = (Instant::now(), failures(&shared, "skipped"));
    for _ in 0..1000 {
        assert_eq!(shared.add(&windows, 1).await, Err(Away));
    }
    assert!(begun.elapsed() < Duration::from_millis(600), "nobody is asked meanwhile: {:?}", begun.elapsed());
    assert_eq!(failures(&shared, "skipped") - before, 1000);

    relay.delay(Duration::ZERO);
    once("it is back", || shared.is_reachable()).await;
    assert!(shared.add(&windows, 0).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_late_fails_only_whom_it_was_for() {
    let Some(server) = server() else { return };
    let relay = RedisRelay::to(&server).await;
    let shared = counters(&relay.address, "200ms", &fresh_prefix());
    once("it is reached", || shared.is_reachable()).await;
    let windows = [Window { name: "w", ends_in: HOUR }];
    for count in 1..5 {
        relay.delay(Duration::from_secs(3600));
        let side_by_side = futures_util::future::join_all((0..20).map(|_| shared.add(&windows, 0))).await;
        assert!(side_by_side.iter().all(|answer| *answer == Err(Away)));
        relay.delay(Duration::ZERO);
        assert_eq!(shared.add(&windows, 1).await, Ok(vec![count]), "the next is answered");
    }
    assert_eq!((shared.is_reachable(), failures(&shared, "skipped")), (true, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_fails_only_whom_it_was_for() {
    let Some(server) = server() else { return };
    let prefix = fresh_prefix();
    let (trial, good) = (format!("~{prefix}:trial"), format!("~{prefix}:good"));
    let user = format!("user-{}", uuid::Uuid::now_v7());
    command(&server, &["ACL", "SETUSER", &user, "on", ">word", "+@all", &trial, &good]).await;
    let shared = counters(&format!("{user}:word@{server}"), "5s", &prefix);
    once("it is reached", || shared.is_reachable()).await;
    for remaining in (0..5).rev() {
        assert_eq!(shared.take("bad", rate(5, HOUR)).await, Err(Away));
        assert_eq!(shared.take("good", rate(5, HOUR)).await.unwrap().remaining, remaining);
    }
    assert_eq!((failures(&shared, "refused"), failures(&shared, "skipped")), (5, 0));
    command(&server, &["ACL", "SETUSER", &user, "resetkeys"]).await;
    once("that it is of no use is found out", || !shared.is_reachable()).await;
    command(&server, &["ACL", "DELUSER", &user]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_somebody_else_wrote_counts_as_absent() {
    let Some(server) = server() else { return };
    let prefix = fresh_prefix();
    let shared = counters(&server, "5s", &prefix);
    let key = format!("{prefix}:k");
    let windows = [Window { name: "k", ends_in: HOUR }];
    for value in
        ["x y", "inf 5", "1e300 5", "nan nan", "-5.0 5", "99999.0 99999999999999999999", "", "-7", "0x10", "inf"]
            .map(Some)
            .into_iter()
            .chain([None])
    {
        let poison = async || {
            command(&server, &["DEL", &key]).await;
            match value {
                Some(value) => command(&server, &["SET", &key, value]).await,
                None => command(&server, &["LPUSH", &key, "x"]).await,
            }
        };
        poison().await;
        for remaining in (0..4).rev() {
            let taken = shared.take("k", rate(4, HOUR)).await;
            assert_eq!(taken.map(|taken| taken.remaining), Ok(remaining), "{value:?}");
        }
        assert!(shared.take("k", rate(4, HOUR)).await.unwrap().retry_after.is_some(), "{value:?}");
        poison().await;
        assert_eq!(shared.add(&windows, 0).await, Ok(vec![0]), "{value:?}");
        assert_eq!(shared.add(&windows, 2).await, Ok(vec![2]), "{value:?}");
        assert_eq!(shared.add(&windows, 2).await, Ok(vec![4]), "{value:?}");
        let redis::Value::Int(left) = command(&server, &["PTTL", &key]).await else { panic!("no time") };
        assert!(left > 0, "it expires: {value:?} {left}");
    }
    assert_eq!(failures(&shared, "refused"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_gone_is_found_again_without_anybody_asking() {
    let Some(server) = server() else { return };
    let relay = RedisRelay::to(&server).await;
    let shared = counters(&relay.address, "500ms", &fresh_prefix());
    once("it is reached", || shared.is_reachable()).await;
    relay.cut();
    once("that it is gone is found out", || !shared.is_reachable()).await;
    assert!(failures(&shared, "broken_off") >= 1);
    once("it is back", || shared.is_reachable()).await;
    drop(shared);
    once("nothing is left of it", || relay.open() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_is_away_at_once() {
    let shared = counters(&nobody().await.to_string(), "200ms", "x");
    let rate = rate(1, HOUR);
    assert_eq!(shared.take("a", rate).await, Err(Away));
    once("it was tried", || failures(&shared, "unreachable") >= 1).await;
    assert_eq!(shared.take("a", rate).await, Err(Away));
    assert!(!shared.is_reachable() && failures(&shared, "skipped") >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_repeats_the_password_is_not_quoted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut heard = [0; 4096];
                while let Ok(count @ 1..) = stream.read(&mut heard).await {
                    // Several commands may come at once.
                    let commands = String::from_utf8_lossy(&heard[..count]).matches("\r\n*").count() + 1;
                    let answer = "-ERR unknown command 'AUTH', with args beginning with: 'canary'\r\n".repeat(commands);
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    let shared = counters(&format!(":canary@{address}"), "200ms", "x");
    once("it was tried", || failures(&shared, "refused") >= 1).await;
    assert_eq!(shared.add(&[Window { name: "w", ends_in: HOUR }], 1).await, Err(Away));
    assert!(!format!("{shared:?}").contains("canary"));
}
