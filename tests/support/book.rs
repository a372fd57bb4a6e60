//! Does the server do what its OpenAPI document says? Every answer that a test gets is held against it.

use std::collections::HashMap;
use std::sync::Mutex;

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::Reply;

/// What JSON Schema cannot say: the size of an object, and whether bytes are a key.
const BEYOND_SCHEMA: [&str; 2] = ["/metadata", "/device_key"];

/// The OpenAPI document of a server.
pub struct Book {
    document: Value,
    validators: Mutex<HashMap<String, Validator>>,
}

/// An operation of the document.
#[derive(Debug, Clone)]
pub struct Operation {
    /// Its path, with variables.
    pub path: String,
    /// Its method, in capitals.
    pub method: String,
    /// Its name.
    pub name: String,
    /// Whether it needs a credential.
    pub guarded: bool,
}

impl Book {
    /// Takes the document of a server.
    pub fn new(document: Value) -> Self {
        Self {
            document,
            validators: Mutex::default(),
        }
    }

    /// The document.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// Every operation.
    pub fn operations(&self) -> Vec<Operation> {
        let paths = self.document["paths"].as_object().expect("paths");
        paths
            .iter()
            .flat_map(|(path, item)| {
                let operations = item.as_object().expect("a path item");
                operations.iter().map(|(method, operation)| Operation {
                    path: path.clone(),
                    method: method.to_uppercase(),
                    name: operation["operationId"].as_str().expect("a name").to_owned(),
                    guarded: operation["security"]
                        .as_array()
                        .is_some_and(|any| !any.is_empty()),
                })
            })
            .collect()
    }

    fn find(&self, method: &str, path: &str) -> Option<(&str, &Value)> {
        let path = path.split('?').next().unwrap_or_default();
        let paths = self.document["paths"].as_object().expect("paths");
        paths.iter().find_map(|(template, item)| {
            let operation = item.get(method.to_lowercase())?;
            fits(template, path).then_some((template.as_str(), operation))
        })
    }

    /// Holds an answer, and the request that led to it, against the document.
    pub fn check(&self, method: &str, path: &str, request: Option<&Value>, reply: &Reply) {
        let Some((template, operation)) = self.find(method, path) else {
            assert!(
                matches!(reply.status, 404 | 405),
                "{method} {path} is not in the document: {reply:?}"
            );
            return;
        };
        let called = format!("{method} {template} {}", reply.status);
        let response = &operation["responses"][reply.status.to_string()];
        assert!(response.is_object(), "{called} is not in the document: {reply:?}");
        if let Some(content) = response["content"].as_object() {
            let media_type = reply.header("content-type").unwrap_or_default();
            let described = content.get(media_type);
            assert!(
                described.is_some(),
                "{called}: {media_type} is not in the document"
            );
            if media_type.ends_with("json") && !media_type.ends_with("ndjson") {
                let schema = &described.expect("described")["schema"];
                let found = self.fits_schema(&format!("{called} {media_type}"), schema, &reply.json());
                assert_eq!(found, Ok(()), "{called}: {reply:?}");
            }
        } else {
            assert!(reply.body.is_empty(), "{called} has a body: {reply:?}");
        }
        let taken = &operation["requestBody"]["content"]["application/json"]["schema"];
        if let (Some(request), true) = (request, taken.is_object()) {
            let found = self.fits_schema(&format!("{method} {template}"), taken, request);
            if (200..300).contains(&reply.status) {
                assert_eq!(found, Ok(()), "{called} took what its schema refuses: {request}");
            }
            if reply.status == 422
                && reply
                    .pointers()
                    .iter()
                    .all(|at| !BEYOND_SCHEMA.contains(&at.as_str()))
            {
                assert!(
                    found.is_err(),
                    "{called} refused what its schema takes: {request} {reply:?}"
                );
            }
        }
    }

    fn fits_schema(&self, key: &str, schema: &Value, value: &Value) -> Result<(), String> {
        let mut validators = self.validators.lock().expect("a test that failed with the lock");
        let validator = validators.entry(key.to_owned()).or_insert_with(|| {
            let whole = json!({ "allOf": [schema], "components": self.document["components"] });
            jsonschema::draft202012::options()
                .should_validate_formats(true)
                .build(&whole)
                .expect("a schema of the document compiles")
        });
        validator
            .validate(value)
            .map_err(|error| format!("{} {error}", error.instance_path()))
    }
}

fn fits(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len()
        && template
            .iter()
            .zip(path)
            .all(|(one, other)| one.starts_with('{') || *one == other)
}
