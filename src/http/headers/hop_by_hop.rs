//! Owns: taking out the fields that are meant for one connection only (RFC 9110 section 7.6.1).
//! Always holds: what belongs to the message's framing or its target is not taken out on a caller's word. Whatever the
//! gateway adds is added after this, so no `Connection` field can name it away.

use http::{HeaderName, HeaderValue, header};

use super::connection::list_members;
use crate::http::{FieldLines as _, Fields};

/// Takes the hop-by-hop fields out of a request. `TE` is kept as `trailers` if it says so, which gRPC needs. With
/// `upgrade`, `Upgrade` is kept and `Connection` says `upgrade` afterwards; see [`super::requested_upgrade`].
pub fn strip_hop_by_hop_from_request(fields: &mut Fields, upgrade: bool) {
    // RFC 9110 section 10.1.4: every other member says what the caller's own connection can carry.
    let trailers = list_members(fields, &header::TE).any(|member| member.eq_ignore_ascii_case(b"trailers"));
    strip(fields, upgrade);
    if trailers {
        fields.insert(header::TE, const { HeaderValue::from_static("trailers") });
    }
}

/// Takes the hop-by-hop fields out of a response. With `upgrade` (a 101 to a request that asked for it), `Upgrade` is kept
/// and `Connection` says `upgrade` afterwards.
pub fn strip_hop_by_hop_from_response(fields: &mut Fields, upgrade: bool) {
    strip(fields, upgrade);
}

/// Fields of one connection, whether `Connection` names them or not.
fn is_for_one_connection(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "http2-settings"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Fields that `Connection` cannot name away: they are for every recipient, and without them the message would be another.
/// (`Authorization` is taken out by the route's own rule, or kept by it; `TE` and `Upgrade` are treated by themselves.)
fn may_be_named_away(name: &HeaderName) -> bool {
    !matches!(name.as_str(), "authorization" | "content-length" | "host" | "te" | "upgrade")
}

fn strip(fields: &mut Fields, upgrade: bool) {
    if !fields.lines(&header::CONNECTION).all(|value| value == b"keep-alive") {
        let named = named(fields);
        let is_named =
            |name: &HeaderName| named.binary_search_by(|member| (**member).cmp(name.as_str().as_bytes())).is_ok();
        fields.keep(|name| !is_named(name) || !may_be_named_away(name));
    }
    fields.keep(|name| !is_for_one_connection(name) || (upgrade && *name == header::UPGRADE));
    if upgrade && fields.contains(&header::UPGRADE) {
        fields.insert(header::CONNECTION, const { HeaderValue::from_static("upgrade") });
    }
}

/// What `Connection` names, in lower case and sorted, each once: a caller may name very many, and send very many fields.
fn named(fields: &Fields) -> Vec<Box<[u8]>> {
    let mut named: Vec<Box<[u8]>> =
        list_members(fields, &header::CONNECTION).map(|member| member.to_ascii_lowercase().into()).collect();
    named.sort_unstable();
    named.dedup();
    named
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn map(fields: &[(&'static str, &'static str)]) -> Fields {
        fields.iter().map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    fn names(fields: &Fields) -> Vec<&str> {
        let mut names: Vec<&str> = fields.names().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    const ALL: [(&str, &str); 11] = [
        ("connection", "keep-alive, X-Named ,, \u{7f}bad"),
        ("connection", "x-also-named"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "close"),
        ("te", "gzip;q=0.5, Trailers"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
        ("proxy-authenticate", "Basic"),
        ("proxy-authorization", "Basic x"),
        ("http2-settings", "AAMAAABk"),
        ("trailer", "grpc-status"),
    ];

    fn all() -> Fields {
        let mut fields = map(&[("x-named", "1"), ("x-also-named", "1"), ("x-kept", "1"), ("host", "a")]);
        for (name, value) in ALL {
            let value = HeaderValue::from_bytes(value.replace('\u{7f}', "(").as_bytes()).unwrap();
            fields.append(HeaderName::from_static(name), value);
        }
        fields
    }

    #[test]
    fn what_is_for_one_connection_goes_no_further() {
        let mut fields = all();
        strip_hop_by_hop_from_request(&mut fields, false);
        assert_eq!(names(&fields), ["host", "te", "trailer", "x-kept"]);
        assert_eq!(fields.only(&header::TE), Some(&b"trailers"[..]));

        let mut fields = all();
        strip_hop_by_hop_from_response(&mut fields, false);
        assert_eq!(names(&fields), ["host", "trailer", "x-kept"]);
    }

    #[test]
    fn an_upgrade_keeps_what_it_needs() {
        let mut fields = all();
        strip_hop_by_hop_from_request(&mut fields, true);
        assert_eq!(names(&fields), ["connection", "host", "te", "trailer", "upgrade", "x-kept"]);
        assert_eq!(fields.only(&header::CONNECTION), Some(&b"upgrade"[..]));
        let mut fields = map(&[("connection", "upgrade")]);
        strip_hop_by_hop_from_response(&mut fields, true);
        assert_eq!(names(&fields), [""; 0], "nothing to upgrade to");
    }

    #[test]
    fn te_without_trailers_goes() {
        let mut fields = map(&[("te", "gzip"), ("te", "trailersx")]);
        strip_hop_by_hop_from_request(&mut fields, false);
        assert!(fields.is_empty());
    }

    #[test]
    fn framing_and_target_cannot_be_named_away() {
        let mut fields = map(&[
            ("connection", "host, content-length, authorization, te"),
            ("host", "a"),
            ("content-length", "1"),
            ("authorization", "x"),
            ("te", "trailers"),
        ]);
        strip_hop_by_hop_from_request(&mut fields, false);
        assert_eq!(names(&fields), ["authorization", "content-length", "host", "te"]);
    }

    proptest! {
        /// Strip first, add after: no `Connection` field takes away what the gateway adds.
        #[test]
        fn what_is_added_later_stays(connection in "(x-client-id|authorization|x-request-id|forwarded|,|[ -~]){0,8}") {
            let mut fields = map(&[("x-client-id", "spoofed")]);
            fields.insert(header::CONNECTION, HeaderValue::from_str(&connection).unwrap());
            strip_hop_by_hop_from_request(&mut fields, false);
            prop_assert!(!fields.contains(&header::CONNECTION));
            for added in ["x-client-id", "x-request-id", "forwarded"] {
                fields.insert(HeaderName::from_static(added), HeaderValue::from_static("ours"));
            }
            strip_hop_by_hop_from_request(&mut fields, false);
            prop_assert_eq!(names(&fields), ["forwarded", "x-client-id", "x-request-id"]);
            prop_assert!(fields.iter().all(|(_, value)| value == b"ours"));
        }
    }
}
