//! The program with its log wide open, the provider, and all who ask.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use http::HeaderMap;
use serde_json::Value;

use super::{
    callers::{Caller, Proof, Speech},
    faults::{Fault, Kind},
};
use crate::support::{
    client::HttpClient,
    process::PosternProcess,
    provider::{ScriptedProvider, Shape},
};

/// What `nightly` has at the provider, and need not know.
pub(super) const PROVIDER_SECRET: &str = "canary-secret-at-the-provider";

/// Nobody is locked out, since some of them guess all the time.
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
[token_endpoints.corp]
path = "/corp/token"
forward = "${PROVIDER}/token"
provider = { connect_timeout = "1s", timeout = "2s" }
lockout = { failures = 0 }
[token_endpoints.hosted]
path = "/hosted/oauth/token"
dialect = "auth0"
forward = "${PROVIDER}/token"
provider = { dialect = "oauth2", connect_timeout = "1s", timeout = "2s" }
lockout = { failures = 0 }
[token_endpoints.hub]
path = "/hub/oauth/token"
dialect = "plgd"
forward = "${PROVIDER}/token"
provider = { dialect = "oauth2", connect_timeout = "1s", timeout = "2s" }
lockout = { failures = 0 }
[token_endpoints.vendor]
path = "/vendor/auth/v1/api-token"
dialect = "frontegg"
forward = "${PROVIDER}/token"
provider = { dialect = "oauth2", connect_timeout = "1s", timeout = "2s" }
lockout = { failures = 0 }
[token_endpoints.mapped]
path = "/mapped/token"
forward = "${PROVIDER}/token"
unmapped_clients = "refuse"
provider = { connect_timeout = "1s", timeout = "2s" }
lockout = { failures = 0 }
[token_endpoints.mapped.clients.nightly]
secret = { env = "NIGHTLY_SECRET" }
provider_client_id = "nightly-at-provider"
provider_secret = { env = "PROVIDER_SECRET" }
[token_endpoints.narrow]
path = "/narrow/token"
forward = "${PROVIDER}/token"
provider = { max_requests = 3 }
"#;

pub(super) const CALLERS: &[Caller<'static>] = &[
    Caller::BILLING,
    Caller::REPORTS,
    Caller::SIGNER,
    Caller::GUESSING,
    Caller::HOSTED,
    Caller::DEVICE,
    Caller::TENANT,
    Caller::GUESSING_TENANT,
    Caller::NIGHTLY,
    Caller::GUESSING_NIGHTLY,
    Caller::STRANGER,
];

pub(super) struct Ward {
    pub(super) provider: ScriptedProvider,
    pub(super) process: PosternProcess,
    asked_so_far: AtomicUsize,
    closing: AtomicBool,
}

/// What somebody was answered.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Seen {
    /// A header's value; empty if it is not there.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The token, in whatever words of whatever dialect.
    pub(super) fn token(&self) -> Option<String> {
        let said: Value = serde_json::from_str(&self.text).ok()?;
        ["access_token", "accessToken"].iter().find_map(|name| Some(said.get(name)?.as_str()?.to_owned()))
    }
}

impl Ward {
    pub(super) async fn open() -> Self {
        let provider = ScriptedProvider::start(Shape::Oauth2).await;
        for caller in CALLERS {
            let secret = match caller.proof {
                Proof::Right if caller.id == "nightly" => PROVIDER_SECRET,
                Proof::Right => caller.secret,
                Proof::WrongHere | Proof::WrongThere => "canary-that-nobody-knows",
            };
            provider.client(caller.at_provider, secret);
            if matches!(caller.speech, Speech::Assertion) {
                provider.believe_assertions_of(caller.at_provider);
            }
        }
        provider.mint(|issued| format!("canary-token-{}-{}", issued.number, issued.client_id));
        for (name, value) in [
            ("set-cookie", "session=canary-cookie; Path=/"),
            ("server", "canary-server"),
            ("x-provider-internal", "canary-header"),
            ("link", "<https://canary.test>; rel=\"next\""),
            ("access-control-allow-origin", "*"),
            ("strict-transport-security", "max-age=1"),
            ("cache-control", "public, max-age=3600"),
            ("x-request-id", "canary-request-id"),
        ] {
            provider.header(name, value);
        }
        let config = CONFIG.replace("${PROVIDER}", &provider.url(""));
        let secrets = [("NIGHTLY_SECRET", Caller::NIGHTLY.secret), ("PROVIDER_SECRET", PROVIDER_SECRET)];
        let process = PosternProcess::start(&config, &secrets).await;
        Self { provider, process, asked_so_far: AtomicUsize::new(0), closing: AtomicBool::new(false) }
    }

    /// Asks once.
    pub(super) async fn ask(&self, client: &HttpClient, caller: &Caller<'_>, tag: &str) -> Seen {
        self.asking(client, caller, tag).await
    }

    /// The same, for somebody who may outlive the ward.
    pub(super) fn asking(
        &self,
        client: &HttpClient,
        caller: &Caller<'_>,
        tag: &str,
    ) -> impl Future<Output = Seen> + use<> {
        let number = self.asked_so_far.fetch_add(1, Ordering::SeqCst);
        let url = format!("http://{}{}", self.process.public, caller.path);
        let (client, request) = (client.clone(), caller.request(&url, &format!("{tag}-{number}")));
        async move {
            let answer = client.send(request).await;
            Seen { status: answer.status.as_u16(), text: answer.text(), headers: answer.headers }
        }
    }

    pub(super) async fn begin(&self, fault: &Fault) {
        self.closing.store(matches!(fault.kind, Kind::ClosesIdle), Ordering::SeqCst);
        fault.begin(&self.provider).await;
    }

    pub(super) async fn end(&self, fault: &Fault) {
        self.closing.store(false, Ordering::SeqCst);
        fault.end(&self.provider).await;
    }

    /// All callers at once, each on a connection of its own, `requests` times one after the other.
    pub(super) async fn all_at_once(&self, requests: usize) -> Vec<(&'static Caller<'static>, Seen)> {
        let one = |caller: &'static Caller<'static>| async move {
            let (client, mut seen) = (HttpClient::http1(), Vec::new());
            for _ in 0..requests {
                seen.push((caller, self.ask(&client, caller, "all").await));
            }
            seen
        };
        let asking = join_all(CALLERS.iter().map(one));
        let closing = async {
            loop {
                tokio::time::sleep(Duration::from_millis(3)).await;
                if self.closing.load(Ordering::SeqCst) {
                    self.provider.close_connections();
                }
            }
        };
        tokio::select! {
            seen = asking => seen.into_iter().flatten().collect(),
            () = closing => Vec::new(),
        }
    }

    /// What the program tells of itself.
    pub(super) async fn metrics(&self) -> String {
        let answer = HttpClient::http1().get(&format!("http://{}/metrics", self.process.admin), None).await;
        assert_eq!(answer.status, 200);
        answer.text()
    }

    /// Stops the program; its access log and its log, in which nothing is that should not be.
    pub(super) async fn written(&mut self) -> (String, String) {
        self.process.terminate().await;
        let (access_log, log) = self.process.written();
        for canary in CALLERS.iter().flat_map(Caller::canaries).chain(["canary".to_owned()]) {
            assert!(!access_log.contains(&canary) && !log.contains(&canary), "{canary}");
        }
        (access_log, log)
    }
}
