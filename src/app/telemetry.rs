//! Owns: translating `[telemetry]` into the plain values that the telemetry room knows.

use crate::{
    config::{AccessLogConfig, AccessLogTarget, LogFormatConfig, LogLevelConfig, TelemetryConfig},
    telemetry::{Destination, LogFormat, LogLevel, LogSettings},
};

/// Where the access log goes.
pub(super) fn access_log(raw: &TelemetryConfig) -> Destination {
    match (raw.access_log, &raw.access_log_to) {
        (AccessLogConfig::Off, _) => Destination::Off,
        (AccessLogConfig::Json, AccessLogTarget::Stdout) => Destination::Stdout,
        (AccessLogConfig::Json, AccessLogTarget::File(path)) => Destination::File(path.0.clone()),
    }
}

/// What the program's own log says, and how.
pub(super) const fn log(raw: &TelemetryConfig) -> LogSettings {
    LogSettings {
        level: match raw.log_level {
            LogLevelConfig::Error => LogLevel::Error,
            LogLevelConfig::Warn => LogLevel::Warn,
            LogLevelConfig::Info => LogLevel::Info,
            LogLevelConfig::Debug => LogLevel::Debug,
            LogLevelConfig::Trace => LogLevel::Trace,
        },
        format: match raw.log_format {
            LogFormatConfig::Text => LogFormat::Text,
            LogFormatConfig::Json => LogFormat::Json,
        },
    }
}
