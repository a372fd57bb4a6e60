//! The schemas of an organization's messages.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::{CustomMessages, CustomMessagesPatch, MessageText};
use crate::model::{Language, Reason};

/// The texts of one language, by reason. `null` is allowed where they are a change.
struct TextsOfLanguage<const IS_CHANGE: bool>;

impl<const IS_CHANGE: bool> JsonSchema for TextsOfLanguage<IS_CHANGE> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        if IS_CHANGE {
            "MessagesOfLanguagePatch"
        } else {
            "MessagesOfLanguage"
        }
        .into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut text = generator.subschema_for::<MessageText>();
        if IS_CHANGE {
            text.insert("type".to_owned(), json!(["string", "null"]));
        }
        let reasons = Reason::ALL.iter().map(|reason| {
            let mut text = text.clone();
            text.insert(
                "description".to_owned(),
                format!("At first {:?} in English.", reason.message()).into(),
            );
            (reason.as_str().to_owned(), json!(text))
        });
        json_schema!({
            "type": "object",
            "description": "Texts by reason.",
            "properties": reasons.collect::<Map<_, _>>(),
            "additionalProperties": no_other("reason", Reason::STRINGS),
        })
    }
}

/// The schema of fields that the others do not name: no value matches it.
fn no_other(what: &str, names: &[&str]) -> Value {
    json!({ "description": format!("is no {what}: {}", names.join(", ")), "not": {} })
}

fn by_language(texts: &Schema, description: &str) -> Schema {
    let languages = Language::STRINGS
        .iter()
        .map(|language| ((*language).to_owned(), json!(texts)));
    json_schema!({
        "type": "object",
        "description": description,
        "properties": languages.collect::<Map<_, _>>(),
        "additionalProperties": no_other("language", Language::STRINGS),
    })
}

impl JsonSchema for CustomMessages {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "CustomMessages".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let texts = generator.subschema_for::<TextsOfLanguage<false>>();
        by_language(&texts, "The organization's own texts, by language and reason.")
    }
}

impl JsonSchema for CustomMessagesPatch {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "CustomMessagesPatch".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let texts = generator.subschema_for::<TextsOfLanguage<true>>();
        by_language(
            &texts,
            "The texts to replace, by language and reason. Absent languages and reasons stay; null takes a text back.",
        )
    }
}
