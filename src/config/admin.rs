//! `[admin]` and `[telemetry]`: what the operator looks at.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::{FilePath, SecretConfig};

/// The listener for operators: `/livez`, `/readyz`, `/metrics` and the management API under `/api/v1`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AdminConfig {
    /// The address and port. Read at start only.
    pub address: SocketAddr,
    /// What callers of the management API present as a bearer token. Required unless the address is loopback.
    pub token: Option<SecretConfig>,
}

/// Logs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TelemetryConfig {
    /// One line a request, written when its body has ended.
    pub access_log: AccessLogConfig,
    /// `"stdout"`, or a file that lines are appended to and that is opened anew after SIGHUP.
    pub access_log_to: AccessLogTarget,
    /// The least severe message of the program's own log, which goes to standard error.
    pub log_level: LogLevelConfig,
    /// Lines for people, or JSON.
    pub log_format: LogFormatConfig,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            access_log: AccessLogConfig::Json,
            access_log_to: AccessLogTarget::Stdout,
            log_level: LogLevelConfig::Info,
            log_format: LogFormatConfig::Text,
        }
    }
}

/// The form of the access log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccessLogConfig {
    /// One JSON object a line.
    Json,
    /// None.
    Off,
}

/// The least severe message that is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are the meaning")]
pub enum LogLevelConfig {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// The form of the program's own log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormatConfig {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Where the access log goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "FilePath", into = "FilePath")]
#[schemars(with = "FilePath")]
pub enum AccessLogTarget {
    /// Standard output, written `"stdout"`.
    Stdout,
    /// A file.
    File(FilePath),
}

impl From<FilePath> for AccessLogTarget {
    fn from(path: FilePath) -> Self {
        // The loader has made the path absolute already, so the word is the last component.
        if path.0.file_name().is_some_and(|name| name == "stdout") { Self::Stdout } else { Self::File(path) }
    }
}

impl From<AccessLogTarget> for FilePath {
    fn from(target: AccessLogTarget) -> Self {
        match target {
            AccessLogTarget::Stdout => Self("stdout".into()),
            AccessLogTarget::File(path) => path,
        }
    }
}
