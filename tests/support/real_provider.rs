//! A provider that was not written here: npm's oidc-provider in a process of its own, started by `tests/provider/server.mjs`.

use std::{
    env,
    ffi::OsString,
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    forge::{SigningKey, now},
    wait::until,
};

/// An API whose tokens are JWTs under RS256.
pub(crate) const ORDERS: &str = "https://api.test/orders";
/// An API whose tokens are JWTs under ES256.
pub(crate) const LEDGER: &str = "https://api.test/ledger";
/// An API whose tokens are opaque.
pub(crate) const ARCHIVE: &str = "https://api.test/archive";

/// A running provider, killed when dropped. Its keys and tokens outlive its stops, but not this.
pub(crate) struct RealProvider {
    folder: TempDir,
    port: u16,
    child: Option<Child>,
    said: Arc<Mutex<String>>,
}

impl RealProvider {
    /// Starts one with these clients, at a port that the kernel chooses.
    pub(crate) async fn start(clients: &[Value]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("clients.json"), json!(clients).to_string()).expect("written");
        let mut this = Self { folder, port: 0, child: None, said: Arc::default() };
        this.come_back().await;
        this
    }

    /// Its name, as it stands in `iss`, and what its URLs begin with.
    pub(crate) fn name(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Stops it in the middle of whatever it does.
    pub(crate) fn go_down(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("it runs");
        child.wait().expect("it has ended");
    }

    /// Starts it again at the same port, with the keys and tokens that it had.
    pub(crate) async fn come_back(&mut self) {
        assert!(self.child.is_none(), "it runs");
        *self.said.lock().expect("not poisoned") = String::new();
        let program: OsString =
            env::var_os("POSTERN_TEST_PROVIDER").expect("scripts/with-provider names the program in this variable");
        let mut child = Command::new("node")
            .arg(program)
            .arg(self.folder.path())
            .arg(self.port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node starts");
        let (stdout, said) = (child.stdout.take().expect("a pipe"), Arc::clone(&self.said));
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let mut said = said.lock().expect("not poisoned");
                said.push_str(&line);
                said.push('\n');
            }
        });
        self.child = Some(child);
        let place = self.says("listening on ").await;
        self.port = place.parse().expect("a port");
    }

    /// Has it make new keys, which sign from now on; the ones before stay published. The name of the new generation.
    pub(crate) async fn rotate(&self) -> String {
        *self.said.lock().expect("not poisoned") = String::new();
        let child = self.child.as_ref().expect("it runs");
        let sent = Command::new("kill").args(["-s", "HUP", &child.id().to_string()]).status().expect("kill runs");
        assert!(sent.success());
        self.says("rotated to ").await
    }

    /// Waits until it has said that the last token since this was last asked went to `client_id`, whose proof was `told`: in a
    /// `header`, in the `body`, or as an `assertion`. It says so a moment after it has answered.
    pub(crate) async fn granted(&self, client_id: &str, told: &str) {
        let wanted = format!("granted to {client_id} by {told}");
        until(&wanted, || async {
            let mut said = self.said.lock().expect("not poisoned");
            let last = said.lines().rev().find(|line| line.starts_with("granted to "));
            (last == Some(wanted.as_str())).then_some(())?;
            said.clear();
            Some(())
        })
        .await;
    }

    /// Waits until it has said a line that begins so; the rest of it.
    async fn says(&self, beginning: &str) -> String {
        until(beginning, || async {
            let said = self.said.lock().expect("not poisoned").clone();
            said.lines().find_map(|line| line.strip_prefix(beginning).map(str::to_owned))
        })
        .await
    }
}

impl Drop for RealProvider {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What registers a client (RFC 7591 section 2) that authenticates by a secret, at `client_secret_basic` or `client_secret_post`.
pub(crate) fn with_secret(id: &str, method: &str, secret: &str) -> Value {
    let mut client = client(id, method);
    client["client_secret"] = json!(secret);
    client
}

/// What registers a client that authenticates by assertions under `key`.
pub(crate) fn with_key(id: &str, key: &SigningKey) -> Value {
    let mut client = client(id, "private_key_jwt");
    client["jwks"] = json!({ "keys": [key.jwk()] });
    client["token_endpoint_auth_signing_alg"] = json!(key.algorithm());
    client
}

fn client(id: &str, method: &str) -> Value {
    json!({
        "client_id": id,
        "token_endpoint_auth_method": method,
        "grant_types": ["client_credentials"],
        "response_types": [],
        "redirect_uris": [],
        "scope": "orders:read orders:write",
    })
}

/// An assertion of a client for the issuer `audience`, good for a minute and once.
pub(crate) fn assertion(key: &SigningKey, client_id: &str, audience: &str) -> String {
    let jti = postern::id::TokenId::generate().to_string();
    let claims = json!({
        "iss": client_id, "sub": client_id, "aud": audience, "jti": jti, "iat": now(), "exp": now() + 60,
    });
    let header = json!({ "alg": key.algorithm(), "kid": key.key_id, "typ": "JWT" });
    key.token_of(key.algorithm(), &header.to_string(), &claims.to_string())
}
