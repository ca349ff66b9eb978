//! Owns: the tokens that users and tenants make for themselves: client credentials that are exchanged for short-lived tokens, and
//! access tokens that are used as they are.
//! Refuses: anybody without the permission, and granting more than one has; every token while the switch is off.
//! Always holds: a secret is shown once; what is kept of it is a hash. A token that was deleted is refused, and so is every
//! token that it was exchanged for.

mod caller;
mod create;
mod exchange;
mod index;
mod manage;
mod record;
mod switch;

pub use self::{
    caller::{ApiTokenAction, Caller, NotAllowed},
    create::{CreatedApiToken, NewApiToken},
    exchange::{ExchangeError, ProvenApiToken},
    manage::{ApiTokenError, ApiTokenUpdate, Ownership},
    record::{ApiTokenKind, ApiTokenRecord, ApiTokenUser},
    switch::ApiTokenSwitchUpdate,
};
pub(super) use self::{
    index::ApiTokens,
    record::{ApiTokenProfile, claims_of},
};
