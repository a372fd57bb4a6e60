//! The OpenAPI 3.1 document, generated from the route table.
//!
//! Invariants: the document contains exactly the routes that the router serves, as they are declared.

use std::collections::{BTreeMap, BTreeSet};

use hyper::StatusCode;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};
use voelgoed_scan_core::model::{KeyFormat, KeyId, TicketCode};

use crate::auth::Permission;
use crate::json::schema_generator;
use crate::problem::{Code, ProblemDocument};
use crate::route::{Access, BodyKind, ResponseSpec, Route, Router, SchemaFn};

/// Generates the document.
pub(crate) fn document(router: &Router) -> Value {
    let mut schemas = schema_generator();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for route in router.iter() {
        let operation = operation(route, &mut schemas);
        let method = route.method.as_str().to_ascii_lowercase();
        paths.entry(route.path).or_default().insert(method, operation);
    }
    json!({
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "voelgoed-scan",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A ticket-scanning gate. Times are RFC 3339 in UTC with milliseconds, identifiers are UUIDs. \
                The organization comes from the credential. Unknown fields are ignored. Every response has the header \
                X-Request-Id; every error is a problem document (RFC 9457).",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" }
        },
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "securitySchemes": {
                "deviceToken": {
                    "type": "http", "scheme": "bearer",
                    "description": "The token of a scanner device, vgd_ and 43 characters."
                },
                "apiKey": {
                    "type": "http", "scheme": "bearer",
                    "description": "An API key of an organization, vgk_ and 43 characters."
                }
            }
        }
    })
}

fn operation(route: &Route, schemas: &mut SchemaGenerator) -> Value {
    let mut operation = json!({
        "operationId": route.operation_id,
        "summary": route.summary,
        "parameters": parameters(route, schemas),
        "responses": responses(route, schemas),
        "security": []
    });
    if let Access::Authenticated(permission, _) = &route.access {
        operation["description"] = format!("May be called by: {}", permission.description()).into();
        operation["security"] = security(*permission);
    }
    if let Some(body) = request_body(route, schemas) {
        operation["requestBody"] = body;
    }
    operation
}

fn security(permission: Permission) -> Value {
    let device = permission.admits_devices().then(|| json!({ "deviceToken": [] }));
    let member = permission.admits_members().then(|| json!({ "apiKey": [] }));
    device.into_iter().chain(member).collect()
}

fn request_body(route: &Route, schemas: &mut SchemaGenerator) -> Option<Value> {
    let (media_type, schema, description) = match route.body {
        BodyKind::Empty => return None,
        BodyKind::Json(schema, limit) => ("application/json", schema, format!("At most {} KiB.", limit / 1024)),
        BodyKind::Lines(schema) => (
            "application/x-ndjson",
            schema,
            "One JSON object per line. The schema describes a line. A line has at most 16 KiB; the stream has no limit."
                .to_owned(),
        ),
    };
    Some(json!({
        "required": true,
        "description": description,
        "content": content(&[(media_type, Some(schema))], schemas)
    }))
}

fn content(bodies: &[(&str, Option<SchemaFn>)], schemas: &mut SchemaGenerator) -> Map<String, Value> {
    bodies
        .iter()
        .map(|(media_type, schema)| {
            let media_type_object = match schema {
                Some(schema) => json!({ "schema": schema(schemas) }),
                None => json!({}),
            };
            ((*media_type).to_owned(), media_type_object)
        })
        .collect()
}

fn parameters(route: &Route, schemas: &mut SchemaGenerator) -> Vec<Value> {
    let mut parameters: Vec<Value> = variables(route.path)
        .map(
            |name| json!({ "name": name, "in": "path", "required": true, "schema": variable_schema(name, schemas) }),
        )
        .collect();
    for (name, mut schema) in query_schemas(route) {
        let description = schema
            .as_object_mut()
            .and_then(|schema| schema.remove("description"));
        let mut parameter = json!({ "name": name, "in": "query", "required": false, "schema": schema });
        if let Some(description) = description {
            parameter["description"] = description;
        }
        parameters.push(parameter);
    }
    parameters
}

fn variables(path: &'static str) -> impl Iterator<Item = &'static str> {
    path.split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

/// The schema of a path variable. The name of the variable determines its type.
fn variable_schema(name: &str, schemas: &mut SchemaGenerator) -> Value {
    fn of<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Value {
        schemas.subschema_for::<T>().to_value()
    }
    match name {
        "code" => of::<TicketCode>(schemas),
        "kid" => of::<KeyId>(schemas),
        "format" => of::<KeyFormat>(schemas),
        _ => json!({ "type": "string", "format": "uuid" }),
    }
}

/// The query parameters of a route by name, with schemas that contain no references.
fn query_schemas(route: &Route) -> Map<String, Value> {
    let mut inline = schemars::generate::SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .into_generator();
    let schema = (route.query)(&mut inline).to_value();
    match schema.get("properties") {
        Some(Value::Object(properties)) => properties.clone(),
        _ => Map::new(),
    }
}

fn responses(route: &Route, schemas: &mut SchemaGenerator) -> Map<String, Value> {
    let mut responses: Map<String, Value> = route
        .responses
        .iter()
        .map(|response| (response.status.as_str().to_owned(), success(response, schemas)))
        .collect();
    let mut codes_by_status: BTreeMap<u16, BTreeSet<Code>> = BTreeMap::new();
    for code in codes(route) {
        codes_by_status
            .entry(code.status().as_u16())
            .or_default()
            .insert(code);
    }
    let problem = schemas.subschema_for::<ProblemDocument<'static>>().to_value();
    for (status, codes) in codes_by_status {
        responses.insert(status.to_string(), failure(&codes, &problem));
    }
    responses
}

fn success(spec: &ResponseSpec, schemas: &mut SchemaGenerator) -> Value {
    let mut response = json!({ "description": spec.description });
    if !spec.bodies.is_empty() {
        response["content"] = content(&spec.bodies, schemas).into();
    }
    if spec.status == StatusCode::CREATED {
        response["headers"] = json!({
            "Location": { "description": "The path of the new resource.", "schema": { "type": "string" } }
        });
    }
    response
}

fn failure(codes: &BTreeSet<Code>, problem: &Value) -> Value {
    let words: Vec<_> = codes.iter().map(|code| code.as_str()).collect();
    let mut response = json!({
        "description": format!("The code is one of: {}.", words.join(", ")),
        "content": { "application/problem+json": { "schema": problem } }
    });
    let statuses: BTreeSet<_> = codes.iter().map(|code| code.status()).collect();
    if statuses.contains(&StatusCode::UNAUTHORIZED) {
        response["headers"] = json!({
            "WWW-Authenticate": { "description": "Bearer.", "schema": { "type": "string" } }
        });
    }
    if statuses.contains(&StatusCode::SERVICE_UNAVAILABLE)
        || statuses.contains(&StatusCode::TOO_MANY_REQUESTS)
    {
        response["headers"] = json!({
            "Retry-After": { "description": "Seconds to wait.", "schema": { "type": "integer", "minimum": 1 } }
        });
    }
    response
}

/// The problem codes of a route: its own, and those that follow from its access, body, query and path.
fn codes(route: &Route) -> BTreeSet<Code> {
    let mut codes: BTreeSet<Code> = route.codes.iter().copied().collect();
    codes.extend([Code::Internal, Code::BadRequest]);
    if let Access::Authenticated(..) = &route.access {
        codes.extend([
            Code::MissingToken,
            Code::InvalidToken,
            Code::DeviceInactive,
            Code::Forbidden,
        ]);
        // The rate limit is checked before the permission, so that every route can answer `rate_limited`.
        codes.extend([Code::RateLimited, Code::StorageUnavailable]);
    }
    if let Access::Anonymous(_) = &route.access {
        codes.extend([Code::RateLimited, Code::StorageUnavailable]);
    }
    match route.body {
        BodyKind::Empty => {}
        BodyKind::Json(..) => codes.extend([
            Code::UnsupportedMediaType,
            Code::BodyTooLarge,
            Code::MalformedJson,
            Code::ValidationFailed,
        ]),
        BodyKind::Lines(_) => codes.extend([Code::UnsupportedMediaType]),
    }
    if !query_schemas(route).is_empty() {
        codes.insert(Code::ValidationFailed);
    }
    if variables(route.path).next().is_some() {
        codes.insert(Code::NotFound);
    }
    codes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api_document() -> Value {
        document(&Router::new(crate::api::routes()))
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
        assert!(scan["oneOf"].is_array(), "{scan}");
        let page = &document["paths"]["/api/v1/events"]["get"]["parameters"];
        let limit = page
            .as_array()
            .expect("parameters")
            .iter()
            .find(|parameter| parameter["name"] == "limit");
        assert_eq!(limit.map(|limit| &limit["schema"]["maximum"]), Some(&json!(500)));
    }
}
