//! Owns: reading the `Connection` field and the upgrade it may ask for.
//! Refuses: every upgrade but to WebSocket. `h2c` above all, through which a caller could speak to the upstream past the
//! gateway; ignoring an `Upgrade` is always right (RFC 9110 section 7.8).

use http::{HeaderName, Method, header};

use crate::http::{FieldLines as _, Fields, RequestHead};

/// The values of a field that is a comma-separated list, over all of its lines (RFC 9110 section 5.6.1).
pub(super) fn list_members<'a>(fields: &'a Fields, name: &'a HeaderName) -> impl Iterator<Item = &'a [u8]> {
    fields.lines(name).flat_map(|value| value.split(|&byte| byte == b',')).map(<[u8]>::trim_ascii)
}

/// Whether `Connection` has the option, like `close` or `upgrade`, in any case (RFC 9110 section 7.6.1).
#[must_use]
pub fn names_connection_option(fields: &Fields, option: &str) -> bool {
    list_members(fields, &header::CONNECTION).any(|member| member.eq_ignore_ascii_case(option.as_bytes()))
}

/// The protocol that an HTTP/1.1 request asks to switch to, if it is WebSocket (RFC 6455 section 4.1): a `GET` with
/// `Connection: upgrade` and exactly `Upgrade: websocket`.
#[must_use]
pub fn requested_upgrade(request: &RequestHead) -> Option<&[u8]> {
    let field = request.fields.only(&header::UPGRADE)?;
    let asked = request.version == http::Version::HTTP_11
        && request.method == Method::GET
        && field.eq_ignore_ascii_case(b"websocket")
        && names_connection_option(&request.fields, "upgrade");
    asked.then_some(field)
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Request};

    use super::*;

    fn upgrade(method: &str, connection: &str, protocols: &[&str]) -> bool {
        let mut request = Request::builder().method(method).header("connection", connection);
        for protocol in protocols {
            request = request.header("upgrade", *protocol);
        }
        requested_upgrade(&request.body(()).unwrap().into_parts().0.into()).is_some()
    }

    #[test]
    fn only_websocket_is_an_upgrade() {
        assert!(upgrade("GET", "keep-alive, Upgrade", &["WebSocket"]));
        assert!(!upgrade("POST", "upgrade", &["websocket"]));
        assert!(!upgrade("GET", "keep-alive", &["websocket"]));
        assert!(!upgrade("GET", "upgrade", &[]));
        assert!(!upgrade("GET", "upgrade, http2-settings", &["h2c"]));
        assert!(!upgrade("GET", "upgrade", &["websocket, h2c"]));
        assert!(!upgrade("GET", "upgrade", &["websocket", "h2c"]));
    }

    #[test]
    fn connection_options_are_found_in_every_line_and_case() {
        let lines = ["keep-alive", "x,\tCLOSE "];
        let fields = Fields::from_iter(lines.map(|line| (header::CONNECTION, HeaderValue::from_static(line))));
        assert!(names_connection_option(&fields, "close"));
        assert!(!names_connection_option(&fields, "clos"));
    }
}
