//! Owns: how clients are shown.

use serde_json::{Map, Value};

use super::super::shown;
use crate::{cli::token::time, clock::UnixTime};

/// The members of a definition that are quantities with a unit, and their names in words.
const LIFETIME: &str = "token_lifetime_seconds";

/// All clients, a row each.
pub(super) fn table(answer: &Value) -> String {
    let row = |client: &Value| {
        let definition = client.get("definition").unwrap_or(&Value::Null);
        vec![
            shown::text(client, "id"),
            origin(client).to_owned(),
            if is_enabled(client) { "on" } else { "OFF" }.to_owned(),
            grants(definition),
            shown::text(definition, "owner"),
            shown::text(definition, "tenant"),
        ]
    };
    let rows = shown::items(answer, "clients").iter().map(row).collect();
    shown::table(&["client", "registered in", "is", "may ask for", "owner", "tenant"], rows, "There are no clients.")
}

/// One client with everything that is known of it.
pub(super) fn whole(client: &Value, now: UnixTime) -> String {
    let mut members = vec![
        ("is".to_owned(), if is_enabled(client) { "on" } else { "OFF" }.to_owned()),
        ("registered in".to_owned(), origin(client).to_owned()),
    ];
    if let Some(moment) = shown::moment(client, "created_at", now) {
        members.push(("since".to_owned(), moment));
    }
    let nothing = Map::new();
    let definition = client.get("definition").and_then(Value::as_object).unwrap_or(&nothing);
    for (name, value) in definition {
        let (name, value) = match name.as_str() {
            "grants" => ("may ask for".to_owned(), grants(client.get("definition").unwrap_or(&Value::Null))),
            "claims" => ("claims".to_owned(), claims(value)),
            LIFETIME => ("token lifetime".to_owned(), lifetime(value)),
            "public_keys" => (
                "public keys".to_owned(),
                shown::items(&Value::Object(definition.clone()), "public_keys").len().to_string(),
            ),
            name => (name.replace('_', " "), shown::in_words(value)),
        };
        members.push((name, value));
    }
    let secrets: Vec<String> = shown::items(client, "secrets").iter().map(|secret| in_words(secret, now)).collect();
    if !secrets.is_empty() {
        members.push(("secrets".to_owned(), secrets.join("\n")));
    }
    shown::lines(&shown::text(client, "id"), &members)
}

fn origin(client: &Value) -> &'static str {
    if client.get("origin").and_then(Value::as_str) == Some("configuration") { "configuration" } else { "store" }
}

fn is_enabled(client: &Value) -> bool {
    client.get("enabled").and_then(Value::as_bool).unwrap_or_default()
}

/// A line for each API.
fn grants(definition: &Value) -> String {
    let grants = definition.get("grants").and_then(Value::as_object);
    let line = |(audience, scopes): (&String, &Value)| {
        let scopes: Vec<&str> = scopes.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        shown::in_one_line(&format!("{audience}: {}", scopes.join(" ")))
    };
    grants.into_iter().flatten().map(line).collect::<Vec<_>>().join("\n")
}

fn claims(value: &Value) -> String {
    let claims = value.as_object().into_iter().flatten();
    let lines: Vec<String> = claims.map(|(name, value)| shown::in_one_line(&format!("{name} = {value}"))).collect();
    lines.join("\n")
}

fn lifetime(value: &Value) -> String {
    match value.as_u64() {
        Some(0) => "for ever".to_owned(),
        Some(seconds) => time::length(std::time::Duration::from_secs(seconds)),
        None => shown::in_words(value),
    }
}

fn in_words(secret: &Value, now: UnixTime) -> String {
    let id = shown::text(secret, "id");
    let made = shown::moment(secret, "created_at", now).unwrap_or_default();
    match shown::moment(secret, "expires_at", now) {
        Some(end) => format!("{id}: made {made}; good until {end}"),
        None => format!("{id}: made {made}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_client_is_shown_with_everything_that_is_known_of_it() {
        let client = json!({
            "id": "billing", "origin": "store", "enabled": false, "created_at": "2026-11-20T17:42:18.000Z",
            "definition": {
                "description": "Sends the invoices", "grants": { "orders": ["read", "write"], "users": ["list"] },
                "claims": { "region": ["north"] }, "token_lifetime_seconds": 7200, "organizations": ["a", "b"],
                "assertion_audience": "token_endpoint",
            },
            "secrets": [{ "id": "s1", "created_at": "2026-11-20T17:42:18.000Z", "expires_at": "2026-11-20T19:42:18Z" }],
        });
        let now = UnixTime::from_seconds(1_795_196_538);
        let shown = whole(&client, now);
        for line in [
            "billing\n  is                  OFF\n",
            "  registered in       store\n",
            "  since               2026-11-20 17:42:18 UTC, now\n",
            "  may ask for         orders: read write\n                      users: list\n",
            "  claims              region = [\"north\"]\n",
            "  token lifetime      2 hours\n",
            "  organizations       a, b\n",
            "  assertion audience  token_endpoint\n",
            "  secrets             s1: made 2026-11-20 17:42:18 UTC, now; good until 2026-11-20 19:42:18 UTC, in 2 hours\n",
        ] {
            assert!(shown.contains(line), "{line:?} is not in\n{shown}");
        }
        let listed = table(&json!({ "clients": [client] }));
        for word in ["billing", "store", "OFF", "orders: read write", "users: list"] {
            assert!(listed.contains(word), "{listed}");
        }
        assert_eq!(table(&json!({ "clients": [] })), "There are no clients.\n");
    }

    #[test]
    fn no_lifetime_is_for_ever() {
        assert_eq!((lifetime(&json!(0)), lifetime(&json!(60))), ("for ever".to_owned(), "60 seconds".to_owned()));
    }
}
