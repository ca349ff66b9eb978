//! Owns: the id under which a request is found again in every log.
//! Refuses: two ids, and one that could break a log line.

use http::{HeaderMap, HeaderName};

use crate::{clock::UnixTime, id::RequestId};

/// The field that carries the request id, both ways.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The caller's request id if there is exactly one and it is sane, otherwise a new one of a request that begins `now`.
#[must_use]
pub fn request_id(headers: &HeaderMap, now: UnixTime) -> RequestId {
    let generate = || RequestId::generate(now.as_milliseconds());
    let mut fields = headers.get_all(X_REQUEST_ID).iter();
    match (fields.next(), fields.next()) {
        (Some(only), None) => RequestId::parse(only.as_bytes()).unwrap_or_else(generate),
        _ => generate(),
    }
}

/// Makes `headers` carry `id` and no other id.
pub fn set_request_id(headers: &mut HeaderMap, id: &RequestId) {
    headers.insert(X_REQUEST_ID, id.header_value().clone());
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn settled(given: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for id in given {
            headers.append(X_REQUEST_ID, HeaderValue::from_bytes(id.as_bytes()).unwrap());
        }
        let id = request_id(&headers, UnixTime::from_seconds(1));
        set_request_id(&mut headers, &id);
        assert_eq!(headers.get_all(X_REQUEST_ID).iter().collect::<Vec<_>>(), [id.as_str()]);
        id.to_string()
    }

    #[test]
    fn one_sane_id_is_kept() {
        assert_eq!(settled(&["abc-1"]), "abc-1");
    }

    #[test]
    fn none_two_or_a_bad_one_are_replaced() {
        for given in [&[][..], &["a", "a"], &["a b"], &[""], &["caf\u{e9}"]] {
            assert!(!given.contains(&settled(given).as_str()));
        }
    }
}
