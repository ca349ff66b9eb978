//! Owns: asking an issuer, by a JWT's `jti`, whether the token has been taken back, as services of plgd's hub do.
//! Refuses: stale answers; taking the issuer's silence for a verdict on the token.
//! Always holds: a token is shown to nobody but its own issuer, and only after its signature was good; one question for one `jti`
//! is under way at a time.
//!
//! What is asked is the tokens endpoint of the hub, with the token itself as credential, for the one token of that id, the revoked
//! included. A token that is listed is good unless it says `blacklisted`; one that is not listed is refused, as it is there.

mod answer;
mod lookup;
mod request;
mod settings;

pub(super) use self::lookup::{Presented, Verdict};
pub use self::{lookup::RevocationLookup, settings::RevocationSettings};
