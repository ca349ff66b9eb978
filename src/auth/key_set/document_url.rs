//! Owns: the addresses that keys, and the documents that lead to keys, may be fetched from.
//! Refuses: anything in clear beyond loopback, user names and passwords, fragments.
//! Always holds: a [`DocumentUrl`] has a host, and is `https`, or `http` to this very machine.

use std::fmt;

use thiserror::Error;
use url::{Host, Url};

/// Where a document is fetched from.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct DocumentUrl {
    url: Url,
}

/// Why nothing is fetched from an address. The address is not repeated: it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum DocumentUrlError {
    /// It does not parse.
    #[error("it is not an absolute URL")]
    NotAUrl(#[source] url::ParseError),
    /// Neither `https` nor `http`.
    #[error("it is not an https URL")]
    OtherScheme,
    /// Whoever is on the way could replace the keys.
    #[error("it is http, and not to this machine: whoever is on the way could put in keys of their own")]
    InClear,
    /// `https://user:password@...`.
    #[error("it holds a user name or password")]
    Credentials,
    /// `https://host/path#fragment`.
    #[error("it has a fragment, which is never sent")]
    Fragment,
}

impl DocumentUrl {
    /// Reads an address.
    ///
    /// # Errors
    /// Why nothing is fetched from there.
    pub(super) fn parse(text: &str) -> Result<Self, DocumentUrlError> {
        let url = Url::parse(text).map_err(DocumentUrlError::NotAUrl)?;
        let Some(host) = url.host() else { return Err(DocumentUrlError::OtherScheme) };
        let loopback = match host {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        };
        match url.scheme() {
            "https" => {}
            "http" if loopback => {}
            "http" => return Err(DocumentUrlError::InClear),
            _ => return Err(DocumentUrlError::OtherScheme),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(DocumentUrlError::Credentials);
        }
        if url.fragment().is_some() {
            return Err(DocumentUrlError::Fragment);
        }
        Ok(Self { url })
    }

    /// The address in its normal form.
    pub(super) fn as_str(&self) -> &str {
        self.url.as_str()
    }

    /// Whether it is `https`.
    pub(super) fn is_encrypted(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// The host, for the certificate to be judged by.
    pub(super) fn host(&self) -> Option<Host<&str>> {
        self.url.host()
    }

    /// The `Host` header (RFC 9110 section 7.2).
    pub(super) fn authority(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        match self.url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }

    /// The request target in origin form (RFC 9112 section 3.2.1).
    pub(super) fn target(&self) -> String {
        match self.url.query() {
            Some(query) => format!("{}?{query}", self.url.path()),
            None => self.url.path().to_owned(),
        }
    }

    /// The same place with `path` instead of its own, and without a query.
    pub(super) fn with_path(&self, path: &str) -> Self {
        let mut url = self.url.clone();
        url.set_path(path);
        url.set_query(None);
        Self { url }
    }

    /// The path alone.
    pub(super) fn path(&self) -> &str {
        self.url.path()
    }

    /// Whether it has a query.
    pub(super) fn has_query(&self) -> bool {
        self.url.query().is_some()
    }
}

impl fmt::Debug for DocumentUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.url.as_str(), formatter)
    }
}

impl fmt::Display for DocumentUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.url.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_anywhere_and_http_only_to_this_machine() {
        for good in [
            "https://id.example/jwks",
            "https://[2001:db8::1]:8443/jwks?v=1",
            "http://127.0.0.1:8080/jwks",
            "http://127.9.9.9/jwks",
            "http://[::1]/jwks",
            "http://localhost/jwks",
        ] {
            assert!(DocumentUrl::parse(good).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("http://id.example/jwks", DocumentUrlError::InClear),
            ("http://10.0.0.1/jwks", DocumentUrlError::InClear),
            ("http://localhost.example/jwks", DocumentUrlError::InClear),
            ("http://127.0.0.1.example/jwks", DocumentUrlError::InClear),
            ("file:///etc/passwd", DocumentUrlError::OtherScheme),
            ("ftp://id.example/jwks", DocumentUrlError::OtherScheme),
            ("data:application/json,{}", DocumentUrlError::OtherScheme),
            ("https://user:pass@id.example/jwks", DocumentUrlError::Credentials),
            ("https://id.example/jwks#a", DocumentUrlError::Fragment),
        ] {
            assert_eq!(DocumentUrl::parse(bad), Err(why), "{bad}");
        }
        assert!(matches!(DocumentUrl::parse("jwks"), Err(DocumentUrlError::NotAUrl(_))));
    }

    proptest::proptest! {
        #[test]
        fn whatever_parses_is_encrypted_or_stays_on_this_machine(
            text in "(https?|ftp|HTTP)://(user@)?(localhost|127\\.0\\.0\\.1|[a-z0-9.:\\[\\]@%-]{0,12})(:[0-9]{1,5})?[/?#\\\\]?[ -~]{0,10}"
        ) {
            if let Ok(url) = DocumentUrl::parse(&text) {
                let host = url.host().map(|host| host.to_string()).unwrap_or_default();
                let here = host == "localhost" || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>()
                    .is_ok_and(|address| address.is_loopback());
                proptest::prop_assert!(url.is_encrypted() || here, "{}", url);
                proptest::prop_assert!(!url.as_str().contains('#'));
                proptest::prop_assert!(!url.authority().contains('@') && url.target().starts_with('/'));
                proptest::prop_assert_eq!(DocumentUrl::parse(url.as_str()), Ok(url.clone()));
            }
        }
    }

    #[test]
    fn the_request_names_host_port_and_query() {
        let url = DocumentUrl::parse("https://id.example:8443/a/jwks?v=1").unwrap();
        assert_eq!((url.authority().as_str(), url.target().as_str()), ("id.example:8443", "/a/jwks?v=1"));
        let url = DocumentUrl::parse("http://[::1]").unwrap();
        assert_eq!((url.authority().as_str(), url.target().as_str()), ("[::1]", "/"));
    }
}
