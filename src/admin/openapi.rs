//! Owns: the OpenAPI 3.1 document of the management API, as it is served and as docs/openapi.json has it.
//! Always holds: whatever holds for every operation (who may call, what a refusal looks like) is said in one place, here.

use std::sync::LazyLock;

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use utoipa::OpenApi;

use super::{configuration, health, issuer, issuers, problem::ProblemDocument, reused_tokens};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Postern management API",
        description = "Health, metrics, the configuration in force, and the embedded issuer. Every moment is RFC 3339 in UTC. \
                       Whatever is refused is a problem document (RFC 9457) with a stable `code`."
    ),
    paths(
        health::livez, health::readyz, health::metrics,
        configuration::show, configuration::reload,
        issuers::list, issuers::refresh,
        reused_tokens::list, reused_tokens::drop,
        issuer::clients::list, issuer::clients::add, issuer::clients::show, issuer::clients::update,
        issuer::clients::remove, issuer::clients::rotate, issuer::clients::enable, issuer::clients::disable,
        issuer::tokens::list, issuer::tokens::show, issuer::tokens::issue, issuer::tokens::revoke,
        issuer::keys::list, issuer::keys::rotate, issuer::keys::revoke,
        issuer::switches::show, issuer::switches::set,
        issuer::audit::list,
        show,
    ),
    components(schemas(ProblemDocument)),
    tags(
        (name = "health", description = "For probes and collectors"),
        (name = "configuration", description = "What is in force"),
        (name = "issuers", description = "Whose tokens are verified"),
        (name = "reused tokens", description = "What is kept of the tokens of outside providers"),
        (name = "clients", description = "Clients of the embedded issuer"),
        (name = "tokens", description = "What the embedded issuer has issued"),
        (name = "keys", description = "What the embedded issuer signs with"),
        (name = "switches", description = "The switch for everything"),
        (name = "audit", description = "Who changed what"),
        (name = "documentation", description = "This document"),
    ),
    security(("bearer" = []))
)]
struct Described;

static TEXT: LazyLock<String> = LazyLock::new(|| format!("{:#}\n", document()));

/// Gives this document
#[utoipa::path(
    get, path = "/api/v1/openapi.json", operation_id = "show_openapi", tag = "documentation",
    responses((status = 200, description = "OpenAPI 3.1", body = Object)),
)]
pub(super) async fn show() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], TEXT.as_str()).into_response()
}

/// What is answered by many operations: its name among the components, its status, and what it means.
const REFUSALS: [(&str, &str, &str); 8] = [
    ("InvalidQuery", "400", "`invalid_query`"),
    ("InvalidJson", "400", "`invalid_json`"),
    ("Unauthorized", "401", "`unauthorized`: a token is configured, and was not presented"),
    ("Forbidden", "403", "`foreign_host`: no token is configured, and the `Host` is not this machine; `cross_site`"),
    ("NoEmbeddedIssuer", "404", "`no_embedded_issuer`: the configuration has none"),
    ("TooLarge", "413", "`body_too_large`"),
    ("NotJson", "415", "`unsupported_media_type`"),
    ("StoreUnavailable", "503", "`store_unavailable`: `Retry-After` says when to try again"),
];

/// The tags of what is asked of the embedded issuer.
const ISSUERS_TAGS: [&str; 5] = ["clients", "tokens", "keys", "switches", "audit"];

/// The document.
pub(super) fn document() -> Value {
    // What was derived is data without anything that cannot be JSON.
    let mut document = serde_json::to_value(Described::openapi()).unwrap_or_default();
    if let Some(components) = document.get_mut("components").and_then(Value::as_object_mut) {
        let bearer = json!({
            "type": "http", "scheme": "bearer",
            "description": "`[admin] token`. If none is configured, none is asked for, and the listener is on loopback."
        });
        components.insert("securitySchemes".to_owned(), json!({ "bearer": bearer }));
        let refusals = REFUSALS.map(|(name, _, meaning)| (name.to_owned(), refusal(meaning)));
        components.insert("responses".to_owned(), Value::Object(refusals.into_iter().collect()));
    }
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    for (path, operations) in paths.into_iter().flatten() {
        for operation in operations.as_object_mut().into_iter().flat_map(|methods| methods.values_mut()) {
            complete(path, operation);
        }
    }
    document
}

fn refusal(meaning: &str) -> Value {
    let schema = json!({ "schema": { "$ref": "#/components/schemas/Problem" } });
    json!({ "description": meaning, "content": { "application/problem+json": schema } })
}

/// Adds to one operation what holds for all.
fn complete(path: &str, operation: &mut Value) {
    // A body that may be left out is derived as one that may be null, which it may not.
    let body = operation.pointer_mut("/requestBody/content/application~1json/schema");
    let takes_body = body.is_some();
    if let Some(schema) = body
        && let Some(given) = schema.pointer("/oneOf/0").cloned()
        && schema.pointer("/oneOf/1/type").is_some_and(|name| name == "null")
    {
        *schema = given;
    }
    let tag = operation.pointer("/tags/0").and_then(Value::as_str).unwrap_or_default();
    let asks_issuer = ISSUERS_TAGS.contains(&tag);
    let is_open = operation.get("security").is_some();
    let parameters = operation.get("parameters").and_then(Value::as_array);
    let has_query = parameters
        .is_some_and(|all| all.iter().any(|parameter| parameter.get("in").is_some_and(|place| place == "query")));
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    for (status, response) in responses.iter_mut() {
        let meaning = response.get("description").and_then(Value::as_str).unwrap_or_default();
        if status.starts_with(['4', '5']) && response.get("content").is_none() {
            *response = refusal(meaning);
        }
    }
    for (name, status, meaning) in REFUSALS {
        let applies = match name {
            "InvalidQuery" => has_query,
            "InvalidJson" | "TooLarge" | "NotJson" => takes_body,
            "Unauthorized" => !is_open,
            "Forbidden" => path != "/livez",
            _ => asks_issuer,
        };
        if !applies {
            continue;
        }
        let own = responses.get(status).and_then(|own| own.get("description")).and_then(Value::as_str);
        let response = match own {
            Some(own) => refusal(&format!("{own}; {meaning}")),
            None => json!({ "$ref": format!("#/components/responses/{name}") }),
        };
        responses.insert(status.to_owned(), response);
    }
    responses.sort_keys();
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use super::*;
    use crate::admin::api::routes;

    /// `POSTERN_BLESS=1 cargo test openapi` writes the file anew.
    #[test]
    fn the_file_is_what_is_served() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
        if std::env::var_os("POSTERN_BLESS").is_some() {
            std::fs::write(&path, &*TEXT).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(written == *TEXT, "docs/openapi.json is out of date: POSTERN_BLESS=1 cargo test openapi");
        assert!(written.starts_with("{\n  \"openapi\": \"3.1."));
    }

    #[test]
    fn every_path_is_described_and_nothing_else_is() {
        let document = document();
        let described: BTreeSet<&str> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
        let routed: BTreeSet<&str> = routes().into_iter().map(|(path, _)| path).collect();
        assert_eq!(described, routed);
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn walk(document: &Value, value: &Value, found: &mut usize) {
            if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
                assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
                *found += 1;
            }
            let members = value.as_object().into_iter().flat_map(|members| members.values());
            members.chain(value.as_array().into_iter().flatten()).for_each(|inner| walk(document, inner, found));
        }
        let (document, mut found) = (document(), 0);
        walk(&document, &document, &mut found);
        assert!(found > 40, "{found}");
    }
}
