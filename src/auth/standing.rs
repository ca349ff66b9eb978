//! Owns: what the gateway asks of whoever issued a token and may have taken it back: the trait, and its answers.
//! Refuses: knowing where that is remembered. The embedded issuer, which stands above this room, implements it.
//! Always holds: asking never waits. A withdrawn token is refused however often it was accepted before, and one that was
//! only switched off is good again once it is switched on.

use std::fmt;

use serde_json::{Map, Value};
use thiserror::Error;

use super::VerifiedToken;
use crate::{clock::UnixTime, id::TokenId};

/// Whoever issued an issuer's tokens and can take them back. Asked for every request, on its worker: an answer comes out of
/// memory that no lock guards.
pub trait TokenStanding: Send + Sync + fmt::Debug {
    /// The issuer's switch (`m2m_enabled`) as it was set at run time. While it is off every token is refused.
    fn is_enabled(&self) -> bool;

    /// Judges a token whose signature, times and claims are good, or which [`TokenStanding::resolve`] gave. Its name is
    /// [`VerifiedToken::token_name`].
    ///
    /// # Errors
    /// It has been withdrawn.
    fn judge(&self, token: &VerifiedToken) -> Result<(), Withdrawal>;

    /// Whether all that was issued is known. If not, a token that is not known may be good all the same.
    fn is_current(&self) -> bool;

    /// Whether `text` begins like the secrets and tokens that this issuer makes, so that nobody else may be shown it, mistyped
    /// or cut
    /// short as it may be.
    fn is_own_kind(&self, text: &str) -> bool;

    /// What an opaque token means: one that says nothing itself and is looked up. Asked only for a text without a `.`, of which
    /// every JWT has two. `None` if the issuer has issued no such token. Whether it has expired or is withdrawn is judged
    /// afterwards, as for any other.
    fn resolve(&self, text: &str, now: UnixTime) -> Option<OpaqueToken>;
}

/// What an opaque token stands for.
#[derive(Clone)]
pub struct OpaqueToken {
    /// Its name in the store, in lists and in revocations.
    pub name: TokenId,
    /// The claims that a JWT in its place would have. `exp` is absent from one that does not expire.
    pub claims: Map<String, Value>,
    /// Whether it must be sent as `X-API-Key`; otherwise it must be sent as `Authorization: Bearer`.
    pub api_key: bool,
}

/// Why a token that was good is so no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum Withdrawal {
    /// The token itself was revoked: alone, or with all that a client, an owner, a tenant or a key had.
    #[error("it was revoked")]
    TokenRevoked,
    /// The client that it was issued to is disabled or has been removed.
    #[error("its client is disabled")]
    ClientDisabled,
    /// It was issued before the moment from which on tokens count.
    #[error("everything issued before a later moment was revoked")]
    IssuedBefore,
    /// The switch of the API tokens, to which it belongs, is off.
    #[error("API tokens are switched off")]
    ApiTokensDisabled,
}

impl Withdrawal {
    /// The withdrawal's name in logs and metrics.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::TokenRevoked => "token_revoked",
            Self::ClientDisabled => "client_disabled",
            Self::IssuedBefore => "token_issued_before",
            Self::ApiTokensDisabled => "api_tokens_disabled",
        }
    }
}

/// Claims may be personal, and are no matter of a program's log.
impl fmt::Debug for OpaqueToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("OpaqueToken")
            .field("name", &self.name)
            .field("api_key", &self.api_key)
            .finish_non_exhaustive()
    }
}
