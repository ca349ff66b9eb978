//! Owns: why the signing keys cannot be opened, and what the operator can do about it.
//! Refuses: carrying any part of a key.

use super::{KeyState, UnusableKey};
use crate::{authorization_server::sealing::SealingError, config::SigningAlgorithmConfig, jose::SkipReason};

/// Why the signing keys could not be opened, or one could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SigningKeyError {
    /// The record of a key is not one, or lacks its private half.
    #[error(
        "the record of the signing key {key_id} cannot be read: restore it from a backup of the store, or use the version of \
         this program that wrote it"
    )]
    Unreadable {
        /// The key.
        key_id: String,
    },
    /// Two keys play one part.
    #[error(
        "the signing key {key_id} is said to be {state:?}, and so is another one: restore the records of the signing keys \
         from a backup of the store"
    )]
    Contradiction {
        /// One of the two.
        key_id: String,
        /// The part.
        state: KeyState,
    },
    /// The private half cannot be decrypted, or encrypted.
    #[error(
        "the signing key {key_id} cannot be used; no other is made in its place, because every token that it signed would \
         be refused"
    )]
    Sealed {
        /// The key.
        key_id: String,
        /// Why, and what helps.
        #[source]
        source: SealingError,
    },
    /// The private half does not parse.
    #[error("the signing key {key_id} is no {algorithm:?} private key: restore it from a backup of the store")]
    Corrupt {
        /// The key.
        key_id: String,
        /// The algorithm that its record names.
        algorithm: SigningAlgorithmConfig,
        /// What is wrong in it.
        #[source]
        source: UnusableKey,
    },
    /// A record holds a key, and not the one it is named after.
    #[error("the record of the signing key {key_id} holds another key: restore it from a backup of the store")]
    OtherKey {
        /// The key.
        key_id: String,
    },
    /// The system's cryptography could not make a key.
    #[error("a key for {algorithm:?} could not be made")]
    Generate {
        /// The algorithm.
        algorithm: SigningAlgorithmConfig,
    },
    /// A key that was just made is not usable.
    #[error("a key for {algorithm:?} was made and cannot be used")]
    Unusable {
        /// The algorithm.
        algorithm: SigningAlgorithmConfig,
        /// Why.
        #[source]
        source: UnusableKey,
    },
}

/// A published key that cannot verify anything. It does not happen with keys that were opened here.
#[derive(Debug, thiserror::Error)]
#[error("the signing key {key_id} cannot be used to verify")]
pub struct UnverifiableKey {
    pub(super) key_id: String,
    #[source]
    pub(super) why: SkipReason,
}
