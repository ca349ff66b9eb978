//! Owns: how a client says who it is and proves it (RFC 6749 section 2.3, RFC 7521 section 4.2), and reading that out of
//! requests.
//! Refuses: two ways at once where RFC 6749 does, and none at all.
//! Always holds: a [`ClientAuthentication`] has at least one proof; a secret always comes with a client id.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};
use serde_json::Value;

use super::{
    RequestError,
    media_type::only,
    parameters::{Parameters, decode_form, split_once},
};
use crate::{jose::parse_object, secret::Secret};

/// The header with a proof of possession (RFC 9449 section 4.1).
pub(super) const DPOP: HeaderName = HeaderName::from_static("dpop");

/// The header with the nonce that is wanted in such a proof (RFC 9449 section 8).
pub(super) const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// The one type of client assertion that is known (RFC 7523 section 2.2).
pub(super) const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The way in which a client authenticates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuthenticationMethod {
    /// Id and secret in HTTP Basic.
    Basic,
    /// Id and secret in the body.
    Post,
    /// An assertion, signed with a private key or the secret; its algorithm tells which.
    Assertion,
}

/// Who a client says it is, and its proof.
#[derive(Clone, Debug)]
pub struct ClientAuthentication {
    client_id: Option<String>,
    secret: Option<Secret>,
    assertion: Option<Secret>,
    method: AuthenticationMethod,
    /// The credentials of HTTP Basic as they were sent: readers differ in how they decode them.
    sent: Option<Secret>,
}

impl ClientAuthentication {
    /// By HTTP Basic.
    #[must_use]
    pub const fn basic(client_id: String, secret: Secret) -> Self {
        Self {
            client_id: Some(client_id),
            secret: Some(secret),
            assertion: None,
            method: AuthenticationMethod::Basic,
            sent: None,
        }
    }

    /// In the body.
    #[must_use]
    pub const fn post(client_id: String, secret: Secret) -> Self {
        Self {
            client_id: Some(client_id),
            secret: Some(secret),
            assertion: None,
            method: AuthenticationMethod::Post,
            sent: None,
        }
    }

    /// By an assertion, which says itself who the client is; it may be said beside it too.
    #[must_use]
    pub const fn assertion(client_id: Option<String>, assertion: Secret) -> Self {
        Self {
            client_id,
            secret: None,
            assertion: Some(assertion),
            method: AuthenticationMethod::Assertion,
            sent: None,
        }
    }

    /// The same with an assertion beside it, as the `plgd` dialect has it.
    #[must_use]
    pub fn beside(self, assertion: Secret) -> Self {
        Self { assertion: Some(assertion), ..self }
    }

    /// The same, sent as these credentials of HTTP Basic.
    #[must_use]
    fn sent_as(self, credentials: &[u8]) -> Self {
        Self { sent: String::from_utf8(credentials.to_vec()).ok().map(Secret::new), ..self }
    }

    /// The credentials of HTTP Basic, still encoded as they were sent.
    pub(super) const fn sent(&self) -> Option<&Secret> {
        self.sent.as_ref()
    }

    /// Who the client says it is; none if only an assertion says so.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    /// Its secret.
    #[must_use]
    pub const fn secret(&self) -> Option<&Secret> {
        self.secret.as_ref()
    }

    /// Its assertion. That is to be verified also where there is a secret.
    #[must_use]
    pub const fn client_assertion(&self) -> Option<&Secret> {
        self.assertion.as_ref()
    }

    /// The way in which it authenticates; where there is a secret, that of the secret.
    #[must_use]
    pub const fn method(&self) -> AuthenticationMethod {
        self.method
    }
}

/// The client that an assertion says it is of, whatever else is right or wrong with it. Nothing is verified by this.
pub(super) fn unverified_subject(assertion: &Secret) -> Option<String> {
    let payload = assertion.expose().split('.').nth(1)?;
    let claims = parse_object(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    claims.get("sub").and_then(Value::as_str).map(str::to_owned)
}

/// What the body says about who the client is.
pub(super) struct InBody {
    pub(super) client_id: Option<String>,
    pub(super) client_secret: Option<Secret>,
    pub(super) assertion: Option<Secret>,
    pub(super) assertion_type: Option<String>,
}

impl InBody {
    /// Takes it out of the parameters, under the names of RFC 6749 and RFC 7521.
    pub(super) fn take(parameters: &mut Parameters) -> Result<Self, RequestError> {
        Ok(Self {
            client_id: parameters.text("client_id")?,
            client_secret: parameters.secret("client_secret")?,
            assertion: parameters.secret("client_assertion")?,
            assertion_type: parameters.text("client_assertion_type")?,
        })
    }

    /// The one authentication of a request (RFC 6749 section 2.3: "the client MUST NOT use more than one authentication method
    /// in each request").
    pub(super) fn authentication(self, headers: &HeaderMap) -> Result<ClientAuthentication, RequestError> {
        let in_header = headers.contains_key(AUTHORIZATION);
        let asserts = self.assertion.is_some() || self.assertion_type.is_some();
        match (in_header, self.client_secret, asserts) {
            (true, Some(_), _) | (true, None, true) | (false, Some(_), true) => Err(RequestError::TwoAuthentications),
            (false, None, true) => {
                let assertion = self.assertion.zip(self.assertion_type).ok_or(RequestError::AssertionIncomplete)?;
                jwt_bearer(&assertion.1)?;
                Ok(ClientAuthentication::assertion(self.client_id, assertion.0))
            }
            (true, None, false) => {
                let value = only(headers.get_all(AUTHORIZATION).iter()).ok_or(RequestError::TwoAuthentications)?;
                let credentials =
                    basic_credentials(value.as_bytes()).ok_or(RequestError::UnsupportedAuthenticationScheme)?;
                // Id and secret are form-encoded before they are joined (RFC 6749 section 2.3.1).
                let (client_id, secret) = decode_basic(credentials, decode_form)?;
                // A client may repeat its id in the body, as RFC 6749 section 3.2.1 has it; it may not be another.
                if self.client_id.is_some_and(|repeated| repeated != client_id) {
                    return Err(RequestError::TwoAuthentications);
                }
                Ok(ClientAuthentication::basic(client_id, secret).sent_as(credentials))
            }
            (false, Some(secret), false) => {
                Ok(ClientAuthentication::post(self.client_id.ok_or(RequestError::AuthenticationMissing)?, secret))
            }
            (false, None, false) => Err(RequestError::AuthenticationMissing),
        }
    }
}

/// The proof of possession that a request brings (RFC 9449 section 4.3: there is exactly one).
pub(super) fn proof_of_possession(headers: &HeaderMap) -> Result<Option<HeaderValue>, RequestError> {
    let mut proofs = headers.get_all(DPOP).iter();
    match (proofs.next(), proofs.next()) {
        (_, Some(_)) => Err(RequestError::TwoAuthentications),
        (None, None) => Ok(None),
        (Some(proof), None) => {
            let mut proof = proof.clone();
            proof.set_sensitive(true);
            Ok(Some(proof))
        }
    }
}

/// Refuses every other type of assertion.
pub(super) fn jwt_bearer(assertion_type: &str) -> Result<(), RequestError> {
    if assertion_type == JWT_BEARER { Ok(()) } else { Err(RequestError::UnsupportedAssertionType) }
}

/// What follows the scheme in an `Authorization` field of the scheme Basic; none if the scheme is another.
pub(super) fn basic_credentials(field: &[u8]) -> Option<&[u8]> {
    let (scheme, credentials) = split_once(field, b' ')?;
    // RFC 9110 section 11.1: schemes are case-insensitive.
    scheme.eq_ignore_ascii_case(b"Basic").then(|| credentials.trim_ascii())
}

/// Id and secret of HTTP Basic, each decoded once more by `decode`.
pub(super) fn decode_basic(
    credentials: &[u8],
    decode: fn(&[u8]) -> Option<String>,
) -> Result<(String, Secret), RequestError> {
    let read = || {
        let joined = STANDARD.decode(credentials).ok()?;
        let (client_id, secret) = split_once(&joined, b':')?;
        Some((decode(client_id)?, Secret::new(decode(secret)?)))
    };
    read().ok_or(RequestError::MalformedBasicCredentials)
}
