//! An operator's desk: a folder with a configuration, and where the commands that are typed there work.

use std::{
    path::{Path, PathBuf},
    process::Output,
};

use serde_json::Value;

use crate::command_line::postern;

pub(super) const ADMIN_TOKEN: &str = "admin-token-0123456789";
pub(super) const ORDERS: &str = "https://api.test/orders";
pub(super) const GRANT: &str = "https://api.test/orders=orders:read";

pub(super) const CONFIG: &str = r#"
[process]
workers = 1
data_directory = "data"
[telemetry]
access_log = "off"
log_level = "info"
[listeners.public]
address = "127.0.0.1:0"
[admin]
address = "127.0.0.1:0"
token = "admin-token-0123456789"
[issuers.local]
embedded = true
audience = "https://api.test/orders"
[authorization_server]
issuer = "https://issuer.test/"
[authorization_server.apis."https://api.test/orders"]
scopes = ["orders:read", "orders:write"]
[authorization_server.clients.billing]
secret = "configured-secret-of-billing-77"
grants = { "https://api.test/orders" = ["orders:read"] }
[token_endpoints.oauth]
path = "/oauth/token"
serve = "embedded"
"#;

pub(super) struct Desk {
    folder: PathBuf,
    target: Vec<String>,
    variables: Vec<(String, String)>,
}

/// What a command said.
pub(super) struct Said {
    pub(super) out: String,
    pub(super) err: String,
    code: Option<i32>,
}

impl Desk {
    /// Commands work on the store of `folder/postern.toml`.
    pub(super) fn of_store(folder: &Path) -> Self {
        let target = ["-c", "postern.toml"].map(str::to_owned).to_vec();
        Self { folder: folder.to_owned(), target, variables: Vec::new() }
    }

    /// Commands work on the gateway whose admin listener is at `url`.
    pub(super) fn of_gateway(folder: &Path, url: &str) -> Self {
        let target = ["--admin", url].map(str::to_owned).to_vec();
        Self { folder: folder.to_owned(), target, variables: Vec::new() }.variable("POSTERN_ADMIN_TOKEN", ADMIN_TOKEN)
    }

    pub(super) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn without_variables(mut self) -> Self {
        self.variables.clear();
        self
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn run(&self, arguments: &[&str]) -> Said {
        let mut command = postern(&self.folder, arguments);
        let output = command.args(&self.target).envs(self.variables.iter().cloned()).output().expect("it runs");
        Said::of(&output)
    }

    /// What a command that succeeds says to machines.
    pub(super) fn json(&self, arguments: &[&str]) -> Value {
        let said = self.run(&[arguments, &["--format", "json"]].concat());
        said.assert(0);
        serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {}", said.out))
    }
}

impl Said {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
        Self { out: text(&output.stdout), err: text(&output.stderr), code: output.status.code() }
    }

    /// That it ended with this code.
    #[track_caller]
    pub(super) fn assert(&self, code: i32) {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
    }
}
