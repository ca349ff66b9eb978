//! Owns: why the signing keys cannot be opened, and what the operator can do about it.
//! Refuses: carrying any part of a key.

use std::{io, path::PathBuf};

use super::{KeyState, UnusableKey};
use crate::authorization_server::sealing::SealingError;
use crate::config::SigningAlgorithmConfig;

/// Why the signing keys could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum SigningKeyError {
    /// The directory cannot be made, locked or looked at.
    #[error("the directory {path} for the signing keys cannot be used", path = .path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file or the directory grants something to group or others.
    #[error(
        "{path} has mode {mode:04o}, so others on this machine may read the signing keys: run `chmod {wanted:04o} {path}`, \
         and if somebody may have read them, remove the directory so that new keys are made",
        path = .path.display()
    )]
    Exposed {
        /// The file or directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// The permission bits that it should have.
        wanted: u32,
    },
    /// A file that the list of keys names, or the list itself, cannot be read.
    #[error("{path} cannot be read", path = .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file cannot be written durably.
    #[error("{path} cannot be written", path = .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The list of keys does not parse.
    #[error(
        "{path} is not a list of signing keys: restore it, or remove its directory to make new keys, after which the \
         tokens issued so far are refused",
        path = .path.display()
    )]
    CorruptList {
        /// The list.
        path: PathBuf,
        /// What is wrong in it.
        #[source]
        source: serde_json::Error,
    },
    /// The list of keys parses and contradicts itself.
    #[error("{path} is not a list of signing keys: {fault}", path = .path.display())]
    InconsistentList {
        /// The list.
        path: PathBuf,
        /// What is wrong in it.
        fault: &'static str,
    },
    /// A key file does not parse.
    #[error(
        "{path} holds no {algorithm:?} private key in PKCS#8: restore it, or remove its directory to make new keys, after \
         which the tokens issued so far are refused",
        path = .path.display()
    )]
    CorruptKey {
        /// The key file.
        path: PathBuf,
        /// The algorithm that the list names.
        algorithm: SigningAlgorithmConfig,
        /// What is wrong in it.
        #[source]
        source: UnusableKey,
    },
    /// A key file holds a key, and not the one it is named after.
    #[error("{path} holds another key than the one it is named after: restore the right one", path = .path.display())]
    OtherKeyFile {
        /// The key file.
        path: PathBuf,
    },
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
        "the signing key {key_id} is said to be {state:?}, and so is another one: restore the records of the signing keys from \
         a backup of the store"
    )]
    Contradiction {
        /// One of the two.
        key_id: String,
        /// The part.
        state: KeyState,
    },
    /// The private half cannot be decrypted, or encrypted.
    #[error(
        "the signing key {key_id} cannot be used; no other is made in its place, because every token that it signed would be \
         refused"
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
