//! Owns: the question as it is sent (RFC 7662 section 2.1).
//! Always holds: the token and the secret stand in a body and in a header that is marked as sensitive, never in the address.

use base64::{Engine as _, prelude::BASE64_STANDARD};

use http::{
    HeaderMap, HeaderValue, Method,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, InvalidHeaderValue},
};
use url::form_urlencoded::{Serializer, byte_serialize};
use zeroize::Zeroizing;

use super::IntrospectionSettings;
use crate::{config::IntrospectionAuthenticationConfig, outbound::OutboundRequest};

/// The question what `token` means.
///
/// # Errors
/// None that can happen: what is written into a header here are digits, letters and `+/=`.
pub(super) fn question(settings: &IntrospectionSettings, token: &str) -> Result<OutboundRequest, InvalidHeaderValue> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    let mut form = Serializer::new(String::new());
    form.append_pair("token", token).append_pair("token_type_hint", "access_token");
    match settings.authentication {
        IntrospectionAuthenticationConfig::ClientSecretBasic => {
            let mut value = HeaderValue::from_str(&basic(&settings.client_id, settings.client_secret.expose()))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        IntrospectionAuthenticationConfig::ClientSecretPost => {
            form.append_pair("client_id", &settings.client_id);
            form.append_pair("client_secret", settings.client_secret.expose());
        }
    }
    let body = form.finish().into_bytes().into();
    Ok(OutboundRequest { method: Method::POST, url: settings.endpoint.clone(), headers, body })
}

/// RFC 6749 section 2.3.1: both are form-encoded before they are joined.
fn basic(client_id: &str, secret: &str) -> Zeroizing<String> {
    let encoded = |text: &str| Zeroizing::new(byte_serialize(text.as_bytes()).collect::<String>());
    let pair = Zeroizing::new(format!("{}:{}", *encoded(client_id), *encoded(secret)));
    Zeroizing::new(format!("Basic {}", *Zeroizing::new(BASE64_STANDARD.encode(pair.as_bytes()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_and_secret_are_encoded_before_they_are_joined() {
        let written = basic("a:b c", "s%+\u{e9}");
        let decoded = BASE64_STANDARD.decode(written.strip_prefix("Basic ").unwrap()).unwrap();
        assert_eq!(String::from_utf8(decoded).unwrap(), "a%3Ab+c:s%25%2B%C3%A9");
    }
}
