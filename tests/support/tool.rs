//! Programs that speak HTTP and were not written here.

use std::{
    env,
    io::{BufRead as _, BufReader},
    process::{Child, Command, ExitStatus, Stdio},
};

use tokio::{sync::mpsc, time::timeout};

use super::wait::PATIENCE;

/// Set where a test must not be left out because something is missing.
const REQUIRED: &str = "POSTERN_TEST_SERVERS_REQUIRED";

/// A program that is there.
#[derive(Clone, Copy)]
pub(crate) struct Tool(&'static str);

/// What one run of it came to.
pub(crate) struct Ran {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A run whose output is read while it goes on. Killed when dropped.
pub(crate) struct Running {
    child: Child,
    lines: mpsc::UnboundedReceiver<String>,
}

impl Tool {
    /// The program of this name. Without it the test is left out, and says so; where nothing may be missing, it fails.
    pub(crate) fn find(name: &'static str) -> Option<Self> {
        let paths = env::var_os("PATH").unwrap_or_default();
        if env::split_paths(&paths).any(|folder| folder.join(name).is_file()) {
            return Some(Self(name));
        }
        assert!(env::var_os(REQUIRED).is_none(), "{name} is not installed");
        println!("left out: {name} is not installed");
        None
    }

    /// Runs it to its end.
    pub(crate) async fn run(self, arguments: &[&str]) -> Ran {
        let mut command = Command::new(self.0);
        command.args(arguments).stdin(Stdio::null());
        let output = tokio::task::spawn_blocking(move || command.output());
        let output = timeout(2 * PATIENCE, output).await.expect("it ends in time").expect("no panic").expect("it runs");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ran { status: output.status, stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Starts it.
    pub(crate) fn start(self, arguments: &[&str]) -> Running {
        let mut command = Command::new(self.0);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("it starts");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let (sender, lines) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Running { child, lines }
    }
}

impl Running {
    /// The next line that it writes; none at its end.
    pub(crate) async fn line(&mut self) -> Option<String> {
        timeout(PATIENCE, self.lines.recv()).await.expect("a line, or the end, in time")
    }

    /// Waits for its end.
    pub(crate) async fn end(mut self) -> ExitStatus {
        while self.line().await.is_some() {}
        self.child.wait().expect("it ends")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
