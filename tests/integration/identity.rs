//! What the upstream is told about a request, and what nobody can tell it from outside.

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::Full;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use crate::support::{
    client::HttpClient,
    forge::{SigningKey, changed, claims},
    gateway::{Gateway, GatewayBuilder},
    issuer::ScriptedIssuer,
    observe::log_line,
    raw::{RawServer, exchange, read_head},
    upstream::RecordedUpstream,
};

const CORP: &str = "https://id.corp.example/";

const CONFIG: &str = r#"
[listeners.behind]
address = "127.0.0.1:0"
trusted_proxies = ["127.0.0.0/8"]
[issuers.corp]
issuer = "https://id.corp.example/"
jwks_uri = "${KEYS}"
audience = "https://api.test/orders"
[upstreams.orders]
endpoints = ["${UPSTREAM}"]
[routes.orders]
path = "/orders/{*rest}"
upstream = "orders"
[routes.orders.require]
[routes.orders.identity]
headers = { "x-client-id" = "client_id", "x-tenant" = "tenant_id", "x-scope" = "scope", "x-absent" = "absent" }
[routes.kept]
path = "/kept/{*rest}"
upstream = "orders"
[routes.kept.require]
[routes.kept.identity]
authorization = "keep"
[routes.open]
path = "/open/{*rest}"
upstream = "orders"
public = true
"#;

struct World {
    token: String,
    upstream: RecordedUpstream,
    gateway: Gateway,
    client: HttpClient,
    _issuer: ScriptedIssuer,
}

impl World {
    async fn new() -> Self {
        Self::before(RecordedUpstream::answering(|_| Response::new(Full::from("upstream"))).await).await
    }

    async fn before(upstream: RecordedUpstream) -> Self {
        let key = SigningKey::es256("k1");
        let issuer = ScriptedIssuer::start(&[&key]).await;
        let gateway =
            GatewayBuilder::new(CONFIG).variable("KEYS", &issuer.jwks_uri()).upstream(&upstream).start().await;
        let token = key.token(&changed(claims(CORP), &json!({ "scope": "orders:read orders:list" })));
        Self { token, upstream, gateway, client: HttpClient::http1(), _issuer: issuer }
    }

    /// Sends a request that gets through, and gives what the upstream saw of its headers.
    async fn seen(&self, request: Request<Full<Bytes>>) -> HeaderMap {
        let before = self.upstream.count();
        let answer = self.client.send(request).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(self.upstream.count(), before + 1);
        self.upstream.last().headers
    }

    fn get(&self, path: &str) -> http::request::Builder {
        Request::get(self.gateway.url(path))
    }
}

fn done(builder: http::request::Builder) -> Request<Full<Bytes>> {
    builder.body(Full::default()).expect("a request")
}

fn values<'h>(headers: &'h HeaderMap, name: &str) -> Vec<&'h str> {
    headers.get_all(name).iter().map(|value| value.to_str().expect("text")).collect()
}

#[tokio::test]
async fn who_calls_is_told_by_the_token_alone() {
    let world = World::new().await;
    let aliases = ["x-client-id", "X_Client_Id", "X.Client.Id", "x-client_id", "x_client.id", "X-CLIENT-ID"];
    let further = ["x-tenant", "X_Tenant", "x-scope", "x.scope", "x-absent", "X_Absent"];
    for path in ["/orders/1", "/open/1", "/kept/1"] {
        let mut builder = world.get(path).header("authorization", format!("Bearer {}", world.token));
        for name in aliases.iter().chain(&further) {
            builder = builder.header(*name, "forged");
        }
        let headers = world.seen(done(builder.header("x-client-ident", "mine"))).await;
        assert!(!headers.values().any(|value| value == "forged"), "{path}: {headers:?}");
        assert_eq!(values(&headers, "x-client-ident"), ["mine"], "only what is meant is taken out");
        let told = path == "/orders/1";
        assert_eq!(values(&headers, "x-client-id"), if told { vec!["billing"] } else { vec![] }, "{path}");
        assert_eq!(values(&headers, "x-tenant"), if told { vec!["acme"] } else { vec![] });
        assert_eq!(values(&headers, "x-scope"), if told { vec!["orders:read orders:list"] } else { vec![] });
        assert!(!headers.contains_key("x-absent"), "no claim, no header");
    }
}

#[tokio::test]
async fn a_connection_field_takes_nothing_away_that_the_gateway_says() {
    let world = World::new().await;
    let named = "x-client-id, authorization, x-tenant, x-request-id, x-forwarded-for, forwarded, host, x-mine, close";
    for path in ["/orders/1", "/kept/1"] {
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\nconnection: {named}\r\nx-mine: 1\r\nx-other: 1\r\n\r\n",
            world.token
        );
        let answer = exchange(world.gateway.address(), request).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let headers = world.upstream.last().headers;
        if path == "/orders/1" {
            assert_eq!(
                (values(&headers, "x-client-id"), values(&headers, "x-tenant")),
                (vec!["billing"], vec!["acme"])
            );
            assert!(!headers.contains_key("authorization"));
        } else {
            assert_eq!(values(&headers, "authorization"), [format!("Bearer {}", world.token)]);
        }
        assert_eq!((values(&headers, "host"), values(&headers, "x-forwarded-for")), (vec!["a"], vec!["127.0.0.1"]));
        assert!(headers.contains_key("x-request-id") && headers.contains_key("forwarded"));
        assert_eq!((headers.contains_key("x-mine"), headers.contains_key("x-other")), (false, true));
        assert!(!headers.contains_key("connection"));
    }
    // Nor does it get a request by without its token.
    let request = "GET /orders/1 HTTP/1.1\r\nhost: a\r\nconnection: authorization, close\r\n\r\n";
    assert_eq!(exchange(world.gateway.address(), request).await.reason(), "no_token");
    assert_eq!(world.upstream.count(), 2);
}

#[tokio::test]
async fn the_credential_goes_on_only_where_the_route_says_so() {
    let world = World::new().await;
    let bearer = format!("Bearer {}", world.token);
    for (path, kept) in [("/orders/1", false), ("/kept/1", true), ("/open/1", false)] {
        let headers = world.seen(done(world.get(path).header("authorization", &bearer))).await;
        assert_eq!(values(&headers, "authorization"), if kept { vec![bearer.as_str()] } else { vec![] }, "{path}");
    }
    let proxy = world.get("/open/1").header("proxy-authorization", "Basic YTpi");
    assert!(!world.seen(done(proxy)).await.contains_key("proxy-authorization"));
}

#[tokio::test]
async fn a_request_has_one_id_everywhere() {
    let world = World::new().await;
    let two = |builder: http::request::Builder| builder.header("x-request-id", "a").header("x-request-id", "b");
    let with = |id: &str| {
        world.get("/open/1").header("x-request-id", http::HeaderValue::from_bytes(id.as_bytes()).expect("a value"))
    };
    for (request, kept) in [
        (with("caller-1.2_3"), Some("caller-1.2_3")),
        (world.get("/open/1"), None),
        (two(world.get("/open/1")), None),
        (with("a b"), None),
        (with("a\"b"), None),
        (with("{\"a\":1}"), None),
        (with(&"a".repeat(1000)), None),
        (with("caf\u{e9}"), None),
        (with(""), None),
        (world.get("/open/1").header("X_Request_Id", "alias"), None),
    ] {
        let given = format!("{:?}", request.headers_ref());
        let answer = world.client.send(done(request)).await;
        let id = answer.header("x-request-id").to_owned();
        assert!(!id.is_empty() && id.len() <= 128 && id.bytes().all(|byte| byte.is_ascii_graphic()), "{given}: {id}");
        let told = world.upstream.last().headers;
        assert_eq!(values(&told, "x-request-id"), [id.as_str()], "{given}");
        assert!(!told.contains_key("x_request_id"));
        match kept {
            Some(kept) => assert_eq!(id, kept),
            None => assert!(id.len() >= 16, "{given}: {id} is one of ours"),
        }
        log_line(&world.gateway, &format!("the line of {given} with {id}"), |line| line["request_id"] == id.as_str())
            .await;
    }
    let refused = world.client.send(done(world.get("/orders/1").header("x-request-id", "mine-2"))).await;
    assert_eq!((refused.header("x-request-id"), &refused.json()["request_id"]), ("mine-2", &json!("mine-2")));
    log_line(&world.gateway, "the refused one", |line| line["request_id"] == "mine-2").await;
}

#[tokio::test]
async fn who_asked_is_believed_from_trusted_proxies_only() {
    let world = World::new().await;
    let spoofed = |builder: http::request::Builder| {
        builder
            .header("x-forwarded-for", "192.0.2.7")
            .header("x-forwarded-proto", "https")
            .header("x-forwarded-host", "outside.example")
            .header("x-forwarded-port", "443")
            .header("x-real-ip", "192.0.2.7")
            .header("x-forwarded-prefix", "/elsewhere")
    };
    let own = world.gateway.address().to_string();
    let headers = world.seen(done(spoofed(world.get("/open/stranger")).header("forwarded", "for=192.0.2.7"))).await;
    assert_eq!(values(&headers, "forwarded"), [format!("for=127.0.0.1;host=\"{own}\";proto=http")]);
    assert_eq!(values(&headers, "x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(
        (values(&headers, "x-forwarded-proto"), values(&headers, "x-forwarded-host")),
        (vec!["http"], vec![own.as_str()])
    );
    let line = log_line(&world.gateway, "the stranger", |line| line["path"] == "/open/stranger").await;
    assert_eq!(line["peer"], "127.0.0.1");
    for name in ["x-forwarded-port", "x-real-ip", "x-forwarded-prefix"] {
        assert!(!headers.contains_key(name), "{name}");
    }

    let behind = world.gateway.running().address("behind").expect("bound");
    let proxied = |path: &str| Request::get(format!("http://{behind}{path}"));
    let headers = world.seen(done(spoofed(proxied("/open/proxied")))).await;
    assert_eq!(values(&headers, "x-forwarded-for"), ["192.0.2.7, 127.0.0.1"]);
    assert_eq!(values(&headers, "forwarded"), [format!("for=192.0.2.7, for=127.0.0.1;host=\"{behind}\";proto=http")]);
    assert_eq!(values(&headers, "x-forwarded-proto"), ["https"]);
    assert_eq!(values(&headers, "x-forwarded-host"), ["outside.example"]);
    let line = log_line(&world.gateway, "the proxied one", |line| line["path"] == "/open/proxied").await;
    assert_eq!(line["peer"], "192.0.2.7");
    // A proxy that lets one notation through unread is not believed in either.
    let torn = spoofed(proxied("/open/torn")).header("forwarded", "for=198.51.100.1");
    assert_eq!(values(&world.seen(done(torn)).await, "x-forwarded-for"), ["127.0.0.1"]);
}

#[tokio::test]
async fn what_is_meant_for_one_connection_stays_on_it() {
    let server = RawServer::start(|mut stream| async move {
        let head = read_head(&mut stream).await;
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: keep-alive, X-Theirs\r\nkeep-alive: timeout=5\r\n\
             x-theirs: 1\r\nproxy-authenticate: Basic\r\nupgrade: h2c\r\nx-kept: 1\r\nx-request-id: theirs\r\n\r\n{head}",
            head.len()
        );
        let _ = stream.write_all(answer.as_bytes()).await;
    })
    .await;
    let config =
        "[upstreams.raw]\nendpoints = [\"${RAW}\"]\n[routes.raw]\npath = \"/raw\"\nupstream = \"raw\"\npublic = true";
    let gateway = GatewayBuilder::new(config).variable("RAW", &server.url()).start().await;
    let sent = "GET /raw HTTP/1.1\r\nhost: a\r\nconnection: close, x-mine\r\nx-mine: 1\r\nkeep-alive: timeout=9\r\n\
                proxy-connection: keep-alive\r\nte: gzip, trailers\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n\
                proxy-authorization: Basic YTpi\r\nx-kept: 2\r\n\r\n";
    let answer = exchange(gateway.address(), sent).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let forwarded = answer.rest.to_ascii_lowercase();
    for gone in ["x-mine", "keep-alive", "proxy-connection", "gzip", "upgrade", "http2-settings", "proxy-authorization"]
    {
        assert!(!forwarded.contains(gone), "{gone}: {forwarded}");
    }
    assert!(forwarded.contains("te: trailers\r\n") && forwarded.contains("x-kept: 2\r\n"), "{forwarded}");
    for gone in ["x-theirs", "keep-alive", "proxy-authenticate", "upgrade"] {
        assert_eq!(answer.header(gone), "", "{gone}");
    }
    assert_eq!((answer.header("connection"), answer.header("x-kept")), ("close", "1"));
    assert_ne!(answer.header("x-request-id"), "theirs", "the caller gets the id that the log has");
}

#[tokio::test]
async fn tracing_is_passed_on() {
    let world = World::new().await;
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let request =
        world.get("/open/1").header("traceparent", parent).header("tracestate", "a=1").header("baggage", "b=2");
    let headers = world.seen(done(request)).await;
    assert_eq!((values(&headers, "traceparent"), values(&headers, "tracestate")), (vec![parent], vec!["a=1"]));
    assert_eq!(values(&headers, "baggage"), ["b=2"]);
}

#[tokio::test]
async fn what_claims_another_method_or_path_is_taken_out() {
    let world = World::new().await;
    let names = [
        "x-http-method-override",
        "X_HTTP_Method",
        "x-method-override",
        "x-original-url",
        "x-rewrite-url",
        "X_Original_Uri",
    ];
    let builder = names.iter().fold(world.get("/open/1"), |builder, name| builder.header(*name, "/admin"));
    let headers = world.seen(done(builder.header("x-original-note", "stays"))).await;
    assert!(!headers.values().any(|value| value == "/admin"), "{headers:?}");
    assert_eq!(values(&headers, "x-original-note"), ["stays"]);
}

#[tokio::test]
async fn a_trailer_says_no_more_than_a_header_may() {
    let world = World::new().await;
    let request = "POST /open/1 HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\
        trailer: x-client-id, X_Tenant, authorization, x-forwarded-for, x-note\r\n\r\n1\r\na\r\n0\r\n\
        x-client-id: admin\r\nX_Tenant: other\r\nauthorization: Bearer a\r\nx-forwarded-for: 192.0.2.1\r\n\
        x-note: kept\r\n\r\n";
    assert_eq!(exchange(world.gateway.address(), request).await.status, 200);
    let seen = world.upstream.last();
    assert_eq!(&seen.body[..], b"a");
    let names: Vec<&str> = seen.trailers.keys().map(http::HeaderName::as_str).collect();
    assert_eq!(names, ["x-note"], "the one that says nothing about the caller is the control");
}
