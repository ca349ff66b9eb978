//! Owns: the id under which a request is found again in every log.
//! Refuses: two ids, and one that could break a log line.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::id::RequestId;

/// The field that carries the request id, both ways.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The caller's request id if there is exactly one and it is sane, otherwise a new one.
#[must_use]
pub fn request_id(headers: &HeaderMap) -> RequestId {
    let mut fields = headers.get_all(X_REQUEST_ID).iter();
    match (fields.next(), fields.next()) {
        (Some(only), None) => RequestId::parse(only.as_bytes()).unwrap_or_else(RequestId::generate),
        _ => RequestId::generate(),
    }
}

/// Makes `headers` carry `id` and no other id. Leaves them alone if they do already.
pub fn set_request_id(headers: &mut HeaderMap, id: &RequestId) {
    let mut fields = headers.get_all(X_REQUEST_ID).iter();
    if fields.next().is_some_and(|field| field == id.as_str()) && fields.next().is_none() {
        return;
    }
    match HeaderValue::from_str(id.as_str()) {
        Ok(value) => headers.insert(X_REQUEST_ID, value),
        // An id is a valid header value by its own rule; were it not, none is better than a stranger's.
        Err(_) => headers.remove(X_REQUEST_ID),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(given: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for id in given {
            headers.append(X_REQUEST_ID, HeaderValue::from_bytes(id.as_bytes()).unwrap());
        }
        let id = request_id(&headers);
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
