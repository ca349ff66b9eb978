//! Owns: the form that a request must have on the wire of each protocol.
//! Refuses: CONNECT, which asks for a tunnel and not for a resource (RFC 9110 section 9.3.6).
//! Always holds: headers stay as the gateway wrote them, but for `Host` and `Cookie` where the protocol says it otherwise, and for
//! framing that would contradict the body. What was formed for one protocol can be formed again for the other.

use std::sync::Arc;

use http::{
    HeaderMap, HeaderValue, Method, Request, Uri, Version,
    header::{CONTENT_LENGTH, COOKIE, HOST, TRANSFER_ENCODING, UPGRADE},
    uri::{Authority, PathAndQuery},
};
use http_body::Body;

use super::{connect::Agreed, endpoint::Endpoint, error::ForwardError};

/// Gives `request` the form of `protocol`.
pub(super) fn form<B: Body>(
    request: &mut Request<B>,
    protocol: Agreed,
    endpoint: &Endpoint,
) -> Result<(), ForwardError> {
    if request.method() == Method::CONNECT {
        return Err(ForwardError::NotForwardable("CONNECT asks for a tunnel"));
    }
    if protocol == Agreed::Http2 && request.headers().contains_key(UPGRADE) {
        // Without the field it would be asked for something else than the caller wants.
        let why = "it speaks HTTP/2, over which nobody is asked to upgrade";
        return Err(ForwardError::NotUpgraded { endpoint: Arc::clone(endpoint.label()), why });
    }
    frame(request);
    match protocol {
        Agreed::Http1 => form_http1(request, endpoint),
        Agreed::Http2 => form_http2(request, endpoint),
    }
}

/// Makes the headers that frame a body agree with the body there is: a length that promises more would make the upstream take the
/// next request for the rest of this one, and a body of unknown length is sent in chunks.
fn frame<B: Body>(request: &mut Request<B>) {
    say_length_once(request.headers_mut());
    if request.body().is_end_stream() {
        if request.headers().get(CONTENT_LENGTH).is_some_and(|length| length != "0") {
            request.headers_mut().remove(CONTENT_LENGTH);
        }
    } else if request.body().size_hint().exact().is_none() && !is_framed(request.headers()) {
        request.headers_mut().insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
}

/// Over HTTP/2 a length may have been said twice, if alike, and not at all where a number should be.
fn say_length_once(headers: &mut HeaderMap) {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    match (lengths.next().cloned(), lengths.next().is_some()) {
        (Some(length), _) if length.is_empty() => drop(headers.remove(CONTENT_LENGTH)),
        (Some(length), true) => drop(headers.insert(CONTENT_LENGTH, length)),
        _ => {}
    }
}

fn is_framed(headers: &HeaderMap) -> bool {
    headers.contains_key(CONTENT_LENGTH) || headers.contains_key(TRANSFER_ENCODING)
}

/// Origin form and a `Host` (RFC 9112 sections 3.2 and 3.2.1). The `Host` is the caller's; without one it is the authority of the
/// URI (an HTTP/2 request has only that), and without either the endpoint's.
fn form_http1<B>(request: &mut Request<B>, endpoint: &Endpoint) -> Result<(), ForwardError> {
    *request.version_mut() = Version::HTTP_11;
    join_cookies(request.headers_mut())?;
    if !request.headers().contains_key(HOST) {
        let authority = request.uri().authority().unwrap_or(endpoint.authority());
        let host = HeaderValue::from_str(authority.as_str())
            .map_err(|_| ForwardError::NotForwardable("its authority is no header value"))?;
        request.headers_mut().insert(HOST, host);
    }
    if request.uri().authority().is_some() || request.uri().scheme().is_some() {
        *request.uri_mut() = request.uri().path_and_query().map_or_else(Uri::default, |path| Uri::from(path.clone()));
    }
    Ok(())
}

/// HTTP/2 may say the cookies in several fields, HTTP/1.1 only in one (RFC 9113 section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) -> Result<(), ForwardError> {
    if headers.get_all(COOKIE).iter().nth(1).is_none() {
        return Ok(());
    }
    let fields: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    let mut joined = HeaderValue::from_bytes(&fields.join(&b"; "[..]))
        .map_err(|_| ForwardError::NotForwardable("its cookies are no header value"))?;
    joined.set_sensitive(true);
    headers.insert(COOKIE, joined);
    Ok(())
}

/// `:scheme` and `:authority` instead of `Host` (RFC 9113 section 8.3.1); the authority is what `Host` would have been.
fn form_http2<B>(request: &mut Request<B>, endpoint: &Endpoint) -> Result<(), ForwardError> {
    *request.version_mut() = Version::HTTP_2;
    // What only frames or only concerns an HTTP/1.1 connection has no place here (section 8.2.2).
    request.headers_mut().remove(TRANSFER_ENCODING);
    let authority = match request.headers_mut().remove(HOST) {
        Some(host) => Authority::try_from(host.as_bytes())
            .map_err(|_| ForwardError::NotForwardable("its Host is no authority"))?,
        None => request.uri().authority().unwrap_or(endpoint.authority()).clone(),
    };
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = Some(endpoint.address().scheme());
    parts.authority = Some(authority);
    parts.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from_parts(parts).map_err(|_| ForwardError::NotForwardable("its target is no URI"))?;
    Ok(())
}
