//! The OpenAPI 3.1 document, generated from the route table.
//!
//! Invariants: the document contains exactly the routes that the router serves, as they are declared. Programs that generate
//! clients read it, so that it contains no boolean schema, and every operation has a tag and an example.

mod examples;
mod tags;

use std::collections::{BTreeMap, BTreeSet};

use hyper::StatusCode;
use schemars::transform::{ReplaceBoolSchemas, Transform};
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};
use voelgoed_scan_core::model::{KeyFormat, KeyId};
use voelgoed_scan_core::token::MAX_PAYLOAD;

use crate::auth::Permission;
use crate::json::schema_generator;
use crate::problem::{Code, ProblemDocument};
use crate::route::{Access, BodyKind, ResponseSpec, Route, Router, SchemaFn};

/// Generates the document of a server that clients reach by this URL, or by the URL that the document came from.
pub(crate) fn document(router: &Router, public_url: Option<&str>) -> Value {
    let mut schemas = schema_generator();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for route in router.iter() {
        let operation = operation(route, &mut schemas);
        let method = route.method.as_str().to_ascii_lowercase();
        paths.entry(route.path).or_default().insert(method, operation);
    }
    let mut document = json!({
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "voelgoed-scan",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A server that scans tickets. Times are RFC 3339 in UTC with milliseconds, identifiers are UUIDs. \
                The organization comes from the credential. Unknown fields are ignored. Every response has the header \
                X-Request-Id; every error is a problem document (RFC 9457).",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" }
        },
        "servers": [{ "url": public_url.unwrap_or("/"), "description": "This server." }],
        "tags": tags(router),
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
    });
    examples::add(&mut document);
    document
}

/// The tags that have an operation.
fn tags(router: &Router) -> Value {
    let used: BTreeSet<_> = router.iter().map(|route| tags::of(route.path)).collect();
    tags::ALL
        .iter()
        .filter(|(name, _)| used.contains(name))
        .map(|(name, description)| json!({ "name": name, "description": description }))
        .collect()
}

fn operation(route: &Route, schemas: &mut SchemaGenerator) -> Value {
    let mut operation = json!({
        "operationId": route.operation_id,
        "summary": route.summary,
        "tags": [tags::of(route.path)],
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
    let is_stream = matches!(route.body, BodyKind::Lines(_));
    let mut content = content(&[(media_type, Some(schema))], schemas);
    if let Some(line) = content.get_mut(media_type).filter(|_| is_stream) {
        let other = json!({ "description": "Any other line: it alone is rejected." });
        line["schema"] = json!({ "anyOf": [line["schema"], other] });
    }
    // A stream may be empty.
    Some(json!({ "required": !is_stream, "description": description, "content": content }))
}

fn content(bodies: &[(&str, Option<SchemaFn>)], schemas: &mut SchemaGenerator) -> Map<String, Value> {
    bodies
        .iter()
        .map(|(media_type, schema)| {
            let schema = match schema {
                Some(schema) => {
                    let mut schema = schema(schemas);
                    ReplaceBoolSchemas::default().transform(&mut schema);
                    schema.to_value()
                }
                None if is_text(media_type) => json!({ "type": "string" }),
                // Programs that generate clients know bytes by this format.
                None => json!({ "type": "string", "format": "binary" }),
            };
            ((*media_type).to_owned(), json!({ "schema": schema }))
        })
        .collect()
}

fn is_text(media_type: &str) -> bool {
    media_type.starts_with("text/") || media_type.ends_with("+xml")
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
    parameters.extend(route.headers.iter().map(|(name, description)| {
        json!({ "name": name, "in": "header", "required": false, "description": description, "schema": { "type": "string" } })
    }));
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
        "code" => json!({
            "type": "string", "minLength": 16, "maxLength": MAX_PAYLOAD,
            "description": "The code of a ticket, or a whole QR payload of the organization's.",
        }),
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
    if !spec.headers.is_empty() {
        response["headers"] = spec
            .headers
            .iter()
            .map(|(name, description)| {
                let header = json!({ "description": description, "schema": { "type": "string" } });
                ((*name).to_owned(), header)
            })
            .collect::<Map<_, _>>()
            .into();
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
    let mut media_type = json!({ "schema": problem });
    if let Some(code) = codes.first() {
        media_type["example"] = examples::problem(*code);
    }
    let mut response = json!({
        "description": format!("The code is one of: {}.", words.join(", ")),
        "content": { "application/problem+json": media_type }
    });
    let statuses: BTreeSet<_> = codes.iter().map(|code| code.status()).collect();
    if statuses.contains(&StatusCode::UNAUTHORIZED) {
        response["headers"] = json!({
            "WWW-Authenticate": { "description": "Bearer.", "schema": { "type": "string" } }
        });
    }
    if statuses.contains(&StatusCode::RANGE_NOT_SATISFIABLE) {
        response["headers"] = json!({
            "Content-Range": { "description": "bytes */ and the length.", "schema": { "type": "string" } }
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
    // A request over HTTP/1.1 without exactly one Host is refused before its path is looked at.
    codes.extend([Code::Internal, Code::BadRequest]);
    if let Access::Authenticated(permission, _) = &route.access {
        if !permission.admits_revoked_devices() {
            codes.insert(Code::UpgradeRequired);
        }
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
mod tests;
