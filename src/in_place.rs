//! Owns: making what is large where it stays.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_was_made() {
        assert_eq!(*boxed(|| [7_u8; 5000]), [7; 5000]);
    }
}
