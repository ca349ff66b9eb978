//! Owns: making names of fields out of what came, and remembering those of late: nearly every message says the same ones.
//! Refuses: what is no name (RFC 9110 section 5.1).
//! Always holds: a name is what it would be if nothing were remembered; what is remembered is bounded, and a thread's own.

use std::cell::RefCell;

use http::{HeaderName, header::InvalidHeaderName};

/// How many names a thread remembers at most.
const REMEMBERED: usize = 256;

/// The longest name that is remembered, in bytes.
const LONGEST: usize = 40;

/// The name of a field that is written as `spelled`, in any case. One that was read lately takes a sixth of the 300 instructions and
/// none of the memory that [`HeaderName::from_bytes`] needs for one that is not in its list.
///
/// # Errors
/// If it is none.
pub fn field_name(spelled: &[u8]) -> Result<HeaderName, InvalidHeaderName> {
    thread_local! {
        static LATELY: RefCell<Vec<Option<Remembered>>> = const { RefCell::new(Vec::new()) };
    }
    if spelled.len() > LONGEST {
        return HeaderName::from_bytes(spelled);
    }
    LATELY.with_borrow_mut(|lately| {
        let place = place(spelled);
        if let Some(Some(known)) = lately.get(place)
            && *known.spelled == *spelled
        {
            return Ok(known.name.clone());
        }
        let name = HeaderName::from_bytes(spelled)?;
        if lately.is_empty() {
            lately.resize_with(REMEMBERED, || None);
        }
        if let Some(oldest) = lately.get_mut(place) {
            *oldest = Some(Remembered { spelled: spelled.into(), name: name.clone() });
        }
        Ok(name)
    })
}

#[derive(Debug)]
struct Remembered {
    /// As it came.
    spelled: Box<[u8]>,
    name: HeaderName,
}

/// Where a name is remembered, if it is. Names that are told apart only by what is in their middle share a place, and push each
/// other out.
fn place(spelled: &[u8]) -> usize {
    let ends = match (spelled.first_chunk(), spelled.last_chunk()) {
        (Some(first), Some(last)) => u64::from_le_bytes(*first) ^ u64::from_le_bytes(*last).rotate_left(29),
        _ => spelled.iter().fold(0, |all, byte| all << 8 | u64::from(*byte)),
    };
    // The upper bits of a product depend on all bits of its factors.
    let mixed = (ends ^ spelled.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    usize::try_from(mixed).unwrap_or_default() % REMEMBERED
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_that_comes_again_is_the_same() {
        for spelled in ["Host", "host", "HOST", "X-Custom", "x-custom", "x-custoM", "a", "A"] {
            for _ in 0..2 {
                let name = field_name(spelled.as_bytes()).unwrap();
                assert_eq!(name.as_str(), spelled.to_ascii_lowercase());
            }
        }
        assert_eq!(field_name(b"Content-Length").unwrap(), http::header::CONTENT_LENGTH);
        for bad in [&b""[..], b"a b", b"a\0", b"\xff", &[b'a'; 65_536]] {
            assert!(field_name(bad).is_err() && field_name(bad).is_err());
        }
    }

    #[test]
    fn names_that_share_a_place_are_told_apart() {
        let names: Vec<String> = (0..1000).map(|index| format!("x-begins-{index:04}-the-same-end")).collect();
        for name in names.iter().chain(&names) {
            assert_eq!(field_name(name.as_bytes()).unwrap().as_str(), name);
        }
    }

    proptest! {
        #[test]
        fn it_is_what_it_would_be_without_a_memory(names in prop::collection::vec("[aAbB]{1,3}|[ -~]{0,50}|x-[A-Z]{8}", 1..40)) {
            for name in names.iter().chain(&names) {
                let expected = HeaderName::from_bytes(name.as_bytes());
                prop_assert_eq!(field_name(name.as_bytes()).ok(), expected.ok());
            }
        }
    }
}
