//! Owns: the form that a request must have on the wire of each protocol.
//! Refuses: CONNECT, which asks for a tunnel and not for a resource (RFC 9110 section 9.3.6).
//! Always holds: headers stay as the gateway wrote them, but for `Host` and `Cookie` where the protocol says it otherwise, and for
//! framing that would contradict the body. What was formed for one protocol can be formed again for the other.

use std::sync::Arc;

use http::{
    HeaderValue, Method, Uri, Version,
    header::{CONTENT_LENGTH, COOKIE, HOST, TRANSFER_ENCODING, UPGRADE},
    uri::{Authority, PathAndQuery},
};
use http_body::Body;

use super::{connect::Agreed, endpoint::Endpoint, error::ForwardError};
use crate::http::{FieldLines as _, Fields, Request, RequestHead};

/// Gives `request` the form of `protocol`.
pub(super) fn form<B: Body>(
    request: &mut Request<B>,
    protocol: Agreed,
    endpoint: &Endpoint,
) -> Result<(), ForwardError> {
    if request.head.method == Method::CONNECT {
        return Err(ForwardError::NotForwardable("CONNECT asks for a tunnel"));
    }
    if protocol == Agreed::Http2 && request.head.fields.contains(&UPGRADE) {
        // Without the field it would be asked for something else than the caller wants.
        let why = "it speaks HTTP/2, over which nobody is asked to upgrade";
        return Err(ForwardError::NotUpgraded { endpoint: Arc::clone(endpoint.label()), why });
    }
    frame(request);
    match protocol {
        Agreed::Http1 => form_http1(&mut request.head, endpoint),
        Agreed::Http2 => form_http2(&mut request.head, endpoint),
    }
}

/// Makes the headers that frame a body agree with the body there is: a length that promises more would make the upstream take the
/// next request for the rest of this one, and a body of unknown length is sent in chunks.
fn frame<B: Body>(request: &mut Request<B>) {
    let Request { head: RequestHead { fields, .. }, body } = request;
    say_length_once(fields);
    if body.is_end_stream() {
        if fields.first(&CONTENT_LENGTH).is_some_and(|length| length != b"0") {
            fields.remove(&CONTENT_LENGTH);
        }
    } else if body.size_hint().exact().is_none() && !is_framed(fields) {
        fields.append(TRANSFER_ENCODING, const { HeaderValue::from_static("chunked") });
    }
}

/// Over HTTP/2 a length may have been said twice, if alike, and not at all where a number should be.
fn say_length_once(fields: &mut Fields) {
    let Some(length) = fields.first(&CONTENT_LENGTH) else { return };
    if length.is_empty() {
        fields.remove(&CONTENT_LENGTH);
    } else if fields.only(&CONTENT_LENGTH).is_none() {
        let length = fields.first_owned(&CONTENT_LENGTH);
        fields.remove(&CONTENT_LENGTH);
        fields.extend(length.map(|length| (CONTENT_LENGTH, length)));
    }
}

fn is_framed(fields: &Fields) -> bool {
    fields.contains(&CONTENT_LENGTH) || fields.contains(&TRANSFER_ENCODING)
}

/// Origin form and a `Host` (RFC 9112 sections 3.2 and 3.2.1). The `Host` is the caller's; without one it is the authority of the
/// URI (an HTTP/2 request has only that), and without either the endpoint's.
fn form_http1(head: &mut RequestHead, endpoint: &Endpoint) -> Result<(), ForwardError> {
    head.version = Version::HTTP_11;
    join_cookies(&mut head.fields)?;
    if !head.fields.contains(&HOST) {
        let authority = head.uri.authority().unwrap_or(endpoint.authority());
        let host = HeaderValue::from_str(authority.as_str())
            .map_err(|_| ForwardError::NotForwardable("its authority is no header value"))?;
        head.fields.append(HOST, host);
    }
    if head.uri.authority().is_some() || head.uri.scheme().is_some() {
        head.uri = head.uri.path_and_query().map_or_else(Uri::default, |path| Uri::from(path.clone()));
    }
    Ok(())
}

/// HTTP/2 may say the cookies in several fields, HTTP/1.1 only in one (RFC 9113 section 8.2.3).
fn join_cookies(fields: &mut Fields) -> Result<(), ForwardError> {
    if fields.lines(&COOKIE).nth(1).is_none() {
        return Ok(());
    }
    let cookies: Vec<&[u8]> = fields.lines(&COOKIE).collect();
    let mut joined = HeaderValue::from_bytes(&cookies.join(&b"; "[..]))
        .map_err(|_| ForwardError::NotForwardable("its cookies are no header value"))?;
    joined.set_sensitive(true);
    fields.insert(COOKIE, joined);
    Ok(())
}

/// `:scheme` and `:authority` instead of `Host` (RFC 9113 section 8.3.1); the authority is what `Host` would have been.
fn form_http2(head: &mut RequestHead, endpoint: &Endpoint) -> Result<(), ForwardError> {
    head.version = Version::HTTP_2;
    // What only frames or only concerns an HTTP/1.1 connection has no place here (section 8.2.2).
    head.fields.remove(&TRANSFER_ENCODING);
    let authority = match head.fields.first(&HOST) {
        Some(host) => {
            Authority::try_from(host).map_err(|_| ForwardError::NotForwardable("its Host is no authority"))?
        }
        None => head.uri.authority().unwrap_or(endpoint.authority()).clone(),
    };
    head.fields.remove(&HOST);
    let mut parts = std::mem::take(&mut head.uri).into_parts();
    parts.scheme = Some(endpoint.address().scheme());
    parts.authority = Some(authority);
    parts.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
    head.uri = Uri::from_parts(parts).map_err(|_| ForwardError::NotForwardable("its target is no URI"))?;
    Ok(())
}
