//! What a start does about keys that are not there, and what it finds on disk.

use std::{fs, path::Path, process::Command};

use http::StatusCode;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::support::{
    client::{Answer, HttpClient},
    forge::{SigningKey, claims},
    gateway::{Gateway, GatewayBuilder},
    issuer::{Conduct, ScriptedIssuer},
    upstream::RecordedUpstream,
    wait::until,
};

/// The data directory is outside of the gateway's own folder, so that another gateway can have it after this one.
const CONFIG: &str = r#"
[process]
workers = 2
data_directory = "${DATA}"
[telemetry]
access_log = "off"
[listeners.public]
address = "127.0.0.1:0"
[admin]
address = "127.0.0.1:0"
[issuers.corp]
issuer = "${ISSUER}"
jwks_uri = "${ISSUER}/jwks"
audience = "https://api.test/orders"
[issuers.corp.key_set]
startup = "${STARTUP}"
[upstreams.orders]
endpoints = ["${UPSTREAM}"]
[routes.orders]
path = "/orders/{*rest}"
upstream = "orders"
[routes.orders.require]
scopes = ["orders:read"]
[routes.open]
path = "/open"
upstream = "orders"
public = true
"#;

struct Scene {
    issuer: ScriptedIssuer,
    key: SigningKey,
    upstream: RecordedUpstream,
    data: TempDir,
    client: HttpClient,
}

impl Scene {
    async fn set() -> Self {
        let key = SigningKey::es256("k1");
        let issuer = ScriptedIssuer::start(&[&key]).await;
        let (data, client) = (tempfile::tempdir().expect("a folder"), HttpClient::http1());
        Self { issuer, key, upstream: RecordedUpstream::start().await, data, client }
    }

    fn gateway(&self, startup: &str) -> GatewayBuilder {
        let builder = GatewayBuilder::whole(CONFIG).issuer(&self.issuer).upstream(&self.upstream);
        builder.variable("STARTUP", startup).variable("DATA", self.data.path().to_str().expect("UTF-8"))
    }

    async fn ask(&self, gateway: &Gateway) -> Answer {
        let token = self.key.token(&claims(&self.issuer.name()));
        self.client.get(&gateway.url("/orders/1"), Some(&token)).await
    }

    async fn readiness(&self, gateway: &Gateway) -> Answer {
        self.client.get(&gateway.admin_url("/readyz"), None).await
    }

    /// What is needed to go on: the route that asks for keys answers 503, the public one is served, and it is said why.
    async fn assert_degraded(&self, gateway: &Gateway) {
        let answer = self.ask(gateway).await;
        assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (503, "keys_unavailable"));
        assert!(answer.headers.contains_key("retry-after"));
        assert_eq!(self.upstream.count(), 0);
        assert_eq!(self.client.get(&gateway.url("/open"), None).await.status, StatusCode::OK);
        let readiness = self.readiness(gateway).await;
        assert_eq!(readiness.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(readiness.json()["missing"][0]["name"], "corp");
    }

    /// Runs a gateway that fetches keys, until they are on disk.
    async fn leave_keys_behind(&self) {
        let gateway = self.gateway("require").start().await;
        assert_eq!(self.ask(&gateway).await.status, StatusCode::OK);
        until("the keys are on disk", || async { (kept_files(self.data.path()).len() == 1).then_some(()) }).await;
        gateway.drain().await;
    }
}

fn kept_files(data: &Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = fs::read_dir(data.join("key-sets")) else { return Vec::new() };
    let files = entries.map(|entry| entry.expect("readable").path());
    files.filter(|file| file.extension().is_some_and(|extension| extension == "json")).collect()
}

#[tokio::test]
async fn wait_serves_the_first_request_only_once_the_keys_are_there() {
    let scene = Scene::set().await;
    scene.issuer.conduct(Conduct::Fails(StatusCode::BAD_GATEWAY));
    let start = tokio::spawn(scene.gateway("wait").start());
    until("a first fetch", || async { (scene.issuer.key_fetches() > 0).then_some(()) }).await;
    scene.issuer.conduct(Conduct::Honest);
    let gateway = start.await.expect("it starts");
    assert_eq!(scene.ask(&gateway).await.status, StatusCode::OK);
    assert_eq!(scene.readiness(&gateway).await.status, StatusCode::OK);
}

#[tokio::test]
async fn wait_gives_up_after_a_while_and_serves_what_needs_no_keys() {
    let scene = Scene::set().await;
    scene.issuer.go_down().await;
    let gateway = scene.gateway("wait").start().await;
    scene.assert_degraded(&gateway).await;
}

#[tokio::test]
async fn degraded_does_not_wait_and_recovers_by_itself() {
    let scene = Scene::set().await;
    scene.issuer.conduct(Conduct::Fails(StatusCode::BAD_GATEWAY));
    let gateway = scene.gateway("degraded").start().await;
    scene.assert_degraded(&gateway).await;
    scene.issuer.conduct(Conduct::Honest);
    until("the keys are there", || async { (scene.ask(&gateway).await.status == StatusCode::OK).then_some(()) }).await;
    assert_eq!(scene.readiness(&gateway).await.status, StatusCode::OK);
}

#[tokio::test]
async fn require_exits_with_1_and_names_the_issuer_and_the_cause() {
    let scene = Scene::set().await;
    scene.issuer.go_down().await;
    let file = scene.data.path().join("postern.toml");
    let config = CONFIG
        .replace("${ISSUER}", &scene.issuer.name())
        .replace("${UPSTREAM}", &scene.upstream.url())
        .replace("${STARTUP}", "require")
        .replace("${DATA}", "data");
    fs::write(&file, config).expect("written");
    let run = move || Command::new(env!("CARGO_BIN_EXE_postern")).args(["serve", "-c"]).arg(file).output();
    let output = tokio::task::spawn_blocking(run).await.expect("no panic").expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(output.stdout.is_empty(), "{:?}", String::from_utf8_lossy(&output.stdout));
    let told = said.lines().filter(|line| line.contains("startup = \"require\"")).collect::<Vec<_>>();
    assert_eq!(told.len(), 1, "said once, on a line of its own: {said}");
    assert!(told[0].contains("corp") && told[0].contains("no connection could be made"), "{said}");
}

#[tokio::test]
async fn require_starts_when_the_keys_are_there() {
    let scene = Scene::set().await;
    let gateway = scene.gateway("require").start().await;
    assert_eq!(scene.ask(&gateway).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_restart_while_the_issuer_is_down_serves_from_disk() {
    let scene = Scene::set().await;
    scene.leave_keys_behind().await;
    scene.issuer.go_down().await;
    // `require` is the strictest: it would not start without usable keys.
    let gateway = scene.gateway("require").start().await;
    assert_eq!(scene.ask(&gateway).await.status, StatusCode::OK);
    assert_eq!(scene.readiness(&gateway).await.status, StatusCode::OK);
    let stranger = SigningKey::es256("k1").token(&claims(&scene.issuer.name()));
    let refused = scene.client.get(&gateway.url("/orders/1"), Some(&stranger)).await;
    assert_eq!((refused.status.as_u16(), refused.reason().as_str()), (401, "bad_signature"));
}

#[tokio::test]
async fn a_key_file_that_was_tampered_with_is_ignored() {
    let scene = Scene::set().await;
    scene.leave_keys_behind().await;
    scene.issuer.go_down().await;
    let file = kept_files(scene.data.path()).pop().expect("the file");
    let good = fs::read_to_string(&file).expect("readable");
    let attacker = SigningKey::es256("k1");
    let (own, theirs) = (scene.key.jwk(), attacker.jwk());
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let forged = good.replace(&text(&own["x"]), &text(&theirs["x"])).replace(&text(&own["y"]), &text(&theirs["y"]));
    assert_ne!(forged, good);
    let before = scene.upstream.count();
    for (what, content) in
        [("forged", forged), ("cut", good.split_at(good.len() / 2).0.to_owned()), ("empty", String::new())]
    {
        fs::write(&file, content).expect("written");
        let gateway = scene.gateway("degraded").start().await;
        for key in [&attacker, &scene.key] {
            let answer =
                scene.client.get(&gateway.url("/orders/1"), Some(&key.token(&claims(&scene.issuer.name())))).await;
            assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (503, "keys_unavailable"), "{what}");
        }
    }
    assert_eq!(scene.upstream.count(), before);
    fs::write(&file, good).expect("written");
    let gateway = scene.gateway("degraded").start().await;
    assert_eq!(scene.ask(&gateway).await.status, StatusCode::OK, "the control: the file as it was");
    assert_eq!(scene.readiness(&gateway).await.json()["missing"], json!([]));
}

#[tokio::test]
async fn a_file_that_changes_while_a_start_waits_is_noticed() {
    let scene = Scene::set().await;
    scene.issuer.conduct(Conduct::Fails(StatusCode::BAD_GATEWAY));
    let builder = scene.gateway("wait");
    let file = builder.folder().join("postern.toml");
    let start = tokio::spawn(builder.start());
    until("a first fetch", || async { (scene.issuer.key_fetches() > 0).then_some(()) }).await;
    let text = fs::read_to_string(&file).expect("readable");
    fs::write(&file, text.replace("path = \"/open\"", "path = \"/opened\"")).expect("written");
    scene.issuer.conduct(Conduct::Honest);
    let gateway = start.await.expect("it starts");
    until("the change is applied", || async {
        (scene.client.get(&gateway.url("/opened"), None).await.status == StatusCode::OK).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_start_that_fails_leaves_nothing_behind() {
    let scene = Scene::set().await;
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let public = TcpListener::bind("127.0.0.1:0").await.and_then(|probe| probe.local_addr()).expect("a port");
    let admin = taken.local_addr().expect("an address");
    let config = CONFIG
        .replacen("127.0.0.1:0", &public.to_string(), 1)
        .replacen("127.0.0.1:0", &admin.to_string(), 1)
        .replace("${STARTUP}", "degraded");
    let builder = GatewayBuilder::whole(&config).issuer(&scene.issuer).upstream(&scene.upstream);
    let failed = builder.variable("DATA", scene.data.path().to_str().expect("UTF-8")).try_start().await;
    assert!(failed.is_err_and(|error| error.to_string().contains(&admin.to_string())));
    until("the public address is free", || async { TcpListener::bind(public).await.ok() }).await;
}
