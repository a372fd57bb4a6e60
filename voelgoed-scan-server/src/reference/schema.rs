//! Schemas as text: the type of a value with its limits, and the fields of an object.

use maud::{Markup, html};
use serde_json::Value;

use super::{entries, items, text};

/// How deep the fields of objects within objects are shown. Schemas with a name are links, so few are deep.
const MAX_DEPTH: usize = 4;

/// The longest pattern that is shown. The names of all time zones are no help.
const MAX_PATTERN_SHOWN: usize = 120;

/// The type of a value with its limits.
pub(super) fn kind(schema: &Value) -> Markup {
    if let Some(name) = reference(schema) {
        return html! { a href={ "#schema-" (name) } { (name) } };
    }
    if let Some(constant) = schema.get("const") {
        return html! { code { (constant) } };
    }
    if schema["enum"].is_array() {
        return html! {
            @for (position, word) in items(&schema["enum"]).enumerate() {
                @if position > 0 { ", " }
                code { (plain(word)) }
            }
        };
    }
    let branches = ["anyOf", "oneOf"].iter().find_map(|key| schema[*key].as_array());
    if let Some(branches) = branches.filter(|_| schema["properties"].is_null()) {
        return html! {
            @for (position, branch) in branches.iter().enumerate() {
                @if position > 0 { " or " }
                (kind(branch))
            }
        };
    }
    html! {
        (words(schema))
        @if schema["items"].is_object() { " of " (kind(&schema["items"])) }
        @if let Some(others) = others(schema) { " of " (kind(others)) }
        (limits(schema))
    }
}

/// The name of the schema that a schema refers to.
fn reference(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.rsplit('/').next()
}

/// The schema of the fields that have no names of their own.
fn others(schema: &Value) -> Option<&Value> {
    let others = &schema["additionalProperties"];
    (others.is_object() && others.get("not").is_none()).then_some(others)
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn words(schema: &Value) -> Markup {
    let word = |kind: &Value| match text(kind) {
        "array" => "list".to_owned(),
        other => other.to_owned(),
    };
    let kinds: Vec<_> = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().map(word).collect(),
        Value::Null => vec!["any value".to_owned()],
        kind => vec![word(kind)],
    };
    html! {
        (kinds.join(" or "))
        @if let Some(format) = schema["format"].as_str() { " (" (format) ")" }
    }
}

/// The limits of a value: length, number, pattern, default.
fn limits(schema: &Value) -> Markup {
    let range = |from: &str, to: &str, unit: &str| {
        let (from, to) = (&schema[from], &schema[to]);
        match (from.is_null(), to.is_null()) {
            (true, true) => None,
            (false, true) => Some(format!("at least {from}{unit}")),
            (true, false) => Some(format!("at most {to}{unit}")),
            (false, false) => Some(format!("{from} to {to}{unit}")),
        }
    };
    let limits = [
        range("minLength", "maxLength", " characters"),
        range("minimum", "maximum", ""),
        range("minItems", "maxItems", " items"),
    ];
    let pattern = schema["pattern"]
        .as_str()
        .filter(|pattern| pattern.len() <= MAX_PATTERN_SHOWN);
    html! {
        @for limit in limits.iter().flatten() { ", " (limit) }
        @if let Some(pattern) = pattern { ", matches " code { (pattern) } }
        @if let Some(default) = schema.get("default") { ", default " code { (plain(default)) } }
    }
}

/// The fields of an object that has no name of its own, and the rules between them.
pub(super) fn fields(schema: &Value) -> Markup {
    html! {
        @if has_fields(schema) {
            div.scroll {
                table {
                    thead { tr { th { "Field" } th { "Type" } th { "Meaning" } } }
                    tbody { (rows(schema, "", MAX_DEPTH)) }
                }
            }
        }
        @for rule in items(&schema["allOf"]) {
            @if let Some(description) = rule["description"].as_str() { p { (description) } }
        }
    }
}

fn has_fields(schema: &Value) -> bool {
    entries(&schema["properties"]).next().is_some()
}

/// The rows of the fields of an object. `prefix` names the object within another one.
fn rows(schema: &Value, prefix: &str, depth: usize) -> Markup {
    let is_required = |name: &str| items(&schema["required"]).any(|required| required == name);
    html! {
        @for (name, field) in entries(&schema["properties"]) {
            tr {
                td {
                    @if !prefix.is_empty() { span.faint { (prefix) "." } }
                    code { (name) }
                    @if is_required(name) { " " span.required { "required" } }
                }
                td { (kind(field)) }
                td { (text(&field["description"])) }
            }
            @if depth > 0 { (rows(nested(field), &within(prefix, name), depth - 1)) }
        }
    }
}

/// The object in a field: the field itself, or the items of its list.
fn nested(field: &Value) -> &Value {
    if has_fields(&field["items"]) {
        &field["items"]
    } else {
        field
    }
}

fn within(prefix: &str, name: &str) -> String {
    if prefix.is_empty() {
        name.to_owned()
    } else {
        format!("{prefix}.{name}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The text of a markup without its tags.
    fn shown(markup: Markup) -> String {
        let html = markup.into_string();
        let parts = html
            .split('<')
            .map(|part| part.rsplit('>').next().unwrap_or_default());
        parts.collect()
    }

    #[test]
    fn a_type_is_told_with_its_limits() {
        for (schema, expected) in [
            (json!({ "type": "string", "format": "uuid" }), "string (uuid)"),
            (
                json!({ "type": "string", "minLength": 1, "maxLength": 120 }),
                "string, 1 to 120 characters",
            ),
            (
                json!({ "type": ["integer", "null"], "minimum": 0 }),
                "integer or null, at least 0",
            ),
            (
                json!({ "type": "array", "items": { "type": "string" }, "maxItems": 8 }),
                "list of string, at most 8 items",
            ),
            (json!({ "$ref": "#/components/schemas/Event" }), "Event"),
            (
                json!({ "anyOf": [{ "$ref": "#/components/schemas/Event" }, { "type": "null" }] }),
                "Event or null",
            ),
            (
                json!({ "type": "string", "enum": ["entry", "exit"] }),
                "entry, exit",
            ),
            (json!({ "const": 7 }), "7"),
            (
                json!({ "type": "object", "additionalProperties": { "type": "integer" } }),
                "object of integer",
            ),
            (
                json!({ "type": "object", "additionalProperties": { "not": {} } }),
                "object",
            ),
            (
                json!({ "type": "boolean", "default": false }),
                "boolean, default false",
            ),
            (
                json!({ "type": "string", "pattern": "^a$" }),
                "string, matches ^a$",
            ),
            (json!({}), "any value"),
        ] {
            assert_eq!(shown(kind(&schema)), expected, "{schema}");
        }
    }

    #[test]
    fn the_fields_of_an_object_within_an_object_have_its_name_before_theirs() {
        let schema = json!({
            "type": "object",
            "required": ["gate"],
            "properties": {
                "gate": {
                    "type": "object",
                    "properties": { "id": { "type": "string", "description": "The id." } }
                },
                "list": {
                    "type": "array",
                    "items": { "type": "object", "properties": { "line": { "type": "integer" } } }
                },
            },
        });
        let table = shown(fields(&schema));
        for row in [
            "gate requiredobject",
            "gate.idstringThe id.",
            "listlist of object",
            "list.lineinteger",
        ] {
            assert!(table.contains(row), "{row}: {table}");
        }
    }
}
