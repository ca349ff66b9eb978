//! TLS towards downstream: which certificate is shown, how new ones come into use, who may connect.

use std::{fs, net::SocketAddr, sync::Arc};

use http::Request;
use rustls::ClientConfig;

use crate::support::{
    certificates::{Authority, Identity, handshake, shown},
    client::HttpClient,
    connection::{AnyBody, Connection, Protocol, empty},
    corp::Corp,
    gateway::{Gateway, GatewayBuilder},
    upstream::RecordedUpstream,
    wait::until,
};

/// A listener over TLS, to which tests add keys.
const SECURE: &str = r#"
[listeners.secure]
address = "127.0.0.1:0"
[listeners.secure.tls]
certificate = "default.pem"
private_key = "default.key"
"#;

struct Scene {
    corp: Corp,
    authority: Authority,
    default: Identity,
    upstream: RecordedUpstream,
}

impl Scene {
    async fn new() -> Self {
        let authority = Authority::new("the test's own");
        let default = authority.issue(&["default.test"]);
        Self { corp: Corp::start().await, authority, default, upstream: RecordedUpstream::start().await }
    }

    /// A gateway with a listener over TLS that also has the keys in `tls`.
    fn gateway(&self, tls: &str) -> GatewayBuilder {
        let builder = self.corp.before(&self.upstream.url(), &format!("{SECURE}\n{tls}"));
        self.default.write(builder.folder(), "default");
        builder
    }

    fn client(&self, identity: Option<&Identity>) -> Arc<ClientConfig> {
        self.authority.client(&["http/1.1"], identity)
    }

    fn request(&self) -> Request<AnyBody> {
        Request::builder()
            .uri("https://default.test/a")
            .header("authorization", format!("Bearer {}", self.corp.token()))
            .body(empty())
            .expect("a request")
    }

    /// Whether a client with this certificate gets an answer.
    async fn is_let_in(&self, gateway: &Gateway, identity: Option<&Identity>) -> bool {
        let Ok(stream) = handshake(secure(gateway), "default.test", &self.client(identity)).await else { return false };
        // In TLS 1.3 the client learns only afterwards that its certificate was refused.
        let mut connection = Connection::over(stream, Protocol::Http1).await;
        connection.send(self.request()).await.is_ok_and(|answer| answer.status() == 200)
    }
}

fn secure(gateway: &Gateway) -> SocketAddr {
    gateway.running().address("secure").expect("bound")
}

#[tokio::test]
async fn the_certificate_is_chosen_by_the_name_asked_for() {
    let scene = Scene::new().await;
    let exact = scene.authority.issue(&["api.example.test", "also.example.test"]);
    let wildcard = scene.authority.issue(&["*.example.test"]);
    let builder = scene.gateway(
        r#"certificates = [
            { certificate = "exact.pem", private_key = "exact.key" },
            { certificate = "wildcard.pem", private_key = "wildcard.key" },
        ]"#,
    );
    exact.write(builder.folder(), "exact");
    wildcard.write(builder.folder(), "wildcard");
    let gateway = builder.start().await;
    for (name, identity) in [
        ("api.example.test", &exact),
        ("also.example.test", &exact),
        ("other.example.test", &wildcard),
        ("default.test", &scene.default),
    ] {
        let stream = handshake(secure(&gateway), name, &scene.client(None)).await.expect("TLS");
        assert_eq!(shown(&stream), identity.der(), "{name}");
    }
    // A name that nobody has a certificate for is shown the default one, and it is the client that refuses it.
    for name in ["unknown.test", "a.b.example.test", "127.0.0.1"] {
        let error = handshake(secure(&gateway), name, &scene.client(None)).await.expect_err(name);
        assert!(error.to_string().contains("default.test"), "{name}: {error}");
    }
}

#[tokio::test]
async fn new_certificate_files_are_used_without_a_restart_and_open_connections_stay() {
    let scene = Scene::new().await;
    let gateway = scene.gateway("").start().await;
    let client = scene.client(None);
    let before = handshake(secure(&gateway), "default.test", &client).await.expect("TLS");
    assert_eq!(shown(&before), scene.default.der());
    let mut open = Connection::over(before, Protocol::Http1).await;
    assert_eq!(open.exchange(scene.request()).await.status, 200);

    let renewed = scene.authority.issue(&["default.test"]);
    renewed.write(gateway.folder.path(), "default");
    until("the new certificate is shown", || async {
        let stream = handshake(secure(&gateway), "default.test", &client).await.expect("TLS");
        (shown(&stream) == renewed.der()).then_some(())
    })
    .await;
    assert_eq!(open.exchange(scene.request()).await.status, 200, "the connection from before");
    assert_eq!(scene.upstream.count(), 2);
}

#[tokio::test]
async fn broken_certificate_files_are_said_and_the_old_ones_stay() {
    let scene = Scene::new().await;
    let gateway = scene.gateway("").start().await;
    let admin = HttpClient::http1();
    let client = scene.client(None);
    let other_key = scene.authority.issue(&["default.test"]).private_key;
    let folder = gateway.folder.path();
    let rejection = || async {
        let answer = admin.get(&gateway.admin_url("/api/v1/config"), None).await.json();
        answer.get("last_rejected").map(ToString::to_string)
    };
    assert_eq!(rejection().await, None);
    let good = fs::read_to_string(folder.join("default.pem")).expect("readable");
    for (file, contents, said) in [
        ("default.pem", "-----BEGIN CERTIFICATE-----\nhalf of a", "certificate"),
        ("default.pem", "", "certificate"),
        ("default.key", other_key.as_str(), "key"),
    ] {
        let kept = fs::read_to_string(folder.join(file)).expect("readable");
        fs::write(folder.join(file), contents).expect("written");
        let said_so =
            until("the admin API says so", || async { rejection().await.filter(|text| text.contains(said)) }).await;
        assert!(said_so.contains("listeners.secure.tls"), "{said_so}");
        let metrics = admin.get(&gateway.admin_url("/metrics"), None).await.text();
        assert!(metrics.contains("postern_config_last_reload_successful 0"), "{metrics}");
        let stream = handshake(secure(&gateway), "default.test", &client).await.expect("TLS");
        assert_eq!(shown(&stream), scene.default.der());
        assert!(scene.is_let_in(&gateway, None).await);

        fs::write(folder.join(file), kept).expect("written");
        until("all is well again", || async { rejection().await.is_none().then_some(()) }).await;
    }
    assert_eq!(fs::read_to_string(folder.join("default.pem")).expect("readable"), good);
}

#[tokio::test]
async fn client_certificates_are_required_or_optional_as_configured() {
    let scene = Scene::new().await;
    let clients = Authority::new("clients");
    let (known, stranger) = (clients.issue(&["client.test"]), scene.authority.issue(&["client.test"]));
    for (setting, without) in
        [("", false), ("client_certificate = \"required\"", false), ("client_certificate = \"optional\"", true)]
    {
        let builder = scene.gateway(&format!("client_ca = \"clients.pem\"\n{setting}"));
        clients.write(builder.folder(), "clients");
        let gateway = builder.start().await;
        let before = scene.upstream.count();
        assert!(!scene.is_let_in(&gateway, Some(&stranger)).await, "{setting}: of another authority");
        assert_eq!(scene.is_let_in(&gateway, None).await, without, "{setting}: without one");
        assert_eq!(scene.upstream.count(), before + usize::from(without));
        assert!(scene.is_let_in(&gateway, Some(&known)).await, "{setting}: a known one");
    }
}

#[tokio::test]
async fn a_client_certificate_is_no_token() {
    let scene = Scene::new().await;
    let clients = Authority::new("clients");
    let known = clients.issue(&["client.test"]);
    let builder = scene.gateway("client_ca = \"clients.pem\"");
    clients.write(builder.folder(), "clients");
    let gateway = builder.start().await;
    let stream = handshake(secure(&gateway), "default.test", &scene.client(Some(&known))).await.expect("TLS");
    let mut connection = Connection::over(stream, Protocol::Http1).await;
    let mut bare = scene.request();
    bare.headers_mut().remove("authorization");
    assert_eq!(connection.exchange(bare).await.status, 401);
    assert_eq!(scene.upstream.count(), 0);
    assert_eq!(connection.exchange(scene.request()).await.status, 200);
}
