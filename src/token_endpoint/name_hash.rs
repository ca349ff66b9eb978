//! Owns: what is kept of an id out of a request, and told of it to other replicas.
//! Refuses: keeping an id as it came: whatever its length, it costs 16 bytes, and nobody reads a secret there that somebody sent as
//! an id by mistake.
//! Always holds: two replicas hash an id alike. Whoever chooses ids finds two that share a hash only at a cost that nothing here is
//! worth.

use std::{fmt, str::FromStr};

use aws_lc_rs::digest::{Context, SHA256};

/// The first half of a SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct NameHash([u8; 16]);

impl NameHash {
    /// That of one name.
    pub(super) fn of(name: &str) -> Self {
        Self::of_all(&[name.as_bytes()])
    }

    /// That of several fields, each with its length before it, so that no two lists look alike.
    pub(super) fn of_all(fields: &[&[u8]]) -> Self {
        let mut context = Context::new(&SHA256);
        for field in fields {
            context.update(&u64::try_from(field.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(field);
        }
        let mut half = [0; 16];
        half.iter_mut().zip(context.finish().as_ref()).for_each(|(byte, hashed)| *byte = *hashed);
        Self(half)
    }

    pub(super) const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl FromStr for NameHash {
    type Err = NoNameHash;

    fn from_str(text: &str) -> Result<Self, NoNameHash> {
        // Reading a number takes a sign and either case, and the same must not be written in two ways.
        let number = u128::from_str_radix(text, 16).map_err(|_| NoNameHash)?;
        let hash = Self(number.to_be_bytes());
        if hash.to_string() == text { Ok(hash) } else { Err(NoNameHash) }
    }
}

/// The text is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not 32 hexadecimal digits")]
pub(super) struct NoNameHash;

impl fmt::Display for NameHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for NameHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_written_in_one_way() {
        let hash = NameHash::of("billing");
        let text = hash.to_string();
        assert_eq!((text.len(), text.parse()), (32, Ok(hash)));
        let short: String = text.chars().skip(1).collect();
        let (upper, signed) = (text.to_uppercase(), format!("+{short}"));
        for other in [upper, short, signed, String::new(), "x".repeat(32)] {
            assert_eq!(other.parse::<NameHash>(), Err(NoNameHash), "{other}");
        }
    }

    #[test]
    fn lists_of_fields_are_told_apart() {
        let hashes = [&[&b"ab"[..], b"c"][..], &[b"a", b"bc"], &[b"abc"], &[b"abc", b""]].map(NameHash::of_all);
        for (position, hash) in hashes.iter().enumerate() {
            assert!(!hashes[..position].contains(hash));
        }
        assert_eq!(NameHash::of("abc"), hashes[2]);
    }
}
