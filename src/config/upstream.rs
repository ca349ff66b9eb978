//! `[upstreams.*]`: where requests go.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::value::{ByteSize, FilePath, HumanDuration, Percent};

/// A resource server, at one address or several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpstreamConfig {
    /// Its addresses: `"http://10.0.0.1:9001"`, or `{ url = "...", weight = 2 }`. All `http`, or all `https`; no path.
    pub endpoints: Vec<EndpointConfig>,
    /// The protocol spoken to it.
    #[serde(default)]
    pub protocol: UpstreamProtocolConfig,
    /// How an endpoint is chosen.
    #[serde(default)]
    pub balance: BalanceConfig,
    /// How long a connection may take to open, TLS included.
    #[serde(default = "default_connect_timeout")]
    pub connect_timeout: HumanDuration,
    /// How long an upstream that has the request may be silent before the head of its response. While the request's body is
    /// on its way, time spent waiting for the downstream does not count.
    #[serde(default = "default_response_header_timeout")]
    pub response_header_timeout: HumanDuration,
    /// How long an unused connection is kept.
    #[serde(default = "default_idle_timeout")]
    pub idle_timeout: HumanDuration,
    /// The most connections to each endpoint, over all workers.
    #[serde(default = "default_max_connections")]
    pub max_connections: u32,
    /// The most requests under way at each endpoint, over all workers. Absent: no bound.
    pub max_requests: Option<u32>,
    /// How many requests may wait when no endpoint has room for one more request or connection; others are answered 503 at once.
    #[serde(default)]
    pub max_waiting: u32,
    /// How long such a request waits at most, before it is answered 503.
    #[serde(default = "default_wait_timeout")]
    pub wait_timeout: HumanDuration,
    /// How long an endpoint that is new or has recovered takes to get its full share of requests. Absent: no time. Not for
    /// requests that a hash ties to an endpoint.
    pub slow_start: Option<HumanDuration>,
    /// Asks endpoints whether they are well. Absent: nobody asks.
    pub health: Option<HealthConfig>,
    /// Leaves endpoints alone that fail requests. Absent: none is.
    pub outlier: Option<OutlierConfig>,
    /// Tries requests again. Absent: one of which nothing was sent is tried once at every endpoint, others are not tried again.
    pub retry: Option<RetryConfig>,
    /// TLS towards it, for `https` endpoints.
    pub tls: Option<UpstreamTlsConfig>,
}

/// Asking endpoints whether they are well. One that is not gets no requests, unless none is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthConfig {
    /// What is asked for with GET, like `"/healthz"`.
    pub path: String,
    /// The `Host` to ask with; default: the endpoint's own.
    pub host: Option<String>,
    /// The time between two questions to one endpoint, more or less a tenth.
    #[serde(default = "default_health_interval")]
    pub interval: HumanDuration,
    /// How long an answer may take, connecting included.
    #[serde(default = "default_health_timeout")]
    pub timeout: HumanDuration,
    /// How many good answers in a row make an endpoint well again. The first answer of all decides by itself.
    #[serde(default = "default_healthy_after")]
    pub healthy_after: u32,
    /// How many bad ones in a row make it unwell.
    #[serde(default = "default_unhealthy_after")]
    pub unhealthy_after: u32,
    /// The statuses of a good answer. Empty: 200 to 299.
    #[serde(default)]
    pub expect: Vec<u16>,
}

const fn default_health_interval() -> HumanDuration {
    HumanDuration::from_seconds(5)
}

const fn default_health_timeout() -> HumanDuration {
    HumanDuration::from_seconds(2)
}

const fn default_healthy_after() -> u32 {
    2
}

const fn default_unhealthy_after() -> u32 {
    3
}

/// Leaving endpoints alone that fail requests: connections that cannot be made or break before the answer, answers that do not come
/// in time or are not HTTP, and the given statuses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OutlierConfig {
    /// How many failures in a row put an endpoint out.
    pub consecutive_failures: u32,
    /// The statuses that count as failures.
    pub statuses: Vec<u16>,
    /// For how long the first time; each further time in a row doubles it.
    pub eject_for: HumanDuration,
    /// For how long at most.
    pub max_eject_for: HumanDuration,
    /// How many of the endpoints may be out at a time, in hundredths; of two or more always one, and never all.
    pub max_ejected: Percent,
}

impl Default for OutlierConfig {
    fn default() -> Self {
        Self {
            consecutive_failures: 5,
            statuses: vec![502, 503, 504],
            eject_for: HumanDuration::from_seconds(10),
            max_eject_for: HumanDuration::from_seconds(300),
            max_ejected: Percent(50),
        }
    }
}

/// Trying requests again. Unless nothing was sent yet, only those with an idempotent method (RFC 9110 section 9.2.2) are, and only while
/// their whole body is still there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RetryConfig {
    /// How often a request is tried in all, the first time included.
    pub attempts: u32,
    /// After what: `"connect"` (nothing was sent), `"reset"` (the connection broke before the answer), or a status like `503`.
    pub on: Vec<RetryCauseConfig>,
    /// How many requests may be tried again at a time, in hundredths of those under way; three always may.
    pub budget: Percent,
    /// How much of a body is kept to be sent again; a request with a longer one is not tried again once it was sent. At most 16 MiB.
    pub max_body: ByteSize,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            attempts: 2,
            on: vec![RetryCauseConfig::Connect, RetryCauseConfig::Reset],
            budget: Percent(20),
            max_body: ByteSize::from_kibibytes(64),
        }
    }
}

/// After what a request is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryCauseConfig {
    /// Nothing was sent.
    Connect,
    /// The connection or stream ended before the response began.
    Reset,
    /// The upstream answered so.
    #[serde(untagged)]
    Status(u16),
}

impl<'de> Deserialize<'de> for RetryCauseConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CauseVisitor;
        impl Visitor<'_> for CauseVisitor {
            type Value = RetryCauseConfig;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("\"connect\", \"reset\", or a status like 503")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<RetryCauseConfig, E> {
                match text {
                    "connect" => Ok(RetryCauseConfig::Connect),
                    "reset" => Ok(RetryCauseConfig::Reset),
                    other => Err(E::unknown_variant(other, &["connect", "reset"])),
                }
            }
            fn visit_i64<E: de::Error>(self, status: i64) -> Result<RetryCauseConfig, E> {
                let status =
                    u16::try_from(status).map_err(|_| E::invalid_value(de::Unexpected::Signed(status), &self))?;
                Ok(RetryCauseConfig::Status(status))
            }
            fn visit_u64<E: de::Error>(self, status: u64) -> Result<RetryCauseConfig, E> {
                let status =
                    u16::try_from(status).map_err(|_| E::invalid_value(de::Unexpected::Unsigned(status), &self))?;
                Ok(RetryCauseConfig::Status(status))
            }
        }
        deserializer.deserialize_any(CauseVisitor)
    }
}

impl JsonSchema for RetryCauseConfig {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RetryCause".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "string", "enum": ["connect", "reset"] },
                { "type": "integer", "minimum": 400, "maximum": 599 }
            ]
        })
    }
}

const fn default_connect_timeout() -> HumanDuration {
    HumanDuration::from_seconds(2)
}

const fn default_response_header_timeout() -> HumanDuration {
    HumanDuration::from_seconds(60)
}

const fn default_idle_timeout() -> HumanDuration {
    HumanDuration::from_seconds(60)
}

const fn default_max_connections() -> u32 {
    1024
}

const fn default_wait_timeout() -> HumanDuration {
    HumanDuration::from_seconds(1)
}

/// One address of an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EndpointConfig {
    /// Scheme, host and port.
    pub url: String,
    /// Its share of the requests beside the others'; 1 unless given.
    pub weight: u16,
}

impl<'de> Deserialize<'de> for EndpointConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename = "EndpointConfig", deny_unknown_fields)]
        struct Table {
            url: String,
            #[serde(default = "one")]
            weight: u16,
        }
        const fn one() -> u16 {
            1
        }
        struct EndpointVisitor;
        impl<'de> Visitor<'de> for EndpointVisitor {
            type Value = EndpointConfig;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a URL like \"http://10.0.0.1:9001\" or { url = \"...\", weight = 2 }")
            }
            fn visit_str<E: de::Error>(self, url: &str) -> Result<EndpointConfig, E> {
                Ok(EndpointConfig { url: url.to_owned(), weight: 1 })
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<EndpointConfig, A::Error> {
                let table = Table::deserialize(MapAccessDeserializer::new(map))?;
                Ok(EndpointConfig { url: table.url, weight: table.weight })
            }
        }
        deserializer.deserialize_struct("EndpointConfig", &["url", "weight"], EndpointVisitor)
    }
}

impl JsonSchema for EndpointConfig {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Endpoint".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "string" },
                {
                    "type": "object",
                    "properties": { "url": { "type": "string" }, "weight": { "type": "integer", "minimum": 1 } },
                    "required": ["url"],
                    "additionalProperties": false
                }
            ]
        })
    }
}

/// The protocol spoken to an upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UpstreamProtocolConfig {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2: in clear with prior knowledge, over TLS by ALPN.
    Http2,
    /// Over TLS whichever ALPN agrees on; in clear HTTP/1.1.
    Auto,
}

/// How an endpoint is chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BalanceConfig {
    /// The one with fewer requests under way out of two chosen at random.
    #[default]
    LeastRequests,
    /// One after the other.
    RoundRobin,
    /// The same endpoint for the same value, as long as the endpoints stay: `{ hash = { claim = "tenant_id" } }`.
    Hash(HashConfig),
}

/// What is hashed to choose an endpoint. A request without it is sent to any endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HashConfig {
    /// A claim of the verified token.
    Claim(String),
    /// A header of the request.
    Header(String),
    /// The address of whoever calls, `trusted_proxies` being believed: `{ hash = "peer" }`.
    Peer,
}

/// TLS towards an upstream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UpstreamTlsConfig {
    /// Certificate authorities in PEM, instead of the system's.
    pub ca: Option<FilePath>,
    /// The name that its certificate must carry, and that is asked for; default: the endpoint's host.
    pub server_name: Option<String>,
    /// A client certificate chain in PEM to show.
    pub certificate: Option<FilePath>,
    /// The client certificate's private key in PEM.
    pub private_key: Option<FilePath>,
}
