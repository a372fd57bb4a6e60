//! The messages that stewards see: one text for each reason in each language, and the texts by which an organization
//! replaces them.
//!
//! Invariants: a file of [`messages/`](self) has the texts of one language, by a match without a wildcard, so a new reason
//! does not compile until every language has its text. A message is text for its reader and is not recorded: the same scan
//! may be shown in several languages.

mod af;
mod de;
mod en;
mod es;
mod fr;
mod nl;
mod pt;
#[cfg(feature = "schema")]
mod schema;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::text::bounded_text;
use crate::model::{Language, Reason};

bounded_text! {
    /// A message for the steward.
    MessageText: 1..=120;
}

impl Language {
    /// The message of a reason in this language.
    #[must_use]
    pub const fn message(self, reason: Reason) -> &'static str {
        match self {
            Self::English => en::message(reason),
            Self::Afrikaans => af::message(reason),
            Self::Dutch => nl::message(reason),
            Self::German => de::message(reason),
            Self::French => fr::message(reason),
            Self::Spanish => es::message(reason),
            Self::Portuguese => pt::message(reason),
        }
    }
}

type Texts<T> = BTreeMap<Language, BTreeMap<Reason, T>>;

/// The messages that an organization replaced by its own texts, by language and reason.
///
/// A language or a reason that this version does not know is left out when they are read: a newer version may have written
/// it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, BTreeMap<String, String>>")]
pub struct CustomMessages(Texts<MessageText>);

impl CustomMessages {
    /// The messages of an organization that replaced none.
    pub const NONE: &'static Self = &Self(BTreeMap::new());

    /// The message of a reason: the organization's text where it has one, otherwise the one of this program.
    #[must_use]
    pub fn message(&self, language: Language, reason: Reason) -> &str {
        self.custom(language, reason)
            .map_or(language.message(reason), MessageText::as_str)
    }

    /// The organization's own text, if it has one.
    #[must_use]
    pub fn custom(&self, language: Language, reason: Reason) -> Option<&MessageText> {
        self.0.get(&language)?.get(&reason)
    }

    /// Whether the organization replaced no message.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All texts, in the order of languages and reasons.
    pub fn iter(&self) -> impl Iterator<Item = (Language, Reason, &MessageText)> {
        self.0
            .iter()
            .flat_map(|(language, texts)| texts.iter().map(move |(reason, text)| (*language, *reason, text)))
    }

    /// Replaces a message, or takes the organization's text back.
    pub fn set(&mut self, language: Language, reason: Reason, text: Option<MessageText>) {
        let texts = self.0.entry(language).or_default();
        match text {
            Some(text) => texts.insert(reason, text),
            None => texts.remove(&reason),
        };
        if texts.is_empty() {
            self.0.remove(&language);
        }
    }

    /// Replaces the messages that the patch names. The others stay.
    pub fn merge(&mut self, patch: &CustomMessagesPatch) {
        for (language, texts) in &patch.0 {
            for (reason, text) in texts {
                self.set(*language, *reason, text.clone());
            }
        }
    }
}

impl From<BTreeMap<String, BTreeMap<String, String>>> for CustomMessages {
    fn from(read: BTreeMap<String, BTreeMap<String, String>>) -> Self {
        let mut messages = Self::default();
        for (language, texts) in read {
            for (reason, text) in texts {
                if let (Ok(language), Ok(reason), Ok(text)) = (language.parse(), reason.parse(), text.parse())
                {
                    messages.set(language, reason, Some(text));
                }
            }
        }
        messages
    }
}

/// A change of [`CustomMessages`]: the texts to replace, by language and reason. `None` takes one back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CustomMessagesPatch(Texts<Option<MessageText>>);

impl CustomMessagesPatch {
    /// The change of one message.
    #[must_use]
    pub fn of(language: Language, reason: Reason, text: Option<MessageText>) -> Self {
        Self(BTreeMap::from([(language, BTreeMap::from([(reason, text)]))]))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde_json::json;

    use super::*;

    #[test]
    fn every_language_has_a_short_message_for_every_reason() {
        for &language in Language::ALL {
            for &reason in Reason::ALL {
                let message = language.message(reason);
                let parsed = MessageText::new(message);
                assert_eq!(
                    parsed.as_ref().map(MessageText::as_str),
                    Ok(message),
                    "{language} {reason}"
                );
                assert_eq!(message, message.trim(), "{language} {reason}");
                assert!(message.chars().count() <= 60, "{language} {reason}: {message}");
                assert!(!message.ends_with('.'), "{language} {reason}: {message}");
            }
        }
    }

    /// A text that was copied from another reason, or left in English.
    #[test]
    fn no_message_is_that_of_another_reason_or_of_english() {
        for &language in Language::ALL {
            let mut reasons: HashMap<&str, Reason> = HashMap::new();
            for &reason in Reason::ALL {
                let message = language.message(reason);
                if let Some(other) = reasons.insert(message, reason) {
                    panic!("{language}: {reason} and {other} have the message {message:?}");
                }
                let is_english = message == Language::English.message(reason);
                assert_eq!(is_english, language == Language::English, "{language} {reason}");
            }
        }
    }

    #[test]
    fn a_change_is_merged_and_null_takes_a_text_back() {
        let mut messages = CustomMessages::default();
        let patch = |value| serde_json::from_value::<CustomMessagesPatch>(value).expect("a patch");
        messages.merge(&patch(
            json!({ "nl": { "admitted": "Kom binnen", "gate_full": "Vol" } }),
        ));
        messages.merge(&patch(
            json!({ "nl": { "admitted": "Welkom" }, "de": { "admitted": "Willkommen" } }),
        ));
        assert_eq!(
            json!(messages),
            json!({ "nl": { "admitted": "Welkom", "gate_full": "Vol" }, "de": { "admitted": "Willkommen" } })
        );
        assert_eq!(messages.message(Language::Dutch, Reason::Admitted), "Welkom");
        assert_eq!(
            messages.message(Language::Dutch, Reason::EventFull),
            "Het evenement is vol"
        );
        assert_eq!(messages.message(Language::English, Reason::Admitted), "Admitted");
        messages.merge(&patch(
            json!({ "nl": { "admitted": null, "gate_full": null }, "fr": { "gate_full": null } }),
        ));
        assert_eq!(json!(messages), json!({ "de": { "admitted": "Willkommen" } }));
        assert_eq!(messages.message(Language::Dutch, Reason::Admitted), "Toegelaten");
        assert!(messages.iter().eq([(
            Language::German,
            Reason::Admitted,
            &MessageText::new("Willkommen").expect("a text")
        )]));
    }

    #[test]
    fn a_text_has_1_to_120_characters() {
        for (text, is_valid) in [
            ("é".repeat(120), true),
            ("é".repeat(121), false),
            (String::new(), false),
            (" ".to_owned(), false),
            ("two\nlines".to_owned(), false),
        ] {
            let patch = json!({ "fr": { "admitted": text } });
            assert_eq!(
                serde_json::from_value::<CustomMessagesPatch>(patch).is_ok(),
                is_valid,
                "{text:?}"
            );
        }
        for unknown in [
            json!({ "xx": {} }),
            json!({ "fr": { "welcome": "x" } }),
            json!({ "fr": null }),
        ] {
            assert!(
                serde_json::from_value::<CustomMessagesPatch>(unknown.clone()).is_err(),
                "{unknown}"
            );
        }
    }

    #[test]
    fn what_a_newer_version_wrote_is_left_out() {
        let written = json!({ "zu": { "admitted": "x" }, "nl": { "welcome": "x", "admitted": "Welkom" } });
        let read: CustomMessages = serde_json::from_value(written).expect("messages");
        assert_eq!(json!(read), json!({ "nl": { "admitted": "Welkom" } }));
    }
}
