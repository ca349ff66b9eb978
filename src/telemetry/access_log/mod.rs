//! Owns: the access log: one JSON line a request, written away from the request's path.
//! Refuses: a query string, a token, a secret or an assertion in any field; making a worker wait for whoever reads the log.
//! Always holds: a line is one record; a line that could not be queued or written is counted.

mod entry;

use std::{
    fs::{File, OpenOptions},
    io,
    os::{
        fd::AsFd,
        unix::fs::{FileTypeExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use thiserror::Error;

use super::{
    json_line,
    line_writer::{LineWriter, Wake},
    metrics::{MetricsSource, Samples, catalogue},
};

pub use self::entry::{AccessEntry, Seconds, TokenEntry};

/// The most lines that wait to be written. At 100,000 requests a second that is 80 ms of them.
const QUEUE_LINES: usize = 8192;
/// Most lines are shorter.
const USUAL_LINE_BYTES: usize = 768;

/// Where the access log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Nowhere: no line is made.
    Off,
    /// Standard output.
    Stdout,
    /// A file (or a named pipe) that is appended to; made if it is not there, readable by owner and group.
    File(PathBuf),
}

/// Why the access log cannot go where it should.
#[derive(Debug, Error)]
pub enum AccessLogError {
    /// The file cannot be opened.
    #[error("the access log {} cannot be opened", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        cause: io::Error,
    },
    /// Standard output is closed.
    #[error("standard output cannot be used for the access log")]
    Stdout(#[source] io::Error),
    /// There is no thread to write it.
    #[error("the access log's thread cannot be started")]
    Thread(#[source] io::Error),
}

/// A destination that has been opened.
#[derive(Debug)]
pub struct OpenDestination {
    sink: Option<File>,
}

impl OpenDestination {
    /// Opens a destination for [`AccessLog::switch`].
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open(destination: &Destination) -> Result<Self, AccessLogError> {
        Ok(Self { sink: open(destination)? })
    }
}

/// The access log. One for the whole process; recording takes `&self` and no lock.
#[derive(Debug)]
pub struct AccessLog {
    lines: LineWriter,
    is_on: AtomicBool,
}

impl AccessLog {
    /// Opens the destination and starts the writing thread.
    ///
    /// # Errors
    /// If the destination cannot be opened or the thread not be started.
    pub fn start(destination: &Destination) -> Result<Self, AccessLogError> {
        Self::with_capacity(destination, QUEUE_LINES)
    }

    fn with_capacity(destination: &Destination, lines: usize) -> Result<Self, AccessLogError> {
        let sink = open(destination)?;
        let is_on = AtomicBool::new(sink.is_some());
        let report = |error: &io::Error| tracing::error!(%error, "the access log cannot be written, lines are lost");
        let lines =
            LineWriter::start("access-log", lines, Wake::HalfFull, sink, report).map_err(AccessLogError::Thread)?;
        Ok(Self { lines, is_on })
    }

    /// Whether anybody wants lines; if not, the entry need not be gathered.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Acquire)
    }

    /// Queues the line of one request. Never waits; a line that does not fit is counted as dropped.
    pub fn record(&self, entry: &AccessEntry<'_>) {
        if !self.is_on() {
            return;
        }
        if self.lines.is_full() {
            // Not worth making the line.
            return self.lines.note_dropped();
        }
        match json_line::to_line(entry, USUAL_LINE_BYTES) {
            Some(line) => self.lines.push(line),
            None => self.lines.note_dropped(),
        }
    }

    /// Sends lines from now on to `destination`, opening it anew (so also after a rotation renamed the file). If it cannot
    /// be opened, nothing changes.
    ///
    /// # Errors
    /// If the destination cannot be opened.
    pub fn redirect(&self, destination: &Destination) -> Result<(), AccessLogError> {
        self.switch(OpenDestination::open(destination)?);
        Ok(())
    }

    /// Sends lines from now on to a destination that is open already.
    pub fn switch(&self, destination: OpenDestination) {
        // No line is queued while there is nowhere for it to go.
        let on = destination.sink.is_some();
        if !on {
            self.is_on.store(false, Ordering::Release);
        }
        self.lines.redirect(destination.sink);
        if on {
            self.is_on.store(true, Ordering::Release);
        }
    }

    /// Writes away what is queued, waiting no longer than `within`. Says whether everything was written. To be called once
    /// the workers have ended; blocks the calling thread.
    pub fn stop(&self, within: Duration) -> bool {
        self.lines.stop(within)
    }

    /// Lines lost so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.lines.dropped()
    }

    /// Lines written so far.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.lines.written()
    }
}

impl MetricsSource for AccessLog {
    fn collect(&self, samples: &mut Samples) {
        samples.add(&catalogue::ACCESS_LOG_LINES, &[], self.written());
        samples.add(&catalogue::ACCESS_LOG_DROPPED, &[], self.dropped());
    }
}

fn open(destination: &Destination) -> Result<Option<File>, AccessLogError> {
    match destination {
        Destination::Off => Ok(None),
        // A descriptor of its own: a stuck reader then holds the lock of std's stdout for nobody else.
        Destination::Stdout => {
            io::stdout().as_fd().try_clone_to_owned().map(|fd| Some(File::from(fd))).map_err(AccessLogError::Stdout)
        }
        Destination::File(path) => {
            open_file(path).map(Some).map_err(|cause| AccessLogError::Open { path: path.clone(), cause })
        }
    }
}

fn open_file(path: &Path) -> io::Result<File> {
    let is_named_pipe = path.metadata().is_ok_and(|metadata| metadata.file_type().is_fifo());
    // A named pipe opened for writing alone would make us wait for its reader.
    OpenOptions::new().read(is_named_pipe).append(true).create(true).mode(0o640).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::UnixTime, id::TokenId, telemetry::metrics::Metrics};
    use serde_json::{Value, json};
    use std::{io::Read, net::IpAddr};

    const SOON: Duration = Duration::from_secs(10);

    fn entry() -> AccessEntry<'static> {
        AccessEntry {
            time: UnixTime::from_seconds(1_700_000_000),
            request_id: "0193-a",
            listener: "public",
            protocol: http::Version::HTTP_11,
            peer: IpAddr::from([192, 0, 2, 7]),
            method: "GET",
            host: Some("api.example.com"),
            path: "/v1/orders",
            route: Some("orders-read"),
            upstream: Some("orders"),
            endpoint: Some("10.0.0.1:9001"),
            status: Some(200),
            reason: None,
            would_be_reason: None,
            bytes_in: 0,
            bytes_out: 512,
            duration: Seconds(Duration::from_micros(12_345)),
            auth_duration: Some(Seconds(Duration::from_nanos(1_500))),
            upstream_connect_duration: None,
            upstream_header_duration: Some(Seconds(Duration::from_millis(10))),
            issued_to: None,
            jwt: Some(TokenEntry {
                issuer: "corp",
                client_id: Some("billing"),
                key_id: Some("k1"),
                jti: Some("t1"),
                name: None,
            }),
            config_generation: 3,
        }
    }

    fn lines_of(path: &Path) -> Vec<Value> {
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_line_says_what_an_operator_looks_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let log = AccessLog::start(&Destination::File(path.clone())).unwrap();
        log.record(&entry());
        assert!(log.stop(SOON));
        let expected = json!({
            "time": "2023-11-14T22:13:20.000Z", "request_id": "0193-a", "listener": "public", "protocol": "HTTP/1.1",
            "peer": "192.0.2.7", "method": "GET", "host": "api.example.com", "path": "/v1/orders", "route": "orders-read",
            "upstream": "orders", "endpoint": "10.0.0.1:9001", "status": 200, "bytes_in": 0, "bytes_out": 512,
            "duration_seconds": 0.012345, "auth_seconds": 0.000002, "upstream_header_seconds": 0.01,
            "jwt": { "issuer": "corp", "client_id": "billing", "key_id": "k1", "jti": "t1" }, "config_generation": 3
        });
        assert_eq!(lines_of(&path), [expected]);
    }

    #[test]
    fn hostile_values_stay_within_one_record() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let log = AccessLog::start(&Destination::File(path.clone())).unwrap();
        let hostile = "/a\r\n{\"status\":200}\u{1b}[2J\"\u{9b}\u{2028}";
        let name = Some(TokenId::from_bytes([7; 16]));
        let token =
            TokenEntry { issuer: "corp", client_id: Some(hostile), key_id: Some(hostile), jti: Some(hostile), name };
        let long = "x".repeat(100_000);
        log.record(&AccessEntry { path: hostile, jwt: Some(token), ..entry() });
        log.record(&AccessEntry { path: "/a?access_token=canary", ..entry() });
        log.record(&AccessEntry { path: &long, ..entry() });
        assert!(log.stop(SOON));
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains(['\r', '\u{1b}', '\u{9b}', '\u{2028}']) && !text.contains("canary"));
        let lines = lines_of(&path);
        assert_eq!(lines.len(), 3);
        assert_eq!((&lines[0]["path"], &lines[0]["jwt"]["key_id"]), (&json!(hostile), &json!(hostile)));
        assert_eq!(lines[0]["jwt"]["name"], "07070707-0707-0707-0707-070707070707");
        assert_eq!(lines[1]["path"], "/a");
        let clipped = lines[2]["path"].as_str().unwrap();
        assert!(clipped.len() < 3000 && clipped.ends_with('…'));
    }

    #[test]
    fn a_named_pipe_that_nobody_reads_costs_lines_and_they_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let log = AccessLog::with_capacity(&Destination::File(path.clone()), 64).unwrap();
        // Until more was kept than a pipe holds (64 KiB): then the thread must be stuck in its write.
        let long = "x".repeat(2000);
        let mut recorded = 0;
        while log.dropped() < 1000 || (recorded - log.dropped()) * 2000 <= 65536 {
            log.record(&AccessEntry { path: &long, ..entry() });
            recorded += 1;
        }
        assert!(!log.stop(Duration::from_millis(1)));
        let (metrics, _) = Metrics::new(1);
        let dropped = format!("postern_access_log_dropped_total {}\n", log.dropped());
        assert!(metrics.encode(&[&log]).unwrap().contains(&dropped));
        // Its reader comes at last: all that was not dropped is there, each line whole.
        let mut reader = File::open(&path).unwrap();
        let mut text = Vec::new();
        let mut piece = [0; 65536];
        while !log.stop(Duration::ZERO) {
            let count = reader.read(&mut piece).unwrap();
            text.extend_from_slice(&piece[..count]);
        }
        // The thread has gone, and with it the pipe's last writer.
        reader.read_to_end(&mut text).unwrap();
        let lines: Vec<Value> = text
            .strip_suffix(b"\n")
            .unwrap()
            .split(|byte| *byte == b'\n')
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect();
        assert_eq!(u64::try_from(lines.len()).unwrap(), log.written());
        assert_eq!(log.written() + log.dropped(), recorded);
    }

    #[test]
    fn a_rotated_file_is_opened_anew_and_off_means_off() {
        let folder = tempfile::tempdir().unwrap();
        let (path, rotated) = (folder.path().join("access.log"), folder.path().join("access.log.1"));
        let destination = Destination::File(path.clone());
        let log = AccessLog::start(&destination).unwrap();
        log.record(&AccessEntry { request_id: "one", ..entry() });
        std::fs::rename(&path, &rotated).unwrap();
        log.redirect(&destination).unwrap();
        log.redirect(&Destination::File(folder.path().join("no/such/folder"))).unwrap_err();
        while log.written() < 1 {
            std::thread::yield_now();
        }
        log.record(&AccessEntry { request_id: "two", ..entry() });
        while log.written() < 2 {
            std::thread::yield_now();
        }
        log.redirect(&Destination::Off).unwrap();
        assert!(!log.is_on());
        log.record(&AccessEntry { request_id: "three", ..entry() });
        assert!(log.stop(SOON));
        assert_eq!(log.written() + log.dropped(), 2);
        assert_eq!(lines_of(&rotated)[0]["request_id"], "one");
        assert_eq!(lines_of(&path)[0]["request_id"], "two");
    }
}
