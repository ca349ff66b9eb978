//! Paths, hosts and methods over raw sockets: refused, or decided by the rule that the upstream's reading would fall under,
//! and forwarded byte for byte as decided.

use crate::support::{
    client::HttpClient,
    forge::{SigningKey, claims},
    gateway::{Gateway, GatewayBuilder},
    issuer::ScriptedIssuer,
    raw::{RawAnswer, exchange},
    upstream::RecordedUpstream,
};

const CORP: &str = "https://id.corp.example/";

const CONFIG: &str = r#"
[issuers.corp]
issuer = "https://id.corp.example/"
jwks_uri = "${KEYS}"
audience = "https://api.test/orders"
[upstreams.orders]
endpoints = ["${UPSTREAM}"]
[routes.public]
path = "/public/{*rest}"
upstream = "orders"
public = true
[routes.guarded]                     # the same paths, on a host of their own, are not public
host = "api.example.com"
path = "/public/{*rest}"
upstream = "orders"
[routes.guarded.require]
[routes.subdomains]
host = "*.wild.example.com"
path = "/public/{*rest}"
upstream = "orders"
[routes.subdomains.require]
[routes.admin]
path = "/admin/{*rest}"
upstream = "orders"
[routes.admin.require]
scopes = ["admin"]
[routes.read]
path = "/things/{id}"
methods = ["GET"]
upstream = "orders"
public = true
[routes.write]
path = "/things/{id}"
methods = ["DELETE", "PUT"]
upstream = "orders"
[routes.write.require]
scopes = ["admin"]
[routes.stripped]
path = "/v1/files/{*rest}"
upstream = "orders"
strip_prefix = "/v1"
public = true
"#;

struct World {
    token: String,
    upstream: RecordedUpstream,
    gateway: Gateway,
    _issuer: ScriptedIssuer,
}

/// What must become of a request without a token.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// This reason, and nothing upstream.
    Refused(u16, &'static str),
    /// Refused by the parser, before there is a request.
    Unparsed,
    /// This target, byte for byte, upstream.
    Forwarded(&'static str),
}

use Fate::{Forwarded, Refused, Unparsed};

const AMBIGUOUS: Fate = Refused(400, "path_ambiguous");
const MALFORMED: Fate = Refused(400, "path_malformed");
const GUARDED: Fate = Refused(401, "no_token");
const NOWHERE: Fate = Refused(404, "no_route");

impl World {
    async fn new() -> Self {
        let key = SigningKey::es256("k1");
        let issuer = ScriptedIssuer::start(&[&key]).await;
        let upstream = RecordedUpstream::start().await;
        let gateway =
            GatewayBuilder::new(CONFIG).variable("KEYS", &issuer.jwks_uri()).upstream(&upstream).start().await;
        Self { token: key.token(&claims(CORP)), upstream, gateway, _issuer: issuer }
    }

    async fn send(&self, head: &str) -> RawAnswer {
        exchange(self.gateway.address(), format!("{head}connection: close\r\n\r\n")).await
    }

    /// Sends a head (without its last empty line) and holds what becomes of it against `fate`; then a control.
    async fn meets(&self, head: &str, fate: Fate) {
        let before = self.upstream.count();
        let answer = self.send(head).await;
        let seen = self.upstream.requests().split_off(before);
        let targets: Vec<&str> = seen.iter().map(|request| request.target.as_str()).collect();
        match fate {
            Refused(status, reason) => {
                assert_eq!((answer.status, answer.reason().as_str()), (status, reason), "{head:?}: {targets:?}");
                assert!(targets.is_empty(), "{head:?}: {targets:?}");
            }
            Unparsed => {
                assert_eq!((answer.status, targets.len()), (400, 0), "{head:?}: {targets:?}");
            }
            Forwarded(target) => {
                assert_eq!((answer.status, &targets[..]), (200, &[target][..]), "{head:?}: {}", answer.text);
            }
        }
        let control = self.send("GET /public/control HTTP/1.1\r\nhost: a\r\n").await;
        assert_eq!((control.status, self.upstream.last().target.as_str()), (200, "/public/control"), "{head:?}");
    }
}

#[tokio::test]
async fn what_is_decided_is_what_is_forwarded() {
    let world = World::new().await;
    for (target, fate) in [
        ("/public/../admin/1", AMBIGUOUS),
        ("/public/./x", AMBIGUOUS),
        ("/public/..", AMBIGUOUS),
        ("/public/%2e%2e/admin/1", AMBIGUOUS),
        ("/public/%2E./admin/1", AMBIGUOUS),
        ("/public/.%2e/admin/1", AMBIGUOUS),
        ("/public/..%2fadmin/1", AMBIGUOUS),
        ("/public/..%5cadmin/1", AMBIGUOUS),
        ("/public/..\\admin/1", AMBIGUOUS),
        ("/public\\..\\admin/1", AMBIGUOUS),
        ("//admin/1", AMBIGUOUS),
        ("/public//x", AMBIGUOUS),
        ("///public/x", AMBIGUOUS),
        ("/public/a%2fb", AMBIGUOUS),
        ("/public/a%2Fb", AMBIGUOUS),
        ("/public%2fx", AMBIGUOUS),
        ("/public/a%5cb", AMBIGUOUS),
        ("/public/%252e%252e/admin/1", AMBIGUOUS),
        ("/public/%252fadmin", AMBIGUOUS),
        ("/public/%25%32%66admin", AMBIGUOUS),
        ("/public/x;a=b", AMBIGUOUS),
        ("/public;x/../admin/1", AMBIGUOUS),
        ("/public/..;/admin/1", AMBIGUOUS),
        ("/public/%00", MALFORMED),
        ("/public/x%00.txt", MALFORMED),
        ("/public/%0d%0aX-Admin:1", MALFORMED),
        ("/public/%7f", MALFORMED),
        ("/public/%c0%ae%c0%ae/admin/1", MALFORMED),
        ("/public/%c0%af", MALFORMED),
        ("/public/%ff", MALFORMED),
        ("/public/%", MALFORMED),
        ("/public/%4", MALFORMED),
        ("/public/%zz", MALFORMED),
        ("/public/%u002e", MALFORMED),
        ("*", MALFORMED),
        // Not the guarded route's path, whatever a lenient upstream would make of it; so it is nobody's.
        ("/admin.", NOWHERE),
        ("/ADMIN/1", NOWHERE),
        ("/Public/1", NOWHERE),
        ("/admin%20/1", NOWHERE),
        ("/public.", NOWHERE),
        ("/publicity", NOWHERE),
        ("/", NOWHERE),
        // Other spellings of the guarded path are guarded.
        ("/admin/1", GUARDED),
        ("/%61dmin/1", GUARDED),
        ("/adm%69n/1", GUARDED),
        ("/%41DMIN/1", NOWHERE),
        ("/admin", GUARDED),
        ("/admin/", GUARDED),
        ("/admin/public/1", GUARDED),
        // One normal form, forwarded as it was decided.
        ("/public/x", Forwarded("/public/x")),
        ("/public", Forwarded("/public")),
        ("/public/", Forwarded("/public/")),
        ("/public/%61dmin", Forwarded("/public/admin")),
        ("/%70ublic/x", Forwarded("/public/x")),
        ("/public/caf%c3%a9", Forwarded("/public/caf%C3%A9")),
        ("/public/a%20b", Forwarded("/public/a%20b")),
        ("/public/%7euser", Forwarded("/public/~user")),
        ("/public/%23x", Forwarded("/public/%23x")),
        ("/public/%3fx", Forwarded("/public/%3Fx")),
        ("/public/100%25", Forwarded("/public/100%25")),
        ("/public/...", Forwarded("/public/...")),
        ("/public/.hidden", Forwarded("/public/.hidden")),
        ("/public/a:b@c!$&'()*+,=", Forwarded("/public/a:b@c!$&'()*+,=")),
        // A fragment is no part of a request; what is before it is what is decided.
        ("/public/x#/../admin", Forwarded("/public/x")),
        ("/admin/1#/public/x", GUARDED),
        // The query decides nothing and is passed on as it came.
        ("/public/x?a=/../admin&b=%2e%2e%2f;c", Forwarded("/public/x?a=/../admin&b=%2e%2e%2f;c")),
        ("/public/x?", Forwarded("/public/x?")),
        ("/admin/1?/public/x", GUARDED),
        ("/v1/files/x", Forwarded("/files/x")),
        ("/v1/files", Forwarded("/files")),
        ("/v1/%66iles/%61?b=%61", Forwarded("/files/a?b=%61")),
        ("/v1/files/../../admin/1", AMBIGUOUS),
    ] {
        world.meets(&format!("GET {target} HTTP/1.1\r\nhost: a\r\n"), fate).await;
    }
    let mut outcomes = Vec::new();
    for target in ["/public/x y", "/public/x\ty", "/public/x\u{1}", "/public/\u{7f}"] {
        let before = world.upstream.count();
        let answer = world.send(&format!("GET {target} HTTP/1.1\r\nhost: a\r\n")).await;
        outcomes.push((target, answer.status, world.upstream.count() - before));
    }
    assert!(outcomes.iter().all(|(_, status, seen)| (*status, *seen) == (400, 0)), "{outcomes:?}");
}

#[tokio::test]
async fn one_host_has_one_meaning() {
    let world = World::new().await;
    let get = |hosts: &str| format!("GET /public/x HTTP/1.1\r\n{hosts}");
    let ambiguous = Refused(400, "host_ambiguous");
    let malformed = Refused(400, "host_malformed");
    for (head, fate) in [
        (get("host: a\r\n"), Forwarded("/public/x")),
        (get(""), Refused(400, "host_missing")),
        (get("host:\r\n"), Refused(400, "host_missing")),
        (get("host: a\r\nhost: a\r\n"), ambiguous),
        (get("host: a\r\nHost: api.example.com\r\n"), ambiguous),
        (get("host: a, api.example.com\r\n"), malformed),
        (get("host: user@a\r\n"), malformed),
        (get("host: a:80:80\r\n"), malformed),
        (get("host: a:\r\n"), malformed),
        (get("host: a/b\r\n"), malformed),
        (get("host: a b\r\n"), malformed),
        (get("host: ..\r\n"), malformed),
        (get("host: api..example.com\r\n"), malformed),
        // Every spelling of the guarded host is guarded.
        (get("host: api.example.com\r\n"), GUARDED),
        (get("host: API.EXAMPLE.COM\r\n"), GUARDED),
        (get("host: api.example.com.\r\n"), GUARDED),
        (get("host: Api.Example.Com.:8080\r\n"), GUARDED),
        (get("host: x.wild.example.com\r\n"), GUARDED),
        (get("host: X.Y.WILD.example.com.\r\n"), GUARDED),
        // What only looks like it is another host, and under the rule for any.
        (get("host: api.example.com.evil.example\r\n"), Forwarded("/public/x")),
        // An absolute target must name the same host.
        ("GET http://a/public/x HTTP/1.1\r\nhost: a\r\n".to_owned(), Forwarded("/public/x")),
        ("GET http://A./public/x HTTP/1.1\r\nhost: a\r\n".to_owned(), Forwarded("/public/x")),
        ("GET http://api.example.com/public/x HTTP/1.1\r\nhost: a\r\n".to_owned(), ambiguous),
        ("GET http://a/public/x HTTP/1.1\r\nhost: api.example.com\r\n".to_owned(), ambiguous),
        ("GET http://a/public/x HTTP/1.1\r\n".to_owned(), Refused(400, "host_missing")),
        ("GET http://api.example.com/public/x HTTP/1.1\r\nhost: api.example.com\r\n".to_owned(), GUARDED),
        ("GET http://user:pw@a/public/x HTTP/1.1\r\nhost: a\r\n".to_owned(), malformed),
        ("GET http://a/public/../admin HTTP/1.1\r\nhost: a\r\n".to_owned(), AMBIGUOUS),
        // What else could name a host does not.
        (get("host: api.example.com\r\nx-forwarded-host: a\r\n"), GUARDED),
        (get("host: api.example.com\r\nforwarded: host=a\r\nx-original-host: a\r\n"), GUARDED),
    ] {
        world.meets(&head, fate).await;
    }
    // With a token the guarded host answers, and the upstream is told the host as it was decided by.
    for host in ["api.example.com", "API.example.COM."] {
        let head = format!("{}authorization: Bearer {}\r\n", get(&format!("host: {host}\r\n")), world.token);
        world.meets(&head, Forwarded("/public/x")).await;
        let seen = world.upstream.requests();
        assert_eq!(seen[seen.len() - 2].headers["host"], "api.example.com");
    }
}

#[tokio::test]
async fn the_method_is_the_one_in_the_request_line() {
    let world = World::new().await;
    let not_allowed = Refused(405, "method_not_allowed");
    for (method, further, fate) in [
        ("GET", "", Forwarded("/things/1")),
        ("DELETE", "", GUARDED),
        ("PUT", "content-length: 0\r\n", GUARDED),
        ("POST", "content-length: 0\r\n", not_allowed),
        ("OPTIONS", "", not_allowed),
        // Methods are told apart by case (RFC 9110 section 9.1): `delete` is not DELETE, and `get` not GET.
        ("get", "", not_allowed),
        ("Get", "", not_allowed),
        ("delete", "", not_allowed),
        ("PURGE", "", not_allowed),
        ("GETS", "", not_allowed),
        ("TRACE", "", Refused(501, "method_not_forwarded")),
        ("G\u{e9}T", "", Unparsed),
        ("GET", "x-http-method-override: DELETE\r\n", Forwarded("/things/1")),
        ("GET", "X-HTTP-Method: DELETE\r\nx_http_method_override: PUT\r\n", Forwarded("/things/1")),
        ("GET", "x-method-override: DELETE\r\nx-original-method: DELETE\r\n", Forwarded("/things/1")),
        ("DELETE", "x-http-method-override: GET\r\n", GUARDED),
        ("POST", "x-http-method-override: GET\r\ncontent-length: 0\r\n", not_allowed),
    ] {
        world.meets(&format!("{method} /things/1 HTTP/1.1\r\nhost: a\r\n{further}"), fate).await;
        let seen = world.upstream.requests();
        if let Forwarded(_) = fate {
            let forwarded = &seen[seen.len() - 2];
            assert_eq!(forwarded.method, "GET");
            assert!(!forwarded.headers.keys().any(|name| name.as_str().contains("method")), "{:?}", forwarded.headers);
        }
    }
    // HEAD is its own method, not implied by GET; its refusal has no body.
    let before = world.upstream.count();
    let head = world.send("HEAD /things/1 HTTP/1.1\r\nhost: a\r\n").await;
    assert_eq!((head.status, head.header("allow"), head.rest.as_str()), (405, "DELETE, GET, PUT", ""));
    let guarded = world.send("HEAD /admin/1 HTTP/1.1\r\nhost: a\r\n").await;
    assert_eq!((guarded.status, guarded.rest.as_str()), (401, ""));
    assert_eq!(world.upstream.count(), before);
    let open = world.send("HEAD /public/x HTTP/1.1\r\nhost: a\r\n").await;
    assert_eq!((open.status, world.upstream.last().method.as_str()), (200, "HEAD"));
}

#[tokio::test]
async fn http_2_is_no_way_around() {
    let world = World::new().await;
    let client = HttpClient::http2();
    for (path, status, reason) in [
        ("/public/%2e%2e/admin/1", 400, "path_ambiguous"),
        ("/public/a%2fb", 400, "path_ambiguous"),
        ("/public//x", 400, "path_ambiguous"),
        ("/%61dmin/1", 401, "no_token"),
        ("/public/%00", 400, "path_malformed"),
    ] {
        let answer = client.get(&world.gateway.url(path), None).await;
        assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (status, reason), "{path}");
        assert_eq!(world.upstream.count(), 0);
    }
    let control = client.get(&world.gateway.url("/%70ublic/x"), None).await;
    assert_eq!((control.status.as_u16(), world.upstream.last().target.as_str()), (200, "/public/x"));
}
