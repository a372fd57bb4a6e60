//! The schemas of the settings, from the table of figures.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::{Figure, SignalKind, SignalRule, SignalSettings, SignalSettingsPatch};

fn figure_schema(figure: Option<Figure>, description: &str) -> Value {
    match figure {
        Some(Figure { default, min, max }) => json!({
            "type": ["integer", "null"], "minimum": min, "maximum": max,
            "description": format!("{description} At first {default}."),
        }),
        None => json!({ "type": ["integer", "null"], "minimum": 0, "maximum": u32::MAX,
            "description": "This kind has none; a number changes nothing." }),
    }
}

fn patch_of(kind: SignalKind) -> Value {
    let figures = kind.figures();
    json!({
        "type": "object",
        "properties": {
            "enabled": { "type": ["boolean", "null"], "description": "Whether signals of this kind are found." },
            "limit": figure_schema(figures.limit, "A number, or a percentage."),
            "within_s": figure_schema(figures.within_s, "A time in seconds."),
            "close_s": figure_schema(figures.close_s, "Seconds from the opening of a signal to its end."),
        },
    })
}

impl JsonSchema for SignalSettingsPatch {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SignalSettingsPatch".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let kinds = SignalKind::ALL
            .iter()
            .map(|kind| (kind.as_str().to_owned(), patch_of(*kind)));
        json_schema!({
            "type": "object",
            "description": "By kind, what changes. Absent kinds and fields stay; null stays too.",
            "properties": kinds.collect::<Map<_, _>>(),
        })
    }
}

impl JsonSchema for SignalSettings {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SignalSettings".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let rule = generator.subschema_for::<SignalRule>();
        let kinds = SignalKind::STRINGS
            .iter()
            .map(|kind| ((*kind).to_owned(), json!(rule)));
        json_schema!({
            "type": "object",
            "description": "The rules by which an organization finds signals, by kind.",
            "properties": kinds.collect::<Map<_, _>>(),
            "required": SignalKind::STRINGS,
        })
    }
}
