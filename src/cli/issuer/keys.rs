//! Owns: `postern keys`: the signing keys of the embedded issuer.
//! Refuses: revoking a key without a yes: every token that it signed goes with it.

use std::process::ExitCode;

use clap::{Args, Subcommand, builder::NonEmptyStringValueParser};
use serde_json::{Value, json};

use super::{Call, TargetArguments, confirm, shown};
use crate::clock::{Clock, UnixTime};

/// What can be done with signing keys.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum KeysCommand {
    /// List the signing keys
    List(ListArguments),
    /// Let the next key sign from now on
    Rotate(RotateArguments),
    /// Revoke a key that somebody else may have, and every token that it signed
    Revoke(RevokeArguments),
}

/// Where the keys are.
#[derive(Debug, Args)]
pub(in crate::cli) struct ListArguments {
    #[command(flatten)]
    target: TargetArguments,
}

/// How the next key takes over.
#[derive(Debug, Args)]
pub(in crate::cli) struct RotateArguments {
    /// Even if the next key was published so lately that verifiers may not know it yet
    #[arg(long)]
    now: bool,
    #[command(flatten)]
    target: TargetArguments,
}

/// A key that is to be revoked.
#[derive(Debug, Args)]
pub(in crate::cli) struct RevokeArguments {
    /// The key's id
    #[arg(allow_hyphen_values = true, value_name = "KEY_ID", value_parser = NonEmptyStringValueParser::new())]
    key_id: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    target: TargetArguments,
}

/// Does what is asked for.
pub(in crate::cli) fn run(command: &KeysCommand) -> anyhow::Result<ExitCode> {
    let now = Clock::system().now();
    match command {
        KeysCommand::List(arguments) => {
            let issuer = arguments.target.open()?;
            let answer = issuer.ask(&Call::get(&["keys"]))?;
            issuer.print(&answer, |keys| table(keys, now))?;
        }
        KeysCommand::Rotate(arguments) => {
            let issuer = arguments.target.open()?;
            let answer = issuer.ask(&Call::post(&["keys", "rotate"]).body(json!({ "haste": arguments.now })))?;
            issuer.print(&answer, |keys| format!("The next key signs from now on.\n{}", table(keys, now)))?;
        }
        KeysCommand::Revoke(arguments) => revoke(arguments)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn revoke(arguments: &RevokeArguments) -> anyhow::Result<()> {
    let key_id = shown::in_one_line(&arguments.key_id);
    let effect = format!("This revokes the key {key_id} and every token that it signed, and cannot be taken back.");
    confirm(&effect, arguments.yes)?;
    let issuer = arguments.target.open()?;
    let answer = issuer.ask(&Call::post(&["keys", &arguments.key_id, "revoke"]))?;
    issuer.print(&answer, |answer| {
        let tokens = answer.get("revoked").map(ToString::to_string).unwrap_or_default();
        format!("The key {key_id} is revoked; live tokens that it had signed: {tokens}.\n")
    })
}

fn table(keys: &Value, now: UnixTime) -> String {
    let row = |key: &Value| {
        let end = match key.get("revoked_at") {
            Some(_) => shown::moment_cell(key, "revoked_at", now, ""),
            None => shown::moment_cell(key, "retired_at", now, ""),
        };
        vec![
            shown::text(key, "key_id"),
            shown::text(key, "state"),
            shown::text(key, "algorithm"),
            shown::moment_cell(key, "created_at", now, ""),
            shown::moment_cell(key, "activated_at", now, "not yet"),
            end,
        ]
    };
    let rows = shown::items(keys, "keys").iter().map(row).collect();
    shown::table(&["key", "is", "algorithm", "made", "signs since", "until"], rows, "There are no keys.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_listed_with_the_part_that_each_plays() {
        let now = UnixTime::from_seconds(1_795_196_538);
        let made = "2026-11-20T17:42:18.000Z";
        let keys = json!({ "keys": [
            { "key_id": "k1", "algorithm": "ES256", "state": "revoked", "created_at": made, "activated_at": made,
              "revoked_at": made },
            { "key_id": "k2", "algorithm": "ES256", "state": "next", "created_at": made },
        ] });
        let shown = table(&keys, now);
        for words in ["k1", "revoked", "k2", "next", "not yet", "2026-11-20 17:42:18 UTC", "ES256"] {
            assert!(shown.contains(words), "{words} is not in\n{shown}");
        }
    }
}
