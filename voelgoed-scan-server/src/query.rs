//! Query parameters. They are validated against their published schema, as bodies are.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use voelgoed_scan_core::store::PageRequest;

use crate::json::{SchemaValidator, schema_generator};
use crate::problem::{FieldError, Problem};
use crate::response::decode_cursor;

/// The query parameters of a route: an object with optional fields.
pub(crate) trait Query: DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// The rules between several parameters: each parameter that breaks one, and how.
    fn field_errors(&self) -> Vec<FieldError> {
        Vec::new()
    }
}

/// No query parameters; unknown ones are ignored.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct NoQuery {}

impl Query for NoQuery {}

/// Parses the query of a request. If a parameter is repeated, the last value counts.
pub(crate) fn parse<Q: Query>(validator: &SchemaValidator, query: Option<&str>) -> Result<Q, Problem> {
    let mut fields = Map::new();
    if query.is_none_or(str::is_empty)
        && let Ok(defaults) = Q::deserialize(Value::Object(Map::new()))
    {
        // All fields are optional: there is nothing to validate.
        return Ok(defaults);
    }
    if let Some(query) = query.filter(|query| !query.is_empty()) {
        let (integers, booleans) = (parameters_of::<Q>("integer"), parameters_of::<Q>("boolean"));
        for (name, text) in form_urlencoded::parse(query.as_bytes()) {
            let value = match text.parse::<i64>() {
                Ok(number) if integers.iter().any(|known| *known == name) => Value::from(number),
                _ => match text.parse::<bool>() {
                    Ok(truth) if booleans.iter().any(|known| *known == name) => Value::from(truth),
                    _ => Value::String(text.into_owned()),
                },
            };
            fields.insert(name.into_owned(), value);
        }
    }
    let query = validator
        .check::<Q, Q>(Value::Object(fields))
        .map_err(Problem::invalid)?;
    let errors = query.field_errors();
    if errors.is_empty() {
        Ok(query)
    } else {
        Err(Problem::invalid(errors))
    }
}

/// The names of the parameters of a type of JSON.
fn parameters_of<Q: JsonSchema>(wanted: &str) -> Vec<String> {
    let schema = schema_generator().into_root_schema_for::<Q>().to_value();
    let is_wanted = |kind: &Value| kind.as_str() == Some(wanted);
    schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter(|(_, field)| match field.get("type") {
            Some(Value::Array(kinds)) => kinds.iter().any(is_wanted),
            Some(kind) => is_wanted(kind),
            None => false,
        })
        .map(|(name, _)| name.clone())
        .collect()
}

/// The text is not a cursor of this API.
#[derive(Debug, thiserror::Error)]
#[error("is not a cursor of this list")]
struct InvalidCursor;

/// The start of a page: the `next_cursor` of the previous page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageCursor(voelgoed_scan_core::store::Cursor);

impl<'de> Deserialize<'de> for PageCursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        decode_cursor(&text)
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom(InvalidCursor))
    }
}

impl JsonSchema for PageCursor {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Cursor".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[A-Za-z0-9_-]{32}$" })
    }
}

/// The size and the start of a page.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub(crate) struct PageParams {
    /// The maximum number of items.
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 500))]
    pub(crate) limit: u16,
    /// The `next_cursor` of the previous page.
    #[serde(default)]
    pub(crate) cursor: Option<PageCursor>,
}

impl Query for PageParams {}

const fn default_limit() -> u16 {
    50
}

impl From<PageParams> for PageRequest {
    fn from(params: PageParams) -> Self {
        Self {
            limit: params.limit,
            after: params.cursor.map(|PageCursor(cursor)| cursor),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Code;

    fn parse_page(query: &str) -> Result<PageParams, Problem> {
        parse(&SchemaValidator::default(), Some(query))
    }

    #[test]
    fn the_default_limit_is_fifty_and_the_last_value_of_a_parameter_counts() {
        assert_eq!(parse_page("").expect("no parameters").limit, 50);
        assert_eq!(
            parse_page("limit=500&colour=red").expect("the maximum").limit,
            500
        );
        assert_eq!(
            parse_page("limit=1&limit=2")
                .expect("the last value counts")
                .limit,
            2
        );
    }

    #[test]
    fn an_invalid_parameter_is_named() {
        for (query, pointer) in [
            ("limit=0", "/limit"),
            ("limit=501", "/limit"),
            ("limit=", "/limit"),
            ("limit=ten", "/limit"),
            ("limit=1.5", "/limit"),
            ("cursor=", "/cursor"),
            ("cursor=AAAA", "/cursor"),
            ("cursor=%00", "/cursor"),
        ] {
            let problem = parse_page(query).expect_err(query);
            assert_eq!(problem.code(), Code::ValidationFailed, "{query}");
            assert_eq!(problem.field_errors()[0].pointer, pointer, "{query}");
        }
    }
}
