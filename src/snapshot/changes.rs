//! Owns: saying in words what one configuration has that another has not.
//! Refuses: telling a secret: it compares what `Config` serializes to, in which secrets are redacted, and of secrets says only
//! that there is a new one.
//! Always holds: two configurations that say the same yield no words; a line never holds a line break.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::config::{Config, RouteConfig, SecretConfig, UpstreamConfig};

/// What changed, a line each: `route orders-read: scopes +orders:write`.
#[must_use]
pub fn changes(before: &Config, after: &Config) -> Vec<String> {
    let mut lines = Vec::new();
    whole("process", &before.process, &after.process, &mut lines);
    named_things("listener", &before.listeners, &after.listeners, seldom_many, &mut lines);
    whole("admin", &before.admin, &after.admin, &mut lines);
    whole("telemetry", &before.telemetry, &after.telemetry, &mut lines);
    named_things("issuer", &before.issuers, &after.issuers, seldom_many, &mut lines);
    whole("dns", &before.dns, &after.dns, &mut lines);
    named_things("upstream", &before.upstreams, &after.upstreams, UpstreamConfig::eq, &mut lines);
    named_things("route", &before.routes, &after.routes, RouteConfig::eq, &mut lines);
    named_things("token endpoint", &before.token_endpoints, &after.token_endpoints, seldom_many, &mut lines);
    whole("authorization_server", &before.authorization_server, &after.authorization_server, &mut lines);
    whole("shared", &before.shared, &after.shared, &mut lines);
    lines.extend(new_secrets(before, after));
    lines
}

/// For things of which there are few, or that hold secrets: what they serialize to says whether they are the same.
const fn seldom_many<T>(_: &T, _: &T) -> bool {
    false
}

/// What a part of the configuration serializes to; all of them do.
fn told<T: Serialize>(part: &T) -> Value {
    serde_json::to_value(part).unwrap_or(Value::Null)
}

/// Which secrets have another value than before, which nothing else shows.
fn new_secrets(before: &Config, after: &Config) -> Vec<String> {
    let before = secrets_of(before);
    let is_new = |(place, after): (&String, &&SecretConfig)| {
        let differs = before.get(place).is_some_and(|before| !before.secret().matches(after.secret().expose()));
        differs.then(|| format!("{place} has a new value").replace(char::is_control, " "))
    };
    secrets_of(after).iter().filter_map(is_new).collect()
}

/// Every secret, by what it is called in a line about it.
fn secrets_of(config: &Config) -> BTreeMap<String, &SecretConfig> {
    let mut found: Vec<(String, Option<&SecretConfig>)> = Vec::new();
    let mut add = |place: String, secret| found.push((place, secret));
    add("admin: token".to_owned(), config.admin.as_ref().and_then(|admin| admin.token.as_ref()));
    add("shared: redis".to_owned(), config.shared.as_ref().map(|shared| &shared.redis));
    for (name, issuer) in &config.issuers {
        let introspection = issuer.introspection.as_ref();
        add(format!("issuer {name}: introspection.client_secret"), introspection.map(|it| &it.client_secret));
    }
    for (name, endpoint) in &config.token_endpoints {
        for (id, client) in &endpoint.clients {
            let at = format!("token endpoint {name}: clients.{id}");
            add(format!("{at}.secret"), Some(&client.secret));
            add(format!("{at}.other_secret"), client.other_secret.as_ref());
            add(format!("{at}.provider_secret"), Some(&client.provider_secret));
        }
    }
    for (id, client) in config.authorization_server.iter().flat_map(|server| &server.clients) {
        let at = format!("authorization_server: clients.{id}");
        add(format!("{at}.secret"), client.secret.as_ref());
        add(format!("{at}.other_secret"), client.other_secret.as_ref());
    }
    found.into_iter().filter_map(|(place, secret)| Some((place, secret?))).collect()
}

/// A section that is one thing.
fn whole<T: Serialize>(section: &str, before: &T, after: &T, lines: &mut Vec<String>) {
    let words = differences(&told(before), &told(after));
    if !words.is_empty() {
        lines.push(format!("{section}: {words}"));
    }
}

/// A section that holds things by name, each of which is a `noun`. What `is_same` is not looked at closer: of ten thousand routes a
/// reload changes a few.
fn named_things<T: Serialize>(
    noun: &str,
    before: &BTreeMap<String, T>,
    after: &BTreeMap<String, T>,
    is_same: fn(&T, &T) -> bool,
    lines: &mut Vec<String>,
) {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for name in names {
        let line = match (before.get(name), after.get(name)) {
            (None, _) => format!("{noun} {name}: added"),
            (_, None) => format!("{noun} {name}: removed"),
            (Some(old), Some(new)) if is_same(old, new) => continue,
            (Some(old), Some(new)) => match differences(&told(old), &told(new)) {
                words if words.is_empty() => continue,
                words => format!("{noun} {name}: {words}"),
            },
        };
        lines.push(line.replace(char::is_control, " "));
    }
}

/// The differences of two values, each with its dotted key, joined by semicolons.
fn differences(before: &Value, after: &Value) -> String {
    let mut words = Vec::new();
    compare("", before, after, &mut words);
    words.join("; ")
}

fn compare(key: &str, before: &Value, after: &Value, words: &mut Vec<String>) {
    if before == after {
        return;
    }
    match (before, after) {
        // A limit is one thing: `limit 100 per 1s by client_id`.
        (Value::Object(_), Value::Object(_)) if key == "limit" => {
            words.push(format!("{key} {} -> {}", shown(before), shown(after)));
        }
        (Value::Object(before), Value::Object(after)) => {
            for name in union_of_keys(before, after) {
                // `require` and `identity` hold nothing but rules; the rule's own name says enough.
                let path = match key {
                    "" | "require" | "identity" => name.clone(),
                    _ => format!("{key}.{name}"),
                };
                compare(
                    &path,
                    before.get(name).unwrap_or(&Value::Null),
                    after.get(name).unwrap_or(&Value::Null),
                    words,
                );
            }
        }
        (Value::Array(before), Value::Array(after)) => words.push(list_difference(key, before, after)),
        (Value::Null, Value::Array(after)) => words.push(list_difference(key, &[], after)),
        (Value::Array(before), Value::Null) => words.push(list_difference(key, before, &[])),
        (Value::Null, after) => words.push(format!("{key} {}", shown(after))),
        (before, Value::Null) => words.push(format!("{key} no longer {}", shown(before))),
        (before, after) => words.push(format!("{key} {} -> {}", shown(before), shown(after))),
    }
}

fn list_difference(key: &str, before: &[Value], after: &[Value]) -> String {
    let mut line = key.to_owned();
    for added in after.iter().filter(|value| !before.contains(value)) {
        let _ = write!(line, " +{}", shown(added));
    }
    for removed in before.iter().filter(|value| !after.contains(value)) {
        let _ = write!(line, " -{}", shown(removed));
    }
    if line == key {
        line.push_str(" in another order");
    }
    line
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(limit) if limit.len() == 3 && limit.contains_key("requests") && limit.contains_key("per") => {
            let part = |name: &str| limit.get(name).map(shown).unwrap_or_default();
            format!("{} per {} by {}", part("requests"), part("per"), part("by"))
        }
        other => other.to_string(),
    }
}

fn union_of_keys<'a>(before: &'a Map<String, Value>, after: &'a Map<String, Value>) -> BTreeSet<&'a String> {
    before.keys().chain(after.keys()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::config::RouteConfig;

    fn with_route(name: &str, route: Value) -> Config {
        let route: RouteConfig = serde_json::from_value(route).expect("a route");
        Config { routes: BTreeMap::from([(name.to_owned(), route)]), ..Config::default() }
    }

    #[test]
    fn a_scope_more_reads_as_one() {
        let before = json!({ "path": "/o", "upstream": "u", "require": { "scopes": ["orders:read"] } });
        let after = json!({ "path": "/o", "upstream": "u", "require": { "scopes": ["orders:read", "orders:write"] } });
        assert_eq!(
            changes(&with_route("orders-read", before), &with_route("orders-read", after)),
            ["route orders-read: scopes +orders:write"]
        );
    }

    #[test]
    fn several_differences_stand_in_one_line() {
        let before = json!({ "path": "/o", "upstream": "u", "methods": ["GET"], "timeout": "30s" });
        let after = json!({ "path": "/o", "upstream": "v", "timeout": "1m", "host": "a.example" });
        assert_eq!(
            changes(&with_route("r", before), &with_route("r", after)),
            ["route r: host a.example; methods -GET; timeout 30s -> 1m; upstream u -> v"]
        );
    }

    #[test]
    fn a_limit_is_told_in_words() {
        let route = |limit: Value| with_route("r", json!({ "path": "/o", "upstream": "u", "limit": limit }));
        let limit = |requests: u32, by: &str| json!({ "requests": requests, "per": "1s", "by": by });
        for (before, after, told) in [
            (Value::Null, limit(100, "client_id"), "route r: limit 100 per 1s by client_id"),
            (limit(100, "peer"), limit(50, "route"), "route r: limit 100 per 1s by peer -> 50 per 1s by route"),
            (limit(100, "peer"), Value::Null, "route r: limit no longer 100 per 1s by peer"),
        ] {
            assert_eq!(changes(&route(before), &route(after)), [told]);
        }
    }

    #[test]
    fn where_replicas_count_is_told_and_its_url_is_not() {
        let shared = |url: &str, timeout: &str| -> Config {
            let shared = json!({ "redis": url, "timeout": timeout });
            Config { shared: Some(serde_json::from_value(shared).expect("one")), ..Config::default() }
        };
        let before = shared("redis://:canary@a", "20ms");
        assert_eq!(changes(&before, &shared("redis://:canary@b", "20ms")), ["shared: redis has a new value"]);
        assert_eq!(changes(&before, &shared("redis://:canary@a", "1s")), ["shared: timeout 20ms -> 1s"]);
        assert!(!changes(&Config::default(), &before).join("").contains("canary"));
    }

    #[test]
    fn a_new_secret_is_told_and_not_shown() {
        let with_secret = |secret: &str| -> Config {
            let client = json!({ "issuer": "https://a/", "clients": { "billing": { "secret": secret } } });
            Config { authorization_server: Some(serde_json::from_value(client).expect("one")), ..Config::default() }
        };
        assert_eq!(
            changes(&with_secret("first"), &with_secret("second")),
            ["authorization_server: clients.billing.secret has a new value"]
        );
        assert_eq!(changes(&with_secret("first"), &with_secret("first")), Vec::<String>::new());
    }

    #[test]
    fn things_come_and_go() {
        let one = with_route("one", json!({ "path": "/1", "upstream": "u" }));
        let two = with_route("two", json!({ "path": "/2", "upstream": "u" }));
        assert_eq!(changes(&one, &two), ["route one: removed", "route two: added"]);
        assert_eq!(changes(&one, &one), Vec::<String>::new());
    }
}
