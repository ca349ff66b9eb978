//! The real program in a process whose memory, signals and unread output are in the hands of the test.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex},
};

use tempfile::TempDir;

use super::wait::until;

/// A running `postern serve`, killed when dropped.
pub(crate) struct Program {
    child: Child,
    /// Its standard output, which nobody reads unless the test does.
    pub(crate) stdout: Option<ChildStdout>,
    log: Arc<Mutex<String>>,
    pub(crate) folder: TempDir,
}

impl Program {
    /// Starts it with `config` and these variables, and waits until it runs.
    pub(crate) async fn start(config: &str, variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("postern.toml");
        fs::write(&file, config).expect("written");
        let mut child = Command::new(env!("CARGO_BIN_EXE_postern"))
            .args(["serve", "-c"])
            .arg(&file)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("started");
        let log = Arc::new(Mutex::new(String::new()));
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take().expect("a pipe"));
        let kept = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut log = kept.lock().expect("not poisoned");
                log.push_str(&line);
                log.push('\n');
            }
        });
        let process = Self { child, stdout, log, folder };
        until("postern runs", || async { process.log().contains("postern is running").then_some(()) }).await;
        process
    }

    /// What it has said on standard error so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("not poisoned").clone()
    }

    /// Where a listener is, by the name that the log gives it: `public`, or `admin`.
    pub(crate) fn address(&self, name: &str) -> SocketAddr {
        let log = self.log();
        let named = |line: &&str| {
            line.contains(&format!("{name}: listening on")) || line.contains(&format!("{name} listener: listening on"))
        };
        let line = log.lines().find(named).unwrap_or_else(|| panic!("no listener {name} in {log}"));
        let (_, address) = line.split_once("listening on ").expect("an address");
        address.split_whitespace().next().expect("an address").parse().expect("an address")
    }

    /// A URL on the listener `public`.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address("public"))
    }

    /// A URL on the admin listener.
    pub(crate) fn admin_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address("admin"))
    }

    /// Sends it a signal, like `HUP`.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().expect("kill runs");
        assert!(sent.success());
    }

    /// Waits for its end, and expects it to be a good one.
    pub(crate) async fn ended(mut self) {
        let status = until("postern ends", || {
            let status = self.child.try_wait().expect("a child");
            async move { status }
        })
        .await;
        assert!(status.success(), "{status}: {}", self.log());
    }

    /// The most memory that it ever had resident, in bytes.
    pub(crate) fn peak_resident_bytes(&self) -> u64 {
        self.status_bytes("VmHWM:")
    }

    /// The memory that it has resident now, in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        self.status_bytes("VmRSS:")
    }

    fn status_bytes(&self, field: &str) -> u64 {
        let mut text = String::new();
        let path = Path::new("/proc").join(self.child.id().to_string()).join("status");
        fs::File::open(path).expect("it runs").read_to_string(&mut text).expect("readable");
        let line = text.lines().find_map(|line| line.strip_prefix(field)).expect("the field");
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kibibytes * 1024
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
