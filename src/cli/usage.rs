//! Owns: wrong usage that only a command itself can see, after its arguments were read.

use thiserror::Error;

/// The arguments do not make sense together. The exit code is 2, as for those that cannot be read.
#[derive(Debug, Error)]
#[error("{message}")]
pub(super) struct UsageError {
    message: String,
}

impl UsageError {
    /// With a sentence that says what to write instead.
    pub(super) fn new(message: &str) -> Self {
        Self { message: message.to_owned() }
    }
}
