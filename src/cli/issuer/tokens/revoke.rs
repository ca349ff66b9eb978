//! Owns: `postern token revoke`.
//! Refuses: revoking more than one token without a yes.

use std::process::ExitCode;

use clap::{Args, builder::NonEmptyStringValueParser};
use serde_json::{Value, json};

use super::super::{Call, TargetArguments, confirm, shown};
use crate::telemetry::Rfc3339;

/// What is to be revoked, and whether to ask.
#[derive(Debug, Args)]
pub(in crate::cli) struct RevokeArguments {
    #[command(flatten)]
    selection: SelectionArguments,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    target: TargetArguments,
}

/// Exactly one of these.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct SelectionArguments {
    /// One token, by its id: its `jti`, or what `postern token list` says
    #[arg(value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    token: Option<String>,
    /// All tokens of a client
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    client: Option<String>,
    /// All tokens of an owner
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    owner: Option<String>,
    /// All tokens of a tenant
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    tenant: Option<String>,
    /// All tokens that a key signed; the key stays
    #[arg(long, allow_hyphen_values = true, value_name = "KEY_ID", value_parser = NonEmptyStringValueParser::new())]
    key: Option<String>,
    /// Everything that was issued before a moment, like 2026-11-20T03:00:00Z
    #[arg(long, value_name = "MOMENT", value_parser = moment)]
    issued_before: Option<String>,
}

/// Revokes.
pub(in crate::cli) fn run(arguments: &RevokeArguments) -> anyhow::Result<ExitCode> {
    let (member, value) = arguments.selection.chosen();
    let named = shown::in_one_line(value);
    let what = match member {
        "token_id" => format!("the token {named}"),
        "client_id" => format!("every live token of the client {named}"),
        "owner" => format!("every live token of the owner {named}"),
        "tenant" => format!("every live token of the tenant {named}"),
        "key_id" => format!("every live token that the key {named} signed"),
        _ => format!("every token that was issued before {named}"),
    };
    if member != "token_id" {
        confirm(&format!("This revokes {what}, and cannot be taken back."), arguments.yes)?;
    }
    let issuer = arguments.target.open()?;
    let answer = issuer.ask(&Call::post(&["revocations"]).body(json!({ member: value })))?;
    issuer.print(&answer, |answer| match answer.get("revoked").and_then(Value::as_u64) {
        Some(1) => "1 token is revoked.\n".to_owned(),
        Some(number) => format!("{number} tokens are revoked.\n"),
        // A moment revokes without counting.
        None => format!("Revoked is {what}.\n"),
    })?;
    Ok(ExitCode::SUCCESS)
}

impl SelectionArguments {
    /// The member of the request, and its value. The parser lets exactly one through.
    fn chosen(&self) -> (&'static str, &str) {
        let given = [
            ("token_id", &self.token),
            ("client_id", &self.client),
            ("owner", &self.owner),
            ("tenant", &self.tenant),
            ("key_id", &self.key),
            ("issued_before", &self.issued_before),
        ];
        given.into_iter().find_map(|(member, value)| Some((member, value.as_deref()?))).unwrap_or(("token_id", ""))
    }
}

/// A moment as RFC 3339 has it.
fn moment(text: &str) -> Result<String, String> {
    match Rfc3339::parse(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err("write a moment with its offset, like 2026-11-20T03:00:00Z".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        selection: SelectionArguments,
    }

    #[test]
    fn exactly_one_thing_is_revoked() {
        let chosen = |arguments: &[&str]| {
            let line = Line::try_parse_from([&["postern"], arguments].concat()).ok()?;
            let (member, value) = line.selection.chosen();
            Some((member, value.to_owned()))
        };
        for (arguments, member, value) in [
            (&["t1"][..], "token_id", "t1"),
            (&["--client", "billing"], "client_id", "billing"),
            (&["--owner", "ann"], "owner", "ann"),
            (&["--tenant", "acme"], "tenant", "acme"),
            (&["--key", "k1"], "key_id", "k1"),
            (&["--issued-before", "2026-11-20T03:00:00+01:00"], "issued_before", "2026-11-20T03:00:00+01:00"),
        ] {
            assert_eq!(chosen(arguments), Some((member, value.to_owned())), "{arguments:?}");
        }
        for wrong in [
            &[][..],
            &["t1", "--client", "billing"],
            &["--client", "billing", "--owner", "ann"],
            &["--client", ""],
            &["--issued-before", "yesterday"],
            &["--issued-before", "2026-11-20"],
            &["t1", "t2"],
        ] {
            assert_eq!(chosen(wrong), None, "{wrong:?}");
        }
    }
}
