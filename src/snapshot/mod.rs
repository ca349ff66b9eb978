//! Owns: the configuration compiled whole, and its replacement while requests run.
//! Refuses: a configuration with any error in it; a mix of two configurations within one request.
//! Always holds: a `Snapshot` is immutable; a rejected configuration leaves the applied one in force.

mod changes;

pub use self::changes::changes;
