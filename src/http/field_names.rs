//! Owns: making names of fields out of what came, and remembering those of late: nearly every message says the same ones.
//! Refuses: what is no name (RFC 9110 section 5.1).
//! Always holds: a name is what it would be if nothing were remembered; what is remembered is bounded, and a thread's own.

use std::cell::RefCell;

use http::HeaderName;

use super::grammar::is_token;

/// How many names a thread remembers at most.
const REMEMBERED: usize = 256;

/// The longest name that is remembered, in bytes.
const LONGEST: usize = 40;

/// The names of fields that were read lately.
#[derive(Debug)]
pub struct FieldNames {
    places: Vec<Place>,
}

impl FieldNames {
    /// With those of this thread.
    pub fn of_this_thread<T>(read: impl FnOnce(&mut Self) -> T) -> T {
        thread_local! {
            static LATELY: RefCell<FieldNames> = const { RefCell::new(FieldNames { places: Vec::new() }) };
        }
        LATELY.with_borrow_mut(read)
    }

    /// The name of a field that is written as `spelled`, in any case. Where [`HeaderName::from_bytes`] needs 300 instructions and
    /// memory of its own, for a name that is not in its list, one that was read lately needs 120.
    /// Nothing if it is none: whoever has a name needs not look whether it is a token.
    pub fn read(&mut self, spelled: &[u8]) -> Option<HeaderName> {
        if spelled.len() > LONGEST {
            return judged(spelled);
        }
        let mixed = mixed(spelled);
        let Some(place) = self.places.get_mut(place(mixed)) else {
            self.places.resize_with(REMEMBERED, Place::default);
            return judged(spelled);
        };
        match &place.known {
            Some(known) if known.spelled() == spelled => Some(known.name.clone()),
            _ => place.read(spelled, mixed),
        }
    }
}

/// Room for one name.
#[derive(Debug, Default)]
struct Place {
    known: Option<Remembered>,
    /// What came here last and was not known. Only what comes twice is remembered: whoever makes up names shall not push out those that
    /// everybody says, and not have twice the work done for each.
    missed: u64,
}

impl Place {
    #[cold]
    fn read(&mut self, spelled: &[u8], mixed: u64) -> Option<HeaderName> {
        let name = judged(spelled)?;
        if std::mem::replace(&mut self.missed, mixed) == mixed {
            self.known = Some(Remembered::new(spelled, &name));
        }
        Some(name)
    }
}

#[derive(Debug)]
struct Remembered {
    /// As it came.
    bytes: [u8; LONGEST],
    length: usize,
    name: HeaderName,
}

impl Remembered {
    fn new(spelled: &[u8], name: &HeaderName) -> Self {
        let mut bytes = [0; LONGEST];
        if let Some(room) = bytes.get_mut(..spelled.len()) {
            room.copy_from_slice(spelled);
        }
        Self { bytes, length: spelled.len(), name: name.clone() }
    }

    fn spelled(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// The name, judged by our own grammar as well: what is remembered is not judged again, by whomever it was read.
fn judged(spelled: &[u8]) -> Option<HeaderName> {
    HeaderName::from_bytes(spelled).ok().filter(|_| is_token(spelled))
}

/// The place for names that are mixed to this number.
fn place(mixed: u64) -> usize {
    usize::try_from(mixed >> 32).unwrap_or_default() % REMEMBERED
}

/// A number by which a name finds its place. Names that are told apart only by what is in their middle have the same, and push each
/// other out.
fn mixed(spelled: &[u8]) -> u64 {
    let ends = match (spelled.first_chunk(), spelled.last_chunk()) {
        (Some(first), Some(last)) => u64::from_le_bytes(*first) ^ u64::from_le_bytes(*last).rotate_left(29),
        _ => spelled.iter().fold(0, |all, byte| all << 8 | u64::from(*byte)),
    };
    // The upper bits of a product depend on all bits of its factors.
    (ends ^ spelled.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn field_name(spelled: &[u8]) -> Option<HeaderName> {
        FieldNames::of_this_thread(|names| names.read(spelled))
    }

    #[test]
    fn a_name_that_comes_again_is_the_same() {
        for spelled in ["Host", "host", "HOST", "X-Custom", "x-custom", "x-custoM", "a", "A"] {
            for _ in 0..4 {
                let name = field_name(spelled.as_bytes()).unwrap();
                assert_eq!(name.as_str(), spelled.to_ascii_lowercase());
            }
        }
        assert_eq!(field_name(b"Content-Length").unwrap(), http::header::CONTENT_LENGTH);
        for bad in [&b""[..], b"a b", b"a\0", b"\xff", &[b'a'; 65_536]] {
            assert!(field_name(bad).is_none() && field_name(bad).is_none());
        }
    }

    #[test]
    fn names_that_share_a_place_are_told_apart() {
        let names: Vec<String> = (0..1000).map(|index| format!("x-begins-{index:04}-the-same-end")).collect();
        for name in names.iter().chain(&names).flat_map(|name| [name; 3]) {
            assert_eq!(field_name(name.as_bytes()).unwrap().as_str(), name);
        }
    }

    proptest! {
        #[test]
        fn it_is_what_it_would_be_without_a_memory(names in prop::collection::vec("[aAbB]{1,3}|[ -~]{0,50}|x-[A-Z]{8}", 1..40)) {
            for name in names.iter().chain(&names).flat_map(|name| [name; 3]) {
                let expected = HeaderName::from_bytes(name.as_bytes());
                prop_assert_eq!(field_name(name.as_bytes()), expected.ok().filter(|_| is_token(name.as_bytes())));
            }
        }
    }
}
