//! Owns: finding an issuer's key document from its name: OpenID Connect Discovery 1.0 section 4, then RFC 8414 section 3.
//! Refuses: metadata of anybody else than the issuer that was asked for (RFC 8414 section 3.3), and key documents in clear
//! unless the issuer itself is.
//! Always holds: what it finds obeys the rules of an address that an operator writes.

use serde::Deserialize;
use thiserror::Error;

use super::{
    freshness::Validators,
    report::in_words,
    transport::{Answer, Transport, TransportError},
};
use crate::outbound::{RemoteUrl, RemoteUrlError};

/// The two places at which an issuer may say where its keys are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Discovery {
    issuer: String,
    openid: RemoteUrl,
    oauth: RemoteUrl,
}

/// Why an issuer's name does not lead to metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum DiscoveryPlaceError {
    /// It is no address to fetch from.
    #[error("{0}")]
    Url(RemoteUrlError),
    /// RFC 8414 section 2 and OpenID Connect Discovery 1.0 section 3 forbid it.
    #[error("it has a query")]
    Query,
}

/// Why discovery found nothing.
#[derive(Debug, Error)]
#[error("discovery failed: at the OpenID address: {openid}; at the RFC 8414 address: {oauth}")]
pub(super) struct DiscoveryError {
    openid: MetadataError,
    oauth: MetadataError,
}

/// Why one metadata document leads nowhere.
#[derive(Debug, Error)]
enum MetadataError {
    /// There is none.
    #[error("{}", in_words(.0))]
    Transport(#[source] TransportError),
    /// It is not one.
    #[error("the answer is no metadata document")]
    NotMetadata(#[source] serde_json::Error),
    /// It is somebody else's.
    #[error("the metadata is of another issuer, {found:?}")]
    OtherIssuer {
        /// Whose it is, cut short.
        found: String,
    },
    /// It says that the keys are where nothing is fetched from.
    #[error("the jwks_uri in the metadata cannot be used: {0}")]
    KeyAddress(#[source] RemoteUrlError),
    /// It leads from https to http.
    #[error("the jwks_uri in the metadata is http, and the issuer is https")]
    Downgrade,
}

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

impl Discovery {
    /// The places that `issuer` leads to.
    ///
    /// # Errors
    /// It leads to none.
    pub(super) fn of(issuer: &str) -> Result<Self, DiscoveryPlaceError> {
        let url = RemoteUrl::parse(issuer).map_err(DiscoveryPlaceError::Url)?;
        if url.has_query() {
            return Err(DiscoveryPlaceError::Query);
        }
        let path = url.path().trim_end_matches('/');
        Ok(Self {
            issuer: issuer.to_owned(),
            openid: url.with_path(&format!("{path}/.well-known/openid-configuration")),
            oauth: url.with_path(&format!("/.well-known/oauth-authorization-server{path}")),
        })
    }

    /// Whose keys are looked for.
    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Whether the issuer is asked over TLS.
    pub(super) fn is_encrypted(&self) -> bool {
        self.openid.is_encrypted()
    }

    /// Whether the issuer's keys may be fetched from `url`.
    pub(super) fn accepts(&self, url: &RemoteUrl) -> bool {
        url.is_encrypted() || !self.is_encrypted()
    }

    /// Asks where the keys are.
    ///
    /// # Errors
    /// Why neither place says it.
    pub(super) async fn discover(&self, transport: &Transport) -> Result<RemoteUrl, DiscoveryError> {
        let openid = match self.ask(&self.openid, transport).await {
            Ok(url) => return Ok(url),
            Err(error) => error,
        };
        self.ask(&self.oauth, transport).await.map_err(|oauth| DiscoveryError { openid, oauth })
    }

    async fn ask(&self, place: &RemoteUrl, transport: &Transport) -> Result<RemoteUrl, MetadataError> {
        let nothing_known = Validators::default();
        match transport.get(place, &nothing_known).await.map_err(MetadataError::Transport)? {
            Answer::Document { body, .. } => self.read(&body),
            Answer::NotModified { .. } => Err(MetadataError::Transport(TransportError::NothingToCompare)),
        }
    }

    fn read(&self, document: &[u8]) -> Result<RemoteUrl, MetadataError> {
        let metadata: Metadata = serde_json::from_slice(document).map_err(MetadataError::NotMetadata)?;
        if metadata.issuer != self.issuer {
            return Err(MetadataError::OtherIssuer { found: metadata.issuer.chars().take(200).collect() });
        }
        let url = RemoteUrl::parse(&metadata.jwks_uri).map_err(MetadataError::KeyAddress)?;
        if self.accepts(&url) { Ok(url) } else { Err(MetadataError::Downgrade) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_places_are_those_of_the_standards() {
        for (issuer, openid, oauth) in [
            (
                "https://id.example",
                "https://id.example/.well-known/openid-configuration",
                "https://id.example/.well-known/oauth-authorization-server",
            ),
            (
                "https://id.example/",
                "https://id.example/.well-known/openid-configuration",
                "https://id.example/.well-known/oauth-authorization-server",
            ),
            (
                "https://id.example:8443/realms/one/",
                "https://id.example:8443/realms/one/.well-known/openid-configuration",
                "https://id.example:8443/.well-known/oauth-authorization-server/realms/one",
            ),
        ] {
            let discovery = Discovery::of(issuer).unwrap();
            assert_eq!((discovery.openid.as_str(), discovery.oauth.as_str()), (openid, oauth));
        }
        assert_eq!(Discovery::of("https://id.example/?a=b"), Err(DiscoveryPlaceError::Query));
    }

    #[test]
    fn metadata_must_name_the_issuer_byte_for_byte_and_an_address_that_may_be_fetched() {
        let discovery = Discovery::of("https://id.example/one").unwrap();
        let read = |issuer: &str, jwks_uri: &str| {
            discovery
                .read(serde_json::json!({ "issuer": issuer, "jwks_uri": jwks_uri, "other": 1 }).to_string().as_bytes())
        };
        assert!(read("https://id.example/one", "https://keys.example/jwks").is_ok());
        for issuer in
            ["https://id.example/one/", "https://id.example/ONE", "https://ID.example/one", "https://id.example", ""]
        {
            let answer = read(issuer, "https://keys.example/jwks");
            assert!(matches!(answer, Err(MetadataError::OtherIssuer { .. })), "{issuer}");
        }
        for (jwks_uri, downgrade) in
            [("http://keys.example/jwks", false), ("file:///etc/keys", false), ("http://127.0.0.1/jwks", true)]
        {
            match read("https://id.example/one", jwks_uri) {
                Err(MetadataError::KeyAddress(_)) => assert!(!downgrade, "{jwks_uri}"),
                Err(MetadataError::Downgrade) => assert!(downgrade, "{jwks_uri}"),
                other => panic!("{jwks_uri}: {other:?}"),
            }
        }
        for document in ["", "[]", "<html>", r#"{"issuer":"https://id.example/one"}"#, r#"{"issuer":"a","issuer":"b"}"#]
        {
            assert!(matches!(discovery.read(document.as_bytes()), Err(MetadataError::NotMetadata(_))), "{document}");
        }
    }
}
