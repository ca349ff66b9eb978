//! Owns: the ways of client authentication, and judging by a secret (RFC 6749 section 2.3.1).
//! Refuses: telling by time whether a client exists, has secrets, or how much of a guess was right.
//! Always holds: every attempt by secret costs two hashes and four comparisons of 32 bytes, whatever comes of it; what else
//! is wrong with a client is told only to whoever knows its secret.

use thiserror::Error;

use super::{
    Client, MOST_SECRETS, SecretHashing,
    assertion::{self, AssertionAudiences, AssertionFault, VerifiedAssertion},
};
use crate::{clock::UnixTime, config::AuthenticationMethodConfig, secret::Secret};

/// A way of client authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AuthenticationMethod {
    /// Id and secret in HTTP Basic (RFC 6749 section 2.3.1).
    ClientSecretBasic,
    /// Id and secret in the body, as a form or JSON.
    ClientSecretPost,
    /// An assertion keyed with the secret (RFC 7523).
    ClientSecretJwt,
    /// An assertion signed with a private key (RFC 7523).
    PrivateKeyJwt,
}

/// Why nobody was authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AuthenticationFailure {
    /// There is no client of this id.
    #[error("there is no such client")]
    UnknownClient,
    /// There is, and its secret is another, or was until it expired.
    #[error("the client's secret is wrong")]
    WrongSecret,
    /// It proved who it is, in a way in which it may not.
    #[error("the client may not authenticate in this way")]
    MethodNotAllowed,
    /// It proved who it is, and is switched off.
    #[error("the client is disabled")]
    Disabled,
    /// Its assertion is not good.
    #[error("the client's assertion is refused")]
    Assertion(#[from] AssertionFault),
}

impl AuthenticationMethod {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::ClientSecretBasic, Self::ClientSecretPost, Self::ClientSecretJwt, Self::PrivateKeyJwt];

    /// Its name in the registry of OAuth Token Endpoint Authentication Methods (RFC 7591 section 4.2).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::ClientSecretJwt => "client_secret_jwt",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }

    /// Whether the secret itself is sent.
    #[must_use]
    pub const fn sends_secret(self) -> bool {
        matches!(self, Self::ClientSecretBasic | Self::ClientSecretPost)
    }
}

impl From<AuthenticationMethodConfig> for AuthenticationMethod {
    fn from(config: AuthenticationMethodConfig) -> Self {
        match config {
            AuthenticationMethodConfig::ClientSecretBasic => Self::ClientSecretBasic,
            AuthenticationMethodConfig::ClientSecretPost => Self::ClientSecretPost,
            AuthenticationMethodConfig::ClientSecretJwt => Self::ClientSecretJwt,
            AuthenticationMethodConfig::PrivateKeyJwt => Self::PrivateKeyJwt,
        }
    }
}

/// Judges whether `presented` is a good secret of `client`, sent by `method`; `client` is what was found under the id that
/// came with it.
///
/// # Errors
/// Why not.
pub fn authenticate_by_secret(
    client: Option<&Client>,
    hashing: &SecretHashing,
    presented: &Secret,
    method: AuthenticationMethod,
    now: UnixTime,
) -> Result<(), AuthenticationFailure> {
    let presented = hashing.presented(presented);
    let secrets = client.map_or(&[] as &[_], |client| &client.secrets);
    let mut proven = false;
    for slot in 0..MOST_SECRETS {
        // Unlike `||`, this never leaves a comparison out.
        proven |= presented.is(secrets.get(slot), now);
    }
    match client {
        None => Err(AuthenticationFailure::UnknownClient),
        Some(_) if !proven => Err(AuthenticationFailure::WrongSecret),
        Some(client) if !(method.sends_secret() && client.allows(method)) => {
            Err(AuthenticationFailure::MethodNotAllowed)
        }
        Some(client) if !client.enabled => Err(AuthenticationFailure::Disabled),
        Some(_) => Ok(()),
    }
}

/// Judges whether `assertion` is a good assertion of `client`, which was found under [`super::client_id_of`] it. That it is
/// taken once only is still to be seen to, by the store.
///
/// # Errors
/// Why not.
pub async fn authenticate_by_assertion(
    client: Option<&Client>,
    assertion: &Secret,
    accepted: &AssertionAudiences<'_>,
    now: UnixTime,
) -> Result<VerifiedAssertion, AuthenticationFailure> {
    let client = client.ok_or(AuthenticationFailure::UnknownClient)?;
    let verified = assertion::verify(assertion, client, accepted, now).await?;
    if client.enabled { Ok(verified) } else { Err(AuthenticationFailure::Disabled) }
}
