//! Owns: the shape of the command line.
//! Always holds: every subcommand of the documentation is here.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use super::issuer::{client::ClientCommand, keys::KeysCommand};

/// The gateway for machine-to-machine traffic.
#[derive(Debug, Parser)]
#[command(name = "postern", version, about, max_term_width = 100)]
pub(super) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What can be asked of the program.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the gateway
    Serve(ConfigArguments),
    /// Run a complete example on loopback and print what to try
    Demo(super::demo::DemoArguments),
    /// Find every problem of a configuration
    Check(CheckArguments),
    /// Say which route a request takes and how each of its rules judges a token, offline
    Explain(super::explain::ExplainArguments),
    /// Look at tokens; issue, list and revoke those of the embedded issuer
    #[command(subcommand)]
    Token(TokenCommand),
    /// Register, list and remove clients of the embedded issuer
    #[command(subcommand)]
    Client(ClientCommand),
    /// List, rotate and revoke signing keys of the embedded issuer
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Print the JSON Schema of the configuration
    Schema(super::schema::SchemaArguments),
    /// Ask a running gateway whether it is alive, for container health checks
    Health(super::health::HealthArguments),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// What can be asked of a token.
#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Show what a token says and what is unusual about it, without contacting anybody
    Inspect(super::token::InspectArguments),
    /// Issue a token for a client of the embedded issuer, and print it
    Issue(super::issuer::tokens::IssueArguments),
    /// List the tokens that the embedded issuer has issued, the newest first
    List(super::issuer::tokens::ListArguments),
    /// Revoke tokens of the embedded issuer
    Revoke(super::issuer::tokens::RevokeArguments),
}

/// Where the configuration is.
#[derive(Clone, Debug, Args)]
pub(crate) struct ConfigArguments {
    /// Configuration files; later ones are laid over earlier ones
    #[arg(short = 'c', long = "config", value_name = "FILE", required = true, num_args = 1..)]
    pub(crate) files: Vec<PathBuf>,
}

/// What `postern check` takes.
#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    #[command(flatten)]
    pub(super) config: ConfigArguments,
    /// Print the merged configuration with its defaults, secrets redacted
    #[arg(long)]
    pub(super) print: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    Text,
    /// For machines.
    Json,
}
