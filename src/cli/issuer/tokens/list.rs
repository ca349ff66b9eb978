//! Owns: `postern token list`.
//! Always holds: no more is asked for than is wanted, a page at a time.

use std::process::ExitCode;

use clap::{Args, value_parser};
use serde_json::{Map, Value, json};

use super::super::{Call, OpenIssuer, TargetArguments, shown};
use crate::clock::{Clock, UnixTime};

/// How many tokens a page of the API has at most.
const LARGEST_PAGE: usize = 1000;

/// Which tokens are wanted: those for which all of this is true.
#[derive(Debug, Args)]
pub(in crate::cli) struct ListArguments {
    /// Those of this client
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    /// Those of this owner
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
    /// Those of this tenant
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Those for this API
    #[arg(long, value_name = "AUDIENCE")]
    audience: Option<String>,
    /// Those that this key signed
    #[arg(long, allow_hyphen_values = true, value_name = "KEY_ID")]
    key: Option<String>,
    /// Also those that were revoked
    #[arg(long)]
    include_revoked: bool,
    /// Also those that have expired, until they are forgotten
    #[arg(long)]
    include_expired: bool,
    /// How many at most
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = value_parser!(u32).range(1..=1_000_000))]
    limit: u32,
    /// Where to go on: what the end of a list says
    #[arg(long, allow_hyphen_values = true, value_name = "PLACE")]
    after: Option<String>,
    #[command(flatten)]
    target: TargetArguments,
}

/// Lists tokens, the newest first.
pub(in crate::cli) fn run(arguments: &ListArguments) -> anyhow::Result<ExitCode> {
    let issuer = arguments.target.open()?;
    let found = gather(arguments, &issuer)?;
    let now = Clock::system().now();
    issuer.print(&found, |found| in_words(found, now))?;
    Ok(ExitCode::SUCCESS)
}

/// The pages that are wanted, as one.
fn gather(arguments: &ListArguments, issuer: &OpenIssuer) -> anyhow::Result<Value> {
    let wanted = usize::try_from(arguments.limit).unwrap_or(usize::MAX);
    let mut tokens: Vec<Value> = Vec::new();
    let mut next = arguments.after.clone();
    loop {
        let size = wanted.saturating_sub(tokens.len()).min(LARGEST_PAGE).to_string();
        let query = [
            ("client_id", arguments.client.as_deref()),
            ("owner", arguments.owner.as_deref()),
            ("tenant", arguments.tenant.as_deref()),
            ("audience", arguments.audience.as_deref()),
            ("key_id", arguments.key.as_deref()),
            ("include_revoked", arguments.include_revoked.then_some("true")),
            ("include_expired", arguments.include_expired.then_some("true")),
            ("limit", Some(size.as_str())),
            ("after", next.as_deref()),
        ];
        let page = issuer.ask(&Call::get(&["tokens"]).query(&query))?;
        let found = shown::items(&page, "tokens");
        tokens.extend_from_slice(found);
        next = page.get("next").and_then(Value::as_str).map(str::to_owned);
        // A page without tokens is the end, whatever it says.
        if next.is_none() || found.is_empty() || tokens.len() >= wanted {
            break;
        }
    }
    let mut answer = Map::new();
    answer.insert("tokens".to_owned(), Value::Array(tokens));
    if let Some(next) = next {
        answer.insert("next".to_owned(), json!(next));
    }
    Ok(Value::Object(answer))
}

fn in_words(found: &Value, now: UnixTime) -> String {
    let row = |token: &Value| {
        let of = ["owner", "tenant"].map(|member| shown::text(token, member));
        let whose: Vec<&str> = of.iter().map(String::as_str).filter(|name| !name.is_empty()).collect();
        let what = ["audience", "scope"].map(|member| shown::text(token, member)).join("\n");
        let end = match shown::moment(token, "revoked_at", now) {
            Some(_) => format!("revoked {}", shown::moment_cell(token, "revoked_at", now, "")),
            None => shown::moment_cell(token, "expires_at", now, "never"),
        };
        vec![
            shown::text(token, "id"),
            shown::text(token, "state"),
            shown::text(token, "client_id"),
            whose.join("\n"),
            what.trim_end().to_owned(),
            shown::moment_cell(token, "issued_at", now, ""),
            end,
        ]
    };
    let rows = shown::items(found, "tokens").iter().map(row).collect();
    let header = ["token", "is", "client", "owner, tenant", "for", "issued", "ends"];
    let mut text = shown::table(&header, rows, "There are no such tokens.");
    if let Some(next) = found.get("next").and_then(Value::as_str) {
        text.push_str(&format!("There are more: --after {}\n", shown::in_one_line(next)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_listed_with_their_times_in_words() {
        let now = UnixTime::from_seconds(1_795_196_538);
        let found = json!({ "tokens": [
            { "id": "t1", "state": "live", "client_id": "billing", "audience": "orders", "scope": "read write",
              "owner": "ann", "tenant": "acme", "issued_at": "2026-11-20T17:42:18.000Z",
              "expires_at": "2026-11-20T18:42:18.000Z" },
            { "id": "t2", "state": "revoked", "client_id": "billing", "audience": "orders",
              "issued_at": "2026-11-20T17:42:18.000Z", "revoked_at": "2026-11-20T17:42:08.000Z" },
        ], "next": "place" });
        let shown = in_words(&found, now);
        for words in [
            "t1",
            "read write",
            "ann",
            "acme",
            "in 60 minutes",
            "revoked 2026-11-20",
            "10 seconds ago",
            "--after place",
        ] {
            assert!(shown.contains(words), "{words} is not in\n{shown}");
        }
        assert_eq!(in_words(&json!({ "tokens": [] }), now), "There are no such tokens.\n");
    }
}
