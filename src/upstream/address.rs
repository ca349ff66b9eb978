//! Owns: reading an endpoint's URL.
//! Refuses: whatever in a URL an endpoint has no use for: user information, a path, a query, a fragment.
//! Always holds: an [`Address`] has a port; a name in it is lower case ASCII.

use std::{fmt, net::IpAddr};

use http::uri::Scheme;
use thiserror::Error;
use url::Url;

/// Where an endpoint listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Address {
    pub(super) tls: bool,
    pub(super) host: Host,
    pub(super) port: u16,
}

/// The host of an [`Address`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Host {
    /// A name, which may stand for any number of addresses.
    Name(Box<str>),
    /// An address written down.
    Ip(IpAddr),
}

/// Why a URL does not name an endpoint.
#[derive(Debug, Error)]
pub(super) enum AddressError {
    #[error("`{text}` is not a URL: {source}")]
    NotAUrl { text: String, source: url::ParseError },
    #[error("`{0}` has characters that do not belong into a URL")]
    Characters(String),
    #[error("`{0}` is neither http nor https")]
    Scheme(String),
    #[error("an endpoint has no user name or password")]
    UserInformation,
    #[error("an endpoint has no path: requests bring their own")]
    Path,
    #[error("an endpoint has no query and no fragment")]
    Query,
    #[error("`{0}` names no host")]
    NoHost(String),
    #[error("nobody listens on port 0")]
    PortZero,
}

impl Address {
    /// Reads `http://host:port` or `https://host:port`; the port may be left out where it is the scheme's own.
    pub(super) fn parse(text: &str) -> Result<Self, AddressError> {
        // The URL standard forgives white space and backslashes; a configuration is better off told.
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
            return Err(AddressError::Characters(text.to_owned()));
        }
        let url = Url::parse(text).map_err(|source| AddressError::NotAUrl { text: text.to_owned(), source })?;
        let tls = match url.scheme() {
            "http" => false,
            "https" => true,
            _ => return Err(AddressError::Scheme(text.to_owned())),
        };
        if text.contains('@') {
            return Err(AddressError::UserInformation);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(AddressError::Query);
        }
        if !matches!(url.path(), "" | "/") {
            return Err(AddressError::Path);
        }
        let host = match url.host() {
            Some(url::Host::Domain(name)) => Host::Name(name.into()),
            Some(url::Host::Ipv4(ip)) => Host::Ip(ip.into()),
            Some(url::Host::Ipv6(ip)) => Host::Ip(ip.into()),
            None => return Err(AddressError::NoHost(text.to_owned())),
        };
        match url.port_or_known_default() {
            Some(port) if port > 0 => Ok(Self { tls, host, port }),
            _ => Err(AddressError::PortZero),
        }
    }

    /// The scheme of requests to it.
    pub(super) fn scheme(&self) -> Scheme {
        if self.tls { Scheme::HTTPS } else { Scheme::HTTP }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Ip(IpAddr::V6(ip)) => write!(formatter, "[{ip}]:{}", self.port),
            host => write!(formatter, "{host}:{}", self.port),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => formatter.write_str(name),
            Self::Ip(ip) => write!(formatter, "{ip}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn scheme_host_and_port_are_read() {
        for (text, shown, tls) in [
            ("http://10.0.0.1:9001", "10.0.0.1:9001", false),
            ("http://10.0.0.1:9001/", "10.0.0.1:9001", false),
            ("https://Orders.Example", "orders.example:443", true),
            ("http://orders", "orders:80", false),
            ("http://[::1]:9001", "[::1]:9001", false),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!((address.to_string().as_str(), address.tls), (shown, tls), "{text}");
        }
    }

    #[test]
    fn anything_more_is_refused() {
        for text in [
            "",
            "10.0.0.1:9001",
            "orders:9001",
            "ftp://orders",
            "http://",
            "http://orders:0",
            "http://orders:99999",
            "http://orders/v1",
            "http://orders?x",
            "http://orders/?",
            "http://orders#x",
            "http://user@orders",
            "http://user:pass@orders",
            "http://@orders",
            " http://orders",
            "http:\\\\orders",
            "http://or ders",
        ] {
            assert!(Address::parse(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back_the_same(text in ".{0,40}", host in "[a-z0-9.:\\[\\]-]{1,20}", port in 1u16..) {
            for candidate in [text, format!("http://{host}:{port}"), format!("https://{host}")] {
                if let Ok(address) = Address::parse(&candidate) {
                    let again = Address::parse(&format!("{}://{address}", address.scheme()));
                    prop_assert_eq!(again.ok(), Some(address));
                }
            }
        }
    }
}
