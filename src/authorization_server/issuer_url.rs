//! Owns: the issuer's name as a URL, and the places that follow from it.
//! Refuses: a name that another reader could write differently, or whose path could not be served byte for byte.
//! Always holds: the text is exactly what stands in `iss`.

use std::sync::Arc;

use url::{Host, Position, Url};

/// The name of the issuer.
#[derive(Clone, Debug)]
pub(super) struct IssuerUrl {
    text: Arc<str>,
    url: Url,
}

/// What is wrong with the name of an issuer, and what to write.
pub(super) struct IssuerUrlFault {
    pub(super) message: String,
    pub(super) remedy: String,
}

impl IssuerUrl {
    /// Reads the name (RFC 8414 section 2: a URL without query and fragment).
    pub(super) fn parse(text: &str) -> Result<Self, IssuerUrlFault> {
        let fault = |message: &str, remedy: String| IssuerUrlFault { message: message.to_owned(), remedy };
        let example = || "write a URL like \"https://api.example.com/\"".to_owned();
        let url = Url::parse(text).map_err(|error| fault(&format!("the issuer is not a URL: {error}"), example()))?;
        if !matches!(url.scheme(), "https" | "http") || url.host().is_none() {
            return Err(fault("the issuer is not an http or https URL", example()));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(fault(
                "the issuer has a query or a fragment",
                "leave out what begins with `?` or `#`".to_owned(),
            ));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(fault(
                "the issuer has a user name or a password",
                "leave out what stands before `@`".to_owned(),
            ));
        }
        // The `url` crate gives an empty path its slash; a name without it is as good, and stays as it is.
        if url.as_str() != text && url.as_str().strip_suffix('/') != Some(text) {
            return Err(fault("the issuer is not in normal form", format!("write {:?}", url.as_str())));
        }
        if !is_plain_path(trimmed_path(&url)) {
            return Err(fault(
                "the issuer's path has an empty segment, or characters that are not served",
                "use letters, digits and `-._~` between single slashes".to_owned(),
            ));
        }
        Ok(Self { text: Arc::from(text), url })
    }

    /// The name as it stands in `iss`.
    pub(super) const fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// Whether it is `http` and not on this machine, so that anybody on the way can replace its keys.
    pub(super) fn is_in_clear(&self) -> bool {
        let loopback = match self.url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        self.url.scheme() == "http" && !loopback
    }

    /// The path of the metadata (RFC 8414 section 3.1): inserted between host and path.
    pub(super) fn authorization_server_metadata_path(&self) -> String {
        format!("/.well-known/oauth-authorization-server{}", self.path())
    }

    /// The path of the OpenID configuration (OpenID Connect Discovery 1.0 section 4): appended to the path.
    pub(super) fn openid_configuration_path(&self) -> String {
        format!("{}/.well-known/openid-configuration", self.path())
    }

    /// The path of the key document, which the metadata names.
    pub(super) fn jwks_path(&self) -> String {
        format!("{}/.well-known/jwks.json", self.path())
    }

    /// The URL of `path` on the issuer's host, or on `host` if it is given.
    pub(super) fn at(&self, host: Option<&str>, path: &str) -> String {
        match host {
            None => format!("{}{path}", &self.url[..Position::BeforePath]),
            Some(host) => {
                let port = self.url.port().map(|port| format!(":{port}")).unwrap_or_default();
                format!("{}://{host}{port}{path}", self.url.scheme())
            }
        }
    }

    fn path(&self) -> &str {
        trimmed_path(&self.url)
    }
}

/// The URL of `path` on the host of the issuer called `issuer`, or on `host` if it is given. None if `issuer` can be no issuer's
/// name.
#[must_use]
pub fn url_on_issuer(issuer: &str, host: Option<&str>, path: &str) -> Option<String> {
    IssuerUrl::parse(issuer).ok().map(|issuer| issuer.at(host, path))
}

/// The path without the slash at its end, which both discoveries take off.
fn trimmed_path(url: &Url) -> &str {
    url.path().strip_suffix('/').unwrap_or(url.path())
}

fn is_plain_path(path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    path.is_empty() || path.split('/').skip(1).all(|segment| !segment.is_empty() && segment.bytes().all(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_paths_are_inserted_or_appended() {
        for (issuer, authorization_server, openid, jwks) in [
            (
                "https://a.example",
                "/.well-known/oauth-authorization-server",
                "/.well-known/openid-configuration",
                "/.well-known/jwks.json",
            ),
            (
                "https://a.example/",
                "/.well-known/oauth-authorization-server",
                "/.well-known/openid-configuration",
                "/.well-known/jwks.json",
            ),
            (
                "https://a.example/tenant/one",
                "/.well-known/oauth-authorization-server/tenant/one",
                "/tenant/one/.well-known/openid-configuration",
                "/tenant/one/.well-known/jwks.json",
            ),
            (
                "https://a.example/tenant/",
                "/.well-known/oauth-authorization-server/tenant",
                "/tenant/.well-known/openid-configuration",
                "/tenant/.well-known/jwks.json",
            ),
        ] {
            let Ok(url) = IssuerUrl::parse(issuer) else { panic!("{issuer}") };
            assert_eq!(&**url.text(), issuer);
            assert_eq!(url.authorization_server_metadata_path(), authorization_server);
            assert_eq!(url.openid_configuration_path(), openid);
            assert_eq!(url.jwks_path(), jwks);
        }
    }

    #[test]
    fn names_that_can_be_written_in_two_ways_are_refused() {
        for bad in [
            "",
            "api.example.com",
            "ftp://a.example/",
            "mailto:a@b.example",
            "https://a.example/?x",
            "https://a.example/#x",
            "https://user@a.example/",
            "https://A.example/",
            "https://a.example:443/",
            "https://a.example/x/../y",
            "https://a.example//x",
            "https://a.example/x//",
            "https://a.example/%41",
            "https://a.example/{x}",
            " https://a.example/",
        ] {
            assert!(IssuerUrl::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_clear_text_beyond_this_machine_is_pointed_out() {
        for (issuer, in_clear) in [
            ("https://a.example/", false),
            ("http://a.example/", true),
            ("http://127.0.0.1:8080/", false),
            ("http://[::1]:8080", false),
            ("http://localhost:8080", false),
            ("http://localhost.example", true),
        ] {
            let Ok(url) = IssuerUrl::parse(issuer) else { panic!("{issuer}") };
            assert_eq!(url.is_in_clear(), in_clear, "{issuer}");
        }
    }

    #[test]
    fn urls_keep_the_port() {
        let Ok(url) = IssuerUrl::parse("http://127.0.0.1:8080/issuer") else { panic!() };
        assert_eq!(url.at(None, "/oauth/token"), "http://127.0.0.1:8080/oauth/token");
        assert_eq!(url.at(Some("id.example"), "/oauth/token"), "http://id.example:8080/oauth/token");
    }
}
