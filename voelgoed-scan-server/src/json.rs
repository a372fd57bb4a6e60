//! Parsing and validation of JSON bodies. The result is a typed value, or a problem that names every invalid field.
//!
//! Invariants: a body is validated against the schema that `/openapi.json` publishes, so that a 422 enforces only documented
//! rules. Rules that JSON Schema cannot express (the size of `metadata`) are checked last, by the type's `Deserialize`.

mod whole_lists;

use std::borrow::Cow;
use std::sync::OnceLock;

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use schemars::generate::SchemaSettings;
use schemars::transform::ReplaceBoolSchemas;
use schemars::{JsonSchema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::Value;
use voelgoed_scan_core as core;

use crate::body::MAX_BODY_BYTES;
use crate::problem::{Code, FieldError, Problem};
use whole_lists::of_whole_lists;

/// The maximum number of field errors in a response.
const MAX_FIELD_ERRORS: usize = 100;

/// A type that routes take as a JSON body.
pub(crate) trait JsonBody: DeserializeOwned + Send + Sync + 'static {
    /// The type whose schema is published.
    type Schema: JsonSchema;
    /// Whether the type's `Deserialize` enforces the complete schema. Then a valid body skips the schema validation.
    const DESERIALIZE_VALIDATES: bool = false;
    /// The rules between several fields, which JSON Schema cannot express: each field that breaks one, and how.
    fn field_errors(&self) -> Vec<FieldError> {
        Vec::new()
    }

    /// Lists that are valid or invalid as a whole: an error of an item is one of the list.
    const WHOLE_LISTS: &'static [&'static str] = &[];

    /// The size limit of the body, in bytes.
    const MAX_BYTES: usize = MAX_BODY_BYTES;
}

macro_rules! json_bodies {
    ($($body:ty),+) => { $(impl JsonBody for $body { type Schema = Self; })+ };
}

json_bodies!(
    core::model::SessionStart,
    core::model::UndoRequest,
    core::model::CheckInRequest,
    core::sync::AcceptRequest,
    core::model::DeviceHealth,
    core::model::DeviceRegister,
    core::model::DevicePatch,
    core::model::GatePut,
    core::model::TicketPatch,
    core::model::ApiKeyCreate,
    core::model::EnrollRequest,
    core::model::SignalSettingsPatch,
    core::model::CustomMessagesPatch
);

impl JsonBody for core::model::WebhookCreate {
    type Schema = Self;
    const WHOLE_LISTS: &'static [&'static str] = &["/types"];
}

impl JsonBody for core::model::WebhookPatch {
    type Schema = Self;
    const WHOLE_LISTS: &'static [&'static str] = &["/types"];
}

impl JsonBody for core::model::EventPut {
    type Schema = Self;

    fn field_errors(&self) -> Vec<FieldError> {
        let error = |pointer: &str, message: &'static str| FieldError {
            pointer: pointer.to_owned(),
            message: message.into(),
        };
        let mut errors = Vec::new();
        if backwards(self.starts_at, self.ends_at) {
            errors.push(error("/ends_at", "must not be before starts_at"));
        }
        if backwards(self.doors_open_at, self.doors_close_at) {
            errors.push(error("/doors_close_at", "must not be before doors_open_at"));
        }
        errors
    }
}

/// Whether the end of a period is before its start. A period without an end or a start is open.
pub(crate) fn backwards(start: Option<core::model::Timestamp>, end: Option<core::model::Timestamp>) -> bool {
    matches!((start, end), (Some(start), Some(end)) if end < start)
}

impl JsonBody for core::model::ScanRequest {
    type Schema = core::model::RawScanRequest;
    const DESERIALIZE_VALIDATES: bool = true;
}

/// A generator of schemas in the form that `/openapi.json` publishes.
pub(crate) fn schema_generator() -> SchemaGenerator {
    SchemaSettings::draft2020_12()
        .with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
            // Programs that generate clients reject boolean schemas.
            settings.transforms.push(Box::new(ReplaceBoolSchemas::default()));
        })
        .into_generator()
}

/// The schema of one type with its compiled validator. It is compiled at the first validation.
#[derive(Debug, Default)]
pub(crate) struct SchemaValidator(OnceLock<Option<(Value, jsonschema::Validator)>>);

impl SchemaValidator {
    /// Parses and validates a body.
    pub(crate) fn parse<T: JsonBody>(&self, bytes: &[u8]) -> Result<T, Problem> {
        // A derived `Deserialize` accepts an array in place of an object. A body without any bracket contains no array.
        if T::DESERIALIZE_VALIDATES
            && first_character(bytes) == Some(b'{')
            && !bytes.contains(&b'[')
            // One UTF-8 check of the body is faster than one check for each of its strings.
            && let Ok(text) = std::str::from_utf8(bytes)
            && let Ok(body) = serde_json::from_str(text)
        {
            return Ok(body);
        }
        let value: Value = serde_json::from_slice(bytes).map_err(|_| Code::MalformedJson)?;
        let body: T = self
            .check::<T, T::Schema>(value)
            .map_err(|errors| Problem::invalid(of_whole_lists(errors, T::WHOLE_LISTS)))?;
        let errors = body.field_errors();
        if errors.is_empty() {
            Ok(body)
        } else {
            Err(Problem::invalid(errors))
        }
    }

    /// Validates a value against the schema of `S` and deserializes it as `T`.
    pub(crate) fn check<T: DeserializeOwned, S: JsonSchema>(
        &self,
        value: Value,
    ) -> Result<T, Vec<FieldError>> {
        if !value.is_object() {
            return Err(vec![FieldError {
                pointer: String::new(),
                message: "must be an object".into(),
            }]);
        }
        let errors = self.field_errors::<S>(&value);
        if !errors.is_empty() {
            return Err(errors);
        }
        deserialize(value)
    }

    fn field_errors<S: JsonSchema>(&self, value: &Value) -> Vec<FieldError> {
        let compiled = self.0.get_or_init(|| {
            let schema = schema_generator().into_root_schema_for::<S>().to_value();
            let validator = jsonschema::draft202012::options()
                .should_validate_formats(true)
                .build(&schema)
                .inspect_err(|error| tracing::error!(%error, "a schema does not compile"))
                .ok()?;
            Some((schema, validator))
        });
        let Some((schema, validator)) = compiled else {
            return Vec::new();
        };
        if validator.is_valid(value) {
            return Vec::new();
        }
        let mut errors = Vec::new();
        // Alternatives come last, because they mostly repeat the error of a field that is listed already.
        let (alternatives, plain): (Vec<_>, Vec<_>) = validator.iter_errors(value).partition(is_alternative);
        for error in plain.iter().chain(&alternatives) {
            add(error, schema, &mut errors);
        }
        if errors.is_empty() {
            push(&mut errors, String::new(), "does not match the schema");
        }
        errors
    }
}

/// Deserializes a value that matches its schema. To JSON Schema `387.0` is an integer; to the types it is none, so that it is
/// rewritten where a type asks for one.
fn deserialize<T: DeserializeOwned>(mut value: Value) -> Result<T, Vec<FieldError>> {
    for _ in 0..MAX_FIELD_ERRORS {
        let error = match serde_path_to_error::deserialize(&value) {
            Ok(body) => return Ok(body),
            Err(error) => deserialize_error(&error),
        };
        let integer = value.pointer(&error.pointer).and_then(whole_number);
        match (integer, value.pointer_mut(&error.pointer)) {
            (Some(integer), Some(number)) => *number = integer,
            _ => return Err(vec![error]),
        }
    }
    serde_path_to_error::deserialize(value).map_err(|error| vec![deserialize_error(&error)])
}

/// The integer that a number with a fraction of zero, or with an exponent, is equal to.
fn whole_number(value: &Value) -> Option<Value> {
    /// Up to here every integer has a floating-point number of its own.
    const MAX_EXACT: f64 = 9_007_199_254_740_992.0;
    let number = value.as_f64().filter(|_| value.is_f64())?;
    if number.fract() != 0.0 || number.abs() > MAX_EXACT {
        return None;
    }
    format!("{number:.0}").parse::<i64>().ok().map(Value::from)
}

fn first_character(bytes: &[u8]) -> Option<u8> {
    bytes.iter().copied().find(|byte| !byte.is_ascii_whitespace())
}

/// Whether the error only says that none, or more than one, of several schemas matches.
fn is_alternative(error: &ValidationError<'_>) -> bool {
    matches!(
        error.kind(),
        ValidationErrorKind::OneOfMultipleValid { .. } | ValidationErrorKind::OneOfNotValid { .. }
    )
}

/// Adds an error unless its field has one already.
fn push(errors: &mut Vec<FieldError>, pointer: String, message: impl Into<Cow<'static, str>>) {
    if errors.len() < MAX_FIELD_ERRORS && !errors.iter().any(|error| error.pointer == pointer) {
        errors.push(FieldError {
            pointer,
            message: message.into(),
        });
    }
}

/// What a pattern means, for people. A schema has it where its pattern tells them little.
const MEANING: &str = "x-meaning";

/// A longer pattern lists the values, such as the names of time zones. The description says more.
const MAX_PATTERN_SHOWN: usize = 1000;

/// Adds a validation error with a message that repeats nothing of the value.
fn add(error: &ValidationError<'_>, schema: &Value, errors: &mut Vec<FieldError>) {
    use ValidationErrorKind as Kind;
    let pointer = error.instance_path().as_str().to_owned();
    let message = match error.kind() {
        Kind::Required { property } => {
            let field = property.as_str().unwrap_or_default();
            return push(errors, child(&pointer, field), "is required");
        }
        Kind::OneOfNotValid { .. } | Kind::OneOfMultipleValid { .. } => {
            return add_one_of(error, schema, errors);
        }
        Kind::AnyOf { context } => return add_any_of(&pointer, context, schema, errors),
        Kind::Type {
            kind: TypeKind::Single(kind),
        } => Cow::Owned(format!("must be of type {}", kind.as_str())),
        Kind::Type {
            kind: TypeKind::Multiple(kinds),
        } => {
            let names: Vec<_> = kinds.iter().map(jsonschema::JsonType::as_str).collect();
            Cow::Owned(format!("must be of type {}", names.join(" or ")))
        }
        Kind::Enum { options } => Cow::Owned(format!("must be one of {}", joined(options))),
        Kind::Constant { expected_value } => Cow::Owned(format!("must be {expected_value}")),
        Kind::Format { format } => match format.as_str() {
            "date-time" => "must be an RFC 3339 date and time such as 2026-11-22T18:04:05.120Z".into(),
            "uuid" => "must be a UUID".into(),
            other => Cow::Owned(format!("must have the format {other}")),
        },
        Kind::MinLength { limit } => Cow::Owned(format!("must have at least {limit} characters")),
        Kind::MaxLength { limit } => Cow::Owned(format!("must have at most {limit} characters")),
        Kind::MinItems { limit } => Cow::Owned(format!("must have at least {limit} items")),
        Kind::MaxItems { limit } => Cow::Owned(format!("must have at most {limit} items")),
        Kind::Minimum { limit } => Cow::Owned(format!("must be at least {limit}")),
        Kind::Maximum { limit } => Cow::Owned(format!("must be at most {limit}")),
        Kind::ExclusiveMinimum { limit } => Cow::Owned(format!("must be more than {limit}")),
        Kind::ExclusiveMaximum { limit } => Cow::Owned(format!("must be less than {limit}")),
        Kind::Pattern { pattern } if pattern.len() > MAX_PATTERN_SHOWN => {
            let description = beside(error, "/pattern", schema, "description");
            Cow::Owned(format!(
                "is not: {}",
                description.unwrap_or("a value of the schema")
            ))
        }
        Kind::Pattern { pattern } => match beside(error, "/pattern", schema, MEANING) {
            Some(meaning) => Cow::Owned(format!("is not {meaning}")),
            None => Cow::Owned(format!("must match {pattern}")),
        },
        // A name that an object must not have.
        Kind::Not { .. } => Cow::Owned(
            beside(error, "/not", schema, "description")
                .unwrap_or("is not allowed")
                .to_owned(),
        ),
        other => Cow::Owned(format!("breaks the schema's rule {:?}", other.keyword())),
    };
    push(errors, pointer, message);
}

/// The text of `other` beside the keyword that an error is of.
fn beside<'a>(error: &ValidationError<'_>, keyword: &str, schema: &'a Value, other: &str) -> Option<&'a str> {
    let path = error.schema_path().as_str().strip_suffix(keyword)?;
    schema.pointer(path)?[other].as_str()
}

/// Adds the errors of a value that matches none of several schemas, as the closest schema reports them.
fn add_any_of(
    pointer: &str,
    alternatives: &[Vec<ValidationError<'static>>],
    schema: &Value,
    field_errors: &mut Vec<FieldError>,
) {
    let has_wrong_type = |errors: &&Vec<ValidationError<'_>>| {
        errors.iter().any(|error| {
            matches!(error.kind(), ValidationErrorKind::Type { .. })
                && error.instance_path().as_str() == pointer
        })
    };
    let closest = alternatives
        .iter()
        .find(|errors| !has_wrong_type(errors))
        .or(alternatives.first());
    for error in closest.into_iter().flatten() {
        add(error, schema, field_errors);
    }
}

/// Adds an error for each of the fields of which exactly one is required and several are given, or for all of them if none
/// is given, unless one of them has an error already.
fn add_one_of(error: &ValidationError<'_>, schema: &Value, errors: &mut Vec<FieldError>) {
    let pointer = error.instance_path().as_str();
    let fields: Vec<&str> = schema
        .pointer(error.schema_path().as_str())
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|alternative| alternative.get("required")?.as_array())
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if fields.is_empty() {
        return push(
            errors,
            pointer.to_owned(),
            "must match exactly one of several schemas",
        );
    }
    let one_is_invalid = fields
        .iter()
        .any(|field| errors.iter().any(|error| error.pointer == child(pointer, field)));
    if !one_is_invalid {
        let is_given = |field: &&str| error.instance().get(field).is_some_and(|value| !value.is_null());
        let none_is_given = !fields.iter().any(is_given);
        for field in fields.iter().filter(|field| none_is_given || is_given(field)) {
            let message = format!("exactly one of {} is required", fields.join(", "));
            push(errors, child(pointer, field), message);
        }
    }
}

/// The error that only the type's `Deserialize` finds. Messages of this system's types are safe to return; serde's own may
/// repeat the value.
fn deserialize_error(error: &serde_path_to_error::Error<serde_json::Error>) -> FieldError {
    let mut pointer = String::new();
    for segment in error.path() {
        pointer = match segment {
            serde_path_to_error::Segment::Seq { index } => child(&pointer, &index.to_string()),
            serde_path_to_error::Segment::Map { key } => child(&pointer, key),
            serde_path_to_error::Segment::Enum { .. } | serde_path_to_error::Segment::Unknown => pointer,
        };
    }
    let text = error.inner().to_string();
    let repeats_value = text.starts_with("invalid ") || text.starts_with("unknown ");
    FieldError {
        pointer,
        message: if repeats_value {
            "is not valid".into()
        } else {
            text.into()
        },
    }
}

fn child(pointer: &str, field: &str) -> String {
    format!("{pointer}/{}", field.replace('~', "~0").replace('/', "~1"))
}

fn joined(options: &Value) -> String {
    let texts: Vec<String> = options
        .as_array()
        .into_iter()
        .flatten()
        .map(|option| option.as_str().map_or_else(|| option.to_string(), str::to_owned))
        .collect();
    texts.join(", ")
}

#[cfg(test)]
mod tests;
