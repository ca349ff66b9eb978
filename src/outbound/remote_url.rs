//! Owns: the addresses of other servers that Postern itself asks: for keys, and about tokens.
//! Refuses: anything in clear beyond loopback, user names and passwords, fragments.
//! Always holds: a [`RemoteUrl`] has a host, and is `https`, or `http` to this very machine.

use std::fmt;

use thiserror::Error;
use url::{Host, Url};

use crate::diagnostic::{Diagnostics, KeyPath};

/// Where Postern itself asks.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RemoteUrl {
    url: Url,
}

/// Why nothing is asked at an address. The address is not repeated: it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RemoteUrlError {
    /// It does not parse.
    #[error("it is not an absolute URL")]
    NotAUrl(#[source] url::ParseError),
    /// Neither `https` nor `http`.
    #[error("it is not an https URL")]
    OtherScheme,
    /// Whoever is on the way could read secrets and replace keys.
    #[error("it is http, and not to this machine: whoever is on the way could read what is said, and answer instead")]
    InClear,
    /// `https://user:password@...`.
    #[error("it holds a user name or password")]
    Credentials,
    /// `https://host/path#fragment`.
    #[error("it has a fragment, which is never sent")]
    Fragment,
}

impl RemoteUrl {
    /// Reads an address.
    ///
    /// # Errors
    /// Why nothing is asked there.
    pub fn parse(text: &str) -> Result<Self, RemoteUrlError> {
        let url = Url::parse(text).map_err(RemoteUrlError::NotAUrl)?;
        let Some(host) = url.host() else { return Err(RemoteUrlError::OtherScheme) };
        let loopback = match host {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        };
        match url.scheme() {
            "https" => {}
            "http" if loopback => {}
            "http" => return Err(RemoteUrlError::InClear),
            _ => return Err(RemoteUrlError::OtherScheme),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(RemoteUrlError::Credentials);
        }
        if url.fragment().is_some() {
            return Err(RemoteUrlError::Fragment);
        }
        Ok(Self { url })
    }

    /// Reads the address that is written at `path`. `None` if `diagnostics` now says why nothing is asked there.
    pub fn compile(text: &str, path: &KeyPath, diagnostics: &mut Diagnostics) -> Option<Self> {
        let refuse = |error: RemoteUrlError| {
            let remedy = "write an https URL; http is accepted to 127.0.0.1, [::1] and localhost only";
            diagnostics.error(path, format!("nothing can be asked here: {error}"), remedy);
        };
        Self::parse(text).map_err(refuse).ok()
    }

    /// The address in its normal form.
    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }

    /// Whether it is `https`.
    pub fn is_encrypted(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// The host, for the certificate to be judged by.
    pub fn host(&self) -> Option<Host<&str>> {
        self.url.host()
    }

    /// The `Host` header (RFC 9110 section 7.2).
    pub fn authority(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        match self.url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }

    /// The request target in origin form (RFC 9112 section 3.2.1).
    pub fn target(&self) -> String {
        match self.url.query() {
            Some(query) => format!("{}?{query}", self.url.path()),
            None => self.url.path().to_owned(),
        }
    }

    /// The same place with `path` instead of its own, and without a query.
    pub fn with_path(&self, path: &str) -> Self {
        let mut url = self.url.clone();
        url.set_path(path);
        url.set_query(None);
        Self { url }
    }

    /// The path alone.
    pub fn path(&self) -> &str {
        self.url.path()
    }

    /// Whether it has a query.
    pub fn has_query(&self) -> bool {
        self.url.query().is_some()
    }
}

impl fmt::Debug for RemoteUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.url.as_str(), formatter)
    }
}

impl fmt::Display for RemoteUrl {
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
            assert!(RemoteUrl::parse(good).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("http://id.example/jwks", RemoteUrlError::InClear),
            ("http://10.0.0.1/jwks", RemoteUrlError::InClear),
            ("http://localhost.example/jwks", RemoteUrlError::InClear),
            ("http://127.0.0.1.example/jwks", RemoteUrlError::InClear),
            ("file:///etc/passwd", RemoteUrlError::OtherScheme),
            ("ftp://id.example/jwks", RemoteUrlError::OtherScheme),
            ("data:application/json,{}", RemoteUrlError::OtherScheme),
            ("https://user:pass@id.example/jwks", RemoteUrlError::Credentials),
            ("https://id.example/jwks#a", RemoteUrlError::Fragment),
        ] {
            assert_eq!(RemoteUrl::parse(bad), Err(why), "{bad}");
        }
        assert!(matches!(RemoteUrl::parse("jwks"), Err(RemoteUrlError::NotAUrl(_))));
    }

    proptest::proptest! {
        #[test]
        fn whatever_parses_is_encrypted_or_stays_on_this_machine(
            text in "(https?|ftp|HTTP)://(user@)?(localhost|127\\.0\\.0\\.1|[a-z0-9.:\\[\\]@%-]{0,12})(:[0-9]{1,5})?[/?#\\\\]?[ -~]{0,10}"
        ) {
            if let Ok(url) = RemoteUrl::parse(&text) {
                let host = url.host().map(|host| host.to_string()).unwrap_or_default();
                let here = host == "localhost" || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>()
                    .is_ok_and(|address| address.is_loopback());
                proptest::prop_assert!(url.is_encrypted() || here, "{}", url);
                proptest::prop_assert!(!url.as_str().contains('#'));
                proptest::prop_assert!(!url.authority().contains('@') && url.target().starts_with('/'));
                proptest::prop_assert_eq!(RemoteUrl::parse(url.as_str()), Ok(url.clone()));
            }
        }
    }

    #[test]
    fn the_request_names_host_port_and_query() {
        let url = RemoteUrl::parse("https://id.example:8443/a/jwks?v=1").unwrap();
        assert_eq!((url.authority().as_str(), url.target().as_str()), ("id.example:8443", "/a/jwks?v=1"));
        let url = RemoteUrl::parse("http://[::1]").unwrap();
        assert_eq!((url.authority().as_str(), url.target().as_str()), ("[::1]", "/"));
    }
}
