//! Routes that say the same of who may use them, and how, have that in common. Two that differ in one key only are each judged by their
//! own. (That of `end_with_token` is in `end_with_token`, whose two routes differ in nothing else.)

use http::Method;
use tokio::time::timeout;

use crate::support::{
    client::{Answer, HttpClient, request},
    corp::Corp,
    gateway::Gateway,
    upstream::{Recorded, RecordedUpstream},
    wait::{PATIENCE, until},
};

/// Two routes, each with its own key beside what both have.
struct Pair {
    corp: Corp,
    upstream: RecordedUpstream,
    elsewhere: RecordedUpstream,
    gateway: Gateway,
    client: HttpClient,
}

const BOTH: &str = r#"
upstream = "orders"
require.scopes = ["orders:read"]
"#;

impl Pair {
    /// With these keys of `/one` and of `/other`.
    async fn of(one: &str, other: &str) -> Self {
        let corp = Corp::start().await;
        let (upstream, elsewhere) = (RecordedUpstream::start().await, RecordedUpstream::start().await);
        let route = |name: &str, keys: &str| format!("[routes.{name}]\npath = \"/{name}/{{*rest}}\"\n{keys}\n");
        let upstreams = "[upstreams.orders]\nendpoints = [\"${UPSTREAM}\"]\n\
                         [upstreams.elsewhere]\nendpoints = [\"${ELSEWHERE}\"]\n";
        let builder = corp.gateway(&[route("one", one), route("other", other), upstreams.to_owned()].concat());
        let gateway = builder.upstream(&upstream).variable("ELSEWHERE", &elsewhere.url()).start().await;
        Self { corp, upstream, elsewhere, gateway, client: HttpClient::http1() }
    }

    fn token(&self, scope: &str) -> String {
        self.corp.token_with(|claims| claims["scope"] = scope.into())
    }

    async fn ask(&self, path: &str, token: Option<&str>) -> Answer {
        let asked = self.client.send(request(Method::GET, &self.gateway.url(path), token));
        timeout(PATIENCE, asked).await.expect("an answer in time")
    }

    /// What `orders` saw of a request that gets through.
    async fn seen(&self, path: &str, token: Option<&str>) -> Recorded {
        let before = self.upstream.count();
        let answer = self.ask(path, token).await;
        assert_eq!((answer.status.as_u16(), self.upstream.count()), (200, before + 1), "{path}: {}", answer.text());
        let seen = self.upstream.last();
        assert_eq!(seen.target, path);
        seen
    }

    /// Sends one of which no upstream sees anything.
    async fn refused(&self, path: &str, token: Option<&str>) -> (u16, String) {
        let before = (self.upstream.count(), self.elsewhere.count());
        let answer = self.ask(path, token).await;
        assert_eq!((self.upstream.count(), self.elsewhere.count()), before, "{path}");
        (answer.status.as_u16(), answer.reason())
    }
}

#[tokio::test]
async fn a_public_one_opens_no_other() {
    for (one, other, open, guarded) in [
        ("upstream = \"orders\"\npublic = true", "upstream = \"orders\"\n[routes.other.require]", "/one/x", "/other/x"),
        ("upstream = \"orders\"\n[routes.one.require]", "upstream = \"orders\"\npublic = true", "/other/x", "/one/x"),
    ] {
        let pair = Pair::of(one, other).await;
        let token = pair.token("any");
        for _ in 0..2 {
            pair.seen(open, None).await;
            assert_eq!(pair.refused(guarded, None).await, (401, "no_token".to_owned()));
            pair.seen(guarded, Some(&token)).await;
        }
    }
}

#[tokio::test]
async fn one_that_reports_lets_nobody_through_another() {
    for (one, other, lax, strict) in
        [("mode = \"report\"", "", "/one/x", "/other/x"), ("", "mode = \"report\"", "/other/x", "/one/x")]
    {
        let pair = Pair::of(&format!("{one}{BOTH}"), &format!("{other}{BOTH}")).await;
        let (good, bad) = (pair.token("orders:read"), pair.token("orders:list"));
        for _ in 0..2 {
            pair.seen(lax, Some(&bad)).await;
            assert_eq!(pair.refused(strict, Some(&bad)).await, (403, "scope_missing".to_owned()));
            assert_eq!(pair.refused(strict, None).await, (401, "no_token".to_owned()));
            pair.seen(strict, Some(&good)).await;
        }
    }
}

#[tokio::test]
async fn scopes_are_each_ones_own() {
    let scoped = |scope: &str| format!("upstream = \"orders\"\nrequire.scopes = [\"{scope}\"]");
    let pair = Pair::of(&scoped("orders:read"), &scoped("orders:write")).await;
    let (read, write) = (pair.token("orders:read"), pair.token("orders:write"));
    for _ in 0..2 {
        pair.seen("/one/x", Some(&read)).await;
        pair.seen("/other/x", Some(&write)).await;
        assert_eq!(pair.refused("/one/x", Some(&write)).await, (403, "scope_missing".to_owned()));
        assert_eq!(pair.refused("/other/x", Some(&read)).await, (403, "scope_missing".to_owned()));
    }
}

#[tokio::test]
async fn one_that_keeps_authorization_shows_no_other_token() {
    for (kept, stripped) in [("one", "other"), ("other", "one")] {
        let keys =
            |name: &str| format!("{BOTH}{}", if name == kept { "identity.authorization = \"keep\"" } else { "" });
        let pair = Pair::of(&keys("one"), &keys("other")).await;
        let token = pair.token("orders:read");
        for _ in 0..2 {
            let seen = pair.seen(&format!("/{kept}/x"), Some(&token)).await;
            assert_eq!(seen.headers["authorization"], format!("Bearer {token}"));
            let seen = pair.seen(&format!("/{stripped}/x"), Some(&token)).await;
            assert!(!seen.headers.contains_key("authorization"));
        }
    }
}

#[tokio::test]
async fn upstreams_are_each_ones_own() {
    let elsewhere = BOTH.replace("\"orders\"", "\"elsewhere\"");
    let pair = Pair::of(BOTH, &elsewhere).await;
    let token = pair.token("orders:read");
    for number in 1..3 {
        pair.seen("/one/x", Some(&token)).await;
        assert_eq!(pair.ask("/other/x", Some(&token)).await.status, 200);
        assert_eq!((pair.upstream.count(), pair.elsewhere.count()), (number, number));
    }
}

#[tokio::test]
async fn timeouts_are_each_ones_own() {
    for (short, long) in [("one", "other"), ("other", "one")] {
        let keys = |name: &str| format!("{}{BOTH}", if name == short { "timeout = \"200ms\"" } else { "" });
        let pair = Pair::of(&keys("one"), &keys("other")).await;
        let token = pair.token("orders:read");
        let (short, long) = (format!("/{short}/x"), format!("/{long}/x"));
        pair.upstream.hold();
        let waits = pair.ask(&long, Some(&token));
        let ends = async {
            until("the upstream has it", || async { (pair.upstream.count() == 1).then_some(()) }).await;
            let answer = pair.ask(&short, Some(&token)).await;
            assert_eq!((answer.status.as_u16(), pair.upstream.count()), (504, 2), "{}", answer.text());
            pair.upstream.release();
        };
        let (answer, ()) = tokio::join!(waits, ends);
        assert_eq!(
            (answer.status.as_u16(), answer.text()),
            (200, "upstream".to_owned()),
            "it had longer than the other"
        );
        pair.seen(&short, Some(&token)).await;
    }
}
