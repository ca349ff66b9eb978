//! Owns: the way from a request's credential to a [`Permit`]: extraction, verification, rules.
//! Refuses: deciding where a request goes; answering it.
//! Always holds: a [`VerifiedToken`] has been verified against a key of its own issuer, or is opaque and its own issuer said
//! what it means; a [`Permit`] has been authorized against one route's rules, or that route's operator said that it needs
//! none.

mod access;
mod bearer;
mod claims;
mod credential;
mod denial;
mod ended;
mod inquirers;
mod inquiry;
mod introspected;
mod introspection;
mod issuer;
mod issuers;
pub mod key_set;
mod key_source;
mod newcomers;
mod own_tokens;
mod permit;
mod place;
mod require;
mod revocation;
mod rules;
mod sightings;
mod standing;
mod token_cache;
mod token_text;
mod unverified;
mod verified_token;
mod verify;
mod verify_error;
mod worker_token_cache;

#[cfg(test)]
mod forge;
#[cfg(test)]
mod token_attacks;
#[cfg(test)]
mod withdrawals;

pub use self::{
    access::{Access, PublicAccess, ReportOnly, Requirement, Verdict},
    bearer::{BearerToken, CredentialError, from_authorization},
    claims::{Claims, Principal},
    credential::{Credential, CredentialField, CredentialHeader, credential_field, extract},
    denial::Denial,
    inquirers::Inquirers,
    inquiry::{InquiryCount, InquiryStatus},
    introspected::claims_of_answer,
    introspection::{IntrospectionSettings, Introspector},
    issuer::{Issuer, Keeper},
    issuers::{Issuers, compile_issuers},
    key_source::{KeySource, KeyStanding, TrustedKey, TrustedKeySet, UnknownKeyFetch},
    permit::Permit,
    revocation::{RevocationLookup, RevocationSettings},
    standing::{OpaqueToken, TokenStanding, Withdrawal},
    token_cache::SharedTokenCache,
    unverified::UnverifiedToken,
    verified_token::VerifiedToken,
    verify::{recall, verify, verify_asking, verify_at_once, verify_once},
    verify_error::{Fault, VerifyError},
    worker_token_cache::WorkerTokenCache,
};
