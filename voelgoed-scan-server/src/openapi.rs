//! What does the server say of itself? The OpenAPI 3.1 document, put together from the table of routes.
//!
//! Nothing is written down twice: what a route does not declare, the document does not say; what the router serves, the
//! document has.

use std::collections::{BTreeMap, BTreeSet};

use hyper::StatusCode;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};
use voelgoed_scan_core::model::{KeyFormat, KeyId, TicketCode};

use crate::auth::Permission;
use crate::json::generator;
use crate::problem::{Code, Document};
use crate::route::{Entrance, Reply, Route, Routes, SchemaOf, Takes};

/// The document.
pub(crate) fn document(routes: &Routes) -> Value {
    let mut schemas = generator();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for route in routes.iter() {
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
                The organization comes from the credential. Fields that are not known are ignored. Every answer \
                carries X-Request-Id; everything that goes wrong is a problem document (RFC 9457).",
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
        "operationId": route.name,
        "summary": route.summary,
        "parameters": parameters(route, schemas),
        "responses": responses(route, schemas),
        "security": []
    });
    if let Entrance::Guarded(permission, _) = &route.entrance {
        operation["description"] = format!("May be called by: {}", permission.in_words()).into();
        operation["security"] = security(*permission);
    }
    if let Some(body) = body(route, schemas) {
        operation["requestBody"] = body;
    }
    operation
}

fn security(permission: Permission) -> Value {
    let device = permission.is_for_devices().then(|| json!({ "deviceToken": [] }));
    let member = permission.is_for_members().then(|| json!({ "apiKey": [] }));
    device.into_iter().chain(member).collect()
}

fn body(route: &Route, schemas: &mut SchemaGenerator) -> Option<Value> {
    let (media_type, schema, description) = match route.takes {
        Takes::Nothing => return None,
        Takes::Json(schema, most) => ("application/json", schema, format!("At most {} KiB.", most / 1024)),
        Takes::Lines(schema) => (
            "application/x-ndjson",
            schema,
            "One JSON object a line; the schema is that of a line. A line has at most 16 KiB, the stream any length."
                .to_owned(),
        ),
    };
    Some(json!({
        "required": true,
        "description": description,
        "content": content(&[(media_type, Some(schema))], schemas)
    }))
}

fn content(bodies: &[(&str, Option<SchemaOf>)], schemas: &mut SchemaGenerator) -> Map<String, Value> {
    bodies
        .iter()
        .map(|(media_type, schema)| {
            let described = match schema {
                Some(schema) => json!({ "schema": schema(schemas) }),
                None => json!({}),
            };
            ((*media_type).to_owned(), described)
        })
        .collect()
}

fn parameters(route: &Route, schemas: &mut SchemaGenerator) -> Vec<Value> {
    let mut parameters: Vec<Value> = variables(route.path)
        .map(
            |name| json!({ "name": name, "in": "path", "required": true, "schema": variable(name, schemas) }),
        )
        .collect();
    for (name, mut schema) in query_of(route) {
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

/// The schema of a variable of a path: what it names is told by its name.
fn variable(name: &str, schemas: &mut SchemaGenerator) -> Value {
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

/// The query parameters of a route, by name, with schemas that stand on their own.
fn query_of(route: &Route) -> Map<String, Value> {
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
        .replies
        .iter()
        .map(|reply| (reply.status.as_str().to_owned(), success(reply, schemas)))
        .collect();
    let mut failures: BTreeMap<u16, BTreeSet<Code>> = BTreeMap::new();
    for code in codes(route) {
        failures.entry(code.status().as_u16()).or_default().insert(code);
    }
    let problem = schemas.subschema_for::<Document<'static>>().to_value();
    for (status, codes) in failures {
        responses.insert(status.to_string(), failure(&codes, &problem));
    }
    responses
}

fn success(reply: &Reply, schemas: &mut SchemaGenerator) -> Value {
    let mut response = json!({ "description": reply.means });
    if !reply.bodies.is_empty() {
        response["content"] = content(&reply.bodies, schemas).into();
    }
    if reply.status == StatusCode::CREATED {
        response["headers"] = json!({
            "Location": { "description": "The path of the new thing.", "schema": { "type": "string" } }
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

/// The codes that a route may answer: its own, and those that follow from what it takes.
fn codes(route: &Route) -> BTreeSet<Code> {
    let mut codes: BTreeSet<Code> = route.codes.iter().copied().collect();
    codes.insert(Code::Internal);
    if let Entrance::Guarded(..) = &route.entrance {
        codes.extend([
            Code::MissingToken,
            Code::InvalidToken,
            Code::DeviceInactive,
            Code::Forbidden,
        ]);
        // A device that calls too often is told so before it is told that it may not call.
        codes.extend([Code::RateLimited, Code::StorageUnavailable]);
    }
    if let Entrance::Visitor(_) = &route.entrance {
        codes.extend([Code::RateLimited, Code::StorageUnavailable]);
    }
    match route.takes {
        Takes::Nothing => {}
        Takes::Json(..) => codes.extend([
            Code::UnsupportedMediaType,
            Code::BodyTooLarge,
            Code::MalformedJson,
            Code::ValidationFailed,
        ]),
        Takes::Lines(_) => codes.extend([Code::UnsupportedMediaType]),
    }
    if !query_of(route).is_empty() {
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

    fn whole() -> Value {
        document(&Routes::new(crate::api::routes()))
    }

    #[test]
    fn every_route_is_in_the_document_once() {
        let document = whole();
        let paths = document["paths"].as_object().expect("paths");
        let served: usize = paths.values().filter_map(Value::as_object).map(Map::len).sum();
        assert_eq!(served, crate::api::routes().len());
        let names: BTreeSet<_> = crate::api::routes().iter().map(|route| route.name).collect();
        assert_eq!(names.len(), served, "every operation has a name of its own");
    }

    #[test]
    fn every_reference_leads_somewhere() {
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
        let document = whole();
        follow(&document, &document);
    }

    #[test]
    fn every_schema_is_a_schema() {
        let document = whole();
        for (name, schema) in document["components"]["schemas"].as_object().expect("schemas") {
            assert!(jsonschema::meta::is_valid(schema), "{name}");
        }
    }

    #[test]
    fn rules_that_a_422_enforces_stand_in_the_schema() {
        let document = whole();
        let scan = &document["components"]["schemas"]["ScanRequest"];
        assert!(scan["oneOf"].is_array(), "{scan}");
        let page = &document["paths"]["/api/v1/events"]["get"]["parameters"];
        let limit = page
            .as_array()
            .expect("parameters")
            .iter()
            .find(|one| one["name"] == "limit");
        assert_eq!(limit.map(|limit| &limit["schema"]["maximum"]), Some(&json!(500)));
    }
}
