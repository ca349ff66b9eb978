//! Owns: reading who forwarded what: the lists in `Forwarded` (RFC 7239 section 4) and `X-Forwarded-For`.
//! Refuses: a `Forwarded` field that breaks its grammar anywhere: then none of it is believed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::HeaderName;

use crate::http::{
    FieldLines as _, Fields,
    grammar::{is_token, is_token_character},
};

/// One hop of a chain: its address, or `None` if it did not say one (`unknown`, `_hidden`, something else).
pub(super) type Node = Option<IpAddr>;

/// The hops of `X-Forwarded-For`, oldest first, over all lines.
pub(super) fn x_forwarded_for(fields: &Fields, name: &HeaderName) -> Option<Vec<Node>> {
    let mut nodes = Vec::new();
    for field in fields.lines(name) {
        nodes.extend(text(field)?.split(',').map(|node| address(node.trim())));
    }
    (!nodes.is_empty()).then_some(nodes)
}

/// The hops of `Forwarded`, oldest first, over all lines.
pub(super) fn forwarded(fields: &Fields, name: &HeaderName) -> Option<Vec<Node>> {
    let mut nodes = Vec::new();
    for field in fields.lines(name) {
        let mut rest = text(field)?;
        loop {
            let (node, after) = element(rest)?;
            nodes.push(node);
            match after.strip_prefix(',') {
                Some(next) => rest = next,
                None if after.is_empty() => break,
                None => return None,
            }
        }
    }
    (!nodes.is_empty()).then_some(nodes)
}

/// A field's value as text, if it is ASCII.
pub(super) fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok().filter(|text| text.is_ascii())
}

/// Reads one element, `for=...;proto=...`, up to a comma or the end.
fn element(text: &str) -> Option<(Node, &str)> {
    let mut node = None;
    let mut named_for = false;
    let mut rest = text.trim_start();
    loop {
        let (name, after) = rest.split_once('=')?;
        if !is_token(name.as_bytes()) {
            return None;
        }
        let (value, after) = value(after)?;
        if name.eq_ignore_ascii_case("for") {
            // RFC 7239 section 4: each parameter at most once an element.
            if std::mem::replace(&mut named_for, true) {
                return None;
            }
            node = address(value);
        }
        let after = after.trim_start();
        match after.strip_prefix(';') {
            Some(next) => rest = next.trim_start(),
            None => return Some((node, after)),
        }
    }
}

/// A token or a quoted string. Quoted pairs are refused: no address needs one.
fn value(text: &str) -> Option<(&str, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        return quoted.split_once('"').filter(|(value, _)| !value.contains('\\'));
    }
    let end = text.bytes().position(|byte| !is_token_character(byte)).unwrap_or(text.len());
    text.split_at_checked(end).filter(|(value, _)| !value.is_empty())
}

/// An address with or without brackets and port.
fn address(text: &str) -> Node {
    let host = match text.strip_prefix('[') {
        Some(bracketed) => {
            let (inner, port) = bracketed.split_once(']')?;
            let address: Ipv6Addr = inner.parse().ok()?;
            return (port.is_empty() || is_port(port)).then_some(IpAddr::V6(address).to_canonical());
        }
        None => text,
    };
    if let Ok(address) = host.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    let (host, _port) = host.split_at_checked(host.find(':')?).filter(|(_, port)| is_port(port))?;
    host.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
}

fn is_port(text: &str) -> bool {
    text.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Option<Vec<Option<String>>> {
        let fields = Fields::from_iter([(http::header::FORWARDED, text.parse().unwrap())]);
        let nodes = forwarded(&fields, &http::header::FORWARDED)?;
        Some(nodes.into_iter().map(|node| node.map(|address| address.to_string())).collect())
    }

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(read(r#"for="_gazonk""#), Some(vec![None]));
        assert_eq!(read(r#"For="[2001:db8:cafe::17]:4711""#), Some(vec![some("2001:db8:cafe::17")]));
        assert_eq!(read("for=192.0.2.60;proto=http;by=203.0.113.43"), Some(vec![some("192.0.2.60")]));
        assert_eq!(read("for=192.0.2.43, for=198.51.100.17"), Some(vec![some("192.0.2.43"), some("198.51.100.17")]));
        assert_eq!(read(r#"for="192.0.2.1:80" ; host="a,b;c" ,proto=https"#), Some(vec![some("192.0.2.1"), None]));
        assert_eq!(read("for=unknown"), Some(vec![None]));
    }

    #[test]
    fn a_broken_field_is_not_believed() {
        for broken in
            ["", "for", "for=", "for=1.1.1.1,", "for=\"1.1.1.1", "for=1.1.1.1 x", "for=[::1]", "for=a;for=b", "=a"]
        {
            assert_eq!(read(broken), None, "{broken}");
        }
    }

    #[test]
    fn addresses_are_read_in_every_usual_spelling() {
        let read = |text| address(text).map(|address| address.to_string());
        assert_eq!(read("::ffff:10.0.0.1").as_deref(), Some("10.0.0.1"));
        assert_eq!(read("10.0.0.1:80").as_deref(), Some("10.0.0.1"));
        assert_eq!(read("[::1]").as_deref(), Some("::1"));
        assert_eq!(read("::1").as_deref(), Some("::1"));
        for bad in ["", "a", "10.0.0.1:x", "10.0.0.1:", "[::1", "[::1]x", "[10.0.0.1]", "10.0.0"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in "[ -~]{0,24}|(for|=|\"|\\[|\\]|:|1\\.1\\.1\\.1|;|,| ){0,12}") {
            drop(read(&text));
            let _read = address(&text);
        }
    }
}
