//! `[listeners.*]`: where downstream connects.

use std::net::SocketAddr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::{ByteSize, FilePath, HumanDuration};

/// One address on which requests are accepted.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenerConfig {
    /// The address and port, like `"0.0.0.0:8443"`; port 0 lets the kernel choose.
    pub address: SocketAddr,
    /// TLS. Absent: HTTP/1.1 and HTTP/2 with prior knowledge, in clear.
    pub tls: Option<ListenerTlsConfig>,
    /// What one connection and one request may cost.
    #[serde(default)]
    pub limits: LimitsConfig,
    /// The networks of proxies before Postern whose `Forwarded` and `X-Forwarded-*` headers are believed, like
    /// `["10.0.0.0/8"]`. Nobody by default.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub trusted_proxies: Vec<IpNet>,
    /// The networks of load balancers that begin each connection with a PROXY protocol header, version 1 or 2, which says who
    /// connected to them. A connection from there without one is closed; one from elsewhere with one is answered 400.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub proxy_protocol_from: Vec<IpNet>,
}

/// The certificates of a listener. All of these files are watched; a new one is used without a restart.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenerTlsConfig {
    /// The certificate chain in PEM, the server's own first. The answer to a client that names no server, or an unknown one.
    pub certificate: FilePath,
    /// Its private key in PEM (PKCS#8, PKCS#1 or SEC1).
    pub private_key: FilePath,
    /// Further certificates, chosen by the name the client asks for (SNI, RFC 6066 section 3).
    #[serde(default)]
    pub certificates: Vec<CertificateConfig>,
    /// Certificate authorities in PEM. With it, client certificates are asked for.
    pub client_ca: Option<FilePath>,
    /// Whether a client without a certificate is let in. Needs `client_ca`, and is then `"required"` by default.
    pub client_certificate: Option<ClientCertificateConfig>,
}

/// One certificate beside the default one; the names it answers to are read from the certificate itself.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificateConfig {
    /// The certificate chain in PEM.
    pub certificate: FilePath,
    /// Its private key in PEM.
    pub private_key: FilePath,
}

/// Whether a client must show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientCertificateConfig {
    /// Asked for; a client without one is let in, one with a bad one is not.
    Optional,
    /// A client without one is not let in.
    #[default]
    Required,
}

/// What one connection and one request may cost.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// The most bytes of a request's line and headers together; more is answered 431.
    pub header_bytes: ByteSize,
    /// The most header fields of a request; more is answered 431.
    pub headers: u32,
    /// How long a client may take to send a request's line and headers, from their first byte (or from the opening of the
    /// connection).
    pub header_timeout: HumanDuration,
    /// How long a connection without a request under way is kept.
    pub idle_timeout: HumanDuration,
    /// How long a TLS handshake may take.
    pub handshake_timeout: HumanDuration,
    /// The largest request body; more is answered 413.
    pub body_bytes: ByteSize,
    /// The longest pause between two pieces of a body, in either direction.
    pub body_idle_timeout: HumanDuration,
    /// The most connections at a time; further ones wait in the kernel's queue.
    pub connections: u32,
    /// The most connections at a time from one address; further ones are closed at once. Absent: no bound.
    pub connections_per_peer: Option<u32>,
    /// The most requests under way on one HTTP/2 connection.
    pub http2_streams: u32,
    /// The most streams that a client may have reset and that are not yet cleared away, before its HTTP/2 connection is
    /// closed (rapid reset, CVE-2023-44487).
    pub http2_pending_resets: u32,
    /// The most streams reset on account of the client's errors before its HTTP/2 connection is closed.
    pub http2_error_resets: u32,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            header_bytes: ByteSize::from_kibibytes(32),
            headers: 100,
            header_timeout: HumanDuration::from_seconds(10),
            idle_timeout: HumanDuration::from_seconds(75),
            handshake_timeout: HumanDuration::from_seconds(10),
            body_bytes: ByteSize::from_kibibytes(10 * 1024),
            body_idle_timeout: HumanDuration::from_seconds(60),
            connections: 10_000,
            connections_per_peer: None,
            http2_streams: 128,
            http2_pending_resets: 20,
            http2_error_resets: 256,
        }
    }
}
