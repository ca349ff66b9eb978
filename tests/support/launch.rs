//! The program itself, spawned as an operator would, with everything that it says.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use super::wait::PATIENCE;

/// The beginning of a configuration for a spawned gateway: listener `public`, admin listener, nothing else.
pub(crate) const PREAMBLE: &str = r#"
[listeners.public]
address = "127.0.0.1:0"
[admin]
address = "127.0.0.1:0"
"#;

/// The program with its arguments and variables, not yet started.
pub(crate) struct Launch {
    command: Command,
}

/// The program while it runs. Killed when dropped.
pub(crate) struct Process {
    child: Child,
    out: Arc<Mutex<String>>,
    err: Arc<Mutex<String>>,
}

impl Launch {
    /// `postern ARGUMENTS`, in the folder `directory`, with no variables but `PATH`.
    pub(crate) fn new(directory: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
        command.args(arguments).current_dir(directory).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command }
    }

    /// `postern serve -c FILE...`.
    pub(crate) fn serve(directory: &Path, files: &[&Path]) -> Self {
        let mut launch = Self::new(directory, &["serve"]);
        for file in files {
            launch.command.arg("-c").arg(file);
        }
        launch
    }

    /// What `line` says in a shell, where `$POSTERN` is the program: for what has to be arranged around it.
    pub(crate) fn shell(directory: &Path, line: &str) -> Self {
        let mut launch = Self::new(directory, &[]);
        let mut command = Command::new("sh");
        command.args(["-c", line]).current_dir(directory).env_clear().env("POSTERN", launch.command.get_program());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        launch.command = command;
        launch
    }

    /// Sets an environment variable.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Starts it.
    pub(crate) fn start(mut self) -> Process {
        let mut child = self.command.spawn().expect("the program starts");
        let out = gather(child.stdout.take().expect("piped"));
        let err = gather(child.stderr.take().expect("piped"));
        Process { child, out, err }
    }
}

/// Reads to the end on a thread of its own, so that the program never waits for its reader.
fn gather(pipe: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let text = Arc::new(Mutex::new(String::new()));
    let sink = Arc::clone(&text);
    thread::spawn(move || {
        let mut lines = BufReader::new(pipe);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            sink.lock().expect("not poisoned").push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    });
    text
}

impl Process {
    /// What it has written to standard output so far.
    pub(crate) fn out(&self) -> String {
        self.out.lock().expect("not poisoned").clone()
    }

    /// What it has written to standard error so far: its log.
    pub(crate) fn log(&self) -> String {
        self.err.lock().expect("not poisoned").clone()
    }

    /// Waits until the log holds `text` at least `times` times.
    pub(crate) async fn logged_times(&self, text: &str, times: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.log().matches(text).count() < times {
            assert!(Instant::now() < deadline, "{text:?} was not logged {times} times:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until the log holds `text`.
    pub(crate) async fn logged(&self, text: &str) {
        self.logged_times(text, 1).await;
    }

    /// Waits for the line that says where a listener is: `"listener public"` or `"admin listener"`.
    pub(crate) async fn address_of(&self, listener: &str) -> SocketAddr {
        let words = format!(" {listener}: listening on ");
        self.logged(&words).await;
        let log = self.log();
        let (_, after) = log.rsplit_once(&words).expect("just seen");
        after.split_whitespace().next().and_then(|address| address.parse().ok()).expect("an address")
    }

    /// Waits until it answers requests: all its listeners are bound and named in its log by then.
    pub(crate) async fn running(&self) {
        self.logged("postern is running").await;
    }

    /// Sends it a signal, like `"TERM"`.
    pub(crate) fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &command]).status().expect("there is a shell");
        assert!(status.success(), "{command}");
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child of ours") {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().expect("a child of ours").is_none()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes `text` to `folder/name` and gives the path.
pub(crate) fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let file = folder.join(name);
    fs::write(&file, text).expect("written");
    file
}

/// Replaces the file at `path` as editors do: by a new file moved over the old one.
pub(crate) fn replace(path: &Path, text: &str) {
    let aside = path.with_extension("new");
    fs::write(&aside, text).expect("written");
    fs::rename(aside, path).expect("moved");
}
