//! Owns: the words of OAuth 2.0 (RFC 6749, RFC 6750): scopes, error codes, challenges, what comes of asking for a token.
//! Refuses: scopes outside the grammar; a challenge whose text could break out of its quotes.
//! Always holds: pure: no clock, no network, no configuration.

mod challenge;
mod error_code;
mod issuance;
mod scope_set;

pub use self::{
    challenge::Challenge,
    error_code::ErrorCode,
    issuance::{AccessTokenType, ExchangedToken, IssueRefusal, IssuedToken},
    scope_set::{InvalidScope, ScopeClaim, ScopeSet},
};
