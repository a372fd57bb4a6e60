//! What does a caller say? Bytes become a typed request, or a problem that names every wrong field.
//!
//! A request is held against the very schema that `/openapi.json` publishes, so that a 422 never says what the document
//! does not. What JSON Schema cannot say (the size of `metadata`), the type's own `Deserialize` says last.

use std::borrow::Cow;
use std::sync::OnceLock;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{ValidationError, Validator};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::Value;
use voelgoed_scan_core as core;

use crate::intake::MAX_BODY;
use crate::problem::{Code, Fault, Problem};

/// The most wrong fields that are named.
const MAX_FAULTS: usize = 100;

/// A body that a call takes.
pub(crate) trait Request: DeserializeOwned + Send + Sync + 'static {
    /// The type whose schema is published.
    type Shape: JsonSchema;
    /// Whether the type's `Deserialize` checks all that the schema says, so that a right body need not be held against it.
    const COMPLETE: bool = false;
    /// The most bytes of a body.
    const MAX_BYTES: usize = MAX_BODY;
}

macro_rules! requests {
    ($($request:ty),+) => { $(impl Request for $request { type Shape = Self; })+ };
}

requests!(
    core::model::SessionStart,
    core::model::UndoRequest,
    core::model::DeviceHealth,
    core::model::DeviceRegister,
    core::model::DevicePatch,
    core::model::EventPut,
    core::model::GatePut,
    core::model::TicketPatch,
    core::model::ApiKeyCreate,
    core::model::EnrollRequest
);

impl Request for core::model::ScanRequest {
    type Shape = core::model::RawScanRequest;
    const COMPLETE: bool = true;
}

impl Request for core::sync::SyncRequest<core::sync::ReceivedScan> {
    type Shape = core::sync::SyncRequest;
    const MAX_BYTES: usize = 16 * 1024 * 1024;
}

/// A generator of schemas as `/openapi.json` publishes them.
pub(crate) fn generator() -> SchemaGenerator {
    SchemaSettings::draft2020_12()
        .with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        })
        .into_generator()
}

/// The schema of one type, with its validator: made when the first body has to be held against it.
#[derive(Debug, Default)]
pub(crate) struct Form(OnceLock<Option<(Value, Validator)>>);

impl Form {
    /// Reads the body of a call.
    pub(crate) fn read<R: Request>(&self, bytes: &[u8]) -> Result<R, Problem> {
        // A derived `Deserialize` takes an array for an object, field by field; a body without any bracket has none.
        if R::COMPLETE
            && first_character(bytes) == Some(b'{')
            && !bytes.contains(&b'[')
            // Checked as a whole, and not each of its texts.
            && let Ok(text) = std::str::from_utf8(bytes)
            && let Ok(request) = serde_json::from_str(text)
        {
            return Ok(request);
        }
        let value: Value = serde_json::from_slice(bytes).map_err(|_| Code::MalformedJson)?;
        self.check::<R, R::Shape>(value).map_err(Problem::invalid)
    }

    /// Reads a value that has the shape of `S`.
    pub(crate) fn check<R: DeserializeOwned, S: JsonSchema>(&self, value: Value) -> Result<R, Vec<Fault>> {
        if !value.is_object() {
            return Err(vec![Fault {
                pointer: String::new(),
                message: "must be an object".into(),
            }]);
        }
        let faults = self.faults::<S>(&value);
        if !faults.is_empty() {
            return Err(faults);
        }
        serde_path_to_error::deserialize(value).map_err(|error| vec![last_fault(&error)])
    }

    fn faults<S: JsonSchema>(&self, value: &Value) -> Vec<Fault> {
        let compiled = self.0.get_or_init(|| {
            let schema = generator().into_root_schema_for::<S>().to_value();
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
        let mut faults = Vec::new();
        // Alternatives last: they only repeat what is wrong with a field that is named already.
        let (alternatives, plain): (Vec<_>, Vec<_>) = validator.iter_errors(value).partition(is_alternative);
        for error in plain.iter().chain(&alternatives) {
            name(error, schema, &mut faults);
        }
        if faults.is_empty() {
            push(&mut faults, String::new(), "does not have the shape that is due");
        }
        faults
    }
}

fn first_character(bytes: &[u8]) -> Option<u8> {
    bytes.iter().copied().find(|byte| !byte.is_ascii_whitespace())
}

/// Whether the error only says that none, or more than one, of several shapes fits.
fn is_alternative(error: &ValidationError<'_>) -> bool {
    matches!(
        error.kind(),
        ValidationErrorKind::OneOfMultipleValid { .. } | ValidationErrorKind::OneOfNotValid { .. }
    )
}

fn push(faults: &mut Vec<Fault>, pointer: String, message: impl Into<Cow<'static, str>>) {
    if faults.len() < MAX_FAULTS && !faults.iter().any(|fault| fault.pointer == pointer) {
        faults.push(Fault {
            pointer,
            message: message.into(),
        });
    }
}

/// Names what an error found, in words that repeat nothing of what was sent.
fn name(error: &ValidationError<'_>, schema: &Value, faults: &mut Vec<Fault>) {
    use ValidationErrorKind as Kind;
    let pointer = error.instance_path().as_str().to_owned();
    let message = match error.kind() {
        Kind::Required { property } => {
            let field = property.as_str().unwrap_or_default();
            return push(faults, child(&pointer, field), "is required");
        }
        Kind::OneOfNotValid { .. } | Kind::OneOfMultipleValid { .. } => {
            return name_one_of(error, schema, faults);
        }
        Kind::AnyOf { context } => return name_any_of(&pointer, context, schema, faults),
        Kind::Type {
            kind: TypeKind::Single(kind),
        } => Cow::Owned(format!("must be of type {}", kind.as_str())),
        Kind::Type {
            kind: TypeKind::Multiple(kinds),
        } => {
            let names: Vec<_> = kinds.iter().map(jsonschema::JsonType::as_str).collect();
            Cow::Owned(format!("must be of type {}", names.join(" or ")))
        }
        Kind::Enum { options } => Cow::Owned(format!("must be one of {}", words(options))),
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
        Kind::Pattern { pattern } => Cow::Owned(format!("must match {pattern}")),
        other => Cow::Owned(format!("breaks the schema's rule {:?}", other.keyword())),
    };
    push(faults, pointer, message);
}

/// A value that none of several shapes fits: what is wrong with it in the shape that it comes closest to.
fn name_any_of(
    pointer: &str,
    shapes: &[Vec<ValidationError<'static>>],
    schema: &Value,
    faults: &mut Vec<Fault>,
) {
    let wrong_from_the_start = |errors: &&Vec<ValidationError<'_>>| {
        errors.iter().any(|error| {
            matches!(error.kind(), ValidationErrorKind::Type { .. })
                && error.instance_path().as_str() == pointer
        })
    };
    let closest = shapes
        .iter()
        .find(|errors| !wrong_from_the_start(errors))
        .or(shapes.first());
    for error in closest.into_iter().flatten() {
        name(error, schema, faults);
    }
}

/// Fields of which exactly one is due: each of them is named, unless one is wrong in itself.
fn name_one_of(error: &ValidationError<'_>, schema: &Value, faults: &mut Vec<Fault>) {
    let pointer = error.instance_path().as_str();
    let fields: Vec<&str> = schema
        .pointer(error.schema_path().as_str())
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|shape| shape.get("required")?.as_array())
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if fields.is_empty() {
        return push(
            faults,
            pointer.to_owned(),
            "must have exactly one of several shapes",
        );
    }
    let one_is_wrong = fields
        .iter()
        .any(|field| faults.iter().any(|fault| fault.pointer == child(pointer, field)));
    if !one_is_wrong {
        for field in &fields {
            let message = format!("exactly one of {} is due", fields.join(", "));
            push(faults, child(pointer, field), message);
        }
    }
}

/// The fault that only the type itself finds. Its own words are for callers; serde's may repeat what was sent.
fn last_fault(error: &serde_path_to_error::Error<serde_json::Error>) -> Fault {
    let mut pointer = String::new();
    for segment in error.path() {
        pointer = match segment {
            serde_path_to_error::Segment::Seq { index } => child(&pointer, &index.to_string()),
            serde_path_to_error::Segment::Map { key } => child(&pointer, key),
            serde_path_to_error::Segment::Enum { .. } | serde_path_to_error::Segment::Unknown => pointer,
        };
    }
    let text = error.inner().to_string();
    let repeats = text.starts_with("invalid ") || text.starts_with("unknown ");
    Fault {
        pointer,
        message: if repeats {
            "is not valid".into()
        } else {
            text.into()
        },
    }
}

fn child(pointer: &str, field: &str) -> String {
    format!("{pointer}/{}", field.replace('~', "~0").replace('/', "~1"))
}

fn words(options: &Value) -> String {
    let words: Vec<String> = options
        .as_array()
        .into_iter()
        .flatten()
        .map(|word| word.as_str().map_or_else(|| word.to_string(), str::to_owned))
        .collect();
    words.join(", ")
}

#[cfg(test)]
#[path = "json/tests.rs"]
mod tests;
