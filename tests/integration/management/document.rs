//! The OpenAPI document, operation by operation, against a running gateway.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};

use super::office::{ORDERS, Office};
use crate::support::schema::faults;

/// Walks the document: each call is made as it says, and each answer judged by it.
struct Walk {
    office: Office,
    document: Value,
    walked: BTreeSet<String>,
}

impl Walk {
    async fn begin() -> Self {
        let office = Office::open().await;
        let document = office.get("/api/v1/openapi.json").await;
        Self { office, document, walked: BTreeSet::new() }
    }

    /// The operations: method, path, and what is said about them.
    fn operations(&self) -> Vec<(Method, String, &Value)> {
        let paths = self.document["paths"].as_object().expect("paths");
        let each = paths.iter().flat_map(|(path, item)| {
            let methods = item.as_object().expect("an object").iter();
            methods.map(move |(method, operation)| {
                (method.to_uppercase().parse().expect("a method"), path.clone(), operation)
            })
        });
        each.collect()
    }

    /// What a response stands for, which may be one that several operations share.
    fn resolved<'d>(&'d self, response: &'d Value) -> &'d Value {
        match response["$ref"].as_str() {
            Some(reference) => self.document.pointer(reference.trim_start_matches('#')).expect(reference),
            None => response,
        }
    }

    /// Calls an operation by its id, with what replaces the name in its path, and gives the answer, which must be as the
    /// document says.
    async fn call(&mut self, id: &str, name: &str, query: &str, body: Option<Value>, status: u16) -> Value {
        let operations = self.operations();
        let (method, path, operation) =
            operations.into_iter().find(|(_, _, operation)| operation["operationId"] == id).expect(id);
        let (method, operation) = (method, operation.clone());
        let named =
            operation["parameters"].as_array().into_iter().flatten().find(|parameter| parameter["in"] == "path");
        let path = match named {
            Some(parameter) => path.replace(&format!("{{{}}}", parameter["name"].as_str().expect("a name")), name),
            None => path,
        };
        assert!(!path.contains('{'), "{path}");
        for parameter in query.trim_start_matches('?').split('&').filter(|parameter| !parameter.is_empty()) {
            let (wanted, _) = parameter.split_once('=').expect("a value");
            let described = operation["parameters"].as_array().expect("parameters").iter();
            assert!(described.into_iter().any(|known| known["name"] == wanted), "{id}: {wanted}");
        }
        if let Some(body) = &body {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            assert!(!schema.is_null(), "{id} takes a body");
            let found = faults(&self.document, schema, body);
            assert!(found.is_empty(), "{id}: {found:?}");
        }
        let answer = self.office.ask(method, &format!("{path}{query}"), body.as_ref()).await;
        assert_eq!(answer.status.as_u16(), status, "{id}: {}", answer.text());
        let content = self.resolved(&operation["responses"][status.to_string()])["content"].clone();
        let content_type = answer.header("content-type");
        let described =
            content.as_object().expect(id).iter().find(|(name, _)| {
                content_type == name.as_str() || content_type.split(';').next() == Some(name.as_str())
            });
        let (_, described) = described.unwrap_or_else(|| panic!("{id}: {content_type} is not described in {content}"));
        self.walked.insert(id.to_owned());
        if !content_type.contains("json") {
            return json!(answer.text());
        }
        let value = answer.json();
        let found = faults(&self.document, &described["schema"], &value);
        assert!(found.is_empty(), "{id}: {found:?}: {value}");
        value
    }
}

#[tokio::test]
async fn every_operation_of_the_document_does_what_it_says() {
    let mut walk = Walk::begin().await;
    assert!(walk.document["openapi"].as_str().unwrap().starts_with("3.1."));
    walk.call("show_openapi", "", "", None, 200).await;
    walk.call("livez", "", "", None, 200).await;
    walk.call("readyz", "", "", None, 200).await;
    walk.call("metrics", "", "", None, 200).await;
    walk.call("show_config", "", "", None, 200).await;
    walk.call("list_issuers", "", "", None, 200).await;
    walk.call("refresh_issuer", "corp", "", None, 200).await;
    walk.call("refresh_issuer", "local", "", None, 409).await;
    walk.call("refresh_issuer", "nobody", "", None, 404).await;
    walk.call("reload", "", "", None, 200).await;
    walk.call("list_reused_tokens", "", "", None, 200).await;
    walk.call("drop_reused_tokens", "", "", None, 200).await;
    walk.call("drop_reused_tokens", "", "?endpoint=outside&client_id=billing", None, 200).await;
    walk.call("drop_reused_tokens", "", "?endpoint=oauth", None, 404).await;

    let client = json!({
        "id": "shipping", "description": "Sends parcels", "owner": "ann", "tenant": "acme",
        "grants": { ORDERS: ["orders:read"] }, "claims": { "region": ["north"] }, "token_lifetime_seconds": 600,
        "authentication_methods": ["client_secret_basic"], "assertion_audience": "token_endpoint",
        "organizations": ["org_1"], "introspects": [ORDERS]
    });
    walk.call("add_client", "", "", Some(client.clone()), 201).await;
    walk.call("add_client", "", "", Some(client.clone()), 409).await;
    walk.call("add_client", "", "", Some(json!({ "grants": { "https://nowhere.test": [] } })), 422).await;
    walk.call("list_clients", "", "", None, 200).await;
    let shown = walk.call("show_client", "shipping", "", None, 200).await;
    walk.call("show_client", "nobody", "", None, 404).await;
    walk.call("update_client", "shipping", "", Some(shown["definition"].clone()), 200).await;
    walk.call("update_client", "billing", "", Some(json!({})), 409).await;
    walk.call("rotate_client", "shipping", "", Some(json!({ "grace": "1h" })), 200).await;
    walk.call("rotate_client", "shipping", "", None, 409).await;
    walk.call("disable_client", "shipping", "", None, 200).await;
    walk.call("enable_client", "shipping", "", None, 200).await;

    let wanted = json!({ "client_id": "shipping", "audience": ORDERS, "scope": "orders:read", "dialect": "oauth2" });
    let issued = walk.call("issue_token", "", "", Some(wanted), 201).await;
    let id = issued["token_id"].as_str().unwrap().to_owned();
    walk.call("issue_token", "", "", Some(json!({ "client_id": "shipping", "scope": "orders:write" })), 422).await;
    walk.call("list_tokens", "", "?client_id=shipping&limit=1&include_revoked=true", None, 200).await;
    walk.call("list_tokens", "", "?limit=1001", None, 400).await;
    walk.call("show_token", &id, "", None, 200).await;
    walk.call("revoke_tokens", "", "", Some(json!({ "token_id": id })), 200).await;
    walk.call("revoke_tokens", "", "", Some(json!({ "issued_before": "2026-01-01T00:00:00Z" })), 200).await;
    walk.call("show_token", &id, "", None, 200).await;

    let keys = walk.call("list_keys", "", "", None, 200).await;
    let key = keys["keys"][0]["key_id"].as_str().unwrap().to_owned();
    walk.call("rotate_keys", "", "", None, 409).await;
    walk.call("rotate_keys", "", "", Some(json!({ "haste": true })), 200).await;
    walk.call("revoke_key", &key, "", None, 200).await;
    walk.call("list_keys", "", "", None, 200).await;
    walk.call("show_switches", "", "", None, 200).await;
    walk.call("set_switches", "", "", Some(json!({ "m2m_enabled": false })), 200).await;
    walk.call("list_audit", "", "?limit=2", None, 200).await;
    walk.call("list_audit", "", "?before=3", None, 200).await;
    walk.call("remove_client", "shipping", "", None, 200).await;

    let all: BTreeSet<String> = walk
        .operations()
        .iter()
        .map(|(_, _, operation)| operation["operationId"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(walk.walked, all);
}

#[tokio::test]
async fn the_examples_of_the_document_are_what_its_schemas_say() {
    let walk = Walk::begin().await;
    let schemas = walk.document["components"]["schemas"].as_object().unwrap();
    let mut examples = 0;
    for (name, schema) in schemas {
        for example in schema["examples"].as_array().into_iter().flatten() {
            examples += 1;
            let found = faults(&walk.document, schema, example);
            assert!(found.is_empty(), "{name}: {found:?}");
        }
    }
    assert!(examples >= 5, "{examples}");
    for (method, path, operation) in walk.operations() {
        let said = |name: &str| operation[name].as_str().is_some_and(|text| !text.is_empty());
        assert!(said("summary") && said("operationId"), "{method} {path}");
        let responses = operation["responses"].as_object().unwrap();
        let open = path == "/livez" || path == "/readyz";
        assert_eq!(responses.contains_key("401"), !open, "{method} {path}");
        for (status, response) in responses {
            let response = walk.resolved(response);
            assert!(response["content"].is_object(), "{method} {path} {status}");
            assert!(response["description"].as_str().is_some_and(|text| !text.is_empty()), "{method} {path} {status}");
        }
    }
}
