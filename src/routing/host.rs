//! Owns: the host part of a route: one host, every name below one, or any.

use crate::http::{HostError, NormalHost};

/// Which hosts a route answers for. Ports play no part.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostPattern {
    /// This host only; in normal form.
    Exact(Box<str>),
    /// Every name below this one, at any depth, but not this one itself; in normal form.
    Below(Box<str>),
    /// Every host.
    Any,
}

impl HostPattern {
    /// Reads a host, or `*.` and a host.
    ///
    /// # Errors
    /// What is wrong, and what to write instead.
    pub(super) fn parse(text: &str) -> Result<Self, (String, String)> {
        let (name, below) = text.strip_prefix("*.").map_or((text, false), |name| (name, true));
        if name.contains('*') || name.is_empty() {
            return Err((
                format!("`{text}` is no host pattern: a `*` stands only at the beginning, before a dot and a name"),
                "write a host like `api.example.com`, `*.example.com` for all names below, or no host for any"
                    .to_owned(),
            ));
        }
        let host = NormalHost::parse(name).map_err(|error| malformed(text, error))?;
        if let Some(port) = host.port() {
            return Err((
                format!("the host `{text}` has a port, which routes do not look at"),
                format!("leave `:{port}` out"),
            ));
        }
        if below && (host.as_str().starts_with('[') || host.as_str().parse::<std::net::Ipv4Addr>().is_ok()) {
            return Err((
                format!("`{text}` is no host pattern: there are no names below an address"),
                format!("write the address by itself: `{host}`"),
            ));
        }
        let name = host.as_str().into();
        Ok(if below { Self::Below(name) } else { Self::Exact(name) })
    }
}

fn malformed(text: &str, error: HostError) -> (String, String) {
    let remedy = if text.is_ascii() {
        "write a host name like `api.example.com`, or an address; IPv6 in brackets"
    } else {
        "write an international name in its ASCII form, which begins with `xn--`"
    };
    (format!("`{text}` is no host: {error}"), remedy.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_brought_into_normal_form() {
        assert_eq!(HostPattern::parse("API.example.com."), Ok(HostPattern::Exact("api.example.com".into())));
        assert_eq!(HostPattern::parse("*.Example.com"), Ok(HostPattern::Below("example.com".into())));
        assert_eq!(HostPattern::parse("[::1]"), Ok(HostPattern::Exact("[::1]".into())));
    }

    #[test]
    fn what_no_request_could_match_is_refused() {
        for bad in
            ["", "*", "*.", "a.*.b", "*a.b", "a:80", "*.10.0.0.1", "*.[::1]", "http://a", "caf\u{e9}.example", "a/b"]
        {
            assert!(HostPattern::parse(bad).is_err(), "{bad}");
        }
    }
}
