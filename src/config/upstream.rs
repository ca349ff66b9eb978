//! `[upstreams.*]`: where requests go.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::value::{FilePath, HumanDuration};

/// A resource server, at one address or several.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
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
    /// The most connections to each endpoint, over all workers; beyond it a request is answered 503.
    #[serde(default = "default_max_connections")]
    pub max_connections: u32,
    /// TLS towards it, for `https` endpoints.
    pub tls: Option<UpstreamTlsConfig>,
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
