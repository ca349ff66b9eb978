//! Owns: the question as it is sent to a tokens endpoint of plgd's.
//! Always holds: the token stands in a header that is marked as sensitive; in the address stands its id.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method,
    header::{ACCEPT, AUTHORIZATION},
};
use thiserror::Error;
use url::form_urlencoded::Serializer;
use zeroize::Zeroizing;

use super::RevocationSettings;
use crate::outbound::{OutboundRequest, RemoteUrl};

/// The question cannot be written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the question cannot be written into a request")]
pub(in crate::auth) struct Unwritable;

/// The question how the token with this id stands.
pub(super) fn question(
    settings: &RevocationSettings,
    token_id: &str,
    token: &str,
) -> Result<OutboundRequest, Unwritable> {
    let query = Serializer::new(String::new())
        .append_pair("idFilter", token_id)
        .append_pair("includeBlacklisted", "true")
        .finish();
    let separator = if settings.tokens_endpoint.has_query() { '&' } else { '?' };
    let url = format!("{}{separator}{query}", settings.tokens_endpoint);
    let url = RemoteUrl::parse(&url).map_err(|_| Unwritable)?;
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/protojson, application/json;q=0.9"));
    let bearer = Zeroizing::new(format!("Bearer {token}"));
    let mut bearer = HeaderValue::from_str(&bearer).map_err(|_| Unwritable)?;
    bearer.set_sensitive(true);
    headers.insert(AUTHORIZATION, bearer);
    Ok(OutboundRequest { method: Method::GET, url, headers, body: Bytes::new() })
}
