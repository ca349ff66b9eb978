//! Owns: taking out the fields that are meant for one connection only (RFC 9110 section 7.6.1).
//! Always holds: what belongs to the message's framing or its target is not taken out on a caller's word. Whatever the
//! gateway adds is added after this, so no `Connection` field can name it away.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::connection::list_members;

/// Takes the hop-by-hop fields out of a request. `TE` is kept as `trailers` if it says so, which gRPC needs. With
/// `upgrade`, `Upgrade` is kept and `Connection` says `upgrade` afterwards; see [`super::requested_upgrade`].
pub fn strip_hop_by_hop_from_request(headers: &mut HeaderMap, upgrade: bool) {
    if !headers.keys().any(is_for_one_connection) {
        return;
    }
    // RFC 9110 section 10.1.4: every other member says what the caller's own connection can carry.
    let trailers = list_members(headers, header::TE).any(|member| member.eq_ignore_ascii_case(b"trailers"));
    strip(headers, upgrade);
    if trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
}

/// Takes the hop-by-hop fields out of a response. With `upgrade` (a 101 to a request that asked for it), `Upgrade` is kept
/// and `Connection` says `upgrade` afterwards.
pub fn strip_hop_by_hop_from_response(headers: &mut HeaderMap, upgrade: bool) {
    if headers.keys().any(is_for_one_connection) {
        strip(headers, upgrade);
    }
}

/// Fields of one connection, whether `Connection` names them or not. To look at the names that are there costs a quarter of the 1,100
/// instructions that it takes to hash those that hardly ever are.
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

fn strip(headers: &mut HeaderMap, upgrade: bool) {
    for name in named(headers) {
        headers.remove(name);
    }
    let goes = |name: &&HeaderName| is_for_one_connection(name) && !(upgrade && **name == header::UPGRADE);
    while let Some(name) = headers.keys().find(goes).cloned() {
        headers.remove(name);
    }
    if upgrade && headers.contains_key(header::UPGRADE) {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    }
}

/// The fields that `Connection` names away, of those that are there.
fn named(headers: &HeaderMap) -> Vec<HeaderName> {
    let is = |name: &HeaderName, member: &[u8]| name.as_str().as_bytes().eq_ignore_ascii_case(member);
    let there = |member| headers.keys().find(|name| is(name, member));
    // What nearly every message says, and what goes anyway.
    let members = list_members(headers, header::CONNECTION).filter(|member| *member != b"keep-alive");
    members.filter_map(there).filter(|name| may_be_named_away(name)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let field = |&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        let mut headers = HeaderMap::new();
        for (name, value) in fields.iter().map(field) {
            headers.append(name, value);
        }
        headers
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
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

    fn all() -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in ALL {
            headers.append(name, HeaderValue::from_bytes(value.replace('\u{7f}', "(").as_bytes()).unwrap());
        }
        headers.extend(map(&[("x-named", "1"), ("x-also-named", "1"), ("x-kept", "1"), ("host", "a")]));
        headers
    }

    #[test]
    fn what_is_for_one_connection_goes_no_further() {
        let mut headers = all();
        strip_hop_by_hop_from_request(&mut headers, false);
        assert_eq!(names(&headers), ["host", "te", "trailer", "x-kept"]);
        assert_eq!(headers["te"], "trailers");

        let mut headers = all();
        strip_hop_by_hop_from_response(&mut headers, false);
        assert_eq!(names(&headers), ["host", "trailer", "x-kept"]);
    }

    #[test]
    fn an_upgrade_keeps_what_it_needs() {
        let mut headers = all();
        strip_hop_by_hop_from_request(&mut headers, true);
        assert_eq!(names(&headers), ["connection", "host", "te", "trailer", "upgrade", "x-kept"]);
        assert_eq!(
            (&headers["connection"], headers.get_all("connection").iter().count()),
            (&"upgrade".parse().unwrap(), 1)
        );
        let mut headers = map(&[("connection", "upgrade")]);
        strip_hop_by_hop_from_response(&mut headers, true);
        assert_eq!(names(&headers), [""; 0], "nothing to upgrade to");
    }

    #[test]
    fn te_without_trailers_goes() {
        let mut headers = map(&[("te", "gzip"), ("te", "trailersx")]);
        strip_hop_by_hop_from_request(&mut headers, false);
        assert!(headers.is_empty());
    }

    #[test]
    fn framing_and_target_cannot_be_named_away() {
        let mut headers = map(&[
            ("connection", "host, content-length, authorization, te"),
            ("host", "a"),
            ("content-length", "1"),
            ("authorization", "x"),
            ("te", "trailers"),
        ]);
        strip_hop_by_hop_from_request(&mut headers, false);
        assert_eq!(names(&headers), ["authorization", "content-length", "host", "te"]);
    }

    proptest! {
        /// Strip first, add after: no `Connection` field takes away what the gateway adds.
        #[test]
        fn what_is_added_later_stays(connection in "(x-client-id|authorization|x-request-id|forwarded|,|[ -~]){0,8}") {
            let mut headers = map(&[("x-client-id", "spoofed")]);
            headers.insert("connection", HeaderValue::from_str(&connection).unwrap());
            strip_hop_by_hop_from_request(&mut headers, false);
            prop_assert!(!headers.contains_key("connection"));
            for added in ["x-client-id", "x-request-id", "forwarded"] {
                headers.insert(added, HeaderValue::from_static("ours"));
            }
            strip_hop_by_hop_from_request(&mut headers, false);
            prop_assert_eq!(names(&headers), ["forwarded", "x-client-id", "x-request-id"]);
            prop_assert!(headers.values().all(|value| value == "ours"));
        }
    }
}
