//! Owns: how many file descriptors the process may have open, and those that the data plane leaves alone.
//! Refuses: letting requests use up what an operator, the store and the logs need.
//! Always holds: as long as the kernel gives the lowest number that is free, a descriptor in the reserve means that nearly
//! all others are in use.

use std::os::fd::AsRawFd;

use rustix::process::{Resource, getrlimit, setrlimit};

/// How many descriptors are left to everything that is not a request's connection; of a small limit an eighth.
const RESERVE: u64 = 64;

/// Raises the soft limit to the hard one, as a program may that uses no `select`. Gives the limit that holds then.
///
/// A limit that cannot be raised stays as it is: that is no reason not to start.
pub fn raise_limit() -> Option<u64> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Some systems allow less than they say.
    let _ = setrlimit(Resource::Nofile, limit);
    getrlimit(Resource::Nofile).current
}

/// Whether a connection has got one of the last descriptors, so that it is to be closed again. The limit is looked up each time,
/// since it may be changed from outside.
#[must_use]
pub fn is_reserved(connection: &impl AsRawFd) -> bool {
    let Some(limit) = getrlimit(Resource::Nofile).current else { return false };
    let number = u64::try_from(connection.as_raw_fd()).unwrap_or_default();
    is_in_reserve(number, limit)
}

fn is_in_reserve(number: u64, limit: u64) -> bool {
    number >= limit.saturating_sub(RESERVE.min(limit / 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_reserved_and_the_first_never() {
        for (limit, first_reserved) in [(1024, 960), (1_048_576, 1_048_512), (256, 224), (64, 56)] {
            assert!(!is_in_reserve(first_reserved - 1, limit), "{limit}");
            assert!(is_in_reserve(first_reserved, limit), "{limit}");
        }
        assert!(!is_reserved(&std::io::stdin()));
    }
}
