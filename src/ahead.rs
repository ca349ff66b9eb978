//! Owns: having memory near by the time that it is needed.
//! Refuses: nothing.
//! Always holds: nothing changes by it but what the processor has at hand.
//!
//! What thousands of requests have come between is far away, tens of nanoseconds or more for each step of the way there. A processor goes
//! on for some hundred instructions while it fetches what nobody asks for yet, so what is read ahead of time comes while it is busy with
//! something else, and what is read together is waited for once. This is a hint: an ordinary read, which compilers leave where it is,
//! though none promises to. Only `benches/` would show it if one did no longer.

use std::hint::black_box;

/// Has the processor fetch where `value` is, or what it was read from.
pub fn fetch<T: Copy>(value: &T) {
    black_box(*value);
}
