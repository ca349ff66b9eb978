//! A provider that is slow, broken, lying or away, behind token endpoints that many clients ask at once; and the ledger of it:
//! what each was answered, against what the provider was asked and what it issued.

mod callers;
mod faults;
mod reloads;
mod reused;
mod ward;

use http::StatusCode;
use serde_json::json;

use self::{
    callers::{Caller, Proof},
    faults::{FAULTS, Fault},
    ward::{PROVIDER_SECRET, Seen, Ward},
};
use crate::support::{
    client::HttpClient,
    observe::sum_of,
    provider::{Conduct, Said},
    wait::until,
};

/// Headers that an answer of a token endpoint may have. Nothing that the provider says beside its answer is among them.
const OWN_HEADERS: [&str; 8] = [
    "cache-control",
    "connection",
    "content-length",
    "content-type",
    "date",
    "pragma",
    "retry-after",
    "www-authenticate",
];

/// What one caller was answered, against what it is to be answered under a fault.
fn judge(fault: &Fault, caller: &Caller<'_>, seen: &Seen, ward: &Ward) {
    let (what, status) = (format!("{} for {}: {}", fault.name, caller.name, seen.text), seen.status);
    let expected = match caller.proof {
        Proof::Right => fault.right,
        // Their proof is judged here, whatever the provider does.
        Proof::WrongHere => &[401],
        Proof::WrongThere => fault.wrong,
    };
    assert!(expected.contains(&status), "{status}: {what}");
    assert_eq!(seen.header("cache-control"), "no-store", "{what}");
    for name in seen.headers.keys() {
        let known = OWN_HEADERS.contains(&name.as_str()) || name == "x-request-id";
        assert!(known, "{name} comes from the provider: {what}");
    }
    assert!(!format!("{:?}", seen.headers).contains("canary"), "{what}");
    if status == 503 || status == 429 {
        assert!(seen.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0), "{what}");
        assert!(seen.headers.get("www-authenticate").is_none(), "{what}");
    }
    match seen.token() {
        Some(token) => {
            assert_eq!((status, caller.proof), (200, Proof::Right), "{what}");
            assert_eq!(ward.provider.owner_of(&token).as_deref(), Some(caller.at_provider), "{what}");
        }
        None => {
            assert_ne!(status, 200, "{what}");
            assert!(!seen.text.contains("canary"), "{what}");
        }
    }
}

/// Every fault in turn, with all callers at once; and after each, that all is well again.
#[tokio::test]
async fn the_ledger_of_a_failing_provider() {
    let mut ward = Ward::open().await;
    let mut tokens = Vec::new();
    let (mut answered_503, mut lost) = (0, 0);
    for fault in FAULTS {
        for fault in [fault, &Fault::NONE] {
            let asked_before = ward.provider.count();
            ward.begin(fault).await;
            let ledger = ward.all_at_once(fault.requests).await;
            ward.end(fault).await;
            for (caller, seen) in &ledger {
                judge(fault, caller, seen, &ward);
                tokens.extend(seen.token());
                answered_503 += usize::from(seen.status == 503);
            }
            // Each request once, and none that was not made: not even of those that were broken off.
            let asked = &ward.provider.asked()[asked_before..];
            let expected = |caller: &Caller<'_>| if caller.proof == Proof::WrongHere { 0 } else { fault.requests };
            for caller in ward::CALLERS {
                let count = asked.iter().filter(|asked| caller.is_behind(asked)).count();
                match fault.reaches {
                    faults::Reach::Always => assert_eq!(count, expected(caller), "{} {}", fault.name, caller.name),
                    faults::Reach::Never => assert_eq!(count, 0, "{} {}", fault.name, caller.name),
                    faults::Reach::Once => assert!(count <= expected(caller), "{} {}", fault.name, caller.name),
                }
                // There was no connection to be had, or it was closed before the provider had read them.
                lost += expected(caller) - count;
            }
            assert!(asked.iter().all(|asked| ward::CALLERS.iter().any(|caller| caller.is_behind(asked))));
            let mut tags: Vec<_> = asked.iter().filter_map(|asked| asked.parameter("scope")).collect();
            let all = tags.len();
            tags.sort_unstable();
            tags.dedup();
            assert_eq!(tags.len(), all, "{}: something was asked again", fault.name);
        }
    }
    let given = tokens.len();
    tokens.sort_unstable();
    tokens.dedup();
    assert_eq!(tokens.len(), given, "each token was given to one request only");

    let metrics = ward.metrics().await;
    let forwarded = sum_of(&metrics, "postern_token_endpoint_forwarded_total", &[]);
    let failures = |reason: &str| {
        let labels: &[(&str, &str)] = if reason.is_empty() { &[] } else { &[("reason", reason)] };
        sum_of(&metrics, "postern_token_endpoint_provider_failures_total", labels) as usize
    };
    assert_eq!(forwarded as usize, ward.provider.count() + lost, "each was sent once: {metrics}");
    let never_read = failures("unreachable") + failures("broken_off");
    assert!(never_read >= lost, "what was lost failed so: {metrics}");
    assert_eq!(failures(""), answered_503, "each 503 is counted, with its reason: {metrics}");
    assert_eq!(failures("busy"), 0);
    for reason in ["unreachable", "timed_out", "broken_off", "too_large", "status", "answer"] {
        assert!(failures(reason) > 0, "{reason}: {metrics}");
    }

    let (access_log, log) = ward.written().await;
    assert!(log.contains("DEBUG") && log.contains("the provider of a token endpoint failed"));
    assert!(access_log.lines().count() >= given + answered_503);
    assert!(!log.contains("panicked"));
}

/// What is wrong cannot be told from an answer: neither whether a client is in the map, nor how much of a secret is right. Nor
/// can it from the time: `ClientMap::resolve` hashes what was presented once and compares the hash, of one length, with two,
/// for whatever client; an unknown one has two that nothing hashes to.
#[tokio::test]
async fn a_wrong_secret_and_an_unknown_client_are_answered_alike() {
    let mut ward = Ward::open().await;
    let before = ward.provider.count();
    let mut answers = Vec::new();
    let secret = "canary-nightly-secret-of-its-own";
    for (id, secret) in [
        ("nightly", "x".to_owned()),
        ("nightly", format!("{secret}x")),
        ("nightly", secret.replace("own", "owm")),
        ("nightly", PROVIDER_SECRET.to_owned()),
        ("nobody", "x".to_owned()),
        ("nobody", secret.to_owned()),
        // Known at the provider, and not here.
        ("nightly-at-provider", PROVIDER_SECRET.to_owned()),
    ] {
        for caller in [Caller::NIGHTLY, Caller::NIGHTLY_IN_BODY] {
            let seen = ward.ask(&HttpClient::http1(), &Caller { id, secret: &secret, ..caller }, "same").await;
            let headers = seen.headers.iter().filter(|(name, _)| !["date", "x-request-id"].contains(&name.as_str()));
            let headers: Vec<String> = headers.map(|(name, value)| format!("{name}: {value:?}")).collect();
            answers.push((seen.status, headers, seen.text));
        }
    }
    answers.dedup();
    assert_eq!((answers.len(), answers[0].0), (1, 401), "{answers:?}");
    assert_eq!(ward.provider.count(), before, "the provider is not asked");
    let control = ward.ask(&HttpClient::http1(), &Caller::NIGHTLY, "same").await;
    assert_eq!((control.status, ward.provider.count()), (200, before + 1));
    ward.written().await;
}

/// What the provider says of a client's proof goes to that client; of the operator's, to nobody.
#[tokio::test]
async fn whose_credentials_were_refused_decides_who_is_told() {
    let mut ward = Ward::open().await;
    let refusal = Said::json(401, &json!({ "error": "invalid_client" }));
    ward.provider.conduct(Conduct::Says(refusal));
    let client = HttpClient::http1();
    let own = ward.ask(&client, &Caller::BILLING, "own").await;
    assert_eq!(own.status, 401, "{}", own.text);
    let operators = ward.ask(&client, &Caller::NIGHTLY, "operator's").await;
    assert_eq!(operators.status, 503, "{}", operators.text);
    assert_eq!(ward.provider.count(), 2);
    let (_, log) = ward.written().await;
    assert!(log.contains("credentials in the configuration are wrong"));
}

/// More than `max_requests` are answered at once, and not kept waiting.
#[tokio::test]
async fn what_is_more_than_the_provider_may_be_asked_at_once_is_sent_away() {
    let ward = Ward::open().await;
    ward.provider.hold();
    let ask = |number: usize| {
        let (client, caller) = (HttpClient::http1(), Caller { path: "/narrow/token", ..Caller::BILLING });
        let ward = &ward;
        async move { ward.ask(&client, &caller, &number.to_string()).await }
    };
    let first = futures_util::future::join_all((0..3).map(ask));
    let rest = async {
        until("three are under way", || async { (ward.provider.count() == 3).then_some(()) }).await;
        for number in 3..8 {
            let seen = ask(number).await;
            assert_eq!(seen.status, StatusCode::SERVICE_UNAVAILABLE.as_u16(), "{}", seen.text);
        }
        assert_eq!(ward.provider.count(), 3);
        ward.provider.release();
    };
    let (first, ()) = tokio::join!(first, rest);
    assert!(first.iter().all(|seen| seen.status == 200));
    assert_eq!(ward.provider.most_at_once(), 3);
    assert_eq!(ask(8).await.status, 200);
}

/// Whoever was under way when the gateway is told to stop gets what the provider issued for it.
#[tokio::test]
async fn a_stop_waits_for_what_the_provider_was_asked() {
    let mut ward = Ward::open().await;
    ward.provider.hold();
    let asking: Vec<_> = [Caller::BILLING, Caller::HOSTED, Caller::DEVICE, Caller::TENANT, Caller::NIGHTLY]
        .iter()
        .map(|caller| (caller.at_provider, tokio::spawn(ward.asking(&HttpClient::http1(), caller, "late"))))
        .collect();
    until("all are under way", || async { (ward.provider.count() == asking.len()).then_some(()) }).await;
    ward.process.ask_to_stop();
    until("it stops", || async { ward.process.written().1.contains("stopping").then_some(()) }).await;
    ward.provider.release();
    for (client_id, answer) in asking {
        let seen = answer.await.unwrap();
        assert_eq!(seen.status, 200, "{}", seen.text);
        let owner = seen.token().and_then(|token| ward.provider.owner_of(&token));
        assert_eq!(owner.as_deref(), Some(client_id));
    }
    ward.process.ended().await;
}
