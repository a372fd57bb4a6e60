//! Tests of the document.

use super::*;

fn api_document() -> Value {
    document(&Router::new(crate::api::routes()), None)
}

#[test]
fn every_route_is_in_the_document_once() {
    let document = api_document();
    let paths = document["paths"].as_object().expect("paths");
    let served: usize = paths.values().filter_map(Value::as_object).map(Map::len).sum();
    assert_eq!(served, crate::api::routes().len());
    let ids: BTreeSet<_> = crate::api::routes()
        .iter()
        .map(|route| route.operation_id)
        .collect();
    assert_eq!(ids.len(), served, "operation ids are unique");
}

#[test]
fn every_reference_resolves() {
    fn follow(value: &Value, document: &Value) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(reference)) = fields.get("$ref") {
                    let pointer = reference
                        .strip_prefix('#')
                        .expect("a reference within the document");
                    assert!(document.pointer(pointer).is_some(), "{reference}");
                }
                fields.values().for_each(|value| follow(value, document));
            }
            Value::Array(items) => items.iter().for_each(|value| follow(value, document)),
            _ => {}
        }
    }
    let document = api_document();
    follow(&document, &document);
}

#[test]
fn every_schema_is_valid() {
    let document = api_document();
    for (name, schema) in document["components"]["schemas"].as_object().expect("schemas") {
        assert!(jsonschema::meta::is_valid(schema), "{name}");
    }
}

#[test]
fn the_rules_that_a_422_enforces_are_in_the_schema() {
    let document = api_document();
    let scan = &document["components"]["schemas"]["ScanRequest"];
    assert!(scan["allOf"][0]["oneOf"].is_array(), "{scan}");
    let page = &document["paths"]["/api/v1/events"]["get"]["parameters"];
    let limit = page
        .as_array()
        .expect("parameters")
        .iter()
        .find(|parameter| parameter["name"] == "limit");
    assert_eq!(limit.map(|limit| &limit["schema"]["maximum"]), Some(&json!(500)));
}

/// Every schema of the document with a label: components, parameters and contents.
fn schemas(document: &Value) -> Vec<(String, &Value)> {
    fn collect<'a>(value: &'a Value, path: &str, found: &mut Vec<(String, &'a Value)>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    let path = format!("{path}/{name}");
                    match name.as_str() {
                        "example" | "default" | "enum" | "const" | "required" => {}
                        "schema" | "items" | "additionalProperties" | "not" | "if" | "then" | "else" => {
                            found.push((path.clone(), value));
                            collect(value, &path, found);
                        }
                        "schemas" | "properties" | "patternProperties" => {
                            for (name, schema) in value.as_object().into_iter().flatten() {
                                let path = format!("{path}/{name}");
                                found.push((path.clone(), schema));
                                collect(schema, &path, found);
                            }
                        }
                        "anyOf" | "oneOf" | "allOf" | "prefixItems" => {
                            for (index, schema) in value.as_array().into_iter().flatten().enumerate() {
                                let path = format!("{path}/{index}");
                                found.push((path.clone(), schema));
                                collect(schema, &path, found);
                            }
                        }
                        _ => collect(value, &path, found),
                    }
                }
            }
            Value::Array(items) => {
                for (index, value) in items.iter().enumerate() {
                    collect(value, &format!("{path}/{index}"), found);
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    collect(document, "", &mut found);
    found
}

#[test]
fn no_schema_is_a_boolean() {
    let document = api_document();
    let schemas = schemas(&document);
    assert!(schemas.len() > 300, "{}", schemas.len());
    for (label, schema) in schemas {
        assert!(schema.is_object(), "{label}: {schema}");
    }
}

/// Programs that generate clients make a type of the alternatives and leave out the fields beside them. So a rule with
/// alternatives stands in `allOf`, and the fields stand beside it.
#[test]
fn no_object_has_alternatives_beside_its_fields() {
    let document = api_document();
    for (label, schema) in schemas(&document) {
        let alternatives = schema.get("oneOf").or(schema.get("anyOf"));
        if schema.get("properties").is_some() {
            assert!(alternatives.is_none(), "{label}: {schema}");
        }
        // A rule has no type of its own. It only says which fields are due.
        for rule in schema
            .get("allOf")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            assert!(
                schema["type"] == "object" && rule["description"].is_string(),
                "{label}: {rule}"
            );
        }
    }
    let schemas = &document["components"]["schemas"];
    for (name, fields) in [
        (
            "ScanRequest",
            &[
                "qr",
                "ticket_code",
                "scan_id",
                "direction",
                "dry_run",
                "override",
                "metadata",
            ][..],
        ),
        (
            "SyncScan",
            &["qr", "ticket_code", "scan_id", "sequence", "prev_hash", "age_ms"][..],
        ),
    ] {
        for field in fields {
            assert!(schemas[name]["properties"][field].is_object(), "{name}.{field}");
        }
    }
}

/// The operations with their labels.
fn operations(document: &Value) -> impl Iterator<Item = (String, &Value)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths.flat_map(|(path, item)| {
        let operations = item.as_object().into_iter().flatten();
        operations.map(move |(method, operation)| (format!("{method} {path}"), operation))
    })
}

#[test]
fn every_operation_has_a_listed_tag_and_only_used_tags_are_listed() {
    let document = api_document();
    let listed: BTreeSet<_> = document["tags"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|tag| tag["name"].as_str())
        .collect();
    let used: BTreeSet<_> = operations(&document)
        .map(|(label, operation)| operation["tags"][0].as_str().expect(&label).to_owned())
        .collect();
    assert!(
        used.iter().map(String::as_str).eq(listed.iter().copied()),
        "{used:?} {listed:?}"
    );
}

#[test]
fn every_operation_has_examples_that_match_their_schemas() {
    let document = api_document();
    let assert_matches = |label: &str, described: &Value| {
        let example = described
            .get("example")
            .unwrap_or_else(|| panic!("{label} has no example"));
        let with_components = json!({ "allOf": [described["schema"]], "components": document["components"] });
        let validator = jsonschema::draft202012::options()
            .should_validate_formats(true)
            .build(&with_components)
            .expect("a schema of the document compiles");
        let errors: Vec<_> = validator
            .iter_errors(example)
            .map(|error| format!("{} {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{label}: {example} {errors:?}");
    };
    for (label, operation) in operations(&document) {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        for parameter in parameters {
            assert_matches(&format!("{label} {}", parameter["name"]), parameter);
        }
        let responses = operation["responses"].as_object().into_iter().flatten();
        let contents = responses
            .map(|(status, response)| (status.as_str(), &response["content"]))
            .chain([("request", &operation["requestBody"]["content"])]);
        for (part, content) in contents {
            for (media_type, described) in content.as_object().into_iter().flatten() {
                if described["schema"]["format"] != "binary" {
                    assert_matches(&format!("{label} {part} {media_type}"), described);
                }
            }
        }
    }
}

#[test]
fn the_server_is_the_public_url_or_the_one_that_was_called() {
    let router = Router::new(crate::api::routes());
    assert_eq!(document(&router, None)["servers"][0]["url"], "/");
    let public = document(&router, Some("https://gate.example.org"));
    assert_eq!(public["servers"][0]["url"], "https://gate.example.org");
}

#[test]
fn every_operation_can_be_refused_for_its_host() {
    let document = api_document();
    for (label, operation) in operations(&document) {
        let description = operation["responses"]["400"]["description"]
            .as_str()
            .expect(&label);
        assert!(description.contains("bad_request"), "{label}: {description}");
    }
}
