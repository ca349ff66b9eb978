//! Key sets against a scripted issuer on a real socket, a file for each part of what they promise.

mod discovery;
mod disk;
mod failures;
mod freshness;
mod lifecycle;
mod rotation;
mod tls;
mod unknown_keys;
