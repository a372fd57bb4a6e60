//! The API reference: the OpenAPI document as a page to read.
//!
//! Invariants: everything on the page comes from the document, so the page describes exactly the routes that are served; the
//! page loads nothing and has no script; texts of the document are escaped.

mod schema;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::{Map, Value};

use schema::{fields, kind};

/// The style of the page. The policy of the page allows it by its hash.
pub(crate) const STYLE: &str = include_str!("reference/style.css");

/// An operation of the document.
struct Operation<'a> {
    path: &'a str,
    method: String,
    description: &'a Value,
}

impl Operation<'_> {
    /// The name that clients generate a function from. It is the anchor of the operation, too.
    fn id(&self) -> &str {
        text(&self.description["operationId"])
    }

    fn tag(&self) -> &str {
        text(&self.description["tags"][0])
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let object = value.as_object().into_iter().flat_map(Map::iter);
    object.map(|(name, value)| (name.as_str(), value))
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The operations with a tag.
fn of_tag<'a>(operations: &'a [Operation<'a>], tag: &'a Value) -> impl Iterator<Item = &'a Operation<'a>> {
    let name = text(&tag["name"]);
    operations.iter().filter(move |operation| operation.tag() == name)
}

/// The page of an OpenAPI document.
pub(crate) fn page(document: &Value) -> String {
    let operations: Vec<_> = entries(&document["paths"])
        .flat_map(|(path, methods)| {
            entries(methods).map(move |(method, description)| Operation {
                path,
                method: method.to_ascii_uppercase(),
                description,
            })
        })
        .collect();
    let info = &document["info"];
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "API reference · " (text(&info["title"])) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#content" { "Skip to the operations" }
                header {
                    h1 { (text(&info["title"])) " API " small { (text(&info["version"])) } }
                    p { (text(&info["description"])) }
                    p {
                        "For programs: " a href="/openapi.json" { code { "/openapi.json" } } " (OpenAPI "
                        (text(&document["openapi"])) "). Server: " code { (text(&document["servers"][0]["url"])) }
                    }
                }
                div.columns {
                    nav aria-label="Operations" {
                        @for tag in items(&document["tags"]) {
                            h2 { a href={ "#tag-" (text(&tag["name"])) } { (text(&tag["name"])) } }
                            ul {
                                @for operation in of_tag(&operations, tag) {
                                    li { a href={ "#" (operation.id()) } { (method(operation)) " " (operation.id()) } }
                                }
                            }
                        }
                        h2 { a href="#credentials" { "Credentials" } }
                        h2 { a href="#schemas" { "Schemas" } }
                    }
                    main id="content" {
                        @for tag in items(&document["tags"]) {
                            section id={ "tag-" (text(&tag["name"])) } {
                                h2 { (text(&tag["name"])) }
                                p { (text(&tag["description"])) }
                                @for operation in of_tag(&operations, tag) { (article(operation)) }
                            }
                        }
                        (credentials(&document["components"]["securitySchemes"]))
                        (schemas(&document["components"]["schemas"]))
                    }
                }
            }
        }
    };
    page.into_string()
}

fn method(operation: &Operation<'_>) -> Markup {
    html! { span.method.(operation.method.to_ascii_lowercase()) { (operation.method) } }
}

fn article(operation: &Operation<'_>) -> Markup {
    let description = operation.description;
    html! {
        article id=(operation.id()) {
            h3 {
                (method(operation)) " " code { (operation.path) } " "
                a.anchor href={ "#" (operation.id()) } aria-label={ "Link to " (operation.id()) } { "#" }
            }
            p { (text(&description["summary"])) }
            p.faint { (callers(description)) }
            (parameters(&description["parameters"]))
            @if description["requestBody"].is_object() {
                h4 { "Request body" }
                p { (text(&description["requestBody"]["description"])) }
                (bodies(&description["requestBody"]["content"]))
            }
            h4 { "Responses" }
            @for (status, response) in entries(&description["responses"]) { (answer(status, response)) }
        }
    }
}

/// Who may call, and with which credential.
fn callers(description: &Value) -> Markup {
    let schemes: Vec<_> = items(&description["security"])
        .flat_map(|scheme| entries(scheme).map(|(name, _)| name))
        .collect();
    html! {
        @match description["description"].as_str() {
            Some(callers) => (callers),
            None => "May be called by everybody.",
        }
        @if !schemes.is_empty() {
            " Credential: "
            @for (position, scheme) in schemes.iter().enumerate() {
                @if position > 0 { " or " }
                a href="#credentials" { (scheme) }
            }
            "."
        }
    }
}

fn parameters(parameters: &Value) -> Markup {
    html! {
        @if items(parameters).next().is_some() {
            h4 { "Parameters" }
            div.scroll {
                table {
                    thead { tr { th { "Name" } th { "In" } th { "Type" } th { "Meaning" } } }
                    tbody {
                        @for parameter in items(parameters) {
                            tr {
                                td {
                                    code { (text(&parameter["name"])) }
                                    @if parameter["required"] == true { " " span.required { "required" } }
                                }
                                td { (text(&parameter["in"])) }
                                td { (kind(&parameter["schema"])) }
                                td {
                                    (text(&parameter["description"])) (text(&parameter["schema"]["description"]))
                                    @if let Some(example) = parameter.get("example") { " " (inline_example(example)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn inline_example(example: &Value) -> Markup {
    let shown = example
        .as_str()
        .map_or_else(|| example.to_string(), str::to_owned);
    html! { span.faint { "For example " code { (shown) } } }
}

fn answer(status: &str, response: &Value) -> Markup {
    let class = if status.starts_with('2') || status.starts_with('3') {
        "good"
    } else {
        "bad"
    };
    html! {
        div.response {
            p { strong.(class) { (status) } " " (text(&response["description"])) }
            @if let Some(headers) = response["headers"].as_object() {
                ul {
                    @for (name, header) in headers {
                        li { "Header " code { (name) } ": " (text(&header["description"])) }
                    }
                }
            }
            (bodies(&response["content"]))
        }
    }
}

/// The bodies by media type: the fields, or the name of a schema, and an example.
fn bodies(content: &Value) -> Markup {
    html! {
        @for (media_type, body) in entries(content) {
            p { code { (media_type) } ": " (kind(&body["schema"])) }
            (fields(&body["schema"]))
            @if let Some(example) = body.get("example") {
                details {
                    summary { "Example" }
                    pre { code { (pretty(example)) } }
                }
            }
        }
    }
}

fn pretty(example: &Value) -> String {
    match example.as_str() {
        Some(text) => text.to_owned(),
        None => serde_json::to_string_pretty(example).unwrap_or_default(),
    }
}

fn credentials(schemes: &Value) -> Markup {
    html! {
        section id="credentials" {
            h2 { "Credentials" }
            @for (name, scheme) in entries(schemes) {
                h3 { (name) }
                p { (text(&scheme["description"])) }
                pre { code { "Authorization: Bearer …" } }
            }
        }
    }
}

fn schemas(schemas: &Value) -> Markup {
    html! {
        section id="schemas" {
            h2 { "Schemas" }
            @for (name, schema) in entries(schemas) {
                article id={ "schema-" (name) } {
                    h3 {
                        (name) " "
                        a.anchor href={ "#schema-" (name) } aria-label={ "Link to " (name) } { "#" }
                    }
                    @if let Some(description) = schema["description"].as_str() { p { (description) } }
                    p { (kind(schema)) }
                    (fields(schema))
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;
    use crate::openapi;
    use crate::route::Router;

    fn api_document() -> Value {
        openapi::document(&Router::new(crate::api::routes()), None)
    }

    /// The values of an attribute on the page.
    fn attributes<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
        let start = format!(" {name}=\"");
        page.split(&start)
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .collect()
    }

    #[test]
    fn the_page_has_every_operation_schema_parameter_and_code_of_the_document() {
        let document = api_document();
        let page = page(&document);
        let anchors: BTreeSet<_> = attributes(&page, "id").into_iter().collect();
        for (path, methods) in entries(&document["paths"]) {
            assert!(page.contains(&format!("<code>{path}</code>")), "{path}");
            for (_, operation) in entries(methods) {
                assert!(anchors.contains(text(&operation["operationId"])), "{operation}");
                for parameter in items(&operation["parameters"]) {
                    let name = text(&parameter["name"]);
                    assert!(page.contains(&format!("<code>{name}</code>")), "{name}");
                }
                for (status, response) in entries(&operation["responses"]) {
                    let description = text(&response["description"]);
                    let escaped = html! { (description) }.into_string();
                    assert!(page.contains(&escaped), "{path} {status}");
                }
            }
        }
        for (name, schema) in entries(&document["components"]["schemas"]) {
            assert!(anchors.contains(format!("schema-{name}").as_str()), "{name}");
            for (field, _) in entries(&schema["properties"]) {
                assert!(page.contains(&format!("<code>{field}</code>")), "{name}.{field}");
            }
        }
    }

    #[test]
    fn every_link_of_the_page_leads_somewhere_and_no_anchor_occurs_twice() {
        let page = page(&api_document());
        let anchors = attributes(&page, "id");
        let unique: BTreeSet<_> = anchors.iter().copied().collect();
        assert_eq!(anchors.len(), unique.len());
        let links = attributes(&page, "href");
        assert!(links.len() > 200);
        for link in links {
            let leads_on = link
                .strip_prefix('#')
                .is_some_and(|anchor| unique.contains(anchor));
            assert!(leads_on || link == "/openapi.json", "{link}");
        }
    }

    #[test]
    fn texts_of_the_document_are_escaped() {
        let evil = "<script>alert(1)</script>";
        let document = json!({
            "info": { "title": evil },
            "tags": [{ "name": "A", "description": evil }],
            "paths": { "/x": { "get": {
                "operationId": "x", "tags": ["A"], "summary": evil,
                "responses": { "200": { "description": evil, "content": {
                    "application/json": { "schema": { "enum": [evil] }, "example": evil }
                } } }
            } } },
        });
        let page = page(&document);
        assert!(!page.contains("<script"), "{page}");
        assert_eq!(page.matches("&lt;script&gt;").count(), 7);
    }
}
