//! Owns: finding the place of a tree that a literal leads to, for all places of the tree in one table.
//! Refuses: looking at a place that the literal does not lead to: its mark tells, but for one in four billion.
//! Always holds: what a request is compared with depends on the seed of the table, which nobody outside knows.

use std::{
    hash::{BuildHasher as _, RandomState},
    iter,
};

use super::tree::number;

/// As many letters of a literal stand in its place itself: with what else is in a place, they fill one cache line.
const SHORT: usize = 22;

/// A segment of a path, of which a short one is kept without another allocation.
#[derive(Debug)]
pub(super) enum Literal {
    Short(u8, [u8; SHORT]),
    Long(Box<str>),
}

/// From a place and a literal to the next place. A hash table of eight bytes an entry, whose keys are in the places.
#[derive(Debug)]
pub(super) struct Ways {
    seed: u64,
    used: usize,
    /// As many as a power of two, and a third of them or more free.
    slots: Box<[Way]>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Way {
    mark: u32,
    /// The first place for a free one: nothing leads there.
    to: u32,
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

    pub(super) fn is(&self, text: &str) -> bool {
        match self {
            Self::Short(length, letters) => letters.get(..usize::from(*length)) == Some(text.as_bytes()),
            Self::Long(own) => **own == *text,
        }
    }
}

impl Default for Literal {
    fn default() -> Self {
        Self::Short(0, [0; SHORT])
    }
}

impl Ways {
    pub(super) fn new() -> Self {
        Self { seed: RandomState::new().hash_one(()), used: 0, slots: Box::from([Way::default(); 4]) }
    }

    /// The place behind `from` that `literal` leads to, as `is_it` confirms of a place.
    pub(super) fn find(&self, from: u32, literal: &str, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let mark = self.mark(from, literal);
        let mask = self.slots.len() - 1;
        let mut at = mark as usize & mask;
        // There is always a free slot, at which it ends.
        while let Some(way) = self.slots.get(at).filter(|way| way.to != 0) {
            if way.mark == mark && is_it(way.to) {
                return Some(way.to);
            }
            at = (at + 1) & mask;
        }
        None
    }

    /// Puts in that `literal`, which led nowhere so far, leads from `from` to `to`.
    pub(super) fn insert(&mut self, from: u32, literal: &str, to: u32) {
        if 3 * (self.used + 1) > 2 * self.slots.len() {
            let grown = iter::repeat_n(Way::default(), 2 * self.slots.len()).collect();
            let ways = std::mem::replace(&mut self.slots, grown);
            ways.into_iter().filter(|way| way.to != 0).for_each(|way| self.put(way));
        }
        self.put(Way { mark: self.mark(from, literal), to });
        self.used += 1;
    }

    fn put(&mut self, way: Way) {
        let mask = self.slots.len() - 1;
        let mut at = way.mark as usize & mask;
        while let Some(slot) = self.slots.get_mut(at) {
            if slot.to == 0 {
                *slot = way;
                return;
            }
            at = (at + 1) & mask;
        }
    }

    fn mark(&self, from: u32, literal: &str) -> u32 {
        let bytes = literal.as_bytes();
        let (words, rest) = bytes.as_chunks::<8>();
        let mut hash = self.seed ^ u64::from(from) ^ (u64::from(number(bytes.len())) << 32);
        for word in words {
            hash = fold(hash ^ u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            hash = fold(hash ^ last_word(bytes));
        }
        fold(hash) as u32
    }
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
    use proptest::prelude::*;

    #[test]
    fn a_literal_is_itself_and_nothing_else_however_long() {
        for length in 0..=2 * SHORT {
            let text: String = "abc/".chars().cycle().take(length).collect();
            let literal = Literal::new(&text);
            assert!(literal.is(&text), "{text}");
            assert_eq!(matches!(literal, Literal::Short(..)), length <= SHORT);
            for other in [
                format!("{text}\0"),
                format!("{text}a"),
                text.replacen('c', "d", 1),
                text.chars().take(length / 2).collect(),
            ] {
                assert_eq!(literal.is(&other), text == other, "{text} {other}");
            }
        }
    }

    proptest! {
        #[test]
        fn every_way_is_found_again_and_no_other(
            ways in proptest::collection::hash_set((0u32..4, "[ab]{0,20}"), 0..200),
            others in proptest::collection::vec((0u32..4, "[ab]{0,20}"), 100),
        ) {
            let ways: Vec<(u32, String)> = ways.into_iter().collect();
            let mut table = Ways::new();
            for (before, (from, literal)) in ways.iter().enumerate() {
                table.insert(*from, literal, number(before + 1));
            }
            for (from, literal) in ways.iter().chain(&others) {
                let is_it = |to: u32| ways[to as usize - 1] == (*from, literal.clone());
                let known = ways.iter().position(|way| *way == (*from, literal.clone()));
                prop_assert_eq!(table.find(*from, literal, is_it), known.map(|at| number(at + 1)));
            }
        }
    }
}
