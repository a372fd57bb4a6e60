//! Checks every response that a test receives against the server's own OpenAPI document.

use std::collections::HashMap;
use std::sync::Mutex;

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::Response;

/// Fields with a rule that JSON Schema cannot express: a comparison with another field, the size of an object, whether
/// bytes are a public key, and which URLs the settings of the server allow.
const RULES_BEYOND_SCHEMA: [&str; 5] = ["/ends_at", "/doors_close_at", "/metadata", "/device_key", "/url"];

/// The OpenAPI document of a server.
pub struct OpenApiDocument {
    document: Value,
    validators: Mutex<HashMap<String, Validator>>,
}

/// An operation of the document.
#[derive(Debug, Clone)]
pub struct Operation {
    /// The path template, with variables in braces.
    pub path: String,
    /// The HTTP method in capitals.
    pub method: String,
    /// The operation id.
    pub name: String,
    /// Whether the operation requires a credential.
    pub requires_credential: bool,
}

impl OpenApiDocument {
    /// Wraps the document that a server returned.
    pub fn new(document: Value) -> Self {
        Self {
            document,
            validators: Mutex::default(),
        }
    }

    /// The document as JSON.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// Every operation of the document.
    pub fn operations(&self) -> Vec<Operation> {
        let paths = self.document["paths"].as_object().expect("paths");
        paths
            .iter()
            .flat_map(|(path, item)| {
                let operations = item.as_object().expect("a path item");
                operations.iter().map(|(method, operation)| Operation {
                    path: path.clone(),
                    method: method.to_uppercase(),
                    name: operation["operationId"]
                        .as_str()
                        .expect("an operation id")
                        .to_owned(),
                    requires_credential: operation["security"]
                        .as_array()
                        .is_some_and(|schemes| !schemes.is_empty()),
                })
            })
            .collect()
    }

    fn find(&self, method: &str, path: &str) -> Option<(&str, &Value)> {
        let path = path.split('?').next().unwrap_or_default();
        let paths = self.document["paths"].as_object().expect("paths");
        paths.iter().find_map(|(template, item)| {
            let operation = item.get(method.to_lowercase())?;
            matches_template(template, path).then_some((template.as_str(), operation))
        })
    }

    /// Panics unless the response, and the request that led to it, conform to the document.
    pub fn assert_conforms(&self, method: &str, path: &str, request: Option<&Value>, response: &Response) {
        let Some((template, operation)) = self.find(method, path) else {
            assert!(
                matches!(response.status, 404 | 405),
                "{method} {path} is not in the document: {response:?}"
            );
            return;
        };
        let label = format!("{method} {template} {}", response.status);
        let documented = &operation["responses"][response.status.to_string()];
        assert!(
            documented.is_object(),
            "{label} is not in the document: {response:?}"
        );
        if let Some(content) = documented["content"].as_object() {
            let media_type = response.header("content-type").unwrap_or_default();
            let described = content.get(media_type);
            assert!(
                described.is_some(),
                "{label}: {media_type} is not in the document"
            );
            if media_type.ends_with("json") && !media_type.ends_with("ndjson") {
                let schema = &described.expect("described")["schema"];
                let validated = self.validate(&format!("{label} {media_type}"), schema, &response.json());
                assert_eq!(validated, Ok(()), "{label}: {response:?}");
            }
        } else {
            assert!(response.body.is_empty(), "{label} has a body: {response:?}");
        }
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        if let (Some(request), true) = (request, schema.is_object()) {
            let validated = self.validate(&format!("{method} {template}"), schema, request);
            if (200..300).contains(&response.status) {
                assert_eq!(
                    validated,
                    Ok(()),
                    "{label} accepted what its schema rejects: {request}"
                );
            }
            if response.status == 422
                && response
                    .pointers()
                    .iter()
                    .all(|pointer| !RULES_BEYOND_SCHEMA.contains(&pointer.as_str()))
            {
                assert!(
                    validated.is_err(),
                    "{label} rejected what its schema accepts: {request} {response:?}"
                );
            }
        }
    }

    /// Validates a value. Compiled schemas are cached by `key`.
    fn validate(&self, key: &str, schema: &Value, value: &Value) -> Result<(), String> {
        let mut validators = self.validators.lock().expect("not poisoned");
        let validator = validators.entry(key.to_owned()).or_insert_with(|| {
            let with_components = json!({ "allOf": [schema], "components": self.document["components"] });
            jsonschema::draft202012::options()
                .should_validate_formats(true)
                .build(&with_components)
                .expect("a schema of the document compiles")
        });
        validator
            .validate(value)
            .map_err(|error| format!("{} {error}", error.instance_path()))
    }
}

fn matches_template(template: &str, path: &str) -> bool {
    let template: Vec<_> = template.split('/').collect();
    let path: Vec<_> = path.split('/').collect();
    template.len() == path.len()
        && template
            .iter()
            .zip(path)
            .all(|(part, value)| part.starts_with('{') || *part == value)
}
