//! Owns: `postern client`: registering, showing, switching and removing clients of the embedded issuer.
//! Always holds: a secret is printed by the command that had it made, and by no other.

mod definition;
mod new_secret;
mod overview;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand, builder::NonEmptyStringValueParser};
use serde_json::json;

use self::{definition::DefinitionArguments, new_secret::NewSecret};
use super::{Call, SecretFile, TargetArguments, confirm, shown};
use crate::{
    cli::terminal,
    clock::{Clock, UnixTime},
    config::HumanDuration,
};

/// What can be done with clients.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ClientCommand {
    /// Register a client, and print its secret
    Add(Box<AddArguments>),
    /// List the clients, those of the configuration and those of the store
    List(ListArguments),
    /// Show what a client is and may
    Show(OneArguments),
    /// Give a client a new secret; the one before stays good for a while
    Rotate(RotateArguments),
    /// Switch a client off: it gets no tokens, and those it has are refused
    Disable(OneArguments),
    /// Switch a client on again
    Enable(OneArguments),
    /// Remove a client, and revoke its tokens
    Remove(RemoveArguments),
}

/// A client that is to be registered.
#[derive(Debug, Args)]
pub(in crate::cli) struct AddArguments {
    /// The client's id; default: a random one
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    id: Option<String>,
    #[command(flatten)]
    definition: DefinitionArguments,
    /// Write the secret into this new file, which only you can read, instead of to standard output
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    #[command(flatten)]
    target: TargetArguments,
}

/// Where the clients are.
#[derive(Debug, Args)]
pub(in crate::cli) struct ListArguments {
    #[command(flatten)]
    target: TargetArguments,
}

/// One client.
#[derive(Debug, Args)]
pub(in crate::cli) struct OneArguments {
    /// The client's id
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    id: String,
    #[command(flatten)]
    target: TargetArguments,
}

/// How a secret is replaced.
#[derive(Debug, Args)]
pub(in crate::cli) struct RotateArguments {
    /// The client's id
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    id: String,
    /// How long the secret before stays good, like 1h; 0s ends it now
    #[arg(long, value_name = "DURATION", value_parser = HumanDuration::parse, default_value = "24h")]
    grace: HumanDuration,
    /// Write the secret into this new file, which only you can read, instead of to standard output
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    #[command(flatten)]
    target: TargetArguments,
}

/// A client that is to be removed.
#[derive(Debug, Args)]
pub(in crate::cli) struct RemoveArguments {
    /// The client's id
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    id: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    target: TargetArguments,
}

/// Does what is asked for.
pub(in crate::cli) fn run(command: &ClientCommand) -> anyhow::Result<ExitCode> {
    let now = Clock::system().now();
    match command {
        ClientCommand::Add(arguments) => add(arguments)?,
        ClientCommand::List(arguments) => list(arguments)?,
        ClientCommand::Show(arguments) => show(arguments, now)?,
        ClientCommand::Rotate(arguments) => rotate(arguments, now)?,
        ClientCommand::Disable(arguments) => switch(arguments, "disable")?,
        ClientCommand::Enable(arguments) => switch(arguments, "enable")?,
        ClientCommand::Remove(arguments) => remove(arguments)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn add(arguments: &AddArguments) -> anyhow::Result<()> {
    let body = arguments.definition.body(arguments.id.as_deref())?;
    let issuer = arguments.target.open()?;
    let file = arguments.secret_file.as_deref().map(SecretFile::create).transpose()?;
    let mut answer = issuer.ask(&Call::post(&["clients"]).body(body))?;
    let id = shown::text(&answer, "id");
    let said = match NewSecret::taken_from(&mut answer) {
        Some(secret) => {
            secret.hand_over(&issuer, answer, file)?;
            format!("The client {id} is registered. Its secret is not shown again.")
        }
        None => {
            issuer.print(&answer, |_| String::new())?;
            format!("The client {id} is registered. It needs no secret.")
        }
    };
    terminal::print_note(&said);
    Ok(())
}

fn list(arguments: &ListArguments) -> anyhow::Result<()> {
    let issuer = arguments.target.open()?;
    let answer = issuer.ask(&Call::get(&["clients"]))?;
    issuer.print(&answer, overview::table)
}

fn show(arguments: &OneArguments, now: UnixTime) -> anyhow::Result<()> {
    let issuer = arguments.target.open()?;
    let answer = issuer.ask(&Call::get(&["clients", &arguments.id]))?;
    issuer.print(&answer, |client| overview::whole(client, now))
}

fn rotate(arguments: &RotateArguments, now: UnixTime) -> anyhow::Result<()> {
    let issuer = arguments.target.open()?;
    let file = arguments.secret_file.as_deref().map(SecretFile::create).transpose()?;
    let call = Call::post(&["clients", &arguments.id, "rotate"]);
    let mut answer = issuer.ask(&call.body(json!({ "grace": arguments.grace.to_string() })))?;
    let old = match shown::moment(&answer, "old_expires_at", now) {
        Some(end) if arguments.grace.0.is_zero() => format!("The one before has ended: {end}."),
        Some(end) => format!("The one before is good until {end}."),
        None => "There was none before.".to_owned(),
    };
    if let Some(secret) = NewSecret::taken_from(&mut answer) {
        secret.hand_over(&issuer, answer, file)?;
    }
    terminal::print_note(&format!("The new secret is not shown again. {old}"));
    Ok(())
}

fn switch(arguments: &OneArguments, action: &str) -> anyhow::Result<()> {
    let issuer = arguments.target.open()?;
    let answer = issuer.ask(&Call::post(&["clients", &arguments.id, action]))?;
    issuer.print(&answer, |client| {
        let id = shown::text(client, "id");
        match (action, client.get("enabled").and_then(serde_json::Value::as_bool)) {
            ("enable", Some(false)) => {
                format!("The client {id} stays off: the configuration says `enabled = false`.\n")
            }
            ("enable", _) => format!("The client {id} is on: its unexpired tokens are good again.\n"),
            _ => format!("The client {id} is off: it gets no tokens, and those it has are refused.\n"),
        }
    })
}

fn remove(arguments: &RemoveArguments) -> anyhow::Result<()> {
    let id = shown::in_one_line(&arguments.id);
    let effect = format!("This removes the client {id} and revokes its tokens, and cannot be taken back.");
    confirm(&effect, arguments.yes)?;
    let issuer = arguments.target.open()?;
    let answer = issuer.ask(&Call::delete(&["clients", &arguments.id]))?;
    issuer.print(&answer, |removed| {
        let tokens = removed.get("revoked_tokens").map(ToString::to_string).unwrap_or_default();
        format!("The client {id} is removed; tokens revoked: {tokens}.\n")
    })
}
