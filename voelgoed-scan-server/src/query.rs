//! What does a caller ask for beside the path? Query parameters, held against their published schema as bodies are.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use voelgoed_scan_core::store::PageRequest;

use crate::json::{Form, generator};
use crate::problem::Problem;
use crate::reply::read_cursor;

/// Query parameters that a call takes: an object of optional fields.
pub(crate) trait Query: DeserializeOwned + JsonSchema + Send + Sync + 'static {}

/// No parameters; those that come are ignored.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct NoQuery {}

impl Query for NoQuery {}

/// Reads the parameters of a call. Of a parameter that is given twice the last one counts.
pub(crate) fn read<Q: Query>(form: &Form, query: Option<&str>) -> Result<Q, Problem> {
    let mut fields = Map::new();
    if query.is_none_or(str::is_empty)
        && let Ok(nothing) = Q::deserialize(Value::Object(Map::new()))
    {
        // Every field may be left out: there is nothing to hold against the schema.
        return Ok(nothing);
    }
    if let Some(query) = query.filter(|query| !query.is_empty()) {
        let numbers = numbers::<Q>();
        for (name, text) in form_urlencoded::parse(query.as_bytes()) {
            let value = match text.parse::<i64>() {
                Ok(number) if numbers.iter().any(|known| *known == name) => Value::from(number),
                _ => Value::String(text.into_owned()),
            };
            fields.insert(name.into_owned(), value);
        }
    }
    form.check::<Q, Q>(Value::Object(fields))
        .map_err(Problem::invalid)
}

/// The names of the parameters that are numbers.
fn numbers<Q: JsonSchema>() -> Vec<String> {
    let schema = generator().into_root_schema_for::<Q>().to_value();
    let is_number = |kind: &Value| kind.as_str() == Some("integer");
    schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter(|(_, field)| match field.get("type") {
            Some(Value::Array(kinds)) => kinds.iter().any(is_number),
            Some(kind) => is_number(kind),
            None => false,
        })
        .map(|(name, _)| name.clone())
        .collect()
}

/// A text that is not a cursor of this API.
#[derive(Debug, thiserror::Error)]
#[error("is not a cursor of this list")]
struct InvalidCursor;

/// Where a page starts: what the page before gave as `next_cursor`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor(voelgoed_scan_core::store::Cursor);

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        read_cursor(&text)
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom(InvalidCursor))
    }
}

impl JsonSchema for Cursor {
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

/// How much of a list, and from where.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub(crate) struct Paging {
    /// The most rows.
    #[serde(default = "fifty")]
    #[schemars(range(min = 1, max = 500))]
    pub(crate) limit: u16,
    /// What the page before gave as `next_cursor`.
    #[serde(default)]
    pub(crate) cursor: Option<Cursor>,
}

impl Query for Paging {}

const fn fifty() -> u16 {
    50
}

impl From<Paging> for PageRequest {
    fn from(paging: Paging) -> Self {
        Self {
            limit: paging.limit,
            after: paging.cursor.map(|Cursor(cursor)| cursor),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Code;

    fn read_paging(query: &str) -> Result<Paging, Problem> {
        read(&Form::default(), Some(query))
    }

    #[test]
    fn a_list_has_fifty_rows_unless_more_or_fewer_are_asked_for() {
        assert_eq!(read_paging("").expect("no parameters").limit, 50);
        assert_eq!(read_paging("limit=500&colour=red").expect("the most").limit, 500);
        assert_eq!(read_paging("limit=1&limit=2").expect("the last counts").limit, 2);
    }

    #[test]
    fn a_wrong_parameter_is_named() {
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
            let problem = read_paging(query).expect_err(query);
            assert_eq!(problem.code(), Code::ValidationFailed, "{query}");
            assert_eq!(problem.faults()[0].pointer, pointer, "{query}");
        }
    }
}
