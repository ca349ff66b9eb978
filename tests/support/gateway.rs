//! A gateway in this process, with its configuration in a folder of its own.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use postern::{
    app::{self, Options, Running, StartError},
    clock::Clock,
};
use tempfile::TempDir;

use super::{issuer::ScriptedIssuer, upstream::RecordedUpstream};

/// A gateway about to be started: `GatewayBuilder::new(CONFIG).variable("UPSTREAM", url).start()`.
pub(crate) struct GatewayBuilder {
    config: String,
    variables: BTreeMap<String, String>,
    clock: Clock,
    folder: TempDir,
}

/// A running gateway, stopped when dropped.
pub(crate) struct Gateway {
    running: Option<Running>,
    pub(crate) folder: TempDir,
}

/// The beginning of every configuration: one listener called `public`, an admin listener, a data directory.
const PREAMBLE: &str = r#"
[process]
workers = 2
grace_period = "5s"
data_directory = "data"
[telemetry]
access_log_to = "access.log"
[listeners.public]
address = "127.0.0.1:0"
[admin]
address = "127.0.0.1:0"
"#;

impl GatewayBuilder {
    /// A gateway with a preamble (listener `public`, admin, data directory, access log in `access.log`) and `config`.
    pub(crate) fn new(config: &str) -> Self {
        Self::whole(&format!("{PREAMBLE}\n{config}"))
    }

    /// A gateway with `config` and nothing else.
    pub(crate) fn whole(config: &str) -> Self {
        Self {
            config: config.to_owned(),
            variables: BTreeMap::new(),
            clock: Clock::system(),
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    /// What `${name}` stands for in the configuration.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// `${UPSTREAM}` is this one.
    pub(crate) fn upstream(self, upstream: &RecordedUpstream) -> Self {
        let url = upstream.url();
        self.variable("UPSTREAM", &url)
    }

    /// `${ISSUER}` is this one.
    pub(crate) fn issuer(self, issuer: &ScriptedIssuer) -> Self {
        let name = issuer.name();
        self.variable("ISSUER", &name)
    }

    /// What time it is.
    pub(crate) fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// With one worker, which sees every request; otherwise the kernel chooses one for each connection.
    pub(crate) fn one_worker(self) -> Self {
        self.with("workers = 2", "workers = 1")
    }

    /// With `to` in the configuration instead of `from`.
    pub(crate) fn with(mut self, from: &str, to: &str) -> Self {
        assert!(self.config.contains(from), "{from:?} is not in the configuration");
        self.config = self.config.replace(from, to);
        self
    }

    /// Adds `more` to the configuration.
    pub(crate) fn also(mut self, more: &str) -> Self {
        self.config.push_str(more);
        self
    }

    /// The folder in which the configuration will be, to put certificates and the like into.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts it. Blocks for as long as a start does, so it is called off the test's own runtime threads.
    pub(crate) async fn start(self) -> Gateway {
        self.try_start().await.unwrap_or_else(|error| panic!("{error}: {}", problems(&error)))
    }

    /// Starts it, or gives why not.
    pub(crate) async fn try_start(self) -> Result<Gateway, StartError> {
        let Self { config, variables, clock, folder } = self;
        let file = folder.path().join("postern.toml");
        fs::write(&file, config).expect("written");
        let options = Options { files: vec![file], environment: Arc::new(variables), clock, log: false };
        let running = tokio::task::spawn_blocking(move || app::start(options)).await.expect("no panic")?;
        Ok(Gateway { running: Some(running), folder })
    }
}

fn problems(error: &StartError) -> String {
    match error {
        StartError::Configuration(rejection) => rejection.text.clone(),
        other => format!("{other:?}"),
    }
}

impl Gateway {
    /// The gateway itself.
    pub(crate) fn running(&self) -> &Running {
        self.running.as_ref().expect("it runs until it is dropped")
    }

    /// Drains it, as SIGTERM does, and waits for the end.
    pub(crate) async fn drain(mut self) {
        let running = self.running.take().expect("it runs until it is dropped");
        tokio::task::spawn_blocking(move || running.drain()).await.expect("no panic");
    }

    /// Where the listener `public` is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.running().address("public").expect("the listener is bound")
    }

    /// A URL on the listener `public`.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    /// A URL on the admin listener.
    pub(crate) fn admin_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running().admin_address().expect("there is an admin listener"))
    }

    /// The configuration file.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("postern.toml")
    }

    /// Replaces a part of the configuration file, as an editor does: by a new file moved over the old one.
    pub(crate) fn edit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.file()).expect("readable");
        assert!(text.contains(from), "{from:?} is not in the configuration");
        let aside = self.folder.path().join("postern.toml.new");
        fs::write(&aside, text.replace(from, to)).expect("written");
        fs::rename(aside, self.file()).expect("moved");
    }

    /// The lines of the access log so far, as JSON.
    pub(crate) fn access_log(&self) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.folder.path().join("access.log")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("one JSON object a line")).collect()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            // Stopping blocks, which a thread that drives the test's own runtime must not.
            let stopped = std::thread::spawn(move || drop(running)).join();
            assert!(stopped.is_ok() || std::thread::panicking(), "stopping panicked");
        }
    }
}
