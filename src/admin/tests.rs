//! The operator's listener on a real socket, over invented operations.

use std::{
    fmt,
    future::{Future, pending},
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::sync::watch;

use super::*;
use crate::{
    authorization_server::AuthorizationServer,
    clock::UnixTime,
    secret::Secret,
    telemetry::Metrics,
    token_endpoint::{NoSuchReuse, ReuseStatus},
};

const TOKEN: &str = "an-admin-token-of-some-length";

#[derive(Default)]
struct Invented {
    token: Option<&'static str>,
    readiness: Readiness,
    reload_fails: bool,
    reload_hangs: bool,
    reloads: AtomicUsize,
}

impl Operations for Invented {
    fn token(&self) -> Option<Secret> {
        self.token.map(|token| Secret::new(token.to_owned()))
    }
    fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }
    fn metrics(&self) -> Result<String, fmt::Error> {
        Metrics::new(1).0.encode(&[])
    }
    fn configuration(&self) -> Configuration {
        Configuration {
            generation: 2,
            hash: "00ff".to_owned(),
            applied_at: UnixTime::from_seconds(0),
            files: vec!["/etc/postern/postern.toml".into()],
            public_routes: vec!["health".into()],
            report_only_routes: vec![],
            danger_options: vec![],
            last_rejected: Some(RejectedReload { at: UnixTime::from_seconds(1), diagnostics: json!([{ "line": 3 }]) }),
            configuration: json!({ "routes": {} }),
        }
    }
    fn reload(&self) -> Pin<Box<dyn Future<Output = Result<Reloaded, ReloadRejected>> + Send + '_>> {
        self.reloads.fetch_add(1, Ordering::SeqCst);
        Box::pin(async {
            if self.reload_hangs {
                pending::<()>().await;
            }
            if self.reload_fails {
                return Err(ReloadRejected { diagnostics: json!([{ "message": "unknown key" }]) });
            }
            let changes = vec!["route orders-read: scopes +orders:write".to_owned()];
            Ok(Reloaded { generation: 3, hash: "ff00".to_owned(), changes })
        })
    }
    fn issuers(&self) -> Vec<IssuerStatus> {
        vec![issuer()]
    }
    fn refresh<'a>(
        &'a self,
        name: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<IssuerStatus, RefreshError>> + Send + 'a>> {
        Box::pin(async move {
            match name {
                "corp" => Ok(issuer()),
                "local" => Err(RefreshError::Embedded),
                "broken" => Err(RefreshError::Failed("status 500".to_owned())),
                _ => Err(RefreshError::Unknown),
            }
        })
    }
    fn reused_tokens(&self) -> Vec<ReuseStatus> {
        vec![]
    }
    fn drop_reused_tokens(&self, endpoint: Option<&str>, _: Option<&str>) -> Result<u64, NoSuchReuse> {
        endpoint.map_or(Ok(0), |_| Err(NoSuchReuse))
    }
    fn issuer(&self) -> Option<Arc<AuthorizationServer>> {
        None
    }
    fn now(&self) -> UnixTime {
        UnixTime::from_seconds(1_800_000_000)
    }
}

fn issuer() -> IssuerStatus {
    IssuerStatus {
        name: "corp".into(),
        issuer: "https://id.corp.example/".to_owned(),
        state: IssuerState::Stale,
        key_set: None,
        embedded_keys: vec![],
        introspection: None,
        revocation: None,
    }
}

/// A served listener, stopped when dropped.
struct Served {
    address: SocketAddr,
    operations: Arc<Invented>,
    stop: watch::Sender<bool>,
    runtime: tokio::runtime::Runtime,
    served: Option<tokio::task::JoinHandle<()>>,
}

impl Served {
    fn new(operations: Invented) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(AdminListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))).unwrap();
        let (address, operations) = (listener.address(), Arc::new(operations));
        let (stop, stopped) = watch::channel(false);
        let given: Arc<dyn Operations> = Arc::<Invented>::clone(&operations);
        let served = Some(runtime.spawn(serve(listener, given, stopped)));
        Self { address, operations, stop, runtime, served }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    /// The status, the head and the body of the answer to `head`, a request line and headers but for the host.
    fn ask(&self, line: &str, headers: &[&str]) -> (u16, String, String) {
        let host = format!("Host: {}", self.address);
        self.ask_exactly(line, &[&[&*host], headers].concat())
    }

    fn ask_exactly(&self, line: &str, headers: &[&str]) -> (u16, String, String) {
        let mut stream = self.connect();
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        write!(stream, "{line} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_ascii_lowercase(), body.to_owned())
    }

    fn json(&self, line: &str, headers: &[&str]) -> (u16, Value) {
        let (status, head, body) = self.ask(line, headers);
        assert!(head.contains("content-type: application/"), "{head}");
        assert!(head.contains("cache-control: no-store"), "{head}");
        (status, serde_json::from_str(&body).unwrap())
    }
}

#[test]
fn health_says_what_is_missing() {
    let served = Served::new(Invented::default());
    assert_eq!(served.ask("GET /livez", &[]).0, 200);
    assert_eq!(served.json("GET /readyz", &[]).1["status"], "ready");

    let missing = Missing { kind: MissingKind::Issuer, name: "corp".into(), reason: "connection refused".to_owned() };
    let readiness = Readiness {
        draining: false,
        missing: vec![missing],
        public_routes: vec!["health".into()],
        report_only_routes: vec!["trial".into()],
    };
    let served = Served::new(Invented { readiness: readiness.clone(), ..Invented::default() });
    let expected = json!({
        "status": "not_ready", "public_routes": ["health"], "report_only_routes": ["trial"],
        "missing": [{ "kind": "issuer", "name": "corp", "reason": "connection refused" }]
    });
    assert_eq!(served.json("GET /readyz", &[]), (503, expected));
    assert_eq!(served.ask("GET /livez", &[]).0, 200);

    let readiness = Readiness { draining: true, ..readiness };
    let served = Served::new(Invented { readiness, ..Invented::default() });
    let (status, body) = served.json("GET /readyz", &[]);
    assert_eq!((status, &body["status"]), (503, &json!("draining")));
}

#[test]
fn metrics_are_openmetrics() {
    let served = Served::new(Invented::default());
    let (status, head, body) = served.ask("GET /metrics", &[]);
    assert_eq!(status, 200);
    assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"), "{head}");
    assert!(body.contains("postern_requests_under_way 0\n") && body.ends_with("# EOF\n"));
}

#[test]
fn the_configuration_a_reload_and_the_issuers_are_told() {
    let served = Served::new(Invented::default());
    let (status, body) = served.json("GET /api/v1/config", &[]);
    assert_eq!(
        (status, &body["generation"], &body["applied_at"]),
        (200, &json!(2), &json!("1970-01-01T00:00:00.000Z"))
    );
    assert_eq!(body["last_rejected"], json!({ "at": "1970-01-01T00:00:01.000Z", "diagnostics": [{ "line": 3 }] }));
    let (status, body) = served.json("POST /api/v1/reload", &[]);
    assert_eq!((status, &body["changes"]), (200, &json!(["route orders-read: scopes +orders:write"])));
    let (status, body) = served.json("GET /api/v1/issuers", &[]);
    assert_eq!((status, &body[0]["state"], &body[0]["name"]), (200, &json!("stale"), &json!("corp")));

    let served = Served::new(Invented { reload_fails: true, ..Invented::default() });
    let (status, body) = served.json("POST /api/v1/reload", &[]);
    assert_eq!((status, &body["code"]), (422, &json!("configuration_rejected")));
    assert_eq!(body["diagnostics"][0]["message"], "unknown key");
}

#[test]
fn an_issuer_is_refreshed_by_name() {
    let served = Served::new(Invented::default());
    assert_eq!(served.json("POST /api/v1/issuers/corp/refresh", &[]).0, 200);
    for (name, status, code) in
        [("nobody", 404, "unknown_issuer"), ("local", 409, "embedded_issuer"), ("broken", 502, "fetch_failed")]
    {
        let (found, body) = served.json(&format!("POST /api/v1/issuers/{name}/refresh"), &[]);
        assert_eq!((found, &body["code"]), (status, &json!(code)));
    }
}

#[test]
fn whoever_has_no_token_sees_health_only() {
    let served = Served::new(Invented { token: Some(TOKEN), ..Invented::default() });
    let good = format!("Authorization: Bearer {TOKEN}");
    let lower = format!("authorization: bearer {TOKEN}");
    let (longer, basic) = (format!("{good}x"), format!("Authorization: Basic {TOKEN}"));
    for path in ["GET /metrics", "GET /api/v1/config", "GET /api/v1/issuers", "POST /api/v1/reload", "GET /nothing"] {
        for headers in [&[][..], &["Authorization: Bearer wrong"], &[&longer], &[&basic], &[&good, &good]] {
            let (status, head, body) = served.ask(path, headers);
            assert_eq!(status, 401, "{path} {headers:?}");
            assert!(head.contains("www-authenticate: bearer realm=") && !body.contains(TOKEN), "{head}");
        }
    }
    assert_eq!(served.operations.reloads.load(Ordering::SeqCst), 0);
    assert_eq!((served.ask("GET /livez", &[]).0, served.ask("GET /readyz", &[]).0), (200, 200));
    assert_eq!((served.ask("GET /metrics", &[&good]).0, served.ask("GET /metrics", &[&lower]).0), (200, 200));
    assert_eq!(served.ask("POST /api/v1/reload", &[&good]).0, 200);
}

#[test]
fn a_browser_cannot_be_made_to_act_for_another_site() {
    let served = Served::new(Invented::default());
    let own = format!("Origin: http://{}", served.address);
    for foreign in ["Origin: https://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site"] {
        let (status, body) = served.json("POST /api/v1/reload", &[foreign]);
        assert_eq!((status, &body["code"]), (403, &json!("cross_site")), "{foreign}");
    }
    assert_eq!(served.operations.reloads.load(Ordering::SeqCst), 0);
    assert_eq!(served.ask("POST /api/v1/reload", &[&own]).0, 200);
    assert_eq!(served.ask("POST /api/v1/reload", &[]).0, 200);
}

#[test]
fn without_a_token_only_local_host_names_are_answered() {
    let served = Served::new(Invented::default());
    for headers in [&["Host: rebound.evil.example"][..], &[], &["Host: localhost", "Host: rebound.evil.example"]] {
        assert!(matches!(served.ask_exactly("GET /api/v1/config", headers).0, 400 | 403), "{headers:?}");
    }
    let (status, ..) = served.ask_exactly("GET http://rebound.evil.example/api/v1/config", &["Host: localhost"]);
    assert_eq!(status, 403);
    assert_eq!(served.ask_exactly("GET /api/v1/config", &["Host: localhost:9090"]).0, 200);
    // With a token the name does not matter: a web page does not have it.
    let served = Served::new(Invented { token: Some(TOKEN), ..Invented::default() });
    let good = format!("Authorization: Bearer {TOKEN}");
    assert_eq!(served.ask_exactly("GET /api/v1/config", &["Host: postern.internal", &good]).0, 200);
}

#[test]
fn errors_are_problem_details() {
    let served = Served::new(Invented::default());
    let (status, head, body) = served.ask("GET /nothing", &[]);
    assert!(head.contains("content-type: application/problem+json"), "{head}");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["status"], &body["title"]), (404, &json!(404), &json!("Not Found")));
    let (status, head, _) = served.ask("GET /api/v1/reload", &[]);
    assert_eq!(status, 405);
    assert!(head.contains("allow: post") && head.contains("application/problem+json"), "{head}");
}

#[test]
fn without_an_embedded_issuer_there_is_nothing_to_manage() {
    let served = Served::new(Invented::default());
    for line in [
        "GET /api/v1/clients",
        "GET /api/v1/clients/billing",
        "POST /api/v1/clients/billing/disable",
        "GET /api/v1/tokens",
        "GET /api/v1/keys",
        "GET /api/v1/switches",
        "GET /api/v1/audit",
    ] {
        let (status, body) = served.json(line, &[]);
        assert_eq!((status, &body["code"]), (404, &json!("no_embedded_issuer")), "{line}");
    }
}

#[test]
fn each_path_answers_the_methods_that_the_document_has() {
    let served = Served::new(Invented::default());
    let (_, document) = served.json("GET /api/v1/openapi.json", &[]);
    let mut answered = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let place = path.replace(['{', '}'], "");
        for method in ["get", "put", "post", "delete", "patch"] {
            let (status, _, body) = served.ask(&format!("{} {place}", method.to_uppercase()), &[]);
            assert_eq!(status == 405, item.get(method).is_none(), "{method} {path}: {status}");
            assert!(!body.contains("\"not_found\""), "{method} {path}: {body}");
            answered += u32::from(status != 405);
        }
    }
    assert_eq!(answered, 28);
}

#[test]
fn stopping_ends_idle_connections_and_does_not_wait_for_ever() {
    let mut served = Served::new(Invented { reload_hangs: true, ..Invented::default() });
    let mut idle = served.connect();
    let mut hanging = served.connect();
    write!(hanging, "POST /api/v1/reload HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    while served.operations.reloads.load(Ordering::SeqCst) == 0 {
        std::thread::yield_now();
    }
    served.stop.send_replace(true);
    let task = served.served.take().unwrap();
    let ended = async { tokio::time::timeout(Duration::from_secs(10), task).await };
    served.runtime.block_on(ended).unwrap().unwrap();
    assert_eq!(idle.read(&mut [0; 16]).unwrap(), 0);
    assert!(TcpStream::connect(served.address).is_err());
}
