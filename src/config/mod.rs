//! Owns: the configuration as it is written: plain data that mirrors the TOML, read from files and environment.
//! Refuses: unknown keys, wrong types. Decides nothing: the rooms above compile it.
//! Always holds: every problem is found in one pass and carries its file, its line and a remedy.

mod access;
pub mod admin;
pub mod authorization_server;
mod conceal;
mod contents;
mod deserialize;
pub mod dns;
mod environment;
mod fault;
mod growing;
mod interpolate;
pub mod issuer;
pub mod listener;
mod load;
mod loaded;
mod parse;
mod plain;
pub mod process;
mod read;
mod reading;
mod reference;
mod render;
pub mod route;
mod runaway;
mod schema;
mod secret_source;
pub mod shared;
mod source;
mod sources;
pub mod store;
mod table;
#[cfg(test)]
mod tests;
pub mod token_endpoint;
mod trail;
mod tree;
pub mod upstream;
pub mod value;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::{
    admin::{AccessLogConfig, AccessLogTarget, AdminConfig, LogFormatConfig, LogLevelConfig, TelemetryConfig},
    authorization_server::{
        ApiConfig, ApiTokenFormatConfig, ApiTokenStrategyConfig, AssertionAudienceConfig, AuthenticationMethodConfig,
        AuthorizationServerConfig, ClientConfig, RoleConfig, SigningAlgorithmConfig, SigningConfig,
    },
    contents::Contents,
    dns::DnsConfig,
    environment::{Environment, ProcessEnvironment},
    issuer::{
        IntrospectionAuthenticationConfig, IntrospectionConfig, IssuerConfig, KeySetConfig, RevocationConfig,
        StartupConfig, TokenTypeConfig,
    },
    listener::{CertificateConfig, ClientCertificateConfig, LimitsConfig, ListenerConfig, ListenerTlsConfig},
    load::{load, load_text, load_texts},
    loaded::{Loaded, LoadedConfig},
    process::ProcessConfig,
    reference::reference,
    route::{AuthorizationConfig, IdentityConfig, LimitConfig, ModeConfig, RequireConfig, RouteConfig},
    schema::schema,
    shared::SharedConfig,
    sources::{Place, Sources},
    store::StoreConfig,
    token_endpoint::{
        AllowanceConfig, DialectConfig, ForwardedClientConfig, LockoutConfig, ManagementConfig, ProviderAudienceConfig,
        ProviderAuthenticationConfig, ProviderBodyConfig, ProviderConfig, QuotaConfig, ReuseConfig, ServeConfig,
        TokenEndpointConfig, UnmappedClientsConfig,
    },
    upstream::{
        BalanceConfig, EndpointConfig, HashConfig, HealthConfig, OutlierConfig, RetryCauseConfig, RetryConfig,
        UpstreamConfig, UpstreamProtocolConfig, UpstreamTlsConfig,
    },
    value::{ByteSize, ClaimValue, FilePath, HumanDuration, OneOrMany, Percent, SecretConfig},
};

/// A whole configuration.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The program as a whole.
    pub process: ProcessConfig,
    /// Where downstream connects, by name.
    pub listeners: BTreeMap<String, ListenerConfig>,
    /// The listener for operators. Absent: none.
    pub admin: Option<AdminConfig>,
    /// Logs.
    pub telemetry: TelemetryConfig,
    /// Who may sign tokens, by name.
    pub issuers: BTreeMap<String, IssuerConfig>,
    /// How the names of upstreams become addresses.
    pub dns: DnsConfig,
    /// Where requests go, by name.
    pub upstreams: BTreeMap<String, UpstreamConfig>,
    /// Who may ask for what, by name.
    pub routes: BTreeMap<String, RouteConfig>,
    /// Where tokens are issued, by name.
    pub token_endpoints: BTreeMap<String, TokenEndpointConfig>,
    /// The embedded issuer.
    pub authorization_server: Option<AuthorizationServerConfig>,
    /// What replicas count together. Absent: each counts alone.
    pub shared: Option<SharedConfig>,
}
