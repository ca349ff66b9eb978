//! Owns: what tokens, clients, credentials and whole requests are recognised by.
//! Refuses: keeping any of them in clear to recognise them.
//! Always holds: every field is written with its name, its length and whether it is there at all, so no two lists of fields are
//! written alike; a fingerprint means nothing outside this process.

use std::fmt;

use aws_lc_rs::{hmac, rand};
use zeroize::Zeroizing;

/// The length of a fingerprint and of the secret that it is made under, in bytes.
const FINGERPRINT_BYTES: usize = 32;

/// Makes fingerprints: HMAC-SHA256 under a secret that this process drew when it started.
#[derive(Clone)]
pub(super) struct Fingerprinting {
    key: hmac::Key,
}

/// An HMAC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Fingerprint([u8; FINGERPRINT_BYTES]);

/// Everything that an answer depends on, as one fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::token_endpoint) struct ReuseKey(pub(super) Fingerprint);

/// A key while its fields are gathered. Each is asked for with a name; names may repeat.
pub(in crate::token_endpoint) struct KeyBuilder {
    hashing: Hashing,
}

/// A fingerprint while its fields are gathered.
pub(super) struct Hashing {
    context: hmac::Context,
}

impl Fingerprinting {
    /// With a secret of its own; none if the system has no randomness.
    pub(super) fn new() -> Option<Self> {
        let mut secret = Zeroizing::new([0; FINGERPRINT_BYTES]);
        rand::fill(&mut *secret).ok()?;
        Some(Self { key: hmac::Key::new(hmac::HMAC_SHA256, &*secret) })
    }

    /// Begins a fingerprint of something of this `kind`; those of two kinds are never the same.
    pub(super) fn begin(&self, kind: &'static str) -> Hashing {
        Hashing { context: hmac::Context::with_key(&self.key) }.field(kind, None)
    }

    /// That of one text.
    pub(super) fn of(&self, kind: &'static str, text: &str) -> Fingerprint {
        self.begin(kind).field("", Some(text.as_bytes())).finish()
    }
}

impl Hashing {
    pub(super) fn field(mut self, name: &str, value: Option<&[u8]>) -> Self {
        write_field(name, value, |bytes| self.context.update(bytes));
        self
    }

    /// Adds another fingerprint.
    pub(super) fn fingerprint(mut self, fingerprint: Fingerprint) -> Self {
        self.context.update(&fingerprint.0);
        self
    }

    pub(super) fn finish(self) -> Fingerprint {
        let tag = self.context.sign();
        let mut fingerprint = Fingerprint([0; FINGERPRINT_BYTES]);
        fingerprint.0.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        fingerprint
    }
}

impl KeyBuilder {
    pub(super) const fn new(hashing: Hashing) -> Self {
        Self { hashing }
    }

    /// Adds a field. One that is absent is another than one that is empty.
    #[must_use]
    pub(in crate::token_endpoint) fn field(self, name: &str, value: Option<&[u8]>) -> Self {
        Self { hashing: self.hashing.field(name, value) }
    }

    /// The key of all these fields in this order.
    pub(in crate::token_endpoint) fn finish(self) -> ReuseKey {
        ReuseKey(self.hashing.finish())
    }
}

/// Writes a field so that what follows cannot be taken for a part of it, nor a part of it for what follows.
fn write_field(name: &str, value: Option<&[u8]>, mut write: impl FnMut(&[u8])) {
    write(&length(name.as_bytes()));
    write(name.as_bytes());
    match value {
        None => write(&[0]),
        Some(value) => {
            write(&[1]);
            write(&length(value));
            write(value);
        }
    }
}

fn length(text: &[u8]) -> [u8; 8] {
    u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes()
}

impl fmt::Debug for Fingerprinting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Fingerprinting([redacted])")
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Fingerprint([redacted])")
    }
}

impl fmt::Debug for KeyBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("KeyBuilder([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(fields: &[(String, Option<String>)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (name, value) in fields {
            write_field(name, value.as_deref().map(str::as_bytes), |part| bytes.extend_from_slice(part));
        }
        bytes
    }

    fn read_text(bytes: &mut &[u8]) -> String {
        let (length, rest) = bytes.split_first_chunk::<8>().unwrap();
        let (text, rest) = rest.split_at(usize::try_from(u64::from_be_bytes(*length)).unwrap());
        *bytes = rest;
        String::from_utf8(text.to_vec()).unwrap()
    }

    /// What was written, which can be told only if no two lists are written alike.
    fn read(mut bytes: &[u8]) -> Vec<(String, Option<String>)> {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let name = read_text(&mut bytes);
            let (there, rest) = bytes.split_first().unwrap();
            bytes = rest;
            fields.push((name, (*there == 1).then(|| read_text(&mut bytes))));
        }
        fields
    }

    proptest! {
        #[test]
        fn no_two_lists_of_fields_are_written_alike(
            fields in proptest::collection::vec(("[\\x00\\x01ab]{0,9}", proptest::option::of("[\\x00\\x01ab]{0,9}")), 0..6)
        ) {
            prop_assert_eq!(read(&written(&fields)), fields);
        }
    }

    #[test]
    fn what_differs_in_anything_has_another_fingerprint() {
        let fingerprinting = Fingerprinting::new().unwrap();
        let of = |kind: &'static str, fields: &[(&str, Option<&str>)]| {
            let begun = fingerprinting.begin(kind);
            fields.iter().fold(begun, |hashing, (name, value)| hashing.field(name, value.map(str::as_bytes))).finish()
        };
        let lists: [&[(&str, Option<&str>)]; 8] = [
            &[],
            &[("scope", None)],
            &[("scope", Some(""))],
            &[("scope", Some("a"))],
            &[("scope", Some("a")), ("audience", None)],
            &[("scope", None), ("audience", Some("a"))],
            &[("scopea", Some(""))],
            &[("audience", Some("a")), ("scope", None)],
        ];
        let all: std::collections::BTreeSet<Fingerprint> =
            ["request", "client"].into_iter().flat_map(|kind| lists.map(|list| of(kind, list))).collect();
        assert_eq!(all.len(), 2 * lists.len());
        assert_eq!(of("request", lists[4]), of("request", lists[4]));
        let another = Fingerprinting::new().unwrap();
        assert_ne!(fingerprinting.of("token", "a"), another.of("token", "a"), "each process has its own secret");
        let shown = format!("{:?} {fingerprinting:?}", fingerprinting.of("token", "a"));
        assert_eq!(shown, "Fingerprint([redacted]) Fingerprinting([redacted])");
    }
}
