//! Owns: the OpenAPI 3.1 document of the management API, as it is served and as docs/openapi.json has it.
//! Always holds: whatever holds for every operation (who may call, what a refusal looks like) is said in one place, here.

use std::sync::LazyLock;

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use utoipa::OpenApi;

use super::{configuration, health, issuer, issuers, problem::ProblemDocument};

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
    }
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    for (path, operations) in paths.into_iter().flatten() {
        for operation in operations.as_object_mut().into_iter().flat_map(|methods| methods.values_mut()) {
            complete(path, operation);
        }
    }
    document
}

/// Adds to one operation what holds for all.
fn complete(path: &str, operation: &mut Value) {
    let is_open = operation.get("security").is_some();
    let is_issuers = ["clients", "tokens", "keys", "switches", "audit"]
        .iter()
        .any(|tag| operation.pointer("/tags/0").and_then(Value::as_str) == Some(*tag));
    let takes_body = operation.get("requestBody").is_some();
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    let mut add = |status: &str, description: &str| {
        let response = responses.entry(status).or_insert_with(|| json!({ "description": "" }));
        let before = response.get("description").and_then(Value::as_str).unwrap_or_default();
        let joined = if before.is_empty() { description.to_owned() } else { format!("{before}; {description}") };
        if let Some(response) = response.as_object_mut() {
            response.insert("description".to_owned(), json!(joined));
        }
    };
    if !is_open {
        add("401", "`unauthorized`: a token is configured, and this one was not presented");
    }
    if path != "/livez" {
        add("403", "`foreign_host`, without a configured token; `cross_site`");
    }
    if takes_body {
        add("400", "`invalid_json`");
        add("413", "`body_too_large`");
        add("415", "`unsupported_media_type`");
        add("422", "`invalid_body`");
    }
    if is_issuers {
        add("404", "`no_embedded_issuer`");
        add("503", "`store_unavailable`; `Retry-After` says when to try again");
    }
    for (status, response) in responses {
        let is_refusal = status.starts_with(['4', '5']) && response.get("content").is_none();
        if let (true, Some(response)) = (is_refusal, response.as_object_mut()) {
            let schema = json!({ "schema": { "$ref": "#/components/schemas/Problem" } });
            response.insert("content".to_owned(), json!({ "application/problem+json": schema }));
        }
    }
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
