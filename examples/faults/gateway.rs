//! The gateway in a process of its own, with its signals, limits and unread output in the hands of the run.

use std::{
    collections::VecDeque,
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};

/// How long a start or a stop may take.
const PATIENCE: Duration = Duration::from_secs(40);
/// How many lines of the log are kept, for what is to be said about it.
const LOG_LINES: usize = 300;

/// A running gateway; killed when dropped.
pub(crate) struct Gateway {
    child: Child,
    log: Arc<Mutex<Log>>,
    reads: Arc<AtomicBool>,
}

#[derive(Default)]
struct Log {
    lines: VecDeque<String>,
    panics: Vec<String>,
    runs: bool,
}

impl Gateway {
    /// Starts it on this file and waits until it serves.
    pub(crate) async fn start(folder: &Path, file: &Path) -> Self {
        // A write beyond a limit of the file size is then an error, as on a full disk, and not the end.
        let line = "trap '' XFSZ; exec \"$0\" serve -c \"$1\"";
        let mut child = Command::new("sh")
            .args(["-c", line])
            .arg(std::env::current_exe().expect("this program"))
            .arg(file)
            .current_dir(folder)
            .env("RUST_BACKTRACE", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("started");
        let (mut out, err) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
        let (reads, log) = (Arc::new(AtomicBool::new(true)), Arc::new(Mutex::new(Log::default())));
        let reading = Arc::clone(&reads);
        std::thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            while out.read(&mut buffer).is_ok_and(|bytes| bytes > 0) {
                while !reading.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
        });
        let kept = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in BufReader::new(err).lines().map_while(Result::ok) {
                kept.lock().expect("not poisoned").add(&line);
            }
        });
        let mut this = Self { child, log, reads };
        let deadline = Instant::now() + PATIENCE;
        while !this.log.lock().expect("not poisoned").runs {
            assert!(Instant::now() < deadline && this.runs(), "the gateway does not start:\n{}", this.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        this
    }

    /// Whether it is there.
    pub(crate) fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The end of what it has said.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("not poisoned").lines.iter().map(|line| format!("{line}\n")).collect()
    }

    /// Every panic that it has told of.
    pub(crate) fn panics(&self) -> Vec<String> {
        self.log.lock().expect("not poisoned").panics.clone()
    }

    /// Whether its access log is read.
    pub(crate) fn read_access_log(&self, reads: bool) {
        self.reads.store(reads, Ordering::SeqCst);
    }

    /// Ends it without a word.
    pub(crate) fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) {
        kill_process(self.pid(), Signal::TERM).expect("it runs");
    }

    /// Waits for its end; whether it was a good one.
    pub(crate) async fn ends_well(&mut self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.child.try_wait().expect("a child") {
                Some(status) => return status.success(),
                None if Instant::now() > deadline => return false,
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }

    /// Lets it have no more than so many of something; nothing: as many as this process.
    pub(crate) fn limit(&self, resource: Resource, most: Option<u64>) {
        let ours = getrlimit(resource);
        let limit = Rlimit { current: most.or(ours.current), maximum: ours.maximum };
        prlimit(Some(self.pid()), resource, limit).expect("the limit of a child");
    }

    /// The memory that it has resident, in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = self.read("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024
    }

    /// How many descriptors it has open.
    pub(crate) fn descriptors(&self) -> u64 {
        fs::read_dir(format!("/proc/{}/fd", self.id())).map_or(0, |entries| entries.count() as u64)
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.id())).unwrap_or_default()
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Log {
    fn add(&mut self, line: &str) {
        self.runs |= line.contains("postern is running");
        if line.contains("panicked at") {
            self.panics.push(line.to_owned());
        }
        self.lines.push_back(line.to_owned());
        if self.lines.len() > LOG_LINES {
            self.lines.pop_front();
        }
    }
}
