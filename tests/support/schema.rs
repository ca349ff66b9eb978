//! Judges JSON by the schemas of an OpenAPI 3.1 document, as far as our own documents use JSON Schema.

use serde_json::Value;

/// What is wrong with `value`, each with its place; nothing if it is what `schema` says.
pub(crate) fn faults(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    judge(document, schema, value, "$", &mut found);
    found
}

fn judge(document: &Value, schema: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let pointer = reference.strip_prefix('#').expect("a reference within the document");
        let target = document.pointer(pointer).unwrap_or_else(|| panic!("{reference} leads nowhere"));
        judge(document, target, value, place, found);
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        judge(document, part, value, place, found);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let fitting = choices.iter().filter(|choice| faults(document, choice, value).is_empty()).count();
        if fitting != 1 {
            found.push(format!("{place}: {fitting} of the choices fit {value}"));
        }
    }
    if !is_of_type(&schema["type"], value) {
        found.push(format!("{place}: {value} is no {}", schema["type"]));
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        found.push(format!("{place}: {value} is not one of {allowed:?}"));
    }
    if schema["format"] == "date-time"
        && let Some(text) = value.as_str()
        && text.parse::<jiff::Timestamp>().is_err()
    {
        found.push(format!("{place}: {text} is no moment"));
    }
    if let Some(members) = value.as_object() {
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !members.contains_key(name) {
                found.push(format!("{place}: `{name}` is missing"));
            }
        }
        for (name, member) in members {
            let place = format!("{place}.{name}");
            match (schema["properties"].get(name), schema.get("additionalProperties")) {
                (Some(schema), _) => judge(document, schema, member, &place, found),
                (None, Some(Value::Bool(false))) => found.push(format!("{place} is not described")),
                (None, Some(others)) if others.is_object() => judge(document, others, member, &place, found),
                // Whatever is answered is described; what a problem has beside is not.
                (None, _) if schema["properties"].is_object() && schema["required"][0] != "type" => {
                    found.push(format!("{place} is not described"));
                }
                (None, _) => {}
            }
        }
    }
    if let Some(elements) = value.as_array() {
        for (position, element) in elements.iter().enumerate() {
            judge(document, &schema["items"], element, &format!("{place}[{position}]"), found);
        }
    }
}

fn is_of_type(wanted: &Value, value: &Value) -> bool {
    let is = |name: &str| match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("there is no type {other}"),
    };
    match wanted {
        Value::String(name) => is(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(is),
        _ => true,
    }
}

#[test]
fn the_judge_of_schemas_finds_what_is_wrong() {
    use serde_json::json;
    let document = json!({ "components": { "schemas": { "Client": {
        "type": "object", "required": ["id", "at"],
        "properties": {
            "id": { "type": "string" }, "at": { "type": "string", "format": "date-time" },
            "state": { "type": "string", "enum": ["on", "off"] }, "next": { "type": ["integer", "null"] },
            "list": { "type": "array", "items": { "oneOf": [{ "type": "string" }, { "type": "object" }] } }
        }
    } } } });
    let schema = json!({ "$ref": "#/components/schemas/Client" });
    let good = json!({ "id": "a", "at": "2026-11-20T17:42:18.123Z", "state": "on", "next": null, "list": ["x", {}] });
    assert_eq!(faults(&document, &schema, &good), Vec::<String>::new());
    for (member, wrong) in [
        ("id", json!(7)),
        ("at", json!("yesterday")),
        ("state", json!("between")),
        ("next", json!("7")),
        ("list", json!([7])),
        ("secret", json!("x")),
    ] {
        let mut value = good.clone();
        value[member] = wrong;
        assert_eq!(faults(&document, &schema, &value).len(), 1, "{value}");
    }
    assert_eq!(faults(&document, &schema, &json!({ "id": "a" })).len(), 1);
    assert_eq!(faults(&document, &schema, &json!([])).len(), 1);
}
