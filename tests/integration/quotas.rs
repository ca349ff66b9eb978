//! How many tokens a client gets, in an hour and a day of UTC, and what it is told of that.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{
    client::Answer,
    issuing::{self, CONFIG, Issuing},
    observe::{log_line, metric, reload},
    process::PosternProcess,
    systems::{AUTH0, BILLING, HUB, OAUTH2, ORDERS, PLGD, Systems, assert_answer, assert_uncached_json, bearer, text},
    upstream::RecordedUpstream,
    wait::until,
};

const HOUR: Duration = Duration::from_secs(3600);
const WARNINGS: &str = "postern_token_endpoint_quota_warnings_total";

/// With these lines, of which each but the first may begin a table of its own.
async fn systems(lines: &str) -> Systems {
    Systems::furnished(|builder| builder.also(&format!("\n{lines}\n"))).await
}

fn asked(secret: &str) -> Value {
    json!({ "grant_type": "client_credentials", "client_id": "billing", "client_secret": secret, "audience": ORDERS })
}

async fn asks(systems: &Systems, path: &str) -> Answer {
    systems.post_json(path, &asked(BILLING)).await
}

/// The statuses of so many requests, one after the other.
async fn statuses(systems: &Systems, path: &str, count: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..count {
        statuses.push(asks(systems, path).await.status.as_u16());
    }
    statuses
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_used_up_is_there_again_in_the_next_hour_and_the_next_day() {
    let systems = systems("[token_endpoints.auth0.quota]\nper_hour = 3\nper_day = 5").await;
    // It is 08:01.
    systems.clock.advance(Duration::from_secs(60));
    for left in (0..3).rev() {
        let answer = asks(&systems, AUTH0).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let expected = format!("b=per_hour;q=3;r={left};t=3540,b=per_day;q=5;r={};t=57540", left + 2);
        assert_eq!(answer.header("auth0-client-quota-limit"), expected);
        assert_eq!(answer.header("x-ratelimit-limit"), "", "only with a refusal");
    }
    let refused = asks(&systems, AUTH0).await;
    let exceeded = json!({ "error": "too_many_requests", "error_description": "Client quota exceeded" });
    assert_answer(&refused, 429, &exceeded);
    assert_eq!(refused.header("retry-after"), "3540");
    assert_eq!(refused.header("auth0-client-quota-limit"), "b=per_hour;q=3;r=0;t=3540,b=per_day;q=5;r=2;t=57540");
    let next_hour = (systems.now() + 3540).to_string();
    let told = ["limit", "remaining", "reset"].map(|end| refused.header(&format!("x-ratelimit-{end}")).to_owned());
    assert_eq!(told, ["3", "0", &next_hour]);
    let line = log_line(&systems.gateway, "the refusal", |line| line["reason"] == "quota_exceeded").await;
    assert_eq!((&line["status"], &line["issued_to"]), (&json!(429), &json!("billing")));
    let labels = [("route", "token_endpoints.auth0"), ("reason", "quota_exceeded")];
    assert_eq!(metric(&systems.gateway, "postern_rejections_total", &labels).await, 1.0);

    systems.clock.advance(HOUR);
    assert_eq!(statuses(&systems, AUTH0, 3).await, [200, 200, 429], "two are left of the day");
    assert_eq!(asks(&systems, AUTH0).await.header("retry-after"), (15 * 3600 - 60).to_string());
    systems.clock.advance(15 * HOUR);
    assert_eq!(statuses(&systems, AUTH0, 4).await, [200, 200, 200, 429]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_endpoint_counts_by_itself_and_failures_cost_nothing() {
    let systems =
        systems("[token_endpoints.oauth2.quota]\nper_hour = 2\n[token_endpoints.auth0.quota]\nper_hour = 1").await;
    for _ in 0..5 {
        assert_eq!(systems.post_json(OAUTH2, &asked("wrong")).await.status, 401);
    }
    let refused = json!({
        "grant_type": "client_credentials", "client_id": "billing", "client_secret": BILLING, "audience": "urn:unknown",
    });
    for _ in 0..5 {
        assert_eq!(systems.post_json(OAUTH2, &refused).await.status, 400);
    }
    assert_eq!(statuses(&systems, OAUTH2, 3).await, [200, 200, 429]);
    assert_eq!(statuses(&systems, AUTH0, 2).await, [200, 429]);
    assert_eq!(statuses(&systems, PLGD, 4).await, [200; 4], "the control: an endpoint without a quota");
    // Who has not proven itself does not learn that there is a quota.
    let wrong = systems.post_json(OAUTH2, &asked("wrong")).await;
    assert_eq!((wrong.status.as_u16(), wrong.header("ratelimit-limit")), (401, ""));
    let hub = json!({ "grant_type": "client_credentials", "client_id": "hub", "client_secret": HUB });
    assert_eq!(systems.post_json(OAUTH2, &hub).await.status, 200, "another client");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_dialects_tell_it_in_their_own_shape() {
    let lines =
        "[token_endpoints.oauth2.quota]\nper_hour = 2\nper_day = 100\n[token_endpoints.plgd.quota]\nper_day = 1";
    let systems = systems(lines).await;
    let limits = |answer: &Answer| {
        ["limit", "remaining", "reset"].map(|end| answer.header(&format!("ratelimit-{end}")).to_owned())
    };
    let first = asks(&systems, OAUTH2).await;
    assert_eq!(limits(&first), ["2", "1", "3600"]);
    asks(&systems, OAUTH2).await;
    let refused = asks(&systems, OAUTH2).await;
    assert_uncached_json(&refused);
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (429, "3600"));
    assert_eq!(refused.json()["error"], "temporarily_unavailable");
    assert_eq!(limits(&refused), ["2", "0", "3600"]);

    let hub = json!({ "grant_type": "client_credentials", "client_id": "hub", "client_secret": HUB });
    assert_eq!(systems.post_json(PLGD, &hub).await.status, 200);
    let refused = systems.post_json(PLGD, &hub).await;
    let exhausted = json!({ "code": 8, "message": "cannot create token: quota exceeded", "details": [] });
    assert_answer(&refused, 429, &exhausted);
    assert_eq!(refused.header("retry-after"), (16 * 3600).to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_token_is_counted_when_it_is_exchanged_and_when_it_is_refreshed() {
    let systems = systems("[token_endpoints.frontegg.quota]\nper_hour = 2").await;
    let path = "/identity/resources/auth/v1/api-token";
    let administrator = systems.authority_token(&json!({
        "tenantId": "tenant-1", "roles": ["writer"], "permissions": ["fe.secure.write.tenantApiTokens"],
    }));
    let headers = [
        ("authorization", &*bearer(&administrator)),
        ("frontegg-tenant-id", "tenant-1"),
        ("content-type", "application/json"),
    ];
    let body = json!({ "description": "nightly", "roleIds": ["reader"] }).to_string();
    let made = systems.send(Method::POST, "/identity/resources/tenants/api-tokens/v2", &headers, &body).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let (client_id, secret) = (text(&made.json(), "clientId"), text(&made.json(), "secret"));
    for _ in 0..3 {
        let guess = json!({ "clientId": client_id, "secret": "wrong" });
        assert_eq!(systems.post_json(path, &guess).await.status, 401);
    }
    let pair = json!({ "clientId": client_id, "secret": secret });
    let exchanged = systems.post_json(path, &pair).await;
    assert_eq!((exchanged.status.as_u16(), exchanged.header("ratelimit-remaining")), (200, "1"));
    let refresh = async |token: String| {
        systems.post_json(&format!("{path}/token/refresh"), &json!({ "refreshToken": token })).await
    };
    let refreshed = refresh(text(&exchanged.json(), "refreshToken")).await;
    assert_eq!((refreshed.status.as_u16(), refreshed.header("ratelimit-remaining")), (200, "0"));
    let next = text(&refreshed.json(), "refreshToken");
    for refused in [refresh(next.clone()).await, systems.post_json(path, &pair).await] {
        assert_answer(&refused, 429, &json!({ "errors": ["Too many requests"] }));
        assert_eq!(refused.header("retry-after"), "3600");
    }
    // The refresh token that met it is good still.
    systems.clock.advance(HOUR);
    assert_eq!(refresh(next.clone()).await.status, 200);
    assert_eq!(refresh(next).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_has_a_quota_over_all_its_clients() {
    let lines = "[token_endpoints.auth0.quota]\norganizations = { per_hour = 2 }";
    let systems = systems(lines).await;
    let of = |organization: &'static str| {
        let mut body = asked(BILLING);
        body["organization"] = json!(organization);
        body
    };
    let answer = systems.post_json(AUTH0, &of("org_acme")).await;
    assert_eq!(answer.header("auth0-organization-quota-limit"), "b=per_hour;q=2;r=1;t=3600");
    assert_eq!(answer.header("auth0-client-quota-limit"), "", "clients are not bounded");
    for _ in 0..3 {
        assert_eq!(systems.post_json(AUTH0, &of("org_other")).await.status, 403);
    }
    assert_eq!(systems.post_json(AUTH0, &of("org_acme")).await.status, 200);
    let refused = systems.post_json(AUTH0, &of("org_acme")).await;
    let exceeded = json!({ "error": "too_many_requests", "error_description": "Organization quota exceeded" });
    assert_answer(&refused, 429, &exceeded);
    assert_eq!(statuses(&systems, AUTH0, 3).await, [200; 3], "for itself the client goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_enforcement_it_is_counted_and_warned_of() {
    let lines = "[token_endpoints.oauth2.quota]\nper_hour = 5\nenforce = false\nclients = { hub = { per_hour = 1 } }";
    let systems = systems(lines).await;
    assert_eq!(statuses(&systems, OAUTH2, 9).await, [200; 9]);
    let hub = json!({ "grant_type": "client_credentials", "client_id": "hub", "client_secret": HUB });
    let answer = systems.post_json(OAUTH2, &hub).await;
    assert_eq!((answer.header("ratelimit-limit"), answer.header("ratelimit-remaining")), ("1", "0"));
    for (threshold, count) in [("60", 1.0), ("80", 1.0), ("100", 2.0)] {
        let labels = [("endpoint", "oauth2"), ("threshold", threshold)];
        assert_eq!(metric(&systems.gateway, WARNINGS, &labels).await, count, "{threshold}");
    }
    assert_eq!(metric(&systems.gateway, "postern_rejections_total", &[("reason", "quota_exceeded")]).await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_the_numbers_and_keeps_the_counts() {
    let systems = systems("[token_endpoints.oauth2.quota]\nper_hour = 3").await;
    assert_eq!(statuses(&systems, OAUTH2, 4).await, [200, 200, 200, 429]);
    systems.gateway.edit("per_hour = 3", "per_hour = 5");
    assert_eq!(reload(&systems.gateway).await.status, 200);
    assert_eq!(statuses(&systems, OAUTH2, 3).await, [200, 200, 429]);
    systems.gateway.edit("per_hour = 5", "per_hour = 4");
    assert_eq!(reload(&systems.gateway).await.status, 200);
    assert_eq!(statuses(&systems, OAUTH2, 1).await, [429]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_exactly_so_many_succeed() {
    let systems = systems("[token_endpoints.oauth2.quota]\nper_hour = 20").await;
    let mut asking = JoinSet::new();
    for _ in 0..200 {
        let (client, url) = (systems.client.clone(), systems.gateway.url(OAUTH2));
        asking.spawn(async move {
            let request = http::Request::post(url).header("content-type", "application/json");
            client.send(request.body(asked(BILLING).to_string().into()).unwrap()).await.status.as_u16()
        });
    }
    let statuses = asking.join_all().await;
    let count = |wanted| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!((count(200), count(429)), (20, 180));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_warns_once_and_names_only_who_has_proven_itself() {
    let upstream = RecordedUpstream::start().await;
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", folder.path().join("postern.db").display());
    let environment = [("UPSTREAM", upstream.url()), ("STORE", store)];
    let environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let config = format!("{CONFIG}\n[token_endpoints.oauth.quota]\nper_hour = 1_000_000\nper_day = 5\n");
    let process = PosternProcess::start(&config, &environment).await;
    let issuing = Issuing::at(process.public, process.admin);
    for number in 0..20 {
        assert_eq!(issuing.ask((&format!("canary-{number}"), "wrong")).await.status, 401);
    }
    for number in 0..9 {
        assert_eq!(issuing.ask(issuing::BILLING).await.status, if number < 5 { 200 } else { 429 });
    }
    let warned = |percent: &str| {
        let words = format!("client billing has used {percent} % of its quota of this day");
        process.written().1.matches(&words).count()
    };
    until("it is warned", || async { (warned("100") == 1).then_some(()) }).await;
    assert_eq!((warned("60"), warned("80")), (1, 1));
    assert_eq!(process.written().1.matches("of its quota").count(), 3);
    assert!(!process.written().1.contains("canary"));
}
