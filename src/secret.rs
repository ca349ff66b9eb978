//! Owns: the one type in which a secret may live.
//! Refuses: printing it, cloning it by accident into something that prints, comparing it byte by byte.
//! Always holds: `Debug` says `[redacted]`; the memory is overwritten when the secret is dropped.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use secrecy::{ExposeSecret, SecretString};

/// A client secret, an administrator's token or anything else that opens a door.
#[derive(Clone)]
pub struct Secret {
    value: SecretString,
}

impl Secret {
    /// Takes a secret in.
    #[must_use]
    pub fn new(value: String) -> Self {
        Self { value: SecretString::from(value) }
    }

    /// Whether `presented` is this secret, in time that depends on the lengths alone.
    #[must_use]
    pub fn matches(&self, presented: &str) -> bool {
        verify_slices_are_equal(self.expose().as_bytes(), presented.as_bytes()).is_ok()
    }

    /// The secret in clear, for the one call that has to send it or derive from it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.value.expose_secret()
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_never_shows_it() {
        assert_eq!(format!("{:?}", Secret::new("canary".to_owned())), "Secret([redacted])");
    }

    #[test]
    fn only_the_whole_secret_matches() {
        let secret = Secret::new("correct horse".to_owned());
        assert!(secret.matches("correct horse"));
        for wrong in ["", "correct", "correct horsf", "correct horse "] {
            assert!(!secret.matches(wrong), "{wrong}");
        }
    }
}
