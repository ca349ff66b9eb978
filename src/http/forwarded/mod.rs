//! Owns: telling the upstream who asked (`Forwarded`, RFC 7239, and `X-Forwarded-For`, `-Proto`, `-Host`), and finding out
//! who that is when proxies stand before us.
//! Refuses: believing such fields from anybody but a trusted network.
//! Always holds: the last hop named is the peer that we saw ourselves; both notations tell of the same hops.

mod node;

use std::{fmt::Write as _, net::IpAddr};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};
use ipnet::IpNet;

use super::{FieldLines as _, Fields, NormalHost};

use self::node::Node;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// How a request came to us.
#[derive(Clone, Copy, Debug)]
pub struct Hop<'a> {
    /// The other end of the connection.
    pub peer: IpAddr,
    /// Whether the connection is under TLS.
    pub tls: bool,
    /// The host asked for.
    pub host: &'a NormalHost,
}

/// The hop that we saw ourselves, in the words in which the upstream is told of it.
#[derive(Clone, Debug)]
pub struct OwnHop {
    peer: IpAddr,
    /// As an element of `Forwarded`; `address` is a piece of it and shares its memory.
    element: HeaderValue,
    address: HeaderValue,
    scheme: HeaderValue,
    host: HeaderValue,
}

/// Rewrites the forwarding fields of a request, and returns the address of whoever made it: the peer, or, as long as the
/// hops are in `trusted` networks, the one that the hop names as the one before it.
///
/// What came from an untrusted peer is dropped. What came from a trusted one is kept and added to; if it came in both
/// notations and they name different callers, one of them was let through unread by the proxy, and neither is believed.
pub fn rewrite(fields: &mut Fields, hop: &Hop<'_>, trusted: &[IpNet]) -> IpAddr {
    OwnHop::new(hop).add_to(fields, trusted)
}

impl OwnHop {
    /// What is told of this hop. It is the same for all requests that come on one connection and ask for one host.
    #[must_use]
    pub fn new(hop: &Hop<'_>) -> Self {
        let peer = hop.peer.to_canonical();
        let mut text = String::with_capacity(96);
        write_node(&mut text, Some(peer));
        // Between `for=` or `for="[` and what closes it.
        let address = if peer.is_ipv6() { 6..text.len().saturating_sub(2) } else { 4..text.len() };
        let host = hop.host.header_value().to_str().unwrap_or_default();
        // RFC 7239 section 4: a value with a colon or bracket is no token and must be quoted.
        let quote = if host.contains([':', '[']) { "\"" } else { "" };
        for piece in [";host=", quote, host, quote, ";proto=", scheme(hop.tls)] {
            text.push_str(piece);
        }
        let element = Bytes::from(text);
        Self {
            peer,
            address: value(element.slice(address)),
            element: value(element),
            scheme: HeaderValue::from_static(scheme(hop.tls)),
            host: hop.host.header_value().clone(),
        }
    }

    /// Rewrites the forwarding fields of a request that came by this hop; see [`rewrite`].
    pub fn add_to(&self, fields: &mut Fields, trusted: &[IpNet]) -> IpAddr {
        let peer = self.peer;
        let past = if is_trusted(peer, trusted) { Past::read(fields, peer, trusted) } else { Past::none(peer) };
        if !past.believed {
            fields.keep(|name| !is_of_forwarding(name));
            fields.append(header::FORWARDED, self.element.clone());
            fields.append(X_FORWARDED_FOR, self.address.clone());
            fields.append(X_FORWARDED_PROTO, self.scheme.clone());
            fields.append(X_FORWARDED_HOST, self.host.clone());
            return past.caller;
        }
        fields.keep(|name| !is_never_told(name));
        let (element, address) = match past.nodes {
            None => (self.element.clone(), self.address.clone()),
            Some(nodes) => {
                let elements = past.elements.unwrap_or_else(|| written(&nodes, write_node));
                let addresses = past.addresses.unwrap_or_else(|| written(&nodes, write_plain));
                (appended(elements, &self.element), appended(addresses, &self.address))
            }
        };
        fields.insert(header::FORWARDED, element);
        fields.insert(X_FORWARDED_FOR, address);
        if !is_scheme(single(fields, &X_FORWARDED_PROTO)) {
            fields.insert(X_FORWARDED_PROTO, self.scheme.clone());
        }
        if !is_host(single(fields, &X_FORWARDED_HOST)) {
            fields.insert(X_FORWARDED_HOST, self.host.clone());
        }
        past.caller
    }
}

/// The address of whoever made a request: what [`rewrite`] returns, with the fields left as they are.
#[must_use]
pub fn caller(fields: &Fields, peer: IpAddr, trusted: &[IpNet]) -> IpAddr {
    let peer = peer.to_canonical();
    if is_trusted(peer, trusted) { Past::read(fields, peer, trusted).caller } else { peer }
}

/// What is believed of the way that a request took before it came to us.
struct Past {
    /// Whether anything said by the peer is believed at all.
    believed: bool,
    /// Who made the request.
    caller: IpAddr,
    /// The hops before the peer, oldest first.
    nodes: Option<Vec<Node>>,
    /// `Forwarded` as it came, if it came.
    elements: Option<String>,
    /// `X-Forwarded-For` as it came, if it came.
    addresses: Option<String>,
}

impl Past {
    const fn none(peer: IpAddr) -> Self {
        Self { believed: false, caller: peer, nodes: None, elements: None, addresses: None }
    }

    fn read(fields: &Fields, peer: IpAddr, trusted: &[IpNet]) -> Self {
        let standard = node::forwarded(fields, &header::FORWARDED);
        let customary = node::x_forwarded_for(fields, &X_FORWARDED_FOR);
        let broken = standard.is_none() && fields.contains(&header::FORWARDED)
            || customary.is_none() && fields.contains(&X_FORWARDED_FOR);
        let caller = |nodes: &Option<Vec<Node>>| nodes.as_ref().map(|nodes| caller_among(nodes, peer, trusted));
        let (first, second) = (caller(&standard), caller(&customary));
        if broken || first.is_some() && second.is_some() && first != second {
            return Self::none(peer);
        }
        Self {
            believed: true,
            caller: first.or(second).unwrap_or(peer),
            elements: standard.is_some().then(|| joined(fields, &header::FORWARDED)),
            addresses: customary.is_some().then(|| joined(fields, &X_FORWARDED_FOR)),
            nodes: standard.or(customary),
        }
    }
}

/// What says of a hop anything at all.
fn is_of_forwarding(name: &HeaderName) -> bool {
    let is_told = matches!(name.as_str(), "forwarded" | "x-forwarded-for" | "x-forwarded-proto" | "x-forwarded-host");
    is_told || is_never_told(name)
}

/// What says of a hop what nobody here reads or writes.
fn is_never_told(name: &HeaderName) -> bool {
    matches!(name.as_str(), "x-forwarded-port" | "x-real-ip")
}

/// Walks the hops from the nearest to the oldest, as long as each is trusted to name the one before it.
fn caller_among(nodes: &[Node], peer: IpAddr, trusted: &[IpNet]) -> IpAddr {
    let mut caller = peer;
    for node in nodes.iter().rev() {
        let Some(address) = node else { break };
        caller = *address;
        if !is_trusted(caller, trusted) {
            break;
        }
    }
    caller
}

fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|network| network.contains(&address))
}

fn written(nodes: &[Node], write: fn(&mut String, Node)) -> String {
    let mut text = String::new();
    for &node in nodes {
        if !text.is_empty() {
            text.push_str(", ");
        }
        write(&mut text, node);
    }
    text
}

/// As an element of `Forwarded` (RFC 7239 section 6).
fn write_node(text: &mut String, node: Node) {
    // Writing to a String does not fail.
    let _infallible = match node {
        Some(IpAddr::V4(address)) => write!(text, "for={address}"),
        Some(IpAddr::V6(address)) => write!(text, "for=\"[{address}]\""),
        None => text.write_str("for=unknown"),
    };
}

/// As a member of `X-Forwarded-For`.
fn write_plain(text: &mut String, node: Node) {
    let _infallible = match node {
        Some(address) => write!(text, "{address}"),
        None => text.write_str("unknown"),
    };
}

fn joined(fields: &Fields, name: &HeaderName) -> String {
    let lines: Vec<&str> = fields.lines(name).filter_map(node::text).collect();
    lines.join(", ")
}

fn appended(mut past: String, own: &HeaderValue) -> HeaderValue {
    past.push_str(", ");
    past.push_str(own.to_str().unwrap_or_default());
    value(Bytes::from(past))
}

/// It is made of addresses and of what was a header value before; were it none, `unknown` says so, and no stranger's word stays.
fn value(text: Bytes) -> HeaderValue {
    HeaderValue::from_maybe_shared(text).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}

fn single<'a>(fields: &'a Fields, name: &HeaderName) -> Option<&'a str> {
    fields.only(name).and_then(node::text)
}

fn is_scheme(value: Option<&str>) -> bool {
    matches!(value, Some("http" | "https"))
}

fn is_host(value: Option<&str>) -> bool {
    value.is_some_and(|host| NormalHost::parse(host).is_ok())
}

const fn scheme(tls: bool) -> &'static str {
    if tls { "https" } else { "http" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forward(peer: &str, host: &str, fields: &[(&'static str, &str)]) -> (String, Fields) {
        let field = |&(name, value): &(&'static str, &str)| (HeaderName::from_static(name), value.parse().unwrap());
        let mut fields: Fields = fields.iter().map(field).collect();
        let host = NormalHost::parse(host).unwrap();
        let hop = Hop { peer: peer.parse().unwrap(), tls: true, host: &host };
        let trusted: Vec<IpNet> = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap()).to_vec();
        let caller = rewrite(&mut fields, &hop, &trusted).to_string();
        for name in ["forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"] {
            assert_eq!(fields.lines(&HeaderName::from_static(name)).count(), 1, "{name}");
        }
        (caller, fields)
    }

    #[test]
    fn a_strangers_word_is_dropped() {
        let (caller, fields) = forward(
            "192.0.2.1",
            "A.example",
            &[
                ("forwarded", "for=1.1.1.1"),
                ("x-forwarded-for", "1.1.1.1"),
                ("x-forwarded-for", "10.0.0.1"),
                ("x-forwarded-proto", "http"),
                ("x-forwarded-host", "evil"),
                ("x-forwarded-port", "1"),
                ("x-real-ip", "1.1.1.1"),
            ],
        );
        assert_eq!(caller, "192.0.2.1");
        assert_eq!(&fields["forwarded"], "for=192.0.2.1;host=a.example;proto=https");
        assert_eq!(&fields["x-forwarded-for"], "192.0.2.1");
        assert_eq!(&fields["x-forwarded-proto"], "https");
        assert_eq!(&fields["x-forwarded-host"], "a.example");
        assert_eq!(fields.len(), 4);
    }

    #[test]
    fn addresses_and_hosts_with_colons_are_quoted() {
        let (caller, fields) = forward("2001:db8::1", "[::1]:8443", &[]);
        assert_eq!(caller, "2001:db8::1");
        assert_eq!(&fields["forwarded"], r#"for="[2001:db8::1]";host="[::1]:8443";proto=https"#);
        assert_eq!(&fields["x-forwarded-for"], "2001:db8::1");
        let (caller, fields) = forward("::ffff:192.0.2.1", "a", &[]);
        assert_eq!((caller.as_str(), &fields["x-forwarded-for"]), ("192.0.2.1", "192.0.2.1"));
    }

    #[test]
    fn a_trusted_proxys_word_is_added_to() {
        let (caller, fields) = forward(
            "10.0.0.1",
            "a",
            &[
                ("x-forwarded-for", "1.1.1.1, 192.0.2.7"),
                ("x-forwarded-for", "10.0.0.2"),
                ("x-forwarded-proto", "http"),
                ("x-forwarded-host", "outside.example"),
            ],
        );
        assert_eq!(caller, "192.0.2.7", "the right-most untrusted one");
        assert_eq!(&fields["x-forwarded-for"], "1.1.1.1, 192.0.2.7, 10.0.0.2, 10.0.0.1");
        assert_eq!(&fields["forwarded"], "for=1.1.1.1, for=192.0.2.7, for=10.0.0.2, for=10.0.0.1;host=a;proto=https");
        assert_eq!((&fields["x-forwarded-proto"], &fields["x-forwarded-host"]), ("http", "outside.example"));

        let (caller, fields) =
            forward("fd00::1", "a", &[("forwarded", "for=192.0.2.7;by=_x, for=unknown, for=10.0.0.2")]);
        assert_eq!(caller, "10.0.0.2", "it did not say whom it had it from");
        assert_eq!(&fields["x-forwarded-for"], "192.0.2.7, unknown, 10.0.0.2, fd00::1");
        assert_eq!(
            &fields["forwarded"],
            r#"for=192.0.2.7;by=_x, for=unknown, for=10.0.0.2, for="[fd00::1]";host=a;proto=https"#
        );
    }

    #[test]
    fn two_notations_must_agree() {
        let (caller, fields) =
            forward("10.0.0.1", "a", &[("forwarded", "for=1.1.1.1"), ("x-forwarded-for", "192.0.2.7")]);
        assert_eq!((caller.as_str(), &fields["x-forwarded-for"]), ("10.0.0.1", "10.0.0.1"));
        let (caller, _) = forward("10.0.0.1", "a", &[("forwarded", "for=1.1.1.1"), ("x-forwarded-for", "1.1.1.1")]);
        assert_eq!(caller, "1.1.1.1");
    }

    #[test]
    fn what_a_trusted_proxy_garbled_is_not_believed() {
        let (caller, fields) =
            forward("10.0.0.1", "a", &[("forwarded", "for=1.1.1.1;"), ("x-forwarded-proto", "http")]);
        assert_eq!(caller, "10.0.0.1");
        assert_eq!(&fields["forwarded"], "for=10.0.0.1;host=a;proto=https");
        assert_eq!(&fields["x-forwarded-proto"], "https");
        let (_, fields) = forward("10.0.0.1", "a", &[("x-forwarded-proto", "javascript"), ("x-forwarded-host", "a b")]);
        assert_eq!((&fields["x-forwarded-proto"], &fields["x-forwarded-host"]), ("https", "a"));
        assert_eq!(&fields["x-forwarded-for"], "10.0.0.1");
    }
}
