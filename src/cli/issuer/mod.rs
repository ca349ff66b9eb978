//! Owns: what the commands that work on the embedded issuer share: where it is, how it is asked, how its answers are shown.
//! Refuses: deciding anything: each command is one or a few requests to the management API.
//! Always holds: a command does the same on a store as on a running gateway; a new secret goes to standard output alone, or into
//! a file; nothing that an answer says can command the terminal.

mod actor;
mod answer;
mod call;
pub(super) mod client;
mod confirm;
mod gateway;
pub(super) mod keys;
mod open_issuer;
mod secret_file;
mod shown;
mod target;
pub(super) mod tokens;

use self::{call::Call, confirm::confirm, open_issuer::OpenIssuer, secret_file::SecretFile, target::TargetArguments};
