//! Owns: the command line: what can be asked of the program, and its exit codes.
//! Refuses: doing the work itself: each subcommand has a file of its own, and the gateway is started by `app`.
//! Always holds: 0 for success, 1 for a configuration that does not compile or a run that failed, 2 for wrong usage.

mod arguments;
mod check;
mod demo;
mod explain;
pub mod health;
mod later;
mod schema;
mod serve;
mod terminal;
pub mod token;
pub mod upstream_example;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use self::arguments::{Arguments, Command, TokenCommand};
use crate::clock::Clock;

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
        Command::Client(later) => Ok(later::refuse("client", &later)),
        Command::Keys(later) => Ok(later::refuse("keys", &later)),
    };
    outcome.unwrap_or_else(|error| {
        terminal::print_error(&format!("{error:#}"));
        ExitCode::FAILURE
    })
}

fn inspect(options: &token::InspectArguments) -> anyhow::Result<ExitCode> {
    let mut text = Vec::new();
    token::run(options, &mut text, Clock::system().now(), terminal::colour_on_stdout())?;
    terminal::print(&String::from_utf8_lossy(&text))?;
    Ok(ExitCode::SUCCESS)
}
