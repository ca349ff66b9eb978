//! Owns: the program's own log on standard error: its level, its form, and which crates may speak.
//! Refuses: what the HTTP and TLS crates say below a warning, at every level: they print headers, and headers hold tokens.
//! Always holds: one event is one line without raw control characters; a stuck reader of standard error holds nobody up.

mod layer;

use std::{
    fs::File,
    io::{self, IsTerminal},
    os::fd::AsFd,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use thiserror::Error;
use tracing::{Subscriber, level_filters::LevelFilter, subscriber::set_global_default};
use tracing_subscriber::{Layer, Registry, filter::Targets, layer::SubscriberExt, reload};

use self::layer::LineLayer;
use super::{
    line_writer::{LineWriter, Wake},
    metrics::{MetricsSource, Samples, catalogue},
};

/// The most lines that wait to be written.
const QUEUE_LINES: usize = 1024;
/// Where this crate's events come from; every other crate's are let through from a warning up only.
const OWN_TARGET: &str = "postern";

/// The least severe event that is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the meaning")]
pub enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

/// The form of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// How to log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogSettings {
    /// The least severe event that is logged.
    pub level: LogLevel,
    /// The form of a line.
    pub format: LogFormat,
}

/// Why there is no log.
#[derive(Debug, Error)]
pub enum LogError {
    /// Standard error is closed.
    #[error("standard error cannot be used for the log")]
    Stderr(#[source] io::Error),
    /// There is no thread to write it.
    #[error("the log's thread cannot be started")]
    Thread(#[source] io::Error),
    /// Somebody was here before.
    #[error("the log has been set up already")]
    AlreadySetUp,
    /// The filter is gone.
    #[error("the level of the log cannot be changed")]
    Reload(#[source] reload::Error),
}

/// The running log. Dropping it writes away what is queued, waiting a second at most.
#[derive(Debug)]
pub struct Log {
    filter: reload::Handle<Targets, Registry>,
    format: Arc<AtomicU8>,
    lines: Arc<LineWriter>,
}

/// Sets up the log for the whole process. Colours are used if standard error is a terminal and `NO_COLOR` is not set.
///
/// # Errors
/// If standard error or a thread cannot be had, or the log was set up before.
pub fn init(settings: LogSettings) -> Result<Log, LogError> {
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let sink = io::stderr().as_fd().try_clone_to_owned().map_err(LogError::Stderr)?;
    let (subscriber, log) = build(settings, File::from(sink), colour)?;
    set_global_default(subscriber).map_err(|_| LogError::AlreadySetUp)?;
    Ok(log)
}

impl Log {
    /// Logs as `settings` say from now on.
    ///
    /// # Errors
    /// If the filter is gone, which happens only while the process ends.
    pub fn apply(&self, settings: LogSettings) -> Result<(), LogError> {
        self.format.store(settings.format.code(), Ordering::Relaxed);
        self.filter.reload(targets(settings.level)).map_err(LogError::Reload)
    }

    /// Writes away what is queued and ends logging; waits no longer than `within`. Says whether everything was written.
    pub fn stop(&self, within: Duration) -> bool {
        self.lines.stop(within)
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.stop(Duration::from_secs(1));
    }
}

impl MetricsSource for Log {
    fn collect(&self, samples: &mut Samples) {
        samples.add(&catalogue::LOG_DROPPED, &[], self.lines.dropped());
    }
}

impl LogFormat {
    const fn code(self) -> u8 {
        match self {
            Self::Text => 0,
            Self::Json => 1,
        }
    }

    const fn from_code(code: u8) -> Self {
        if code == 1 { Self::Json } else { Self::Text }
    }
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}

fn build(settings: LogSettings, sink: File, colour: bool) -> Result<(impl Subscriber, Log), LogError> {
    // A failure to write to standard error cannot be told anywhere.
    let lines = LineWriter::start("log", QUEUE_LINES, Wake::EachLine, Some(sink), |_| ()).map_err(LogError::Thread)?;
    let lines = Arc::new(lines);
    let format = Arc::new(AtomicU8::new(settings.format.code()));
    let (filter, handle) = reload::Layer::new(targets(settings.level));
    let layer = LineLayer { lines: Arc::clone(&lines), format: Arc::clone(&format), colour };
    let subscriber = Registry::default().with(layer.with_filter(filter));
    Ok((subscriber, Log { filter: handle, format, lines }))
}

/// A list of who may speak, not of who must be silent: a crate that joins later is silent too.
fn targets(level: LogLevel) -> Targets {
    let level = LevelFilter::from(level);
    Targets::new().with_default(level.min(LevelFilter::WARN)).with_target(OWN_TARGET, level)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::{fmt, fs};
    use tracing::{Level, event, subscriber::with_default};

    #[derive(Debug, Error)]
    #[error("outer")]
    struct Outer(#[source] fmt::Error);

    fn logged(settings: LogSettings, events: impl FnOnce(&Log)) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let (subscriber, log) = build(settings, File::create(&path).unwrap(), false).unwrap();
        with_default(subscriber, || events(&log));
        assert!(log.stop(Duration::from_secs(10)));
        fs::read_to_string(&path).unwrap()
    }

    #[test]
    fn what_other_crates_say_below_a_warning_is_never_logged() {
        let settings = LogSettings { level: LogLevel::Trace, format: LogFormat::Text };
        let text = logged(settings, |_| {
            event!(target: "h2::codec::framed_read", Level::DEBUG, "authorization: Bearer canary");
            event!(target: "hyper::proto::h1::io", Level::TRACE, "authorization: Bearer canary");
            event!(target: "rustls::conn", Level::INFO, "canary");
            event!(target: "hyper::proto", Level::WARN, "worth a look");
            event!(target: "postern::gateway", Level::TRACE, "our own");
        });
        assert!(!text.contains("canary"), "{text}");
        assert!(text.contains("worth a look") && text.contains("our own"), "{text}");
    }

    #[test]
    fn the_level_and_the_form_change_while_running() {
        let text = logged(LogSettings::default(), |log| {
            event!(target: "postern", Level::DEBUG, "one");
            log.apply(LogSettings { level: LogLevel::Debug, format: LogFormat::Json }).unwrap();
            event!(target: "postern", Level::DEBUG, "two");
            log.apply(LogSettings { level: LogLevel::Error, format: LogFormat::Text }).unwrap();
            event!(target: "postern", Level::WARN, "three");
            event!(target: "hyper", Level::WARN, "four");
        });
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&line["message"], &line["level"]), (&"two".into(), &"DEBUG".into()));
    }

    #[test]
    fn an_event_is_one_line_whatever_is_in_it() {
        let hostile = "a\r\nb\u{1b}[31m\"c\" d=e\u{9b}";
        let emit = |_: &Log| {
            let error = Outer(fmt::Error);
            event!(target: "postern::x", Level::ERROR, path = hostile, shown = %hostile, debugged = ?hostile, count = 7,
                error = &error as &dyn std::error::Error, "message {hostile}");
        };
        let text = logged(LogSettings::default(), emit);
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        assert!(!text.contains(['\r', '\u{1b}', '\u{9b}']), "{text}");
        assert!(text.contains(" ERROR postern::x: message a\\r\\nb"), "{text}");
        assert!(text.contains("count=7") && text.contains("error=\"outer: an error occurred"), "{text}");

        let text = logged(LogSettings { format: LogFormat::Json, ..LogSettings::default() }, emit);
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&line["path"], &line["shown"], &line["count"]), (&hostile.into(), &hostile.into(), &7.into()));
        assert_eq!((&line["level"], &line["target"]), (&"ERROR".into(), &"postern::x".into()));
    }
}
