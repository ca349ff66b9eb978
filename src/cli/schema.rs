//! `postern schema`: the shape of the configuration, for editors and for people.

use std::process::ExitCode;

use clap::Args;

use super::terminal;
use crate::config;

/// What `postern schema` takes.
#[derive(Debug, Args)]
pub(super) struct SchemaArguments {
    /// Print the reference of all keys as Markdown instead
    #[arg(long)]
    markdown: bool,
}

/// Prints the JSON Schema, or the reference.
pub(super) fn run(arguments: &SchemaArguments) -> anyhow::Result<ExitCode> {
    if arguments.markdown {
        terminal::print(&config::reference())?;
    } else {
        terminal::print(&format!("{:#}\n", config::schema()))?;
    }
    Ok(ExitCode::SUCCESS)
}
