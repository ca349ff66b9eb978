//! The embedded issuer as a client library meets it that was not written here: Python's Authlib, over TLS, told nothing but
//! the issuer's name and its own credentials. What it asks is in `tests/interop/oauth2_client.py`.

use std::{
    env,
    ffi::OsString,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use rcgen::KeyPair;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{
    certificates::Authority,
    gateway::{Gateway, GatewayBuilder},
    upstream::RecordedUpstream,
};

const CONFIG: &str = r#"
[process]
data_directory = "data"
[telemetry]
access_log = "off"
[listeners.public]
address = "${ADDRESS}"
[listeners.public.tls]
certificate = "server.pem"
private_key = "server.key"
[issuers.own]
embedded = true
audience = "https://api.test/orders"
[upstreams.orders]
endpoints = ["${UPSTREAM}"]
[routes.orders]
path = "/orders/{*rest}"
upstream = "orders"
[routes.orders.require]
scopes = ["orders:read"]
[routes.ledger]
path = "/ledger"
upstream = "orders"
[routes.ledger.require]
scopes = ["orders:write"]
[token_endpoints.oauth]
path = "/tenants/one/oauth/token"
serve = "embedded"
[authorization_server]
issuer = "https://${ADDRESS}/tenants/one"
[authorization_server.apis."https://api.test/orders"]
scopes = ["orders:read", "orders:write"]
[authorization_server.clients.billing]
secret = "canary-secret-of-billing-0123456789"
grants = { "https://api.test/orders" = ["orders:read"] }
[authorization_server.clients.signer]
public_keys = ["signer.pem"]
grants = { "https://api.test/orders" = ["orders:read"] }
[authorization_server.clients.auditor]
public_keys = ["signer.pem"]
assertion_audience = "token_endpoint"
grants = { "https://api.test/orders" = ["orders:read"] }
introspects = ["https://api.test/orders"]
"#;

struct House {
    gateway: Gateway,
    upstream: RecordedUpstream,
    issuer: String,
    /// Of those that authenticate by assertions.
    key: KeyPair,
}

impl House {
    async fn open() -> Self {
        let authority = Authority::new("the test's own");
        let identity = authority.issue(&["127.0.0.1"]);
        let upstream = RecordedUpstream::start().await;
        let key = KeyPair::generate().expect("a key for ES256");
        loop {
            // Somebody else may take the port in between; then another one is tried.
            let address = TcpListener::bind("127.0.0.1:0").await.and_then(|probe| probe.local_addr()).expect("a port");
            let builder = GatewayBuilder::whole(CONFIG).upstream(&upstream).variable("ADDRESS", &address.to_string());
            identity.write(builder.folder(), "server");
            authority.write(builder.folder(), "ca");
            std::fs::write(builder.folder().join("signer.pem"), key.public_key_pem()).expect("written");
            if let Ok(gateway) = builder.try_start().await {
                return Self { gateway, upstream, issuer: format!("https://{address}/tenants/one"), key };
            }
        }
    }

    fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.gateway.address())
    }

    /// All that a client is told by whoever runs the issuer.
    fn told(&self) -> Value {
        json!({
            "issuer": self.issuer,
            "client_id": "billing",
            "client_secret": "canary-secret-of-billing-0123456789",
            "private_key": self.key.serialize_pem(),
            "audience": "https://api.test/orders",
            "scope": "orders:read",
            "scope_not_granted": "orders:write",
            "route": self.url("/orders/1"),
            "route_not_granted": self.url("/ledger"),
        })
    }
}

/// Runs the script, which waits for no answer longer than 20 s. Gives the steps that went as the RFCs say, in their order.
async fn steps(house: &House) -> Vec<String> {
    let (told, authority) = (house.told(), house.gateway.folder.path().join("ca.pem"));
    let run = move || {
        let python = env::var_os("POSTERN_INTEROP_PYTHON").unwrap_or_else(|| OsString::from("python3"));
        let mut child = Command::new(&python)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/oauth2_client.py"))
            // What is asked must not go by a proxy that happens to be configured here.
            .env("NO_PROXY", "*")
            .env("REQUESTS_CA_BUNDLE", authority)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", python.display()));
        child.stdin.take().expect("piped").write_all(told.to_string().as_bytes()).expect("told");
        child.wait_with_output().expect("it ran")
    };
    let output = tokio::task::spawn_blocking(run).await.expect("no panic");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "after {stdout:?}:\n{stderr}");
    stdout.lines().map(str::to_owned).collect()
}

#[tokio::test]
#[ignore = "needs Python with tests/interop/requirements.txt; scripts/test installs it and runs this"]
async fn a_library_from_elsewhere_finds_its_way() {
    let house = House::open().await;
    let expected = [
        "discovery",
        "secrets",
        "expiry",
        "keys",
        "refusals",
        "private_keys",
        "assertions",
        "introspection",
        "revocation",
    ];
    assert_eq!(steps(&house).await, expected);
    assert_eq!(house.upstream.count(), 7, "what was refused reached nobody");
}
