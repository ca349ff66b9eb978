//! Quotas and lock-outs that replicas share through Redis, and what becomes of them while it is away. Without a Redis
//! (`scripts/with-redis`) there is nothing to see.

use std::time::{Duration, Instant};

use http::Request;
use serde_json::json;
use tokio::{task::JoinSet, time::sleep};

use crate::support::{
    client::{Answer, HttpClient},
    gateway::{Gateway, GatewayBuilder},
    issuing::{AUDIENCE, BILLING, CONFIG, OAUTH2},
    observe::metric,
    redis::{RedisRelay, fresh_prefix, server},
    upstream::RecordedUpstream,
    wait::until,
};

const HEARD: &str = "postern_token_endpoint_lockout_messages_total";

/// A replica with a store of its own, which reaches Redis at `redis`.
async fn replica(redis: &str, prefix: &str, upstream: &RecordedUpstream, lines: &str) -> Gateway {
    let builder = GatewayBuilder::whole(CONFIG).upstream(upstream);
    let store = builder.folder().join("postern.db");
    let without = "path = \"/oauth/token\"\nserve = \"embedded\"\nlockout = { failures = 0 }";
    let with = "path = \"/oauth/token\"\nserve = \"embedded\"\nlockout = { failures = 3 }";
    let shared =
        format!("\n[shared]\nredis = \"redis://{redis}/0\"\ntimeout = \"2s\"\nprefix = \"{prefix}\"\n{lines}\n");
    let builder = builder.variable("STORE", &format!("sqlite:{}", store.display()));
    let gateway = builder.with(without, with).also(&shared).start().await;
    until_reachable(&gateway, 1.0).await;
    gateway
}

async fn until_reachable(gateway: &Gateway, value: f64) {
    let reachable = || metric(gateway, "postern_shared_limits_reachable", &[]);
    until("reachable or not", || async { (reachable().await == value).then_some(()) }).await;
}

async fn asks(url: String, secret: &str) -> Answer {
    let body = json!({
        "grant_type": "client_credentials", "client_id": BILLING.0, "client_secret": secret, "audience": AUDIENCE,
    });
    let request = Request::post(url).header("content-type", "application/json");
    HttpClient::http1().send(request.body(body.to_string().into()).unwrap()).await
}

async fn good(gateway: &Gateway) -> Answer {
    asks(gateway.url(OAUTH2), BILLING.1).await
}

/// The statuses of so many requests that are good, one after the other.
async fn statuses(gateway: &Gateway, count: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..count {
        statuses.push(good(gateway).await.status.as_u16());
    }
    statuses
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_give_together_what_the_quota_says() {
    let Some(server) = server() else { return };
    let (prefix, upstream) = (fresh_prefix(), RecordedUpstream::start().await);
    let quota = "[token_endpoints.oauth.quota]\nper_day = 20";
    let replicas =
        [replica(&server, &prefix, &upstream, quota).await, replica(&server, &prefix, &upstream, quota).await];
    let mut asking = JoinSet::new();
    for number in 0..200 {
        let url = replicas[number % 2].url(OAUTH2);
        asking.spawn(async move { asks(url, BILLING.1).await.status.as_u16() });
    }
    let statuses = asking.join_all().await;
    let count = |wanted| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!((count(200), count(429)), (20, 180));
    for replica in &replicas {
        let refused = good(replica).await;
        assert_eq!((refused.status.as_u16(), refused.header("ratelimit-remaining")), (429, "0"));
    }
    let apart = replica(&server, &fresh_prefix(), &upstream, quota).await;
    assert_eq!(good(&apart).await.status, 200, "the control: another prefix");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_gave_the_others_know_and_a_restart_forgets_nothing() {
    let Some(server) = server() else { return };
    let (prefix, upstream) = (fresh_prefix(), RecordedUpstream::start().await);
    let quota = "[token_endpoints.oauth.quota]\nper_day = 5";
    let (one, other) =
        (replica(&server, &prefix, &upstream, quota).await, replica(&server, &prefix, &upstream, quota).await);
    assert_eq!(statuses(&one, 2).await, [200; 2]);
    // What fails costs nothing there, either.
    let unknown = json!({
        "grant_type": "client_credentials", "client_id": BILLING.0, "client_secret": BILLING.1, "audience": "urn:x",
    });
    for _ in 0..9 {
        let request = Request::post(other.url(OAUTH2)).header("content-type", "application/json");
        let answer = HttpClient::http1().send(request.body(unknown.to_string().into()).unwrap()).await;
        assert_eq!(answer.status, 400);
    }
    // It is given back without anybody waiting for that.
    sleep(Duration::from_millis(500)).await;
    let answer = good(&other).await;
    assert_eq!((answer.status.as_u16(), answer.header("ratelimit-remaining")), (200, "2"), "{}", answer.text());
    one.drain().await;
    let restarted = replica(&server, &prefix, &upstream, quota).await;
    assert_eq!(statuses(&restarted, 3).await, [200, 200, 429]);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_away_each_replica_goes_by_what_it_gave_itself() {
    let Some(server) = server() else { return };
    let (prefix, upstream) = (fresh_prefix(), RecordedUpstream::start().await);
    let quota = "[token_endpoints.oauth.quota]\nper_day = 5";
    let relay = RedisRelay::to(&server).await;
    let one = replica(&relay.address, &prefix, &upstream, quota).await;
    let other = replica(&server, &prefix, &upstream, quota).await;
    assert_eq!(statuses(&other, 4).await, [200; 4]);
    assert_eq!(statuses(&one, 1).await, [200]);
    relay.go_away();
    until_reachable(&one, 0.0).await;
    let begun = Instant::now();
    assert_eq!(statuses(&one, 5).await, [200, 200, 200, 200, 429]);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(statuses(&other, 1).await, [429]);
}

/// How many messages a replica has heard, once no more come.
async fn heard(gateway: &Gateway) -> f64 {
    let mut before = -1.0;
    loop {
        let now = metric(gateway, HEARD, &[("result", "heard")]).await;
        if now > 0.0 && (now - before).abs() < 0.5 {
            return now;
        }
        before = now;
        sleep(Duration::from_millis(300)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_locked_out_of_one_replica_is_locked_out_of_all() {
    let Some(server) = server() else { return };
    let (prefix, upstream) = (fresh_prefix(), RecordedUpstream::start().await);
    let one = replica(&server, &prefix, &upstream, "").await;
    let other = replica(&server, &prefix, &upstream, "").await;
    // That the others listen already cannot be asked; that they have heard something can.
    let elsewhere = HttpClient::from_address([127, 0, 0, 9].into());
    until("they hear each other", || async {
        let request = Request::post(one.url(OAUTH2)).header("content-type", "application/json");
        let nobody = json!({ "grant_type": "client_credentials", "client_id": "nobody", "client_secret": "x" });
        elsewhere.send(request.body(nobody.to_string().into()).unwrap()).await;
        (metric(&other, HEARD, &[("result", "heard")]).await > 0.0).then_some(())
    })
    .await;
    let before = heard(&other).await;
    for _ in 0..3 {
        assert_eq!(asks(one.url(OAUTH2), "guess").await.status, 401);
    }
    let locked = Instant::now();
    until("the other has heard of it", || async {
        (metric(&other, HEARD, &[("result", "heard")]).await >= before + 3.0).then_some(())
    })
    .await;
    assert!(locked.elapsed() < Duration::from_secs(1), "{:?}", locked.elapsed());
    assert_eq!(good(&other).await.status, 429);
    assert_eq!(good(&one).await.status, 429);
    assert_eq!(metric(&other, HEARD, &[("result", "ignored")]).await, 0.0);
    assert_eq!(metric(&one, HEARD, &[("result", "heard")]).await, 0.0, "what it told itself is not heard");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_away_each_replica_locks_out_by_itself() {
    let Some(server) = server() else { return };
    let (prefix, upstream) = (fresh_prefix(), RecordedUpstream::start().await);
    let relay = RedisRelay::to(&server).await;
    let one = replica(&relay.address, &prefix, &upstream, "").await;
    let other = replica(&server, &prefix, &upstream, "").await;
    relay.go_away();
    until_reachable(&one, 0.0).await;
    for _ in 0..3 {
        assert_eq!(asks(one.url(OAUTH2), "guess").await.status, 401);
    }
    assert_eq!(good(&one).await.status, 429);
    assert_eq!(good(&other).await.status, 200);
}
