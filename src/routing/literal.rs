//! Owns: the literal segments of routes' paths, and the marks that tell them apart.
//! Refuses: nothing: which segments there may be, `path` decides.
//! Always holds: two literals are the same if their bytes are; those of one seed that are have one mark.

/// As many letters of a literal stand in its place itself: with what else is in a place, they fill one cache line.
const SHORT: usize = 22;

/// A segment of a path, of which a short one is kept without another allocation.
#[derive(Debug)]
pub(super) enum Literal {
    Short(u8, [u8; SHORT]),
    Long(Box<str>),
}

impl Literal {
    pub(super) fn new(text: &str) -> Self {
        let mut short = [0; SHORT];
        match (short.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(letters), Ok(length)) => {
                letters.copy_from_slice(text.as_bytes());
                Self::Short(length, short)
            }
            _ => Self::Long(text.into()),
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Short(length, letters) => letters.get(..usize::from(*length)).unwrap_or_default(),
            Self::Long(own) => own.as_bytes(),
        }
    }
}

impl Default for Literal {
    fn default() -> Self {
        Self::Short(0, [0; SHORT])
    }
}

/// A hash: it tells literals apart, but for few, and who does not know the seed cannot say which.
pub(super) fn mark(seed: u64, literal: &[u8]) -> u32 {
    let (words, rest) = literal.as_chunks::<8>();
    let mut hash = seed ^ literal.len() as u64;
    for word in words {
        hash = fold(hash ^ u64::from_le_bytes(*word));
    }
    if !rest.is_empty() {
        hash = fold(hash ^ last_word(literal));
    }
    fold(hash) as u32
}

/// The last eight bytes, or as many as there are.
fn last_word(bytes: &[u8]) -> u64 {
    if let Some(last) = bytes.last_chunk::<8>() {
        return u64::from_le_bytes(*last);
    }
    // Most segments are this short: taken byte by byte they would cost more than all the rest of finding their way.
    match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        (Some(first), Some(last)) => u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last)),
        _ => bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}

/// Mixes all bits with all others, by the two halves of a product.
fn fold(bits: u64) -> u64 {
    // The golden ratio: odd, and without a pattern in its bits.
    let product = u128::from(bits) * 0x9e37_79b9_7f4a_7c15;
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_is_itself_and_nothing_else_however_long() {
        for length in 0..=2 * SHORT {
            let text: String = "abc/".chars().cycle().take(length).collect();
            let literal = Literal::new(&text);
            let is = |text: &str| literal.as_bytes() == text.as_bytes();
            assert!(is(&text), "{text}");
            assert_eq!(matches!(literal, Literal::Short(..)), length <= SHORT);
            for other in [
                format!("{text}\0"),
                format!("{text}a"),
                text.replacen('c', "d", 1),
                text.chars().take(length / 2).collect(),
            ] {
                assert_eq!(is(&other), text == other, "{text} {other}");
            }
        }
    }
}
