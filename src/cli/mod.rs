//! Owns: the command line: what can be asked of the program, and its exit codes.
//! Refuses: doing the work itself: each subcommand has a file of its own, and the gateway is started by `app`.
//! Always holds: 0 for success, 1 for a configuration that does not compile, a refusal or a run that failed, 2 for wrong usage.

mod arguments;
mod check;
mod demo;
mod explain;
pub mod health;
mod issuer;
mod schema;
mod serve;
mod terminal;
pub mod token;
pub mod upstream_example;
mod usage;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use self::{
    arguments::{Arguments, Command, TokenCommand},
    usage::UsageError,
};
use crate::clock::Clock;

/// The exit code of arguments that make no sense, as of those that cannot be read.
const WRONG_USAGE: u8 = 2;

/// Reads the command line, runs what it asks for and gives the exit code.
#[must_use]
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.command {
        Command::Serve(options) => serve::run(&options),
        Command::Demo(options) => demo::run(&options),
        Command::Check(options) => check::run(&options),
        Command::Explain(options) => explain::run(&options),
        Command::Token(TokenCommand::Inspect(options)) => inspect(&options),
        Command::Token(TokenCommand::Issue(options)) => issuer::tokens::issue(&options),
        Command::Token(TokenCommand::List(options)) => issuer::tokens::list(&options),
        Command::Token(TokenCommand::Revoke(options)) => issuer::tokens::revoke(&options),
        Command::Client(command) => issuer::client::run(&command),
        Command::Keys(command) => issuer::keys::run(&command),
        Command::Schema(options) => schema::run(&options),
        Command::Health(options) => options.run().map_err(Into::into).and_then(|answer| {
            terminal::print(&answer)?;
            Ok(ExitCode::SUCCESS)
        }),
        Command::Completions { shell } => {
            // Not to standard output itself: a reader that leaves early would be a panic there.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "postern", &mut script);
            terminal::print(&String::from_utf8_lossy(&script)).map_err(Into::into).map(|()| ExitCode::SUCCESS)
        }
    };
    outcome.unwrap_or_else(|error| {
        terminal::print_error(&format!("{error:#}"));
        if error.is::<UsageError>() { ExitCode::from(WRONG_USAGE) } else { ExitCode::FAILURE }
    })
}

fn inspect(options: &token::InspectArguments) -> anyhow::Result<ExitCode> {
    let mut text = Vec::new();
    token::run(options, &mut text, Clock::system().now(), terminal::colour_on_stdout())?;
    terminal::print(&String::from_utf8_lossy(&text))?;
    Ok(ExitCode::SUCCESS)
}
