//! Owns: `postern token issue|list|revoke`: the tokens of the embedded issuer.
//! Always holds: an issued token is alone on standard output, and what it is stands on standard error, so that
//! `TOKEN=$(postern token issue ...)` is the token and nothing else.

mod list;
mod revoke;

use std::process::ExitCode;

use clap::{Args, ValueEnum, builder::NonEmptyStringValueParser};
use serde_json::{Map, Value, json};

use super::{Call, TargetArguments, shown};
use crate::{cli::terminal, clock::Clock};

pub(in crate::cli) use self::{
    list::{ListArguments, run as list},
    revoke::{RevokeArguments, run as revoke},
};

/// A token that is wanted for a client.
#[derive(Debug, Args)]
pub(in crate::cli) struct IssueArguments {
    /// The client's id
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    client: String,
    /// The API that it is for; may be left out if the client has one grant only
    #[arg(long, value_name = "AUDIENCE")]
    audience: Option<String>,
    /// Its scopes, like "orders:read orders:write"; default: all that are granted
    #[arg(long, value_name = "SCOPES")]
    scope: Option<String>,
    /// The dialect that decides its claims
    #[arg(long, value_enum, default_value_t = Dialect::Oauth2)]
    dialect: Dialect,
    #[command(flatten)]
    target: TargetArguments,
}

/// A dialect of token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Dialect {
    /// RFC 6749 and RFC 9068
    Oauth2,
    /// A hosted identity product in the style of Auth0
    Auth0,
    /// plgd's M2M OAuth server
    Plgd,
    /// Frontegg's API tokens
    Frontegg,
}

/// Issues a token on the operator's word, without the client's secret.
pub(in crate::cli) fn issue(arguments: &IssueArguments) -> anyhow::Result<ExitCode> {
    let mut body = Map::new();
    body.insert("client_id".to_owned(), json!(arguments.client));
    for (name, value) in [("audience", &arguments.audience), ("scope", &arguments.scope)] {
        if let Some(value) = value {
            body.insert(name.to_owned(), json!(value));
        }
    }
    let dialect = arguments.dialect.to_possible_value();
    body.insert("dialect".to_owned(), json!(dialect.map(|value| value.get_name().to_owned())));
    let issuer = arguments.target.open()?;
    let answer = issuer.ask(&Call::post(&["tokens"]).body(Value::Object(body)))?;
    let now = Clock::system().now();
    let what = [
        format!("token {} of client {}", shown::text(&answer, "token_id"), shown::in_one_line(&arguments.client)),
        match answer.get("scope").and_then(Value::as_str) {
            Some(scope) => format!("scopes {}", shown::in_one_line(scope)),
            None => "no scopes".to_owned(),
        },
        match shown::moment(&answer, "expires_at", now) {
            Some(end) => format!("good until {end}"),
            None => "good until it is revoked".to_owned(),
        },
    ];
    issuer.print(&answer, |answer| format!("{}\n", shown::text(answer, "access_token")))?;
    terminal::print_note(&what.join("; "));
    Ok(ExitCode::SUCCESS)
}
