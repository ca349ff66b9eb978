//! The store goes away while the gateway runs: what is known stays in force, nothing new is answered, and nobody waits long.

use std::{
    future::Future,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use http::{Method, Request};
use postern::config::StoreConfig;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::{
    client::Answer,
    forge::SigningKey,
    insider::Insider,
    issuing::{
        AUTH0, BILLING, Issuing, OAUTH2, PLGD, SPREAD, assertion, id_of, registration, replica, within, write_config,
    },
    launch::Launch,
    relay::{Manner, Relay},
    stores::{on_postgres, on_sqlite},
    upstream::RecordedUpstream,
};

/// How long anything may take while the store is away.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long it may take until it works again once the store is back.
const RECOVERY: Duration = Duration::from_secs(5);

/// What somebody is told while the store is away.
async fn soon<F: Future<Output = Answer>>(what: &str, asking: F) -> Answer {
    let asked = Instant::now();
    let answer = timeout(PATIENCE + Duration::from_secs(7), asking).await;
    let answer = answer.unwrap_or_else(|_| panic!("{what} hangs"));
    assert!(asked.elapsed() < PATIENCE, "{what} took {:?}", asked.elapsed());
    answer
}

/// It says that it cannot be done now, and when to come back.
fn assert_unavailable(what: &str, answer: &Answer) -> Value {
    assert_eq!(answer.status, 503, "{what}: {}", answer.text());
    assert!(answer.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0), "{what}");
    assert_eq!(answer.header("cache-control"), "no-store", "{what}");
    answer.json()
}

/// Nothing is issued, in no dialect, and by no way to authenticate.
async fn assert_nothing_is_issued(issuing: &Issuing, key: &SigningKey, api_token: &(String, String)) {
    let (oauth2, auth0, plgd, frontegg, by_assertion) = tokio::join!(
        soon("oauth2", issuing.ask_at(OAUTH2, BILLING)),
        soon("auth0", issuing.ask_at(AUTH0, BILLING)),
        soon("plgd", issuing.ask_at(PLGD, BILLING)),
        soon("frontegg", issuing.exchange((&api_token.0, &api_token.1))),
        soon("an assertion", async { issuing.ask_by_assertion(&assertion(key, "signer")).await }),
    );
    for (what, answer) in [("oauth2", oauth2), ("auth0", auth0), ("an assertion", by_assertion)] {
        let told = assert_unavailable(what, &answer);
        assert_eq!(told["error"], "temporarily_unavailable", "{told}");
        assert!(told["error_description"].is_string() && told.get("access_token").is_none(), "{told}");
    }
    // 14 is UNAVAILABLE.
    let told = assert_unavailable("plgd", &plgd);
    assert!(told["code"] == 14 && told["message"].is_string() && told["details"] == json!([]), "{told}");
    let told = assert_unavailable("frontegg", &frontegg);
    assert_eq!(told, json!({ "errors": ["Temporarily unavailable"] }));
    // Who is nobody is told so as ever, without the store.
    let wrong = soon("a wrong secret", issuing.ask((BILLING.0, "wrong"))).await;
    assert_eq!((wrong.status.as_u16(), &wrong.json()["error"]), (401, &json!("invalid_client")));
}

/// Nothing is changed by the management API, nor by a client itself.
async fn assert_nothing_is_changed(issuing: &Issuing, token: &str) {
    let (post, put) = (Method::POST, Method::PUT);
    let changes = [
        (&post, "/clients", registration("late")),
        (&put, "/clients/signer", json!({})),
        (&Method::DELETE, "/clients/signer", Value::Null),
        (&post, "/clients/signer/rotate", json!({ "grace": "0s" })),
        (&post, "/clients/billing/disable", Value::Null),
        (&post, "/clients/billing/enable", Value::Null),
        (&post, "/tokens", json!({ "client_id": "billing" })),
        (&post, "/revocations", json!({ "token_id": id_of(token) })),
        (&post, "/revocations", json!({ "client_id": "billing" })),
        (&post, "/revocations", json!({ "issued_before": "2020-01-01T00:00:00Z" })),
        (&post, "/keys/rotate", json!({ "haste": true })),
        (&put, "/switches", json!({ "m2m_enabled": false })),
    ];
    // All at once: none of them may wait for the failure of another and then for its own.
    let asking = changes.map(|(method, path, body)| {
        let (issuing, method) = (issuing.clone(), method.clone());
        let what = format!("{method} {path}");
        tokio::spawn(async move {
            let answer = soon(&what, issuing.manage(method, path, body)).await;
            let told = assert_unavailable(&what, &answer);
            assert_eq!(told["code"], "store_unavailable", "{what}: {told}");
        })
    });
    for asked in asking {
        asked.await.expect("no panic");
    }
    let parameters = [("client_id", BILLING.0), ("client_secret", BILLING.1), ("token", token)];
    let revocation = soon("RFC 7009", issuing.form("/oauth/revoke", &parameters)).await;
    assert_eq!(assert_unavailable("RFC 7009", &revocation)["error"], "temporarily_unavailable");
}

/// What is known is in force, and can be asked for.
async fn assert_what_is_known_holds(issuing: &Issuing, good: &str, revoked: &str) {
    for _ in 0..10 {
        assert_eq!(soon("a good token", issuing.orders(good)).await.status, 200);
        let refused = soon("a revoked token", issuing.orders(revoked)).await;
        assert_eq!((refused.status.as_u16(), refused.reason().as_str()), (401, "token_revoked"));
    }
    for (token, active) in [(good, true), (revoked, false)] {
        let parameters = [("client_id", BILLING.0), ("client_secret", BILLING.1), ("token", token)];
        let told = soon("RFC 7662", issuing.form("/oauth/introspect", &parameters)).await;
        assert_eq!((told.status.as_u16(), &told.json()["active"]), (200, &json!(active)));
    }
    for path in ["/clients", "/keys", "/switches"] {
        assert_eq!(soon(path, issuing.manage(Method::GET, path, Value::Null)).await.status, 200, "{path}");
    }
    let url = format!("http://{}/one/.well-known/jwks.json", issuing.public);
    let keys =
        Request::get(url).header("host", "issuer.test").body(http_body_util::Full::default()).expect("a request");
    assert_eq!(soon("the keys", issuing.client.send(keys)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_goes_away_stops_what_must_be_kept_and_nothing_else() {
    on_postgres(|location| async move {
        let upstream = RecordedUpstream::start().await;
        let relay = Relay::to(&location).await;
        let gateway = replica(&relay.location(&location), &upstream).start().await;
        let elsewhere = replica(&location, &upstream).start().await;
        let (cut_off, other) = (Issuing::of(&gateway), Issuing::of(&elsewhere));

        let key = SigningKey::es256("of-the-client");
        let mut client = registration("signer");
        client["public_keys"] = json!([key.jwk()]);
        cut_off.post("/clients", client).await;
        let api_token = Insider::at(&location).await.make_api_token().await;
        let exchanges = async || cut_off.exchange((&api_token.0, &api_token.1)).await.status == 200;
        within(SPREAD, "a new API token", exchanges).await;
        let (good, revoked) = (cut_off.token(BILLING).await, cut_off.token(BILLING).await);
        cut_off.revoke(&revoked).await;
        assert!(cut_off.accepts(&good).await && !cut_off.accepts(&revoked).await);

        for manner in [None, Some(Manner::Silent)] {
            let condemned = cut_off.token(BILLING).await;
            assert!(cut_off.accepts(&condemned).await);
            relay.go_away().await;
            if let Some(manner) = manner {
                relay.come_back(manner).await;
            }
            for _ in 0..2 {
                assert_what_is_known_holds(&cut_off, &good, &revoked).await;
                assert_nothing_is_issued(&cut_off, &key, &api_token).await;
                assert_nothing_is_changed(&cut_off, &good).await;
            }
            // The others go on, and what they change cannot be known here yet.
            let id = format!("meanwhile-{}", manner.is_some());
            let secret = other.register(&id).await;
            other.revoke(&condemned).await;
            other.post("/keys/rotate", json!({ "haste": true })).await;
            assert!(!other.accepts(&condemned).await && cut_off.accepts(&condemned).await);
            let elsewhere = other.token(BILLING).await;

            if manner.is_some() {
                relay.go_away().await;
            }
            relay.come_back(Manner::Passing).await;
            let back = within(RECOVERY, "issuing", async || cut_off.ask(BILLING).await.status == 200).await;
            within(SPREAD, "a revocation from elsewhere", async || !cut_off.accepts(&condemned).await).await;
            within(SPREAD, "a client from elsewhere", async || cut_off.issues_to((&id, &secret)).await).await;
            println!("issued again {back:?} after the store was back");
            // Nothing of what was answered 503 was done, and everything can be done again.
            assert!(cut_off.accepts(&good).await && cut_off.accepts(&elsewhere).await);
            assert_eq!(cut_off.ask_by_assertion(&assertion(&key, "signer")).await.status, 200);
            assert!(exchanges().await);
            assert_eq!(cut_off.manage(Method::GET, "/clients/late", Value::Null).await.status, 404);
            assert_eq!(cut_off.keys("current").await, other.keys("current").await);
            let again = cut_off.token(BILLING).await;
            cut_off.revoke(&again).await;
            assert!(!cut_off.accepts(&again).await);
        }
    })
    .await;
}

/// Sets how large a file may become that the process writes.
fn limit_files(process: u32, limit: &str) {
    let arguments = ["--pid", &process.to_string(), &format!("--fsize={limit}:")];
    let status = Command::new("prlimit").args(arguments).status().expect("prlimit runs");
    assert!(status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_full_stops_what_must_be_kept_and_nothing_else() {
    on_sqlite(|location| async move {
        let StoreConfig::Sqlite(_) = &location else { panic!("this is about SQLite") };
        let (folder, upstream) = (tempfile::tempdir().expect("a folder"), RecordedUpstream::start().await);
        let file = write_config(folder.path(), &location, &upstream);
        // A file that may not grow is as good as a full disk, if the signal is ignored that goes with it.
        let line = format!("trap '' XFSZ; exec \"$POSTERN\" serve -c '{}'", file.display());
        let process = Launch::shell(folder.path(), &line).start();
        process.running().await;
        let (public, admin) = (process.address_of("listener public").await, process.address_of("admin listener").await);
        let issuing = Issuing::at(public, admin);

        let key = Arc::new(SigningKey::es256("of-the-client"));
        let mut client = registration("signer");
        client["public_keys"] = json!([key.jwk()]);
        issuing.post("/clients", client).await;
        let api_token = Insider::at(&location).await.make_api_token().await;
        let exchanges = async || issuing.exchange((&api_token.0, &api_token.1)).await.status == 200;
        within(SPREAD, "a new API token", exchanges).await;
        let (good, revoked) = (issuing.token(BILLING).await, issuing.token(BILLING).await);
        issuing.revoke(&revoked).await;
        for _ in 0..2 {
            assert!(issuing.accepts(&good).await && !issuing.accepts(&revoked).await);
            limit_files(process.id(), "1");
            for _ in 0..2 {
                assert_what_is_known_holds(&issuing, &good, &revoked).await;
                assert_nothing_is_issued(&issuing, &key, &api_token).await;
                assert_nothing_is_changed(&issuing, &good).await;
            }
            limit_files(process.id(), "unlimited");
            within(RECOVERY, "issuing", async || issuing.ask(BILLING).await.status == 200).await;
            assert_eq!(issuing.ask_by_assertion(&assertion(&key, "signer")).await.status, 200);
            assert!(exchanges().await);
            assert_eq!(issuing.manage(Method::GET, "/clients/late", Value::Null).await.status, 404);
            let again = issuing.token(BILLING).await;
            assert!(issuing.accepts(&again).await);
            issuing.revoke(&again).await;
            assert!(!issuing.accepts(&again).await);
        }
    })
    .await;
}
