//! Asking an outside plgd hub whether a token was taken back: first a scripted one, then a Postern that stands in for it.

use std::time::Duration;

use http::Method;
use postern::clock::{ManualClock, UnixTime};
use serde_json::{Value, json};

use crate::support::{
    asked::{AskedServer, Question, Reply},
    client::HttpClient,
    forge::{SigningKey, changed},
    gateway::{Gateway, GatewayBuilder},
    issuer::ScriptedIssuer,
    observe::{metric, reload},
    systems::{DEVICES, HUB, PLGD, PLGD_TOKENS, START, Systems, bearer, part},
    upstream::RecordedUpstream,
    wait::until,
};

const CONFIG: &str = r#"
[issuers.hub]
issuer = "${NAME}"
jwks_uri = "${KEYS}"
audience = "https://api.test/devices"
leeway = "0s"
[issuers.hub.revocation]
tokens_endpoint = "${TOKENS}"
timeout = "2s"
[upstreams.devices]
endpoints = ["${UPSTREAM}"]
[routes.devices]
path = "/devices/{*rest}"
upstream = "devices"
[routes.devices.require]
"#;

const TOKENS: &str = "/m2m-oauth-server/api/v1/tokens";

struct World {
    key: SigningKey,
    issuer: ScriptedIssuer,
    hub: AskedServer,
    upstream: RecordedUpstream,
    gateway: Gateway,
    clock: ManualClock,
    client: HttpClient,
}

fn listed(question: &Question) -> String {
    let query = question.target.split_once('?').map(|(_, query)| query).unwrap_or_default();
    let id = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "idFilter").map(|(_, id)| id);
    json!({ "result": { "id": id, "version": "0", "blacklisted": null, "expiration": "1800000600" } }).to_string()
        + "\n"
}

fn revoked(question: &Question) -> Reply {
    let flag = r#""blacklisted":{"flag":true,"timestamp":"1800000000"}"#;
    Reply::Says(listed(question).replace(r#""blacklisted":null"#, flag))
}

impl World {
    async fn open() -> Self {
        Self::furnished(|builder| builder).await
    }

    async fn furnished(furnish: impl FnOnce(GatewayBuilder) -> GatewayBuilder) -> Self {
        let key = SigningKey::es256("k1");
        let issuer = ScriptedIssuer::start(&[&key]).await;
        let hub = AskedServer::start(|question| Reply::Says(listed(question))).await;
        let upstream = RecordedUpstream::start().await;
        let clock = ManualClock::starting_at(UnixTime::from_seconds(START));
        let builder = furnish(GatewayBuilder::new(CONFIG))
            .variable("NAME", &issuer.name())
            .variable("KEYS", &issuer.jwks_uri())
            .variable("TOKENS", &hub.url(TOKENS));
        let gateway = builder.upstream(&upstream).clock(clock.clock()).start().await;
        Self { key, issuer, hub, upstream, gateway, clock, client: HttpClient::http1() }
    }

    fn token(&self, token_id: &str, changes: &Value) -> String {
        let claims = json!({
            "iss": self.issuer.name(), "aud": "https://api.test/devices", "sub": "s", "jti": token_id, "iat": START,
            "exp": START + 600,
        });
        self.key.token(&changed(claims, changes))
    }

    async fn present(&self, token: &str) -> (u16, String) {
        let before = self.upstream.count();
        let answer = self.client.get(&self.gateway.url("/devices/1"), Some(token)).await;
        let passed = answer.status == 200;
        assert_eq!(self.upstream.count() - before, usize::from(passed));
        let reason = if passed { String::new() } else { answer.reason() };
        assert_eq!(answer.status == 503, !answer.header("retry-after").is_empty());
        (answer.status.as_u16(), reason)
    }

    async fn opens(&self, token: &str) {
        assert_eq!(self.present(token).await, (200, String::new()), "the control");
    }

    /// Opens, once the pause after a failure is over.
    async fn opens_again(&self, token: &str) {
        until("the hub is asked again", || async {
            match self.present(token).await {
                (200, _) => Some(()),
                other => {
                    assert_eq!(other, (503, "revocation_unavailable".to_owned()));
                    None
                }
            }
        })
        .await;
    }

    async fn refused(&self, token: &str, status: u16, reason: &str) {
        assert_eq!(self.present(token).await, (status, reason.to_owned()));
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

#[tokio::test]
async fn each_token_is_looked_up_by_its_id_under_its_own_name() {
    let world = World::open().await;
    let id = "2f6d1f1e-8d9b-4c0e-9d8a-1f0e5b7c9a10";
    let token = world.token(id, &json!({}));
    for _ in 0..3 {
        world.opens(&token).await;
    }
    let [question] = world.hub.questions().try_into().expect("one question");
    assert_eq!(question.method, Method::GET);
    assert_eq!(question.target, format!("{TOKENS}?idFilter={id}&includeBlacklisted=true"));
    assert_eq!(question.header("authorization"), Some(bearer(&token).as_str()));
    assert!(question.header("accept").is_some_and(|accept| accept.starts_with("application/protojson")));

    // Nobody is asked about a token that is not good anyway, and none is shown to anybody.
    let forged = SigningKey::es256("k1").token(&json!({ "iss": world.issuer.name(), "jti": id, "exp": START + 9 }));
    world.refused(&forged, 401, "bad_signature").await;
    world.refused(&world.token("old", &json!({ "exp": START, "iat": START - 9 })), 401, "token_expired").await;
    world.refused(&world.token("x", &json!({ "jti": null })), 401, "claim_missing").await;
    assert_eq!(world.hub.count(), 1);
    // Whatever the id is, it stays within its parameter.
    world.opens(&world.token("a/b?c#d e", &json!({}))).await;
    let target = world.hub.questions().pop().expect("a question").target;
    assert_eq!(target, format!("{TOKENS}?idFilter=a%2Fb%3Fc%23d+e&includeBlacklisted=true"));
}

#[tokio::test]
async fn what_the_hub_says_is_believed_for_its_time() {
    let world = World::open().await;
    let token = world.token("t1", &json!({}));
    world.opens(&token).await;
    world.hub.answers(revoked);
    world.pass(29);
    world.opens(&token).await;
    assert_eq!(world.hub.count(), 1);
    world.pass(1);
    for _ in 0..3 {
        world.refused(&token, 401, "token_revoked").await;
    }
    // Until it has expired nobody asks again.
    world.hub.answers(|question| Reply::Says(listed(question)));
    world.pass(500);
    world.refused(&token, 401, "token_revoked").await;
    assert_eq!(world.hub.count(), 2);
    // Over a reload, too.
    world.gateway.edit("leeway = \"0s\"", "leeway = \"1s\"");
    assert_eq!(reload(&world.gateway).await.status, 200);
    world.refused(&token, 401, "token_revoked").await;
    assert_eq!(world.hub.count(), 2);
    world.opens(&world.token("t2", &json!({}))).await;
    // One that it does not list is refused as it is there, and asked about again soon: it may be new.
    world.hub.says(Reply::Says(String::new()));
    let unlisted = world.token("t3", &json!({}));
    for _ in 0..3 {
        world.refused(&unlisted, 401, "unknown_token").await;
    }
    assert_eq!(world.hub.count(), 4);
    world.hub.answers(|question| Reply::Says(listed(question)));
    world.pass(5);
    world.opens(&unlisted).await;
    // Nor does it go on with one that the hub itself does not take, which says nothing of another that has its id.
    world.hub.says(Reply::Fails(401));
    let refused = world.token("t4", &json!({}));
    for _ in 0..2 {
        world.refused(&refused, 401, "token_refused_by_issuer").await;
    }
    world.hub.answers(|question| Reply::Says(listed(question)));
    world.refused(&refused, 401, "token_refused_by_issuer").await;
    world.opens(&world.token("t4", &json!({ "sub": "another" }))).await;
    world.pass(5);
    world.opens(&refused).await;
    let count = |result: &'static str| {
        let gateway = &world.gateway;
        async move { metric(gateway, "postern_revocation_requests_total", &[("issuer", "hub"), ("result", result)]).await }
    };
    let counted = (count("good").await, count("revoked").await, count("not_listed").await, count("refused").await);
    assert_eq!(counted, (5.0, 1.0, 1.0, 1.0));
}

#[tokio::test]
async fn a_hub_that_does_not_answer_says_nothing_against_a_token() {
    let world = World::open().await;
    let kept = world.token("kept", &json!({}));
    world.opens(&kept).await;
    let line = r#"{"result":{"id":"ID"}}"#;
    for (number, reply) in [
        Reply::Fails(500),
        Reply::Fails(403),
        Reply::Redirects("/elsewhere".to_owned()),
        Reply::Says("<html>".to_owned()),
        Reply::Says(r#"{"error":{"code":13}}"#.to_owned()),
        Reply::Says(format!("{line}\n{{\"result\":")),
        Reply::Breaks(line.to_owned()),
        Reply::Spaces(100 << 20),
        Reply::Slowly(Duration::from_secs(4), Box::new(Reply::Fails(200))),
    ]
    .into_iter()
    .enumerate()
    {
        world.hub.says(reply.clone());
        let token = world.token(&format!("t{number}"), &json!({}));
        assert_eq!(world.present(&token).await, (503, "revocation_unavailable".to_owned()), "{reply:?}");
        world.opens(&kept).await;
        world.hub.answers(|question| Reply::Says(listed(question)));
        world.opens_again(&token).await;
    }
    world.hub.go_down().await;
    world.pass(30);
    world.refused(&kept, 503, "revocation_unavailable").await;
    world.hub.come_back().await;
    world.opens_again(&kept).await;
    let issuers = world.client.get(&world.gateway.admin_url("/api/v1/issuers"), None).await.json();
    assert_eq!(issuers[0]["revocation"]["endpoint"], world.hub.url(TOKENS));
    assert!(issuers[0]["revocation"]["last_error"].is_string(), "{issuers}");
}

#[tokio::test]
async fn a_clock_set_back_makes_no_revoked_token_good() {
    let world =
        World::furnished(|builder| builder.with("timeout = \"2s\"", "timeout = \"2s\"\ncache_for = \"2s\"")).await;
    let token = world.token("t1", &json!({ "iat": null }));
    world.opens(&token).await;
    world.hub.answers(revoked);
    world.clock.set(UnixTime::from_seconds(START - 3600));
    tokio::time::sleep(Duration::from_millis(2100)).await;
    world.refused(&token, 401, "token_revoked").await;
}

#[tokio::test]
async fn a_hundred_requests_with_one_new_token_are_one_question() {
    let world = World::open().await;
    world.hub.answers(|question| Reply::Slowly(Duration::from_millis(100), Box::new(Reply::Says(listed(question)))));
    let (url, token) = (world.gateway.url("/devices/1"), world.token("t1", &json!({})));
    let requests: Vec<_> = (0..100)
        .map(|_| {
            let (url, token) = (url.clone(), token.clone());
            tokio::spawn(async move { HttpClient::http1().get(&url, Some(&token)).await.status.as_u16() })
        })
        .collect();
    for request in requests {
        assert_eq!(request.await.expect("no panic"), 200);
    }
    assert_eq!((world.hub.count(), world.upstream.count()), (1, 100));
}

#[tokio::test]
async fn a_postern_before_a_hub_hears_of_what_was_revoked_there() {
    let hub = Systems::open().await;
    let upstream = RecordedUpstream::start().await;
    let builder = GatewayBuilder::new(CONFIG)
        .variable("NAME", "https://systems.test/")
        .variable("KEYS", &hub.gateway.url("/.well-known/jwks.json"))
        .variable("TOKENS", &hub.gateway.url(PLGD_TOKENS));
    let gateway = builder.upstream(&upstream).clock(hub.clock.clock()).start().await;
    let client = HttpClient::http1();
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let body = json!({
            "grant_type": "client_credentials", "client_id": "hub", "client_secret": HUB, "audience": DEVICES,
        });
        let answer = hub.post_json(PLGD, &body).await;
        tokens.push(answer.json()["access_token"].as_str().unwrap_or_else(|| panic!("{}", answer.text())).to_owned());
    }
    let [revoked, kept] = tokens.try_into().expect("two");
    let url = gateway.url("/devices/1");
    for token in [&revoked, &kept] {
        let answer = client.get(&url, Some(token)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let id = part(&revoked, 1)["jti"].as_str().expect("an id").to_owned();
    let path = format!("{PLGD_TOKENS}?idFilter={id}");
    let answer = hub.send(Method::DELETE, &path, &[("authorization", &bearer(&kept))], "").await;
    assert!(answer.status.is_success(), "{} {}", answer.status, answer.text());
    until("the revocation at the hub", async || {
        let listing = format!("{PLGD_TOKENS}?idFilter={id}&includeBlacklisted=true");
        let answer = hub.send(Method::GET, &listing, &[("authorization", &bearer(&kept))], "").await;
        answer.text().contains("\"flag\":true").then_some(())
    })
    .await;
    assert_eq!(client.get(&url, Some(&revoked)).await.status, 200, "what was said is believed for 30 s");
    hub.clock.advance(Duration::from_secs(30));
    // As at a hub of today, a revoked token may not even ask how it stands.
    assert_eq!(client.get(&url, Some(&revoked)).await.reason(), "token_refused_by_issuer");
    assert_eq!(client.get(&url, Some(&kept)).await.status, 200, "the control");
}
