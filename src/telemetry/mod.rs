//! Owns: what Postern tells its operator while it runs: metrics, the access log, the program's own log.
//! Refuses: holding up a request: counting takes no lock, and lines that nobody reads are dropped and counted.
//! Always holds: no line carries a raw control character, no label or line carries a token; plain values come in, so this
//! room knows no configuration.

pub mod access_log;
mod escape;
mod json_line;
mod line_writer;
pub mod log;
pub mod metrics;
mod timestamp;

pub use self::{
    access_log::{AccessEntry, AccessLog, AccessLogError, Destination, OpenDestination, TokenEntry},
    log::{Log, LogFormat, LogLevel, LogSettings},
    metrics::{
        Decision, DecisionMode, DecisionResult, Metrics, MetricsSource, RouteCounters, RouteMetrics, Samples,
        UpstreamMetrics, WorkerMetrics,
    },
    timestamp::Rfc3339,
};
