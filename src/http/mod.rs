//! Owns: the vocabulary of HTTP as a gateway needs it: hosts and paths in normal form, header hygiene, forwarding headers.
//! Refuses: whatever two readers could read in two ways.
//! Always holds: pure: no clock, no network, no configuration.

mod path_parameters;

pub use self::path_parameters::PathParameters;
