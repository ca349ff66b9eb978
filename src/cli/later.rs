//! Owns: the answer to subcommands that are documented but not available yet.
//! Always holds: they are refused by name with the exit code of wrong usage, whatever follows them.

use std::process::ExitCode;

use clap::Args;

use super::terminal;

/// Whatever follows the name.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(super) struct LaterArguments {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    rest: Vec<String>,
}

/// Says that `postern <name>` is not available yet.
pub(super) fn refuse(name: &str, _following: &LaterArguments) -> ExitCode {
    terminal::print_error(&format!(
        "`postern {name}` is not available yet: write clients into [authorization_server.clients.*] of the configuration"
    ));
    ExitCode::from(2)
}
