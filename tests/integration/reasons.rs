//! The closed list of reasons: each is produced here, and each is a row of `docs/errors.md` with the status it came with.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use postern::{
    clock::Clock,
    config::StoreConfig,
    gateway::{REASONS, REASONS_AFTER_THE_HEAD},
    telemetry::Rfc3339,
};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::support::{
    asked::{AskedServer, Reply},
    client::{Answer, HttpClient, request},
    forge::{SigningKey, changed, claims, now},
    gateway::{Gateway, GatewayBuilder},
    insider::Insider,
    issuer::{Conduct, ScriptedIssuer},
    issuing::{BILLING, Issuing, replica},
    observe::{log_line, metric},
    raw::{RawServer, exchange, nobody, read_head},
    upstream::RecordedUpstream,
    wait::until,
};

const CORP: &str = "https://id.corp.example/";
const STRICT: &str = "https://id.strict.example/";

const CONFIG: &str = r#"
[listeners.public.limits]
body_bytes = "1KiB"
body_idle_timeout = "1s"
[issuers.corp]
issuer = "https://id.corp.example/"
jwks_uri = "${KEYS}"
audience = "https://api.test/orders"
[issuers.strict]
issuer = "https://id.strict.example/"
jwks_uri = "${KEYS}"
audience = "https://api.test/orders"
algorithms = ["ES256"]
token_type = "at+jwt"
required_claims = ["tenant_id"]
max_lifetime = "20m"
[issuers.down]
issuer = "https://id.down.example/"
jwks_uri = "${DOWN}"
audience = "https://api.test/orders"
key_set = { startup = "degraded" }
[issuers.opaque]
issuer = "https://id.opaque.example/"
audience = "https://api.test/orders"
algorithms = []
introspection = { endpoint = "${ASKED}", client_id = "postern", client_secret = "s" }
[issuers.hub]
issuer = "https://id.hub.example/"
jwks_uri = "${KEYS}"
audience = "https://api.test/orders"
revocation = { tokens_endpoint = "${ASKED}" }
[issuers.own]
embedded = true
audience = "https://api.test/orders"
[authorization_server]
issuer = "https://id.own.example/"
m2m_enabled = false
api_tokens = "access_token"
[authorization_server.apis."https://api.test/orders"]

[upstreams]
orders = { endpoints = ["${UPSTREAM}"] }
refusing = { endpoints = ["http://${NOBODY}"] }
mute = { endpoints = ["https://${SILENT}"], connect_timeout = "200ms", tls = { ca = "ca.pem" } }
silent = { endpoints = ["http://${SILENT}"] }
hesitant = { endpoints = ["http://${SILENT}"], response_header_timeout = "200ms" }
narrow = { endpoints = ["http://${NARROW}"], max_connections = 1 }
resetting = { endpoints = ["http://${RESETTING}"] }
garbage = { endpoints = ["http://${GARBAGE}"] }
upgrading = { endpoints = ["http://${UPGRADING}"] }
truncating = { endpoints = ["http://${TRUNCATING}"] }
stalling = { endpoints = ["http://${STALLING}"] }
modern = { endpoints = ["${UPSTREAM}"], protocol = "http2" }

[routes]
open = { path = "/open/{*rest}", upstream = "orders", public = true }
limited = { path = "/limited", upstream = "orders", public = true, limit = { requests = 1, per = "1d", by = "peer" } }
refusing = { path = "/refusing", upstream = "refusing", public = true }
mute = { path = "/mute", upstream = "mute", public = true }
silent = { path = "/silent", upstream = "silent", public = true, timeout = "300ms" }
hesitant = { path = "/hesitant", upstream = "hesitant", public = true }
narrow = { path = "/narrow", upstream = "narrow", public = true }
resetting = { path = "/resetting", upstream = "resetting", public = true }
garbage = { path = "/garbage", upstream = "garbage", public = true }
upgrading = { path = "/upgrading", upstream = "upgrading", public = true }
truncating = { path = "/truncating", upstream = "truncating", public = true }
stalling = { path = "/stalling", upstream = "stalling", public = true }
modern = { path = "/modern", upstream = "modern", public = true }

[routes.orders]
path = "/orders/{tenant}"
methods = ["GET"]
upstream = "orders"
[routes.orders.require]
issuers = ["corp", "down", "own", "strict"]
scopes = ["orders:read"]
claims = { env = "prod" }
path_claims = { tenant = "tenant_id" }
[routes.orders.identity]
headers = { "x-note" = "note" }
[routes.opaque]
path = "/opaque"
upstream = "orders"
[routes.opaque.require]
issuers = ["opaque", "hub"]
[routes.impatient]
path = "/impatient"
upstream = "orders"
timeout = "200ms"
[routes.impatient.require]
issuers = ["opaque"]
[routes.own]
path = "/own"
upstream = "orders"
[routes.own.require]
issuers = ["own"]
"#;

/// What takes an issuer that issues: each is produced behind a gateway of its own, which has one.
const WITHDRAWN: [&str; 4] = ["api_tokens_disabled", "client_disabled", "token_issued_before", "token_revoked"];

/// What tokens of the embedded issuer are answered after they were taken back in each of the ways there are.
async fn withdrawn() -> BTreeMap<String, BTreeSet<u16>> {
    let folder = tempfile::tempdir().expect("a folder");
    let location = StoreConfig::Sqlite(folder.path().join("postern.db"));
    let upstream = RecordedUpstream::start().await;
    let gateway = replica(&location, &upstream).start().await;
    let (issuing, insider) = (Issuing::of(&gateway), Insider::at(&location).await);
    let (revoked, token) = (issuing.token(BILLING).await, issuing.token(BILLING).await);
    let credentials = insider.make_api_token().await;
    let credentials = (credentials.0.as_str(), credentials.1.as_str());
    let exchanged = until("the new credentials", async || {
        let answer = issuing.exchange(credentials).await;
        (answer.status == 200).then(|| answer.json()["accessToken"].as_str().expect("a token").to_owned())
    })
    .await;
    for good in [&revoked, &token] {
        assert_eq!(issuing.orders(good).await.status, 200, "the control");
    }
    assert_eq!(issuing.mine(&exchanged).await.status, 200, "the control");
    let mut seen: BTreeMap<String, BTreeSet<u16>> = BTreeMap::new();
    let mut note = |answer: Answer| {
        seen.entry(answer.reason()).or_default().insert(answer.status.as_u16());
    };
    issuing.revoke(&revoked).await;
    note(issuing.orders(&revoked).await);
    issuing.post("/clients/billing/disable", json!({})).await;
    note(issuing.orders(&token).await);
    issuing.post("/clients/billing/enable", json!({})).await;
    assert_eq!(issuing.orders(&token).await.status, 200, "the control");
    insider.switch_api_tokens(false).await;
    until("the switch", async || (issuing.mine(&exchanged).await.status != 200).then_some(())).await;
    note(issuing.mine(&exchanged).await);
    let moment = Rfc3339(Clock::system().now()).to_string();
    issuing.post("/revocations", json!({ "issued_before": moment })).await;
    note(issuing.orders(&token).await);
    seen
}

/// Every kind of trouble behind one gateway.
struct World {
    ec: SigningKey,
    rsa: SigningKey,
    second: SigningKey,
    upstream: RecordedUpstream,
    asked: AskedServer,
    silent: RawServer,
    narrow: RawServer,
    gateway: Gateway,
    client: HttpClient,
    seen: BTreeMap<String, BTreeSet<u16>>,
    _issuers: [ScriptedIssuer; 2],
    _troubles: [RawServer; 5],
}

impl World {
    async fn new() -> Self {
        let (ec, rsa, second) = (SigningKey::es256("ec"), SigningKey::rsa("rsa"), SigningKey::es256("ec2"));
        let issuers = [ScriptedIssuer::start(&[&ec, &rsa, &second]).await, ScriptedIssuer::start(&[]).await];
        issuers[1].conduct(Conduct::Fails(http::StatusCode::BAD_GATEWAY));
        let upstream = RecordedUpstream::start().await;
        let asked = AskedServer::start(|_| Reply::Says(r#"{"active":false}"#.to_owned())).await;
        let (silent, narrow) = (RawServer::silent().await, RawServer::silent().await);
        let troubles = [
            RawServer::resetting().await,
            RawServer::saying("220 mail.example ESMTP\r\n\r\n").await,
            RawServer::saying("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: rope\r\n\r\n").await,
            RawServer::saying("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nand that is all").await,
            RawServer::start(|mut stream| async move {
                read_head(&mut stream).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nwait").await;
                read_head(&mut stream).await;
            })
            .await,
        ];
        let builder = GatewayBuilder::new(CONFIG);
        let authority = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        fs::write(builder.folder().join("ca.pem"), authority.cert.pem()).expect("written");
        let [resetting, garbage, upgrading, truncating, stalling] = &troubles;
        let mut builder = builder
            .variable("KEYS", &issuers[0].jwks_uri())
            .variable("DOWN", &issuers[1].jwks_uri())
            .variable("ASKED", &asked.url("/asked"))
            .variable("NOBODY", &nobody().await.to_string())
            .upstream(&upstream);
        for (name, server) in [
            ("SILENT", &silent),
            ("NARROW", &narrow),
            ("RESETTING", resetting),
            ("GARBAGE", garbage),
            ("UPGRADING", upgrading),
            ("TRUNCATING", truncating),
            ("STALLING", stalling),
        ] {
            builder = builder.variable(name, &server.address.to_string());
        }
        let gateway = builder.start().await;
        Self {
            ec,
            rsa,
            second,
            upstream,
            asked,
            silent,
            narrow,
            gateway,
            client: HttpClient::http1(),
            seen: BTreeMap::new(),
            _issuers: issuers,
            _troubles: troubles,
        }
    }

    fn good(&self) -> Value {
        changed(claims(CORP), &json!({ "env": "prod" }))
    }

    fn note(&mut self, expected: &str, answer: &Answer) {
        assert_eq!(answer.reason(), expected, "{}", answer.text());
        self.note_status(expected, answer.status.as_u16());
    }

    fn note_status(&mut self, reason: &str, status: u16) {
        self.seen.entry(reason.to_owned()).or_default().insert(status);
    }

    async fn send(&mut self, reason: &str, request: Request<Full<Bytes>>) {
        let answer = self.client.send(request).await;
        self.note(reason, &answer);
    }

    async fn get(&mut self, reason: &str, path: &str) {
        self.send(reason, request(Method::GET, &self.gateway.url(path), None)).await;
    }

    async fn present(&mut self, reason: &str, path: &str, token: &str) {
        self.send(reason, request(Method::GET, &self.gateway.url(path), Some(token))).await;
    }

    /// Sends bytes that end their connection, or ask for its end.
    async fn raw(&mut self, reason: &str, bytes: &str) {
        let answer = exchange(self.gateway.address(), bytes).await;
        assert_eq!(answer.reason(), reason, "{bytes:.60} {}", answer.text);
        self.note_status(reason, answer.status);
    }

    /// Whatever came before, a good request gets through.
    async fn control(&self) {
        let before = self.upstream.count();
        let answer = self.client.get(&self.gateway.url("/orders/acme"), Some(&self.ec.token(&self.good()))).await;
        assert_eq!((answer.status.as_u16(), self.upstream.count()), (200, before + 1));
    }

    async fn tokens(&mut self) {
        let good = self.good();
        let with = |changes: Value| self.ec.token(&changed(good.clone(), &changes));
        let header = |header: &str| self.ec.token_of("ES256", header, &good.to_string());
        let strict = changed(good.clone(), &json!({ "iss": STRICT }));
        let strictly = |changes: Value| self.ec.token(&changed(strict.clone(), &changes));
        let note = r#""note":"a\nb""#;
        let good_text = good.to_string();
        let unforwardable = good_text.replacen('{', &format!("{{{note},"), 1);
        let ordinary = r#"{"alg":"ES256","kid":"ec"}"#;
        let rows = [
            ("algorithm_not_accepted", header(r#"{"alg":"none","kid":"ec"}"#)),
            ("algorithm_not_accepted", self.rsa.token(&strict)),
            ("bad_signature", SigningKey::es256("ec").token(&good)),
            ("claim_invalid", with(json!({ "aud": 42 }))),
            ("claim_missing", with(json!({ "exp": null }))),
            ("claim_missing", strictly(json!({ "tenant_id": null }))),
            ("claim_mismatch", with(json!({ "env": "dev" }))),
            ("claim_not_forwardable", self.ec.token_of("ES256", ordinary, &unforwardable)),
            ("audience_mismatch", with(json!({ "aud": "other" }))),
            ("header_not_accepted", header(r#"{"alg":"ES256","kid":"ec","crit":[]}"#)),
            ("issuer_disabled", with(json!({ "iss": "https://id.own.example/" }))),
            ("key_id_missing", header(r#"{"alg":"ES256"}"#)),
            ("key_mismatch", header(r#"{"alg":"RS256","kid":"ec"}"#)),
            ("keys_unavailable", with(json!({ "iss": "https://id.down.example/" }))),
            ("lifetime_too_long", strictly(json!({ "exp": now() + 1300 }))),
            ("not_an_access_token", with(json!({ "token_use": "id" }))),
            ("path_claim_mismatch", with(json!({ "tenant_id": "other" }))),
            ("scope_missing", with(json!({ "scope": "orders:write" }))),
            ("token_bound_to_key", with(json!({ "cnf": { "jkt": "x" } }))),
            ("token_encrypted", "a.b.c.d.e".to_owned()),
            ("token_expired", with(json!({ "exp": now() - 100, "iat": now() - 200 }))),
            ("token_from_future", with(json!({ "iat": now() + 300 }))),
            ("token_malformed", "a.b".to_owned()),
            ("token_not_yet_valid", with(json!({ "nbf": now() + 300 }))),
            ("token_too_large", "a".repeat(17_000)),
            ("token_type_not_accepted", header(r#"{"alg":"ES256","kid":"ec","typ":"logout+jwt"}"#)),
            (
                "token_type_not_accepted",
                self.ec.token_of("ES256", r#"{"alg":"ES256","kid":"ec","typ":"JWT"}"#, &strict.to_string()),
            ),
            ("unknown_issuer", with(json!({ "iss": "https://id.corp.example" }))),
            ("unknown_key", SigningKey::es256("nobody's").token(&good)),
        ];
        for (reason, token) in rows {
            self.present(reason, "/orders/acme", &token).await;
        }
        let strict_good = self.second.token(&strict);
        assert_eq!(self.client.get(&self.gateway.url("/orders/acme"), Some(&strict_good)).await.status, 200);
        let good_claims = good.clone();
        let good = self.ec.token(&good);
        self.present("issuer_not_accepted", "/own", &good).await;
        self.present("several_credentials", "/orders/acme?access_token=x", &good).await;
        self.get("token_in_query", "/orders/acme?access_token=x").await;
        self.get("no_token", "/orders/acme").await;
        for (reason, api_key) in [("wrong_credential_header", good.as_str()), ("unknown_token", "pst_nobody")] {
            let request = Request::get(self.gateway.url("/orders/acme")).header("x-api-key", api_key);
            self.send(reason, request.body(Full::default()).expect("a request")).await;
        }
        self.present("token_inactive", "/opaque", "opaque").await;
        self.asked.says(Reply::Fails(500));
        self.present("introspection_unavailable", "/opaque", "another").await;
        let hub = changed(good_claims, &json!({ "iss": "https://id.hub.example/", "jti": "1" }));
        self.present("revocation_unavailable", "/opaque", &self.ec.token(&hub)).await;
        self.asked.says(Reply::Fails(401));
        let another = changed(hub, &json!({ "jti": "2" }));
        self.present("token_refused_by_issuer", "/opaque", &self.ec.token(&another)).await;
        self.asked.says(Reply::Slowly(Duration::from_secs(600), Box::new(Reply::Fails(200))));
        self.present("issuer_too_slow", "/impatient", "yet-another").await;
        let basic = Request::get(self.gateway.url("/orders/acme")).header("authorization", "Basic YTpi");
        self.send("scheme_not_accepted", basic.body(Full::default()).expect("a request")).await;
    }

    async fn requests(&mut self) {
        self.get("no_route", "/nothing").await;
        assert_eq!(self.client.get(&self.gateway.url("/limited"), None).await.status, 200);
        self.get("rate_limited", "/limited").await;
        self.send("method_not_allowed", request(Method::DELETE, &self.gateway.url("/orders/acme"), None)).await;
        self.raw("method_not_forwarded", "TRACE /open/1 HTTP/1.1\r\nhost: a\r\n\r\n").await;
        self.raw("method_not_forwarded", "CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n").await;
        let coded = "POST /open/1 HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n";
        self.raw("transfer_coding_not_accepted", coded).await;
        let twice =
            "POST /open/1 HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
        self.raw("framing_ambiguous", twice).await;
        self.raw("malformed_request", "GET /open/1 HTTP/1.1\nhost: a\n\n").await;
        self.raw("head_too_large", &format!("GET /open/{} HTTP/1.1\r\n", "a".repeat(40_000))).await;
        self.raw("host_missing", "GET /open/1 HTTP/1.1\r\n\r\n").await;
        self.raw("host_ambiguous", "GET /open/1 HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n").await;
        self.raw("host_malformed", "GET /open/1 HTTP/1.1\r\nhost: a@b\r\n\r\n").await;
        self.get("path_ambiguous", "/open/%2e%2e/orders").await;
        self.get("path_malformed", "/open/%00").await;
        self.get("path_too_long", &format!("/open/{}", "a".repeat(9000))).await;
        let mut crowded = request(Method::GET, &self.gateway.url("/open/1"), None);
        for number in 0..101 {
            let name: http::HeaderName = format!("x-{number}").parse().expect("a name");
            crowded.headers_mut().insert(name, http::HeaderValue::from_static("1"));
        }
        let answer = HttpClient::http2().send(crowded).await;
        self.note("too_many_headers", &answer);
    }

    async fn bodies(&mut self) {
        let large = Request::post(self.gateway.url("/open/1")).body(Full::from("a".repeat(2000)));
        self.send("body_too_large", large.expect("a request")).await;
        let begin = |path: &str| format!("POST {path} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
        let (open, silent) = (begin("/open/1"), begin("/silent"));
        self.raw("body_too_large", &format!("{open}7d0\r\n{}\r\n0\r\n\r\n", "a".repeat(2000))).await;
        self.raw("body_timeout", &format!("{open}3\r\nabc\r\n")).await;
        self.raw("body_aborted", &format!("{open}3\r\nabc\r\nno length\r\n")).await;
        // The caller is as late as the upstream, but it is the caller that everybody waits for.
        self.raw("deadline_exceeded", &format!("{silent}3\r\nabc\r\n")).await;
    }

    async fn upstreams(&mut self) {
        self.get("upstream_connect_failed", "/refusing").await;
        self.get("upstream_connect_timeout", "/mute").await;
        self.get("upstream_deadline", "/silent").await;
        self.get("upstream_response_header_timeout", "/hesitant").await;
        self.get("upstream_reset", "/resetting").await;
        self.get("upstream_protocol_error", "/garbage").await;
        self.get("upstream_unasked_upgrade", "/upgrading").await;
        let upgrade = "GET /modern HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade, close\r\n\r\n";
        self.raw("upstream_not_upgraded", upgrade).await;
        let mut held = TcpStream::connect(self.gateway.address()).await.expect("a connection");
        held.write_all(b"GET /narrow HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("sent");
        until("the only connection is in use", || async { (self.narrow.connections() == 1).then_some(()) }).await;
        self.get("upstream_saturated", "/narrow").await;
        assert!(self.silent.connections() > 0);
        self.overload().await;
    }

    /// A gateway that may have one request at a time, and has it.
    async fn overload(&mut self) {
        let config = r#"
[process]
max_requests = 1
[listeners.public]
address = "127.0.0.1:0"
[admin]
address = "127.0.0.1:0"
[upstreams]
silent = { endpoints = ["http://${SILENT}"] }
[routes]
silent = { path = "/", upstream = "silent", public = true }
"#;
        let gateway = GatewayBuilder::whole(config).variable("SILENT", &self.silent.address.to_string()).start().await;
        let before = self.silent.connections();
        let mut held = TcpStream::connect(gateway.address()).await.expect("a connection");
        held.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("sent");
        until("it is under way", || async { (self.silent.connections() > before).then_some(()) }).await;
        let answer = self.client.get(&gateway.url("/"), None).await;
        self.note("overloaded", &answer);
        let counted = metric(&gateway, "postern_rejections_total", &[("reason", "overloaded")]).await;
        assert!(counted >= 1.0);
    }
}

#[tokio::test]
async fn every_reason_is_produced_and_told_in_the_document() {
    let mut world = World::new().await;
    world.tokens().await;
    world.control().await;
    world.requests().await;
    world.control().await;
    world.bodies().await;
    world.control().await;
    world.upstreams().await;
    world.control().await;

    let withdrawn = withdrawn().await;
    assert_eq!(withdrawn.keys().map(String::as_str).collect::<Vec<_>>(), WITHDRAWN);
    world.seen.extend(withdrawn);
    let produced: BTreeSet<&str> = world.seen.keys().map(String::as_str).collect();
    let listed: BTreeSet<&str> = REASONS.iter().map(|(reason, _)| *reason).collect();
    assert_eq!(produced, listed, "what can be produced is the list, and the list can be produced");

    let rows = documented("## Refused requests");
    let documented: BTreeMap<String, BTreeSet<u16>> = rows
        .into_iter()
        .map(|(reason, status)| (reason, BTreeSet::from([status.parse().expect("a status")])))
        .collect();
    assert_eq!(documented, world.seen, "docs/errors.md tells every reason with its status");

    // Each is counted under the same name, and by nothing else.
    let elsewhere = |reason: &str| WITHDRAWN.contains(&reason) || reason == "overloaded";
    for (reason, statuses) in world.seen.iter().filter(|(reason, _)| !elsewhere(reason)) {
        let counted = metric(&world.gateway, "postern_rejections_total", &[("reason", reason)]).await;
        assert!(counted >= 1.0, "{reason} {statuses:?}");
    }
    let text = HttpClient::http1().get(&world.gateway.admin_url("/metrics"), None).await.text();
    let labels = text.lines().filter_map(|line| Some(line.split_once("reason=\"")?.1.split_once('"')?.0));
    let strangers: BTreeSet<&str> = labels.filter(|label| !listed.contains(label) && *label != "authorized").collect();
    let of_listeners = [
        "accept_error",
        "descriptors",
        "flood",
        "grace_period",
        "header_timeout",
        "malformed",
        "per_peer",
        "proxy_header",
        "stalled",
        "tls_handshake",
    ];
    assert_eq!(
        strangers,
        BTreeSet::from(of_listeners),
        "connections have their own words, requests have none but these"
    );
}

#[tokio::test]
async fn what_goes_wrong_behind_the_head_is_told_by_the_log() {
    let world = World::new().await;
    let ended = |path: &'static str| move |line: &Value| line["path"] == path;
    for (path, reason) in [("/truncating", "upstream_body_aborted"), ("/stalling", "upstream_body_timeout")] {
        let outcome = world.client.try_send(request(Method::GET, &world.gateway.url(path), None)).await;
        assert!(outcome.is_err(), "{path}: a body that is cut must not look whole");
        let line = log_line(&world.gateway, path, ended(path)).await;
        assert_eq!((&line["reason"], &line["status"]), (&json!(reason), &json!(200)));
    }
    let mut gone = TcpStream::connect(world.gateway.address()).await.expect("a connection");
    gone.write_all(b"GET /narrow HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("sent");
    until("the request is under way", || async { (world.narrow.connections() == 1).then_some(()) }).await;
    drop(gone);
    let line = log_line(&world.gateway, "the one who left", ended("/narrow")).await;
    assert_eq!((&line["reason"], line.get("status")), (&json!("downstream_aborted"), None));
    world.control().await;

    let documented: Vec<String> = documented("## Answers cut short").into_iter().map(|(reason, _)| reason).collect();
    assert_eq!(documented, REASONS_AFTER_THE_HEAD);
}

/// The first two cells of the table under a heading of `docs/errors.md`.
fn documented(heading: &str) -> Vec<(String, String)> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/errors.md");
    let text = fs::read_to_string(file).expect("readable");
    let (_, section) = text.split_once(&format!("{heading}\n")).expect("the heading is there");
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")).map(|row| {
        let mut cells = row.split('|').map(|cell| cell.trim().trim_matches('`').to_owned());
        (cells.next().expect("a reason"), cells.next().expect("a second cell"))
    });
    rows.collect()
}
