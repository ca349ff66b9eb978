//! Tokens that say nothing themselves: their issuer is asked (RFC 7662), and what it says is judged like a JWT. Each refusal stands
//! beside a control that passes, and the upstream hears of nothing that was refused.

mod answers;
mod cache;
mod outages;
mod which_issuer;

use std::time::Duration;

use http::Method;
use postern::clock::{ManualClock, UnixTime};
use serde_json::{Value, json};

use crate::support::{
    asked::{AskedServer, Question, Reply},
    client::{Answer, HttpClient, request},
    forge::changed,
    gateway::{Gateway, GatewayBuilder},
    observe::metric,
    upstream::RecordedUpstream,
    wait::until,
};

const CORP: &str = "https://id.corp.example/";
const SECRET: &str = "canary-introspection-secret+with/everything:77";
const START: u64 = 1_800_000_000;

const CONFIG: &str = r#"
[issuers.corp]
issuer = "https://id.corp.example/"
audience = "https://api.test/orders"
algorithms = []
leeway = "0s"
[issuers.corp.introspection]
endpoint = "${ENDPOINT}"
client_id = "postern:1"
client_secret = "canary-introspection-secret+with/everything:77"
timeout = "2s"
[upstreams.orders]
endpoints = ["${UPSTREAM}"]
[routes.orders]
path = "/orders/{*rest}"
upstream = "orders"
[routes.orders.require]
issuers = ["corp"]
scopes = ["orders:read"]
[routes.orders.identity]
headers = { "x-client-id" = "client_id" }
"#;

/// A gateway, the issuer's introspection endpoint, and the time.
struct World {
    endpoint: AskedServer,
    upstream: RecordedUpstream,
    gateway: Gateway,
    clock: ManualClock,
    client: HttpClient,
}

impl World {
    async fn open() -> Self {
        Self::furnished(|builder| builder).await
    }

    async fn furnished(furnish: impl FnOnce(GatewayBuilder) -> GatewayBuilder) -> Self {
        let endpoint = AskedServer::start(known).await;
        let upstream = RecordedUpstream::start().await;
        let clock = ManualClock::starting_at(UnixTime::from_seconds(START));
        let builder = furnish(GatewayBuilder::new(CONFIG)).variable("ENDPOINT", &endpoint.url("/introspect"));
        let gateway = builder.upstream(&upstream).clock(clock.clock()).start().await;
        Self { endpoint, upstream, gateway, clock, client: HttpClient::http1() }
    }

    async fn get(&self, path: &str, token: &str) -> Answer {
        self.client.get(&self.gateway.url(path), Some(token)).await
    }

    /// Presents a token. Whatever comes of it, the upstream hears of it exactly if it was let through.
    async fn present(&self, token: &str) -> (u16, String) {
        let before = self.upstream.count();
        let answer = self.get("/orders/1", token).await;
        let passed = answer.status == 200;
        assert_eq!(self.upstream.count() - before, usize::from(passed), "{}", answer.text());
        let reason = if passed { String::new() } else { answer.reason() };
        if answer.status == 503 {
            assert!(!answer.header("retry-after").is_empty() && answer.header("www-authenticate").is_empty());
        }
        (answer.status.as_u16(), reason)
    }

    async fn opens(&self, token: &str) {
        assert_eq!(self.present(token).await, (200, String::new()), "the control");
    }

    /// Opens once the pause after a failure is over, and is told to wait until then.
    async fn opens_again(&self, token: &str) {
        until("the issuer is asked again", || async {
            match self.present(token).await {
                (200, _) => Some(()),
                other => {
                    assert_eq!(other, (503, "introspection_unavailable".to_owned()), "{token}");
                    None
                }
            }
        })
        .await;
    }

    async fn refused(&self, token: &str, status: u16, reason: &str) {
        assert_eq!(self.present(token).await, (status, reason.to_owned()), "{token}");
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    async fn asked(&self, result: &str) -> f64 {
        let labels = [("issuer", "corp"), ("result", result)];
        metric(&self.gateway, "postern_introspection_requests_total", &labels).await
    }
}

/// What an issuer says of a good token, `changes` laid over it.
fn active(changes: &Value) -> Value {
    let good = json!({
        "active": true, "iss": CORP, "aud": "https://api.test/orders", "scope": "orders:read", "client_id": "billing",
        "sub": "billing", "token_type": "Bearer", "iat": START, "exp": START + 600,
    });
    changed(good, changes)
}

fn says(value: &Value) -> Reply {
    Reply::Says(value.to_string())
}

/// An issuer that knows every token that begins with `good`.
fn known(question: &Question) -> Reply {
    let token = question.field("token").unwrap_or_default();
    says(&if token.starts_with("good") { active(&json!({})) } else { json!({ "active": false }) })
}

#[tokio::test]
async fn an_opaque_token_is_good_as_far_as_its_issuer_says() {
    let world = World::open().await;
    let ready = world.client.get(&world.gateway.admin_url("/readyz"), None).await;
    assert_eq!(ready.status, 200, "there are no keys to wait for: {}", ready.text());

    let answer = world.get("/orders/1", "good/token+with~every.kind-of_character==").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let arrived = world.upstream.last();
    assert_eq!(arrived.headers["x-client-id"], "billing");
    assert!(!arrived.headers.contains_key("authorization"));

    let [question] = world.endpoint.questions().try_into().expect("one question");
    assert_eq!((question.method.clone(), question.target.as_str()), (Method::POST, "/introspect"));
    assert_eq!(question.field("token").as_deref(), Some("good/token+with~every.kind-of_character=="));
    assert_eq!(question.field("token_type_hint").as_deref(), Some("access_token"));
    assert_eq!((question.field("client_id"), question.field("client_secret")), (None, None));
    assert_eq!(question.header("accept"), Some("application/json"));
    assert_eq!(question.header("content-type"), Some("application/x-www-form-urlencoded"));
    let credentials = form_urlencoded::byte_serialize(SECRET.as_bytes()).collect::<String>();
    let expected = crate::support::systems::basic(&format!("postern%3A1:{credentials}"));
    assert_eq!(question.header("authorization"), Some(expected.as_str()));

    let answer = world.get("/orders/1", "bogus").await;
    assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (401, "token_inactive"));
    assert!(answer.header("www-authenticate").contains("invalid_token"));
    assert_eq!((world.asked("active").await, world.asked("inactive").await), (1.0, 1.0));
}

#[tokio::test]
async fn the_secret_can_go_into_the_body() {
    let into_body = "timeout = \"2s\"\nauthentication = \"client_secret_post\"";
    let world = World::furnished(|builder| builder.with("timeout = \"2s\"", into_body)).await;
    world.opens("good").await;
    let [question] = world.endpoint.questions().try_into().expect("one question");
    assert_eq!(question.field("client_id").as_deref(), Some("postern:1"));
    assert_eq!(question.field("client_secret").as_deref(), Some(SECRET));
    assert_eq!(question.header("authorization"), None);
}

#[tokio::test]
async fn a_jwt_is_never_shown() {
    let world = World::open().await;
    world.opens("good").await;
    for (jwt, reason) in [
        ("good.b.c", "token_malformed"),
        ("eyJhbGciOiJFUzI1NiJ9.e30.AAAA", "claim_missing"),
        // Cut short, run together, encrypted: what it says is nobody's business either.
        ("eyJhbGciOiJFUzI1NiJ9.e30", "token_malformed"),
        ("eyJhbGciOiJFUzI1NiJ9.", "token_malformed"),
        ("eyJhbGciOiJFUzI1NiJ9.e30.AAAA.eyJhbGciOiJFUzI1NiJ9.e30.AAAA", "token_malformed"),
        ("eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..AAAAAAAAAAAAAAAA.AAAA.AAAA", "token_encrypted"),
        ("good.b.c.d.e", "token_encrypted"),
    ] {
        let (status, said) = world.present(jwt).await;
        assert_eq!((status, said.as_str()), (401, reason), "{jwt}");
    }
    // What only begins like one, or has dots of its own, is asked about.
    for (number, opaque) in ["eyJopaque", "good.b", "good.b.c.d"].into_iter().enumerate() {
        let _ = world.present(opaque).await;
        assert_eq!(world.endpoint.count(), number + 2, "{opaque}");
    }
    let request = request(Method::GET, &world.gateway.url("/orders/1"), None);
    assert_eq!(world.client.send(request).await.reason(), "no_token");
    assert_eq!(world.endpoint.count(), 4);
}
