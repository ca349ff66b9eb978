//! Two gateways on one PostgreSQL: what is done at one holds at the other, within two seconds or at once.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::Method;
use postern::{
    clock::{Clock, ManualClock, UnixTime},
    config::StoreConfig,
};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};

use crate::support::{
    forge::SigningKey,
    gateway::Gateway,
    insider::Insider,
    issuing::{BILLING, Issuing, SPREAD, assertion, id_of, key_of, registration, replica, text, within},
    stores::on_postgres,
    upstream::RecordedUpstream,
};

/// Two replicas, and what stands around them.
struct Pair {
    one: Issuing,
    other: Issuing,
    _gateways: [Gateway; 2],
    _upstream: RecordedUpstream,
}

impl Pair {
    async fn on(location: &StoreConfig) -> Self {
        Self::at(location, &Clock::system()).await
    }

    async fn at(location: &StoreConfig, clock: &Clock) -> Self {
        let upstream = RecordedUpstream::start().await;
        let start = || replica(location, &upstream).clock(clock.clone()).start();
        let gateways = [start().await, start().await];
        let [one, other] = [Issuing::of(&gateways[0]), Issuing::of(&gateways[1])];
        Self { one, other, _gateways: gateways, _upstream: upstream }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_revocations_and_the_switch_hold_everywhere() {
    on_postgres(|location| async move {
        let pair = Pair::on(&location).await;
        let (one, other) = (&pair.one, &pair.other);
        let (token, control) = (one.token(BILLING).await, one.token(BILLING).await);
        assert!(other.accepts(&token).await && other.accepts(&control).await, "a token is good everywhere at once");
        assert_eq!(other.read(&format!("/tokens/{}", id_of(&token))).await["state"], "live");

        one.revoke(&token).await;
        within(SPREAD, "a revocation", async || !other.accepts(&token).await).await;
        assert_eq!(other.orders(&token).await.reason(), "token_revoked");
        assert!(other.accepts(&control).await);

        one.switch(false).await;
        within(SPREAD, "the switch", async || !other.accepts(&control).await).await;
        assert!(!other.issues_to(BILLING).await);
        other.switch(true).await;
        within(SPREAD, "the switch, back again", async || one.accepts(&control).await).await;
        assert!(one.issues_to(BILLING).await && !one.accepts(&token).await);

        // A token of the second in which everything was withdrawn goes with it, so the next one has to begin.
        let moment = one.read("/tokens").await["tokens"][0]["issued_at"].clone();
        within(Duration::from_secs(3), "another second", async || {
            let fresh = one.token(BILLING).await;
            one.read(&format!("/tokens/{}", id_of(&fresh))).await["issued_at"] != moment
        })
        .await;
        let fresh = other.token(BILLING).await;
        let moment = one.read(&format!("/tokens/{}", id_of(&fresh))).await["issued_at"].clone();
        one.post("/revocations", json!({ "issued_before": moment })).await;
        within(SPREAD, "everything before a moment", async || !other.accepts(&control).await).await;
        assert_eq!(other.orders(&control).await.reason(), "token_issued_before");
        assert!(other.accepts(&fresh).await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_come_change_and_go_everywhere() {
    on_postgres(|location| async move {
        let pair = Pair::on(&location).await;
        let (one, other) = (&pair.one, &pair.other);
        assert!(!other.issues_to(("reports", "anything")).await);
        let secret = one.register("reports").await;
        within(SPREAD, "a new client", async || other.issues_to(("reports", &secret)).await).await;
        let token = other.token(("reports", &secret)).await;
        assert!(one.accepts(&token).await, "a token is good everywhere at once");

        one.post("/clients/reports/disable", Value::Null).await;
        within(SPREAD, "a client that is switched off", async || !other.accepts(&token).await).await;
        assert_eq!(other.orders(&token).await.reason(), "client_disabled");
        assert!(!other.issues_to(("reports", &secret)).await && other.issues_to(BILLING).await);
        one.post("/clients/reports/enable", Value::Null).await;
        within(SPREAD, "a client that is switched on", async || other.accepts(&token).await).await;

        // Also one of the configuration.
        let of_billing = other.token(BILLING).await;
        one.post("/clients/billing/disable", Value::Null).await;
        within(SPREAD, "a client of the configuration", async || !other.issues_to(BILLING).await).await;
        assert!(!other.accepts(&of_billing).await && other.accepts(&token).await);
        other.post("/clients/billing/enable", Value::Null).await;
        within(SPREAD, "the same, back again", async || one.issues_to(BILLING).await).await;

        let rotated = one.post("/clients/reports/rotate", json!({ "grace": "0s" })).await;
        let next = text(&rotated["secret"]);
        within(SPREAD, "a new secret", async || other.issues_to(("reports", &next)).await).await;
        assert!(!other.issues_to(("reports", &secret)).await, "the old secret is good no more");

        one.done(Method::DELETE, "/clients/reports", Value::Null).await;
        within(SPREAD, "a client that is gone", async || !other.accepts(&token).await).await;
        assert!(!other.issues_to(("reports", &next)).await && other.issues_to(BILLING).await);
        assert_eq!(other.manage(Method::GET, "/clients/reports", Value::Null).await.status, 404);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn api_tokens_come_and_go_everywhere() {
    on_postgres(|location| async move {
        let pair = Pair::on(&location).await;
        let (one, other, elsewhere) = (&pair.one, &pair.other, Insider::at(&location).await);
        let (id, secret) = elsewhere.make_api_token().await;
        let credentials = (id.as_str(), secret.as_str());
        let exchanges = async |at: &Issuing, credentials| at.exchange(credentials).await.status == 200;
        for replica in [one, other] {
            within(SPREAD, "a new API token", async || exchanges(replica, credentials).await).await;
            assert!(!exchanges(replica, (credentials.0, "another secret")).await);
        }
        let control = elsewhere.make_api_token().await;
        within(SPREAD, "another one", async || exchanges(one, (&control.0, &control.1)).await).await;

        let exchanged = one.exchange(credentials).await.json();
        let (token, refresh_token) = (text(&exchanged["accessToken"]), text(&exchanged["refreshToken"]));
        assert_eq!(other.mine(&token).await.status, 200, "a token is good everywhere at once");
        let (first, second) = tokio::join!(one.refresh(&refresh_token), other.refresh(&refresh_token));
        let mut statuses = [first, second].map(|answer| answer.status.as_u16());
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 401], "a refresh token is good once of all");

        elsewhere.switch_api_tokens(false).await;
        within(SPREAD, "the vendor's switch", async || other.mine(&token).await.status == 401).await;
        assert_eq!(other.mine(&token).await.reason(), "api_tokens_disabled");
        assert_eq!(other.exchange(credentials).await.status, 403);
        assert!(other.issues_to(BILLING).await, "clients are no API tokens");
        elsewhere.switch_api_tokens(true).await;
        within(SPREAD, "the switch, back again", async || other.mine(&token).await.status == 200).await;

        elsewhere.delete_api_token(&id).await;
        for replica in [one, other] {
            within(SPREAD, "a deleted API token", async || replica.mine(&token).await.status == 401).await;
            assert!(!exchanges(replica, credentials).await);
            assert!(exchanges(replica, (&control.0, &control.1)).await);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_sign_and_are_revoked_everywhere() {
    on_postgres(|location| async move {
        let pair = Pair::on(&location).await;
        let (one, other) = (&pair.one, &pair.other);
        let before = one.token(BILLING).await;
        assert_eq!(one.keys("current").await, other.keys("current").await, "two that start together make one key");
        one.post("/keys/rotate", json!({ "haste": true })).await;
        let after = one.token(BILLING).await;
        assert_ne!(key_of(&before), key_of(&after));
        assert!(other.accepts(&after).await, "the next key was known everywhere before it signed");
        let signs = async || key_of(&other.token(BILLING).await) == key_of(&after);
        within(SPREAD, "a rotated key", signs).await;
        assert!(other.accepts(&before).await, "the one before is good yet");

        one.post(&format!("/keys/{}/revoke", key_of(&after)), Value::Null).await;
        within(SPREAD, "a revoked key", async || !other.accepts(&after).await).await;
        let replaced = async || key_of(&other.token(BILLING).await) != key_of(&after);
        within(SPREAD, "another key in its place", replaced).await;
        assert!(other.accepts(&before).await && !one.accepts(&after).await);
        let newest = other.token(BILLING).await;
        assert!(one.accepts(&newest).await);
        for replica in [one, other] {
            assert_eq!(replica.keys("revoked").await, [key_of(&after)]);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_rotate_at_once_rotate_once() {
    on_postgres(|location| async move {
        let manual = ManualClock::starting_at(now());
        let pair = Pair::at(&location, &manual.clock()).await;
        let (one, other) = (&pair.one, &pair.other);
        let rotate = async |at: &Issuing| at.manage(Method::POST, "/keys/rotate", json!({ "haste": false })).await;
        let too_early = rotate(one).await;
        assert_eq!((too_early.status.as_u16(), &too_early.json()["code"]), (409, &json!("next_key_too_new")));

        manual.advance(Duration::from_secs(301));
        let (first, second) = tokio::join!(rotate(one), rotate(other));
        let mut statuses = [first, second].map(|answer| answer.status.as_u16());
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
        within(SPREAD, "the same keys everywhere", async || one.read("/keys").await == other.read("/keys").await).await;
        let counts =
            [one.keys("previous").await, one.keys("current").await, one.keys("next").await].map(|keys| keys.len());
        assert_eq!(counts, [1, 1, 1]);
        assert!(other.accepts(&one.token(BILLING).await).await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_assertion_is_taken_once_of_all() {
    on_postgres(|location| async move {
        let pair = Pair::on(&location).await;
        let (one, other) = (&pair.one, &pair.other);
        let key = SigningKey::es256("of-the-client");
        let mut client = registration("signer");
        client["public_keys"] = json!([key.jwk()]);
        assert!(one.post("/clients", client).await.get("secret").is_none(), "it needs none");
        let known = async || other.ask_by_assertion(&assertion(&key, "signer")).await.status == 200;
        within(SPREAD, "a new client", known).await;

        let used = assertion(&key, "signer");
        assert_eq!(one.ask_by_assertion(&used).await.status, 200);
        for replica in [other, one] {
            let refused = replica.ask_by_assertion(&used).await;
            assert_eq!((refused.status.as_u16(), &refused.json()["error"]), (401, &json!("invalid_client")));
        }
        for _ in 0..5 {
            let contested = Arc::new(assertion(&key, "signer"));
            let asking = (0..8).map(|number| {
                let replica = if number % 2 == 0 { one.clone() } else { other.clone() };
                let contested = Arc::clone(&contested);
                tokio::spawn(async move { replica.ask_by_assertion(&contested).await.status.as_u16() })
            });
            let mut statuses = Vec::new();
            for asked in asking.collect::<Vec<_>>() {
                statuses.push(asked.await.expect("no panic"));
            }
            statuses.sort_unstable();
            assert_eq!(statuses, [200, 401, 401, 401, 401, 401, 401, 401]);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_cannot_hear_asks_and_hears_again() {
    on_postgres(|location| async move {
        let StoreConfig::Postgres(url) = &location else { panic!("this is about PostgreSQL") };
        let mut server = PgConnection::connect(url.expose()).await.expect("a connection");
        let pair = Pair::on(&location).await;
        let (one, other) = (&pair.one, &pair.other);
        let mut seen = BTreeSet::new();
        for round in 0..3 {
            let listeners = within_reach(&mut server, &seen).await;
            seen.extend(listeners);
            let id = format!("round-{round}");
            let (token, secret) = (one.token(BILLING).await, one.register(&id).await);
            one.revoke(&token).await;
            within(SPREAD, "a revocation", async || !other.accepts(&token).await).await;
            within(SPREAD, "a new client", async || other.issues_to((&id, &secret)).await).await;
        }
        // Again and again, so that most changes fall into a moment in which nobody listens.
        for _ in 0..20 {
            cut(&mut server).await;
            let token = one.token(BILLING).await;
            one.revoke(&token).await;
            cut(&mut server).await;
            within(SPREAD, "a revocation", async || !other.accepts(&token).await).await;
        }
        assert!(other.issues_to(BILLING).await, "the control");
    })
    .await;
}

/// Ends the connections of those who listen once both do by connections that were not `seen` yet; gives theirs.
async fn within_reach(server: &mut PgConnection, seen: &BTreeSet<i32>) -> BTreeSet<i32> {
    for _ in 0..2000 {
        let fresh: BTreeSet<i32> = listeners(server).await.difference(seen).copied().collect();
        if fresh.len() == 2 {
            assert_eq!(cut(server).await, 2);
            return fresh;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("they do not listen again");
}

/// Connections on which somebody listens; what they ask beside it is whether the server is there.
const LISTENING: &str = "pg_stat_activity WHERE datname = current_database() \
                         AND (query ILIKE 'LISTEN%' OR query = 'SELECT 1')";

/// The server's processes that serve a connection on which somebody listens.
async fn listeners(server: &mut PgConnection) -> BTreeSet<i32> {
    let rows = format!("SELECT pid FROM {LISTENING}");
    let rows = server.fetch_all(AssertSqlSafe(rows)).await.expect("rows");
    rows.iter().map(|row| row.get::<i32, _>("pid")).collect()
}

async fn cut(server: &mut PgConnection) -> usize {
    let cut = format!("SELECT pg_terminate_backend(pid) FROM {LISTENING}");
    server.fetch_all(AssertSqlSafe(cut)).await.expect("rows").len()
}

fn now() -> UnixTime {
    UnixTime::from_seconds(SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_secs())
}
