//! Canaries through every path, with the program at its most talkative: none of them comes out anywhere.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::support::{
    client::{Answer, HttpClient},
    forge::{SigningKey, base64url, changed, claims, now},
    issuer::ScriptedIssuer,
    process::PosternProcess,
    raw::{RawServer, exchange},
    upstream::RecordedUpstream,
};

const CORP: &str = "https://id.corp.example/";
const SECRET: &str = "canary-secret-8fe1";
const ADMIN: &str = "canary-admin-77c0";

const CONFIG: &str = r#"
[process]
workers = 2
data_directory = "data"
[telemetry]
log_level = "trace"
[listeners.public]
address = "127.0.0.1:0"
[admin]
address = "127.0.0.1:0"
token = { env = "ADMIN_CANARY" }
[issuers.corp]
issuer = "https://id.corp.example/"
jwks_uri = "${KEYS}"
audience = "https://api.test/orders"
[issuers.own]
embedded = true
audience = "https://api.test/orders"
[upstreams.orders]
endpoints = ["${UPSTREAM}"]
[upstreams.garbage]
endpoints = ["${GARBAGE}"]
[routes.orders]
path = "/orders/{*rest}"
upstream = "orders"
[routes.orders.require]
scopes = ["orders:read"]
[routes.orders.identity]
headers = { "x-client-id" = "client_id" }
[routes.kept]
path = "/kept/{*rest}"
upstream = "orders"
mode = "report"
[routes.kept.require]
[routes.kept.identity]
authorization = "keep"
[routes.garbage]
path = "/garbage"
upstream = "garbage"
public = true
identity = { authorization = "keep" }
[token_endpoints.oauth]
path = "/oauth/token"
serve = "embedded"
[authorization_server]
issuer = "https://own.example/"
[authorization_server.apis."https://api.test/orders"]
scopes = ["orders:read"]
[authorization_server.clients.billing]
secret = { env = "SECRET_CANARY" }
grants = { "https://api.test/orders" = ["orders:read"] }
"#;

struct World {
    key: SigningKey,
    process: PosternProcess,
    clients: [HttpClient; 2],
    upstream: RecordedUpstream,
    /// What must not come out, each with a name.
    canaries: Vec<(String, String)>,
    /// What came out to callers.
    answers: Vec<(String, String)>,
    requests: usize,
    _issuer: ScriptedIssuer,
    _garbage: RawServer,
}

impl World {
    async fn new() -> Self {
        let key = SigningKey::es256("k1");
        let issuer = ScriptedIssuer::start(&[&key]).await;
        let upstream = RecordedUpstream::start().await;
        let garbage = RawServer::saying("what?\r\n\r\n").await;
        let config = CONFIG
            .replace("${KEYS}", &issuer.jwks_uri())
            .replace("${UPSTREAM}", &upstream.url())
            .replace("${GARBAGE}", &garbage.url());
        let environment = [("SECRET_CANARY", SECRET), ("ADMIN_CANARY", ADMIN)];
        let process = PosternProcess::start(&config, &environment).await;
        let canaries =
            [("the secret", SECRET), ("the admin token", ADMIN)].map(|(what, text)| (what.to_owned(), text.to_owned()));
        Self {
            key,
            process,
            clients: [HttpClient::http1(), HttpClient::http2()],
            upstream,
            canaries: canaries.into(),
            answers: Vec::new(),
            requests: 0,
            _issuer: issuer,
            _garbage: garbage,
        }
    }

    fn canary(&mut self, what: impl Into<String>, text: impl Into<String>) -> String {
        let (what, text) = (what.into(), text.into());
        self.canaries.push((what, text.clone()));
        text
    }

    /// A token whose text, payload and signature each are canaries.
    fn token(&mut self, what: &str, token: String) -> String {
        for (part, text) in ["header", "payload", "signature"].iter().zip(token.split('.')).skip(1) {
            if text.len() > 12 {
                self.canary(format!("the {part} of {what}"), text);
            }
        }
        self.canary(what, token)
    }

    fn signed(&mut self, what: &str, changes: &Value) -> String {
        let token = self.key.token(&changed(claims(CORP), &changed(json!({ "jti": what }), changes)));
        self.token(what, token)
    }

    async fn send(&mut self, what: &str, request: http::request::Builder, body: &str) -> Answer {
        let request: Request<Full<Bytes>> = request.body(Full::from(body.to_owned())).expect("a request");
        // The same over both protocols.
        let first = self.clients[0].send(request.clone()).await;
        let second = self.clients[1].send(request).await;
        self.requests += 2;
        assert_eq!(first.status, second.status, "{what}");
        self.answers.push((what.to_owned(), format!("{:?} {}", first.headers, first.text())));
        self.answers.push((what.to_owned(), format!("{:?} {}", second.headers, second.text())));
        first
    }

    async fn present(&mut self, what: &str, path: &str, authorization: &str, status: u16) {
        let request = self.get(path).header("authorization", authorization);
        assert_eq!(self.send(what, request, "").await.status, status, "{what}");
    }

    fn get(&self, path: &str) -> http::request::Builder {
        Request::get(format!("http://{}{path}", self.process.public))
    }

    fn post(&self, media_type: &str) -> http::request::Builder {
        Request::post(format!("http://{}/oauth/token", self.process.public)).header("content-type", media_type)
    }

    async fn tokens(&mut self) {
        let good = self.signed("a good token", &json!({}));
        let expired = self.signed("an expired token", &json!({ "exp": now() - 100, "iat": now() - 200 }));
        let poor = self.signed("a token without its scope", &json!({ "scope": "x" }));
        let stranger = self.signed("a stranger's token", &json!({ "iss": "https://evil.example/" }));
        let forged = self.token("a forged token", SigningKey::es256("k1").token(&claims(CORP)));
        let unknown = self.token("a token of an unknown key", SigningKey::es256("k9").token(&claims(CORP)));
        let opaque = self.canary("an opaque token", "canary-opaque-31d2");
        let basic = BASE64_STANDARD.encode("canary-user:canary-password");
        let basic = self.canary("credentials of another scheme", basic);
        for path in ["/orders/1", "/kept/1"] {
            let enforced = |status: u16| if path == "/kept/1" { 200 } else { status };
            for (what, authorization, status) in [
                ("good", format!("Bearer {good}"), 200),
                ("expired", format!("Bearer {expired}"), 401),
                ("poor", format!("Bearer {poor}"), 403),
                ("stranger", format!("Bearer {stranger}"), 401),
                ("forged", format!("Bearer {forged}"), 401),
                ("unknown", format!("Bearer {unknown}"), 401),
                ("opaque", format!("Bearer {opaque}"), 401),
                ("malformed", format!("Bearer {opaque}\u{e9}"), 401),
                ("list", format!("Bearer {good}, Bearer {opaque}"), 400),
                ("basic", format!("Basic {basic}"), 401),
                ("no scheme", opaque.clone(), 401),
            ] {
                self.present(what, path, &authorization, enforced(status)).await;
            }
            let both =
                self.get(&format!("{path}?access_token={good}")).header("authorization", format!("Bearer {opaque}"));
            assert_eq!(self.send("both", both, "").await.status, enforced(400));
            let query = self.get(&format!("{path}?access_token={opaque}&a=b"));
            assert_eq!(self.send("query", query, "").await.status, enforced(400));
        }
        self.present("to an upstream that fails", "/garbage", &format!("Bearer {good}"), 502).await;
        self.present("to nowhere", "/nowhere", &format!("Bearer {good}"), 404).await;
        self.present("with a bad path", "/orders/%2e%2e", &format!("Bearer {good}"), 400).await;
        let large = self.get("/orders/1").header("authorization", format!("Bearer {opaque}{}", "a".repeat(20_000)));
        assert_eq!(self.send("large", large, "").await.status, 401);
        let unparsable =
            format!("GET /orders/1 HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {good}\r\nbad header\r\n\r\n");
        let answer = exchange(self.process.public, unparsable).await;
        assert_eq!(answer.status, 400);
        self.requests += 1;
        self.answers.push(("unparsable".to_owned(), answer.text));
        let body = self.canary("a token in a body", "canary-body-5512");
        let posted = self.get("/orders/1").method(Method::POST).header("authorization", format!("Bearer {poor}"));
        self.send("in a body", posted, &body).await;
    }

    async fn token_endpoint(&mut self) {
        let wrong = self.canary("a wrong secret", "canary-wrong-40aa");
        let assertion = self.canary("an assertion", base64url(r#"{"canary":"assertion"}"#));
        let (form, json) = ("application/x-www-form-urlencoded", "application/json");
        for (secret, status) in [(SECRET, 200), (wrong.as_str(), 401)] {
            let basic = BASE64_STANDARD.encode(format!("billing:{secret}"));
            self.canary(format!("Basic credentials with {secret}"), basic.clone());
            let in_form = format!("grant_type=client_credentials&client_id=billing&client_secret={secret}");
            let in_json =
                json!({ "grant_type": "client_credentials", "client_id": "billing", "client_secret": secret });
            let by_basic = self.post(form).header("authorization", format!("Basic {basic}"));
            for (request, body) in [
                (self.post(form), in_form.clone()),
                (self.post(json), in_json.to_string()),
                (by_basic, "grant_type=client_credentials".to_owned()),
            ] {
                let answer = self.send("the token endpoint", request, &body).await;
                assert_eq!(answer.status, status, "{}", answer.text());
                if status == 200 {
                    // A token belongs into this answer and nowhere else.
                    let issued = [self.answers.pop(), self.answers.pop()];
                    for (_, text) in issued.into_iter().flatten() {
                        assert!(!text.contains(SECRET));
                        let token = text.split("\"access_token\":\"").nth(1).and_then(|rest| rest.split('"').next());
                        let token = token.expect("a token").to_owned();
                        self.present("an issued token", "/orders/1", &format!("Bearer {token}"), 200).await;
                        self.token("an issued token", token);
                    }
                }
            }
            for (what, body) in [
                ("twice", format!("{in_form}&client_secret={secret}")),
                ("another grant", in_form.replace("client_credentials", "password")),
                ("another audience", format!("{in_form}&audience=https://other.test/")),
                ("cut short", format!("client_secret={secret}&x=%f")),
            ] {
                let answer = self.send(what, self.post(form), &body).await;
                assert!(answer.status.is_client_error(), "{what}");
            }
            let answer = self.send("no JSON", self.post(json), &in_json.to_string().replace('}', "")).await;
            assert_eq!(answer.status, 400);
            let query = Request::post(format!("http://{}/oauth/token?client_secret={secret}", self.process.public));
            self.send("a secret in the query", query, "").await;
        }
        let by_assertion = format!(
            "grant_type=client_credentials&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion={assertion}"
        );
        assert_eq!(self.send("an assertion", self.post(form), &by_assertion).await.status, 401);
    }

    async fn admin(&mut self) {
        let wrong = self.canary("a wrong admin token", "canary-intruder-9b1f");
        for path in ["/metrics", "/readyz", "/livez", "/api/v1/config", "/api/v1/issuers", "/nothing"] {
            for token in [ADMIN, &wrong] {
                let url = format!("http://{}{path}?token={token}", self.process.admin);
                let answer = self.clients[0].get(&url, Some(token)).await;
                let open = ["/readyz", "/livez"].contains(&path);
                let expected = if token != ADMIN && !open {
                    401
                } else if path == "/nothing" {
                    404
                } else {
                    200
                };
                assert_eq!(answer.status, expected, "{path}");
                self.answers.push((path.to_owned(), format!("{:?} {}", answer.headers, answer.text())));
            }
        }
    }

    /// Everything that the program wrote, up to its end.
    async fn written(&mut self) -> (String, String) {
        // Connections that are kept would be waited for.
        self.clients = [HttpClient::http1(), HttpClient::http2()];
        self.process.terminate().await;
        self.process.written()
    }
}

#[tokio::test]
async fn no_canary_comes_out_anywhere() {
    let mut world = World::new().await;
    world.tokens().await;
    world.token_endpoint().await;
    world.admin().await;
    let (access_log, log) = world.written().await;

    let mut places = world.answers.clone();
    places.push(("the access log".to_owned(), access_log.clone()));
    places.push(("the log".to_owned(), log.clone()));
    for (what, canary) in &world.canaries {
        for (place, text) in &places {
            assert!(!text.contains(canary.as_str()), "{what} is in: {place}");
        }
    }
    assert!(!log.contains("canary") && !access_log.contains("canary"), "nor any part of one");

    // What should be there is: the log was talkative, and every request has its line.
    assert_eq!(access_log.lines().count(), world.requests);
    for expected in ["DEBUG", "request refused", "token_expired", "the signature does not verify"] {
        assert!(log.contains(expected), "{expected} is not in the log");
    }
    assert!(log.contains("route kept only reports") && log.contains("route garbage is public"), "{log:.4000}");
    assert!(world.upstream.count() > 20);
}

/// Whoever writes line breaks, escapes and quotes into what is logged gets one line for one request, and no more.
#[tokio::test]
async fn a_request_is_one_record_whatever_it_says() {
    let mut world = World::new().await;
    let hostile = "a\r\n{\"status\":200}\n\u{1b}[2J\"'\\";
    let header = json!({ "alg": "ES256", "kid": hostile, "typ": "at+jwt" }).to_string();
    let in_key_id = world.key.token_of("ES256", &header, &claims(CORP).to_string());
    let printable =
        json!({ "alg": "ES256", "kid": "\"}\\ {\"status\":200}\u{2028}\u{202e}", "typ": "at+jwt" }).to_string();
    let printable = world.key.token_of("ES256", &printable, &claims(CORP).to_string());
    let hostile_claims = json!({ "client_id": hostile, "jti": hostile });
    let in_client_id = world.key.token(&changed(claims(CORP), &hostile_claims));
    for (what, token, status) in
        [("a key id", in_key_id, 401), ("another key id", printable, 401), ("a client id", in_client_id, 403)]
    {
        world.present(what, "/orders/1", &format!("Bearer {token}"), status).await;
    }
    for path in ["/orders/a%0d%0ab", "/orders/%1b%5b2J", "/orders/\"quoted\"", "/orders/%22%0a", "/nowhere/\\\""] {
        let answer = world.send(path, world.get(path), "").await;
        assert!(answer.status.is_client_error(), "{path}");
    }
    let encoded: String = hostile.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let form = format!("grant_type=client_credentials&client_id={encoded}&client_secret=x");
    let answer = world.send("a client's id", world.post("application/x-www-form-urlencoded"), &form).await;
    assert_eq!(answer.status, 401);
    // What no client library sends: a request with raw control characters has a record that says nothing of what it said.
    for bytes in [
        &b"GET /orders/\x1b[2J HTTP/1.1\r\nhost: a\r\n\r\n"[..],
        b"GET /orders/1 HTTP/1.1\r\nhost: a\r\nx: a\rb\r\n\r\n",
    ] {
        let answer = exchange(world.process.public, bytes).await;
        assert_eq!(answer.status, 400, "{}", answer.text);
        world.requests += 1;
    }
    let (access_log, log) = world.written().await;
    let records: Vec<Value> =
        access_log.lines().map(|line| serde_json::from_str(line).expect("one object a line")).collect();
    assert_eq!(records.len(), world.requests, "{access_log}");
    assert!(records.iter().all(|record| record["status"].as_u64().is_some_and(|status| status >= 400)));
    assert!(!access_log.contains('\u{1b}') && !access_log.contains('\r'));
    assert!(!log.contains('\u{1b}') && !log.contains('\r'));
    for line in log.lines() {
        // Every line begins with a moment: none was begun by somebody else's line break.
        let begins =
            line.as_bytes().get(..5).is_some_and(|start| start[..4].iter().all(u8::is_ascii_digit) && start[4] == b'-');
        assert!(begins, "{line}");
    }
}
