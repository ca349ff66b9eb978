//! Owns: reading a token request: method, media type, client authentication, grant.
//! Refuses: two ways of authentication at once, none at all, and grants other than client credentials.
//! Always holds: what comes out names one client, one proof and at most one audience.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{
    HeaderMap, HeaderValue, Method,
    header::{AUTHORIZATION, CONTENT_TYPE},
    request::Parts,
};

use super::{
    RequestError, TokenRequest,
    parameters::{Parameters, decode_form, split_once},
};
use crate::secret::Secret;

/// The one grant that is served (RFC 6749 section 4.4.2).
const CLIENT_CREDENTIALS: &str = "client_credentials";

/// The two media types in which parameters come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MediaType {
    Form,
    Json,
}

/// Judges what can be judged before the body is read.
pub(super) fn read_head(parts: &Parts) -> Result<MediaType, RequestError> {
    if parts.method != Method::POST {
        return Err(RequestError::MethodNotAllowed);
    }
    media_type(&parts.headers).ok_or(RequestError::UnsupportedMediaType)
}

/// Reads the whole request.
pub(super) fn read(parts: &Parts, body: &[u8]) -> Result<TokenRequest, RequestError> {
    let parameters = match read_head(parts)? {
        MediaType::Form => Parameters::from_form(body),
        MediaType::Json => Parameters::from_json(body),
    }?;
    match parameters.grant_type.as_deref() {
        None => return Err(RequestError::GrantTypeMissing),
        Some(CLIENT_CREDENTIALS) => {}
        Some(_) => return Err(RequestError::UnsupportedGrantType),
    }
    let audience = match (parameters.audience, parameters.resource) {
        (Some(audience), Some(resource)) if audience != resource => return Err(RequestError::TwoAudiences),
        (audience, resource) => audience.or(resource),
    };
    let in_body = BodyAuthentication {
        client_id: parameters.client_id,
        client_secret: parameters.client_secret,
        has_assertion: parameters.has_assertion,
    };
    let (client_id, client_secret) = authentication(&parts.headers, in_body)?;
    Ok(TokenRequest { client_id, client_secret, audience, scope: parameters.scope })
}

/// The media type of the body, its parameters aside.
fn media_type(headers: &HeaderMap) -> Option<MediaType> {
    let text = only(headers.get_all(CONTENT_TYPE).iter())?.to_str().ok()?;
    let essence = text.split(';').next()?.trim();
    if essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        Some(MediaType::Form)
    } else if essence.eq_ignore_ascii_case("application/json") {
        Some(MediaType::Json)
    } else {
        None
    }
}

/// What the body says about who the client is.
struct BodyAuthentication {
    client_id: Option<String>,
    client_secret: Option<Secret>,
    has_assertion: bool,
}

/// The client's id and its proof, out of the one place where they are (RFC 6749 section 2.3: "the client MUST NOT use
/// more than one authentication method in each request").
fn authentication(headers: &HeaderMap, in_body: BodyAuthentication) -> Result<(String, Secret), RequestError> {
    let in_header = headers.contains_key(AUTHORIZATION);
    match (in_header, in_body.client_secret, in_body.has_assertion) {
        (true, Some(_), _) | (true, None, true) | (false, Some(_), true) => Err(RequestError::TwoAuthentications),
        (false, None, true) => Err(RequestError::AssertionNotAvailable),
        (true, None, false) => {
            let (client_id, client_secret) = basic(headers)?;
            // A client may repeat its id in the body, as RFC 6749 section 3.2.1 has it; it may not be another.
            if in_body.client_id.is_some_and(|repeated| repeated != client_id) {
                return Err(RequestError::TwoAuthentications);
            }
            Ok((client_id, client_secret))
        }
        (false, Some(client_secret), false) => {
            Ok((in_body.client_id.ok_or(RequestError::AuthenticationMissing)?, client_secret))
        }
        (false, None, false) => Err(RequestError::AuthenticationMissing),
    }
}

/// HTTP Basic: id and secret are form-encoded before they are joined (RFC 6749 section 2.3.1).
fn basic(headers: &HeaderMap) -> Result<(String, Secret), RequestError> {
    let value = only(headers.get_all(AUTHORIZATION).iter()).ok_or(RequestError::TwoAuthentications)?;
    let (scheme, credentials) =
        split_once(value.as_bytes(), b' ').ok_or(RequestError::UnsupportedAuthenticationScheme)?;
    // RFC 9110 section 11.1: schemes are case-insensitive.
    if !scheme.eq_ignore_ascii_case(b"Basic") {
        return Err(RequestError::UnsupportedAuthenticationScheme);
    }
    let decode = || {
        let joined = STANDARD.decode(credentials.trim_ascii()).ok()?;
        let (client_id, client_secret) = split_once(&joined, b':')?;
        Some((decode_form(client_id)?, Secret::new(decode_form(client_secret)?)))
    };
    decode().ok_or(RequestError::MalformedBasicCredentials)
}

/// The one value; none if there are more or fewer.
fn only<'a>(mut values: impl Iterator<Item = &'a HeaderValue>) -> Option<&'a HeaderValue> {
    let value = values.next()?;
    values.next().is_none().then_some(value)
}
