//! Owns: making what is large where it stays, and for which sizes there is a place at hand.
//! Refuses: nothing.
//! Always holds: it is what `Box::new` would give. That one has the value first and its place then, and copies the one to the other; where
//! the place is there first, an optimising compiler writes into it what there is to write, and nothing of the room that a future has for
//! later: of the future that answers a request these are 4 KiB, and 400 of its instructions. Only the counts of `benches/instructions`
//! would show it if a compiler did no longer.

/// The box of what `make` makes.
pub fn boxed<T>(make: impl FnOnce() -> T) -> Box<T> {
    let place = Box::new_uninit();
    Box::write(place, make())
}

/// Whether mimalloc 3, the program's allocator, has places for so many bytes at hand, which is for whatever each request needs a box for.
/// So it is for what is aligned like a word; a power of two may be aligned like more.
///
/// Up to 1 KiB it keeps lists of free places in four sizes between each power of two and the next, and in steps of 16 bytes below 128
/// (`mi_bin`). Where a list is empty, and the size is no power of two, it looks for as much more as a place may be out of alignment
/// (`mi_theap_malloc_zero_aligned_at_generic`): of what fills its size, that is always in the list of the next one. So the first list stays
/// empty, unless it is filled in some other way, and each time is the long one: 220 instructions instead of 20.
#[cfg(test)]
pub(crate) const fn is_at_hand(bytes: usize) -> bool {
    let between = bytes.next_power_of_two() / 8;
    let step = if between < 16 { 16 } else { between };
    bytes <= 1024 && (bytes.is_power_of_two() || !bytes.next_multiple_of(8).is_multiple_of(step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fills_a_size_that_is_no_power_of_two_is_not_at_hand() {
        let not_at_hand = [48, 80, 96, 112, 160, 192, 224, 320, 384, 448, 640, 768, 896];
        let words = (1..=128).map(|words| 8 * words);
        let found: Vec<usize> = words.filter(|bytes| !is_at_hand(*bytes)).collect();
        assert_eq!(found, not_at_hand);
        assert!(!is_at_hand(221) && is_at_hand(1024) && !is_at_hand(1032));
    }

    #[test]
    fn it_is_what_was_made() {
        assert_eq!(*boxed(|| [7_u8; 5000]), [7; 5000]);
    }
}
