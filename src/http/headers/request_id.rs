//! Owns: the id under which a request is found again in every log.
//! Refuses: two ids, and one that could break a log line.

use http::HeaderName;

use crate::{clock::UnixTime, http::Fields, id::RequestId};

/// The field that carries the request id, both ways.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The caller's request id if there is exactly one and it is sane, otherwise a new one of a request that begins `now`.
#[must_use]
pub fn request_id(fields: &Fields, now: UnixTime) -> RequestId {
    let sane = fields.only(&X_REQUEST_ID).and_then(RequestId::parse);
    sane.unwrap_or_else(|| RequestId::generate(now.as_milliseconds()))
}

/// Makes `fields` carry `id` and no other id.
pub fn set_request_id(fields: &mut Fields, id: &RequestId) {
    fields.insert(X_REQUEST_ID, id.header_value().clone());
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn settled(given: &[&str]) -> String {
        let field = |id: &&str| (X_REQUEST_ID, HeaderValue::from_bytes(id.as_bytes()).unwrap());
        let mut fields: Fields = given.iter().map(field).collect();
        let id = request_id(&fields, UnixTime::from_seconds(1));
        set_request_id(&mut fields, &id);
        assert_eq!(fields.only(&X_REQUEST_ID), Some(id.as_str().as_bytes()));
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
