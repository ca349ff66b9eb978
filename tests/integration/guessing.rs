//! Guessing at secrets, and locking others out by it: neither works.

use std::{net::Ipv4Addr, time::Duration};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};

use crate::support::{
    client::{Answer, HttpClient},
    gateway::GatewayBuilder,
    observe::log_line,
    systems::{AUTH0, BILLING, HUB, OAUTH2, ORDERS, PLGD, Systems, assert_uncached_json},
};

/// So many failures lock an id out from one address; ten times as many, from everywhere.
const FAILURES: usize = 10;
const MANY: usize = 100;
/// How long a lock-out lasts.
const LOCKED: Duration = Duration::from_secs(300);

/// Somebody at an address of their own.
struct Somebody<'a> {
    systems: &'a Systems,
    client: HttpClient,
}

impl<'a> Somebody<'a> {
    fn at(systems: &'a Systems, address: [u8; 4]) -> Self {
        Self { systems, client: HttpClient::from_address(Ipv4Addr::from(address).into()) }
    }

    async fn post(&self, path: &str, body: &Value, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::post(self.systems.gateway.url(path)).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.client.send(request.body(Full::new(Bytes::from(body.to_string()))).expect("a request")).await
    }

    async fn tries(&self, client_id: &str, secret: &str) -> Answer {
        self.post(OAUTH2, &request_of(client_id, secret), &[]).await
    }

    /// Tries a wrong secret so many times, and is told each time that it is wrong.
    async fn fails(&self, client_id: &str, times: usize) {
        for number in 0..times {
            let answer = self.tries(client_id, &format!("guess-{number}")).await;
            assert_eq!(answer.status, 401, "{number}: {}", answer.text());
        }
    }
}

fn request_of(client_id: &str, secret: &str) -> Value {
    json!({ "grant_type": "client_credentials", "client_id": client_id, "client_secret": secret, "audience": ORDERS })
}

/// It is refused without looking at the secret, and told when to come back.
fn assert_locked(answer: &Answer) {
    assert_eq!(answer.status, 429, "{}", answer.text());
    assert_uncached_json(answer);
    let wait: u64 = answer.header("retry-after").parse().expect("whole seconds");
    assert!((1..=LOCKED.as_secs()).contains(&wait), "{wait}");
}

#[tokio::test]
async fn whoever_keeps_failing_is_locked_out_while_the_client_itself_goes_on() {
    let systems = Systems::open().await;
    let guesser = Somebody::at(&systems, [127, 0, 0, 9]);
    let real = Somebody::at(&systems, [127, 0, 0, 2]);
    guesser.fails("billing", FAILURES).await;
    for secret in ["guess", BILLING] {
        let answer = guesser.tries("billing", secret).await;
        assert_locked(&answer);
        assert_eq!(answer.json()["error"], json!("temporarily_unavailable"));
        assert_eq!(answer.header("retry-after"), "300");
    }
    assert_eq!(real.tries("billing", BILLING).await.status, 200);
    // The guesser is locked out of that id alone.
    assert_eq!(guesser.tries("idle", "canary-idle-secret-0123456789-abcdefghijk").await.status, 400, "no grants");
    log_line(&systems.gateway, "the refusal", |line| line["reason"] == "locked_out" && line["status"] == 429).await;

    // Knocking does not make it longer, and it ends.
    systems.clock.advance(LOCKED - Duration::from_secs(1));
    let answer = guesser.tries("billing", BILLING).await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (429, "1"));
    systems.clock.advance(Duration::from_secs(1));
    assert_eq!(guesser.tries("billing", BILLING).await.status, 200);
}

#[tokio::test]
async fn a_success_ends_the_count_and_so_does_time() {
    let systems = Systems::open().await;
    let clumsy = Somebody::at(&systems, [127, 0, 0, 9]);
    for _ in 0..3 {
        clumsy.fails("billing", FAILURES - 1).await;
        assert_eq!(clumsy.tries("billing", BILLING).await.status, 200);
    }
    for _ in 0..3 {
        clumsy.fails("billing", FAILURES - 1).await;
        systems.clock.advance(Duration::from_secs(61));
    }
    assert_eq!(clumsy.tries("billing", BILLING).await.status, 200);
}

#[tokio::test]
async fn guessing_from_many_addresses_locks_out_those_that_are_not_known() {
    let systems = Systems::open().await;
    let real = Somebody::at(&systems, [127, 0, 0, 2]);
    assert_eq!(real.tries("billing", BILLING).await.status, 200);
    for number in 0..20 {
        Somebody::at(&systems, [127, 0, 1, number]).fails("billing", MANY / 20).await;
    }
    // None of them has failed often enough by itself; all of them together have.
    let another = Somebody::at(&systems, [127, 0, 2, 1]);
    assert_locked(&another.tries("billing", "guess").await);
    assert_locked(&another.tries("billing", BILLING).await);
    for _ in 0..3 {
        assert_eq!(real.tries("billing", BILLING).await.status, 200, "where it came from before it goes on");
    }
    // But a known address is no licence to guess.
    real.fails("billing", FAILURES).await;
    assert_locked(&real.tries("billing", BILLING).await);
    // Other clients do not notice.
    let body = json!({ "grant_type": "client_credentials", "client_id": "hub", "client_secret": HUB });
    assert_eq!(another.post(OAUTH2, &body, &[]).await.status, 200);
}

#[tokio::test]
async fn trying_many_ids_from_one_address_ends_there_too() {
    let systems = Systems::open().await;
    let guesser = Somebody::at(&systems, [127, 0, 0, 9]);
    for number in 0..MANY {
        guesser.fails(&format!("client-{number}"), 1).await;
    }
    assert_locked(&guesser.tries("one-more", "guess").await);
    assert_locked(&guesser.tries("billing", BILLING).await);
    assert_eq!(Somebody::at(&systems, [127, 0, 0, 2]).tries("billing", BILLING).await.status, 200);
}

#[tokio::test]
async fn nobody_becomes_somebody_else_by_saying_so() {
    let systems = Systems::open().await;
    let guesser = Somebody::at(&systems, [127, 0, 0, 9]);
    let says = |number: usize| format!("192.0.2.{number}");
    for number in 0..FAILURES {
        let address = says(number);
        let headers = [("x-forwarded-for", address.as_str()), ("forwarded", "for=192.0.2.1")];
        let answer = guesser.post(OAUTH2, &request_of("billing", "guess"), &headers).await;
        assert_eq!(answer.status, 401);
    }
    let headers = [("x-forwarded-for", "127.0.0.2")];
    assert_locked(&guesser.post(OAUTH2, &request_of("billing", BILLING), &headers).await);
    assert_eq!(Somebody::at(&systems, [127, 0, 0, 2]).tries("billing", BILLING).await.status, 200);
}

/// Behind a proxy that is trusted everybody has the address that the proxy says; else one could lock out all the others.
#[tokio::test]
async fn behind_a_trusted_proxy_each_caller_counts_by_itself() {
    let behind = |builder: GatewayBuilder| {
        let listener = "[listeners.public]\n";
        builder.with(listener, &format!("{listener}trusted_proxies = [\"127.0.0.9/32\"]\n"))
    };
    let systems = Systems::furnished(behind).await;
    let proxy = Somebody::at(&systems, [127, 0, 0, 9]);
    let from = |address: &'static str| [("x-forwarded-for", address)];
    for _ in 0..FAILURES {
        let answer = proxy.post(OAUTH2, &request_of("billing", "guess"), &from("192.0.2.66")).await;
        assert_eq!(answer.status, 401);
    }
    let good = request_of("billing", BILLING);
    assert_locked(&proxy.post(OAUTH2, &good, &from("192.0.2.66")).await);
    // What the caller itself had put before does not help it.
    assert_locked(&proxy.post(OAUTH2, &good, &from("192.0.2.1, 192.0.2.66")).await);
    assert_eq!(proxy.post(OAUTH2, &good, &from("192.0.2.2")).await.status, 200);
    // Of IPv6 the network counts, in which one machine has every address.
    for _ in 0..FAILURES / 2 {
        for address in ["2001:db8:1:2::1", "2001:db8:1:2:ffff::2"] {
            assert_eq!(proxy.post(OAUTH2, &request_of("billing", "guess"), &from(address)).await.status, 401);
        }
    }
    assert_locked(&proxy.post(OAUTH2, &good, &from("2001:db8:1:2:3::4")).await);
    assert_eq!(proxy.post(OAUTH2, &good, &from("2001:db8:1:3::1")).await.status, 200);
}

#[tokio::test]
async fn each_dialect_says_it_in_its_own_words() {
    let systems = Systems::open().await;
    let frontegg = "/identity/resources/auth/v1/api-token";
    let pair = json!({ "clientId": "00000000-0000-4000-8000-000000000000", "secret": "guess" });
    let guess = request_of("billing", "guess");
    for (address, path, body, member, value) in [
        (11, AUTH0, &guess, "error", json!("too_many_attempts")),
        (12, PLGD, &guess, "code", json!(8)),
        (13, frontegg, &pair, "errors", json!(["Too many failed attempts"])),
        (
            14,
            "/oauth2/introspect",
            &json!({ "client_id": "billing", "client_secret": "guess", "token": "x" }),
            "error",
            json!("temporarily_unavailable"),
        ),
    ] {
        let guesser = Somebody::at(&systems, [127, 0, 0, address]);
        for _ in 0..FAILURES {
            assert_eq!(guesser.post(path, body, &[]).await.status, 401, "{path}");
        }
        let answer = guesser.post(path, body, &[]).await;
        assert_locked(&answer);
        assert_eq!(answer.json()[member], value, "{path}");
    }
    // Clients and secrets are the same at all of them, so whoever is locked out at one is at the others.
    for address in [11, 12, 14] {
        assert_locked(&Somebody::at(&systems, [127, 0, 0, address]).tries("billing", BILLING).await);
    }
    assert_eq!(Somebody::at(&systems, [127, 0, 0, 13]).tries("billing", BILLING).await.status, 200);
}
