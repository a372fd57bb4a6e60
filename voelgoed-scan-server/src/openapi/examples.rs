//! The examples in the document: of every parameter, of every request body and of every response with a body.
//!
//! An example is made from its schema and from sample values by the name of a field, so that a new operation has one as
//! well. The scan and the upload, with which every integration begins, have examples of their own in JSON files.
//!
//! Invariants: every example matches its schema; a test validates each of them.

mod samples;

use serde_json::{Map, Value, json};

use crate::problem::{Code, TYPE_PREFIX};

/// The examples that are not made from a schema: by operation id, the request, if it has a body, and the
/// response.
fn written(operation_id: &str) -> Option<(Option<&'static str>, &'static str)> {
    match operation_id {
        "scan" => Some((
            Some(include_str!("examples/scan_request.json")),
            include_str!("examples/scan_answer.json"),
        )),
        "sync" => Some((
            Some(include_str!("examples/sync_request.json")),
            include_str!("examples/sync_answer.json"),
        )),
        "showMessages" => Some((None, include_str!("examples/messages.json"))),
        "changeMessages" => Some((
            Some(include_str!("examples/messages_patch.json")),
            include_str!("examples/messages.json"),
        )),
        _ => None,
    }
}

/// Adds an example wherever the document has none yet.
pub(super) fn add(document: &mut Value) {
    let Some(schemas) = document.pointer("/components/schemas").cloned() else {
        return;
    };
    for operation in document
        .get_mut("paths")
        .into_iter()
        .flat_map(values)
        .flat_map(values)
    {
        add_to(operation, &schemas);
    }
}

fn values(object: &mut Value) -> impl Iterator<Item = &mut Value> {
    object.as_object_mut().into_iter().flat_map(Map::values_mut)
}

fn add_to(operation: &mut Value, schemas: &Value) {
    let id = operation.get("operationId").and_then(Value::as_str);
    let (request, response) = match id.and_then(written) {
        Some((request, response)) => (request.map(parsed), Some(parsed(response))),
        None => (None, None),
    };
    for parameter in operation
        .get_mut("parameters")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        let name = parameter.get("name").and_then(Value::as_str).unwrap_or_default();
        parameter["example"] = of(&parameter["schema"], schemas, name);
    }
    if let Some(content) = operation.pointer_mut("/requestBody/content") {
        add_to_content(content, request.as_ref(), schemas);
    }
    for one in operation.get_mut("responses").into_iter().flat_map(values) {
        if let Some(content) = one.get_mut("content") {
            add_to_content(content, response.as_ref(), schemas);
        }
    }
}

#[expect(
    clippy::expect_used,
    reason = "the files are constants of this program, which a test reads"
)]
fn parsed(text: &str) -> Value {
    serde_json::from_str(text).expect("the examples are JSON")
}

fn add_to_content(content: &mut Value, written: Option<&Value>, schemas: &Value) {
    for (name, media_type) in content.as_object_mut().into_iter().flatten() {
        let schema = &media_type["schema"];
        if media_type.get("example").is_some()
            || schema.get("format").is_some_and(|format| format == "binary")
        {
            continue;
        }
        let example = match (written, samples::document(name)) {
            (Some(example), _) => example.clone(),
            (None, Some(text)) => text.into(),
            (None, None) => of(schema, schemas, ""),
        };
        media_type["example"] = example;
    }
}

/// The example of a problem document.
pub(super) fn problem(code: Code) -> Value {
    let mut example = json!({
        "type": format!("{TYPE_PREFIX}{}", code.as_str()),
        "title": code.title(),
        "status": code.status().as_u16(),
        "detail": code.detail(),
        "code": code.as_str(),
        "request_id": samples::ID,
    });
    match code {
        Code::ValidationFailed => {
            example["errors"] = json!([{ "pointer": "/name", "message": "is required" }]);
        }
        Code::SessionAlreadyActive => example["session_id"] = samples::ID.into(),
        _ => {}
    }
    example
}

/// A value that matches a schema. `field` is the name of the field that has it.
fn of(schema: &Value, schemas: &Value, field: &str) -> Value {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let name = reference.rsplit('/').next().unwrap_or_default();
        return of(schemas.get(name).unwrap_or(&Value::Null), schemas, field);
    }
    if let Some(constant) = schema.get("const") {
        return constant.clone();
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        let sample = samples::texts(field)
            .iter()
            .map(|text| Value::from(*text))
            .find(|text| words.contains(text));
        return sample.or_else(|| words.first().cloned()).unwrap_or_default();
    }
    let branches = ["anyOf", "oneOf"]
        .iter()
        .find_map(|key| schema.get(key)?.as_array());
    if let Some(branches) = branches {
        let may_be_null = branches
            .iter()
            .any(|branch| branch.get("type") == Some(&json!("null")));
        return match branches.first() {
            Some(first) if !(may_be_null && samples::is_null(field)) => of(first, schemas, field),
            _ => Value::Null,
        };
    }
    let kinds: Vec<&str> = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        Some(kind) => kind.as_str().into_iter().collect(),
        None => Vec::new(),
    };
    if kinds.contains(&"null") && samples::is_null(field) {
        return Value::Null;
    }
    match kinds.first().copied() {
        Some("object") => object(schema, schemas),
        Some("array") => array(schema, schemas, field),
        Some("string") => text(schema, field),
        Some("integer" | "number") => number(schema, field),
        Some("boolean") => schema.get("default").cloned().unwrap_or(Value::Bool(false)),
        // Any value.
        _ => json!({}),
    }
}

fn object(schema: &Value, schemas: &Value) -> Value {
    let fields = schema.get("properties").and_then(Value::as_object);
    fields
        .into_iter()
        .flatten()
        .map(|(name, schema)| (name.clone(), of(schema, schemas, name)))
        .collect::<Map<_, _>>()
        .into()
}

fn array(schema: &Value, schemas: &Value, field: &str) -> Value {
    if let Some(items) = schema.get("prefixItems").and_then(Value::as_array) {
        return items.iter().map(|item| of(item, schemas, field)).collect();
    }
    match schema.get("items") {
        Some(item) => json!([of(item, schemas, field)]),
        None => json!([]),
    }
}

/// The first sample of the field that the schema allows, else a text for its format.
fn text(schema: &Value, field: &str) -> Value {
    let sample = samples::texts(field)
        .iter()
        .map(|text| Value::from(*text))
        .find(|text| allows(schema, text));
    let by_format = || match schema.get("format").and_then(Value::as_str) {
        Some("uuid") => samples::ID,
        Some("date-time") => samples::TIME,
        _ => samples::TEXT,
    };
    sample.unwrap_or_else(|| by_format().into())
}

fn number(schema: &Value, field: &str) -> Value {
    samples::number(field)
        .filter(|number| allows(schema, number))
        .or_else(|| schema.get("default").cloned())
        .or_else(|| schema.get("minimum").cloned())
        .unwrap_or_else(|| 1.into())
}

fn allows(schema: &Value, value: &Value) -> bool {
    jsonschema::draft202012::options()
        .should_validate_formats(true)
        .build(schema)
        .is_ok_and(|validator| validator.is_valid(value))
}
