//! `[admin]` and `[telemetry]`: what the operator looks at.

use std::net::SocketAddr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::value::{FilePath, SecretConfig};

/// The listener for operators: `/livez`, `/readyz`, `/metrics` and the management API under `/api/v1`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdminConfig {
    /// The address and port. Read at start only.
    pub address: SocketAddr,
    /// What callers of the management API present as a bearer token. Required unless the address is loopback.
    pub token: Option<SecretConfig>,
}

/// Logs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// One line a request, written when its body has ended; for one that came while this was off there is none.
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessLogTarget {
    /// Standard output, written `"stdout"`.
    Stdout,
    /// A file.
    File(FilePath),
}

impl AccessLogTarget {
    /// The name under which serde announces this to the loader, which makes a file's name absolute but not the word.
    pub const NEWTYPE: &'static str = "postern::AccessLogTarget";
    /// The word that is no file's name.
    pub const STDOUT: &'static str = "stdout";
}

impl Serialize for AccessLogTarget {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Stdout => serializer.serialize_str(Self::STDOUT),
            Self::File(path) => path.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for AccessLogTarget {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename = "postern::AccessLogTarget")]
        struct WordOrPath(String);
        let WordOrPath(text) = WordOrPath::deserialize(deserializer)?;
        Ok(if text == Self::STDOUT { Self::Stdout } else { Self::File(FilePath(text.into())) })
    }
}

impl JsonSchema for AccessLogTarget {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "AccessLogTarget".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "const": Self::STDOUT }, { "type": "string" }] })
    }
}
